/*
 * queue_script.h: the queues' scripts as C calls them.
 *
 * Used by the workers that stand between the tree and a Redis with queues. Pure: no I/O. What each script takes, does,
 * and does when it is called again stands once, in the first lines of its file (proto/queue/queue_<name>.lua); the
 * queues as a whole are BACKBONE.md.
 */
#ifndef PROTO_QUEUE_QUEUE_SCRIPT_H
#define PROTO_QUEUE_QUEUE_SCRIPT_H

#include "proto/redis/redis_script.h"

/* The library `platoon` for FUNCTION LOAD (Redis 7), made of the scripts by scripts/lib/functions. */
extern const char redis_library_queue[];

enum queue_script {
#define X(NAME, name, file, parts) QUEUE_SCRIPT_##NAME,
    QUEUE_SCRIPTS(X)
#undef X
        QUEUE_SCRIPT_COUNT
};

/* The text for EVALSHA. */
const char *queue_script_text(enum queue_script script);

/* "queue_deliver"; the function of the library is named platoon_deliver. */
const char *queue_script_name(enum queue_script script);

#endif
