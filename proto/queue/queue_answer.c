/* queue_answer.c: the answers of the queues' scripts. See queue_answer.h. */
#include "proto/queue/queue_answer.h"

#include "proto/queue/queue_element.h"

#include <inttypes.h>
#include <stdio.h>

/* An array that ends where its container says; its entries are checked when they are read. */
static struct queue_list unpack_list(struct unpack *u)
{
    struct slice raw = unpack_raw(u);
    struct unpack whole = unpack_start(raw);
    struct queue_list l = {.left = unpack_array(&whole)};
    u->failed |= whole.failed;
    l.u = whole;
    return l;
}

static bool list_next(struct queue_list *l)
{
    if (l->left == 0 || !unpack_ok(&l->u))
        return false;
    l->left--;
    return true;
}

/* A whole answer that is one array. */
static bool read_list(struct slice bytes, struct queue_list *list)
{
    struct unpack u = unpack_start(bytes);
    struct queue_list read = unpack_list(&u);
    if (!unpack_end(&u))
        return false;
    *list = read;
    return true;
}

static bool unpack_flag(struct unpack *u)
{
    uint64_t flag = unpack_u64(u);
    u->failed |= flag > 1;
    return flag == 1;
}

static bool is_id(struct slice id)
{
    if (id.len == 0 || id.len > QUEUE_ID_MAX)
        return false;
    for (size_t i = 0; i < id.len; i++)
        if (id.ptr[i] < '0' || id.ptr[i] > '9')
            return false;
    return true;
}

static struct slice unpack_id(struct unpack *u)
{
    struct slice id = unpack_bytes(u);
    u->failed |= !is_id(id);
    return id;
}

/* The entry, once it was read to its end. */
#define NEXT_END(l, read, out)                                                                     \
    do {                                                                                           \
        if (!unpack_ok(&(l)->u))                                                                   \
            return false;                                                                          \
        *(out) = (read);                                                                           \
        return true;                                                                               \
    } while (0)

/* ---- messages ---- */

bool queue_read_taken(struct slice bytes, struct queue_taken *taken)
{
    struct unpack u = unpack_start(bytes);
    u.failed |= unpack_array(&u) != 4;
    struct queue_taken read = {.paused = unpack_flag(&u)};
    read.due_ms = unpack_i64(&u);
    read.waiting = unpack_u64(&u);
    read.tasks = unpack_list(&u);
    if (!unpack_end(&u))
        return false;
    *taken = read;
    return true;
}

bool queue_next_task(struct queue_list *l, struct queue_task *task)
{
    struct queue_task read = {0};
    if (!list_next(l))
        return false;
    l->u.failed |= unpack_array(&l->u) != 4;
    read.attempt = unpack_u64(&l->u);
    read.alone = unpack_flag(&l->u);
    read.facet = unpack_bytes(&l->u);
    const struct queue_element e = queue_element_read(unpack_bytes(&l->u));
    l->u.failed |= e.kind != QUEUE_ENVELOPE;
    read.id = e.id;
    read.at_ms = (int64_t)e.at_ms;
    read.body = e.body;
    NEXT_END(l, read, task);
}

bool queue_read_peeked(struct slice bytes, struct queue_list *tasks)
{
    return read_list(bytes, tasks);
}

bool queue_next_peeked(struct queue_list *l, struct queue_task *task)
{
    struct queue_task read = {0};
    if (!list_next(l))
        return false;
    l->u.failed |= unpack_array(&l->u) != 5;
    read.id = unpack_bytes(&l->u);
    l->u.failed |= read.id.len > 0 && !is_id(read.id);
    read.attempt = unpack_u64(&l->u);
    read.facet = unpack_bytes(&l->u);
    read.at_ms = unpack_i64(&l->u);
    read.body = unpack_bytes(&l->u);
    NEXT_END(l, read, task);
}

bool queue_receipt(struct slice id, uint64_t attempt, char receipt[QUEUE_RECEIPT_SIZE])
{
    if (!is_id(id))
        return false;
    snprintf(receipt, QUEUE_RECEIPT_SIZE, "%.*s.%" PRIu64, (int)id.len, id.ptr, attempt);
    return true;
}

bool queue_receipt_read(struct slice receipt, struct slice *id, uint64_t *attempt)
{
    const char *dot = receipt.len > 0 ? memchr(receipt.ptr, '.', receipt.len) : NULL;
    if (dot == NULL)
        return false;
    struct slice front = slice_make(receipt.ptr, (size_t)(dot - receipt.ptr));
    struct slice behind = slice_make(dot + 1, receipt.len - front.len - 1);
    if (!is_id(front) || !is_id(behind))
        return false;
    uint64_t number = 0;
    for (size_t i = 0; i < behind.len; i++)
        number = number * 10 + (uint64_t)(behind.ptr[i] - '0');
    *id = front;
    *attempt = number;
    return true;
}

/* ---- deliveries ---- */

bool queue_read_delivered(struct slice bytes, struct queue_list *all)
{
    return read_list(bytes, all);
}

