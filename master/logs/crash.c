/*
 * crash.c: see crash.h. A report is text, so that it can be read when nothing runs: "key: value" lines, an empty
 * line, the last lines it said.
 */
#include "master/logs/crash.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/pack.h"
#include "common/text.h"
#include "master/tree/tree_match.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CRASH_PATH_MAX 4400
#define CRASH_HEAD_MAX 1024
#define CRASH_FILE_MAX 65536

#define CRASH_PENDING_MAX 64

/* A report that is not on the disk yet. */
struct crash_pending {
    struct crash_pending *next;
    char worker[CONTRACT_NAME_MAX];
    char file[CONTRACT_NAME_MAX + 64];
    struct buffer text;
};

static struct {
    const char *state_dir;
    uint64_t keep;
    uv_idle_t idle; /* runs behind the loop's timers, and so behind the supervisor's pass */
    bool started;
    struct crash_pending *pending, **last;
    size_t pending_count;
} crash = {.last = &crash.pending};

void crash_setup(const char *state_dir, uint64_t keep)
{
    crash.state_dir = state_dir;
    crash.keep = keep;
}

/* Of a file, or with "" of the directory. False when it does not fit. */
static bool crash_path(char path[CRASH_PATH_MAX], const char *file)
{
    int n =
        snprintf(path, CRASH_PATH_MAX, "%s/crashes%s%s", crash.state_dir, file[0] ? "/" : "", file);
    return n > 0 && n < CRASH_PATH_MAX;
}

/* ---- names: <id>.<wall ms, 13 digits>.<generation>; so the names of one worker sort by time ---- */

struct crash_name {
    char worker[CONTRACT_NAME_MAX];
    uint64_t time_ms;
    uint64_t generation;
};

static bool crash_parse_name(const char *file, struct crash_name *name)
{
    const char *last = strrchr(file, '.');
    const char *time = last != NULL ? memrchr(file, '.', (size_t)(last - file)) : NULL;
    if (time == NULL || text_parse_u64(slice_of(last + 1), &name->generation) != 0 ||
        text_parse_u64(slice_make(time + 1, (size_t)(last - time - 1)), &name->time_ms) != 0 ||
        !slice_copy(slice_make(file, (size_t)(time - file)), name->worker, sizeof name->worker))
        return false;
    for (char *c = name->worker; *c != '\0'; c++)
        *c = *c == ',' ? '/' : *c;
    return true;
}

/* Newest first; two deaths within a millisecond by their generation. */
static int crash_by_time(const void *a, const void *b)
{
    struct crash_name x, y;
    if (!crash_parse_name(*(char *const *)a, &x) || !crash_parse_name(*(char *const *)b, &y))
        return 0;
    if (x.time_ms != y.time_ms)
        return x.time_ms < y.time_ms ? 1 : -1;
    return (x.generation < y.generation) - (x.generation > y.generation);
}

static void crash_free_files(char **files, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(files[i]);
    free(files);
}

static bool crash_keep_file(char ***files, size_t *count, const char *file)
{
    char **grown = realloc(*files, (*count + 1) * sizeof **files);
    if (grown == NULL)
        return false;
    *files = grown;
    grown[*count] = strdup(file);
    *count += grown[*count] != NULL;
    return true;
}

/* The files of `name`, newest first. */
static size_t crash_files(const char *name, char ***files)
{
    char path[CRASH_PATH_MAX];
    struct crash_name parsed;
    size_t count = 0;
    *files = NULL;
    DIR *dir = crash.state_dir != NULL && crash_path(path, "") ? opendir(path) : NULL;
    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;)
        if (crash_parse_name(e->d_name, &parsed) && tree_name_matches(parsed.worker, name) &&
            !crash_keep_file(files, &count, e->d_name))
            break;
    if (dir != NULL)
        closedir(dir);
    if (count > 1)
        qsort(*files, count, sizeof **files, crash_by_time);
    return count;
}

/* ---- writing ---- */

