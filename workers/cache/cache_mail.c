/* cache_mail.c: see cache_mail.h. */
#include "workers/cache/cache_mail.h"

#include "common/json/json_write.h"
#include "common/log.h"
#include "workers/cache/cache_access.h"
#include "workers/cache/cache_ask.h"
#include "workers/cache/cache_call.h"
#include "workers/cache/cache_member.h"
#include "workers/cache/cache_need.h"
#include "workers/cache/cache_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define MAIL_TEXT_SIZE 64                 /* of what acknowledges a write */
#define MAIL_KEEP_SIZE ((size_t)64 << 10) /* of the answers' buffer between two */
#define MAIL_HELD_MAX  ((size_t)64 << 20) /* of all that wait */
#define MAIL_UNREAD    ((size_t)16 << 20) /* who has so much to read is answered nothing more */
#define MAIL_UNREAD_MS 5u                 /* until it is looked whether it has read it */

/* To whom the answer goes. */
struct mail_to {
    char
        name[CONTRACT_NAME_MAX]; /* of the caller's incarnation; "": who asked through the master */
    uint64_t generation;
    uint64_t id; /* the CALL's token, or the request's */
};

/* A write that is done, and waits for the log. */
struct mail_answer {
    struct cache_turn_answer wait; /* the first: cache_turn.h */
    struct cache_mail *mail;
    struct mail_to to;
    size_t len;
    char text[]; /* MAIL_TEXT_SIZE, or more of what is read and has no second copy yet */
};

/* What waits for the store, or behind such a one of its caller's. One allocation: verb and text follow. */
struct mail_held {
    struct cache_parked parked; /* the first */
    struct mail_held *next, *prev;
    struct cache_mail *mail;
    struct cache_mail_queue *queue;
    struct mail_to to;
    struct slice verb, said;
    struct buffer key;       /* that it waits for */
    uint32_t stored, looked; /* as in cache_need.h */
    size_t bytes;
    bool unread;               /* it waits until its caller has read its answers */
    struct cache_parts *parts; /* at other nodes; NULL: none was needed so far */
};

/* ---- telling ---- */

static void mail_answer_call(struct cache_mail *m, const struct mail_to *to, bool done,
                             struct slice text)
{
    struct worker_peer *peer = worker_peer_find(m->w, to->name);
    if (peer == NULL || peer->generation != to->generation)
        return; /* it is gone, and waits for nothing any more */
    struct message_answer answer = {.token = to->id, .failed = !done, .text = text};
    struct buffer *message = worker_compose(m->w);
    message_answer_pack(message, &answer);
    if (worker_send(m->w, peer, message) != 0)
        m->lost++;
}

/* `text`: of a call JSON, of a request msgpack, or a line when it failed. */
static void mail_tell(struct cache_mail *m, const struct mail_to *to, enum control_status status,
                      struct slice text)
{
    if (to->name[0] != '\0')
        mail_answer_call(m, to, status == CONTROL_OK, text);
    else if (status == CONTROL_OK)
        worker_reply(m->w, to->id, status, text);
    else
        worker_reply_text(m->w, to->id, status, "%.*s", (int)text.len, text.ptr);
}

/* The same for a line that is not yet in the form of its way. */
static void mail_refuse(struct cache_mail *m, const struct mail_to *to, const char *why)
{
    buffer_clear(&m->text);
    if (to->name[0] != '\0')
        json_write_string(&m->text, slice_of(why));
    else
        buffer_append_text(&m->text, why);
    mail_tell(m, to, CONTROL_ERROR,
              buffer_ok(&m->text) ? buffer_slice(&m->text) : slice_of("\"OOM\""));
}

static void mail_go(struct cache_turn_answer *wait, const char *refused)
{
    struct mail_answer *a = (struct mail_answer *)wait;
    a->mail->answered -= a->len;
    if (refused == NULL)
        mail_tell(a->mail, &a->to, CONTROL_OK, slice_make(a->text, a->len));
    else
        mail_refuse(a->mail, &a->to, refused);
    free(a);
}

