/* queue_taker.c: a consumer's side of queues. See queue_taker.h. */
#include "workers/queue/queue_taker.h"

#include "common/fault.h"
#include "common/pack.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define TAKER_QUEUES_MAX 64
#define TAKER_REASON_MAX 200
#define TAKER_BLANKS     " \t"
#define TAKER_GIVE_BACK                                                                            \
    3 /* SETTLE's outcome: nobody has looked at it; the others are a worker_task_end */

enum taker_phase {
    TAKER_WAITS, /* here, and the consumer does not know it yet */
    TAKER_TOLD,
    TAKER_SETTLED, /* in the list of those: the queue worker has not said yet that Redis has heard */
};

struct taker_source;

struct taker_task {
    struct taker_task *next;
    struct taker_source *source;
    enum taker_phase phase;
    bool alone;
    bool begun; /* the queue worker was told that the consumer is at it */
    struct taker_task *before, *next_told; /* TOLD: in the order in which the consumer was told */
    char message[24];                      /* its id in Redis */
    uint64_t outcome;
    int64_t after_ms;
    char reason[TAKER_REASON_MAX + 1];
    struct worker_task task;
    char bytes[];
};

/* A queue worker. */
struct taker_source {
    const char *queue;
    struct slice server; /* where ids are its own; empty: there is only one */
    char name[CONTRACT_NAME_MAX];
    uint64_t weight;
    bool timed; /* it has work_max: its worker must know what the consumer is at */
    bool up;
    uint64_t received;       /* since its UP */
    uint64_t allowed;        /* as it was told last */
    uint64_t owed;           /* in hands, settled aside */
    uint64_t waiting;        /* of these the consumer does not know */
    struct taker_task *next; /* the first that waits; NULL: none */
    int64_t turn;            /* of the weights: who has most goes next */
};

struct queue_taker {
    struct worker *w;
    struct worker_task_events events;
    uint64_t window;
    uint64_t told;
    bool alone; /* of those that it was told of one must be by itself */
    bool stopped;
    struct taker_source *sources;
    size_t count;
    bool telling;
    struct taker_task *first_told, *last_told;
    struct taker_task *first, **last;           /* in hands, or waiting for that */
    struct taker_task *settled, **last_settled; /* which nobody has said is heard */
};

/* ---- whom it takes from ---- */

/* The servers' names, or NULL; workers take turns on them (queue_reach.h). */
static struct slice taker_server(const char *servers, uint64_t number)
{
    uint64_t count = 0;
    for (const char *at = servers; at != NULL && *(at += strspn(at, TAKER_BLANKS)) != '\0';
         at += strcspn(at, TAKER_BLANKS))
        count++;
    uint64_t left = count > 0 ? (number - 1) % count : 0;
    const char *at = servers != NULL ? servers + strspn(servers, TAKER_BLANKS) : "";
    for (; left > 0; left--) {
        at += strcspn(at, TAKER_BLANKS);
        at += strspn(at, TAKER_BLANKS);
    }
    return slice_make(at, strcspn(at, TAKER_BLANKS));
}

static bool taker_add_queue(struct queue_taker *c, size_t i)
{
    uint64_t workers = worker_setting_item_u64(c->w, "takes", i, "workers");
    struct taker_source *grown = realloc(c->sources, (c->count + workers) * sizeof *c->sources);
    if (grown == NULL)
        return false;
    c->sources = grown;
    for (uint64_t n = 1; n <= workers; n++) {
        struct taker_source *s = &c->sources[c->count++];
        *s = (struct taker_source){.queue = worker_setting_item(c->w, "takes", i, "name"),
                                   .weight = worker_setting_item_u64(c->w, "takes", i, "weight")};
        s->timed = worker_setting_item(c->w, "takes", i, "work_max") != NULL;
        s->server = taker_server(worker_setting_item(c->w, "takes", i, "servers"), n);
        snprintf(s->name, sizeof s->name, "%s.%" PRIu64,
                 worker_setting_item(c->w, "takes", i, "path"), n);
    }
    return true;
}

int queue_taker_open(struct worker *w, const struct worker_task_events *events,
                     struct queue_taker **out)
{
    *out = NULL;
    if (!events->takes || worker_setting_item(w, "takes", 0, "name") == NULL)
        return 0;
    struct queue_taker *c = calloc(1, sizeof *c);
    if (c == NULL)
        return -ENOMEM;
    *c = (struct queue_taker){.w = w, .events = *events};
    c->window = worker_setting_u64(w, "takes.window");
    c->last = &c->first;
    c->last_settled = &c->settled;
    bool good = true;
    for (size_t i = 0;
         good && i < TAKER_QUEUES_MAX && worker_setting_item(w, "takes", i, "name") != NULL; i++)
        good = taker_add_queue(c, i);
    if (!good) {
        queue_taker_free(c);
        return -ENOMEM;
    }
    for (size_t i = 0; i < c->count; i++)
        worker_monitor(w, slice_of(c->sources[i].name));
    *out = c;
    return 0;
}

