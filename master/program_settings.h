/*
 * program_settings.h: what a command worker is told of a program section: words, variables, limits (PROTOCOL.md section 7).
 *
 * Runs in the master, when the tree is built. Pure.
 */
#ifndef MASTER_PROGRAM_SETTINGS_H
#define MASTER_PROGRAM_SETTINGS_H

#include "master/config_check_program.h"
#include "master/config_settings.h"

#define PROGRAM_SETTINGS_PAIRS (3 * CONFIG_WORDS_MAX + 21)

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

/* Fills *p for process `number` of a checked program section. Returns 0 or a negative errno. Free with program_settings_fini in either case. */
int program_settings_make(struct program_settings *p, const struct config_section *program,
                          uint64_t number);
void program_settings_fini(struct program_settings *p);

#endif
