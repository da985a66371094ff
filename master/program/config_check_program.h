/*
 * config_check_program.h: what is wrong with program and supervisor sections. Part of what config_load.c checks.
 *
 * Runs in the master and in the tool. Whether a user, a directory or the program itself exists is
 * found out where it is run.
 */
#ifndef MASTER_CONFIG_CHECK_PROGRAM_H
#define MASTER_CONFIG_CHECK_PROGRAM_H

#include "master/config/config_parse.h"

/* Words in `command` and in `environment`, names in a list. */
#define CONFIG_WORDS_MAX    512
#define CONFIG_CHILDREN_MAX 1000

/*
 * The words of a command. Its program, with a slash in it, is a path, and relative to the file as every path is;
 * without one it is looked for in PATH. Returns how many, or a negative errno.
 */
int config_program_words(const struct config *c, struct slice command, struct buffer *words);

/*
 * The words of `command` for that process. A program with a slash in it is a path, and relative to the file as every
 * path is; without one it is looked for in PATH. Returns how many, or a negative errno.
 */
int config_program_command(const struct config *c, const struct config_section *program,
                           uint64_t number, struct buffer *words);

/* Adds what is wrong with command, environment and umask, of a section of whatever kind that has such keys. */
void config_check_program_keys(const struct config_section *s, struct config_errors *errors);

/* The supervisor section that names a program or supervisor as its child; NULL when none does. */
const struct config_section *config_supervisor_of(const struct config *c, const char *title);

#endif
