/*
 * ring_node.c: stands in for a cache node where test_cache_manager.py has a real manager between it and Redis: it
 * joins, and says what it was told. It keeps its incarnation in STATE_DIR/ring-NODE, as a node does, and serves
 * nothing.
 *
 * What is sent to it as JSON, one string, is a line of words, and the answer is one line:
 *   state                  INCARNATION MARK WAS EPOCH CLOSED_MS JOINS LEASES, whether the lease runs (1, 0), nodes
 *                          told, NUMBER
 *   claim CELL...          RESULT WAIT_MS, then STATE:VALUE of each
 *   each CELL...           TOKEN=STATE:VALUE of each, claimed one by one in one turn
 *   held CELL:NUMBER...    the same as claim
 *   release CELL:NUMBER... sent
 *   again CELL:NUMBER...   as claim, behind a release in the same turn
 *   flood N                N times a release and a claim in one turn: NUMBER=RESULT of the first claim that is refused,
 *                          or of the last one
 *   sweep                  RESULT, then CELL:NUMBER of each that is its own in Redis
 *   leave                  RESULT
 */
#include "common/clock.h"
#include "proto/cache/cache_ring_cells.h"
#include "workers/skeleton/worker.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Tokens of a flood's claims are above it, and above all others. */
#define RING_NODE_FLOOD (UINT64_C(1) << 62)

struct ring_node {
    struct worker *w;
    char path[4096];
    struct message_ring_joined joined;
    char seed[CACHE_RING_SEED_SIZE];
    uint64_t joins, leases, nodes;
    int64_t until_us;
    uint64_t leave_id;
    uint64_t each_id,
        each_last; /* a request for several claims, and the last one's token; 0: none */
    uint64_t flood_id, flood_last; /* a request for a flood, and its last token; 0: none */
    char cells[4096];              /* that were swept */
    size_t swept;
};

static void ring_node_remember(const struct ring_node *n)
{
    FILE *f = fopen(n->path, "w");
    if (f == NULL)
        exit(1);
    fprintf(f, "%" PRIu64 " %" PRIu64 "\n", n->joined.incarnation, n->joined.mark);
    fclose(f);
}

static void ring_node_recall(struct ring_node *n)
{
    char name[CONTRACT_NAME_MAX];
    FILE *f;
    snprintf(name, sizeof name, "%s", worker_name(n->w));
    for (char *c = name; *c != '\0'; c++)
        *c = *c == '/' ? '-' : *c;
    snprintf(n->path, sizeof n->path, "%s/ring-%s", worker_setting_text(n->w, "platoon.state_dir"),
             name);
    f = fopen(n->path, "r");
    if (f == NULL)
        return;
    if (fscanf(f, "%" SCNu64 " %" SCNu64, &n->joined.incarnation, &n->joined.mark) != 2)
        exit(1);
    fclose(f);
}

static struct worker_peer *ring_node_manager(struct ring_node *n)
{
    struct worker_peer *p = NULL;
    while ((p = worker_peer_next(n->w, p)) != NULL && strcmp(p->type, "cache-manager") != 0)
        continue;
    return p;
}

static void ring_node_on_up(struct worker *w, void *state, struct worker_peer *peer)
{
    struct ring_node *n = state;
    if (strcmp(peer->type, "cache-manager") != 0)
        return;
    struct message_ring_join m = {.incarnation = n->joined.incarnation,
                                  .mark = n->joined.mark,
                                  .seed = slice_make(n->seed, sizeof n->seed),
                                  .address = slice_of("unix:/nowhere")};
    struct buffer *out = worker_compose(w);
    message_ring_join_pack(out, &m);
    worker_must_send(w, peer, out);
}

/* ---- what the manager says ---- */

static bool ring_node_on_joined(struct ring_node *n, struct unpack *u)
{
    if (!message_ring_joined_unpack(u, &n->joined) || n->joined.seed.len != sizeof n->seed)
        return false;
    memcpy(n->seed, n->joined.seed.ptr, sizeof n->seed);
    n->joins++;
    n->until_us = 0;
    ring_node_remember(n);
    return true;
}

static bool ring_node_on_lease(struct ring_node *n, struct unpack *u)
{
    struct message_ring_lease m;
    if (!message_ring_lease_unpack(u, &m))
        return false;
    if (m.mark == n->joined.mark && m.incarnation == n->joined.incarnation) {
        n->until_us = (int64_t)m.until_us;
        n->leases++;
    }
    return true;
}

