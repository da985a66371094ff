/*
 * cgroup.h: one group of processes whose memory the kernel keeps below a limit: a directory of
 * cgroup v2 with memory.max.
 *
 * Source: Documentation/admin-guide/cgroup-v2.rst of the kernel. Runs in workers, which enter a group before
 * they start what is theirs, and in the master, which asks afterwards what a group died of and takes it away.
 * Where such groups may be made is the master's to find out (master/start/delegation.h). Files of the kernel:
 * nothing here waits for a disk.
 */
#ifndef COMMON_CGROUP_H
#define COMMON_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CGROUP_PATH_SIZE 1024

/* Reads DIR/FILE, cut off at size - 1, as text. 0 or a negative errno. */
int cgroup_read(const char *dir, const char *file, char *text, size_t size);

/* Writes DIR/FILE, which must be there. 0 or a negative errno. */
int cgroup_write(const char *dir, const char *file, const char *text);

/* The group of worker NAME under `base`. False when its path would be too long. */
bool cgroup_of_worker(const char *base, const char *name, char path[CGROUP_PATH_SIZE]);

/*
 * Before a new life in the group: takes away what the last one left, and returns the number of kills it still counts
 * when a process of that one is not gone yet.
 */
uint64_t cgroup_renew(const char *group);

/*
 * Makes the group if need be, gives it that limit, and moves the calling process into it; its children follow. Who
 * goes over the limit is killed with all of its group, so that none runs on without the others; swap is no way around
 * it. 0 or a negative errno.
 */
int cgroup_enter(const char *group, uint64_t memory_max);

/* How often the kernel has killed in that group for want of memory; 0 for one that does not exist. */
uint64_t cgroup_oom_kills(const char *group);

/* Its limit, in bytes; 0: none, or no such group. */
uint64_t cgroup_memory_max(const char *group);

/* Takes the group and those below it away, as far as no process is left in them. */
void cgroup_remove(const char *group);

#endif
