/*
 * transfer_key_service.c: which record is asked for when. See transfer_key_service.h.
 *
 *     ready --room for a question--> asked --found, refused--> settled --all of the message--> handed on
 *       ^                              | failed
 *       `-------- pause over ------- waiting
 *
 * When the service fails time after time, one record at a time goes on asking, with growing pauses: a thousand records
 * that wait for a service cost it and us one request every store.retry_max.
 */
#include "workers/drain/transfer_key_service.h"

#include "common/clock.h"
#include "common/http/http_client.h"
#include "common/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define KEY_SERVICE_TICK_MS 20 /* how exactly pauses are kept */

struct key_message;

struct key_item {
    struct key_item *next; /* in `ready` or `waiting` */
    struct key_message *message;
    struct slice record; /* [seq, member, n, field, value, …] in the message's blob */
    size_t index;
    struct key_tries tries;
    uint64_t due_ms;
    unsigned round; /* the service's when it was asked for */
    struct http_call *call;
};

struct key_message {
    struct key_message *next;
    struct key_service *service;
    char peer[CONTRACT_NAME_MAX];
    uint64_t generation;
    struct message_records m; /* m.records is `blob` */
    char *blob;
    struct key_item *items;
    struct transfer_key *keys;
    size_t open; /* items that have no key yet */
};

struct key_list {
    struct key_item *first, **end;
};

struct key_service {
    struct worker *w;
    struct http_client *http;
    const char *url;
    uint64_t retries, retry_max_ms;
    key_service_done_fn fn;
    void *ctx;
    struct key_message *messages;
    struct key_list ready, waiting;
    uv_timer_t timer;
    size_t open, asked;
    uint64_t good;     /* good answers so far */
    unsigned failures; /* rounds that failed since the last good answer */
    unsigned round;    /* questions that were out together and fail together are one failed round */
    uint64_t pause_until;
    bool retried_first; /* the next due records go before (after) those never asked for */
    bool troubled;
    struct transfer_fields fields; /* of the record being asked for */
};

static void key_service_go(struct key_service *s);

static void key_service_on_timer(uv_timer_t *timer)
{
    key_service_go(timer->data);
}

/* ---- lists ---- */

static void key_list_init(struct key_list *l)
{
    l->first = NULL;
    l->end = &l->first;
}

static void key_list_push(struct key_list *l, struct key_item *item)
{
    item->next = NULL;
    *l->end = item;
    l->end = &item->next;
}

/* Puts all of `from` behind `to`. */
static void key_list_join(struct key_list *to, struct key_list *from)
{
    if (from->first == NULL)
        return;
    *to->end = from->first;
    to->end = from->end;
    key_list_init(from);
}

/* Takes out the items for which `leave` says so, and puts them behind `to` (NULL: nowhere). */
static void key_list_move(struct key_list *from, struct key_list *to,
                          bool (*leave)(const struct key_item *item, const void *ctx),
                          const void *ctx)
{
    struct key_item *item = from->first, *next;
    key_list_init(from);
    for (; item != NULL; item = next) {
        next = item->next;
        if (!leave(item, ctx))
            key_list_push(from, item);
        else if (to != NULL)
            key_list_push(to, item);
    }
}

static bool key_item_is_due(const struct key_item *item, const void *now)
{
    return item->due_ms <= *(const uint64_t *)now;
}

static bool key_item_is_of(const struct key_item *item, const void *message)
{
    return item->message == message;
}

/* ---- messages ---- */

static void key_message_free(struct key_message *m)
{
    struct key_service *s = m->service;
    key_list_move(&s->ready, NULL, key_item_is_of, m);
    key_list_move(&s->waiting, NULL, key_item_is_of, m);
    for (size_t i = 0; i < m->m.count; i++) {
        if (m->items[i].call != NULL) {
            http_client_cancel(m->items[i].call);
            s->asked--;
        }
        transfer_key_fini(&m->keys[i]);
    }
    s->open -= m->open;
    free(m->items);
    free(m->keys);
    free(m->blob);
    free(m);
}

static void key_message_done(struct key_message *m)
{
    struct key_service *s = m->service;
    struct key_message **at = &s->messages;
    while (*at != m)
        at = &(*at)->next;
    *at = m->next;
    struct key_service_done done = {
        .peer = m->peer, .generation = m->generation, .message = m->m, .keys = m->keys};
    s->fn(&done, s->ctx);
    key_message_free(m);
}

/* ---- trouble ---- */

static void key_service_trouble(struct key_service *s, const char *why)
{
    if (s->failures <= s->retries)
        return;
    s->troubled = true;
    /* What stands in the query may be a token; this text goes to everybody who asks for readiness. */
    size_t shown = strcspn(s->url, "?");
    worker_trouble(s->w, "key service %.*s%s: %s; %zu records wait, nothing is lost", (int)shown,
                   s->url, s->url[shown] != '\0' ? "?***" : "", why, s->open);
}

