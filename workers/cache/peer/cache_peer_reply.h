/*
 * cache_peer_reply.h: a reply that hiredis has read, as bytes of RESP2 again.
 *
 * Runs in a cache node of a ring. Pure.
 */
#ifndef WORKERS_CACHE_PEER_REPLY_H
#define WORKERS_CACHE_PEER_REPLY_H

#include "common/redis/redis_conn.h"
#include "common/resp/resp_reply.h"

/*
 * Appends it as the other node has written it, errors and what is in arrays too; both of RESP2's nils come as $-1, for
 * hiredis does not tell them apart. `to` is of version 2. False: memory is short (then to->out has failed), or it is of
 * a kind that RESP2 does not have; what stands in to->out then is not to be used.
 */
bool cache_peer_reply(struct resp_reply *to, const redisReply *reply);

#endif
