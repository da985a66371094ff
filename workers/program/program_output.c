/*
 * program_output.c: what the program prints, when somebody in this worker must see it: `ready = log:TEXT` looks for a text in it, `log_file` keeps it in a file of its own.
 *
 * Otherwise the program has our stderr, and its words reach the master without us. Here they come through a pipe, line by line: into the file, or on to our stderr as they
 * are. A full disk costs lines, counted and told once it is over; the program is not stopped by it.
 */
#include "workers/program/program_run.h"

#include "common/log.h"
#include "common/rotating_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#define PROGRAM_LINE_MAX 65536 /* a longer one is passed on in pieces */

struct program_output {
    struct worker *w;
    const char *wanted; /* the text that means ready; NULL: none, or found */
    struct rotating_file file;
    uint64_t lost; /* lines the file had no room for */
    uv_pipe_t pipe;
    struct buffer in;
};

static void program_output_pass(struct program_output *o, struct slice line)
{
    if (o->file.path[0] == '\0') {
        while (line.len > 0) {
            ssize_t n = write(STDERR_FILENO, line.ptr, line.len);
            if (n < 0 && errno != EINTR)
                return; /* the master is gone, and so are we, soon */
            line = n > 0 ? slice_make(line.ptr + n, line.len - (size_t)n) : line;
        }
        return;
    }
    if (!rotating_file_write(&o->file, line)) {
        if (o->lost++ == 0)
            worker_trouble(o->w, "cannot write %s: %s: lines are lost until there is room",
                           o->file.path, strerror(errno));
        return;
    }
    if (o->lost > 0) {
        log_warn("log-lines-lost", "count=%" PRIu64 " file=%s", o->lost,
                 log_quote_text(o->file.path));
        worker_trouble(o->w, "%s", "");
    }
    o->lost = 0;
}

static void program_output_line(struct program_output *o, struct slice line)
{
    if (o->wanted != NULL && memmem(line.ptr, line.len, o->wanted, strlen(o->wanted)) != NULL) {
        o->wanted = NULL;
        worker_ready(o->w);
    }
    program_output_pass(o, line);
}

/* Whole lines; at the end, or when one is too long, what there is. */
static void program_output_cut(struct program_output *o, bool at_end)
{
    size_t at = 0;
    while (at < o->in.len) {
        const char *from = o->in.data + at;
        const char *nl = memchr(from, '\n', o->in.len - at);
        size_t len = nl != NULL ? (size_t)(nl - from) + 1 : o->in.len - at;
        if (nl == NULL && len < PROGRAM_LINE_MAX && !at_end)
            break;
        program_output_line(o, slice_make(from, len));
        at += len;
    }
    buffer_consume(&o->in, at);
}

static void program_output_on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct program_output *o = handle->data;
    char *room = buffer_reserve(&o->in, 16384);
    if (room == NULL)
        worker_exit(o->w, CONTRACT_EXIT_TEMPORARY, "no memory for what the program prints");
    *buf = uv_buf_init(room, 16384);
}

static void program_output_on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    (void)buf;
    struct program_output *o = stream->data;
    if (n > 0)
        o->in.len += (size_t)n;
    program_output_cut(o, n < 0);
    if (n < 0)
        uv_read_stop(stream);
}

static uint64_t program_output_number(struct worker *w, const char *name)
{
    return worker_setting(w, name) != NULL ? worker_setting_u64(w, name) : 0;
}

static void program_output_open_file(struct program_output *o, const char *path)
{
    o->file.max_bytes = program_output_number(o->w, "command.log_rotate_size");
    o->file.keep = program_output_number(o->w, "command.log_keep");
    bool fits = slice_copy(slice_of(path), o->file.path, sizeof o->file.path);
    int rc = fits ? rotating_file_open(&o->file) : -ENAMETOOLONG;
    if (rc != 0)
        worker_exit(o->w, CONTRACT_EXIT_CONFIG,
                    "log_file %s: %s: it must be a file that platoon may write", path,
                    strerror(-rc));
}

struct program_output *program_output_new(struct worker *w, const char *how, int *program_fd)
{
    const char *path = worker_setting(w, "command.log_file");
    bool looks = strncmp(how, "log:", 4) == 0;
    *program_fd = -1;
    if (!looks && (path == NULL || path[0] == '\0'))
        return NULL;
    struct program_output *o = calloc(1, sizeof *o);
    int ends[2];
    if (o == NULL)
        worker_exit(w, CONTRACT_EXIT_TEMPORARY, "no memory for what the program prints");
    if (pipe2(ends, O_CLOEXEC) != 0)
        worker_exit(w, CONTRACT_EXIT_TEMPORARY, "no pipe for what the program prints: %s",
                    strerror(errno));
    o->w = w;
    o->file.fd = -1;
    o->wanted = looks ? how + 4 : NULL;
    if (path != NULL && path[0] != '\0')
        program_output_open_file(o, path);
    uv_pipe_init(worker_loop(w), &o->pipe, 0);
    o->pipe.data = o;
    int rc = uv_pipe_open(&o->pipe, ends[0]);
    if (rc == 0)
        rc =
            uv_read_start((uv_stream_t *)&o->pipe, program_output_on_alloc, program_output_on_read);
    if (rc != 0)
        worker_exit(w, CONTRACT_EXIT_TEMPORARY, "cannot read what the program prints: %s",
                    uv_strerror(rc));
    *program_fd = ends[1];
    return o;
}

void program_output_drain(struct program_output *o)
{
    uv_os_fd_t fd;
    if (o == NULL || uv_fileno((uv_handle_t *)&o->pipe, &fd) != 0)
        return;
    for (;;) {
        char *room = buffer_reserve(&o->in, 16384);
        ssize_t n = room != NULL ? read(fd, room, 16384) : -1;
        if (n <= 0)
            break;
        o->in.len += (size_t)n;
        program_output_cut(o, false);
    }
    if (buffer_ok(&o->in))
        program_output_cut(o, true);
}

static void program_output_on_closed(uv_handle_t *handle)
{
    struct program_output *o = handle->data;
    rotating_file_close(&o->file);
    buffer_fini(&o->in);
    free(o);
}

void program_output_free(struct program_output *o)
{
    if (o == NULL)
        return;
    program_output_drain(o);
    uv_close((uv_handle_t *)&o->pipe, program_output_on_closed);
}
