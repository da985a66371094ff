/*
 * test_queue_inbox.c: what workers call beside pull and ack: the inbox, deliver_many, take, adopt, disown, facets,
 * peek; by their decoders.
 */
#include "test/unit/queue/queue_fixture.h"

#include <stdlib.h>

static struct queue_inbox look(void)
{
    struct queue_inbox inbox;
    ck_assert(queue_read_inbox(q_packed(INBOX_LOOK, "200", "100000"), &inbox));
    return inbox;
}

START_TEST(the_inbox_is_taken_once)
{
    struct slice body;
    uint64_t placed, dead;
    queue_register("q", "^t");
    queue_redis("LPUSH @Nplatoon:inbox one two three");
    struct queue_inbox inbox = look();
    ck_assert(inbox.taken == 0 && inbox.left == 3);
    ck_assert(queue_next_name(&inbox.bodies, &body) && slice_is(body, "one"));
    ck_assert(queue_next_name(&inbox.bodies, &body) && slice_is(body, "two"));
    queue_redis("LPUSH @Nplatoon:inbox four");
    ck_assert(queue_read_placed(
        q_packed(INBOX_TAKE, "0", "t", "a", "3", "", "", "", "3", "it has no topic"), &placed,
        &dead));
    ck_assert(placed == 1 && dead == 1);
    ck_assert_str_eq(q_text(INBOX_TAKE, "0", "t", "a", "3", ""),
                     "nil"); /* again: the answer was lost */
    inbox = look();
    ck_assert(inbox.taken == 2 && inbox.left == 2);
    ck_assert(queue_next_name(&inbox.bodies, &body) && slice_is(body, "three"));
    ck_assert_str_eq(q_text(INBOX_TAKE, "2", "t", "a", "4", ""),
                     "nil"); /* not what was looked at */
    ck_assert_str_eq(
        q_text(INBOX_TAKE, "2", "t", "a", "5", "", "t", "a", "4", "", "t", "a", "1", ""), "nil");
    ck_assert(queue_read_placed(
        q_packed(INBOX_TAKE, "2", "t", "a", "5", "", "nobody", "a", "4", ""), &placed, &dead));
    ck_assert(placed == 2 && dead == 0);
    queue_check("q");
    ck_assert_str_eq(queue_bodies("q", 9, 60000), "one three");
    ck_assert_str_eq(queue_redis("HGET @Nplatoon:inbox:stats unwanted"), "1");
    ck_assert_str_eq(queue_redis("EXISTS @Nplatoon:inbox"), "0");
}
END_TEST

START_TEST(dead_letters_of_the_inbox)
{
    struct queue_list letters;
    struct queue_letter letter;
    queue_register_with("q", "^t", 5, 0, 4);
    queue_redis("LPUSH @Nplatoon:inbox short toolong");
    q_packed(INBOX_TAKE, "0", "t", "a", "5", "", "t", "a", "7", "");
    ck_assert_uint_eq(queue_status_of("q").waiting, 0);
    ck_assert(queue_read_letters(q_packed(DEAD_LIST, "inbox", "9"), &letters));
    ck_assert_uint_eq(letters.left, 2);
    ck_assert(queue_next_letter(&letters, false, &letter) && letter.bytes == 5 &&
              letter.attempts == 0);
    ck_assert_ptr_nonnull(memmem(letter.reason.ptr, letter.reason.len, "message_max", 11));
    char id[32];
    ck_assert(slice_copy(letter.id, id, sizeof id));
    ck_assert(queue_read_letters(q_packed(DEAD_SHOW, "inbox", id), &letters));
    ck_assert(queue_next_letter(&letters, true, &letter) && slice_is(letter.body, "short") &&
              queue_list_ok(&letters));
    ck_assert_int_eq(q_int(DEAD_RETRY, "inbox", "9", id, id, "17"), 1);
    ck_assert_str_eq(queue_redis("LRANGE @Nplatoon:inbox 0 -1"), "[short]");
    ck_assert_int_eq(q_int(DEAD_DROP, "inbox", "9"), 1);
    ck_assert_str_eq(queue_redis("EXISTS @Nplatoon:inbox:held @Nplatoon:inbox:dead"), "0");
}
END_TEST

START_TEST(many_are_delivered_each_by_itself)
{
    struct queue_list all;
    struct queue_delivered one;
    struct slice name;
    queue_register_with("q", "^t", 5, 0, 4);
    queue_register("r", "^t1");
    ck_assert(queue_read_delivered(q_packed(DELIVER_MANY, "t", "a", "0", "b1", "t", "a", "0",
                                            "toolong", "t1", "c", "0", "b2", "x", "a", "0", "b3",
                                            "t", "a", "60000", "late"),
                                   &all));
    ck_assert(queue_next_delivered(&all, &one) && one.refused.len == 0 && one.queues.left == 1);
    ck_assert(queue_next_name(&one.queues, &name) && slice_is(name, "q") &&
              queue_list_ok(&one.queues));
    ck_assert(queue_next_delivered(&all, &one) && one.refused.len > 0);
    ck_assert(queue_next_delivered(&all, &one) && one.queues.left == 2);
    ck_assert(queue_next_delivered(&all, &one) && one.queues.left == 0 && one.id.len > 0);
    ck_assert(queue_next_delivered(&all, &one) && one.queues.left == 1);
    ck_assert(!queue_next_delivered(&all, &one) && queue_list_ok(&all));
    queue_check("q");
    queue_check("r");
    struct queue_status s = queue_status_of("q");
    ck_assert(s.waiting == 2 && s.delayed == 1 && s.delivered == 3);
    ck_assert_str_eq(queue_bodies("q", 9, 60000), "b1 b2");
}
END_TEST

