/*
 * program_output.c: what the program prints, when somebody in this worker must see it: `ready = log:TEXT` looks for a
 * text in it, `log_file` keeps it in a file of its own, command.reason marks the lines of which the last says why it
 * has ended.
 *
 * Otherwise the program has our stderr, and its words reach the master without us. Here they come through a pipe, line
 * by line: into the file, or on to our stderr as they are. A full disk costs lines, counted and told once it is over;
 * the program is not stopped by it. Nor does it lose a line when the file was moved and cannot be opened anew.
 */
#include "workers/program/program_run.h"

#include "common/log.h"
#include "common/rotating_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#define PROGRAM_LINE_MAX  65536 /* a longer one is passed on in pieces */
#define PROGRAM_READ_SIZE 16384

struct program_output {
    struct worker *w;
    const char *wanted;      /* the text that means ready; NULL: none, or found */
    const char *reason_mark; /* NULL: none */
    char reason[256];        /* behind the mark, of the last line that had it */
    struct rotating_file file;
    uint64_t lost; /* lines the file had no room for */
    int lost_error;
    bool troubled; /* of the file is our last word of trouble */
    uv_pipe_t pipe;
    struct buffer in;
    bool waits; /* for memory to read into */
};

/* Whether it has a file to write, and whether that is where its name leads: repeats cost nothing. */
static void program_output_say(struct program_output *o)
{
    const struct rotating_file *f = &o->file;
    char remedy[sizeof f->path + 64];
    if (f->error != 0)
        worker_trouble(o->w, "log_file %s: %s: %s; until then %s", f->path, f->why,
                       contract_file_remedy(-f->error, f->path, remedy, sizeof remedy),
                       o->lost > 0 ? "lines are lost: it has grown to what all old ones may have"
                                   : "what had this name is written on");
    else if (o->lost > 0)
        worker_trouble(o->w, "cannot write %s: %s: lines are lost until there is room", f->path,
                       strerror(o->lost_error));
    else if (o->troubled)
        worker_trouble(o->w, "%s", "");
    o->troubled = f->error != 0 || o->lost > 0;
}

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
        o->lost_error = errno;
        o->lost++;
    } else if (o->lost > 0) {
        log_warn("log-lines-lost", "count=%" PRIu64 " file=%s", o->lost,
                 log_quote_text(o->file.path));
        o->lost = 0;
    }
    program_output_say(o);
}

static void program_output_keep_reason(struct program_output *o, struct slice line)
{
    const char *at = memmem(line.ptr, line.len, o->reason_mark, strlen(o->reason_mark));
    if (at == NULL)
        return;
    at += strlen(o->reason_mark);
    size_t len = (size_t)(line.ptr + line.len - at);
    while (len > 0 && (at[len - 1] == '\n' || at[len - 1] == '\r'))
        len--;
    slice_copy(slice_make(at, len), o->reason, sizeof o->reason);
}

const char *program_output_reason(const struct program_output *o)
{
    return o != NULL ? o->reason : "";
}

static void program_output_line(struct program_output *o, struct slice line)
{
    if (o->reason_mark != NULL)
        program_output_keep_reason(o, line);
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
        if (nl == NULL && at_end) /* last words are a line: not one with the next life's first */
            program_output_pass(o, slice_of("\n"));
    }
    buffer_consume(&o->in, at);
}

static void program_output_on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct program_output *o = handle->data;
    char *room = buffer_reserve(&o->in, PROGRAM_READ_SIZE);
    *buf = uv_buf_init(room, room != NULL ? PROGRAM_READ_SIZE : 0);
}

/* Without memory it is left in the pipe, and the program waits: ending it for that would lose more. */
static void program_output_wait(struct program_output *o)
{
    uv_read_stop((uv_stream_t *)&o->pipe);
    o->in.failed = false; /* what is in it is whole */
    o->waits = true;
    worker_trouble(o->w, "no memory for what the program prints, which waits for it: %s",
                   contract_shortage_remedy(ENOMEM));
}