/* Fowler, Noll, Vo: FNV-1a, 64 bits. Tells whether two lives had the same settings, no more. */
static uint64_t crash_digest(struct slice settings)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < settings.len; i++)
        hash = (hash ^ (unsigned char)settings.ptr[i]) * 0x100000001b3u;
    return hash;
}

static double crash_seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void crash_compose(struct buffer *out, const struct death *d, uint64_t wall_ms)
{
    const struct node *n = d->worker;
    const struct rusage *usage = d->usage;
    char time[CLOCK_TEXT_SIZE], span[32];
    clock_format(wall_ms, time);
    buffer_printf(out, "name: %s\ngeneration: %" PRIu64 "\ntime: %s\ncause: %s\n", n->name,
                  n->generation, time, n->last_exit);
    if (WIFSIGNALED(d->status))
        buffer_printf(out, "signal: %d%s\n", WTERMSIG(d->status),
                      WCOREDUMP(d->status) ? ", core dumped" : "");
    else
        buffer_printf(out, "exit code: %d\n", WEXITSTATUS(d->status));
    buffer_printf(out, "state: %s\npid: %d\nuptime: %s\n", node_state_name(n->state), (int)d->pid,
                  clock_format_span(clock_mono_ms() - n->started_ms, span, sizeof span));
    buffer_printf(out,
                  "restarts: %" PRIu64 "\ncpu: %.3f s user, %.3f s system\nmemory: %ld KB at most\n"
                  "page faults: %ld major, %ld minor\nsettings: %016" PRIx64 "\n",
                  n->restarts, crash_seconds(usage->ru_utime), crash_seconds(usage->ru_stime),
                  usage->ru_maxrss, usage->ru_majflt, usage->ru_minflt,
                  crash_digest(buffer_slice(&n->settings)));
    if (d->trouble[0] != '\0')
        buffer_printf(out, "trouble: %s\n", d->trouble);
    if (d->doing[0] != '\0')
        buffer_printf(out, "doing: %s\n", d->doing);
    buffer_append_char(out, '\n');
}

/* The directory is made when it is missed: it is there all the time but the first. */
static int crash_open(const char *file)
{
    char path[CRASH_PATH_MAX];
    if (!crash_path(path, file))
        return -ENAMETOOLONG;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    char dir[CRASH_PATH_MAX];
    if (fd < 0 && errno == ENOENT && crash_path(dir, "") &&
        (mkdir(dir, 0700) == 0 || errno == EEXIST))
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return fd >= 0 ? fd : -errno;
}

static int crash_write_file(const char *file, struct slice text)
{
    char path[CRASH_PATH_MAX];
    int fd = crash_open(file);
    if (fd < 0)
        return fd;
    ssize_t n = write(fd, text.ptr, text.len);
    int rc = n == (ssize_t)text.len ? 0 : n < 0 ? -errno : -ENOSPC;
    close(fd);
    if (rc != 0 && crash_path(path, file))
        unlink(path);
    return rc;
}

static void crash_prune(const char *worker)
{
    char **files, path[CRASH_PATH_MAX];
    size_t count = crash_files(worker, &files);
    for (size_t i = crash.keep; i < count; i++)
        if (crash_path(path, files[i]))
            unlink(path);
    crash_free_files(files, count);
}

static void crash_write_out(struct crash_pending *p)
{
    int rc = crash_write_file(p->file, buffer_slice(&p->text));
    if (rc != 0)
        log_warn("crash-report-lost", "name=%s cause=%s", p->worker, log_quote_text(strerror(-rc)));
    else
        crash_prune(p->worker);
    buffer_fini(&p->text);
    free(p);
}

void crash_flush(void)
{
    while (crash.pending != NULL) {
        struct crash_pending *p = crash.pending;
        crash.pending = p->next;
        crash_write_out(p);
    }
    crash.last = &crash.pending;
    crash.pending_count = 0;
    if (crash.started)
        uv_idle_stop(&crash.idle);
}

static void crash_on_idle(uv_idle_t *idle)
{
    (void)idle;
    crash_flush();
}

void crash_start(uv_loop_t *loop)
{
    crash.started = uv_idle_init(loop, &crash.idle) == 0;
}

