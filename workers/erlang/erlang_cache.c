/* erlang_cache.c: see erlang_cache.h. */
#include "workers/erlang/erlang_cache.h"

#include "common/clock.h"
#include "common/json/json_write.h"
#include "common/log.h"
#include "proto/cache/cache_calls.h"
#include "workers/erlang/erlang_answer.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define CACHE_OUT_MAX   1024u               /* calls under way */
#define CACHE_BYTES_MAX ((size_t)32 << 20)  /* of these, and of the answers that gets may have */
#define CACHE_EXPECTED  ((size_t)512 << 10) /* bytes of an answer, at least */
#define CACHE_GRACE_MS  60000u /* the node's own refusal comes first, behind large answers */

enum call_kind { CALL_SET, CALL_GET, CALL_PERSIST };

/* One allocation: the caller's node and pid follow. The text stays only until it is sent. */
struct erlang_call {
    struct erlang_call *next;
    uint64_t token, deadline_ms;
    enum call_kind kind;
    size_t bytes; /* of its text */
    struct buffer text;
    struct erlang_caller caller;
    char names[];
};

/* ---- what is over ---- */

static void call_free(struct erlang_call *call)
{
    buffer_fini(&call->text);
    free(call);
}

static void call_over(struct erlang_cache *c, struct erlang_call *call)
{
    uint32_t lane = call->caller.lane;
    call_free(call);
    c->events->on_over(c->ctx, lane);
}

