/*
 * redis_sentinel.h: which server is the primary, in the words of Redis Sentinel.
 *
 * Runs in Redis workers: whoever reads a sentinel:// url makes this the options' guide. It does what
 * https://redis.io/docs/latest/develop/reference/sentinel-clients/ asks of clients: at each connect the Sentinels are
 * asked in turn, who has answered last first, whose answer was no primary last; each has its part of connect_timeout,
 * so that all of them together take no longer. What they say is checked by ROLE (redis_conn_setup.c). +switch-master is
 * listened to, and is a reason to ask again, no answer; without the right to listen a fail-over is seen when the old
 * primary ends the connection. What may have been missed while nobody listened is asked for; a connection that is well
 * is left for another server only when two of several Sentinels name that one.
 *
 * Both are connections of redis_conn's own kind, so addresses in turn, back-off, TLS and deadlines are the same.
 */
#ifndef COMMON_REDIS_SENTINEL_H
#define COMMON_REDIS_SENTINEL_H

#include "common/redis/redis_conn.h"

/* For options whose sentinel_name is set. */
extern const struct redis_guide redis_sentinel_guide;

#endif
