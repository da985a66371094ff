/*
 * transfer_key_service.h: bucket and key of a record from a web service that is asked with the
 * record's fields, as Plato did.
 *
 * Runs in the transfer worker of a drain with `key_service`.
 *
 * transfer_key_service.c  which record is asked for when; the answers to a whole RECORDS message are handed on together
 * transfer_key_answer.c   pure: the question's text, what an answer means, when a record is given up
 *
 * A record is only refused (a dead letter) for what the service says about that record, or when it fails again and
 * again while the service answers for others. While the service is away, or answers nobody well, records wait, their
 * claims stay in Redis, and the tree says why.
 */
#ifndef WORKERS_TRANSFER_KEY_SERVICE_H
#define WORKERS_TRANSFER_KEY_SERVICE_H

#include "workers/drain/transfer.h"

/* Questions at once; as many connections are kept. */
#define KEY_SERVICE_PARALLEL 32u
/* Longest answer: two names in JSON. */
#define KEY_SERVICE_ANSWER_MAX 65536u
/*
 * A question up to this long is a GET with a query; a longer one, which servers refuse in a url, is POSTed as a form.
 */
#define KEY_SERVICE_QUERY_MAX 2000u

/* ---- transfer_key_answer.c ---- */

enum key_verdict {
    KEY_FOUND, /* bucket and key are there */
    KEY_WRONG, /* the service answered, and not with a key: about this record, as far as can be seen */
    KEY_FAILED, /* no answer, or one about the service and not the record (401, 404, 503, …) */
};

/*
 * Reads an answer. KEY_FOUND: *found holds two heap strings, for transfer_key_fini. Else `why` is
 * one line with the cause.
 */
enum key_verdict key_answer_read(int status, struct slice body, const char *error,
                                 struct transfer_key *found, char *why, size_t why_size);

/* Appends field=value&field=value…, both percent-encoded (application/x-www-form-urlencoded, spaces as %20). */
void key_question_write(struct buffer *out, const struct template_field *fields, size_t count);

/* How often asking for one record went wrong. */
struct key_tries {
    unsigned failed; /* in all */
    unsigned blamed; /* of them, those that are held against the record */
    uint64_t seen;   /* the service's good answers when it was last asked */
};

/*
 * Notes one more bad answer; `good` is the number of good answers the service has ever given. True when the record is
 * to be given up: it has failed `retries` times and once more, each time held against it. An answer is, once the
 * service has ever answered well; no answer is, if the service answered others since this record was last asked.
 */
bool key_tries_give_up(struct key_tries *tries, enum key_verdict verdict, uint64_t good,
                       uint64_t retries);

/*
 * Pause before try number `failed` + 1: 50 ms, doubling, at most max_ms, at least what the service asked
 * for (bounded by a minute).
 */
uint64_t key_tries_pause(unsigned failed, uint64_t asked_ms, uint64_t max_ms);

/* ---- transfer_key_service.c ---- */

struct key_service;

/*
 * A RECORDS message all of whose records have a key or a refusal, in their order. Everything is borrowed for the call.
 */
struct key_service_done {
    const char *peer;
    uint64_t generation;
    struct message_records message;
    const struct transfer_key *keys;
};

typedef void (*key_service_done_fn)(const struct key_service_done *done, void *ctx);

/* Reads the drain's key_service settings; ends the process (78) when the url is none. */
struct key_service *key_service_new(struct worker *w, key_service_done_fn fn, void *ctx);
void key_service_free(struct key_service *s);

/* Takes a message over (copied). 0: done follows, from the loop. -EBADMSG: not records; -ENOMEM. */
int key_service_add(struct key_service *s, const struct worker_peer *from,
                    const struct message_records *m);

/* Forgets the messages of a peer that is gone. */
void key_service_forget(struct key_service *s, const struct worker_peer *peer);

/* Records that wait for their keys. Accepts NULL. */
size_t key_service_waiting(const struct key_service *s);

#endif
