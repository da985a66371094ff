/*
 * program_calls.h: sections of other systems that run a program as a program section does: what is wrong with their
 * keys, what their workers are told, what must be there.
 *
 * Runs in the master and in the tool. Such a section has keys of the same names: command, directory, environment,
 * user, group, umask, nice, memory_max, files_max, core_max, no_new_privs. It has one process, so no {n} means its
 * number.
 */
#ifndef MASTER_PROGRAM_PROGRAM_CALLS_H
#define MASTER_PROGRAM_PROGRAM_CALLS_H

#include "master/build/config_settings.h"
#include "master/config/config_parse.h"
#include "master/start/preflight.h"

/* Adds what is wrong with command, environment and umask. */
void program_calls_check(const struct config_section *s, struct config_errors *errors);

/*
 * Adds PREFIX.argv.N, PREFIX.env.N, PREFIX.dir and its limits, as command workers are told them (PROTOCOL.md) with the
 * prefix "command"; at most 30 letters. 0, or a negative errno; what was added is the caller's in either case.
 */
int program_calls_settings(struct config_extras *e, const struct config *c,
                           const struct config_section *s, const char *prefix);

/* Warns of a program, a directory, a user that are not there. Looks at files and into the user database. */
void program_calls_preflight(const struct config_section *s, struct preflight_findings *f);

#endif