/* ---- asking ---- */

/* In a ring what was read goes only while the lease runs, as what was written does (cache_turn.h). */
static void mail_tell_now(struct cache_mail *m, const struct mail_to *to,
                          enum control_status status, bool leased)
{
    struct cache_node *n = m->node;
    char why[CACHE_PARK_WHY_SIZE];
    if (!leased || n->member == NULL || cache_member_serves(n->member)) {
        mail_tell(m, to, status, buffer_slice(&m->text));
        return;
    }
    cache_park_refuse_ring(n->park, why);
    mail_refuse(m, to, why);
}

/*
 * How far second copies must be before that is told; 0: they are. Rejected: to look at its keys, as for clients: who
 * calls while others write waits for a moment longer, and it is in one place.
 */
static uint64_t mail_copies(const struct cache_mail *m, bool matters)
{
    uint64_t end = matters ? cache_db_copy_end(m->node->db) : 0;
    return cache_turn_is_copied(&m->node->turn, end) ? 0 : end;
}

/* *a: the memory there is for it, which is taken. */
static bool mail_wait(struct cache_mail *m, const struct mail_to *to, struct mail_answer **a,
                      uint64_t end, uint64_t copy)
{
    if (m->text.len > MAIL_TEXT_SIZE) {
        if (m->answered + m->text.len > MAIL_HELD_MAX)
            return false;
        struct mail_answer *grown = realloc(*a, sizeof **a + m->text.len);
        if (grown == NULL)
            return false;
        *a = grown;
    }
    **a = (struct mail_answer){.wait = {.log_end = end, .copy = copy, .go = mail_go},
                               .mail = m,
                               .to = *to,
                               .len = m->text.len};
    memcpy((*a)->text, m->text.data, m->text.len);
    m->answered += m->text.len;
    cache_turn_answer(&m->node->turn, &(*a)->wait);
    *a = NULL;
    return true;
}

/*
 * Does it, and tells what came of it, now or when the log has it. False, nothing done nor told: need->waits. Memory for
 * what must be said of a write is there before it is done.
 */
static bool mail_try(struct cache_mail *m, const struct mail_to *to, struct slice verb,
                     struct slice said, struct cache_need *need)
{
    struct mail_answer *a = malloc(sizeof *a + MAIL_TEXT_SIZE);
    uint64_t before = cache_access_end(m->node);
    enum control_status status = CONTROL_ERROR;
    need->waits = false;
    if (m->node->member != NULL)
        cache_member_now(m->node->member);
    if (a == NULL)
        m->text.failed = true;
    else if (to->name[0] == '\0')
        status = cache_ask(m->node, verb, said, &m->text, need);
    else if (cache_call(m->node, said, &m->text, need))
        status = CONTROL_OK;
    uint64_t end = cache_access_end(m->node);
    bool done = status == CONTROL_OK && !need->waits, wrote = end != before;
    uint64_t copy = mail_copies(m, done && (wrote || need->leased));
    bool waits = done && ((wrote && m->text.len <= MAIL_TEXT_SIZE) || copy != 0);
    if (!buffer_ok(&m->text) || !buffer_ok(&need->key)) {
        need->waits = false;
        mail_refuse(m, to, "OOM the system has no more memory for this node");
    } else if (waits && !mail_wait(m, to, &a, wrote ? end : 0, copy)) {
        mail_refuse(m, to, "OOM the system has no more memory for this node");
    } else if (!waits && !need->waits) {
        mail_tell_now(m, to, status, status == CONTROL_OK && need->leased);
    }
    free(a);
    buffer_reset(&m->text, MAIL_KEEP_SIZE);
    return !need->waits;
}

/* ---- who waits ---- */

/* An answer has as many bytes as a frame may have: so much room there is then. */
static bool mail_is_unread(const struct cache_mail *m, const struct mail_to *to)
{
    const struct worker_peer *peer = to->name[0] != '\0' ? worker_peer_find(m->w, to->name) : NULL;
    return peer != NULL && worker_queued(m->w, peer) > MAIL_UNREAD;
}

