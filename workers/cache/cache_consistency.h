/*
 * cache_consistency.h: how fresh a read must be, whoever asks: a client, an actor's call, `ask`.
 *
 * Runs in a cache node. One node has all objects and is asked nothing but strong; in a ring it says who answers:
 *   strong    the owner
 *   eventual  the node's own memory, whatever its age, else the store; no other node
 *   bounded   a copy that its owner confirmed at most so many milliseconds ago, else as strong
 */
#ifndef WORKERS_CACHE_CONSISTENCY_H
#define WORKERS_CACHE_CONSISTENCY_H

enum cache_consistency { CACHE_STRONG, CACHE_EVENTUAL, CACHE_BOUNDED };

#endif
