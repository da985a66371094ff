/*
 * test_worker_hands.c: tasks as a worker type has them (worker.h, Tasks): what it is told, what becomes of what it
 * says, and how its end waits for that (worker_hands.c, worker_life.c). Who hands the tasks out is played.
 */
#include "common/buffer.h"
#include "test/unit/suite.h"
#include "workers/skeleton/worker_private.h"

#include <errno.h>

struct worker_takes {
    struct worker *w;
    struct worker_task_events events;
    bool owes;
    bool swallows;
    int settles; /* what it answers */
    char said[512];
};

static struct worker w;
static struct worker_takes played;
static char told[512];
static bool no_memory;

static void add(char *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(char *text, const char *format, ...)
{
    size_t used = strlen(text);
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text + used, 512 - used, format, args);
    va_end(args);
    ck_assert_uint_lt(used + (size_t)len, 512);
}

/* ---- who hands tasks out ---- */

static struct worker_takes *played_open(struct worker *worker,
                                        const struct worker_task_events *events)
{
    if (no_memory)
        return NULL;
    played.w = worker;
    played.events = *events;
    return &played;
}

static void played_close(struct worker_takes *t)
{
    add(t->said, "close ");
}

static void played_up(struct worker_takes *t, struct worker_peer *peer)
{
    add(t->said, "up(%s) ", peer->name);
}

static bool played_down(struct worker_takes *t, const struct worker_peer *peer, struct slice reason)
{
    add(t->said, "down(%s:%.*s) ", peer->name, (int)reason.len, reason.ptr);
    return t->swallows;
}

static bool played_message(struct worker_takes *t, struct worker_peer *from, uint64_t type,
                           struct unpack *u)
{
    struct message_answer m;
    (void)from;
    if (type != MESSAGE_ANSWER || !message_answer_unpack(u, &m))
        return false;
    add(t->said, "message(%u) ", (unsigned)m.token);
    t->owes = false;
    return true;
}

static void played_tick(struct worker_takes *t)
{
    add(t->said, "tick ");
}

static void played_stop(struct worker_takes *t)
{
    add(t->said, "stop ");
}

static bool played_owes(const struct worker_takes *t)
{
    return t->owes;
}

static bool played_settle(struct worker_takes *t, const char *id, enum worker_task_end end,
                          int64_t after_ms, const char *reason)
{
    add(t->said, "%s:%d:%d:%s ", id, (int)end, (int)after_ms, reason);
    return t->settles;
}

static int played_deliver(struct worker_takes *t, const struct worker_delivery *d, uint64_t *token)
{
    add(t->said, "deliver(%.*s) ", (int)d->body.len, d->body.ptr);
    *token = 9;
    return 0;
}

static const struct worker_tasks tasks = {.open = played_open,
                                          .close = played_close,
                                          .up = played_up,
                                          .down = played_down,
                                          .message = played_message,
                                          .tick = played_tick,
                                          .stop = played_stop,
                                          .owes = played_owes,
                                          .settle = played_settle,
                                          .deliver = played_deliver};

/* ---- the type ---- */

static void on_task(struct worker *worker, void *state, const struct worker_task *task)
{
    ck_assert(worker == &w && state == &told);
    add(told, "task(%s) ", task->id);
    ck_assert(worker_task_done(worker, task->id));
}

static void on_lost(struct worker *worker, void *state, const struct worker_task *task)
{
    ck_assert(worker == &w && state == &told);
    add(told, "lost(%s) ", task->id);
}

static void on_delivered(struct worker *worker, void *state, const struct worker_delivered *d)
{
    ck_assert(worker == &w && state == &told);
    add(told, "delivered(%u) ", (unsigned)d->token);
}

static bool on_published(struct worker *worker, void *state, struct slice topic, struct slice body)
{
    ck_assert(worker == &w && state == &told);
    add(told, "published(%.*s:%.*s) ", (int)topic.len, topic.ptr, (int)body.len, body.ptr);
    return topic.len < 3;
}

