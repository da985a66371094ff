/*
 * test_queue_taker.c: a consumer's side of queues (workers/queue/queue_taker.h): what it asks for, what it is told
 * of, what it says to a queue worker, and to the successor of one that died.
 *
 * The skeleton and the queue workers are played (queue_taker_played.h).
 */
#include "test/unit/queue/queue_taker_played.h"

START_TEST(test_nobody_takes)
{
    static const char *const none[] = {NULL};
    struct unpack u = unpack_start(slice_of(""));
    struct worker_peer peer = {.name = "x"};
    take_from(none);
    ck_assert_ptr_null(t.c);
    queue_taker_up(NULL, &peer);
    queue_taker_down(NULL, &peer);
    queue_taker_stop(NULL);
    ck_assert(!queue_taker_message(NULL, &peer, MESSAGE_TASK, &u));
    ck_assert(!settle("q/1"));
    finish();
}
END_TEST

START_TEST(test_whom_it_monitors)
{
    take_from(two);
    ck_assert_str_eq(t.monitored, "queue/shop/a.1 queue/shop/b.1 queue/shop/b.2 ");
    up("queue/shop/other.1");
    said("");
    finish();
}
END_TEST

START_TEST(test_a_task_is_done)
{
    take_from(one);
    struct worker_peer *q = up(Q);
    said(Q ": take 2\n");
    task(q, "7", 1, false);
    seen("q/7 1 f body\n");
    said("");
    ck_assert(!settle("q/8") && settle("q/7"));
    said(Q ": settle 7.1 0 0 ''\n" Q ": take 3\n");
    ck_assert(!settle("q/7"));
    lost(q, "7", 1); /* Redis has heard */
    seen("");
    said("");
    finish();
}
END_TEST

START_TEST(test_again_and_bury)
{
    char reason[300];
    memset(reason, 'x', sizeof reason - 1);
    reason[sizeof reason - 1] = '\0';
    take_from(one);
    struct worker_peer *q = up(Q);
    task(q, "1", 3, false);
    task(q, "2", 1, false);
    t.said[0] = '\0';
    ck_assert(queue_taker_settle(t.c, "q/1", WORKER_TASK_AGAIN, -1, "why"));
    said(Q ": settle 1.3 1 -1 'why'\n" Q ": take 3\n");
    ck_assert(queue_taker_settle(t.c, "q/2", WORKER_TASK_BURY, 0, reason));
    reason[200] = '\0';
    char text[400];
    snprintf(text, sizeof text, Q ": settle 2.1 2 0 '%s'\n" Q ": take 4\n", reason);
    said(text);
    finish();
}
END_TEST

/* A consumer that is done before it returns. */
START_TEST(test_settled_while_it_is_told)
{
    t.settle = "q/1";
    take_from(one);
    struct worker_peer *q = up(Q);
    task(q, "1", 1, false);
    seen("q/1 1 f body\n");
    said(Q ": take 2\n" Q ": settle 1.1 0 0 ''\n" Q ": take 3\n");
    finish();
}
END_TEST

START_TEST(test_the_window_is_of_all_queues)
{
    take_from((const char *const[]){"takes.window", "1", QUEUE("0", "a", "1", "1"),
                                    QUEUE("1", "b", "1", "1"), NULL});
    struct worker_peer *a = up("queue/shop/a.1"), *b = up("queue/shop/b.1");
    task(a, "1", 1, false);
    task(b, "2", 1, false);
    seen("a/1 1 f body\n");
    ck_assert(!settle("b/2")); /* it was not told of it */
    ck_assert(settle("a/1"));
    seen("b/2 1 f body\n");
    finish();
}
END_TEST

/* Of those that wait here a queue of weight 2 gets two for one of the other's. */
START_TEST(test_weights)
{
    take_from((const char *const[]){"takes.window", "1", QUEUE("0", "a", "2", "1"),
                                    QUEUE("1", "b", "1", "1"), NULL});
    struct worker_peer *a = up("queue/shop/a.1"), *b = up("queue/shop/b.1");
    char order[16] = "", id[8];
    task(a, "0", 1, false);
    for (int i = 1; i <= 6; i++) {
        snprintf(id, sizeof id, "%d", i);
        task(a, id, 1, false);
        task(b, id, 1, false);
    }
    for (int i = 0; i < 10; i++) {
        char name[32];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(t.seen, " "), t.seen);
        order[i] = name[0];
        t.seen[0] = '\0';
        ck_assert(settle(name));
    }
    ck_assert_str_eq(order + 1, "abaabaaba");
    finish();
}
END_TEST