void crash_stop(void)
{
    crash_flush();
    if (crash.started)
        uv_close((uv_handle_t *)&crash.idle, NULL);
    crash.started = false;
}

static void crash_defer(struct crash_pending *p)
{
    *crash.last = p;
    crash.last = &p->next;
    if (!crash.started || ++crash.pending_count >= CRASH_PENDING_MAX)
        crash_flush();
    else
        uv_idle_start(&crash.idle, crash_on_idle);
}

static void crash_compose_lines(struct buffer *out, const struct collect_stream *output)
{
    const char *line;
    for (size_t i = 0; output != NULL && (line = collect_stream_line(output, i)) != NULL; i++)
        buffer_printf(out, "%s\n", line);
}

void crash_on_death(const struct death *d)
{
    if (d->orderly || crash.keep == 0)
        return;
    const struct node *n = d->worker;
    char id[CONTRACT_NAME_MAX];
    uint64_t wall_ms = clock_wall_ms();
    struct crash_pending *p = calloc(1, sizeof *p);
    if (p != NULL) {
        crash_compose(&p->text, d, wall_ms);
        crash_compose_lines(&p->text, d->output);
    }
    if (p == NULL || !buffer_ok(&p->text)) {
        log_warn("crash-report-lost", "name=%s cause=\"memory is short\"", n->name);
        if (p != NULL)
            buffer_fini(&p->text);
        free(p);
        return;
    }
    contract_mailbox_id(n->name, id);
    snprintf(p->worker, sizeof p->worker, "%s", n->name);
    snprintf(p->file, sizeof p->file, "%s.%013" PRIu64 ".%" PRIu64, id, wall_ms, n->generation);
    crash_defer(p);
}

/* ---- reading ---- */

/* At most so many bytes of the file's start, with a NUL behind them. */
static bool crash_read(const char *file, size_t max, struct buffer *out)
{
    char path[CRASH_PATH_MAX];
    int fd = crash_path(path, file) ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    char *room = fd >= 0 ? buffer_reserve(out, max) : NULL;
    ssize_t n = room != NULL ? read(fd, room, max) : -1;
    if (fd >= 0)
        close(fd);
    if (n > 0)
        out->len += (size_t)n;
    return n > 0 && buffer_text(out) != NULL;
}

static struct slice crash_cause(const char *head)
{
    static const char key[] = "\ncause: ";
    const char *found = strstr(head, key);
    if (found == NULL)
        return slice_of("");
    found += sizeof key - 1;
    return slice_make(found, strcspn(found, "\n"));
}

static void crash_pack(struct buffer *out, const char *file)
{
    struct crash_name name;
    struct buffer head = BUFFER_EMPTY;
    crash_parse_name(file, &name);
    crash_read(file, CRASH_HEAD_MAX, &head);
    const char *text = buffer_text(&head);
    pack_map(out, 5);
    pack_text(out, "name");
    pack_text(out, name.worker);
    pack_text(out, "generation");
    pack_u64(out, name.generation);
    pack_text(out, "time_ms");
    pack_u64(out, name.time_ms);
    pack_text(out, "cause");
    pack_str(out, crash_cause(text != NULL ? text : ""));
    pack_text(out, "file");
    pack_text(out, file);
    buffer_fini(&head);
}

size_t crash_list(struct buffer *out, struct slice name, size_t limit)
{
    char text[CONTRACT_NAME_MAX], **files = NULL;
    crash_flush();
    size_t count = slice_copy(name, text, sizeof text) ? crash_files(text, &files) : 0;
    size_t shown = count < limit ? count : limit;
    pack_array(out, (uint32_t)shown);
    for (size_t i = 0; i < shown; i++)
        crash_pack(out, files[i]);
    crash_free_files(files, count);
    return shown;
}

bool crash_show(struct buffer *out, struct slice name)
{
    char text[CONTRACT_NAME_MAX], **files = NULL;
    crash_flush();
    size_t count = slice_copy(name, text, sizeof text) ? crash_files(text, &files) : 0;
    bool found = count > 0 && crash_read(files[0], CRASH_FILE_MAX, out);
    crash_free_files(files, count);
    return found;
}