static void taker_free_list(struct taker_task *t)
{
    while (t != NULL) {
        struct taker_task *next = t->next;
        free(t);
        t = next;
    }
}

void queue_taker_free(struct queue_taker *c)
{
    if (c == NULL)
        return;
    taker_free_list(c->first);
    taker_free_list(c->settled);
    free(c->sources);
    free(c);
}

static struct taker_source *taker_source_of(struct queue_taker *c, const char *name)
{
    for (size_t i = 0; c != NULL && i < c->count; i++)
        if (strcmp(c->sources[i].name, name) == 0)
            return &c->sources[i];
    return NULL;
}

/* ---- what is said to a queue worker ---- */

static struct worker_peer *taker_peer(struct queue_taker *c, const struct taker_source *s)
{
    return s->up ? worker_peer_find(c->w, s->name) : NULL;
}

/* It may have handed so many in all that the window is full again. */
static void taker_allow(struct queue_taker *c, struct taker_source *s)
{
    struct worker_peer *to = taker_peer(c, s);
    uint64_t room = c->window > s->owed ? c->window - s->owed : 0;
    uint64_t allowed = c->stopped ? s->received : s->received + room;
    if (to == NULL || allowed == s->allowed)
        return;
    s->allowed = allowed;
    struct buffer *message = worker_compose(c->w);
    message_take_pack(message, &(struct message_take){.total = allowed});
    worker_must_send(c->w, to, message);
}

static void taker_tell_settled(struct queue_taker *c, const struct taker_task *t)
{
    struct worker_peer *to = taker_peer(c, t->source);
    if (to == NULL)
        return; /* its successor will hear */
    struct buffer *message = worker_compose(c->w);
    message_settle_pack(message, &(struct message_settle){.id = slice_of(t->message),
                                                          .attempt = t->task.attempt,
                                                          .outcome = t->outcome,
                                                          .after_ms = t->after_ms,
                                                          .reason = slice_of(t->reason)});
    worker_must_send(c->w, to, message);
}

static uint32_t taker_add_receipts(const struct taker_task *t, const struct taker_source *s,
                                   struct buffer *list)
{
    uint32_t count = 0;
    char receipt[48];
    for (; t != NULL; t = t->next) {
        /* What nobody has looked at goes back by SETTLE alone: it is nobody's in between. */
        if (t->source != s || (t->phase == TAKER_SETTLED && t->outcome == TAKER_GIVE_BACK))
            continue;
        snprintf(receipt, sizeof receipt, "%s.%" PRIu64, t->message, t->task.attempt);
        pack_text(list, receipt);
        count++;
    }
    return count;
}

/* All that it has of whom was there before. */
static void taker_tell_held(struct queue_taker *c, struct taker_source *s, struct worker_peer *to)
{
    struct buffer receipts = BUFFER_EMPTY, list = BUFFER_EMPTY;
    uint32_t count = taker_add_receipts(c->settled, s, &receipts);
    count += taker_add_receipts(c->first, s, &receipts);
    pack_array(&list, count);
    pack_raw(&list, buffer_slice(&receipts));
    if (!buffer_ok(&list) || !buffer_ok(&receipts))
        worker_exit_for(c->w, ENOMEM, NULL, "cannot tell %s what it has", s->name);
    if (count > 0) {
        struct buffer *message = worker_compose(c->w);
        message_held_pack(message, &(struct message_held){.receipts = buffer_slice(&list)});
        worker_must_send(c->w, to, message);
    }
    buffer_fini(&receipts);
    buffer_fini(&list);
}

/* ---- what the consumer is at ---- */

static void taker_tell_begun(struct queue_taker *c, const struct taker_task *t)
{
    struct worker_peer *to = taker_peer(c, t->source);
    if (to == NULL)
        return; /* its successor will hear */
    struct buffer *message = worker_compose(c->w);
    message_begun_pack(
        message, &(struct message_begun){.id = slice_of(t->message), .attempt = t->task.attempt});
    worker_must_send(c->w, to, message);
}

static void taker_begin(struct queue_taker *c, struct taker_task *t)
{
    if (t == NULL || t->begun || !t->source->timed)
        return;
    t->begun = true;
    taker_tell_begun(c, t);
}

/* A program has its window before it, and says nothing of which it is at: it is taken for the first it was told. */
static void taker_told(struct queue_taker *c, struct taker_task *t)
{
    t->before = c->last_told;
    *(c->last_told != NULL ? &c->last_told->next_told : &c->first_told) = t;
    c->last_told = t;
    if (t->before == NULL)
        taker_begin(c, t);
}