static void program_output_on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    (void)buf;
    struct program_output *o = stream->data;
    if (n == UV_ENOBUFS) {
        program_output_wait(o);
        return;
    }
    if (n > 0)
        o->in.len += (size_t)n;
    program_output_cut(o, n < 0);
    if (n < 0)
        uv_read_stop(stream);
}

void program_output_tick(struct program_output *o)
{
    if (o == NULL)
        return;
    rotating_file_tick(&o->file);
    program_output_say(o);
    if (!o->waits)
        return;
    if (buffer_reserve(&o->in, PROGRAM_READ_SIZE) == NULL) {
        o->in.failed = false;
        return;
    }
    o->waits = false;
    worker_trouble(o->w, "%s", "");
    uv_read_start((uv_stream_t *)&o->pipe, program_output_on_alloc, program_output_on_read);
}

bool program_output_is_idle(const struct program_output *o)
{
    return o == NULL || (!o->waits && !o->troubled);
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
    o->file.wait_ms = CONTRACT_ORPHAN_MS; /* what has written it until now may be on its way out */
    int rc = fits ? rotating_file_open(&o->file) : -ENAMETOOLONG;
    if (rc == -EWOULDBLOCK || rc == -ENOTUNIQ)
        worker_exit(o->w, CONTRACT_EXIT_TEMPORARY, "log_file %s: %s", path, o->file.why);
    if (rc == -EMLINK)
        worker_exit(o->w, CONTRACT_EXIT_CONFIG, "log_file %s: %s: name the file itself", path,
                    o->file.why);
    char remedy[sizeof o->file.path + 64];
    if (rc != 0)
        worker_exit(o->w, contract_exit_for(-rc), "log_file %s: %s: %s", path, strerror(-rc),
                    contract_file_remedy(-rc, path, remedy, sizeof remedy));
}

struct program_output *program_output_new(struct worker *w, const char *how, int *program_fd)
{
    const char *path = worker_setting(w, "command.log_file");
    const char *mark = worker_setting(w, "command.reason");
    bool looks = strncmp(how, "log:", 4) == 0;
    *program_fd = -1;
    if (!looks && mark == NULL && (path == NULL || path[0] == '\0'))
        return NULL;
    struct program_output *o = calloc(1, sizeof *o);
    int ends[2];
    if (o == NULL)
        worker_exit_for(w, ENOMEM, NULL, "cannot read what the program prints");
    if (pipe2(ends, O_CLOEXEC) != 0)
        worker_exit_for(w, errno, NULL, "no pipe for what the program prints");
    o->w = w;
    o->file.fd = -1;
    o->wanted = looks ? how + 4 : NULL;
    o->reason_mark = mark;
    if (path != NULL && path[0] != '\0')
        program_output_open_file(o, path);
    uv_pipe_init(worker_loop(w), &o->pipe, 0);
    o->pipe.data = o;
    int rc = uv_pipe_open(&o->pipe, ends[0]);
    if (rc == 0)
        rc =
            uv_read_start((uv_stream_t *)&o->pipe, program_output_on_alloc, program_output_on_read);
    if (rc != 0)
        worker_exit_for(w, -rc, NULL, "cannot read what the program prints");
    *program_fd = ends[1];
    return o;
}

void program_output_drain(struct program_output *o)
{
    uv_os_fd_t fd;
    if (o == NULL || uv_fileno((uv_handle_t *)&o->pipe, &fd) != 0)
        return;
    for (;;) {
        char *room = buffer_reserve(&o->in, PROGRAM_READ_SIZE);
        ssize_t n = room != NULL ? read(fd, room, PROGRAM_READ_SIZE) : -1;
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

int program_output_reopen(struct program_output *o)
{
    return o != NULL && rotating_file_is_moved(&o->file) ? rotating_file_open(&o->file) : 0;
}

void program_output_free(struct program_output *o)
{
    if (o == NULL)
        return;
    program_output_drain(o);
    uv_close((uv_handle_t *)&o->pipe, program_output_on_closed);
}
