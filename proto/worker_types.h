/*
 * worker_types.h: every worker type there is, from the TYPES of proto/systems.h, in start order.
 * Stop order is the reverse.
 *
 * Read by the master. A type is added in its system's list; the recipe stands in proto/systems.h.
 */
#ifndef PROTO_WORKER_TYPES_H
#define PROTO_WORKER_TYPES_H

#include "proto/config_kind.h"

#include <stdbool.h>

enum worker_type {
#define X(NAME, type, KIND, WHEN, RUNS, path, key, doc) WORKER_TYPE_##NAME,
    SYSTEMS(TYPES, X)
#undef X
        WORKER_TYPE_COUNT
};

/* What its work is: see RUNS in systems.h. */
enum worker_runs { WORKER_RUNS_ITSELF, WORKER_RUNS_PROGRAM, WORKER_RUNS_CUSTOM };

/* One line of the list. */
struct worker_type_record {
    const char *name;      /* "get-hash": its program in libexec */
    enum config_kind kind; /* of the section that gives birth to it */
    enum worker_runs runs;
    const char *path;        /* with %s for the section's title */
    const char *workers_key; /* "", "1", or the key that says how many there are */
};

const struct worker_type_record *worker_type_record(enum worker_type type);

/*
 * True when a worker of this type stands at `path` ("redis/server" for the embedded server), or below it ("redis"):
 * then nothing else can have that path.
 */
bool worker_type_takes(enum worker_type type, const char *path);

const char *worker_type_name(enum worker_type type);

/* True of the name of a type that is not of our making. */
bool worker_type_is_custom(const char *name);

/* True of the name of a type whose work is a program, below it: command, port. */
bool worker_type_runs_program(const char *name);

/*
 * Its program in libexec_dir: mostly its name. Of a custom worker, whose own is the user's, the one that begins for it
 * (CONTRACT_ENTER): whichever type of ours runs programs.
 */
const char *worker_type_program(enum worker_type type);

#endif
