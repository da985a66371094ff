/*
 * seed.c: see seed.h.
 *
 * Orders are answered while we wait, as exec is: the worker's pid must be known before anything else is heard of it.
 * What has not come in POLICY_SEED_MS will not: the seed is killed, so that no late answer is taken for the next one's.
 * A child that it may have forked finds its link ended, and is an orphan for reaper.c.
 */
#include "master/process/seed.h"

#include "common/clock.h"
#include "common/log.h"
#include "master/tree/policy.h"
#include "proto/contract.h"
#include "proto/seed_order.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct seed {
    pid_t pid;
    int pidfd, fd;
    enum worker_type type;
    bool ready;          /* it has said HELLO */
    uint64_t planted_ms; /* clock_mono_ms */
    struct stat program; /* what it was executed from */
    uv_poll_t exit_poll;
};

static struct seed_line {
    struct seed *seed; /* NULL: none */
    uint64_t births;
    uint64_t failures; /* seeds lost in a row */
    uint64_t next_ms;  /* when another one may be planted, clock_mono_ms */
} seeds[WORKER_TYPE_COUNT];

static bool (*seed_taken)(pid_t pid);

void seed_setup(bool (*taken)(pid_t pid))
{
    seed_taken = taken;
}

/* ---- end ---- */

static void seed_on_closed(uv_handle_t *handle)
{
    struct seed *s = handle->data;
    close(s->pidfd); /* not before: libuv would find the descriptor gone */
    free(s);
}

/* Waits for its end, which SIGKILL does not let it put off. */
static void seed_end(struct seed *s)
{
    seeds[s->type].seed = NULL;
    kill(s->pid, SIGKILL);
    while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    close(s->fd);
    uv_close((uv_handle_t *)&s->exit_poll, seed_on_closed);
}

static void seed_pause(struct seed_line *line, enum worker_type type, const char *cause)
{
    uint64_t pause = POLICY_SEED_PAUSE_MS << (line->failures < 8 ? line->failures : 8);
    line->failures++;
    line->next_ms = clock_mono_ms() + pause;
    log_warn("seed-lost", "type=%s cause=%s next_try_ms=%llu", worker_type_name(type),
             log_quote_text(cause), (unsigned long long)pause);
}

static void __attribute__((format(printf, 2, 3))) seed_lose(struct seed *s, const char *format, ...)
{
    char cause[128];
    va_list args;
    va_start(args, format);
    vsnprintf(cause, sizeof cause, format, args);
    va_end(args);
    enum worker_type type = s->type;
    seed_end(s);
    seed_pause(&seeds[type], type, cause);
}

static void seed_on_exit(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    struct seed *s = poll->data;
    if (seeds[s->type].seed == s)
        seed_lose(s, "it has ended");
}

void seed_stop(void)
{
    for (size_t i = 0; i < WORKER_TYPE_COUNT; i++)
        if (seeds[i].seed != NULL)
            seed_end(seeds[i].seed);
}

void seed_crashed(enum worker_type type, int number)
{
    if (seeds[type].seed != NULL && number != SIGKILL && number != SIGTERM)
        seed_end(seeds[type].seed);
}

bool seed_is(pid_t pid)
{
    for (size_t i = 0; i < WORKER_TYPE_COUNT; i++)
        if (seeds[i].seed != NULL && seeds[i].seed->pid == pid)
            return true;
    return false;
}

/* ---- orders ---- */

/* One packet; 0: there is none any more. Does not wait. Negative errno. */
static ssize_t seed_receive(struct seed *s, char packet[SEED_PACKET_MAX])
{
    ssize_t n;
    do
        n = recv(s->fd, packet, SEED_PACKET_MAX, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static int seed_send(struct seed *s, const struct buffer *packet, int link, int output)
{
    union {
        char room[CMSG_SPACE(SEED_FDS * sizeof(int))];
        struct cmsghdr align;
    } control = {.room = {0}};
    struct iovec part = {.iov_base = packet->data, .iov_len = packet->len};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.room,
                             .msg_controllen = sizeof control.room};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    *head = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
                             .cmsg_type = SCM_RIGHTS,
                             .cmsg_len = CMSG_LEN(SEED_FDS * sizeof(int))};
    int fds[SEED_FDS] = {[SEED_FD_LINK] = link, [SEED_FD_OUTPUT] = output};
    memcpy(CMSG_DATA(head), fds, sizeof fds);
    return sendmsg(s->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)packet->len ? 0
                                                                                         : -errno;
}

