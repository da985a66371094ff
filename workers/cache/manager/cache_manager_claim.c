/*
 * cache_manager_claim.c: cells that nodes claim, claim again and give back. See cache_manager_private.h.
 *
 * What a node asks for in one turn of the loop is one call of a script, as long as it is of one kind and of one
 * session (the mark of its join): a batch. They are sent in the order in which they were asked for, and Redis does
 * them in that order: a release overtakes no claim. A claim that could not be done is never asked again from here:
 * the node does, when it still wants it.
 */
#include "workers/cache/manager/cache_manager_private.h"

#include "common/clock.h"
#include "proto/cache/cache_ring_cells.h"

#include <errno.h>
#include <stdlib.h>

/* One request of a batch. */
struct manager_part {
    uint64_t token;
    size_t count; /* of its cells */
};

struct manager_batch {
    struct manager *m;
    char name[CONTRACT_NAME_MAX];
    uint64_t generation;
    enum cache_ring_script script;
    struct cache_ring_holder who;
    size_t count, part_count;
    struct cache_ring_held cells[CACHE_RING_CALL_MAX];
    struct manager_part parts[CACHE_RING_CALL_MAX];
};

/* ---- answers ---- */

static void manager_send_claimed(struct manager *m, struct worker_peer *peer,
                                 const struct message_ring_claimed *message)
{
    struct buffer *out = worker_compose(m->w);
    message_ring_claimed_pack(out, message);
    worker_must_send(m->w, peer, out);
}

static void manager_refuse(struct manager *m, struct worker_peer *peer, uint64_t token,
                           uint64_t result, uint64_t wait_ms)
{
    struct message_ring_claimed message = {
        .token = token, .result = result, .wait_ms = wait_ms, .owners = slice_of("")};
    manager_send_claimed(m, peer, &message);
}

static void manager_refuse_batch(const struct manager_batch *b, struct worker_peer *peer,
                                 uint64_t result, uint64_t wait_ms)
{
    for (size_t i = 0; i < b->part_count && b->script != CACHE_RING_RELEASE; i++)
        manager_refuse(b->m, peer, b->parts[i].token, result, wait_ms);
}

/* Each request its own part of the answer. */
static void manager_answer_batch(const struct manager_batch *b, struct worker_peer *peer,
                                 const struct cache_ring_owner *owners, uint64_t redis_us)
{
    struct buffer bytes = BUFFER_EMPTY;
    size_t at = 0;
    for (size_t i = 0; i < b->part_count; i++) {
        buffer_clear(&bytes);
        for (size_t end = at + b->parts[i].count; at < end; at++)
            cache_ring_put_owner(&bytes, &owners[at]);
        struct message_ring_claimed message = {
            .token = b->parts[i].token, .redis_us = redis_us, .owners = buffer_slice(&bytes)};
        if (buffer_ok(&bytes))
            manager_send_claimed(b->m, peer, &message);
        else
            manager_refuse(b->m, peer, b->parts[i].token, MANAGER_AWAY, 0);
    }
    buffer_fini(&bytes);
}

static void manager_on_owners(const struct manager_batch *b, struct worker_peer *peer,
                              struct slice bytes)
{
    struct cache_ring_owner owners[CACHE_RING_CALL_MAX];
    struct cache_ring_answer a;
    struct manager *m = b->m;
    if (!cache_ring_read_owners(bytes, &a, owners, b->count)) {
        manager_is_garbled(m, b->script);
        manager_refuse_batch(b, peer, MANAGER_AWAY, 0);
    } else if (a.status == CACHE_RING_OK) {
        manager_answer_batch(b, peer, owners, b->script == CACHE_RING_CLAIM ? a.value : 0);
    } else {
        manager_refuse_batch(b, peer, a.status, a.status == CACHE_RING_CLOSED ? a.value : 0);
    }
}

/* Nobody waits for it: what was not given back stays the node's, and it claims or gives it back once more. */
static void manager_on_released(struct manager *m, struct slice bytes)
{
    struct cache_ring_answer a;
    if (!cache_ring_read(bytes, &a))
        manager_is_garbled(m, CACHE_RING_RELEASE);
}

static void manager_on_batch(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    (void)c;
    struct manager_batch *b = ctx;
    struct manager *m = b->m;
    struct slice bytes;
    struct worker_peer *peer;
    bool there = manager_find(m, b->name, b->generation, &peer) != NULL;
    bool told = manager_bytes(m, b->script, reply, &bytes);
    m->batches--;
    if (b->script == CACHE_RING_RELEASE && told)
        manager_on_released(m, bytes);
    else if (there && told)
        manager_on_owners(b, peer, bytes);
    else if (there)
        manager_refuse_batch(b, peer, MANAGER_AWAY, 0);
    free(b);
}

/* ---- asking ---- */

static int manager_call_batch(struct manager *m, const struct manager_batch *b)
{
    uint64_t cells[CACHE_RING_CALL_MAX];
    if (b->script == CACHE_RING_HELD)
        return cache_ring_held(&m->call, manager_run(m), &b->who, b->cells, b->count);
    if (b->script == CACHE_RING_RELEASE)
        return cache_ring_release(&m->call, manager_run(m), &b->who, b->cells, b->count);
    for (size_t i = 0; i < b->count; i++)
        cells[i] = b->cells[i].cell;
    return cache_ring_claim(&m->call, manager_run(m), &b->who, cells, b->count);
}

