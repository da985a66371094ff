/*
 * death.h: the end of a worker's process, as one record for whoever has to do with it.
 *
 * Runs in the master. The process layer fills it once, when all is known, and hands it to those who have registered
 * (process_register), in their order. Data only: who reads it need not know the process layer, nor the other
 * readers.
 */
#ifndef MASTER_DEATH_H
#define MASTER_DEATH_H

#include "master/tree/tree.h"

#include <sys/types.h>

struct rusage;         /* sys/resource.h */
struct collect_stream; /* master/logs/collect.h */

/* Lives until the reader returns. */
struct death {
    /*
     * Who. It has no process any more; last_exit says how in words; `state` is that in which it died until the
     * supervisor has read this.
     */
    struct node *worker;
    pid_t pid;    /* reaped: a number for people, not to be signalled */
    int status;   /* how: wait4's */
    int code;     /* of its exit; -1 when a signal ended it */
    bool orderly; /* exit 0 */
    const struct rusage *usage;
    const struct collect_stream *output; /* its last lines (collect_stream_line); NULL: none */
    char doing[sizeof((struct node *)0)
                   ->doing]; /* what it had said last; the node has forgotten it */
    char trouble[sizeof((struct node *)0)->trouble];
    char last_exit[sizeof((struct node *)0)->last_exit]; /* of the incarnation before it */
};

typedef void (*death_reader)(const struct death *d);

#endif
