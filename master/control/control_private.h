/*
 * control_private.h: what the control server's files share.
 *
 * Each uses only those below it:
 *
 * control.c         speaks the protocol
 * control_verbs.c   finds the verb; those that look at the tree
 * control_act.c     those that change what is wanted, and wait until it is so
 * control_ask.c     those that workers answer
 * control_told.c    what workers have said: logs, crash reports
 * control_call.c    what verbs ask of their call
 * control_answer.c  answers, now or later
 */
#ifndef MASTER_CONTROL_PRIVATE_H
#define MASTER_CONTROL_PRIVATE_H

#include "common/stream.h"
#include "master/control/control_server.h"
#include "master/supervise/supervisor.h"
#include "proto/control.h"

#define CONTROL_ARGS_MAX    8192
#define CONTROL_PENDING_MAX 32

struct control_client {
    struct stream stream;
    struct control_client *next;
    struct control_pending *pending;
    size_t pending_count;
    uint64_t heard_ms;
    bool closing_after_write;
};

struct control_pending;

/* What becomes of a request that waits, by why it waits. NULL: nothing. All but `cancel` may answer it and free it. */
struct control_pending_ops {
    void (*look)(struct control_pending *p);      /* something has changed in the tree */
    void (*look_news)(struct control_pending *p); /* some time has passed */
    void (*gone)(struct control_pending *p);      /* its node is about to be freed */
    void (*late)(struct control_pending *p);      /* its deadline has passed */
    void (*cancel)(struct control_pending *p);    /* its client has gone */
};

/* A request that is not answered yet. Owned by its client. */
struct control_pending {
    struct control_pending *next;
    struct control_client *client;
    uint64_t id;
    uint64_t deadline_ms; /* clock_mono_ms */
    const struct control_pending_ops *ops;
    struct node *worker;                /* asked */
    struct node *node;                  /* of the condition: it and all below it, */
    char pattern[CONTRACT_NAME_MAX];    /* or, unless "", the workers below it that match */
    bool (*done)(const struct node *n); /* the condition */
    struct buffer body;                 /* the answer when it is made already; else empty */
    /* It waits for news instead: packs the answer, returns how many there are. */
    size_t (*news)(const struct control_pending *p, struct buffer *body);
    uint64_t limit, after; /* of news; `pattern` says whose */
};

/* The arguments of a request, taken apart. */
struct control_args {
    struct slice *list;
    size_t count;
};

/* Sends one answer. Empty body: nil. */
void control_answer(struct control_client *client, uint64_t id, enum control_status status,
                    struct slice body);
void control_answer_text(struct control_client *client, uint64_t id, enum control_status status,
                         const char *format, ...) __attribute__((format(printf, 4, 5)));

/* The same with a body the caller has built; takes its memory. A buffer that has failed ends the connection. */
void control_answer_buffer(struct control_client *client, uint64_t id, enum control_status status,
                           struct buffer *body);

/* Notes that the answer comes later. NULL, the client having been told, when it has too many waiting. */
struct control_pending *control_wait(struct control_client *client,
                                     const struct control_request *request,
                                     const struct control_pending_ops *ops);
void control_pending_free(struct control_pending *p);

/* The master whose tree the verbs are about: once, before the first. */
void control_call_setup(struct master *m);
struct master *control_master(void);

/* A client that asks nothing for so long, with no request of it waiting, is dropped. Tests shorten it. */
extern uint64_t control_idle_ms;

/* Answers a request, now or later. */
void control_verb(struct control_client *client, const struct control_request *request,
                  const struct control_args *args);

/* ---- shared by the files of verbs ---- */

struct verb_call {
    struct control_client *client;
    const struct control_request *request;
    const struct control_args *args;
};

struct node *verb_root(void);

/* Answers with status 0 and what `body` holds; takes its memory. */
void verb_answer_buffer(const struct verb_call *v, struct buffer *body);

#define VERB_WORD_SIZE (CONTRACT_NAME_MAX + 4)

/* A client's word as it may stand in an answer: cut where no name is longer, nothing in it that a terminal obeys. */
const char *verb_word(struct slice word, char text[VERB_WORD_SIZE]);

/* Says that there is no such name, and which is near. */
void verb_unknown_name(const struct verb_call *v, struct slice name);

/* The node the first argument names; NULL, the client having been told. */
struct node *verb_node(const struct verb_call *v);

/* True when the name is a pattern: it holds a * or a ?. */
bool verb_is_pattern(struct slice name);

/* The verbs themselves, by the file they are in: control_act.c, control_ask.c, control_told.c. */
void verb_start(const struct verb_call *v);
void verb_stop(const struct verb_call *v);
void verb_restart(const struct verb_call *v);
void verb_wait(const struct verb_call *v);
void verb_reload(const struct verb_call *v);
void verb_scale(const struct verb_call *v);
void verb_upgrade(const struct verb_call *v);
void verb_level(const struct verb_call *v);
void verb_shutdown(const struct verb_call *v);
void verb_ask(const struct verb_call *v);
void verb_send(const struct verb_call *v);
void verb_trace(const struct verb_call *v);
void verb_signal(const struct verb_call *v);
void verb_logs(const struct verb_call *v);
void verb_events(const struct verb_call *v);

void verb_crashes(const struct verb_call *v);

#endif
