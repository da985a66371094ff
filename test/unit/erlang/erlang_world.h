/*
 * erlang_world.h: the skeleton (worker.h) played for one file of the gate, and time that passes when the test says so.
 *
 * For unit suites of the gate, to be included by the suite itself: of an archive it would be linked into every suite.
 */
#ifndef TEST_UNIT_ERLANG_WORLD_H
#define TEST_UNIT_ERLANG_WORLD_H

#include "common/clock.h"
#include "test/unit/suite.h"
#include "workers/skeleton/worker.h"

#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>

static uv_loop_t world_loop;
static _Atomic uint64_t world_later_ms; /* what the test has added to the time */
static uint64_t world_counts[COUNTER_COUNT];
static char world_trouble[512];

/* libuv's, clock.h's and whoever else's: it goes on as it does, and jumps. */
int clock_gettime(clockid_t id, struct timespec *now)
{
    int rc = (int)syscall(SYS_clock_gettime, id, now);
    now->tv_sec += (time_t)(world_later_ms / 1000);
    now->tv_nsec += (long)(world_later_ms % 1000) * 1000000;
    if (now->tv_nsec >= 1000000000) {
        now->tv_sec++;
        now->tv_nsec -= 1000000000;
    }
    return rc;
}

uv_loop_t *worker_loop(struct worker *w)
{
    (void)w;
    return &world_loop;
}

void *worker_must_alloc(struct worker *w, size_t size)
{
    (void)w;
    void *memory = calloc(1, size);
    ck_assert_ptr_nonnull(memory);
    return memory;
}

void worker_count(struct worker *w, enum counter counter, uint64_t more)
{
    (void)w;
    world_counts[counter] += more;
}

void worker_trouble(struct worker *w, const char *format, ...)
{
    va_list args;
    (void)w;
    va_start(args, format);
    vsnprintf(world_trouble, sizeof world_trouble, format, args);
    va_end(args);
}

_Noreturn void worker_exit_for(struct worker *w, int error, const char *path, const char *format,
                               ...)
{
    (void)w;
    ck_abort_msg("the worker ends: %s (%s, %s)", format, strerror(error), path);
    abort();
}

/* Turns of the loop until it holds, WORLD_MS at most. */
#define WORLD_MS 20000
#define world_until(condition)                                                                     \
    do {                                                                                           \
        uint64_t world_deadline = clock_mono_ms() + WORLD_MS;                                      \
        while (!(condition)) {                                                                     \
            ck_assert_msg(clock_mono_ms() < world_deadline, "%s", #condition);                     \
            world_turn();                                                                          \
        }                                                                                          \
    } while (0)

/* As soon as the loop has something, and, for what goes by the time, each millisecond. */
static inline void world_turn(void)
{
    uv_run(&world_loop, UV_RUN_NOWAIT);
    poll(&(struct pollfd){.fd = uv_backend_fd(&world_loop), .events = POLLIN}, 1, 1);
}

/* What is there to be done is done, without waiting. */
static inline void world_turns(int turns)
{
    for (int i = 0; i < turns; i++)
        uv_run(&world_loop, UV_RUN_NOWAIT);
}

static inline void world_begin(void)
{
    ck_assert_int_eq(uv_loop_init(&world_loop), 0);
}

/* All handles are closed by now, or are about to be. */
static inline void world_end(void)
{
    uv_run(&world_loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&world_loop), 0);
}

#endif
