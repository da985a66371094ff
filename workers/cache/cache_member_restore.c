/*
 * cache_member_restore.c: what this node wrote and its log has lost, though it was acknowledged (copies = 2). See
 * cache_member_private.h.
 *
 * A host that has lost its power comes back with a log without its end (fsync), and nobody may have taken over
 * meanwhile. So a process that goes on as who it was asks for its copies before it serves anything. One that is newer
 * than what the log has becomes a stray: it is stored, if the store has nothing newer, before its cell is used. One
 * that is not is of something that is dirty, and stays, or that the store has: it is dropped.
 */
#include "workers/cache/cache_member_private.h"

#include "common/clock.h"
#include "common/log.h"
#include "proto/cache/cache_ring_record.h"
#include "proto/message.h"
#include "workers/cache/cache_second.h"
#include "workers/cache/ring/cache_cell.h"

#include <stdio.h>

void member_restore_begin(struct cache_member *r)
{
    r->walk = MEMBER_RESTORES;
    r->restore_token = 0;
    r->restore_us = 0;
    snprintf(r->restore_cursor, sizeof r->restore_cursor, "0");
    member_restore(r);
}

/* The next page, unless it is asked for. */
void member_restore(struct cache_member *r)
{
    if (r->walk != MEMBER_RESTORES || r->session != MEMBER_IN || r->restore_token != 0 ||
        r->restore_us > clock_boot_us())
        return;
    struct message_ring_fetch m = {
        .token = r->last_token + 1, .mark = r->mark, .cursor = slice_of(r->restore_cursor)};
    message_ring_fetch_pack(r->options.compose(r->options.ctx), &m);
    if (r->options.send(r->options.ctx))
        r->restore_token = ++r->last_token;
}

/* With the next tick. */
static void restore_later(struct cache_member *r)
{
    r->restore_us = clock_boot_us() + (int64_t)MEMBER_LATER_MS * 1000;
}

/* False: memory is short. */
static bool restore_one(struct cache_member *r, const struct cache_ring_copy *copy,
                        const struct cache_ring_object *object, size_t *count)
{
    bool newer;
    struct cache_db_copy told = {.key = copy->key,
                                 .value = object->value,
                                 .version = copy->version,
                                 .expiry_ms = object->expiry_ms,
                                 .form = (enum cache_form)object->form,
                                 .deleted = object->deleted};
    uint64_t cell = cache_cell(copy->key, r->seed);
    if (cache_db_restore(r->node->db, &told, &newer) != CACHE_OK)
        return false;
    *count += newer;
    if (!newer && !cache_db_is_dirty(r->node->db, copy->key) && r->node->second != NULL)
        cache_second_drop(r->node->second, copy->key, copy->version);
    if (newer && cache_cells_state(r->cells, cell) == CACHE_CELL_UNKNOWN)
        r->reclaims = member_event(r, cell, CACHE_ON_RECLAIM, 0) == CACHE_DO_ASK || r->reclaims;
    return true;
}

/* False: it is no list. *all: none is to be told again. */
static bool restore_page(struct cache_member *r, struct slice list, bool *all)
{
    struct cache_ring_copy copy;
    struct cache_ring_object object;
    size_t count = 0;
    *all = true;
    while (*all && cache_ring_take_copy(&list, &copy)) {
        if (!cache_ring_read_record(copy.record, &object))
            return false;
        *all = restore_one(r, &copy, &object, &count);
    }
    if (count > 0)
        log_warn(
            "log-was-behind",
            "objects=%zu reason=\"Redis has newer copies of what this node wrote than its log: "
            "they are stored\"",
            count);
    return list.len == 0 || !*all;
}

bool member_on_fetched(struct cache_member *r, struct unpack *u)
{
    struct message_ring_fetched m;
    bool all = false;
    if (!message_ring_fetched_unpack(u, &m) || m.cursor.len >= sizeof r->restore_cursor)
        return false;
    if (m.token == 0 || m.token != r->restore_token || r->walk != MEMBER_RESTORES)
        return true;      /* of an earlier session */
    r->restore_token = 0; /* unless more of this page follows */
    if (m.result == CACHE_RING_OK && !restore_page(r, m.copies, &all))
        return false;
    if (!all) {
        restore_later(r);
        return true;
    }
    if (m.cursor.len == 0) {
        r->restore_token = m.token;
        return true;
    }
    slice_copy(m.cursor, r->restore_cursor, sizeof r->restore_cursor);
    if (slice_is(m.cursor, "0")) {
        r->restores = false;
        member_reclaim(r);
    }
    return true; /* the next page at the end of this turn */
}
