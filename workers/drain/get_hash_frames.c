/*
 * get_hash_frames.c: records on their way to the transfers and back. See get_hash.h.
 *
 * A frame holds records of one claim. Until a transfer can take it, it is kept here; once sent, only its bookkeeping
 * is: if the transfer dies, the claim goes back to the ledger and its hashes are read again.
 */
#include "workers/drain/get_hash.h"

#include "common/fault.h"
#include "workers/drain/get_hash_policy.h"

#include <stdlib.h>

#define GET_HASH_TRANSFERS_MAX 64 /* transfer.workers' upper bound (proto/drain/drain.h) */

struct get_hash_frame {
    struct get_hash_frame *next;
    struct get_hash_claim *claim;
    uint64_t token;
    struct worker_peer *to; /* NULL while it waits */
    struct buffer records;  /* emptied once sent */
    size_t bytes;
    size_t count;
    struct get_hash_item **items;
};

static void get_hash_frame_free(struct get_hash *g, struct get_hash_frame *f)
{
    g->bytes -= f->bytes;
    f->claim->frames--;
    buffer_fini(&f->records);
    free(f->items);
    free(f);
}

/* ---- out ---- */

bool get_hash_frames_add(struct get_hash_claim *c)
{
    struct get_hash *g = c->g;
    struct get_hash_frame *f = calloc(1, sizeof *f);
    struct get_hash_item **items = calloc(c->records_count, sizeof *items);
    if (f == NULL || items == NULL) {
        free(f);
        free(items);
        return false;
    }
    for (size_t i = 0; i < c->count && f->count < c->records_count; i++) {
        struct get_hash_item *item = &c->items[i];
        if (item->fate == GET_HASH_PACKED) {
            item->fate = GET_HASH_SENT;
            items[f->count++] = item;
        }
    }
    f->claim = c;
    f->items = items;
    f->token = ++g->next_token;
    f->bytes = c->records.len;
    f->records = c->records;
    c->records = BUFFER_EMPTY;
    c->records_count = 0;
    c->frames++;
    struct get_hash_frame **end = &g->frames;
    while (*end != NULL)
        end = &(*end)->next;
    *end = f;
    get_hash_frames_pump(g);
    return true;
}

static size_t get_hash_outstanding(const struct get_hash *g, const struct worker_peer *transfer)
{
    size_t bytes = 0;
    for (const struct get_hash_frame *f = g->frames; f != NULL; f = f->next)
        if (f->to == transfer)
            bytes += f->bytes;
    return bytes;
}

static bool get_hash_frame_send(struct get_hash *g, struct get_hash_frame *f,
                                struct worker_peer *to)
{
    if (FAULT_POINT("get-hash.before-records", slice_of(f->claim->id)))
        return false;
    struct message_records m = {
        .token = f->token, .count = f->count, .records = buffer_slice(&f->records)};
    struct buffer *out = worker_compose(g->w);
    message_records_pack(out, &m);
    if (worker_send(g->w, to, out) != 0)
        return false; /* it does not keep up, or memory is short: the next STORED or tick tries again */
    f->to = to;
    buffer_fini(&f->records);
    return true;
}

void get_hash_frames_pump(struct get_hash *g)
{
    struct worker_peer *transfers[GET_HASH_TRANSFERS_MAX];
    size_t outstanding[GET_HASH_TRANSFERS_MAX];
    size_t count = 0;
    for (struct worker_peer *p = worker_peer_next(g->w, NULL); p != NULL;
         p = worker_peer_next(g->w, p)) {
        if (strcmp(p->type, "transfer") == 0 && count < GET_HASH_TRANSFERS_MAX) {
            outstanding[count] = get_hash_outstanding(g, p);
            transfers[count++] = p;
        }
    }
    for (struct get_hash_frame *f = g->frames; f != NULL; f = f->next) {
        if (f->to != NULL)
            continue;
        int best = get_hash_choose(outstanding, count, f->bytes, g->window);
        if (best < 0 || !get_hash_frame_send(g, f, transfers[best]))
            return;
        outstanding[best] += f->bytes;
    }
}

bool get_hash_frames_wait(const struct get_hash *g)
{
    for (const struct get_hash_frame *f = g->frames; f != NULL; f = f->next)
        if (f->to == NULL)
            return true;
    return false;
}

/* ---- back ---- */

bool get_hash_frames_stored(struct get_hash *g, const struct message_stored *m)
{
    struct get_hash_frame **at = &g->frames;
    while (*at != NULL && (*at)->token != m->token)
        at = &(*at)->next;
    struct get_hash_frame *f = *at;
    if (f == NULL || f->to == NULL)
        return true;
    *at = f->next;
    struct get_hash_claim *c = f->claim;
    bool good = get_hash_claim_stored(c, f->items, f->count, m->refused);
    get_hash_frame_free(g, f);
    if (!good)
        get_hash_claim_release(c, GET_HASH_UNREADABLE, true);
    get_hash_claim_go(c);
    get_hash_frames_pump(g);
    return good;
}

void get_hash_frames_drop(struct get_hash_claim *c)
{
    struct get_hash_frame **at = &c->g->frames;
    while (*at != NULL) {
        struct get_hash_frame *f = *at;
        if (f->claim != c) {
            at = &f->next;
            continue;
        }
        *at = f->next;
        get_hash_frame_free(c->g, f);
    }
}

static struct get_hash_claim *get_hash_claim_at(const struct get_hash *g,
                                                const struct worker_peer *transfer)
{
    for (struct get_hash_frame *f = g->frames; f != NULL; f = f->next)
        if (f->to == transfer)
            return f->claim;
    return NULL;
}

void get_hash_frames_down(struct get_hash *g, const struct worker_peer *transfer,
                          const char *reason)
{
    struct get_hash_claim *c;
    while ((c = get_hash_claim_at(g, transfer)) != NULL) {
        get_hash_claim_release(c, reason, true);
        get_hash_frames_drop(c); /* whatever its phase: else the loop would find it again */
        get_hash_claim_go(c);
    }
    get_hash_frames_pump(g);
}
