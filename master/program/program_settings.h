/*
 * program_settings.h: what a command worker is told of a program section: words, variables, limits (PROTOCOL.md,
 * Command workers).
 *
 * Runs in the master, when the tree is built. Pure.
 */
#ifndef MASTER_PROGRAM_PROGRAM_SETTINGS_H
#define MASTER_PROGRAM_PROGRAM_SETTINGS_H

#include "master/build/config_settings.h"
#include "master/program/config_check_program.h"

/* What a temporary child is told beyond its section. */
struct program_child {
    const char *owner, *argument;
};

/*
 * Adds the settings of process `number` of a checked program section; `child` NULL: it is none. Returns 0 or a negative
 * errno; what was added is the caller's in either case.
 */
int program_settings_make(struct config_extras *e, const struct config *c,
                          const struct config_section *program, uint64_t number,
                          const struct program_child *child);

/* The same of a section of another kind that has such keys (program_calls.h), as PREFIX.argv.N and so on. */
int program_settings_foreign(struct config_extras *e, const struct config *c,
                             const struct config_section *s, const char *prefix);

#endif
