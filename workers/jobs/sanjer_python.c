/* sanjer_python.c: the warm interpreter and its children. See sanjer_python.h. */
#include "workers/jobs/sanjer_python.h"

#include "common/clock.h"
#include "common/log.h"
#include "workers/jobs/job_platform.h"
#include "workers/jobs/sanjer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* An interpreter that has said nothing for so long while it loads a platform, or makes a child, is ended. */
#define PYTHON_SILENT_MS 60000u

/* So many that end before they have loaded anything, and a job hears of it. */
#define PYTHON_DEATHS 3u

#define PYTHON_PACKET 4096

/* Children that have no job yet, at most. */
#define PYTHON_AHEAD 2u

/* One life of it. It goes when both handles are closed, which is after its end. */
struct interpreter {
    struct sanjer_python *py; /* its own while py->of says so */
    struct interpreter *after;
    struct child_process process;
    uv_poll_t exit, control;
    int fd;
    unsigned handles;
};

struct sanjer_python {
    struct sanjer *s;
    struct interpreter *of;  /* NULL: none */
    struct interpreter *all; /* and those whose end is not heard yet */
    bool ready;
    uint64_t signature; /* of the folder, as it has it */
    uint64_t heard_ms;
    unsigned deaths; /* in a row, before anything was loaded */
    char loading[JOB_PLATFORM_MAX + 1];
    char suspect[JOB_PLATFORM_MAX + 1];       /* was being loaded when somebody killed it */
    json_t *skip;                             /* platform: why it is not loaded */
    struct sanjer_child *making;              /* asked for */
    struct sanjer_child *ahead[PYTHON_AHEAD]; /* have no job, the oldest first */
    size_t ahead_count;
    struct sanjer_going going;
    bool wanted;
    uint64_t numbers;
};

/* ---- children ---- */

static bool control_send(int fd, const char *text, const int fds[CHILD_ENDS])
{
    struct iovec words = {.iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text)};
    struct msghdr message = {.msg_iov = &words, .msg_iovlen = 1};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(CHILD_ENDS * sizeof(int))];
    } with;
    if (fds != NULL) {
        memset(&with, 0, sizeof with);
        message.msg_control = with.bytes;
        message.msg_controllen = sizeof with.bytes;
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(CHILD_ENDS * sizeof(int));
        memcpy(CMSG_DATA(head), fds, CHILD_ENDS * sizeof(int));
    }
    return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)words.iov_len;
}

static void python_abandon(struct sanjer_python *py);

/* ---- those that are to come ---- */

/* Asks for a child, unless there are enough, or one is on its way. */
static void python_make(struct sanjer_python *py)
{
    char text[64];
    int theirs[CHILD_ENDS];
    size_t enough = py->s->jobs_per_process == 1 ? PYTHON_AHEAD : 1;
    if (!py->ready || py->making != NULL || py->ahead_count >= enough)
        return;
    struct sanjer_child *child = sanjer_child_new(theirs);
    if (child == NULL)
        return; /* the tick asks again */
    child->number = ++py->numbers;
    child->made_of = py->signature;
    snprintf(text, sizeof text, "%llu", (unsigned long long)child->number);
    bool sent = control_send(py->of->fd, text, theirs);
    for (int i = 0; i < CHILD_ENDS; i++)
        close(theirs[i]);
    py->heard_ms = clock_mono_ms();
    if (sent) {
        py->making = child;
        return;
    }
    sanjer_child_free(child);
    python_abandon(py);
}

bool sanjer_python_is_last(const struct sanjer_python *py, const struct sanjer_child *child)
{
    return child->served >= py->s->jobs_per_process;
}

/* To the job that waits, and another is made when it is the last that this one has; else it stays. */
static void python_give(struct sanjer_python *py, struct sanjer_child *child)
{
    bool more = py->s->jobs_per_process == 1;
    if (py->wanted) {
        py->wanted = false;
        child->served++;
        more = sanjer_python_is_last(py, child);
        sanjer_run_child(py->s->run, child);
    } else {
        py->ahead[py->ahead_count++] = child; /* no more than this one is on its way */
    }
    if (more && !worker_stopping(py->s->w))
        python_make(py);
}

