/* worker_types.c: the worker types as a table. See worker_types.h. */
#include "proto/worker_types.h"

#include <string.h>

const struct worker_type_record *worker_type_record(enum worker_type type)
{
    static const struct worker_type_record records[WORKER_TYPE_COUNT] = {
#define X(NAME, type, KIND, WHEN, RUNS, path, key, doc)                                            \
    [WORKER_TYPE_##NAME] = {type, CONFIG_##KIND, WORKER_RUNS_##RUNS, path, key},
        SYSTEMS(TYPES, X)
#undef X
    };
    return &records[type];
}

bool worker_type_takes(enum worker_type type, const char *path)
{
    const char *own = worker_type_record(type)->path;
    size_t len = strlen(path);
    return len > 0 && strncmp(own, path, len) == 0 && (own[len] == '\0' || own[len] == '/');
}

const char *worker_type_name(enum worker_type type)
{
    return worker_type_record(type)->name;
}

const char *worker_type_program(enum worker_type type)
{
    bool custom = worker_type_record(type)->runs == WORKER_RUNS_CUSTOM;
    for (int other = 0; custom && other < WORKER_TYPE_COUNT; other++)
        if (worker_type_record((enum worker_type)other)->runs == WORKER_RUNS_PROGRAM)
            return worker_type_name((enum worker_type)other);
    return worker_type_name(type);
}

static bool worker_type_runs(const char *name, enum worker_runs runs)
{
    for (int type = 0; type < WORKER_TYPE_COUNT; type++)
        if (worker_type_record((enum worker_type)type)->runs == runs &&
            strcmp(name, worker_type_name((enum worker_type)type)) == 0)
            return true;
    return false;
}

bool worker_type_is_custom(const char *name)
{
    return worker_type_runs(name, WORKER_RUNS_CUSTOM);
}

bool worker_type_runs_program(const char *name)
{
    return worker_type_runs(name, WORKER_RUNS_PROGRAM);
}