START_TEST(test_one_that_must_be_alone)
{
    take_from(two);
    struct worker_peer *a = up("queue/shop/a.1");
    task(a, "1", 1, false);
    task(a, "2", 2, true);
    task(a, "3", 1, false);
    seen("a/1 1 f body\n");
    ck_assert(settle("a/1"));
    seen("a/2 2 f body\n");
    task(a, "4", 1, false);
    seen("");
    ck_assert(settle("a/2"));
    seen("a/3 1 f body\na/4 1 f body\n");
    finish();
}
END_TEST

START_TEST(test_lost)
{
    take_from(one);
    struct worker_peer *q = up(Q);
    task(q, "1", 1, false);
    task(q, "2", 1, false);
    task(q, "3", 1, false); /* waits: the window is full */
    t.said[0] = t.seen[0] = '\0';
    lost(q, "1", 2); /* of another attempt */
    seen("");
    lost(q, "1", 1);
    seen("lost q/1\nq/3 1 f body\n");
    ck_assert(!settle("q/1"));
    lost(q, "9", 1);
    seen("");
    finish();
}
END_TEST

/* One that was lost while it waited here: the consumer never hears of it. */
START_TEST(test_lost_before_it_was_told)
{
    take_from(one);
    struct worker_peer *q = up(Q);
    for (int i = 1; i <= 3; i++)
        task(q, (char[]){(char)('0' + i), '\0'}, 1, false);
    t.seen[0] = '\0';
    lost(q, "3", 1);
    ck_assert(settle("q/1"));
    seen("");
    finish();
}
END_TEST

/* The queue worker is away: what is settled meanwhile its successor hears, and what is in hands. */
START_TEST(test_a_successor)
{
    take_from(one);
    struct worker_peer *q = up(Q);
    task(q, "1", 1, false);
    task(q, "2", 4, false);
    t.said[0] = '\0';
    queue_taker_down(t.c, q);
    ck_assert(settle("q/1"));
    said("");
    up(Q);
    said(Q ": held 1.1 2.4\n" Q ": settle 1.1 0 0 ''\n" Q ": take 1\n");
    lost(q, "1", 1);
    said("");
    ck_assert(settle("q/2"));
    said(Q ": settle 2.4 0 0 ''\n" Q ": take 2\n");
    finish();
}
END_TEST

/* What waits until it is by itself is not held: a successor would take it for what its consumer died of. */
START_TEST(test_a_successor_and_one_that_must_be_alone)
{
    take_from(one);
    struct worker_peer *q = up(Q);
    task(q, "1", 1, false);
    task(q, "2", 4, true);
    t.said[0] = t.seen[0] = '\0';
    queue_taker_down(t.c, q);
    up(Q);
    said(Q ": held 1.1\n" Q ": settle 2.4 3 0 ''\n" Q ": take 1\n");
    lost(q, "2", 4);
    ck_assert(settle("q/1"));
    seen("");
    finish();
}
END_TEST

/* But one that the consumer is at is its own. */
START_TEST(test_a_successor_and_one_that_is_alone)
{
    take_from(one);
    struct worker_peer *q = up(Q);
    task(q, "2", 4, true);
    t.said[0] = '\0';
    queue_taker_down(t.c, q);
    up(Q);
    said(Q ": held 2.4\n" Q ": take 1\n");
    finish();
}
END_TEST

/* What Redis has heard of is not told again. */
START_TEST(test_a_successor_with_nothing_to_hear)
{
    take_from(one);
    struct worker_peer *q = up(Q);
    task(q, "1", 1, false);
    ck_assert(settle("q/1"));
    lost(q, "1", 1);
    queue_taker_down(t.c, q);
    t.said[0] = '\0';
    up(Q);
    said(Q ": take 2\n");
    finish();
}
END_TEST