static bool ring_node_on_claimed(struct ring_node *n, struct unpack *u)
{
    struct message_ring_claimed m;
    struct cache_ring_owner owner;
    char text[4096];
    if (!message_ring_claimed_unpack(u, &m))
        return false;
    if (m.token > RING_NODE_FLOOD) {
        if (n->flood_id != 0 && (m.result != 0 || m.token == n->flood_last)) {
            worker_reply_text(n->w, n->flood_id, CONTROL_OK, "%" PRIu64 "=%" PRIu64,
                              m.token - RING_NODE_FLOOD, m.result);
            n->flood_id = 0;
        }
        return true;
    }
    int len = snprintf(text, sizeof text, "%" PRIu64 " %" PRIu64, m.result, m.wait_ms);
    for (size_t i = 0; cache_ring_get_owner(m.owners, i, &owner); i++)
        len += snprintf(text + len, sizeof text - (size_t)len, " %d:%" PRIu64, (int)owner.state,
                        owner.value);
    if (n->each_id == 0) {
        worker_reply_text(n->w, m.token, CONTROL_OK, "%s", text);
        return true;
    }
    /* One of several: their answers come in the order of their tokens. */
    n->swept +=
        (size_t)snprintf(n->cells + n->swept, sizeof n->cells - n->swept, "%s%" PRIu64 "=%s",
                         n->swept > 0 ? " " : "", m.token, strrchr(text, ' ') + 1);
    if (m.token == n->each_last) {
        worker_reply_text(n->w, n->each_id, CONTROL_OK, "%s", n->cells);
        n->each_id = 0;
    }
    return true;
}

static void ring_node_sweep(struct ring_node *n, uint64_t id, uint64_t bucket, struct slice cursor)
{
    struct buffer *out = worker_compose(n->w);
    message_ring_sweep_pack(
        out, &(struct message_ring_sweep){
                 .token = id, .mark = n->joined.mark, .bucket = bucket, .cursor = cursor});
    worker_must_send(n->w, ring_node_manager(n), out);
}

/* All pages, one after the other. */
static bool ring_node_on_swept(struct ring_node *n, struct unpack *u)
{
    struct message_ring_swept m;
    if (!message_ring_swept_unpack(u, &m))
        return false;
    for (size_t at = 0; at < m.cells.len; at += CACHE_RING_HELD_SIZE)
        n->swept +=
            (size_t)snprintf(n->cells + n->swept, sizeof n->cells - n->swept,
                             " %" PRIu64 ":%" PRIu64, cache_ring_get_number(m.cells.ptr + at),
                             cache_ring_get_number(m.cells.ptr + at + CACHE_RING_CELL_SIZE));
    if (m.result == 0 && m.bucket < CACHE_RING_BUCKETS) {
        ring_node_sweep(n, m.token, m.bucket, m.cursor);
        return true;
    }
    worker_reply_text(n->w, m.token, CONTROL_OK, "%" PRIu64 "%s", m.result, n->cells);
    return true;
}

static bool ring_node_on_left(struct ring_node *n, struct unpack *u)
{
    struct message_ring_left m;
    if (!message_ring_left_unpack(u, &m))
        return false;
    worker_reply_text(n->w, n->leave_id, CONTROL_OK, "%" PRIu64, m.result);
    return true;
}

static bool ring_node_on_nodes(struct ring_node *n, struct unpack *u)
{
    struct message_ring_nodes m;
    if (!message_ring_nodes_unpack(u, &m))
        return false;
    struct unpack list = unpack_start(m.nodes);
    n->nodes = unpack_array(&list);
    return true;
}

static bool ring_node_on_message(struct worker *w, void *state, struct worker_peer *from,
                                 uint64_t type, struct unpack *u)
{
    (void)w;
    (void)from;
    struct ring_node *n = state;
    switch (type) {
    case MESSAGE_RING_JOINED:
        return ring_node_on_joined(n, u);
    case MESSAGE_RING_LEASE:
        return ring_node_on_lease(n, u);
    case MESSAGE_RING_CLAIMED:
        return ring_node_on_claimed(n, u);
    case MESSAGE_RING_NODES:
        return ring_node_on_nodes(n, u);
    case MESSAGE_RING_SWEPT:
        return ring_node_on_swept(n, u);
    case MESSAGE_RING_LEFT:
        return ring_node_on_left(n, u);
    default:
        return false;
    }
}

/* ---- what it is asked ---- */

static void ring_node_tell(struct ring_node *n, uint64_t id)
{
    worker_reply_text(n->w, id, CONTROL_OK,
                      "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
                      " %" PRIu64 " %d %" PRIu64 " %" PRIu64,
                      n->joined.incarnation, n->joined.mark, n->joined.was, n->joined.epoch,
                      n->joined.closed_ms, n->joins, n->leases, clock_boot_us() < n->until_us,
                      n->nodes, n->joined.number);
}

static void ring_node_send(struct ring_node *n, uint64_t id, const char *verb, char *words)
{
    struct buffer cells = BUFFER_EMPTY, *out = worker_compose(n->w);
    bool claim = strcmp(verb, "claim") == 0;
    for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " ")) {
        char *end;
        struct cache_ring_held held = {.cell = strtoull(word, &end, 10)};
        held.number = *end == ':' ? strtoull(end + 1, NULL, 10) : 0;
        if (claim)
            cache_ring_put_cell(&cells, held.cell);
        else
            cache_ring_put_held(&cells, &held);
    }
    struct slice list = buffer_slice(&cells);
    uint64_t mark = n->joined.mark;
    if (claim)
        message_ring_claim_pack(
            out, &(struct message_ring_claim){.token = id, .mark = mark, .cells = list});
    else if (strcmp(verb, "held") == 0)
        message_ring_held_pack(
            out, &(struct message_ring_held){.token = id, .mark = mark, .cells = list});
    else
        message_ring_release_pack(out, &(struct message_ring_release){.mark = mark, .cells = list});
    worker_must_send(n->w, ring_node_manager(n), out);
    buffer_fini(&cells);
}

