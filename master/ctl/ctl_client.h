/*
 * ctl_client.h: the tool's end of the control socket.
 *
 * Runs in platoonctl. Blocking with deadlines: the tool has one thing to wait for, so an event loop would only hide it.
 * Statuses are those of CONTROL_STATUS_LIST; nothing is printed here.
 */
#ifndef MASTER_CTL_CTL_CLIENT_H
#define MASTER_CTL_CTL_CLIENT_H

#include "common/buffer.h"

#include <stdint.h>

struct ctl_client {
    const char *path; /* of the socket; borrowed */
    const char
        *config; /* for the hint how to start a platoon; NULL when it is not known; borrowed */
    int fd;      /* -1: not connected */
    uint64_t id; /* of the last request */
    struct buffer in;
    size_t used;       /* bytes of `in` that the last answer was made of */
    struct buffer why; /* one line after a failure */
};

/* Prepares; connects only when something is asked. */
void ctl_client_init(struct ctl_client *c, const char *path, const char *config);

/* Closes. Accepts a client that never connected. */
void ctl_client_fini(struct ctl_client *c);

/*
 * Connects when there is no connection, asks and waits for the last answer, until `deadline` (clock_mono_ms). On
 * CONTROL_OK *body is the answer, until the next call. Otherwise the exit code; ctl_client_why says one line about it.
 * When the connection is of no more use it is closed, and the next question makes a new one.
 */
int ctl_client_ask(struct ctl_client *c, uint64_t deadline, const char *verb, size_t argc,
                   const struct slice *argv, struct slice *body);

/*
 * Waits until somebody listens, who may be starting just now. CONTROL_OK, the connection stands then; or why not, as
 * ctl_client_ask.
 */
int ctl_client_wait_listening(struct ctl_client *c, uint64_t deadline);

/* Waits until the master closes the connection: CONTROL_OK, or CONTROL_TIMEOUT. */
int ctl_client_wait_end(struct ctl_client *c, uint64_t deadline);

/* Why the last call failed. Lives until the next. */
const char *ctl_client_why(struct ctl_client *c);

#endif