static void key_service_well(struct key_service *s)
{
    s->good++;
    s->failures = 0;
    s->pause_until = 0;
    if (s->troubled)
        worker_trouble(s->w, "%s", "");
    s->troubled = false;
}

/* ---- answers ---- */

static void key_item_settled(struct key_item *item)
{
    struct key_message *m = item->message;
    m->service->open--;
    if (--m->open == 0)
        key_message_done(m);
}

static void key_item_refuse(struct key_item *item, const char *why)
{
    char reason[400];
    snprintf(reason, sizeof reason, "key service: %s (asked %u times)", why, item->tries.failed);
    item->message->keys[item->index].refusal = slice_dup(slice_of(reason));
    if (item->message->keys[item->index].refusal != NULL)
        key_item_settled(item);
    else
        key_list_push(&item->message->service->waiting, item);
}

static void key_item_failed(struct key_item *item, enum key_verdict verdict, const char *why,
                            uint64_t asked_ms)
{
    struct key_service *s = item->message->service;
    uint64_t now = clock_mono_ms();
    worker_count(s->w, COUNTER_STORE_ERRORS, 1);
    bool give_up = key_tries_give_up(&item->tries, verdict, s->good, s->retries);
    item->due_ms = now + key_tries_pause(item->tries.failed, asked_ms, s->retry_max_ms);
    if (give_up) {
        key_item_refuse(item, why);
        return;
    }
    key_list_push(&s->waiting, item);
    if (item->round == s->round) {
        s->round++;
        s->failures++;
    }
    if (s->failures > s->retries)
        s->pause_until = now + key_tries_pause(s->failures, asked_ms, s->retry_max_ms);
    key_service_trouble(s, why);
}

static void key_item_on_answer(const struct http_answer *answer, void *ctx)
{
    struct key_item *item = ctx;
    struct key_service *s = item->message->service;
    char why[256];
    item->call = NULL;
    s->asked--;
    struct transfer_key *key = &item->message->keys[item->index];
    enum key_verdict verdict =
        key_answer_read(answer->status, answer->body, answer->error, key, why, sizeof why);
    if (verdict == KEY_FOUND) {
        key_service_well(s);
        key_item_settled(item);
    } else {
        key_item_failed(item, verdict, why, answer->retry_after_ms);
    }
    key_service_go(s);
}

/* ---- questions ---- */

static int key_item_send(struct key_service *s, struct key_item *item)
{
    struct buffer question = BUFFER_EMPTY, url = BUFFER_EMPTY;
    struct unpack u = unpack_start(item->record);
    struct transfer_record r;
    int rc = transfer_record_read(&s->fields, &u, &r);
    if (rc == 0)
        key_question_write(&question, s->fields.list, r.count);
    buffer_append_text(&url, s->url);
    bool post = question.len > KEY_SERVICE_QUERY_MAX;
    if (!post) {
        buffer_append_char(&url, strchr(s->url, '?') != NULL ? '&' : '?');
        buffer_append_slice(&url, buffer_slice(&question));
    }
    if (rc == 0 && (!buffer_ok(&question) || buffer_text(&url) == NULL))
        rc = -ENOMEM;
    if (rc == 0)
        rc = http_client_send(s->http, url.data, post ? buffer_slice(&question) : slice_of(""),
                              "application/x-www-form-urlencoded", key_item_on_answer, item,
                              &item->call);
    buffer_fini(&question);
    buffer_fini(&url);
    return rc;
}

static bool key_service_may_ask(const struct key_service *s, uint64_t now)
{
    size_t parallel = s->failures > s->retries ? 1 : KEY_SERVICE_PARALLEL;
    return s->ready.first != NULL && s->asked < parallel && now >= s->pause_until;
}

/*
 * Records whose pause is over may be asked for again. Before new ones and behind them in turn: always behind, a service
 * that fails every record once would be probed with new ones only; always before, a record that hangs the service would
 * be all that is probed with.
 */
static void key_service_wake(struct key_service *s, uint64_t now)
{
    struct key_list due;
    key_list_init(&due);
    key_list_move(&s->waiting, &due, key_item_is_due, &now);
    if (due.first == NULL)
        return;
    if (s->retried_first) {
        key_list_join(&due, &s->ready);
        key_list_join(&s->ready, &due);
    } else {
        key_list_join(&s->ready, &due);
    }
    s->retried_first = !s->retried_first;
}

