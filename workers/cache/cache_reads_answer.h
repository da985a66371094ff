/*
 * cache_reads_answer.h: what another node answers to PLATOON.COPY.
 *
 * Runs in a cache node of a ring. Pure: reads an array of value (nil: there is none), PEXPIRETIME's number (-1: never),
 * version and form, in RESP2, and keeps nothing.
 */
#ifndef WORKERS_CACHE_READS_ANSWER_H
#define WORKERS_CACHE_READS_ANSWER_H

#include "workers/cache/memory/cache_copies.h"

/* False: it is no such answer. copy->value is a part of `answer`; copy->confirmed_ms is 0. */
bool cache_reads_answer(struct slice answer, struct cache_copy *copy);

#endif
