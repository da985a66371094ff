/*
 * queue_backbones.c: the workers of the queue's backbone, who answer for it, are told how long its messages wait. See
 * queue_worker.h.
 *
 * How many there are changes while we run (it is a key that a reload takes over): they are found one behind the other.
 * Of several servers only those of ours are told: their workers take turns, as ours do (queue_reach.h).
 */
#include "workers/queue/queue_worker.h"

#include "common/clock.h"
#include "common/text.h"

#include <inttypes.h>
#include <stdio.h>

static uint64_t backbones_servers(const struct queue_worker *q)
{
    const char *at = worker_setting_text(q->w, "backbone.redis");
    uint64_t count = 0;
    for (; *(at += strspn(at, " \t")) != '\0'; at += strcspn(at, " \t"))
        count++;
    return count > 0 ? count : 1;
}

/* The number that a name ends with. 0: it has none. */
static uint64_t backbones_number(const char *name)
{
    const char *dot = strrchr(name, '.');
    uint64_t number = 0;
    return dot != NULL && text_parse_u64(slice_of(dot + 1), &number) == 0 ? number : 0;
}

static bool backbones_is_ours(const struct queue_worker *q, const struct worker_peer *peer)
{
    uint64_t servers = backbones_servers(q);
    return strcmp(peer->type, "backbone") == 0 &&
           backbones_number(peer->name) % servers == backbones_number(worker_name(q->w)) % servers;
}

void queue_backbones_monitor(struct queue_worker *q, uint64_t number)
{
    char name[2 * CONTRACT_NAME_MAX];
    snprintf(name, sizeof name, "queue/%s/backbone.%" PRIu64,
             worker_setting_text(q->w, "backbone.name"), number);
    worker_monitor(q->w, slice_of(name));
}

/* It knows nothing yet. And there may be one more, which is told or, when there is none, said to be unknown. */
void queue_backbones_up(struct queue_worker *q, const struct worker_peer *peer)
{
    uint64_t number = backbones_number(peer->name);
    if (strcmp(peer->type, "backbone") != 0 || number == 0)
        return;
    q->told_p50_ms = q->told_p99_ms = UINT64_MAX;
    queue_backbones_monitor(q, number + 1);
}

void queue_backbones_tell(struct queue_worker *q)
{
    uint64_t now = clock_mono_ms();
    uint64_t p50 = queue_waits_part(&q->waits, now, 50), p99 = queue_waits_part(&q->waits, now, 99);
    worker_gauge(q->w, COUNTER_QUEUE_WAIT_P50, p50);
    worker_gauge(q->w, COUNTER_QUEUE_WAIT_P99, p99);
    if (p50 == q->told_p50_ms && p99 == q->told_p99_ms)
        return;
    q->told_p50_ms = p50;
    q->told_p99_ms = p99;
    for (struct worker_peer *p = worker_peer_next(q->w, NULL); p != NULL;
         p = worker_peer_next(q->w, p)) {
        if (!backbones_is_ours(q, p))
            continue;
        struct buffer *message = worker_compose(q->w);
        message_waits_pack(message,
                           &(struct message_waits){.queue = q->name, .p50_ms = p50, .p99_ms = p99});
        worker_send(q->w, p, message); /* the next change tells it again */
    }
}