static void mail_on_timer(uv_timer_t *timer);

static void mail_wait_unread(struct mail_held *h)
{
    struct cache_mail *m = h->mail;
    h->unread = true;
    if (!m->timer_open)
        uv_timer_init(m->node->loop, &m->timer);
    m->timer_open = true;
    m->timer.data = m;
    uv_timer_start(&m->timer, mail_on_timer, MAIL_UNREAD_MS, 0);
}

static void mail_held_free(struct mail_held *h)
{
    struct cache_mail_queue *queue = h->queue;
    cache_park_leave(&h->parked);
    *(h->prev != NULL ? &h->prev->next : &queue->first) = h->next;
    *(h->next != NULL ? &h->next->prev : &queue->last) = h->prev;
    h->mail->held -= h->bytes;
    h->mail->held_count--;
    h->mail->node->waiting -= h->bytes;
    buffer_fini(&h->key);
    cache_parts_free(h->parts);
    free(h);
}

static void mail_on_go(struct cache_parked *p, const char *refused);

/* Its time begins, also of one that is behind others. NULL: too many wait, or memory is short. */
static struct mail_held *mail_held_new(struct cache_mail *m, struct cache_mail_queue *queue,
                                       const struct mail_to *to, struct slice verb,
                                       struct slice said)
{
    size_t bytes = sizeof(struct mail_held) + verb.len + said.len;
    bool may = m->held + bytes <= MAIL_HELD_MAX && cache_node_may_wait(m->node, bytes);
    struct mail_held *h = may ? calloc(1, bytes) : NULL;
    if (h == NULL)
        return NULL;
    char *at = (char *)(h + 1);
    memcpy(at, verb.ptr, verb.len);
    memcpy(at + verb.len, said.ptr, said.len);
    h->mail = m;
    h->queue = queue;
    h->to = *to;
    h->verb = slice_make(at, verb.len);
    h->said = slice_make(at + verb.len, said.len);
    h->bytes = bytes;
    h->prev = queue->last;
    *(queue->last != NULL ? &queue->last->next : &queue->first) = h;
    queue->last = h;
    m->held += bytes;
    m->held_count++;
    m->node->waiting += bytes;
    if (m->node->park != NULL)
        cache_park_begin(m->node->park, &h->parked, 0, mail_on_go);
    return h;
}

static void mail_on_parts(void *ctx);

/* For its parts at other nodes. What has none yet looks again at once, and has them then. */
static bool mail_park_away(struct mail_held *h, char why[CACHE_PARK_WHY_SIZE])
{
    struct cache_parts *p = h->parts;
    if (p == NULL) {
        h->parts = cache_parts_new(h->mail->node, h->parked.deadline_ms, mail_on_parts, h);
        snprintf(why, CACHE_PARK_WHY_SIZE, "OOM the system has no more memory for this node");
        return h->parts != NULL && cache_park_pause(&h->parked, 0, why);
    }
    if (p->out_count > 0)
        return true;
    snprintf(why, CACHE_PARK_WHY_SIZE, "%s", p->why);
    return why[0] == '\0' && cache_park_pause(&h->parked, cache_parts_pause(p), why);
}

/* Of what waits in vain. */
static void mail_why(const struct buffer *key, char why[CACHE_PARK_WHY_SIZE])
{
    snprintf(why, CACHE_PARK_WHY_SIZE, "%.*s", (int)key->len, key->data);
}

