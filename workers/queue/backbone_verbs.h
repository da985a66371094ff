/*
 * backbone_verbs.h: what the files share that answer what people ask of a backbone.
 *
 * backbone_verbs.c       which verb it is, its end, what all of them may be refused for
 * backbone_verbs_show.c  status, facets, peek
 * backbone_verbs_dead.c  dead letters
 * backbone_verbs_act.c   queues, their facets, and messages in hands
 * backbone_verbs_pack.c  what their answers are made with
 *
 * A verb is one script, or several one behind the other. BACKBONE.md, What its workers answer, is normative.
 */
#ifndef WORKERS_QUEUE_BACKBONE_VERBS_H
#define WORKERS_QUEUE_BACKBONE_VERBS_H

#include "workers/queue/backbone.h"

#define VERBS_WHY_SIZE 640

struct verbs_row;

/* A request whose script is under way. */
struct verbs_call {
    struct backbone *b;
    uint64_t id;
    const struct verbs_row *row;
    bool (*send)(struct verbs_call *call); /* what b->call is now; its answer is this call's */
    bool all;                              /* of the letters: until there are none */
    unsigned step;                         /* scripts that have answered */
    uint64_t count;           /* letters that were retried or dropped; receipts that were given */
    void *own;                /* of the verb; freed at the end */
    char why[VERBS_WHY_SIZE]; /* the words are none: why; else which queue there is not */
    char queue[];             /* as long as the request's words */
};

struct verbs_row {
    const char *verb;
    const char *words;
    bool acts; /* it changes something */
    /* Puts the call together. False: the words are none, for what `why` says, unless it is empty. */
    bool (*ask)(struct backbone *b, struct unpack *u, uint32_t count, struct verbs_call *call);
    /* True: another script is under way for it. */
    bool (*answer)(struct verbs_call *call, const redisReply *reply, struct buffer *body);
};

/* Ended by one without a verb. */
extern const struct verbs_row backbone_verbs_show[], backbone_verbs_dead[], backbone_verbs_act[];

/* Keeps the name for later scripts of the same call. */
struct slice backbone_verbs_queue(struct verbs_call *call, struct slice queue);

/* `key` and a number; nil for what is negative. */
void backbone_verbs_number(struct buffer *body, const char *key, uint64_t value);
void backbone_verbs_span(struct buffer *body, const char *key, int64_t value);

#endif
