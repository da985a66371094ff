/*
 * fault.h: named points at which a test build can be told to die, to hang or to fail. In a normal build
 * they are nothing at all.
 *
 * With -DPLATOON_FAULTS (make faults), FAULT_POINT("get-hash.before-ack", detail) looks for the file of that name in
 * the directory $PLATOON_FAULT_DIR. Its content says what happens:
 *     kill        SIGKILL to this process
 *     stall       this process hangs
 *     error       FAULT_POINT is true, and the caller goes the way it goes when this step fails
 *     … always    the file stays; else it is removed first, so it happens once
 *     … WORD      further words: only when one of them equals `detail` (such as a member)
 * Files, not the environment, because a restarted worker must find out that its fault has been spent.
 *
 * Included by .c files only, and directly: make faults compiles those alone a second time.
 */
#ifndef COMMON_FAULT_H
#define COMMON_FAULT_H

#include "common/slice.h"

#ifdef PLATOON_FAULTS
bool fault_point(const char *name, struct slice detail);
#define FAULT_POINT(name, detail) fault_point(name, detail)
#else
#define FAULT_POINT(name, detail) false
#endif

#endif