/* So is the one behind what it has settled, whichever that was. */
static void taker_untold(struct queue_taker *c, struct taker_task *t)
{
    struct taker_task *next = t->next_told;
    *(t->before != NULL ? &t->before->next_told : &c->first_told) = next;
    *(next != NULL ? &next->before : &c->last_told) = t->before;
    t->before = t->next_told = NULL;
    taker_begin(c, next);
}

/* ---- what the consumer is told ---- */

/* Of the queues that have something here the one whose turn it is (smooth weighted round-robin). */
static struct taker_source *taker_next_source(struct queue_taker *c)
{
    struct taker_source *best = NULL;
    int64_t total = 0;
    for (size_t i = 0; i < c->count; i++) {
        struct taker_source *s = &c->sources[i];
        if (s->waiting == 0)
            continue;
        s->turn += (int64_t)s->weight;
        total += (int64_t)s->weight;
        if (best == NULL || s->turn > best->turn)
            best = s;
    }
    if (best != NULL)
        best->turn -= total;
    return best;
}

/* The next of the source's that waits becomes its first. */
static void taker_advance(struct taker_source *s)
{
    struct taker_task *t = s->next->next;
    while (t != NULL && (t->source != s || t->phase != TAKER_WAITS))
        t = t->next;
    s->next = t;
}

/* Who settles while it is told is told the next by this loop, not by one within it: a window needs no stack. */
static void taker_tell(struct queue_taker *c)
{
    struct taker_source *s;
    if (c->telling)
        return;
    c->telling = true;
    while (!c->stopped && c->told < c->window && !c->alone && (s = taker_next_source(c)) != NULL) {
        struct taker_task *t = s->next;
        if (t->alone && c->told > 0)
            break; /* until its hands are empty */
        taker_advance(s);
        t->phase = TAKER_TOLD;
        s->waiting--;
        c->told++;
        c->alone = t->alone;
        taker_told(c, t);
        c->events.on_task(c->w, &t->task);
    }
    c->telling = false;
}

/* ---- tasks ---- */

/* Takes what `at` points to out of those in hands. */
static struct taker_task *taker_unlink(struct queue_taker *c, struct taker_task **at)
{
    struct taker_task *t = *at;
    if (t->source->next == t)
        taker_advance(t->source);
    *at = t->next;
    if (c->last == &t->next)
        c->last = at;
    t->next = NULL;
    return t;
}

static void taker_settled(struct queue_taker *c, struct taker_task *t)
{
    t->phase = TAKER_SETTLED;
    *c->last_settled = t;
    c->last_settled = &t->next;
}

static bool taker_heard(struct queue_taker *c, const struct taker_source *s,
                        const struct message_lost *m)
{
    for (struct taker_task **at = &c->settled; *at != NULL; at = &(*at)->next) {
        struct taker_task *t = *at;
        if (t->source != s || t->task.attempt != m->attempt || !slice_is(m->id, t->message))
            continue;
        *at = t->next;
        if (c->last_settled == &t->next)
            c->last_settled = at;
        free(t);
        return true;
    }
    return false;
}

/* Not in the consumer's hands any more. */
static void taker_release(struct queue_taker *c, struct taker_task *t)
{
    if (t->phase == TAKER_TOLD) {
        taker_untold(c, t);
        c->told--;
        c->alone = c->alone && !t->alone;
    }
    if (t->phase == TAKER_WAITS)
        t->source->waiting--;
    t->source->owed--;
}

static bool taker_on_task(struct queue_taker *c, struct taker_source *s, struct unpack *u)
{
    struct message_task m;
    if (!message_task_unpack(u, &m) || m.id.len >= sizeof c->first->message)
        return false;
    struct taker_task *t = worker_must_alloc(c->w, sizeof *t + m.facet.len + m.body.len);
    t->source = s;
    t->alone = m.alone != 0;
    slice_copy(m.id, t->message, sizeof t->message);
    memcpy(t->bytes, m.facet.ptr, m.facet.len);
    memcpy(t->bytes + m.facet.len, m.body.ptr, m.body.len);
    t->task = (struct worker_task){.queue = s->queue,
                                   .attempt = m.attempt,
                                   .at_ms = m.at_ms,
                                   .facet = slice_make(t->bytes, m.facet.len),
                                   .body = slice_make(t->bytes + m.facet.len, m.body.len)};
    snprintf(t->task.id, sizeof t->task.id, "%s/%s%s%.*s", s->queue, t->message,
             s->server.len > 0 ? "@" : "", (int)s->server.len, s->server.ptr);
    *c->last = t;
    c->last = &t->next;
    s->received++;
    s->owed++;
    if (s->waiting++ == 0)
        s->next = t;
    (void)FAULT_POINT("queue-taker.after-task", m.id);
    taker_tell(c);
    return true;
}

