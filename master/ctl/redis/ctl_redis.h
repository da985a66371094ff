/*
 * ctl_redis.h: what people see of a Redis reply. Pure, for the verb and for tests.
 *
 * Runs in platoonctl. As ctl_render.h.
 */
#ifndef MASTER_CTL_REDIS_CTL_REDIS_H
#define MASTER_CTL_REDIS_CTL_REDIS_H

#include "common/buffer.h"

/*
 * A Redis reply, still msgpack, as redis-cli prints it: raw, or (people = true) with types, quotes and numbers. False
 * when it is no well-formed value (ctl_redis.c).
 */
bool ctl_redis_render(struct slice reply, bool people, struct buffer *out);

#endif
