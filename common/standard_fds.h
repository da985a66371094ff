/*
 * standard_fds.h: stdin, stdout and stderr are there, whoever has started us; and what is printed has arrived.
 *
 * First in main(): who is started without one of the three (`2>&-`, some supervisors) would get that number for the
 * first file it opens, and print its lines into it: into a lock, a socket, a database.
 */
#ifndef COMMON_STANDARD_FDS_H
#define COMMON_STANDARD_FDS_H

#include "common/slice.h"

/* /dev/null in the place of each that is closed. Ends the process (exit 1) when that cannot be had. */
void standard_fds_fill(void);

/*
 * Writes all of it to stdout. 0, or a negative errno: who asked for it must hear that it is not there, and stdio tells
 * that too late, or nobody. Waits for who reads it.
 */
int standard_fds_print(struct slice text);

#endif