START_TEST(test_it_stops)
{
    take_from(one);
    struct worker_peer *q = up(Q);
    for (int i = 1; i <= 3; i++)
        task(q, (char[]){(char)('0' + i), '\0'}, 1, false);
    t.said[0] = t.seen[0] = '\0';
    queue_taker_stop(t.c);
    said(Q ": take 3\n" Q ": settle 3.1 3 0 ''\n");
    queue_taker_stop(t.c);
    said("");
    ck_assert(settle("q/1"));
    said(Q ": settle 1.1 0 0 ''\n");
    seen("");
    finish();
}
END_TEST

START_TEST(test_messages_that_are_none)
{
    struct buffer message = BUFFER_EMPTY;
    take_from(one);
    struct worker_peer *q = up(Q), other = {.name = "queue/shop/other.1"};
    message_task_pack(&message,
                      &(struct message_task){.id = slice_of("123456789012345678901234567890"),
                                             .facet = slice_of(""),
                                             .body = slice_of("")});
    ck_assert(!hear(q, MESSAGE_TASK, &message));
    ck_assert(!hear(q, MESSAGE_LOST, &message));
    ck_assert(!hear(q, MESSAGE_TAKE, &message));
    buffer_clear(&message);
    message_task_pack(
        &message,
        &(struct message_task){.id = slice_of("1"), .facet = slice_of(""), .body = slice_of("")});
    ck_assert(!hear(&other, MESSAGE_TASK, &message));
    message.len--;
    ck_assert(!hear(q, MESSAGE_TASK, &message));
    seen("");
    buffer_fini(&message);
    finish();
}
END_TEST

/* Many that wait, and are settled while they are told: none is told from within another. */
START_TEST(test_settling_at_once_needs_no_more_stack)
{
    take_from((const char *const[]){"takes.window", "1", QUEUE("0", "a", "1", "1"),
                                    QUEUE("1", "b", "1", "1"), NULL});
    struct worker_peer *a = up("queue/shop/a.1"), *b = up("queue/shop/b.1");
    task(a, "0", 1, false);
    task(a, "1", 1, false);
    task(b, "2", 1, false);
    t.seen[0] = '\0';
    t.settle_all = true;
    ck_assert(settle("a/0"));
    ck_assert_uint_eq(t.depth_max, 1);
    seen("a/1 1 f body\nb/2 1 f body\n");
    finish();
}
END_TEST

/* What is settled and not heard yet is owed, unless nobody is there to hear it. */
START_TEST(test_what_it_owes)
{
    take_from(one);
    struct worker_peer *q = up(Q);
    task(q, "1", 1, false);
    ck_assert(!queue_taker_owes(t.c) && settle("q/1") && queue_taker_owes(t.c));
    queue_taker_down(t.c, q);
    ck_assert(!queue_taker_owes(t.c));
    up(Q);
    ck_assert(queue_taker_owes(t.c));
    lost(q, "1", 1);
    ck_assert(!queue_taker_owes(t.c) && !queue_taker_owes(NULL));
    finish();
}
END_TEST

/* The first that waits is lost: the next of its queue is told in its place. */
START_TEST(test_lost_while_others_wait)
{
    take_from((const char *const[]){"takes.window", "1", QUEUE("0", "a", "1", "1"),
                                    QUEUE("1", "b", "1", "1"), NULL});
    struct worker_peer *a = up("queue/shop/a.1"), *b = up("queue/shop/b.1");
    task(a, "1", 1, false);
    task(a, "2", 1, false);
    task(b, "3", 1, false);
    task(a, "4", 1, false);
    t.seen[0] = '\0';
    lost(a, "2", 1);
    seen("");
    ck_assert(settle("a/1"));
    seen("a/4 1 f body\n");
    ck_assert(settle("a/4"));
    seen("b/3 1 f body\n");
    finish();
}
END_TEST

START_TEST(test_a_type_that_takes_none)
{
    static const struct worker_task_events nothing = {.takes = false};
    t.settings = one;
    ck_assert_int_eq(queue_taker_open(NULL, &nothing, &t.c), 0);
    ck_assert_ptr_null(t.c);
    ck_assert_str_eq(t.monitored, "");
    finish();
}
END_TEST

static bool on_published(struct worker *w, struct slice topic, struct slice body)
{
    ck_assert_ptr_null(w);
    note(t.seen, "published %.*s %.*s\n", (int)topic.len, topic.ptr, (int)body.len, body.ptr);
    return body.len == 1;
}