/* Redis has heard what became of it; or it is another's. */
static bool taker_on_lost(struct queue_taker *c, struct taker_source *s, struct unpack *u)
{
    struct message_lost m;
    if (!message_lost_unpack(u, &m))
        return false;
    if (taker_heard(c, s, &m))
        return true;
    for (struct taker_task **at = &c->first; *at != NULL; at = &(*at)->next) {
        if ((*at)->source != s || (*at)->task.attempt != m.attempt ||
            !slice_is(m.id, (*at)->message))
            continue;
        struct taker_task *t = taker_unlink(c, at);
        taker_release(c, t);
        if (t->phase == TAKER_TOLD)
            c->events.on_lost(c->w, &t->task);
        free(t);
        break;
    }
    taker_allow(c, s);
    taker_tell(c);
    return true;
}

bool queue_taker_message(struct queue_taker *c, struct worker_peer *from, uint64_t type,
                         struct unpack *u)
{
    struct taker_source *s = taker_source_of(c, from->name);
    if (s != NULL && type == MESSAGE_TASK)
        return taker_on_task(c, s, u);
    return s != NULL && type == MESSAGE_LOST && taker_on_lost(c, s, u);
}

bool queue_taker_settle(struct queue_taker *c, const char *id, enum worker_task_end end,
                        int64_t after_ms, const char *reason)
{
    struct taker_task **at = c != NULL ? &c->first : NULL;
    while (at != NULL && *at != NULL &&
           ((*at)->phase != TAKER_TOLD || strcmp((*at)->task.id, id) != 0))
        at = &(*at)->next;
    if (at == NULL || *at == NULL)
        return false;
    struct taker_task *t = taker_unlink(c, at);
    taker_release(c, t);
    taker_settled(c, t);
    t->outcome = end;
    t->after_ms = after_ms;
    size_t len = strlen(reason);
    slice_copy(slice_make(reason, len < TAKER_REASON_MAX ? len : TAKER_REASON_MAX), t->reason,
               sizeof t->reason);
    (void)FAULT_POINT("queue-taker.before-settle", slice_of(t->message));
    taker_tell_settled(c, t);
    (void)FAULT_POINT("queue-taker.after-settle", slice_of(t->message));
    taker_allow(c, t->source);
    taker_tell(c);
    return true;
}

/* ---- coming and going ---- */

/* Takes what `at` points to out of those in hands: nobody has looked at it. */
static struct taker_task *taker_give_back(struct queue_taker *c, struct taker_task **at)
{
    struct taker_task *t = taker_unlink(c, at);
    taker_release(c, t);
    taker_settled(c, t);
    t->outcome = TAKER_GIVE_BACK;
    return t;
}

/*
 * A successor would not know that what waits until it is by itself is not what this consumer died of: such a one is
 * handed out anew.
 */
void queue_taker_up(struct queue_taker *c, struct worker_peer *peer)
{
    struct taker_source *s = taker_source_of(c, peer->name);
    if (s == NULL)
        return;
    s->up = true;
    s->received = s->allowed = 0;
    for (struct taker_task **at = &c->first; *at != NULL;)
        if ((*at)->source == s && (*at)->phase == TAKER_WAITS && (*at)->alone)
            taker_give_back(c, at);
        else
            at = &(*at)->next;
    (void)FAULT_POINT("queue-taker.before-held", slice_of(s->queue));
    taker_tell_held(c, s, peer);
    for (const struct taker_task *t = c->first_told; t != NULL; t = t->next_told)
        if (t->source == s && t->begun)
            taker_tell_begun(c, t);
    for (const struct taker_task *t = c->settled; t != NULL; t = t->next)
        if (t->source == s)
            taker_tell_settled(c, t);
    taker_allow(c, s);
}

void queue_taker_down(struct queue_taker *c, const struct worker_peer *peer)
{
    struct taker_source *s = taker_source_of(c, peer->name);
    if (s != NULL)
        s->up = false;
}

void queue_taker_stop(struct queue_taker *c)
{
    if (c == NULL || c->stopped)
        return;
    c->stopped = true;
    for (size_t i = 0; i < c->count; i++)
        taker_allow(c, &c->sources[i]);
    for (struct taker_task **at = &c->first; *at != NULL;) {
        if ((*at)->phase != TAKER_WAITS) {
            at = &(*at)->next;
            continue;
        }
        taker_tell_settled(c, taker_give_back(c, at));
    }
}

bool queue_taker_owes(const struct queue_taker *c)
{
    for (const struct taker_task *t = c != NULL ? c->settled : NULL; t != NULL; t = t->next)
        if (t->source->up)
            return true;
    return false;
}
