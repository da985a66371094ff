/*
 * worker_main.c: main() of every worker process; see worker.h for what a type brings and proto/contract.h for what
 * is agreed with the master.
 *
 * The only file of the skeleton that knows `worker_ops`: the rest takes them from struct worker, so that tests can.
 */
#include "common/log.h"
#include "workers/skeleton/worker_private.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORKER_BY_HAND 2

static struct worker worker;

/* Reads who we are. False: whoever started us was not the master. */
static bool worker_read_environment(struct worker *w)
{
    const char *name = getenv(CONTRACT_ENV_NAME);
    const char *generation = getenv(CONTRACT_ENV_GENERATION);
    const char *level_name = getenv(CONTRACT_ENV_LOG_LEVEL);
    struct stat link;
    if (name == NULL || generation == NULL || name[0] == '\0' ||
        !slice_copy(slice_of(name), w->name, sizeof w->name))
        return false;
    char *end;
    errno = 0;
    w->generation = strtoull(generation, &end, 10);
    if (errno != 0 || *end != '\0' || generation[0] < '0' || generation[0] > '9' ||
        w->generation == 0)
        return false;
    enum log_level level;
    if (level_name != NULL && log_level_parse(level_name, &level))
        log_set_level(level);
    return fstat(CONTRACT_LINK_FD, &link) == 0 && S_ISSOCK(link.st_mode);
}

static void worker_on_term(uv_signal_t *handle, int number)
{
    (void)number;
    worker_stop(handle->data, CONTRACT_TERM_MS, "SIGTERM");
}

/* libuv aborts when its first loop cannot have a pipe (1.44.2, uv__signal_global_once_init), instead of saying so. */
int worker_open_loop(uv_loop_t *loop)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -errno;
    close(ends[0]);
    close(ends[1]);
    return uv_loop_init(loop);
}

static int worker_open(struct worker *w)
{
    struct stream_limits limits = {CONTRACT_FRAME_MAX, CONTRACT_QUEUE_MAX};
    int rc = worker_open_loop(&w->loop);
    if (rc == 0)
        rc = uv_timer_init(&w->loop, &w->beat_timer);
    if (rc == 0)
        rc = uv_timer_init(&w->loop, &w->end_timer);
    if (rc == 0)
        rc = uv_timer_init(&w->loop, &w->late_timer);
    if (rc == 0)
        rc = uv_signal_init(&w->loop, &w->term_signal);
    if (rc == 0)
        rc = stream_init(&w->link, &w->loop, limits, &worker_link_events, w);
    if (rc != 0)
        return rc;
    w->beat_timer.data = w->end_timer.data = w->late_timer.data = w->term_signal.data = w;
    rc = uv_signal_start(&w->term_signal, worker_on_term, SIGTERM);
    return rc != 0 ? rc : stream_open(&w->link, CONTRACT_LINK_FD);
}

int main(int argc, char **argv)
{
    struct worker *w = &worker;
    w->ops = &worker_ops;
    if (worker_seed_is_wanted())
        worker_seed_serve();
    if (!worker_read_environment(w)) {
        fprintf(stderr,
                "platoon worker `%s`: only the master starts it, because it talks to it on "
                "descriptor %d; start `platoon -c FILE` instead\n",
                worker_ops.type, CONTRACT_LINK_FD);
        return WORKER_BY_HAND;
    }
    if (argc == 3 && strcmp(argv[1], CONTRACT_ENTER) == 0)
        worker_enter(w, argv[2]);
    worker_crash_setup();
    fcntl(CONTRACT_LINK_FD, F_SETFD, FD_CLOEXEC);
    int rc = worker_open(w);
    if (rc != 0) {
        log_error("exit", "code=%d reason=\"cannot open the link: %s: %s\"", contract_exit_for(-rc),
                  strerror(-rc), contract_shortage_remedy(-rc));
        return contract_exit_for(-rc);
    }
    worker_link_hello(w);
    worker_end_within(w, CONTRACT_READY_MS);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    if (w->phase != WORKER_ENDING)
        worker_exit(w, CONTRACT_EXIT_INCONSISTENT, "%s: the loop has nothing to wait for any more",
                    w->name);
    worker_close(w);
    return CONTRACT_EXIT_DONE;
}