static struct queue_reach reach;
static struct queue_listener listener = {.reach = &reach};

static bool published(const char *from, const char *topic, const char *body, size_t missing)
{
    static const struct worker_task_events listening = {.on_published = on_published};
    struct buffer message = BUFFER_EMPTY;
    struct worker_peer peer = {.generation = 1};
    snprintf(peer.name, sizeof peer.name, "%s", from);
    message_published_pack(
        &message, &(struct message_published){.topic = slice_of(topic), .body = slice_of(body)});
    struct unpack u = unpack_start(slice_make(message.data, message.len - missing));
    bool read = queue_listener_message(&listener, &listening, &peer, MESSAGE_PUBLISHED, &u);
    ck_assert(!queue_listener_message(&listener, &listening, &peer, MESSAGE_TASK, &u));
    buffer_fini(&message);
    return read;
}

/* A backbone worker is up or gone, as queue_client.c tells it. */
static void backbone_up(size_t i, const char *name)
{
    uint64_t number;
    t.peer_count = i >= t.peer_count ? i + 1 : t.peer_count;
    snprintf(t.peers[i].name, sizeof t.peers[i].name, "%s", name);
    const struct queue_reach_backbone *b = queue_reach_up(&reach, &t.peers[i], &number);
    if (b != NULL)
        queue_listener_up(&listener, b, number);
}

static void backbone_down(size_t i, const char *reason)
{
    uint64_t number;
    bool absent;
    struct worker_peer peer = t.peers[i];
    t.peers[i].name[0] = '\0';
    const struct queue_reach_backbone *b =
        queue_reach_down(&reach, &peer, slice_of(reason), &number, &absent);
    ck_assert_ptr_nonnull(b);
    if (!absent)
        queue_listener_down(&listener, b, number);
}

static void listen_finish(void)
{
    queue_listener_fini(&listener);
    queue_reach_fini(&reach);
    finish();
}

/* Each backbone is told of its own globs, and again whenever it is there again. What is not taken is counted. */
START_TEST(test_listening)
{
    static const char *const settings[] = {"listens.0.backbone",
                                           "a",
                                           "listens.0.glob",
                                           "x*",
                                           "listens.1.backbone",
                                           "b",
                                           "listens.1.glob",
                                           "y",
                                           "listens.2.backbone",
                                           "a",
                                           "listens.2.glob",
                                           "z",
                                           NULL};
    t.settings = settings;
    queue_listener_open(&listener);
    ck_assert_str_eq(t.monitored, "queue/a/backbone.1 queue/b/backbone.1 ");
    backbone_up(0, "queue/a/backbone.1");
    backbone_up(1, "queue/c/backbone.1");
    backbone_up(2, "queue/b/backbone.1");
    backbone_up(0, "queue/a/backbone.1");
    said("queue/a/backbone.1: listen x* z\nqueue/b/backbone.1: listen y\n"
         "queue/a/backbone.1: listen x* z\n");
    const char *a = "queue/a/backbone.1";
    ck_assert(published(a, "x1", "b", 0) && published(a, "x2", "long", 0) &&
              !published(a, "x3", "b", 1));
    seen("published x1 b\npublished x2 long\nunheard 1\n");
    listen_finish();
}
END_TEST

/* One of each server is listened to; when it is gone another, and what still comes of the first counts no more. */
START_TEST(test_listening_to_several_workers)
{
    static const char *const settings[] = {"listens.0.backbone",
                                           "a",
                                           "listens.0.glob",
                                           "x",
                                           "backbones.0.name",
                                           "a",
                                           "backbones.0.servers",
                                           "2",
                                           NULL};
    t.settings = settings;
    queue_listener_open(&listener);
    backbone_up(0, "queue/a/backbone.1");
    backbone_up(1, "queue/a/backbone.2");
    backbone_up(2, "queue/a/backbone.3");
    said("queue/a/backbone.1: listen x\nqueue/a/backbone.2: listen x\n");
    ck_assert(published("queue/a/backbone.1", "x", "1", 0) &&
              published("queue/a/backbone.2", "x", "2", 0) &&
              published("queue/a/backbone.3", "x", "3", 0));
    seen("published x 1\npublished x 2\n");
    backbone_down(0, "killed");
    said("queue/a/backbone.3: listen x\n");
    ck_assert(published("queue/a/backbone.1", "x", "1", 0) &&
              published("queue/a/backbone.3", "x", "3", 0));
    seen("published x 3\n");
    backbone_up(0, "queue/a/backbone.1");
    backbone_down(1, "killed");
    said("");
    backbone_up(1, "queue/a/backbone.2");
    said("queue/a/backbone.2: listen x\n");
    listen_finish();
}
END_TEST