static void call_drop(struct erlang_cache *c, struct erlang_call *call, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Nobody is told but the log: a client that hears nothing knows that it does not know. */
static void call_drop(struct erlang_cache *c, struct erlang_call *call, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(c->why, sizeof c->why, format, args);
    va_end(args);
    c->dropped++;
    worker_count(c->w, COUNTER_ERLANG_UNANSWERED, 1);
    call_over(c, call);
}

/* ---- lists ---- */

static void wait_add(struct erlang_cache *c, struct erlang_call *call)
{
    *(c->wait_last != NULL ? &c->wait_last->next : &c->waiting) = call;
    c->wait_last = call;
    c->wait_count++;
}

static struct erlang_call *wait_take(struct erlang_cache *c)
{
    struct erlang_call *call = c->waiting;
    c->waiting = call->next;
    if (c->waiting == NULL)
        c->wait_last = NULL;
    call->next = NULL;
    c->wait_count--;
    return call;
}

static void out_add(struct erlang_cache *c, struct erlang_call *call)
{
    *(c->out_last != NULL ? &c->out_last->next : &c->out) = call;
    c->out_last = call;
    c->out_count++;
    c->out_bytes += call->bytes;
    c->gets += call->kind == CALL_GET;
}

/* Takes the first that has this token, or, with 0, whose time is over; NULL: there is none. */
static struct erlang_call *out_take(struct erlang_cache *c, uint64_t token, uint64_t now_ms)
{
    struct erlang_call *before = NULL, *call = c->out;
    while (call != NULL && (token != 0 ? call->token != token : call->deadline_ms > now_ms)) {
        before = call;
        call = call->next;
    }
    if (call == NULL)
        return NULL;
    *(before != NULL ? &before->next : &c->out) = call->next;
    if (c->out_last == call)
        c->out_last = before;
    call->next = NULL;
    c->out_count--;
    c->out_bytes -= call->bytes;
    c->gets -= call->kind == CALL_GET;
    return call;
}

/* ---- sending ---- */

/* The node loses answers that we do not read in time: so no more is asked for than its queue for us holds. */
static bool cache_has_room(const struct erlang_cache *c, const struct erlang_call *call)
{
    if (c->out_count == 0)
        return true;
    return c->out_count < CACHE_OUT_MAX && c->out_bytes + call->bytes <= CACHE_BYTES_MAX &&
           (call->kind != CALL_GET || (c->gets + 1) * c->expected <= CACHE_BYTES_MAX);
}

static void cache_send(struct erlang_cache *c, struct erlang_call *call)
{
    struct message_call message = {.token = call->token, .text = buffer_slice(&call->text)};
    struct buffer *composed = worker_compose(c->w);
    message_call_pack(composed, &message);
    int rc = worker_send(c->w, c->node, composed);
    if (rc == -EMSGSIZE) {
        call_drop(c, call, "its value is longer than a call may be (%u bytes as JSON)",
                  MESSAGE_FRAME_MAX);
    } else if (rc != 0) {
        call_drop(c, call, "%s cannot be called: %s", c->node->name, uv_strerror(rc));
    } else {
        buffer_fini(&call->text);
        call->deadline_ms = clock_mono_ms() + c->timeout_ms + CACHE_GRACE_MS;
        out_add(c, call);
    }
}

static void cache_pump(struct erlang_cache *c)
{
    while (c->node != NULL && c->waiting != NULL && cache_has_room(c, c->waiting))
        cache_send(c, wait_take(c));
}

bool erlang_cache_is_full(const struct erlang_cache *c)
{
    return c->waiting != NULL;
}

/* Its caller's names are copied; its text is begun. */
static struct erlang_call *call_new(struct erlang_cache *c, enum call_kind kind,
                                    const struct erlang_caller *caller)
{
    size_t names = caller->node.len + caller->pid.len;
    struct erlang_call *call = worker_must_alloc(c->w, sizeof *call + names);
    memcpy(call->names, caller->node.ptr, caller->node.len);
    memcpy(call->names + caller->node.len, caller->pid.ptr, caller->pid.len);
    call->kind = kind;
    /* The lane is the token's upper half: the node does what one of them calls for in order (CACHE.md, Calls). */
    call->token = (uint64_t)caller->lane << 32 | (++c->last_token & 0xffffffff);
    call->deadline_ms = clock_mono_ms() + c->timeout_ms;
    call->caller.lane = caller->lane;
    call->caller.node = slice_make(call->names, caller->node.len);
    call->caller.pid = slice_make(call->names + caller->node.len, caller->pid.len);
    return call;
}

static void call_put_key(struct erlang_call *call, const char *head, struct slice id)
{
    struct buffer key = BUFFER_EMPTY;
    erlang_key_from_term(id, &key);
    buffer_append_text(&call->text, head);
    json_write_bytes(&call->text, buffer_slice(&key));
    call->text.failed |= !buffer_ok(&key);
    buffer_fini(&key);
}

static void cache_begin(struct erlang_cache *c, struct erlang_call *call)
{
    uint64_t now = clock_mono_ms();
    if (!buffer_ok(&call->text))
        worker_exit_for(c->w, ENOMEM, NULL, "cannot call for an object");
    call->bytes = call->text.len;
    if (c->node == NULL && now - c->down_ms > c->timeout_ms) {
        call_drop(c, call, "no node of cache/%s is up", c->title);
        return;
    }
    wait_add(c, call);
    cache_pump(c);
}

void erlang_cache_set(struct erlang_cache *c, const struct erlang_caller *caller, struct slice id,
                      struct slice value)
{
    struct erlang_call *call = call_new(c, CALL_SET, caller);
    struct buffer bytes = BUFFER_EMPTY;
    enum erlang_form form;
    erlang_value_from_term(value, &form, &bytes);
    call_put_key(call, "{\"set\":", id);
    buffer_append_text(&call->text, ",\"value\":");
    json_write_bytes(&call->text, buffer_slice(&bytes));
    if (form != ERLANG_FORM_BYTES)
        buffer_printf(&call->text, ",\"form\":\"%s\"", erlang_form_name(form));
    buffer_append_char(&call->text, '}');
    call->text.failed |= !buffer_ok(&bytes);
    buffer_fini(&bytes);
    cache_begin(c, call);
}

void erlang_cache_get(struct erlang_cache *c, const struct erlang_caller *caller, struct slice id,
                      bool strong)
{
    struct erlang_call *call = call_new(c, CALL_GET, caller);
    call_put_key(call, "{\"get\":", id);
    buffer_append_text(&call->text, strong ? ",\"consistency\":true}" : ",\"consistency\":false}");
    cache_begin(c, call);
}

void erlang_cache_persist(struct erlang_cache *c, const struct erlang_caller *caller,
                          struct slice id)
{
    struct erlang_call *call = call_new(c, CALL_PERSIST, caller);
    call_put_key(call, "{\"dump\":", id);
    buffer_append_char(&call->text, '}');
    cache_begin(c, call);
}

/* ---- answers ---- */

static void answer_take(struct erlang_cache *c, struct erlang_call *call, struct slice text)
{
    struct buffer room = BUFFER_EMPTY;
    enum erlang_form form;
    struct slice value;
    bool found, good = erlang_answer_read(text, &room, &found, &value, &form);
    if (good)
        c->events->on_got(c->ctx, &call->caller, found, value, form);
    buffer_fini(&room);
    if (good)
        call_over(c, call);
    else
        call_drop(c, call, "its answer cannot be read, or memory is short");
}

/* The largest of late: it falls slowly, and objects of one kind come together. */
static void answer_expect(struct erlang_cache *c, size_t len)
{
    size_t less = c->expected - c->expected / 64;
    c->expected = len > less ? len : less;
    if (c->expected < CACHE_EXPECTED)
        c->expected = CACHE_EXPECTED;
}

bool erlang_cache_on_message(struct erlang_cache *c, struct worker_peer *from, uint64_t type,
                             struct unpack *u)
{
    struct message_answer m;
    if (type != MESSAGE_ANSWER || !message_answer_unpack(u, &m))
        return false;
    struct erlang_call *call = from == c->node ? out_take(c, m.token, 0) : NULL;
    if (call == NULL)
        return true; /* its time was over */
    if (call->kind == CALL_GET)
        answer_expect(c, m.text.len);
    if (m.failed)
        call_drop(c, call, "%.*s", (int)(m.text.len < 200 ? m.text.len : 200), m.text.ptr);
    else if (call->kind == CALL_GET)
        answer_take(c, call, m.text);
    else
        call_over(c, call);
    cache_pump(c);
    return true;
}

/* ---- nodes ---- */

/* Its number; 0: it is no node of ours. */
static unsigned cache_number(const struct erlang_cache *c, const struct worker_peer *peer)
{
    char name[CONTRACT_NAME_MAX];
    const char *dot = strrchr(peer->name, '.');
    unsigned long number = dot != NULL ? strtoul(dot + 1, NULL, 10) : 0;
    if (number == 0 || number > CACHE_CALLS_NODES_MAX)
        return 0;
    snprintf(name, sizeof name, CACHE_CALLS_NODE, c->title, (unsigned)number);
    return strcmp(name, peer->name) == 0 ? (unsigned)number : 0;
}

void erlang_cache_on_up(struct erlang_cache *c, struct worker_peer *peer)
{
    if (cache_number(c, peer) == 0)
        return;
    if (c->node == NULL)
        c->node = peer;
    cache_pump(c);
}

/* Another one that is up. */
static struct worker_peer *cache_other(struct erlang_cache *c, const struct worker_peer *gone)
{
    struct worker_peer *peer = worker_peer_next(c->w, NULL);
    while (peer != NULL && (peer == gone || cache_number(c, peer) == 0))
        peer = worker_peer_next(c->w, peer);
    return peer;
}

void erlang_cache_on_down(struct erlang_cache *c, struct worker_peer *peer)
{
    struct erlang_call *call;
    if (peer != c->node)
        return;
    c->node = NULL;
    while ((call = out_take(c, 0, UINT64_MAX)) != NULL)
        call_drop(c, call, "%s died, and it may have been done or not", peer->name);
    c->node = cache_other(c, peer);
    c->down_ms = clock_mono_ms();
    cache_pump(c);
}

/* ---- life ---- */

void erlang_cache_open(struct erlang_cache *c, struct worker *w, const char *title,
                       const struct erlang_cache_events *events, void *ctx)
{
    *c = (struct erlang_cache){.w = w,
                               .title = title,
                               .events = events,
                               .ctx = ctx,
                               .timeout_ms = worker_setting_u64(w, "cache.timeout"),
                               .expected = CACHE_EXPECTED,
                               .down_ms = clock_mono_ms()};
}

/* How many there are changes without us (nodes is LIVE): those that are not there are told of when they are. */
void erlang_cache_start(struct erlang_cache *c)
{
    char name[CONTRACT_NAME_MAX];
    for (unsigned i = 1; i <= CACHE_CALLS_NODES_MAX; i++) {
        snprintf(name, sizeof name, CACHE_CALLS_NODE, c->title, i);
        worker_monitor(c->w, slice_of(name));
    }
}

void erlang_cache_tick(struct erlang_cache *c)
{
    struct erlang_call *call;
    uint64_t now = clock_mono_ms();
    while ((call = out_take(c, 0, now)) != NULL)
        call_drop(c, call, "the node has not answered");
    while (c->node == NULL && c->waiting != NULL && c->waiting->deadline_ms <= now)
        call_drop(c, wait_take(c), "no node of cache/%s is up", c->title);
    cache_pump(c);
    if (c->dropped > 0)
        log_warn("unanswered", "count=%" PRIu64 " last=%s", c->dropped, log_quote_text(c->why));
    c->dropped = 0;
}

const char *erlang_cache_trouble(const struct erlang_cache *c)
{
    if (c->node != NULL || clock_mono_ms() - c->down_ms <= c->timeout_ms)
        return NULL;
    return "no node of its cache is up, so nobody is answered: see platoonctl status";
}

void erlang_cache_fini(struct erlang_cache *c)
{
    while (c->waiting != NULL)
        call_free(wait_take(c));
    for (struct erlang_call *call; (call = out_take(c, 0, UINT64_MAX)) != NULL;)
        call_free(call);
}