static void python_made(struct sanjer_python *py, const json_t *said)
{
    struct sanjer_child *child = py->making;
    if (child == NULL ||
        (uint64_t)json_integer_value(json_object_get(said, "child")) != child->number)
        return;
    py->making = NULL;
    child->pid = (pid_t)json_integer_value(json_object_get(said, "pid"));
    if (child->pid > 1 && sanjer_child_lives(child))
        child->pidfd = (int)syscall(SYS_pidfd_open, child->pid, 0);
    if (child->pidfd < 0) {
        child->pid = 0;
        sanjer_child_free(child);
        python_make(py);
        return;
    }
    fcntl(child->pidfd, F_SETFD, FD_CLOEXEC);
    python_give(py, child);
}

/* ---- the interpreter ---- */

static void interpreter_on_closed(uv_handle_t *handle)
{
    struct interpreter *of = handle->data;
    if (--of->handles > 0)
        return;
    close(of->fd);
    close(of->process.pidfd);
    free(of);
}

static void interpreter_close(struct interpreter *of)
{
    struct interpreter **at = &of->py->all;
    while (*at != of)
        at = &(*at)->after;
    *at = of->after;
    uv_handle_t *const handles[] = {(uv_handle_t *)&of->exit, (uv_handle_t *)&of->control};
    for (size_t i = 0; i < 2; i++)
        if (!uv_is_closing(handles[i]))
            uv_close(handles[i], interpreter_on_closed);
}

/* Ends it; what it is making for us goes with it. Its children stay. */
static void python_abandon(struct sanjer_python *py)
{
    if (py->of == NULL)
        return;
    if (py->of->process.pid > 0)
        kill(py->of->process.pid, SIGKILL);
    uv_poll_stop(&py->of->control);
    py->of = NULL;
    py->ready = false;
    sanjer_child_free(py->making);
    py->making = NULL;
}

static void python_start(struct sanjer_python *py);

static void python_fault(struct sanjer_python *py, const char *why)
{
    py->deaths = 0;
    if (!py->wanted)
        return;
    py->wanted = false;
    sanjer_run_fault(py->s->run, why);
}

/* It has ended, or was ended. What it was loading is left out from now on: it must not take the others with it. */
static void python_died(struct sanjer_python *py, const char *how, bool killed)
{
    char why[160];
    bool was_ready = py->ready;
    /* By whom nobody knows: it may have had nothing to do with what it was loading, unless that happens again. */
    bool guilty = !killed || strcmp(py->suspect, py->loading) == 0;
    python_abandon(py);
    log_warn("interpreter-ended", "how=%s loading=%s", log_quote(slice_of(how)),
             log_quote(slice_of(py->loading)));
    if (!was_ready && py->loading[0] != '\0' && guilty)
        json_object_set_new(py->skip, py->loading, json_sprintf("its interpreter ended: %s", how));
    else if (!was_ready)
        py->deaths++;
    if (!was_ready && killed)
        snprintf(py->suspect, sizeof py->suspect, "%s", py->loading);
    py->loading[0] = '\0';
    if (py->deaths < PYTHON_DEATHS) {
        if (py->wanted)
            python_start(py);
        return;
    }
    snprintf(why, sizeof why, "platform: the interpreter ends before it is ready: %s", how);
    python_fault(py, why);
}

static void interpreter_on_exit(uv_poll_t *poll, int status, int events)
{
    struct interpreter *of = poll->data;
    struct sanjer_python *py = of->py;
    int ended = 0;
    char how[64] = "it is gone";
    (void)status;
    (void)events;
    if (waitpid(of->process.pid, &ended, WNOHANG) == 0)
        return;
    if (WIFSIGNALED(ended))
        snprintf(how, sizeof how, "killed by signal %d", WTERMSIG(ended));
    else if (WIFEXITED(ended))
        snprintf(how, sizeof how, "exited with code %d", WEXITSTATUS(ended));
    of->process.pid = 0;
    if (py->of == of)
        python_died(py, how, WIFSIGNALED(ended) && WTERMSIG(ended) == SIGKILL);
    interpreter_close(of);
}

