/*
 * events.h: the newest moves of workers between states, kept for `platoonctl watch`.
 *
 * Runs in the master, one thread. A ring of fixed size, so that noting a move can neither fail nor
 * grow; the oldest go first.
 */
#ifndef MASTER_EVENTS_H
#define MASTER_EVENTS_H

#include "master/tree/state.h"

#define EVENTS_MAX 2048

/* Notes a move that has just been made (supervisor_ops.moved). */
void events_add(const struct node *worker, enum node_state from, enum state_event event);

/*
 * Appends an array of maps {time_ms, name, from, to, event, generation, cause} to `out`: those after event number
 * `after` that belong to `name` (tree_name_matches), at most the last `limit`. *last is the number of the newest there
 * is, *lost how many after `after` are no longer there. Returns how many.
 */
size_t events_pack(struct buffer *out, const char *name, uint64_t after, size_t limit,
                   uint64_t *last, uint64_t *lost);

/*
 * Takes over what events_pack of another master gave for "" and all, whose newest event had the number `last`:
 * numbering goes on from there. What cannot be read is left out.
 */
void events_restore(struct slice packed, uint64_t last);

#endif