static bool on_message(struct worker *worker, void *state, struct worker_peer *from, uint64_t type,
                       struct unpack *u)
{
    struct message_call m;
    (void)worker;
    (void)state;
    (void)from;
    if (type != MESSAGE_CALL || !message_call_unpack(u, &m))
        return false;
    add(told, "call(%u) ", (unsigned)m.token);
    return true;
}

static void on_up(struct worker *worker, void *state, struct worker_peer *peer)
{
    (void)worker;
    (void)state;
    add(told, "up(%s) ", peer->name);
}

static void on_down(struct worker *worker, void *state, struct worker_peer *peer,
                    struct slice reason)
{
    (void)worker;
    (void)state;
    (void)reason;
    add(told, "down(%s) ", peer->name);
}

static void drain(struct worker *worker, void *state)
{
    (void)state;
    add(told, "drain ");
    worker_finished(worker);
}

static const struct worker_ops ops = {.type = "test",
                                      .tasks = &tasks,
                                      .on_task = on_task,
                                      .on_lost = on_lost,
                                      .on_delivered = on_delivered,
                                      .on_published = on_published,
                                      .on_message = on_message,
                                      .on_up = on_up,
                                      .on_down = on_down,
                                      .drain = drain};

/* Delivers, and takes nothing. */
static const struct worker_ops giver = {.type = "giver", .tasks = &tasks};
static const struct worker_ops neither = {.type = "neither"};

/* ---- around it ---- */

static void set_up(void)
{
    memset(&w, 0, sizeof w);
    memset(&played, 0, sizeof played);
    told[0] = '\0';
    no_memory = false;
    played.settles = 1;
    strcpy(w.name, "me.1");
    w.ops = &ops;
    w.state = &told;
    w.phase = WORKER_READY;
    w.initialised = true;
    ck_assert_int_eq(uv_loop_init(&w.loop), 0);
    ck_assert_int_eq(uv_timer_init(&w.loop, &w.end_timer), 0);
    w.end_timer.data = &w;
}

static void tear_down(void)
{
    worker_peers_fini(&w);
    uv_close((uv_handle_t *)&w.end_timer, NULL);
    while (uv_run(&w.loop, UV_RUN_DEFAULT) != 0 || uv_loop_alive(&w.loop)) /* it was stopped */
        continue;
    ck_assert_int_eq(uv_loop_close(&w.loop), 0);
}

static void up(const char *name)
{
    worker_peers_up(
        &w, &(struct link_up){.name = slice_of(name), .type = slice_of("t"), .generation = 1}, 0);
}

static void down(const char *name, const char *reason)
{
    worker_peers_down(&w, &(struct link_down){
                              .name = slice_of(name), .generation = 1, .reason = slice_of(reason)});
}

/* A CALL and then an ANSWER, in one frame. */
static void frame(uint64_t number, unsigned call, unsigned answer)
{
    struct buffer b = BUFFER_EMPTY;
    message_envelope_pack(
        &b, &(struct message_envelope){.sender = slice_of("q"), .generation = 1, .number = number});
    message_call_pack(&b, &(struct message_call){.token = call});
    message_answer_pack(&b, &(struct message_answer){.token = answer, .text = slice_of("1")});
    worker_peers_frame(&w, buffer_slice(&b));
    buffer_fini(&b);
}

static void said(const char *text)
{
    ck_assert_str_eq(played.said, text);
    played.said[0] = '\0';
}

static void heard(const char *text)
{
    ck_assert_str_eq(told, text);
    told[0] = '\0';
}

START_TEST(test_what_the_type_is_told)
{
    const struct worker_task task = {.id = "q/1"};
    worker_hands_open(&w);
    ck_assert(played.events.takes);
    played.events.on_task(&w, &task);
    heard("task(q/1) ");
    said("q/1:0:0: ");
    played.events.on_lost(&w, &task);
    played.events.on_delivered(&w, &(struct worker_delivered){.token = 7});
    heard("lost(q/1) delivered(7) ");
    ck_assert(played.events.listens);
    ck_assert(played.events.on_published(&w, slice_of("t"), slice_of("b")));
    ck_assert(!played.events.on_published(&w, slice_of("topic"), slice_of("b")));
    heard("published(t:b) published(topic:b) ");
    worker_hands_close(&w);
    said("close ");
    ck_assert_ptr_null(w.takes);
}
END_TEST

