/*
 * worker_types.h: every worker type there is, one line each, in start order. Stop order is the reverse.
 *
 * X(NAME, "type", PLACE, "path", "workers key", "what it does")
 *   type         name of the program libexec/platoon/<type>
 *   PLACE        which configuration section gives birth to it (the master's tree is built from this column):
 *                  EMBEDDED  once per `redis` section whose url is "embedded"
 *                  REDIS     per `redis` section
 *                  DRAIN     per `drain` section
 *                  HEALTH    once, when platoon has `health`
 *                  ONCE      once, when there is any drain
 *                  PROGRAM   per `program` section; custom: the program itself is the worker, there is none in libexec
 *   path         where in the tree; %s is the section's name (see master/tree_build.c for a second redis section)
 *   workers key  key of that section that says how many there are, numbered from 1 ("1": always one; "": one without a number)
 *
 * To add a type: a line here, workers/<type>.c, its keys in config_keys.h, its messages in message.h, its tests.
 */
#ifndef PROTO_WORKER_TYPES_H
#define PROTO_WORKER_TYPES_H

/* clang-format off */
#define WORKER_TYPE_LIST(X)                                                                        \
    X(HEALTH, "health", HEALTH, "health", "", "answers probes and Prometheus over HTTP")           \
    X(COMMAND, "command", EMBEDDED, "redis/server", "", "runs a program, here a private redis-server") \
    X(SEND, "send", REDIS, "redis/send", "send_workers", "runs one-off Redis commands")            \
    X(WATCHER, "watcher", DRAIN, "redis/%s/watcher", "1",                            \
      "notices members in the set, keeps the ledger's clock and the dead letters")                 \
    X(GET_SET, "get-set", DRAIN, "redis/%s/get-set", "1",                            \
      "claims batches of members")                                                                 \
    X(GET_HASH, "get-hash", DRAIN, "redis/%s/get-hash", "get_hash.workers",                        \
      "fetches a claim's hashes, hands them to transfer, acknowledges")                            \
    X(TRANSFER, "transfer", DRAIN, "transfer/%s", "transfer.workers",                              \
      "stores records durably; knows nothing of Redis")                                            \
    X(REPORT, "report", ONCE, "transfer/report", "", "answers questions about what is stored")     \
    X(PORT, "port", PROGRAM, "", "", "a program in any language as an actor: a program section with port = json or msgpack") \
    X(CUSTOM, "custom", PROGRAM, "", "", "a worker type of your own: a program section with worker = true")
/* clang-format on */

enum worker_type {
#define X(NAME, type, PLACE, path, key, doc) WORKER_TYPE_##NAME,
    WORKER_TYPE_LIST(X)
#undef X
        WORKER_TYPE_COUNT
};

#endif
