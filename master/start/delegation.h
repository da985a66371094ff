/*
 * delegation.h: the part of the cgroup v2 hierarchy that was given to this platoon, where its workers' groups
 * are made (common/cgroup.h).
 *
 * Runs in the master, before its first child and after its last. Sources: Documentation/admin-guide/cgroup-v2.rst
 * ("Delegation", "No Internal Process Constraint") of the kernel; systemd's CGROUP_DELEGATION.md: what was not
 * delegated is another's to manage, and is left alone. Then memory_max is RLIMIT_AS, as on a host without cgroup v2.
 *
 * Groups with a limit must not stand beside processes of the group above them, so the master moves itself, and with it
 * all its later children, into BASE/platoon.main.
 */
#ifndef MASTER_DELEGATION_H
#define MASTER_DELEGATION_H

#include "common/cgroup.h"

#define DELEGATION_WHY_SIZE 256

/*
 * Takes the group this process was started in, when it was given to platoon: cgroup v2 with the memory controller,
 * writable, no other process in it, and not merely managed by systemd without Delegate=. On true `base` is its
 * directory; on false it is "", nothing has changed, and `why`, which is set then only, says what was missing.
 */
bool delegation_take(char base[CGROUP_PATH_SIZE], char why[DELEGATION_WHY_SIZE]);

/* After an upgrade: finds what the last master took; "" when it took none. */
void delegation_resume(char base[CGROUP_PATH_SIZE]);

/* At the end: removes the workers' groups and moves back, so that the next platoon finds the group as this one did. */
void delegation_return(const char *base);

/*
 * Where a process is, of the text of its /proc/PID/cgroup: its path under the mount of cgroup v2. False when it is in
 * none, or in one outside of our namespace. For tests.
 */
bool delegation_path(const char *proc_cgroup, char path[CGROUP_PATH_SIZE]);

#endif