static void key_service_go(struct key_service *s)
{
    uint64_t now = clock_mono_ms();
    key_service_wake(s, now);
    while (key_service_may_ask(s, now)) {
        struct key_item *item = s->ready.first;
        s->ready.first = item->next;
        if (s->ready.first == NULL)
            s->ready.end = &s->ready.first;
        item->round = s->round;
        int rc = key_item_send(s, item);
        if (rc == 0) {
            s->asked++;
            continue;
        }
        key_item_failed(item, KEY_FAILED, uv_strerror(rc), 0);
    }
    bool wait = s->waiting.first != NULL || (s->ready.first != NULL && s->asked == 0);
    if (!wait)
        uv_timer_stop(&s->timer);
    else if (!uv_is_active((uv_handle_t *)&s->timer))
        uv_timer_start(&s->timer, key_service_on_timer, KEY_SERVICE_TICK_MS, KEY_SERVICE_TICK_MS);
}

/* ---- coming and going ---- */

static bool key_message_read(struct key_message *m)
{
    struct unpack u = unpack_start(m->m.records);
    for (size_t i = 0; i < m->m.count; i++) {
        m->items[i].message = m;
        m->items[i].index = i;
        m->items[i].record = unpack_raw(&u);
        struct unpack one = unpack_start(m->items[i].record);
        struct transfer_record r;
        int rc = transfer_record_read(&m->service->fields, &one, &r);
        if (rc != 0)
            return false;
    }
    return unpack_end(&u);
}

int key_service_add(struct key_service *s, const struct worker_peer *from,
                    const struct message_records *records)
{
    /* A record is two bytes at least: the count cannot make us reserve more than the message is worth. */
    if (records->count == 0 || records->count > records->records.len)
        return -EBADMSG;
    struct key_message *m = calloc(1, sizeof *m);
    if (m == NULL)
        return -ENOMEM;
    m->service = s;
    m->generation = from->generation;
    memcpy(m->peer, from->name, sizeof m->peer);
    m->blob = slice_dup(records->records);
    m->items = calloc(records->count, sizeof *m->items);
    m->keys = calloc(records->count, sizeof *m->keys);
    bool memory = m->blob != NULL && m->items != NULL && m->keys != NULL;
    m->m = *records;
    m->m.count = memory ? records->count : 0;
    m->m.records = slice_make(m->blob, records->records.len);
    if (!memory || !key_message_read(m)) {
        key_message_free(m);
        return memory ? -EBADMSG : -ENOMEM;
    }
    m->open = (size_t)records->count;
    s->open += m->open;
    m->next = s->messages;
    s->messages = m;
    for (size_t i = 0; i < m->open; i++) {
        m->items[i].tries.seen = s->good;
        key_list_push(&s->ready, &m->items[i]);
    }
    key_service_go(s);
    return 0;
}

void key_service_forget(struct key_service *s, const struct worker_peer *peer)
{
    for (struct key_message **at = &s->messages; *at != NULL;) {
        struct key_message *m = *at;
        if (strcmp(m->peer, peer->name) != 0 || m->generation != peer->generation) {
            at = &m->next;
            continue;
        }
        *at = m->next;
        key_message_free(m);
    }
}

size_t key_service_waiting(const struct key_service *s)
{
    return s != NULL ? s->open : 0;
}

struct key_service *key_service_new(struct worker *w, key_service_done_fn fn, void *ctx)
{
    struct key_service *s = calloc(1, sizeof *s);
    struct http_options options = {.parallel = KEY_SERVICE_PARALLEL,
                                   .timeout_ms = worker_setting_u64(w, "drain.key_service_timeout"),
                                   .answer_max = KEY_SERVICE_ANSWER_MAX};
    int rc = s != NULL ? http_client_new(worker_loop(w), &options, &s->http) : -ENOMEM;
    if (rc != 0)
        worker_exit_for(w, -rc, NULL, "cannot ask the key service");
    s->w = w;
    s->url = worker_setting_text(w, "drain.key_service");
    s->retries = worker_setting_u64(w, "drain.key_service_retries");
    s->retry_max_ms = worker_setting_u64(w, "store.retry_max");
    s->fn = fn;
    s->ctx = ctx;
    key_list_init(&s->ready);
    key_list_init(&s->waiting);
    uv_timer_init(worker_loop(w), &s->timer);
    s->timer.data = s;
    return s;
}

static void key_service_on_closed(uv_handle_t *timer)
{
    free(timer->data);
}

void key_service_free(struct key_service *s)
{
    if (s == NULL)
        return;
    while (s->messages != NULL) {
        struct key_message *m = s->messages;
        s->messages = m->next;
        key_message_free(m);
    }
    http_client_free(s->http);
    free(s->fields.list);
    uv_close((uv_handle_t *)&s->timer, key_service_on_closed);
}
