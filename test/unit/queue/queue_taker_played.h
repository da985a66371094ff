/*
 * queue_taker_played.h: the skeleton, the queue workers and the consumer around queue_taker.h, played.
 *
 * Included by test_queue_taker.c only. What is said to queue workers is kept as text, "NAME: what", line by line; so
 * is what the consumer is told.
 */
#ifndef TEST_UNIT_QUEUE_TAKER_PLAYED_H
#define TEST_UNIT_QUEUE_TAKER_PLAYED_H

#include "common/pack.h"
#include "test/unit/suite.h"
#include "workers/queue/queue_listener.h"
#include "workers/queue/queue_taker.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

#define SAID_SIZE 4096

static struct {
    const char *const *settings; /* name, value, ..., NULL */
    struct worker_peer peers[3];
    size_t peer_count;
    char monitored[512];
    char said[SAID_SIZE]; /* to queue workers */
    char seen[SAID_SIZE]; /* by the consumer */
    struct buffer composed;
    struct queue_taker *c;
    const char *settle; /* what on_task settles by itself */
    bool settle_all;
    unsigned depth, depth_max; /* of on_task in on_task */
} t;

static void note(char *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void note(char *text, const char *format, ...)
{
    size_t used = strlen(text);
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text + used, SAID_SIZE - used, format, args);
    va_end(args);
    ck_assert_uint_lt(used + (size_t)len, SAID_SIZE);
}

/* ---- the skeleton ---- */

const char *worker_setting(const struct worker *w, const char *name)
{
    (void)w;
    for (size_t i = 0; t.settings[i] != NULL; i += 2)
        if (strcmp(t.settings[i], name) == 0)
            return t.settings[i + 1];
    return NULL;
}

uint64_t worker_setting_u64(const struct worker *w, const char *name)
{
    const char *value = worker_setting(w, name);
    ck_assert_msg(value != NULL, "%s", name);
    return (uint64_t)atoll(value);
}

const char *worker_setting_item(const struct worker *w, const char *list, size_t i,
                                const char *what)
{
    char name[CONTRACT_ITEM_SIZE];
    snprintf(name, sizeof name, CONTRACT_ITEM, list, i, what);
    return worker_setting(w, name);
}

uint64_t worker_setting_item_u64(const struct worker *w, const char *list, size_t i,
                                 const char *what)
{
    char name[CONTRACT_ITEM_SIZE];
    snprintf(name, sizeof name, CONTRACT_ITEM, list, i, what);
    return worker_setting_u64(w, name);
}

void worker_monitor(struct worker *w, struct slice name)
{
    (void)w;
    ck_assert_uint_lt(strlen(t.monitored) + name.len + 2, sizeof t.monitored);
    strncat(t.monitored, name.ptr, name.len);
    strcat(t.monitored, " ");
}

struct worker_peer *worker_peer_find(struct worker *w, const char *name)
{
    (void)w;
    for (size_t i = 0; i < t.peer_count; i++)
        if (strcmp(t.peers[i].name, name) == 0)
            return &t.peers[i];
    return NULL;
}

struct buffer *worker_compose(struct worker *w)
{
    (void)w;
    buffer_clear(&t.composed);
    return &t.composed;
}

static void say_held(const struct worker_peer *to, struct slice receipts)
{
    struct unpack u = unpack_start(receipts);
    uint32_t count = unpack_array(&u);
    note(t.said, "%s: held", to->name);
    while (count-- > 0) {
        struct slice receipt = unpack_str(&u);
        note(t.said, " %.*s", (int)receipt.len, receipt.ptr);
    }
    ck_assert(unpack_end(&u));
    note(t.said, "\n");
}

static void say_listen(const struct worker_peer *to, struct slice globs)
{
    struct unpack u = unpack_start(globs);
    uint32_t count = unpack_array(&u);
    note(t.said, "%s: listen", to->name);
    while (count-- > 0) {
        struct slice glob = unpack_str(&u);
        note(t.said, " %.*s", (int)glob.len, glob.ptr);
    }
    ck_assert(unpack_end(&u));
    note(t.said, "\n");
}

void worker_count(struct worker *w, enum counter counter, uint64_t more)
{
    (void)w;
    ck_assert_int_eq(counter, COUNTER_QUEUE_UNHEARD);
    note(t.seen, "unheard %" PRIu64 "\n", more);
}

