/*
 * worker_enter.c: what a worker of one's own (`worker = true`) is before it is itself: a worker program of ours,
 * started with CONTRACT_ENTER, that takes on the user, the limits and the environment, and becomes it.
 *
 * Runs in the worker's process, before exec. The master sends CONFIG once before HELLO, for us; our descriptor 3 is the
 * worker's then, so not a byte behind that frame may be read. Says no HELLO: the worker does.
 *
 * In a process of ours because nobody else can do it: that one's own skeleton comes after libraries' constructors, or
 * never, when the program is not linked with it; and the master must not wait for a user database.
 */
#include "common/birthmark.h"
#include "common/exec_fault.h"
#include "workers/skeleton/worker_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The link still blocks. False: the master is gone. */
static bool enter_read(char *to, size_t size)
{
    for (size_t len = 0; len < size;) {
        ssize_t n = read(CONTRACT_LINK_FD, to + len, size - len);
        if (n == 0 || (n < 0 && errno != EINTR))
            return false;
        len += n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* One frame, as stream.h has it. */
static bool enter_read_frame(struct buffer *frame)
{
    unsigned char head[STREAM_HEADER_SIZE];
    if (!enter_read((char *)head, sizeof head))
        return false;
    size_t size = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
    char *room = size <= CONTRACT_FRAME_MAX ? buffer_reserve(frame, size) : NULL;
    if (room == NULL || !enter_read(room, size))
        return false;
    frame->len = size;
    return true;
}

static void enter_open(struct worker *w)
{
    struct stream_limits limits = {CONTRACT_FRAME_MAX, CONTRACT_QUEUE_MAX};
    if (worker_open_loop(&w->loop) != 0 ||
        stream_init(&w->link, &w->loop, limits, &worker_link_events, w) != 0 ||
        stream_open(&w->link, CONTRACT_LINK_FD) != 0)
        w->orphan = true; /* then its log line is all that tells why */
}

static void enter_take_settings(struct worker *w)
{
    struct buffer frame = BUFFER_EMPTY;
    struct link_config config;
    if (!enter_read_frame(&frame))
        exit(CONTRACT_EXIT_TEMPORARY); /* nobody is there to be told */
    enter_open(w);
    if (!link_config_unpack(buffer_slice(&frame), &config) ||
        worker_settings_read(&w->settings, config.settings) != 0)
        worker_exit(w, CONTRACT_EXIT_TEMPORARY, "%s: cannot read the settings from the master",
                    w->name);
    buffer_fini(&frame);
}

/*
 * `file` was opened before the user was changed: who may execute the program need not be let into each directory above
 * it. By its name first, because that is what it is called then; a script can only be had so.
 */
static _Noreturn void enter_become(struct worker *w, const char *program, int file)
{
    const char *slash = strrchr(program, '/');
    char *argv[] = {(char *)(uintptr_t)(slash != NULL ? slash + 1 : program), NULL};
    fcntl(CONTRACT_LINK_FD, F_SETFD, 0);
    execv(program, argv);
    int error = errno;
    if (error == EACCES && file >= 0)
        execveat(file, "", argv, environ, AT_EMPTY_PATH);
    struct buffer why = BUFFER_EMPTY;
    if (error == EACCES)
        buffer_append_text(&why, "Permission denied: its user must be able to execute it, and to "
                                 "enter every directory above a script");
    else if (contract_is_shortage(error))
        buffer_printf(&why, "%s: %s", strerror(error), contract_shortage_remedy(error));
    else
        exec_fault_say(program, error, "it must be a program that platoon may run", &why);
    worker_exit(w, contract_exit_for(error), "cannot start %s: %s", program,
                buffer_text(&why) != NULL ? why.data : strerror(error));
}

void worker_enter(struct worker *w, const char *program)
{
    birthmark_take();
    worker_crash_watch_parent();
    enter_take_settings(w);
    int file = open(program, O_PATH | O_CLOEXEC);
    worker_limits_take(w);
    enter_become(w, program, file);
}
