/* fuzz_queue_answer.c: what a Redis, or what is none, answers a script of the queues (queue_answer.h). */
#include "proto/queue/queue_answer.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

/* The first byte of what is read is looked at: it must be there. */
static unsigned touch(struct slice s)
{
    return s.len > 0 ? (unsigned char)s.ptr[0] + (unsigned char)s.ptr[s.len - 1] : 0;
}

static unsigned read_messages(struct slice bytes)
{
    struct queue_taken taken;
    struct queue_task task;
    struct queue_list l;
    char receipt[QUEUE_RECEIPT_SIZE];
    unsigned sum = 0;
    if (queue_read_taken(bytes, &taken))
        while (queue_next_task(&taken.tasks, &task)) {
            struct slice id;
            uint64_t attempt;
            sum += touch(task.facet) + touch(task.body);
            if (!queue_receipt(task.id, task.attempt % 1000, receipt) ||
                !queue_receipt_read(slice_of(receipt), &id, &attempt) || !slice_equal(id, task.id))
                abort();
        }
    if (queue_read_peeked(bytes, &l))
        while (queue_next_peeked(&l, &task))
            sum += touch(task.id) + touch(task.body);
    return sum;
}

static unsigned read_deliveries(struct slice bytes)
{
    struct queue_delivered one;
    struct queue_inbox inbox;
    struct queue_list l;
    struct slice name;
    uint64_t placed, dead;
    unsigned sum = queue_read_placed(bytes, &placed, &dead);
    if (queue_read_delivered(bytes, &l))
        while (queue_next_delivered(&l, &one))
            while (queue_next_name(&one.queues, &name))
                sum += touch(name) + touch(one.refused);
    if (queue_read_inbox(bytes, &inbox))
        while (queue_next_name(&inbox.bodies, &name))
            sum += touch(name);
    return sum;
}

static unsigned read_shown(struct slice bytes)
{
    struct queue_status s;
    struct queue_facet f;
    struct queue_letter letter;
    struct queue_list l;
    struct slice name;
    char cursor[QUEUE_CURSOR_SIZE];
    bool more;
    unsigned sum = 0;
    if (queue_read_status(bytes, &l))
        while (queue_next_status(&l, &s))
            while (queue_next_name(&s.wrong, &name))
                sum += touch(s.queue) + touch(name);
    if (queue_read_facets(bytes, cursor, &more, &l))
        while (queue_next_facet(&l, &f))
            sum += touch(f.facet) + (unsigned)strlen(cursor);
    for (int shown = 0; shown < 2; shown++)
        if (queue_read_letters(bytes, &l))
            while (queue_next_letter(&l, shown, &letter))
                sum += touch(letter.reason) + touch(letter.body);
    return sum;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct slice bytes = slice_make(data, size);
    unsigned sum = read_messages(bytes) + read_deliveries(bytes) + read_shown(bytes);
    __asm__ volatile("" : : "r"(sum)); /* it is used: else what touches would be left out */
    return 0;
}
