/*
 * process_usage.h: memory and processor time of a process, from /proc (proc(5)).
 *
 * Runs in whoever shows it, the tool and health workers, and in workers that may only use so much. Not in the master:
 * a thousand processes take 40 ms, in which it would hear nobody. Does not wait: /proc is no disk.
 */
#ifndef COMMON_PROCESS_USAGE_H
#define COMMON_PROCESS_USAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Descendants looked at, at most; a program with more is shown with less than it uses. */
#define PROCESS_USAGE_FAMILY_MAX 256

struct process_usage {
    uint64_t rss_bytes; /* pages shared between the processes count in each */
    uint64_t cpu_ms;    /* user and system, with that of children that have been waited for */
};

/* Fills *usage for pid, with `family` for all its descendants too. A process that is gone counts nothing. */
void process_usage_read(pid_t pid, bool family, struct process_usage *usage);

/*
 * The same, of a process that somebody else has named: it counts nothing when `pid` is no child of `parent`, for it has
 * ended and the number is another's, or the two of us live in different pid namespaces.
 */
void process_usage_read_child(pid_t parent, pid_t pid, bool family, struct process_usage *usage);

#endif
