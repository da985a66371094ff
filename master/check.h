/*
 * check.h: all that can be found wrong with a configuration without starting anything: what --check and `platoonctl
 * check` say, what a start refuses and a reload too. One list for all four.
 *
 * Runs in the master and in the tool. Looks at the file and at what it names; makes nothing, holds nothing.
 */
#ifndef MASTER_CHECK_H
#define MASTER_CHECK_H

#include "common/buffer.h"

/*
 * Appends "file:line: what" for each finding to `errors`; what a start would not refuse, because it may pass (a program
 * that is not installed yet), to `warnings`. Returns 0 or 78.
 */
int check_file(const char *path, struct buffer *errors, struct buffer *warnings);

#endif