bool queue_next_delivered(struct queue_list *l, struct queue_delivered *one)
{
    struct queue_delivered read = {.id = slice_of(""), .refused = slice_of("")};
    if (!list_next(l))
        return false;
    if (unpack_peek(&l->u) == UNPACK_ARRAY) {
        read.queues = unpack_list(&l->u);
        l->u.failed |= read.queues.left == 0;
        read.queues.left -= read.queues.left > 0;
        read.id = unpack_id(&read.queues.u);
        l->u.failed |= !unpack_ok(&read.queues.u);
    } else {
        read.refused = unpack_bytes(&l->u);
        l->u.failed |= read.refused.len == 0;
    }
    NEXT_END(l, read, one);
}

bool queue_next_name(struct queue_list *l, struct slice *name)
{
    if (!list_next(l))
        return false;
    struct slice read = unpack_bytes(&l->u);
    NEXT_END(l, read, name);
}

bool queue_read_inbox(struct slice bytes, struct queue_inbox *inbox)
{
    struct unpack u = unpack_start(bytes);
    u.failed |= unpack_array(&u) != 3;
    struct queue_inbox read = {.taken = unpack_u64(&u)};
    read.left = unpack_u64(&u);
    read.bodies = unpack_list(&u);
    if (!unpack_end(&u))
        return false;
    *inbox = read;
    return true;
}

bool queue_read_placed(struct slice bytes, uint64_t *placed, uint64_t *dead)
{
    struct unpack u = unpack_start(bytes);
    u.failed |= unpack_array(&u) != 2;
    uint64_t some = unpack_u64(&u), others = unpack_u64(&u);
    if (!unpack_end(&u))
        return false;
    *placed = some;
    *dead = others;
    return true;
}

/* ---- what is shown ---- */

bool queue_read_names(struct slice bytes, struct queue_list *names)
{
    return read_list(bytes, names);
}

bool queue_read_status(struct slice bytes, struct queue_list *all)
{
    return read_list(bytes, all);
}

bool queue_next_status(struct queue_list *l, struct queue_status *status)
{
    struct queue_status read = {0};
    if (!list_next(l))
        return false;
    struct unpack *u = &l->u;
    u->failed |= unpack_array(u) != 18;
    read.queue = unpack_bytes(u);
    read.registered = unpack_flag(u);
    read.pattern = unpack_bytes(u);
    read.raw = unpack_flag(u);
    read.paused = unpack_flag(u);
    read.waiting = unpack_u64(u);
    read.in_flight = unpack_u64(u);
    read.delayed = unpack_u64(u);
    read.dead = unpack_u64(u);
    read.facets = unpack_u64(u);
    read.oldest_ms = unpack_i64(u);
    read.delivered = unpack_u64(u);
    read.acked = unpack_u64(u);
    read.retried = unpack_u64(u);
    read.expired = unpack_u64(u);
    read.late = unpack_u64(u);
    read.moved = unpack_u64(u);
    read.wrong = unpack_list(u);
    NEXT_END(l, read, status);
}

bool queue_read_facets(struct slice bytes, char cursor[QUEUE_CURSOR_SIZE], bool *more,
                       struct queue_list *facets)
{
    struct unpack u = unpack_start(bytes);
    u.failed |= unpack_array(&u) != 2;
    struct slice next = unpack_bytes(&u);
    struct queue_list read = unpack_list(&u);
    if (!unpack_end(&u) || next.len == 0 || next.len >= QUEUE_CURSOR_SIZE ||
        !slice_copy(next, cursor, QUEUE_CURSOR_SIZE))
        return false;
    *more = !slice_is(next, "0");
    *facets = read;
    return true;
}

bool queue_next_facet(struct queue_list *l, struct queue_facet *facet)
{
    struct queue_facet read = {0};
    if (!list_next(l))
        return false;
    l->u.failed |= unpack_array(&l->u) != 5;
    read.facet = unpack_bytes(&l->u);
    read.waiting = unpack_u64(&l->u);
    read.in_flight = unpack_u64(&l->u);
    read.weight = unpack_u64(&l->u);
    read.oldest_ms = unpack_i64(&l->u);
    NEXT_END(l, read, facet);
}

bool queue_read_letters(struct slice bytes, struct queue_list *letters)
{
    return read_list(bytes, letters);
}

bool queue_next_letter(struct queue_list *l, bool shown, struct queue_letter *letter)
{
    struct queue_letter read = {.body = slice_of("")};
    if (!list_next(l))
        return false;
    l->u.failed |= unpack_array(&l->u) != (shown ? 7 : 6);
    read.id = unpack_id(&l->u);
    read.facet = unpack_bytes(&l->u);
    read.attempts = unpack_u64(&l->u);
    read.reason = unpack_bytes(&l->u);
    read.at_ms = unpack_i64(&l->u);
    read.bytes = unpack_u64(&l->u);
    if (shown)
        read.body = unpack_bytes(&l->u);
    NEXT_END(l, read, letter);
}
