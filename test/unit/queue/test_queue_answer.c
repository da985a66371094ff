/*
 * test_queue_answer.c: what is made of answers that are none (proto/queue/queue_answer.h). Good ones come from the
 * scripts: the other suites of the queues.
 */
#include "proto/queue/queue_answer.h"
#include "common/pack.h"
#include "test/unit/suite.h"

static struct buffer out;

static struct slice packed(void)
{
    ck_assert(buffer_ok(&out));
    return buffer_slice(&out);
}

/* A task of take; `wrong`: which of its values is none (-1: they are good). */
static void pack_task(int wrong)
{
    static const char envelope[] = "\0001"
                                   "1795791287338786 1795791287338 body";
    static const char reference[] = "\000r"
                                    "1795791287338786";
    pack_array(&out, wrong == 0 ? 3 : 4);
    pack_i64(&out, wrong == 1 ? -1 : 2);
    pack_u64(&out, wrong == 2 ? 2 : 1);
    if (wrong == 3)
        pack_u64(&out, 1);
    else
        pack_text(&out, "facet");
    if (wrong == 4)
        pack_str(&out, slice_make(reference, sizeof reference - 1));
    else if (wrong == 5)
        pack_text(&out, "body");
    else if (wrong != 0)
        pack_str(&out, slice_make(envelope, sizeof envelope - 1));
}

static void pack_taken(int wrong)
{
    buffer_clear(&out);
    pack_array(&out, 4);
    pack_u64(&out, 0);
    pack_i64(&out, -1);
    pack_u64(&out, 7);
    pack_array(&out, 2);
    pack_task(-1);
    pack_task(wrong);
}

START_TEST(tasks)
{
    struct queue_taken taken;
    struct queue_task task;
    pack_taken(-1);
    ck_assert(queue_read_taken(packed(), &taken) && taken.due_ms == -1 && taken.waiting == 7);
    ck_assert(queue_next_task(&taken.tasks, &task) && queue_next_task(&taken.tasks, &task));
    ck_assert(slice_is(task.body, "body") && task.alone && task.attempt == 2 &&
              task.at_ms == 1795791287338);
    ck_assert(slice_is(task.id, "1795791287338786") && slice_is(task.facet, "facet"));
    ck_assert(!queue_next_task(&taken.tasks, &task) && queue_list_ok(&taken.tasks));
    for (int wrong = 0; wrong < 6; wrong++) {
        pack_taken(wrong);
        if (!queue_read_taken(packed(), &taken))
            continue;
        ck_assert(queue_next_task(&taken.tasks, &task));
        ck_assert_msg(!queue_next_task(&taken.tasks, &task), "%d", wrong);
        ck_assert(!queue_list_ok(&taken.tasks));
    }
    pack_taken(-1);
    for (size_t len = 0; len < packed().len; len++)
        ck_assert(!queue_read_taken(slice_make(packed().ptr, len), &taken));
    pack_u64(&out, 1);
    ck_assert(!queue_read_taken(packed(), &taken));
}
END_TEST

START_TEST(deliveries)
{
    struct queue_list all;
    struct queue_delivered one;
    buffer_clear(&out);
    pack_array(&out, 2);
    pack_array(&out, 0); /* not even an id */
    pack_text(&out, "why");
    ck_assert(queue_read_delivered(packed(), &all));
    ck_assert(!queue_next_delivered(&all, &one) && !queue_list_ok(&all));
    buffer_clear(&out);
    pack_array(&out, 1);
    pack_text(&out, "");
    ck_assert(queue_read_delivered(packed(), &all) && !queue_next_delivered(&all, &one));
    buffer_clear(&out);
    pack_text(&out, "no list");
    ck_assert(!queue_read_delivered(packed(), &all));
}
END_TEST

START_TEST(pages)
{
    struct queue_list facets;
    char cursor[QUEUE_CURSOR_SIZE];
    bool more;
    static const char *const cursors[] = {"0", "17", "", "123456789012345678901234"};
    for (int i = 0; i < 4; i++) {
        buffer_clear(&out);
        pack_array(&out, 2);
        pack_text(&out, cursors[i]);
        pack_array(&out, 0);
        ck_assert(queue_read_facets(packed(), cursor, &more, &facets) == (i < 2));
        ck_assert(i > 1 || (more == (i == 1) && strcmp(cursor, cursors[i]) == 0));
    }
}
END_TEST

START_TEST(receipts)
{
    char receipt[QUEUE_RECEIPT_SIZE];
    struct slice id;
    uint64_t attempt;
    ck_assert(queue_receipt(slice_of("1795791287338786"), 12, receipt));
    ck_assert_str_eq(receipt, "1795791287338786.12");
    ck_assert(queue_receipt_read(slice_of(receipt), &id, &attempt));
    ck_assert(slice_is(id, "1795791287338786") && attempt == 12);
    static const char *const none[] = {"",
                                       ".",
                                       "1.",
                                       ".1",
                                       "1",
                                       "a.1",
                                       "1.a",
                                       "1.1.1",
                                       "12345678901234567.1",
                                       "1.12345678901234567"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        ck_assert_msg(!queue_receipt_read(slice_of(none[i]), &id, &attempt), "%s", none[i]);
    ck_assert(!queue_receipt(slice_of("x"), 1, receipt));
}
END_TEST

START_TEST(all_others_take_no_half)
{
    struct queue_inbox inbox;
    struct queue_list l;
    struct queue_status s;
    struct queue_letter letter;
    struct queue_facet f;
    struct queue_task task;
    uint64_t a, b;
    buffer_clear(&out);
    pack_array(&out, 1);
    pack_array(&out, 3);
    pack_text(&out, "q");
    pack_u64(&out, 1);
    pack_u64(&out, 1);
    ck_assert(!queue_read_inbox(packed(), &inbox) && !queue_read_placed(packed(), &a, &b));
    ck_assert(queue_read_status(packed(), &l) && !queue_next_status(&l, &s) && !queue_list_ok(&l));
    ck_assert(queue_read_letters(packed(), &l) && !queue_next_letter(&l, true, &letter) &&
              !queue_list_ok(&l));
    ck_assert(queue_read_letters(packed(), &l) && !queue_next_facet(&l, &f) && !queue_list_ok(&l));
    ck_assert(queue_read_peeked(packed(), &l) && !queue_next_peeked(&l, &task) &&
              !queue_list_ok(&l));
}
END_TEST

SUITE_MAIN("queue_answer", tasks, deliveries, pages, receipts, all_others_take_no_half)
