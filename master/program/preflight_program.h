/*
 * preflight_program.h: what a section of whatever kind names outside of the file that runs a program: its program, its
 * directory, its user.
 *
 * Runs in the master and in the tool.
 */
#ifndef MASTER_PROGRAM_PREFLIGHT_PROGRAM_H
#define MASTER_PROGRAM_PREFLIGHT_PROGRAM_H

#include "master/start/preflight.h"

/* As preflight_program, of a section without a process' number (program_calls.h). */
void preflight_program_foreign(const struct config_section *s, struct preflight_findings *f);

#endif
