/*
 * test_queue_call.c: the arguments of each script, as C gives them (proto/queue/queue_call.h): each call does on a real
 * Redis what its name says.
 */
#include "proto/queue/queue_call.h"
#include "test/unit/queue/queue_fixture.h"

#include <stdlib.h>

static struct queue_call made = {.count = 0};

/* The call as it is made; its reply as text. */
static const char *said(void)
{
    const struct slice *args = queue_call_args(&made);
    ck_assert_ptr_nonnull(args);
    queue_call_words(made.script, made.count, args);
    return queue_text();
}

static struct slice packed(void)
{
    said();
    return queue_packed(queue.reply);
}

#define SAYS(text, call)                                                                           \
    do {                                                                                           \
        call;                                                                                      \
        ck_assert_str_eq(said(), text);                                                            \
    } while (0)

static struct slice q(void)
{
    return slice_of("q");
}

static void make_queue(void)
{
    const struct queue_settings settings = {
        .max_attempts = 3, .retry_min_ms = 0, .retry_max_ms = 0, .message_max = 1000};
    SAYS("1", queue_call_register(&made, q(), slice_of("^t"), &settings));
    SAYS("0", queue_call_register(&made, q(), slice_of("^t"), &settings));
}

/* Takes one; its receipt. */
static char id[32];
static uint64_t attempt;

static void take_one(void)
{
    struct queue_taken taken;
    struct queue_task task;
    queue_call_take(&made, slice_of("me"), 1, 60000, q(), 0);
    ck_assert(queue_read_taken(packed(), &taken));
    ck_assert(queue_next_task(&taken.tasks, &task));
    ck_assert(slice_copy(task.id, id, sizeof id));
    attempt = task.attempt;
}

static const char *with_receipt(void)
{
    queue_call_receipt(&made, slice_of(id), attempt);
    return said();
}

START_TEST(test_messages_come_in)
{
    struct queue_list all;
    struct queue_delivered one;
    struct slice name;
    make_queue();
    queue_call_deliver(&made, slice_of("t"), slice_of("a"), slice_of("body"), 0);
    ck_assert_ptr_nonnull(strstr(said(), " q]"));
    queue_call_deliver_many(&made);
    queue_call_message(&made, slice_of("t"), slice_of("a"), 60000, slice_of("late"));
    queue_call_message(&made, slice_of("nobody's"), slice_of("a"), 0, slice_of("x"));
    ck_assert(queue_read_delivered(packed(), &all));
    ck_assert(queue_next_delivered(&all, &one) && queue_next_name(&one.queues, &name));
    ck_assert(slice_is(name, "q"));
    ck_assert(queue_next_delivered(&all, &one) && !queue_next_name(&one.queues, &name));
    struct queue_status status = queue_status_of("q");
    ck_assert_uint_eq(status.waiting, 1);
    ck_assert_uint_eq(status.delayed, 1);
}
END_TEST

START_TEST(test_the_inbox)
{
    struct queue_inbox inbox;
    struct slice body;
    uint64_t placed, dead;
    make_queue();
    queue_redis("LPUSH @Nplatoon:inbox one two");
    queue_call_inbox_look(&made, 10, 1000);
    ck_assert(queue_read_inbox(packed(), &inbox));
    ck_assert(queue_next_name(&inbox.bodies, &body) && slice_is(body, "one"));
    queue_call_inbox_take(&made, inbox.taken);
    queue_call_place(&made, slice_of("t"), slice_of("a"), 3, slice_of(""));
    queue_call_place(&made, slice_of(""), slice_of(""), 3, slice_of("no topic"));
    ck_assert(queue_read_placed(packed(), &placed, &dead));
    ck_assert_uint_eq(placed, 1);
    ck_assert_uint_eq(dead, 1);
}
END_TEST

START_TEST(test_messages_go_out)
{
    make_queue();
    for (int i = 0; i < 5; i++)
        queue_deliver("t", "a", "body");
    take_one();
    queue_call_ack(&made, q());
    ck_assert_str_eq(with_receipt(), "1");
    ck_assert_str_eq(said(), "0");
    take_one();
    queue_call_again(&made, q(), 60000, slice_of("later"));
    ck_assert_str_eq(with_receipt(), "1");
    ck_assert_uint_eq(queue_status_of("q").delayed, 1);
    take_one();
    queue_call_bury(&made, q(), slice_of("bad"));
    ck_assert_str_eq(with_receipt(), "1");
    take_one();
    queue_call_renew(&made, q(), 90000);
    ck_assert_str_eq(with_receipt(), "[]");
    queue_call_adopt(&made, q(), slice_of("you"), 90000);
    ck_assert_str_eq(with_receipt(), "[]");
    SAYS("[0 0]", queue_call_disown(&made, q(), slice_of("me"), slice_of(""), true,
                                    slice_of("gone"), slice_of("0")));
    SAYS("[0 1]", queue_call_disown(&made, q(), slice_of("you"), slice_of(""), true,
                                    slice_of("gone"), slice_of("0")));
    take_one();
    queue_call_back(&made, q(), false, slice_of("gone"));
    ck_assert_str_eq(with_receipt(), "1");
    queue_call_clock(&made, q());
    ck_assert_ptr_nonnull(strstr(said(), "[0 0 "));
    queue_check("q");
}
END_TEST