/* A child of ours that we do not have yet: a seed's word is not taken for it. */
static bool seed_is_newborn(const struct seed *s, pid_t pid)
{
    siginfo_t info;
    return pid > 0 && pid != s->pid && !seed_is(pid) && !seed_taken(pid) &&
           waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/* False: it does not come. */
static bool seed_wait(const struct seed *s)
{
    struct pollfd wait = {.fd = s->fd, .events = POLLIN};
    uint64_t end_ms = clock_mono_ms() + POLICY_SEED_MS;
    int rc;
    do {
        uint64_t now = clock_mono_ms();
        rc = poll(&wait, 1, now < end_ms ? (int)(end_ms - now) : 0);
    } while (rc < 0 && errno == EINTR);
    return rc == 1;
}

/* 0 and the worker; or a negative errno, the seed being lost unless it is short of something. */
static int seed_hear_answer(struct seed *s, pid_t *pid)
{
    char packet[SEED_PACKET_MAX];
    struct seed_answer answer = {0};
    bool late = !seed_wait(s);
    ssize_t n = late ? 0 : seed_receive(s, packet);
    if (late)
        seed_lose(s, "it has not answered within %d ms", POLICY_SEED_MS);
    else if (n == 0 || n == -ECONNRESET)
        seed_lose(s, "it has ended");
    else if (n < 0 || !seed_answer_unpack(slice_make(packet, (size_t)n), &answer))
        seed_lose(s, "its answer cannot be read");
    else if (contract_is_shortage((int)answer.error))
        return -(int)answer.error;
    else if (answer.error != 0)
        seed_lose(s, "it cannot fork: %s", strerror((int)answer.error));
    else if (!seed_is_newborn(s, (pid_t)answer.pid))
        seed_lose(s, "its answer is pid %d, which is no newborn of ours", (int)answer.pid);
    else
        *pid = (pid_t)answer.pid;
    return *pid > 0 ? 0 : -EPIPE;
}

/* spawn_request.bear: `link` and `output` are the worker's ends. */
static int seed_bear(void *ctx, const struct spawn_request *request, int link, int output,
                     pid_t *pid)
{
    struct seed *s = ctx;
    struct buffer packet = BUFFER_EMPTY;
    struct seed_order order = {.name = slice_of(request->name),
                               .generation = request->generation,
                               .log_level = slice_of(log_level_name(request->log_level))};
    seed_order_pack(&packet, &order);
    int rc = buffer_ok(&packet) ? seed_send(s, &packet, link, output) : -ENOMEM;
    buffer_fini(&packet);
    if (rc == 0)
        return seed_hear_answer(s, pid);
    if (!contract_is_shortage(-rc))
        seed_lose(s, "it takes no order: %s", strerror(-rc));
    return rc;
}

/* ---- life ---- */

/* A kernel without CONFIG_CHECKPOINT_RESTORE: there will be none in our life. */
static void seed_give_up(struct seed *s)
{
    seeds[s->type].next_ms = UINT64_MAX;
    log_info("seed-none", "type=%s cause=\"this kernel has no PR_GET_TID_ADDRESS\"",
             worker_type_name(s->type));
    seed_end(s);
}

/* For a seed that has begun: it said so first thing. */
static bool seed_is_ready(struct seed *s)
{
    char packet[SEED_PACKET_MAX];
    uint64_t version = 0;
    if (s->ready)
        return true;
    ssize_t n = seed_receive(s, packet);
    if (n == -EAGAIN) {
        if (clock_mono_ms() - s->planted_ms > CONTRACT_HELLO_MS)
            seed_lose(s, "it has not said HELLO within %d s", CONTRACT_HELLO_MS / 1000);
        return false;
    }
    bool read = n > 0 && seed_hello_unpack(slice_make(packet, (size_t)n), &version);
    if (!read)
        seed_lose(s, n == 0 ? "it has ended" : "its HELLO cannot be read");
    else if (version == SEED_UNABLE)
        seed_give_up(s);
    else if (version != SEED_VERSION)
        seed_lose(s, "it is of another build");
    else
        s->ready = true;
    return read && version == SEED_VERSION;
}

static bool seed_program_is(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* NULL: there is none, it has not begun yet, or what it was executed from has been replaced. */
static struct seed *seed_find(struct seed_line *line, const char *program)
{
    struct stat now;
    struct seed *s = line->seed;
    if (s == NULL)
        return NULL;
    if (stat(program, &now) != 0 || !seed_program_is(&now, &s->program)) {
        seed_end(s);
        return NULL;
    }
    return seed_is_ready(s) ? s : NULL;
}

static int seed_watch(uv_loop_t *loop, struct seed *s)
{
    int rc = uv_poll_init(loop, &s->exit_poll, s->pidfd);
    if (rc != 0)
        return rc;
    s->exit_poll.data = s;
    return uv_poll_start(&s->exit_poll, UV_READABLE, seed_on_exit);
}

static int seed_plant(uv_loop_t *loop, enum worker_type type, const struct spawn_request *request)
{
    struct spawn_result born;
    struct seed *s = calloc(1, sizeof *s);
    if (s == NULL)
        return -ENOMEM;
    int rc = stat(request->program, &s->program) == 0
                 ? spawn_seed(request->program, request->type, &born)
                 : -errno;
    if (rc != 0) {
        free(s);
        return rc;
    }
    s->pid = born.pid;
    s->pidfd = born.pidfd;
    s->fd = born.link;
    s->type = type;
    s->planted_ms = clock_mono_ms();
    rc = seed_watch(loop, s);
    if (rc == 0) {
        seeds[type].seed = s;
        log_debug("seed-planted", "type=%s pid=%d", worker_type_name(type), (int)s->pid);
        return 0;
    }
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
    close(s->fd);
    close(s->pidfd);
    free(s);
    return rc;
}

int seed_spawn(uv_loop_t *loop, enum worker_type type, const struct spawn_request *request,
               struct spawn_result *result)
{
    struct seed_line *line = &seeds[type];
    struct spawn_request by_seed = *request;
    by_seed.bear = seed_bear;
    by_seed.ctx = seed_find(line, request->program);
    if (by_seed.ctx != NULL && spawn_worker(&by_seed, result) == 0) {
        line->failures = 0;
        result->forked = true;
        return 0;
    }
    int rc = spawn_worker(request, result);
    if (rc != 0 || line->seed != NULL || ++line->births < POLICY_SEED_BIRTHS ||
        clock_mono_ms() < line->next_ms)
        return rc;
    int planted = seed_plant(loop, type, request);
    if (planted != 0)
        seed_pause(line, type, strerror(-planted));
    return rc;
}