static void python_heard(struct sanjer_python *py, const json_t *said)
{
    const char *loading = json_string_value(json_object_get(said, "loading"));
    py->heard_ms = clock_mono_ms();
    if (loading != NULL)
        snprintf(py->loading, sizeof py->loading, "%s", loading);
    if (json_is_true(json_object_get(said, "ready"))) {
        py->ready = true;
        py->deaths = 0;
        py->loading[0] = '\0';
        if (py->wanted)
            python_make(py);
    }
    if (json_object_get(said, "child") != NULL)
        python_made(py, said);
}

static void interpreter_on_control(uv_poll_t *poll, int status, int events)
{
    struct interpreter *of = poll->data;
    char packet[PYTHON_PACKET];
    (void)status;
    (void)events;
    while (of->py->of == of) {
        ssize_t n = recv(of->fd, packet, sizeof packet, MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <=
            0) { /* its end is heard otherwise, and is hastened when it has closed this alone */
            uv_poll_stop(poll);
            kill(of->process.pid, SIGKILL);
            return;
        }
        json_t *said = json_loadb(packet, (size_t)n, 0, NULL);
        python_heard(of->py, said);
        json_decref(said);
    }
}

/* 0, or a negative errno: nothing is there. */
static int interpreter_start(struct sanjer_python *py, const char *shim, const char *hello)
{
    const char *program = worker_setting_text(py->s->w, "jobs.python.program");
    const char *const argv[] = {program, shim, "serve", NULL};
    uv_loop_t *loop = worker_loop(py->s->w);
    int ends[2];
    struct interpreter *of = calloc(1, sizeof *of);
    if (of == NULL)
        return -ENOMEM;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        int rc = -errno;
        free(of);
        return rc;
    }
    struct child_options options = {.argv = argv, .folder = py->s->folder, .control = ends[1]};
    job_user_apply(py->s->user, &options);
    int rc = child_process_start(&options, &of->process);
    close(ends[1]);
    if (rc != 0) {
        close(ends[0]);
        free(of);
        return rc;
    }
    of->py = py;
    of->after = py->all;
    py->all = of;
    of->fd = ends[0];
    of->exit.data = of->control.data = of;
    of->handles = 2;
    uv_poll_init(loop, &of->exit, of->process.pidfd);
    uv_poll_init(loop, &of->control, of->fd);
    if (uv_poll_start(&of->exit, UV_READABLE, interpreter_on_exit) != 0 ||
        uv_poll_start(&of->control, UV_READABLE, interpreter_on_control) != 0)
        worker_exit(py->s->w, CONTRACT_EXIT_SHORT, "an interpreter cannot be watched");
    py->of = of;
    if (!control_send(of->fd, hello, NULL))
        kill(of->process.pid, SIGKILL); /* and its end counts as one before it was ready */
    return 0;
}

static void python_start(struct sanjer_python *py)
{
    char shim[PATH_MAX - 32], file[PATH_MAX], why[SANJER_TEXT_MAX];
    if (py->of != NULL)
        return;
    if (!job_platform_python(shim, sizeof shim)) {
        python_fault(py, "platform: share/platoon/python is not beside libexec/platoon: install "
                         "platoon whole");
        return;
    }
    snprintf(file, sizeof file, "%s/platoon_jobs.py", shim);
    py->ready = false;
    py->loading[0] = '\0';
    py->signature = sanjer_python_signature(py->s->folder);
    py->heard_ms = clock_mono_ms();
    json_t *hello = sanjer_python_hello(py->s, py->skip);
    char *text = hello != NULL ? json_dumps(hello, JSON_COMPACT) : NULL;
    json_decref(hello);
    int rc = text != NULL ? interpreter_start(py, file, text) : -ENOMEM;
    if (text != NULL)
        explicit_bzero(text, strlen(text)); /* it has the password of Redis */
    free(text);
    if (rc == 0)
        return;
    snprintf(why, sizeof why,
             "platform: %.200s cannot be started: %s: install it, or set python.program",
             worker_setting_text(py->s->w, "jobs.python.program"), strerror(-rc));
    python_fault(py, why);
}