/* It waits for what *need says; false: `why` it must not. */
static bool mail_park(struct mail_held *h, struct cache_need *need, char why[CACHE_PARK_WHY_SIZE])
{
    buffer_fini(&h->key);
    h->key = need->key;
    h->looked = need->looked;
    need->key = BUFFER_EMPTY;
    if (need->refused) {
        mail_why(&h->key, why);
        return false;
    }
    if (need->what == CACHE_PARKED_AWAY)
        return mail_park_away(h, why);
    if (need->what == CACHE_PARKED_CELL)
        return cache_park_cell(&h->parked, need->cell, why);
    if (need->what == CACHE_PARKED_LOAD)
        return cache_park_load(&h->parked, buffer_slice(&h->key), why);
    if (need->what == CACHE_PARKED_COPY)
        return cache_park_copy(&h->parked, buffer_slice(&h->key), why);
    if (need->what == CACHE_PARKED_STORED)
        return cache_park_stored(&h->parked, buffer_slice(&h->key), why);
    return cache_park_room(&h->parked, why);
}

/* Done, refused, or waiting. True: it is over, and gone. */
static bool mail_held_try(struct mail_held *h)
{
    struct cache_mail *m = h->mail;
    if (mail_is_unread(m, &h->to)) {
        mail_wait_unread(h);
        return false;
    }
    uint64_t now = uv_now(m->node->loop), end = h->parked.deadline_ms;
    struct cache_need need = {
        .stored = h->stored, .parts = h->parts, .left_ms = end > now ? end - now : 0};
    char why[CACHE_PARK_WHY_SIZE];
    if (!mail_try(m, &h->to, h->verb, h->said, &need)) {
        if (mail_park(h, &need, why))
            return false;
        mail_refuse(m, &h->to, why);
    }
    buffer_fini(&need.key);
    mail_held_free(h);
    return true;
}

static bool mail_is_waiting(const struct mail_held *h)
{
    return h->parked.waits || h->unread || (h->parts != NULL && h->parts->out_count > 0);
}

/* Those of one caller are done in their order. What was asked through the master has none: each is a tool's own. */
static void mail_queue_go_on(struct cache_mail_queue *queue)
{
    while (queue->first != NULL && !mail_is_waiting(queue->first) && mail_held_try(queue->first))
        continue;
}

/* Those that waited for their callers look again. */
static void mail_caller_go_on(struct cache_mail_caller *caller)
{
    for (size_t i = 0; i < CACHE_MAIL_LANES; i++) {
        struct mail_held *first = caller->lanes[i].first;
        if (first == NULL || !first->unread)
            continue;
        first->unread = false;
        mail_queue_go_on(&caller->lanes[i]);
    }
}

static void mail_on_timer(uv_timer_t *timer)
{
    struct cache_mail *m = timer->data;
    struct worker_peer *peer = NULL;
    cache_turn_begin(&m->node->turn);
    while ((peer = worker_peer_next(m->w, peer)) != NULL)
        if (peer->user != NULL)
            mail_caller_go_on(peer->user);
}

/* What it waited for has come, or never will: it goes on, and those behind it. */
static void mail_held_go(struct mail_held *h, const char *refused)
{
    struct cache_mail_queue *queue = h->queue;
    bool ordered = queue != &h->mail->asked;
    if (refused != NULL) {
        mail_refuse(h->mail, &h->to, refused);
        mail_held_free(h);
    } else if (!mail_held_try(h)) {
        return;
    }
    if (ordered)
        mail_queue_go_on(queue);
}

static void mail_on_go(struct cache_parked *p, const char *refused)
{
    struct mail_held *h = (struct mail_held *)p;
    if (p->what == CACHE_PARKED_STORED)
        h->stored = h->looked;
    mail_held_go(h, refused);
}

/*
 * It may have waited for something here meanwhile: it looks at all of it again, and waits in one place at a time. Not
 * at once where an owner was not reached, or has sent a part back: it would again, as fast as both can.
 */
static void mail_on_parts(void *ctx)
{
    struct mail_held *h = ctx;
    char why[CACHE_PARK_WHY_SIZE];
    uint64_t pause = cache_parts_pause(h->parts);
    cache_park_leave(&h->parked);
    snprintf(why, sizeof why, "%s", h->parts->why);
    if (why[0] == '\0' && pause > 0 && cache_park_pause(&h->parked, pause, why))
        return;
    mail_held_go(h, why[0] != '\0' ? why : NULL);
}

