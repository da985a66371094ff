/*
 * queue_taking.c: messages are taken from Redis, and handed to consumers. See queue_worker.h.
 *
 * One call at a time, for as many as consumers may be handed. Without work the worker waits for the list of turns
 * (queue_redis_wait), not for a channel: nobody else hears that. The call that takes stands behind the wait, so that
 * Redis runs it as soon as something is delivered; until it is answered no other takes, and no lost answer is looked
 * for: what it has taken nobody knows here yet. When a consumer goes meanwhile it is to take nothing (queue_put_off);
 * what nobody may be handed all the same goes back. Turns that nobody may have now (caps, a pause) end the wait at
 * once: then it looks again later and later, up to a second.
 */
#include "workers/queue/queue_worker.h"

#include "common/clock.h"
#include "common/fault.h"

#include <inttypes.h>
#include <stdio.h>

#define TAKING_PAUSE_MIN_MS 20u
#define TAKING_PAUSE_MAX_MS 1000u

static uint64_t taking_room(struct queue_worker *q)
{
    uint64_t room = 0;
    for (struct worker_peer *p = worker_peer_next(q->w, NULL); p != NULL;
         p = worker_peer_next(q->w, p))
        room += p->user != NULL ? queue_consumer_room(p->user) : 0;
    return room;
}

/* Who has fewest in hands; of those who may be handed one. NULL: nobody. */
static struct worker_peer *taking_consumer(struct queue_worker *q)
{
    struct worker_peer *best = NULL;
    for (struct worker_peer *p = worker_peer_next(q->w, NULL); p != NULL;
         p = worker_peer_next(q->w, p)) {
        const struct queue_consumer *c = p->user, *b = best != NULL ? best->user : NULL;
        if (c != NULL && queue_consumer_room(c) > 0 && (b == NULL || c->count < b->count))
            best = p;
    }
    return best;
}

static void taking_hand(struct queue_worker *q, const struct queue_task *task, uint64_t waiting_ms)
{
    struct worker_peer *to = taking_consumer(q);
    if (to == NULL) { /* its consumer has died meanwhile */
        queue_end(q, NULL, task->id, task->attempt, QUEUE_GIVE_BACK, 0, false,
                  slice_of("there is nobody to take it"));
        return;
    }
    struct queue_consumer *c = to->user;
    struct buffer *message = worker_compose(q->w);
    message_task_pack(message, &(struct message_task){.id = task->id,
                                                      .attempt = task->attempt,
                                                      .facet = task->facet,
                                                      .at_ms = task->at_ms,
                                                      .alone = task->alone,
                                                      .body = task->body});
    queue_hand_add(q, c, task->id, task->attempt, task->alone);
    c->handed++;
    worker_must_send(q->w, to, message);
    worker_count(q->w, COUNTER_QUEUE_HANDED, 1);
    if (task->at_ms >= 0 && task->attempt == 1)
        queue_waits_add(&q->waits, clock_mono_ms(), waiting_ms);
}

static void taking_pause(struct queue_worker *q, uint64_t most_ms)
{
    uint64_t pause = TAKING_PAUSE_MIN_MS << (q->in_vain < 6 ? q->in_vain : 6);
    pause = pause < TAKING_PAUSE_MAX_MS ? pause : TAKING_PAUSE_MAX_MS;
    uv_timer_start(&q->timer, queue_on_timer, most_ms < pause ? most_ms : pause, 0);
}

static void taking_on_reply(struct redis_conn *c, const redisReply *reply, void *ctx);

/* `number`: of the wait in front of it; 0: there is none. */
static struct queue_call *taking_call(struct queue_worker *q, uint64_t number)
{
    uint64_t room = taking_room(q);
    q->wanted = room < QUEUE_BATCH ? room : QUEUE_BATCH;
    queue_call_take(&q->call, slice_of(q->redis.owner), q->wanted, q->lease_ms, q->name, number);
    return &q->call;
}

/* Nothing is there for those who may be handed something: it waits, and no longer than until something falls due. */
static void taking_rest(struct queue_worker *q, int64_t due_ms)
{
    if (worker_stopping(q->w))
        return;
    if (due_ms >= 0)
        uv_timer_start(&q->timer, queue_on_timer, (uint64_t)due_ms + 1, 0);
    if (q->in_vain > 0)
        taking_pause(q, due_ms >= 0 ? (uint64_t)due_ms + 1 : UINT64_MAX);
    else
        queue_redis_wait(&q->redis, slice_of(q->turns), taking_call(q, ++q->waits_begun),
                         taking_on_reply);
}

static uint64_t taking_waited(const struct queue_task *task)
{
    int64_t now = (int64_t)clock_wall_ms();
    return task->at_ms >= 0 && task->at_ms < now ? (uint64_t)(now - task->at_ms) : 0;
}

static bool taking_read(struct queue_worker *q, const redisReply *reply, struct queue_taken *taken,
                        uint64_t *count)
{
    struct queue_task task;
    *count = 0;
    if (reply->type != REDIS_REPLY_STRING || !queue_read_taken(queue_reply_bytes(reply), taken))
        return false;
    while (queue_next_task(&taken->tasks, &task)) {
        if (task.id.len > QUEUE_ID_MAX)
            return false;
        if (*count == 0 && FAULT_POINT("queue.after-pull", task.id))
            return false;
        taking_hand(q, &task, taking_waited(&task));
        ++*count;
        if (FAULT_POINT("queue.after-task", task.id))
            return false;
    }
    return queue_list_ok(&taken->tasks);
}

