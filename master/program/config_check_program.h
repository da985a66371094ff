/*
 * config_check_program.h: what is wrong with program and supervisor sections. Part of config_check.h.
 *
 * Runs in the master and in the tool. Whether a user, a directory or the program itself exists is found out where it is run.
 */
#ifndef MASTER_CONFIG_CHECK_PROGRAM_H
#define MASTER_CONFIG_CHECK_PROGRAM_H

#include "master/config/config_parse.h"

/* Words in `command` and in `environment`, names in a list. */
#define CONFIG_WORDS_MAX    64
#define CONFIG_CHILDREN_MAX 1000

/* Appends the value with every {n} replaced by the process' number. */
void config_expand_number(const char *value, uint64_t number, struct buffer *out);

/* The supervisor section that names a program or supervisor as its child; NULL when none does. */
const struct config_section *config_supervisor_of(const struct config *c, const char *title);

void config_check_program(const struct config *c, const struct config_section *s,
                          struct config_errors *errors);

/* Also that each child is there, has one parent, and is not its own ancestor. */
void config_check_supervisor(const struct config *c, const struct config_section *s,
                             struct config_errors *errors);

#endif