/* ---- for the sanjer ---- */

/* Those that have no job. */
static void python_drop(struct sanjer_python *py)
{
    while (py->ahead_count > 0)
        sanjer_child_free(py->ahead[--py->ahead_count]);
}

/* The oldest of them that lives, or NULL. */
static struct sanjer_child *python_take(struct sanjer_python *py)
{
    while (py->ahead_count > 0) {
        struct sanjer_child *child = py->ahead[0];
        memmove(&py->ahead[0], &py->ahead[1], --py->ahead_count * sizeof py->ahead[0]);
        if (sanjer_child_lives(child))
            return child;
        child->pid = 0; /* it has ended, and is reaped by a sweep */
        sanjer_child_free(child);
    }
    return NULL;
}

struct sanjer_python *sanjer_python_new(struct sanjer *s)
{
    struct sanjer_python *py = calloc(1, sizeof *py);
    if (py == NULL)
        return NULL;
    py->s = s;
    py->skip = json_object();
    if (py->skip == NULL) {
        free(py);
        return NULL;
    }
    return py;
}

void sanjer_python_free(struct sanjer_python *py)
{
    if (py == NULL)
        return;
    python_abandon(py);
    while (py->all != NULL)
        interpreter_close(py->all);
    python_drop(py);
    sanjer_going_close(&py->going);
    json_decref(py->skip);
    free(py);
}

/* What it and its children have loaded is what the folder has; else they go. */
static void python_look(struct sanjer_python *py)
{
    uint64_t now = sanjer_python_signature(py->s->folder);
    if (now == py->signature)
        return;
    if (py->of != NULL)
        log_info("platforms-changed", "the interpreter is started anew");
    python_abandon(py);
    python_drop(py);
    py->deaths = 0;
    json_object_clear(py->skip);
}

void sanjer_python_want(struct sanjer_python *py)
{
    py->wanted = true;
    python_look(py);
    struct sanjer_child *child = python_take(py);
    if (child != NULL)
        python_give(py, child);
    else if (py->of == NULL)
        python_start(py);
    else
        python_make(py);
}

void sanjer_python_forget(struct sanjer_python *py)
{
    py->wanted = false;
}

void sanjer_python_done(struct sanjer_python *py, struct sanjer_child *child, bool keep)
{
    if (keep && child->pid > 0 && !sanjer_python_is_last(py, child) &&
        child->made_of == py->signature && py->ahead_count == 0 && !worker_stopping(py->s->w))
        py->ahead[py->ahead_count++] = child;
    else
        sanjer_child_go(child, &py->going);
}

bool sanjer_python_spares(pid_t pid, void *ctx)
{
    const struct sanjer_python *py = ctx;
    for (size_t i = 0; i < py->ahead_count; i++)
        if (pid == py->ahead[i]->pid)
            return true;
    if (sanjer_going_has(&py->going, pid))
        return true;
    /* It leads a session, which its children leave when they have their first job, and nobody else can enter. */
    return py->of != NULL && (pid == py->of->process.pid || getsid(pid) == py->of->process.pid);
}

void sanjer_python_tick(struct sanjer_python *py)
{
    bool owes = py->of != NULL && (!py->ready || py->making != NULL);
    sanjer_going_reap(&py->going);
    if (owes && clock_mono_ms() - py->heard_ms > PYTHON_SILENT_MS) {
        snprintf(py->suspect, sizeof py->suspect, "%s", py->loading);
        kill(py->of->process.pid, SIGKILL); /* its end is heard */
    } else if (py->wanted)
        python_make(py);
}
