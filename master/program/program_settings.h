/*
 * program_settings.h: what a command worker is told of a program section: words, variables, limits (PROTOCOL.md section 7).
 *
 * Runs in the master, when the tree is built. Pure.
 */
#ifndef MASTER_PROGRAM_SETTINGS_H
#define MASTER_PROGRAM_SETTINGS_H

#include "master/program/config_check_program.h"
#include "master/build/config_settings.h"

#define PROGRAM_SETTINGS_PAIRS (3 * CONFIG_WORDS_MAX + 23)

/* Strings of the pairs; valid as long as the struct and the configuration. */
struct program_settings {
    struct config_pair pairs[PROGRAM_SETTINGS_PAIRS];
    size_t count;
    char names[3 * CONFIG_WORDS_MAX][48];
    size_t name_count;
    struct buffer words; /* of command, then of environment */
    struct buffer ready, log_file;
    char stop_signal[8];
};

/* What a temporary child is told beyond its section. */
struct program_child {
    const char *owner, *argument;
};

/* Fills *p for process `number` of a checked program section; `child` NULL: it is none. Returns 0 or a negative errno. Free with program_settings_fini in either case. */
int program_settings_make(struct program_settings *p, const struct config_section *program,
                          uint64_t number, const struct program_child *child);
void program_settings_fini(struct program_settings *p);

#endif
