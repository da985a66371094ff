/*
 * messages_worker.c: a worker that sends, counts or answers as fast as it can; scripts/bench/messages plays its master.
 *
 * On the common skeleton and nothing else, so that what is measured is what every worker has: compose, pack,
 * worker_send, the numbered frames of the transport, and on the other side the peer's check and the unpacking.
 * Settings: bench.role (source, sink, ping, pong), bench.size (bytes of payload), bench.count (messages). The sink and
 * the ping print the nanoseconds from the first message to the last.
 */
#include "workers/skeleton/worker.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Messages a turn of the loop: then the flow goes on, and timers get their turn. */
#define BENCH_TURN 1000

struct bench {
    struct worker *w;
    struct worker_peer *other;
    uint64_t count, size;
    uint64_t sent, heard;
    uint64_t began_ns;
    char *payload;
    uv_idle_t idle;
};

static uint64_t bench_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static bool bench_is(const struct bench *b, const char *role)
{
    return strcmp(worker_setting_text(b->w, "bench.role"), role) == 0;
}

static bool bench_send(struct bench *b)
{
    struct message_records m = {.token = b->sent, .records = slice_make(b->payload, b->size)};
    struct buffer *out = worker_compose(b->w);
    message_records_pack(out, &m);
    if (worker_send(b->w, b->other, out) != 0)
        return false;
    b->sent++;
    return true;
}

static void bench_on_idle(uv_idle_t *idle)
{
    struct bench *b = idle->data;
    for (int i = 0; i < BENCH_TURN && b->sent < b->count; i++)
        if (!bench_send(b))
            return;
    if (b->sent == b->count)
        uv_idle_stop(idle);
}

static int bench_init(struct worker *w, void *state)
{
    struct bench *b = state;
    b->w = w;
    b->count = worker_setting_u64(w, "bench.count");
    b->size = worker_setting_u64(w, "bench.size");
    b->payload = calloc(1, b->size + 1);
    uv_idle_init(worker_loop(w), &b->idle);
    b->idle.data = b;
    return b->payload != NULL ? 0 : -1;
}

static void bench_on_up(struct worker *w, void *state, struct worker_peer *peer)
{
    (void)w;
    struct bench *b = state;
    b->other = peer;
    b->began_ns = bench_now_ns();
    if (bench_is(b, "source"))
        uv_idle_start(&b->idle, bench_on_idle);
    else if (bench_is(b, "ping"))
        bench_send(b);
}

static void bench_over(const struct bench *b)
{
    printf("%" PRIu64 "\n", bench_now_ns() - b->began_ns);
    fflush(stdout);
}

static bool bench_on_message(struct worker *w, void *state, struct worker_peer *from, uint64_t type,
                             struct unpack *u)
{
    (void)w;
    struct bench *b = state;
    struct message_records m;
    if (type != MESSAGE_RECORDS || !message_records_unpack(u, &m) || m.records.len != b->size)
        return false;
    if (b->heard++ == 0 && bench_is(b, "sink"))
        b->began_ns = bench_now_ns();
    b->other = from;
    if (bench_is(b, "pong") || (bench_is(b, "ping") && b->heard < b->count))
        bench_send(b);
    else if (b->heard == b->count)
        bench_over(b);
    return true;
}

static void bench_fini(struct worker *w, void *state)
{
    (void)w;
    struct bench *b = state;
    uv_close((uv_handle_t *)&b->idle, NULL);
    free(b->payload);
}

const struct worker_ops worker_ops = {
    .type = "bench",
    .mailbox = &worker_mailbox,
    .state_size = sizeof(struct bench),
    .init = bench_init,
    .on_up = bench_on_up,
    .on_message = bench_on_message,
    .fini = bench_fini,
};
