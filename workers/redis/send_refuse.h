/*
 * send_refuse.h: commands that a connection shared by everybody cannot run.
 *
 * Runs in the send worker. Pure.
 */
#ifndef WORKERS_SEND_REFUSE_H
#define WORKERS_SEND_REFUSE_H

#include "common/slice.h"

#include <stddef.h>

/* Why this command is refused, with the remedy; NULL when it may run. argc > 0. */
const char *send_refuse(size_t argc, const struct slice *argv);

#endif
