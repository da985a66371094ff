/*
 * notify.h: tells systemd (or whoever set $NOTIFY_SOCKET) how we are: READY=1, STOPPING=1, STATUS=, WATCHDOG=1.
 *
 * Runs in the master. One datagram, never blocks, failure is of no consequence. Source: sd_notify(3); libsystemd would
 * be nine libraries for these fifteen lines.
 */
#ifndef MASTER_NOTIFY_H
#define MASTER_NOTIFY_H

#include <stdint.h>

/* Sends `state` ("READY=1\nSTATUS=..."). Does nothing without $NOTIFY_SOCKET. */
void notify_send(const char *state);

/* Half of $WATCHDOG_USEC in milliseconds: how often to send WATCHDOG=1; 0 when no watchdog waits for it. */
uint64_t notify_watchdog_ms(void);

#endif