/* The four that a consumer says: each is read as what it is, and nothing else. */
void worker_must_send(struct worker *w, struct worker_peer *to, const struct buffer *message)
{
    struct message_take take;
    struct message_settle settle;
    struct message_held held;
    struct message_begun begun;
    struct message_listen listen;
    struct unpack u = unpack_start(buffer_slice(message));
    (void)w;
    ck_assert(buffer_ok(message));
    if (message_take_unpack(&u, &take)) {
        note(t.said, "%s: take %" PRIu64 "\n", to->name, take.total);
        return;
    }
    u = unpack_start(buffer_slice(message));
    if (message_settle_unpack(&u, &settle)) {
        note(t.said, "%s: settle %.*s.%" PRIu64 " %" PRIu64 " %" PRId64 " '%.*s'\n", to->name,
             (int)settle.id.len, settle.id.ptr, settle.attempt, settle.outcome, settle.after_ms,
             (int)settle.reason.len, settle.reason.ptr);
        return;
    }
    u = unpack_start(buffer_slice(message));
    if (message_held_unpack(&u, &held)) {
        say_held(to, held.receipts);
        return;
    }
    u = unpack_start(buffer_slice(message));
    if (message_begun_unpack(&u, &begun)) {
        note(t.said, "%s: begun %.*s.%" PRIu64 "\n", to->name, (int)begun.id.len, begun.id.ptr,
             begun.attempt);
        return;
    }
    u = unpack_start(buffer_slice(message));
    ck_assert(message_listen_unpack(&u, &listen));
    say_listen(to, listen.globs);
}

void *worker_must_alloc(struct worker *w, size_t size)
{
    (void)w;
    void *p = calloc(1, size);
    ck_assert_ptr_nonnull(p);
    return p;
}

_Noreturn void worker_exit_for(struct worker *w, int error, const char *path, const char *format,
                               ...)
{
    (void)w;
    (void)path;
    ck_abort_msg("%s: error %d", format, error);
    abort();
}

/* ---- the consumer ---- */

static void on_task(struct worker *w, const struct worker_task *task)
{
    ck_assert_ptr_null(w);
    note(t.seen, "%s %" PRIu64 " %.*s %.*s\n", task->id, task->attempt, (int)task->facet.len,
         task->facet.ptr, (int)task->body.len, task->body.ptr);
    t.depth++;
    t.depth_max = t.depth > t.depth_max ? t.depth : t.depth_max;
    if (t.settle_all || (t.settle != NULL && strcmp(task->id, t.settle) == 0))
        ck_assert(queue_taker_settle(t.c, task->id, WORKER_TASK_DONE, 0, ""));
    t.depth--;
}

static void on_lost(struct worker *w, const struct worker_task *task)
{
    ck_assert_ptr_null(w);
    note(t.seen, "lost %s\n", task->id);
}

static const struct worker_task_events events = {
    .takes = true, .on_task = on_task, .on_lost = on_lost};

static void take_from(const char *const *settings)
{
    t.settings = settings;
    ck_assert_int_eq(queue_taker_open(NULL, &events, &t.c), 0);
}

/* A queue worker is there, or another incarnation of it. */
static struct worker_peer *up(const char *name)
{
    struct worker_peer *peer = worker_peer_find(NULL, name);
    if (peer == NULL) {
        ck_assert_uint_lt(t.peer_count, 3);
        peer = &t.peers[t.peer_count++];
        snprintf(peer->name, sizeof peer->name, "%s", name);
    }
    queue_taker_up(t.c, peer);
    return peer;
}

static bool hear(struct worker_peer *from, uint64_t type, const struct buffer *message)
{
    struct unpack u = unpack_start(buffer_slice(message));
    return queue_taker_message(t.c, from, type, &u);
}

static void task(struct worker_peer *from, const char *id, uint64_t attempt, bool alone)
{
    struct buffer message = BUFFER_EMPTY;
    message_task_pack(&message, &(struct message_task){.id = slice_of(id),
                                                       .attempt = attempt,
                                                       .facet = slice_of("f"),
                                                       .at_ms = 5,
                                                       .alone = alone,
                                                       .body = slice_of("body")});
    ck_assert(hear(from, MESSAGE_TASK, &message));
    buffer_fini(&message);
}

static void lost(struct worker_peer *from, const char *id, uint64_t attempt)
{
    struct buffer message = BUFFER_EMPTY;
    message_lost_pack(&message, &(struct message_lost){.id = slice_of(id), .attempt = attempt});
    ck_assert(hear(from, MESSAGE_LOST, &message));
    buffer_fini(&message);
}

static bool settle(const char *id)
{
    return queue_taker_settle(t.c, id, WORKER_TASK_DONE, 0, "");
}

static void said(const char *text)
{
    ck_assert_str_eq(t.said, text);
    t.said[0] = '\0';
}

static void seen(const char *text)
{
    ck_assert_str_eq(t.seen, text);
    t.seen[0] = '\0';
}

static void finish(void)
{
    queue_taker_free(t.c);
    buffer_fini(&t.composed);
}

#define QUEUE(n, title, times, count)                                                              \
    "takes." n ".name", title, "takes." n ".path", "queue/shop/" title, "takes." n ".weight",      \
        times, "takes." n ".workers", count
#define Q "queue/shop/q.1"

static const char *const one[] = {"takes.window", "2", QUEUE("0", "q", "1", "1"), NULL};
static const char *const two[] = {"takes.window", "6", QUEUE("0", "a", "2", "1"),
                                  QUEUE("1", "b", "1", "2"), NULL};

#endif