static void taking_on_reply(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    struct queue_worker *q = ctx;
    struct queue_taken taken;
    char why[384];
    uint64_t count;
    (void)c;
    q->taking = false;
    bool again = queue_redis_failed(&q->redis, reply, why, sizeof why);
    q->lost_answer = q->lost_answer || reply == NULL;
    if (again) {
        queue_take(q);
    } else if (why[0] != '\0') {
        q->note(q, reply, why);
    } else if (!taking_read(q, reply, &taken, &count)) {
        q->lost_answer = true;
        q->note(q, NULL, "Redis gave an answer that is none");
    } else {
        q->error[0] = '\0';
        q->in_vain = count > 0 ? 0 : q->in_vain;
        if (count >= q->wanted || q->put_off)
            queue_take(q);
        else if (taking_room(q) > 0)
            taking_rest(q, taken.due_ms);
    }
    q->put_off = false;
    if (q->lost_answer)
        queue_take(q);
}

void queue_put_off(struct queue_worker *q)
{
    static const char mode[] = "PX", life_ms[] = "60000";
    char key[QUEUE_SPACE_SIZE + REDIS_IDENTITY_SIZE + 16], number[24];
    if (!q->redis.followed || q->put_off || !redis_conn_ready(q->redis.conn))
        return;
    snprintf(key, sizeof key, "%splatoon:off:%s", q->redis.space, q->redis.owner);
    snprintf(number, sizeof number, "%" PRIu64, q->waits_begun);
    const struct slice words[] = {slice_of("SET"), slice_of(key), slice_of(number), slice_of(mode),
                                  slice_of(life_ms)};
    q->put_off =
        redis_conn_command(q->redis.conn, sizeof words / sizeof words[0], words, NULL, NULL) == 0;
}

/* ---- an answer that was lost ---- */

void queue_add_known(struct queue_worker *q)
{
    for (struct worker_peer *p = worker_peer_next(q->w, NULL); p != NULL;
         p = worker_peer_next(q->w, p)) {
        const struct queue_consumer *c = p->user;
        for (const struct queue_hand *h = c != NULL ? c->first : NULL; h != NULL; h = h->next)
            queue_call_receipt(&q->call, slice_of(h->id), h->attempt);
    }
    queue_ending_known(q);
}

static void taking_disown(struct queue_worker *q, struct slice cursor);

static void taking_on_disowned(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    struct queue_worker *q = ctx;
    (void)c;
    q->taking = false;
    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY || reply->elements < 1 ||
        reply->element[0]->type != REDIS_REPLY_STRING)
        return; /* tried again with the next tick */
    if (slice_is(queue_reply_bytes(reply->element[0]), "0"))
        q->lost_answer = false;
    else
        taking_disown(q, queue_reply_bytes(reply->element[0]));
    if (!q->taking)
        queue_take(q);
}

/* Nothing is taken meanwhile, so that all of ours that nobody here knows was in that answer. */
static void taking_disown(struct queue_worker *q, struct slice cursor)
{
    queue_call_disown(&q->call, q->name, slice_of(q->redis.owner), slice_of(""), false,
                      slice_of("the answer that handed it out was lost"), cursor);
    queue_add_known(q);
    q->taking = queue_redis_call(&q->redis, &q->call, taking_on_disowned, q) == 0;
}

/* ---- when ---- */

void queue_take(struct queue_worker *q)
{
    if (q->taking || q->redis.followed || worker_stopping(q->w) || !redis_conn_ready(q->redis.conn))
        return;
    if (q->lost_answer) {
        taking_disown(q, slice_of("0"));
        return;
    }
    if (taking_room(q) > 0)
        q->taking = queue_redis_call(&q->redis, taking_call(q, 0), taking_on_reply, q) == 0;
}

void queue_on_list(void *state, bool seen)
{
    struct queue_worker *q = state;
    if (worker_stopping(q->w))
        return;
    q->in_vain = seen && !q->put_off ? q->in_vain + 1 : 0; /* until messages are found */
    queue_take(q);
}

static void taking_on_clock(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    struct queue_worker *q = ctx;
    (void)c;
    bool known = reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements == 3 &&
                 reply->element[2]->type == REDIS_REPLY_INTEGER;
    int64_t due_ms = known ? reply->element[2]->integer : TAKING_PAUSE_MAX_MS;
    if (due_ms >= 0 && q->redis.followed && !uv_is_active((uv_handle_t *)&q->timer))
        uv_timer_start(&q->timer, queue_on_timer, (uint64_t)due_ms + 1, 0);
}

/* What has come due has turns then, which end the wait. */
void queue_on_timer(uv_timer_t *timer)
{
    struct queue_worker *q = timer->data;
    if (!q->redis.followed || worker_stopping(q->w)) {
        queue_take(q);
        return;
    }
    queue_call_clock(&q->call, q->name);
    queue_redis_call(&q->redis, &q->call, taking_on_clock, q);
}
