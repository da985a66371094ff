/*
 * oom_kills.h: how often this kernel has killed a process because memory was short, its groups' limits included.
 *
 * Runs in workers that tell what a process died of: the signal alone is that of any kill -9.
 * Source: /proc/vmstat, oom_kill (Linux 4.13).
 */
#ifndef COMMON_OOM_KILLS_H
#define COMMON_OOM_KILLS_H

#include <stdint.h>

/* Since it was started; 0 where it does not say. Reads /proc; does not block. */
uint64_t oom_kills(void);

/* The same of the text of such a file. */
uint64_t oom_kills_in(const char *vmstat);

#endif