/* The queue worker of a queue with work_max hears what the consumer is at: the first it was told, then the next. */
START_TEST(test_what_it_is_at)
{
    static const char *const settings[] = {"takes.0.name",
                                           "a",
                                           "takes.0.path",
                                           "queue/s/a",
                                           "takes.0.weight",
                                           "1",
                                           "takes.0.workers",
                                           "1",
                                           "takes.0.work_max",
                                           "60000",
                                           "takes.1.name",
                                           "b",
                                           "takes.1.path",
                                           "queue/s/b",
                                           "takes.1.weight",
                                           "1",
                                           "takes.1.workers",
                                           "1",
                                           "takes.window",
                                           "3",
                                           NULL};
    take_from(settings);
    struct worker_peer *a = up("queue/s/a.1"), *b = up("queue/s/b.1");
    t.said[0] = '\0';
    task(b, "1", 1, false);
    task(a, "2", 1, false);
    task(a, "3", 1, false);
    task(a, "4", 1, false); /* beyond the window: it was not told */
    said("");
    settle("b/1");
    ck_assert_ptr_nonnull(strstr(t.said, "queue/s/a.1: begun 2.1\n"));
    ck_assert_ptr_null(strstr(t.said, "begun 3"));
    t.said[0] = '\0';
    settle("a/3"); /* out of turn: it may be at the one behind */
    ck_assert_ptr_nonnull(strstr(t.said, "queue/s/a.1: begun 4.1\n"));
    t.said[0] = '\0';
    up("queue/s/a.1"); /* a successor */
    ck_assert_ptr_nonnull(strstr(t.said, "held 3.1 2.1 4.1\nqueue/s/a.1: begun 2.1\n"
                                         "queue/s/a.1: begun 4.1\n"));
    t.said[0] = '\0';
    lost(a, "2", 1);
    lost(a, "4", 1);
    ck_assert_ptr_null(strstr(t.said, "begun"));
    finish();
}
END_TEST

/* Ids are a server's own: of several its name is part of what the consumer knows. */
START_TEST(test_ids_of_several_servers)
{
    static const char *const settings[] = {"takes.0.name",
                                           "a",
                                           "takes.0.path",
                                           "queue/s/a",
                                           "takes.0.weight",
                                           "1",
                                           "takes.0.workers",
                                           "4",
                                           "takes.0.servers",
                                           " one  two ",
                                           "takes.window",
                                           "9",
                                           NULL};
    take_from(settings);
    task(up("queue/s/a.1"), "17", 1, false);
    task(up("queue/s/a.2"), "17", 1, false);
    task(up("queue/s/a.3"), "18", 1, false);
    seen("a/17@one 1 f body\na/17@two 1 f body\na/18@one 1 f body\n");
    t.said[0] = '\0';
    ck_assert(settle("a/17@two") && !settle("a/17"));
    ck_assert_ptr_nonnull(strstr(t.said, "queue/s/a.2: settle 17.1"));
    finish();
}
END_TEST

SUITE_MAIN("queue_taker", test_nobody_takes, test_whom_it_monitors, test_a_task_is_done,
           test_again_and_bury, test_settled_while_it_is_told, test_the_window_is_of_all_queues,
           test_weights, test_one_that_must_be_alone, test_lost, test_lost_before_it_was_told,
           test_a_successor, test_a_successor_and_one_that_must_be_alone,
           test_a_successor_and_one_that_is_alone, test_a_successor_with_nothing_to_hear,
           test_it_stops, test_messages_that_are_none, test_settling_at_once_needs_no_more_stack,
           test_what_it_owes, test_lost_while_others_wait, test_a_type_that_takes_none,
           test_listening, test_listening_to_several_workers, test_what_it_is_at,
           test_ids_of_several_servers)
