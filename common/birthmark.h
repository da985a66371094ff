/*
 * birthmark.h: by what a descendant of a worker is known, whatever it has done to its session and environment.
 *
 * Runs in workers, which take it before they start anything, and in the master, which looks for it in what dead workers
 * have left. It is the hard limit of RLIMIT_RSS: Linux heeds that one no more (getrlimit(2)), children inherit it, exec
 * keeps it, without rights nobody raises it, and anybody can read it of anybody (/proc/PID/limits). Rejected: an open
 * descriptor, which daemons close; a cgroup, which few platoons are given; a pid namespace, in which programs would
 * have other numbers than those that people see.
 */
#ifndef COMMON_BIRTHMARK_H
#define COMMON_BIRTHMARK_H

#include <stdbool.h>
#include <sys/types.h>

/* From now on we and our children have it. False: this process's limit is lower already, and may not be raised. */
bool birthmark_take(void);

/* Whether that process has it. Of one that is gone: false. Reads /proc; does not block. */
bool birthmark_is_on(pid_t pid);

#endif
