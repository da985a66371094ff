/*
 * control_server.h: the control socket's server.
 *
 * Runs in the master. RUNTIME_DIR/control.sock, 0600; what is said on it is proto/control.h.
 */
#ifndef MASTER_CONTROL_H
#define MASTER_CONTROL_H

#include "master/master.h"

/* Starts to listen, on a socket that listens already unless listener_fd is -1. 0 or a libuv error. */
int control_start(struct master *m, int listener_fd);

/* The listening descriptor. */
int control_fd(void);

/* True when every client has been sent all that it was answered. */
bool control_is_quiet(void);

/* Answers nobody any more, closes every client and removes the socket. The loop must run once more after. */
void control_stop(struct master *m);

/* The node is about to be freed: whoever waits for it is told. */
void control_forget(struct node *n);

#endif
