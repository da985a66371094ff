/*
 * queue_takes.h: the words of a program's `takes`.
 *
 * Runs in the master and in the tool. Pure.
 */
#ifndef MASTER_QUEUE_QUEUE_TAKES_H
#define MASTER_QUEUE_QUEUE_TAKES_H

#include "common/slice.h"

#include <stdint.h>

/* Most queues that one program takes from, and the largest weight of one. */
#define QUEUE_TAKES_MAX  64
#define QUEUE_WEIGHT_MAX 1000

/* "google*10" is google and 10, "google" has the weight 1. False when it is neither. `name` points into the word. */
bool queue_takes_word(const char *word, struct slice *name, uint64_t *weight);

#endif