/* A claim for each cell, all in one turn, with tokens from 1 on. */
static void ring_node_claim_each(struct ring_node *n, uint64_t id, char *words)
{
    n->each_id = id;
    n->each_last = 0;
    n->swept = 0;
    for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " ")) {
        struct buffer cells = BUFFER_EMPTY, *out = worker_compose(n->w);
        cache_ring_put_cell(&cells, strtoull(word, NULL, 10));
        message_ring_claim_pack(out, &(struct message_ring_claim){.token = ++n->each_last,
                                                                  .mark = n->joined.mark,
                                                                  .cells = buffer_slice(&cells)});
        worker_must_send(n->w, ring_node_manager(n), out);
        buffer_fini(&cells);
    }
}

static void ring_node_flood(struct ring_node *n, uint64_t id, uint64_t count)
{
    struct buffer cells = BUFFER_EMPTY;
    cache_ring_put_held(&cells, &(struct cache_ring_held){.cell = 1, .number = 1});
    struct slice held = buffer_slice(&cells), cell = slice_make(held.ptr, CACHE_RING_CELL_SIZE);
    n->flood_id = id;
    n->flood_last = RING_NODE_FLOOD + count;
    for (uint64_t i = 1; i <= count; i++) {
        struct buffer *out = worker_compose(n->w);
        message_ring_release_pack(
            out, &(struct message_ring_release){.mark = n->joined.mark, .cells = held});
        worker_must_send(n->w, ring_node_manager(n), out);
        out = worker_compose(n->w);
        message_ring_claim_pack(out, &(struct message_ring_claim){.token = RING_NODE_FLOOD + i,
                                                                  .mark = n->joined.mark,
                                                                  .cells = cell});
        worker_must_send(n->w, ring_node_manager(n), out);
    }
    buffer_fini(&cells);
}

static void ring_node_leave(struct ring_node *n, uint64_t id)
{
    struct buffer *out = worker_compose(n->w);
    n->leave_id = id;
    message_ring_leave_pack(out, &(struct message_ring_leave){.mark = n->joined.mark});
    worker_must_send(n->w, ring_node_manager(n), out);
}

static void ring_node_on_request(struct worker *w, void *state, const struct link_request *request)
{
    struct ring_node *n = state;
    struct unpack u = unpack_start(request->args);
    char line[4096];
    unpack_array(&u);
    struct slice said = unpack_bytes(&u);
    if (said.len < 2 || said.len >= sizeof line)
        exit(1);
    slice_copy(slice_make(said.ptr + 1, said.len - 2), line, sizeof line); /* without quotes */
    char *words = line + strcspn(line, " ");
    if (*words != '\0')
        *words++ = '\0';
    if (strcmp(line, "state") == 0) {
        ring_node_tell(n, request->id);
    } else if (ring_node_manager(n) == NULL) {
        worker_reply_text(w, request->id, CONTROL_OK, "4 0");
    } else if (strcmp(line, "leave") == 0) {
        ring_node_leave(n, request->id);
    } else if (strcmp(line, "each") == 0) {
        ring_node_claim_each(n, request->id, words);
    } else if (strcmp(line, "flood") == 0) {
        ring_node_flood(n, request->id, strtoull(words, NULL, 10));
    } else if (strcmp(line, "sweep") == 0) {
        n->swept = 0;
        n->cells[0] = '\0';
        ring_node_sweep(n, request->id, 0, slice_of("0"));
    } else if (strcmp(line, "again") == 0) {
        char copy[sizeof line];
        snprintf(copy, sizeof copy, "%s", words);
        ring_node_send(n, request->id, "release", copy);
        ring_node_send(n, request->id, "claim", words);
    } else {
        ring_node_send(n, request->id, line, words);
        if (strcmp(line, "release") == 0)
            worker_reply_text(w, request->id, CONTROL_OK, "sent");
    }
}

static int ring_node_init(struct worker *w, void *state)
{
    struct ring_node *n = state;
    n->w = w;
    ring_node_recall(n);
    return uv_random(NULL, NULL, n->seed, sizeof n->seed, 0, NULL) == 0 ? 0
                                                                        : CONTRACT_EXIT_TEMPORARY;
}

const struct worker_ops worker_ops = {
    .type = "cache-node",
    .mailbox = &worker_mailbox,
    .state_size = sizeof(struct ring_node),
    .init = ring_node_init,
    .on_up = ring_node_on_up,
    .on_message = ring_node_on_message,
    .on_request = ring_node_on_request,
};