START_TEST(test_what_the_type_says)
{
    uint64_t token = 0;
    worker_hands_open(&w);
    ck_assert(worker_task_again(&w, "q/1", 5, "why") && worker_task_again(&w, "q/1", -7, NULL));
    ck_assert(worker_task_bury(&w, "q/2", "no"));
    said("q/1:1:5:why q/1:1:-1: q/2:2:0:no ");
    played.settles = 0;
    ck_assert(!worker_task_done(&w, "q/3"));
    said("q/3:0:0: ");
    ck_assert_int_eq(worker_deliver(&w, &(struct worker_delivery){.body = slice_of("b")}, &token),
                     0);
    ck_assert_uint_eq(token, 9);
    said("deliver(b) ");
}
END_TEST

START_TEST(test_a_type_without_those_callbacks)
{
    w.ops = &giver;
    worker_hands_open(&w);
    ck_assert(!played.events.takes && !played.events.listens);
    played.events.on_lost(&w, &(struct worker_task){.id = "q/1"});
    played.events.on_delivered(&w, &(struct worker_delivered){.token = 7});
    heard("");
}
END_TEST

START_TEST(test_a_type_without_tasks)
{
    uint64_t token;
    w.ops = &neither;
    worker_hands_open(&w);
    ck_assert_ptr_null(w.takes);
    ck_assert(!worker_task_done(&w, "q/1"));
    ck_assert_int_eq(worker_deliver(&w, &(struct worker_delivery){.after_ms = 0}, &token), -EINVAL);
    up("q");
    frame(0, 1, 2);
    down("q", "gone");
    worker_hands_tick(&w);
    w.phase = WORKER_DRAINING;
    worker_finished(&w);
    ck_assert_int_eq(w.phase, WORKER_ENDING);
    said("");
}
END_TEST

/* What is not theirs the type hears, and of their own questions it hears no answer. */
START_TEST(test_messages_and_peers)
{
    worker_hands_open(&w);
    up("q");
    frame(0, 5, 6);
    heard("up(q) call(5) ");
    said("up(q) message(6) ");
    down("q", "gone");
    heard("down(q) ");
    said("down(q:gone) ");
    down("nobody", "unknown name");
    heard("down(nobody) ");
    played.swallows = true;
    down("nobody", "unknown name");
    heard("");
    worker_hands_tick(&w);
    said("down(nobody:unknown name) down(nobody:unknown name) tick ");
}
END_TEST

START_TEST(test_its_end_waits_until_what_it_settled_is_heard)
{
    worker_hands_open(&w);
    up("q");
    told[0] = played.said[0] = '\0';
    played.owes = true;
    worker_stop(&w, 60000, "asked to");
    heard("drain ");
    said("stop ");
    ck_assert_int_eq(w.phase, WORKER_SETTLING);
    up("other"); /* the type is not called any more */
    down("other", "gone");
    played.events.on_lost(&w, &(struct worker_task){.id = "q/1"});
    heard("");
    frame(0, 5, 6);
    heard("");
    ck_assert_int_eq(w.phase, WORKER_ENDING);
    uv_timer_stop(&w.end_timer);
}
END_TEST

START_TEST(test_its_end_waits_for_nobody_for_ever)
{
    worker_hands_open(&w);
    played.owes = true;
    worker_stop(&w, 60000, "asked to");
    worker_hands_tick(&w);
    worker_hands_tick(&w);
    ck_assert_int_eq(w.phase, WORKER_SETTLING);
    worker_finished(&w); /* twice is once */
    worker_stop(&w, 50000, "again");
    heard("drain ");
    worker_hands_tick(&w);
    ck_assert_int_eq(w.phase, WORKER_ENDING);
    uv_timer_stop(&w.end_timer);
}
END_TEST

SUITE_MAIN_WITH("worker_hands", set_up, tear_down, test_what_the_type_is_told,
                test_what_the_type_says, test_a_type_without_those_callbacks,
                test_a_type_without_tasks, test_messages_and_peers,
                test_its_end_waits_until_what_it_settled_is_heard,
                test_its_end_waits_for_nobody_for_ever)