void manager_flush(struct manager *m, struct worker_peer *peer)
{
    struct manager_node *n = peer->user;
    struct manager_batch *b = n->batch;
    n->batch = NULL;
    if (b == NULL)
        return;
    if (m->batches < MANAGER_BATCHES_MAX &&
        manager_send(m, manager_call_batch(m, b), manager_on_batch, b) == 0) {
        m->batches++;
        return;
    }
    manager_refuse_batch(b, peer, MANAGER_AWAY, 0);
    free(b);
}

void manager_on_turn(uv_timer_t *timer)
{
    struct manager *m = timer->data;
    for (struct worker_peer *p = NULL; (p = worker_peer_next(m->w, p)) != NULL;)
        if (p->user != NULL)
            manager_flush(m, p);
}

void manager_drop_batch(struct manager_node *n)
{
    free(n->batch);
    n->batch = NULL;
}

/* The batch that has room for so many cells more. NULL: memory is short. */
static struct manager_batch *manager_batch(struct manager *m, struct worker_peer *peer,
                                           enum cache_ring_script script, size_t count)
{
    struct manager_node *n = peer->user;
    struct manager_batch *b = n->batch;
    if (b != NULL && (b->script != script || b->who.mark != n->who.mark ||
                      b->count + count > CACHE_RING_CALL_MAX))
        manager_flush(m, peer);
    if (n->batch != NULL)
        return n->batch;
    n->batch = calloc(1, sizeof *n->batch);
    if (n->batch == NULL)
        return NULL;
    n->batch->m = m;
    n->batch->generation = peer->generation;
    n->batch->script = script;
    n->batch->who = n->who;
    slice_copy(slice_of(peer->name), n->batch->name, sizeof n->batch->name);
    uv_timer_start(&m->turn_timer, manager_on_turn, 0, 0);
    return n->batch;
}

uint64_t manager_obstacle(const struct manager *m, const struct manager_node *n, uint64_t mark)
{
    if (m->run[0] == '\0')
        return MANAGER_AWAY;
    if (n == NULL || n->state != MANAGER_JOINED || n->who.mark != mark)
        return CACHE_RING_MUST_JOIN;
    return m->look.info.evicts ? MANAGER_AWAY : 0;
}

/* Until this machine's clock says too that the ring is open; 0: it does. */
static uint64_t manager_shut_ms(const struct manager *m)
{
    int64_t now = clock_boot_us();
    return m->open_us > now ? (uint64_t)(m->open_us - now) / 1000 + 1 : 0;
}

/* `width`: bytes of each cell. */
static bool manager_add(struct manager *m, struct worker_peer *from, enum cache_ring_script script,
                        uint64_t token, struct slice cells, size_t width)
{
    size_t count = cells.len / width;
    struct manager_batch *b = manager_batch(m, from, script, count);
    if (b == NULL)
        return false;
    b->parts[b->part_count++] = (struct manager_part){.token = token, .count = count};
    for (size_t i = 0; i < count; i++)
        b->cells[b->count++] = (struct cache_ring_held){
            .cell = cache_ring_get_number(cells.ptr + i * width),
            .number = width == CACHE_RING_HELD_SIZE
                          ? cache_ring_get_number(cells.ptr + i * width + CACHE_RING_CELL_SIZE)
                          : 0};
    return true;
}

/* Some cells, not too many, and nothing else. */
static bool manager_is_list(struct slice cells, size_t width)
{
    return cells.len > 0 && cells.len % width == 0 && cells.len / width <= CACHE_RING_CALL_MAX;
}

bool manager_on_claim(struct manager *m, struct worker_peer *from, struct unpack *u)
{
    struct message_ring_claim message;
    if (!message_ring_claim_unpack(u, &message) ||
        !manager_is_list(message.cells, CACHE_RING_CELL_SIZE))
        return false;
    uint64_t why = manager_obstacle(m, from->user, message.mark), shut_ms = manager_shut_ms(m);
    if (why == 0 && shut_ms > 0)
        why = CACHE_RING_CLOSED;
    if (why == 0 &&
        !manager_add(m, from, CACHE_RING_CLAIM, message.token, message.cells, CACHE_RING_CELL_SIZE))
        why = MANAGER_AWAY;
    if (why != 0)
        manager_refuse(m, from, message.token, why, why == CACHE_RING_CLOSED ? shut_ms : 0);
    return true;
}

bool manager_on_held(struct manager *m, struct worker_peer *from, struct unpack *u)
{
    struct message_ring_held message;
    if (!message_ring_held_unpack(u, &message) ||
        !manager_is_list(message.cells, CACHE_RING_HELD_SIZE))
        return false;
    uint64_t why = manager_obstacle(m, from->user, message.mark);
    if (why == 0 &&
        !manager_add(m, from, CACHE_RING_HELD, message.token, message.cells, CACHE_RING_HELD_SIZE))
        why = MANAGER_AWAY;
    if (why != 0)
        manager_refuse(m, from, message.token, why, 0);
    return true;
}

bool manager_on_release(struct manager *m, struct worker_peer *from, struct unpack *u)
{
    struct message_ring_release message;
    if (!message_ring_release_unpack(u, &message) ||
        !manager_is_list(message.cells, CACHE_RING_HELD_SIZE))
        return false;
    if (manager_obstacle(m, from->user, message.mark) == 0)
        manager_add(m, from, CACHE_RING_RELEASE, 0, message.cells, CACHE_RING_HELD_SIZE);
    return true;
}
