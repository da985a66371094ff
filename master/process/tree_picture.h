/*
 * tree_picture.h: the tree as it is shown: to the tool, to /metrics, to whoever asks with LOOK.
 *
 * Runs in the master. Beside what the nodes hold it tells what only their processes know: number, memory, time. Reads
 * /proc: some microseconds a process.
 */
#ifndef MASTER_TREE_PICTURE_H
#define MASTER_TREE_PICTURE_H

#include "master/tree/tree.h"

/*
 * Packs the node and all below it as PROTOCOL.md, Control socket, says; a worker's temporary children, which are its
 * siblings in the tree, stand below it. `extra_pairs` more map pairs follow by the caller.
 */
void node_pack(struct buffer *out, const struct node *n, uint64_t now_ms, uint32_t extra_pairs);

/* What is wrong with a worker, as one line for people. False: nothing is (node_is_ready); `text` is undefined then. */
bool node_problem(const struct node *n, uint64_t now_ms, char *text, size_t size);

/* Packs `problems`: an array of one line for each worker that is not ready or reports trouble. */
void node_pack_problems(struct buffer *out, struct node *n, uint64_t now_ms);

#endif
