/*
 * test_queue_client.c: a consumer's side of queues (workers/queue/queue_client.h): what it asks for, what it is told
 * of, what it says to a queue worker, and to the successor of one that died.
 *
 * The skeleton and the queue workers are played (queue_client_played.h).
 */
#include "test/unit/queue/queue_client_played.h"

START_TEST(test_nobody_takes)
{
    static const char *const none[] = {NULL};
    struct unpack u = unpack_start(slice_of(""));
    struct worker_peer peer = {.name = "x"};
    take_from(none);
    ck_assert_ptr_null(t.c);
    queue_client_up(NULL, &peer);
    queue_client_down(NULL, &peer);
    queue_client_stop(NULL);
    ck_assert(!queue_client_message(NULL, &peer, MESSAGE_TASK, &u));
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
    ck_assert(queue_client_settle(t.c, "q/1", QUEUE_CLIENT_AGAIN, -1, "why"));
    said(Q ": settle 1.3 1 -1 'why'\n" Q ": take 3\n");
    ck_assert(queue_client_settle(t.c, "q/2", QUEUE_CLIENT_BURY, 0, reason));
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
    queue_client_down(t.c, q);
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

/* What Redis has heard of is not told again. */
START_TEST(test_a_successor_with_nothing_to_hear)
{
    take_from(one);
    struct worker_peer *q = up(Q);
    task(q, "1", 1, false);
    ck_assert(settle("q/1"));
    lost(q, "1", 1);
    queue_client_down(t.c, q);
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
    queue_client_stop(t.c);
    said(Q ": take 3\n" Q ": settle 3.1 3 0 ''\n");
    queue_client_stop(t.c);
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

START_TEST(test_delivering)
{
    static const char *const none[] = {NULL};
    struct buffer message = BUFFER_EMPTY, queues = BUFFER_EMPTY;
    struct queue_client_delivered d;
    bool ok = false;
    take_from(none);
    struct worker_peer to = {.name = "queue/shop/backbone.1"};
    queue_client_deliver(NULL, &to,
                         &(struct queue_client_delivery){.token = 5,
                                                         .has_topic = true,
                                                         .topic = slice_of("t"),
                                                         .facet = slice_of(""),
                                                         .after_ms = 9,
                                                         .body = slice_of("b")});
    said("queue/shop/backbone.1: deliver 5 1 t  9 b\n");
    queue_client_deliver(NULL, &to,
                         &(struct queue_client_delivery){.token = 6,
                                                         .has_facet = true,
                                                         .topic = slice_of(""),
                                                         .facet = slice_of("f"),
                                                         .body = slice_of("b")});
    said("queue/shop/backbone.1: deliver 6 2  f 0 b\n");
    pack_array(&queues, 1);
    pack_text(&queues, "q");
    message_delivered_pack(&message, &(struct message_delivered){.token = 5,
                                                                 .error = slice_of(""),
                                                                 .id = slice_of("17"),
                                                                 .queues = buffer_slice(&queues)});
    struct unpack u = unpack_start(buffer_slice(&message));
    ck_assert(!queue_client_delivered(MESSAGE_TASK, &u, &d, &ok));
    ck_assert(queue_client_delivered(MESSAGE_DELIVERED, &u, &d, &ok) && ok);
    ck_assert_uint_eq(d.token, 5);
    ck_assert(slice_is(d.id, "17") && d.error.len == 0);
    ck_assert_uint_eq(unpack_array(&d.queues), 1);
    ck_assert(slice_is(unpack_str(&d.queues), "q"));
    u = unpack_start(slice_of("x"));
    ck_assert(queue_client_delivered(MESSAGE_DELIVERED, &u, &d, &ok) && !ok);
    buffer_fini(&message);
    buffer_fini(&queues);
    finish();
}
END_TEST

/* Each backbone is told of its own globs, and again whenever it is there again. */
START_TEST(test_listening)
{
    static const char *const settings[] = {"listens.0.path",
                                           "queue/a/backbone.1",
                                           "listens.0.glob",
                                           "x*",
                                           "listens.1.path",
                                           "queue/b/backbone.1",
                                           "listens.1.glob",
                                           "y",
                                           "listens.2.path",
                                           "queue/a/backbone.1",
                                           "listens.2.glob",
                                           "z",
                                           NULL};
    struct worker_peer a = {.name = "queue/a/backbone.1"}, b = {.name = "queue/b/backbone.1"};
    struct worker_peer other = {.name = "queue/c/backbone.1"};
    struct slice topic, body;
    struct buffer message = BUFFER_EMPTY;
    bool ok;
    take_from(settings);
    queue_client_listen(NULL);
    ck_assert_str_eq(t.monitored, "queue/a/backbone.1 queue/b/backbone.1 queue/a/backbone.1 ");
    queue_client_listen_up(NULL, &a);
    queue_client_listen_up(NULL, &other);
    queue_client_listen_up(NULL, &b);
    queue_client_listen_up(NULL, &a);
    said("queue/a/backbone.1: listen x* z\nqueue/b/backbone.1: listen y\n"
         "queue/a/backbone.1: listen x* z\n");
    message_published_pack(
        &message, &(struct message_published){.topic = slice_of("x1"), .body = slice_of("b")});
    struct unpack u = unpack_start(buffer_slice(&message));
    ck_assert(!queue_client_published(MESSAGE_TASK, &u, &topic, &body, &ok));
    ck_assert(queue_client_published(MESSAGE_PUBLISHED, &u, &topic, &body, &ok) && ok);
    ck_assert(slice_is(topic, "x1") && slice_is(body, "b"));
    u = unpack_start(slice_of("x"));
    ck_assert(queue_client_published(MESSAGE_PUBLISHED, &u, &topic, &body, &ok) && !ok);
    queue_client_unheard(NULL);
    seen("unheard 1\n");
    buffer_fini(&message);
    finish();
}
END_TEST

SUITE_MAIN("queue_client", test_nobody_takes, test_whom_it_monitors, test_a_task_is_done,
           test_again_and_bury, test_settled_while_it_is_told, test_the_window_is_of_all_queues,
           test_weights, test_one_that_must_be_alone, test_lost, test_lost_before_it_was_told,
           test_a_successor, test_a_successor_with_nothing_to_hear, test_it_stops,
           test_messages_that_are_none, test_delivering, test_listening)
