/*
 * worker_trace.h: the headers of a worker's messages: the last few always, for its crash report; more of them, with
 * payloads if wanted, while a person traces it.
 *
 * Runs in every worker with a mailbox. Noting a header is a few stores into memory that is there already, so that it
 * need not be switched on before something goes wrong. While nobody traces nothing is allocated; a trace that nobody
 * has asked for again within WORKER_TRACE_MS ends by itself.
 */
#ifndef WORKERS_WORKER_TRACE_H
#define WORKERS_WORKER_TRACE_H

#include "common/slice.h"
#include "proto/contract.h"

#include <stdbool.h>
#include <stdint.h>

struct worker;
struct link_request;

#define WORKER_HEADERS_KEPT 20   /* shown in a crash report */
#define WORKER_TRACE_KEPT   1024 /* between two questions of the tool */
#define WORKER_TRACE_MS     5000
#define WORKER_TRACE_BYTES  (4u * 1024 * 1024) /* of payloads, all together */
#define WORKER_TRACE_NAMES  256                /* peers told apart; further ones are "?" */

/*
 * The place of a peer's name for headers; -1 when there is no room. Names are never forgotten: incarnations share them.
 */
int worker_trace_peer(const char *name);

/* Notes a message that is about to be handled; returns its number, for the next call. */
uint64_t worker_trace_in(int peer, uint64_t type);

/* That message has been read, and this is it. */
void worker_trace_in_read(uint64_t number, int peer, uint64_t type, struct slice message);

/* Notes a message that was sent. */
void worker_trace_out(int peer, uint64_t type, struct slice message);

/* Writes the last headers to stderr, newest last. Async-signal-safe. */
void worker_trace_crash(void);

/*
 * Answers the request `trace` (AFTER, SAMPLE, PAYLOAD bytes): map {last, lost, headers: [[time ms, "in" or "out", peer,
 * type, bytes, payload]…]}: every SAMPLE-th message since number AFTER, with AFTER 0 since now; payloads up to that
 * many bytes, longer ones empty. False: it is another request.
 */
bool worker_trace_answer(struct worker *w, const struct link_request *request);

/* Once a second: ends a trace nobody asks for any more. */
void worker_trace_tick(void);

#endif
