/*
 * shutdown.h: the orderly end of everything, whoever orders it: a signal, a client, a tree that has given up.
 *
 * Runs in the master. Only begins it; that the last worker is gone is noticed by platoon.c, which ends the loop.
 */
#ifndef MASTER_SHUTDOWN_H
#define MASTER_SHUTDOWN_H

#include "master/master.h"

/*
 * Stops every worker in order; when the last is gone the loop ends and the process exits 0. Returns at once. A second
 * call changes nothing. Watchers (supervisor.h) hear of the last stop before the control socket goes.
 */
void master_shutdown(struct master *m);

#endif
