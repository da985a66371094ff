/* sanjer_mysql.c: see sanjer_mysql.h. */
#include "workers/jobs/sanjer_mysql.h"

#include "common/buffer.h"
#include "common/clock.h"
#include "common/json/json_text.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Behind job-store's own deadline. */
#define MYSQL_GRACE_MS 5000u

/* Of its standard error. */
#define MYSQL_WORDS_MAX 200

void sanjer_mysql_init(struct sanjer_mysql *m)
{
    *m = (struct sanjer_mysql){.running = false};
    pthread_mutex_init(&m->lock, NULL);
}

void sanjer_mysql_fini(struct sanjer_mysql *m)
{
    pthread_mutex_destroy(&m->lock);
}

const char *sanjer_mysql_lacks(const json_t *settings)
{
    static const char *const names[] = {"hostname", "db", "username", "table"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *text = json_string_value(json_object_get(settings, names[i]));
        if (text == NULL || text[0] == '\0')
            return names[i];
    }
    return NULL;
}

bool sanjer_mysql_stop(struct sanjer_mysql *m, bool for_good)
{
    pthread_mutex_lock(&m->lock);
    bool running = m->running;
    m->stopped = m->stopped || running || for_good;
    if (running)
        child_process_signal(&m->process, SIGKILL);
    pthread_mutex_unlock(&m->lock);
    return running;
}

/* ---- its process ---- */

/* job-store stands beside the running program. */
static bool mysql_program(char path[PATH_MAX])
{
    char exe[PATH_MAX - 16];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    char *slash = n > 0 ? memrchr(exe, '/', (size_t)n) : NULL;
    if (slash == NULL)
        return false;
    snprintf(path, PATH_MAX, "%.*s/job-store", (int)(slash - exe), exe);
    return true;
}

static bool mysql_start(struct sanjer_mysql *m, char *why, size_t size)
{
    char path[PATH_MAX];
    const char *const argv[] = {path, NULL};
    if (!mysql_program(path)) {
        snprintf(why, size, "where libexec/platoon is cannot be read from /proc");
        return false;
    }
    pthread_mutex_lock(&m->lock);
    int rc = m->stopped ? -ECANCELED
                        : child_process_start(&(struct child_options){.argv = argv}, &m->process);
    m->running = rc == 0;
    pthread_mutex_unlock(&m->lock);
    if (rc != 0)
        snprintf(why, size, "%.300s cannot be started: %s: install platoon whole", path,
                 strerror(-rc));
    return rc == 0;
}

/* After its end, or before: it is killed then. */
static int mysql_reap(struct sanjer_mysql *m)
{
    int status = 0;
    pthread_mutex_lock(&m->lock);
    child_process_signal(
        &m->process, SIGKILL); /* one that has ended is not reaped yet, so it is still its number */
    while (waitpid(m->process.pid, &status, 0) < 0 && errno == EINTR)
        continue;
    m->running = false;
    close(m->process.pidfd);
    pthread_mutex_unlock(&m->lock);
    return status;
}

/* ---- what is told and said ---- */

struct talk {
    struct pollfd fds[3]; /* its input, output, error; -1: done with */
    struct buffer told, said, words;
    size_t sent;
};

static void talk_close(struct pollfd *fd)
{
    if (fd->fd >= 0)
        close(fd->fd);
    fd->fd = -1;
}

static void talk_send(struct talk *t)
{
    ssize_t n = write(t->fds[0].fd, t->told.data + t->sent, t->told.len - t->sent);
    if (n > 0)
        t->sent += (size_t)n;
    if ((n < 0 && errno != EAGAIN && errno != EINTR) || t->sent == t->told.len)
        talk_close(&t->fds[0]);
}

static void talk_hear(struct pollfd *fd, struct buffer *into)
{
    char bytes[16384];
    ssize_t n = read(fd->fd, bytes, sizeof bytes);
    if (n > 0)
        buffer_append(into, bytes, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        talk_close(fd);
}

/* Until it has said all. False: it has not in its time. */
static bool talk_all(struct talk *t, uint64_t until_ms)
{
    while (t->fds[1].fd >= 0) {
        uint64_t now = clock_mono_ms();
        if (now >= until_ms)
            return false;
        uint64_t left = until_ms - now;
        if (poll(t->fds, 3, left < 60000 ? (int)left : 60000) < 0 && errno != EINTR)
            return false;
        if (t->fds[0].fd >= 0 && t->fds[0].revents != 0)
            talk_send(t);
        if (t->fds[1].fd >= 0 && t->fds[1].revents != 0)
            talk_hear(&t->fds[1], &t->said);
        if (t->fds[2].fd >= 0 && t->fds[2].revents != 0)
            talk_hear(&t->fds[2], &t->words);
        for (size_t i = 0; i < 3; i++)
            t->fds[i].revents = 0;
    }
    return true;
}

static void talk_fini(struct talk *t)
{
    for (size_t i = 0; i < 3; i++)
        talk_close(&t->fds[i]);
    if (t->told.data != NULL)
        explicit_bzero(t->told.data, t->told.len); /* it has the password */
    buffer_fini(&t->told);
    buffer_fini(&t->said);
    buffer_fini(&t->words);
}

static void talk_compose(struct buffer *out, const json_t *store, uint64_t timeout_ms)
{
    buffer_append_text(out, "{\"settings\":");
    json_text_append(out, json_object_get(store, "settings"));
    buffer_append_text(out, ",\"rows\":");
    json_text_append(out, json_object_get(store, "rows"));
    buffer_printf(out, ",\"seconds\":%llu}\n", (unsigned long long)(timeout_ms / 1000 + 1));
}

/* Of its answer and end. */
static json_t *talk_answer(struct talk *t, bool in_time, int status, char *why, size_t size)
{
    json_t *said = buffer_ok(&t->said) ? json_loadb(t->said.data, t->said.len, 0, NULL) : NULL;
    const char *wrong = json_string_value(json_object_get(said, "wrong"));
    if (said != NULL && wrong == NULL && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return said;
    if (wrong != NULL)
        snprintf(why, size, "%s", wrong);
    else if (!in_time)
        snprintf(why, size, "the database has not answered in time");
    else
        snprintf(why, size, "job-store has ended without an answer (status %d): %.*s", status,
                 (int)(t->words.len < MYSQL_WORDS_MAX ? t->words.len : MYSQL_WORDS_MAX),
                 t->words.len > 0 ? t->words.data : "");
    json_decref(said);
    return NULL;
}

json_t *sanjer_mysql_write(struct sanjer_mysql *m, const json_t *store, uint64_t timeout_ms,
                           char *why, size_t size)
{
    struct talk t = {.sent = 0};
    json_t *said = NULL;
    for (size_t i = 0; i < 3; i++)
        t.fds[i].fd = -1;
    talk_compose(&t.told, store, timeout_ms);
    if (!buffer_ok(&t.told)) {
        snprintf(why, size, "memory is short");
    } else if (mysql_start(m, why, size)) {
        t.fds[0] = (struct pollfd){.fd = m->process.in, .events = POLLOUT};
        t.fds[1] = (struct pollfd){.fd = m->process.out, .events = POLLIN};
        t.fds[2] = (struct pollfd){.fd = m->process.err, .events = POLLIN};
        bool in_time = talk_all(&t, clock_mono_ms() + timeout_ms + 1000 + MYSQL_GRACE_MS);
        said = talk_answer(&t, in_time, mysql_reap(m), why, size);
    }
    talk_fini(&t);
    return said;
}
