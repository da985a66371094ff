/*
 * worker_asked.c: requests that another worker makes, by message, and their answers. See worker.h, worker_ask.
 *
 * Part of the skeleton. A type sees no difference: the request comes by on_request, and worker_reply finds the way back
 * by its id, which the master never gives. Who has asked and gone is owed nothing. A custom worker's are refused: what
 * users of the control socket may, a program of theirs need not.
 */
#include "workers/skeleton/worker_private.h"

#include <stdlib.h>

#define ASKED_MAX 256

/* The master counts from 1. */
#define ASKED_BIT (UINT64_C(1) << 63)

struct worker_asked {
    struct worker_asked *next;
    uint64_t id;
    char name[CONTRACT_NAME_MAX]; /* who asks */
    uint64_t generation, token;
};

static void asked_answer(struct worker *w, struct worker_peer *to, uint64_t token,
                         enum control_status status, struct slice body)
{
    struct buffer message = BUFFER_EMPTY;
    message_said_pack(&message,
                      &(struct message_said){.token = token, .status = status, .body = body});
    if (!buffer_ok(&message))
        worker_exit(w, CONTRACT_EXIT_TEMPORARY, "memory is short for an answer to %s", to->name);
    worker_must_send(w, to, &message);
    buffer_fini(&message);
}

static void asked_refuse(struct worker *w, struct worker_peer *to, uint64_t token, const char *why)
{
    struct buffer body = BUFFER_EMPTY;
    pack_text(&body, why);
    asked_answer(w, to, token, CONTROL_ERROR, buffer_slice(&body));
    buffer_fini(&body);
}

static struct worker_asked *asked_add(struct worker *w, const struct worker_peer *from,
                                      uint64_t token)
{
    struct worker_asked *a = w->asked_count < ASKED_MAX ? calloc(1, sizeof *a) : NULL;
    if (a == NULL)
        return NULL;
    a->id = ASKED_BIT | ++w->asked_last;
    a->generation = from->generation;
    a->token = token;
    memcpy(a->name, from->name, sizeof a->name);
    a->next = w->asked;
    w->asked = a;
    w->asked_count++;
    return a;
}

bool worker_asked_message(struct worker *w, struct worker_peer *from, bool custom, struct unpack *u)
{
    struct message_ask m;
    if (!message_ask_unpack(u, &m))
        return false;
    struct worker_asked *a = NULL;
    if (custom)
        asked_refuse(w, from, m.token, "custom workers may not ask: platoonctl may");
    else if ((a = asked_add(w, from, m.token)) == NULL)
        asked_refuse(w, from, m.token, "too many ask at once: try again");
    else
        worker_link_serve(
            w, &(struct link_request){
                   .id = a->id, .deadline_ms = m.deadline_ms, .verb = m.verb, .args = m.args});
    return true;
}

bool worker_asked_reply(struct worker *w, uint64_t id, enum control_status status,
                        struct slice body)
{
    struct worker_asked **at = &w->asked;
    if ((id & ASKED_BIT) == 0)
        return false;
    while (*at != NULL && (*at)->id != id)
        at = &(*at)->next;
    struct worker_asked *a = *at;
    if (a == NULL)
        return true; /* `late` has answered it */
    *at = a->next;
    w->asked_count--;
    struct worker_peer *to = worker_peer_find(w, a->name);
    if (to != NULL && to->generation == a->generation)
        asked_answer(w, to, a->token, status, body);
    free(a);
    return true;
}

void worker_asked_fini(struct worker *w)
{
    while (w->asked != NULL) {
        struct worker_asked *next = w->asked->next;
        free(w->asked);
        w->asked = next;
    }
}

int worker_ask(struct worker *w, struct worker_peer *to, uint64_t token, uint64_t deadline_ms,
               const char *verb, size_t count, const struct slice *args)
{
    struct buffer words = BUFFER_EMPTY, message = BUFFER_EMPTY;
    pack_array(&words, (uint32_t)count);
    for (size_t i = 0; i < count; i++)
        pack_bin(&words, args[i]);
    message_ask_pack(&message, &(struct message_ask){.token = token,
                                                     .deadline_ms = deadline_ms,
                                                     .verb = slice_of(verb),
                                                     .args = buffer_slice(&words)});
    int rc = buffer_ok(&words) && buffer_ok(&message) ? worker_send(w, to, &message) : -ENOMEM;
    buffer_fini(&words);
    buffer_fini(&message);
    return rc;
}