static struct queue_taken take(const char *owner, const char *count)
{
    struct queue_taken taken;
    ck_assert(queue_read_taken(q_packed(TAKE, owner, count, "60000", "q"), &taken));
    return taken;
}

/* Of its worker only, and of waits up to that one. */
START_TEST(what_is_put_off_takes_nothing)
{
    struct queue_taken taken;
    queue_register("q", "");
    queue_deliver("t", "a", "b1");
    queue_deliver("t", "a", "b2");
    queue_redis("SET @Nplatoon:off:w 7 PX 60000");
    ck_assert(queue_read_taken(q_packed(TAKE, "w", "1", "60000", "q", "6"), &taken));
    ck_assert(taken.tasks.left == 0 && taken.waiting == 2);
    ck_assert(queue_read_taken(q_packed(TAKE, "w", "1", "60000", "q", "7"), &taken));
    ck_assert(taken.tasks.left == 0 && taken.waiting == 2);
    ck_assert(queue_read_taken(q_packed(TAKE, "other", "1", "60000", "q", "7"), &taken));
    ck_assert_uint_eq(taken.tasks.left, 1);
    ck_assert(queue_read_taken(q_packed(TAKE, "w", "1", "60000", "q", "8"), &taken));
    ck_assert_uint_eq(taken.tasks.left, 1);
    queue_check("q");
}
END_TEST

START_TEST(a_worker_takes)
{
    struct queue_task task;
    char receipt[QUEUE_RECEIPT_SIZE];
    queue_register("q", "");
    struct queue_taken taken = take("w", "5");
    ck_assert(!taken.paused && taken.due_ms == -1 && taken.waiting == 0 && taken.tasks.left == 0);
    queue_deliver("t", "length", "b1");
    queue_deliver("t", "a", "b2");
    queue_deliver("t", "a", "b3");
    taken = take("w", "2");
    ck_assert(taken.due_ms == 60000 && taken.waiting == 1);
    ck_assert(queue_next_task(&taken.tasks, &task) && slice_is(task.facet, "length") &&
              slice_is(task.body, "b1"));
    ck_assert(task.attempt == 1 && !task.alone);
    ck_assert(queue_receipt(task.id, task.attempt, receipt));
    ck_assert(queue_next_task(&taken.tasks, &task) && slice_is(task.body, "b2"));
    ck_assert(!queue_next_task(&taken.tasks, &task) && queue_list_ok(&taken.tasks));
    ck_assert_int_eq(q_int(BACK, "q", "1", "it died", receipt), 1);
    taken = take("w", "5");
    ck_assert(taken.tasks.left == 1);
    ck_assert(queue_next_task(&taken.tasks, &task) && task.alone && task.attempt == 2);
    q_int(PAUSE, "q", "1");
    ck_assert(take("w", "5").paused);
    queue_register_raw("raw", "");
    ck_assert_ptr_nonnull(strstr(q_text(TAKE, "w", "1", "60000", "raw"), "!RAW"));
    ck_assert_ptr_nonnull(strstr(q_text(TAKE, "w", "1", "60000", "nobody"), "!NOQUEUE"));
}
END_TEST

/* A queue worker died: what consumers hold is its successor's, the rest goes back without blame. */
START_TEST(a_successor_adopts_what_is_held)
{
    char held[3][64];
    queue_register("q", "");
    for (int i = 0; i < 5; i++)
        queue_deliver("t", "a", (char[]){(char)('0' + i), '\0'});
    queue_call(QUEUE_SCRIPT_QUEUE_PULL, "p:q:1", "4", "60000", "q", NULL);
    for (int i = 0; i < 3; i++)
        snprintf(held[i], sizeof held[i], "%s", queue.reply->element[i]->element[1]->str);
    queue_call(QUEUE_SCRIPT_QUEUE_PULL, "stranger", "1", "60000", "q", NULL);
    ck_assert_str_eq(q_text(ADOPT, "q", "p:q:2", "60000", held[0], held[1], "1.1"), "[1.1]");
    ck_assert_str_eq(q_text(DISOWN, "q", "p:q:", "p:q:2", "0", "gone", "0", held[2]), "[0 1]");
    queue_check("q");
    ck_assert_str_eq(queue_bodies("q", 9, 60000), "3");
    ck_assert_int_eq(pulled[0].attempt, 2);
    ck_assert_int_eq(q_int(ACK, "q", held[0], held[1], held[2]), 3);
    ck_assert_str_eq(q_text(DISOWN, "q", "nobody", "", "0", "", "0"), "[0 0]");
    ck_assert_str_eq(q_text(DISOWN, "q", "stranger", "", "1", "died", "0"), "[0 1]");
    queue_check("q");
}
END_TEST