/* Numbers and receipts are kept in one text, which moves as it grows. */
START_TEST(test_many_receipts)
{
    struct queue_taken taken;
    struct queue_task task;
    make_queue();
    for (int i = 0; i < 300; i++)
        queue_deliver("t", "a", "body");
    queue_call_pull(&made, slice_of("me"), 300, -1);
    queue_call_add(&made, slice_of("none"));
    ck_assert_ptr_nonnull(strstr(said(), "NOQUEUE"));
    queue_call_take(&made, slice_of("me"), 300, 60000, q(), 0);
    struct slice answer = packed();
    char *copy = malloc(answer.len);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, answer.ptr, answer.len);
    ck_assert(queue_read_taken(slice_make(copy, answer.len), &taken));
    queue_call_ack(&made, q());
    while (queue_next_task(&taken.tasks, &task))
        queue_call_receipt(&made, task.id, task.attempt);
    ck_assert_uint_eq(made.count, 301);
    ck_assert_str_eq(said(), "300");
    free(copy);
}
END_TEST

START_TEST(test_queues)
{
    make_queue();
    queue_deliver("t", "a", "body");
    SAYS("1", queue_call_weight(&made, q(), slice_of("a"), 3));
    SAYS("0", queue_call_cap(&made, q(), 7));
    SAYS("7", queue_call_cap(&made, q(), 0));
    SAYS("1", queue_call_pause(&made, q(), true, slice_of("")));
    ck_assert(queue_status_of("q").paused);
    SAYS("1", queue_call_pause(&made, q(), false, slice_of("")));
    SAYS("1", queue_call_pause(&made, q(), true, slice_of("a")));
    ck_assert(!queue_status_of("q").paused);
    queue_call_vouch(&made);
    ck_assert_int_eq(strncmp(said(), "[1 1", 4), 0); /* of one, and since when */
    SAYS("1", queue_call_unregister(&made, q()));
    SAYS("0", queue_call_unregister(&made, q()));
    SAYS("0", queue_call_destroy(&made, q()));
    queue_call_status(&made);
    queue_call_add(&made, q());
    ck_assert_ptr_nonnull(strstr(said(), "NOQUEUE"));
}
END_TEST

START_TEST(test_what_people_ask)
{
    struct queue_list list;
    struct queue_task task;
    struct queue_letter letter;
    char cursor[QUEUE_CURSOR_SIZE];
    bool more;
    make_queue();
    queue_deliver("t", "a", "body");
    queue_call_peek(&made, q(), slice_of(""), 5);
    ck_assert(queue_read_peeked(packed(), &list) && queue_next_peeked(&list, &task));
    ck_assert(slice_is(task.body, "body"));
    queue_call_facets(&made, q(), slice_of("0"), 10);
    ck_assert(queue_read_facets(packed(), cursor, &more, &list));
    ck_assert_uint_eq(list.left, 1);
    queue_call_status(&made);
    ck_assert(queue_read_names(packed(), &list));
    ck_assert_uint_eq(list.left, 1);
    take_one();
    queue_call_bury(&made, q(), slice_of("bad"));
    with_receipt();
    queue_call_dead_list(&made, q(), 10);
    ck_assert(queue_read_letters(packed(), &list) && queue_next_letter(&list, false, &letter));
    ck_assert(slice_is(letter.reason, "bad"));
    queue_call_dead_show(&made, q());
    queue_call_add(&made, slice_of(id));
    ck_assert(queue_read_letters(packed(), &list) && queue_next_letter(&list, true, &letter));
    ck_assert(slice_is(letter.body, "body"));
    SAYS("1", queue_call_dead_retry(&made, q(), 10));
    take_one();
    queue_call_bury(&made, q(), slice_of("bad"));
    with_receipt();
    queue_call_dead_drop(&made, q(), 10);
    queue_call_add(&made, slice_of(id));
    ck_assert_str_eq(said(), "1");
    queue_call_fini(&made);
}
END_TEST

QUEUE_SUITE("queue_call", test_messages_come_in, test_the_inbox, test_messages_go_out,
            test_many_receipts, test_queues, test_what_people_ask)
