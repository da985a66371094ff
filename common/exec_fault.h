/*
 * exec_fault.h: why a file could not be executed, in words that name what is missing, and what helps.
 *
 * Runs in the master (a worker's own program) and in workers (everybody else's). exec's errno alone misleads: ENOENT is
 * said of a script that is there when its interpreter is not. So the file is looked at, after the failure and for the
 * words only: it may block as a file system does, and nothing is decided by what it finds.
 */
#ifndef COMMON_EXEC_FAULT_H
#define COMMON_EXEC_FAULT_H

#include "common/buffer.h"

/*
 * Appends cause and remedy, without the file's name before them. `error` is the positive errno of exec. `remedy` is
 * what helps when the file is not there, or is not at fault itself.
 */
void exec_fault_say(const char *file, int error, const char *remedy, struct buffer *out);

#endif