START_TEST(a_sweep_sees_all_facets)
{
    char facet[16], cursor[QUEUE_CURSOR_SIZE] = "0";
    struct queue_list facets;
    struct queue_facet f;
    uint64_t waiting = 0, in_flight = 0;
    bool more = true;
    queue_register("q", "");
    for (int i = 0; i < 300; i++) {
        snprintf(facet, sizeof facet, "f%d", i);
        queue_deliver("t", facet, "x");
    }
    queue_pull("q", 30, 60000);
    while (more) {
        char from[QUEUE_CURSOR_SIZE];
        strcpy(from, cursor);
        ck_assert(queue_read_facets(q_packed(FACETS, "q", from, "50"), cursor, &more, &facets));
        while (queue_next_facet(&facets, &f)) {
            ck_assert(f.weight == 1 && (f.waiting == 0) == (f.oldest_ms == -1));
            waiting += f.waiting;
            in_flight += f.in_flight;
        }
        ck_assert(queue_list_ok(&facets));
    }
    ck_assert(waiting == 270 &&
              in_flight == 30); /* nothing grew meanwhile, so no facet comes twice */
    struct queue_status s = queue_status_of("q");
    ck_assert(s.facets == 300 && s.waiting == 270 && s.oldest_ms >= 0);
}
END_TEST

START_TEST(a_peek_takes_nothing)
{
    struct queue_list tasks;
    struct queue_task task;
    queue_register("q", "");
    ck_assert(queue_read_peeked(q_packed(PEEK, "q", "", "5"), &tasks) && tasks.left == 0);
    queue_deliver("t", "a", "1");
    original_deliver("t", "a", "2");
    queue_deliver("t", "b", "3");
    queue_pull("q", 1, 60000);
    q_int(AGAIN, "q", "0", "", pulled[0].receipt);
    ck_assert(queue_read_peeked(q_packed(PEEK, "q", "a", "5"), &tasks));
    ck_assert(queue_next_peeked(&tasks, &task) && slice_is(task.body, "1") && task.attempt == 1 &&
              task.id.len > 0);
    ck_assert(queue_next_peeked(&tasks, &task) && slice_is(task.body, "2") && task.at_ms == -1 &&
              task.id.len == 0);
    ck_assert(!queue_next_peeked(&tasks, &task) && queue_list_ok(&tasks));
    ck_assert(queue_read_peeked(q_packed(PEEK, "q", "", "1"), &tasks));
    ck_assert(queue_next_peeked(&tasks, &task) && slice_is(task.body, "3"));
    queue_check("q");
    ck_assert_uint_eq(queue_pull("q", 9, 60000), 3);
}
END_TEST

START_TEST(names_of_all_queues)
{
    struct queue_list names;
    struct slice name;
    queue_register("q", "");
    queue_register_raw("a", "");
    queue_redis("HSET @Nregistered_queues inbox x");
    q_int(UNREGISTER, "q");
    ck_assert(queue_read_names(queue_packed(queue_call(QUEUE_SCRIPT_QUEUE_STATUS, NULL)), &names));
    ck_assert(queue_next_name(&names, &name) && slice_is(name, "a"));
    ck_assert(queue_next_name(&names, &name) && slice_is(name, "inbox"));
    ck_assert(queue_next_name(&names, &name) && slice_is(name, "q"));
    ck_assert(!queue_next_name(&names, &name) && queue_list_ok(&names));
    struct queue_status s = queue_status_of("inbox");
    ck_assert(queue_next_name(&s.wrong, &name));
    s = queue_status_of("q");
    ck_assert(!s.registered && !s.raw);
    queue_deliver("t", "f", "x"); /* a queue of that name is no queue */
    ck_assert_str_eq(queue_redis("EXISTS @Ninbox:f"), "0");
}
END_TEST

/* A body above message_max that somebody else has delivered is a dead letter, and comes to nobody. */
START_TEST(what_is_too_large_is_dead_before_it_is_read)
{
    queue_register_with("q", "", 5, 0, 4);
    original_deliver("t", "a", "toolong");
    queue_deliver("t", "a", "ok");
    ck_assert_str_eq(queue_bodies("q", 9, 60000), "ok");
    queue_check("q");
    ck_assert_uint_eq(queue_status_of("q").dead, 1);
    ck_assert_int_eq(q_int(DEAD_RETRY, "q", "9"), 1);
    ck_assert_uint_eq(queue_pull("q", 9, 60000), 0);
    queue_check("q");
    ck_assert_uint_eq(queue_status_of("q").dead, 1);
}
END_TEST

QUEUE_SUITE("queue_inbox", the_inbox_is_taken_once, dead_letters_of_the_inbox,
            many_are_delivered_each_by_itself, what_is_put_off_takes_nothing, a_worker_takes,
            a_successor_adopts_what_is_held, a_sweep_sees_all_facets, a_peek_takes_nothing,
            names_of_all_queues, what_is_too_large_is_dead_before_it_is_read)