/* What its turn will need is loaded until then. Without a store all is here: who looks would do it. */
static void mail_look(struct cache_mail *m, const struct mail_to *to, struct slice said)
{
    struct cache_need need = {.looks = true};
    if (to->name[0] != '\0' && m->node->park != NULL)
        cache_call(m->node, said, &m->text, &need);
    buffer_fini(&need.key);
    buffer_reset(&m->text, MAIL_KEEP_SIZE);
}

/* `queue`: its caller's. */
static void mail_do(struct cache_mail *m, struct cache_mail_queue *queue, const struct mail_to *to,
                    struct slice verb, struct slice said)
{
    struct cache_need need = {0};
    char why[CACHE_PARK_WHY_SIZE] = "TRYAGAIN too much that was called for waits already";
    bool behind = queue != &m->asked && queue->first != NULL;
    bool unread = !behind && mail_is_unread(m, to);
    bool waits = behind || unread || !mail_try(m, to, verb, said, &need);
    if (waits && need.refused) { /* a node without store and ring can hold nothing */
        mail_why(&need.key, why);
        mail_refuse(m, to, why);
    } else if (waits) {
        struct mail_held *h = mail_held_new(m, queue, to, verb, said);
        if (h != NULL && unread) {
            mail_wait_unread(h);
        } else if (h == NULL || (!behind && !mail_park(h, &need, why))) {
            mail_refuse(m, to, why);
            if (h != NULL)
                mail_held_free(h);
        } else if (behind) {
            mail_look(m, to, said);
        }
    }
    buffer_fini(&need.key);
}

/* ---- asking ---- */

bool cache_mail_on_message(struct cache_mail *m, struct worker_peer *from, uint64_t type,
                           struct unpack *u)
{
    struct message_call call;
    struct mail_to to = {.generation = from->generation};
    if (type != MESSAGE_CALL || !message_call_unpack(u, &call))
        return false;
    to.id = call.token;
    slice_copy(slice_of(from->name), to.name, sizeof to.name);
    if (from->user == NULL)
        from->user = worker_must_alloc(m->w, sizeof(struct cache_mail_caller));
    struct cache_mail_caller *caller = from->user;
    mail_do(m, &caller->lanes[(call.token >> 32) % CACHE_MAIL_LANES], &to, slice_of(""), call.text);
    return true;
}

static void mail_queue_drop(struct cache_mail_queue *queue)
{
    while (queue->first != NULL)
        mail_held_free(queue->first);
}

void cache_mail_on_down(struct worker_peer *peer)
{
    struct cache_mail_caller *caller = peer->user;
    for (size_t i = 0; caller != NULL && i < CACHE_MAIL_LANES; i++)
        mail_queue_drop(&caller->lanes[i]);
}

void cache_mail_on_request(struct cache_mail *m, const struct link_request *request)
{
    struct mail_to to = {.id = request->id};
    mail_do(m, &m->asked, &to, request->verb, request->args);
}

/* ---- life ---- */

bool cache_mail_is_empty(const struct cache_mail *m)
{
    return m->node->turn.answer_count == 0 && m->held_count == 0;
}

void cache_mail_tick(struct cache_mail *m)
{
    if (m->lost > m->logged)
        log_warn("answers-lost",
                 "count=%" PRIu64
                 " reason=\"their callers do not read what they are sent: let them call for less "
                 "at a time\"",
                 m->lost - m->logged);
    m->logged = m->lost;
}

/* What its callers wait for goes with their peers. */
void cache_mail_fini(struct cache_mail *m)
{
    if (m->timer_open)
        uv_timer_stop(&m->timer);
    mail_queue_drop(&m->asked);
    for (struct worker_peer *peer = NULL; (peer = worker_peer_next(m->w, peer)) != NULL;)
        cache_mail_on_down(peer);
    buffer_fini(&m->text);
}
