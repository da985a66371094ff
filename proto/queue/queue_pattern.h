/*
 * queue_pattern.h: which patterns a queue may be registered with.
 *
 * Used by the master, for the configuration, and by whoever registers queues or shows them. Pure. A pattern is Lua's,
 * matched within Redis by whoever delivers (BACKBONE.md, Patterns): so it is refused here what Lua would refuse there,
 * what is meant as a regular expression and means something else, and what takes a Redis too long.
 */
#ifndef PROTO_QUEUE_QUEUE_PATTERN_H
#define PROTO_QUEUE_QUEUE_PATTERN_H

#include "common/slice.h"

#include <stdbool.h>

/* Longest topic, facet, pattern and name of a queue, in bytes; queue_lib.lua has it as NAME_MAX. */
#define QUEUE_NAME_MAX 512

/* Most repetitions of a pattern beside `.*` at its begin and its end. */
#define QUEUE_REPETITIONS_MAX 2

/*
 * 0, or -EINVAL with one sentence in `why`: what is wrong, and how it is spelled.
 */
int queue_pattern_check(struct slice pattern, char *why, size_t size);

/*
 * Whether Lua takes it, whatever it is matched with; else *why is what Lua would say. What a foreign client has
 * registered need not hold more than this.
 */
bool queue_pattern_is_lua(struct slice pattern, const char **why);

#endif
