/* snapshot_keeper_git.c: one of git's programs is run. See snapshot_keeper.h. */
#include "workers/snapshot/snapshot_keeper.h"

#include "common/log.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define GIT_LINE_MAX 65536
#define GIT_STOP_MS  5000

/* Where its repository is we say ourselves; nobody is there to be asked for a password; its words are in English. */
void keeper_git_prepare(void)
{
    static const char *const alien[] = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE",
                                        "GIT_OBJECT_DIRECTORY", "GIT_SHALLOW_FILE"};
    for (size_t i = 0; i < sizeof alien / sizeof alien[0]; i++)
        unsetenv(alien[i]);
    setenv("GIT_TERMINAL_PROMPT", "0", 1);
    setenv("GIT_SSH_COMMAND", "ssh -oBatchMode=yes -oConnectTimeout=20", 0);
    setenv("LC_ALL", "C", 1);
}

static void git_on_out(void *ctx, struct slice bytes)
{
    struct keeper *k = ctx;
    if (k->on_line == NULL)
        return;
    buffer_append_slice(&k->line, bytes);
    if (!buffer_ok(&k->line))
        worker_exit(k->w, CONTRACT_EXIT_SHORT, "memory is short for what git says");
    size_t from = 0;
    const char *end;
    while ((end = memchr(k->line.data + from, '\n', k->line.len - from)) != NULL) {
        size_t len = (size_t)(end - k->line.data) - from;
        if (len > 0)
            k->on_line(k, slice_make(k->line.data + from, len));
        from += len + 1;
    }
    if (k->line.len - from > GIT_LINE_MAX)
        worker_exit(k->w, CONTRACT_EXIT_TEMPORARY, "git %s says a line that has no end",
                    k->program);
    buffer_consume(&k->line, from);
}

static void git_on_err(void *ctx, struct slice bytes)
{
    struct keeper *k = ctx;
    buffer_append_slice(&k->heard, bytes);
    if (!buffer_ok(&k->heard))
        buffer_reset(&k->heard, 0); /* the last of it is what counts */
    if (k->heard.len > KEEPER_HEARD)
        buffer_consume(&k->heard, k->heard.len - KEEPER_HEARD);
}

static bool git_says(struct slice line, const char *words)
{
    return memmem(line.ptr, line.len, words, strlen(words)) != NULL;
}

/* The line that says why: what was not taken, the first that begins as git's do, else the last one. */
static struct slice git_reason(const struct buffer *heard)
{
    struct slice left = buffer_slice(heard), last = slice_of("it says nothing");
    while (left.len > 0) {
        const char *end = memchr(left.ptr, '\n', left.len);
        size_t len = end != NULL ? (size_t)(end - left.ptr) : left.len;
        struct slice line = slice_make(left.ptr, len);
        left = slice_make(left.ptr + len + (end != NULL), left.len - len - (end != NULL));
        if (len > 0)
            last = line;
        if (git_says(line, "fatal: ") || git_says(line, "error: ") || git_says(line, "rejected]"))
            break;
    }
    return last;
}

static void git_on_end(void *ctx, const struct child_run_end *end)
{
    struct keeper *k = ctx;
    k->run = NULL;
    struct slice reason = git_reason(&k->heard);
    int len = reason.len < 300 ? (int)reason.len : 300;
    if (end->timed_out)
        keeper_fail(k, "git %s: has not ended in time, and was killed", k->program);
    else if (WIFSIGNALED(end->status))
        keeper_fail(k, "git %s: was killed by signal %d: %.*s", k->program, WTERMSIG(end->status),
                    len, reason.ptr);
    else if (end->status != 0)
        keeper_fail(k, "git %s: %.*s", k->program, len, reason.ptr);
    else
        k->next(k);
}

void keeper_git(struct keeper *k, const struct keeper_git *git)
{
    char folder[PATH_MAX + 16];
    const char *argv[KEEPER_WORDS + 12] = {
        "nice", "-n", "19", "git", "-c", "safe.directory=*", "-c", "core.fsync=all", folder};
    snprintf(folder, sizeof folder, "--git-dir=%s", k->path);
    for (size_t i = 0; i < KEEPER_WORDS && git->words[i] != NULL; i++)
        argv[9 + i] = git->words[i];
    k->program = git->words[0];
    k->on_line = git->on_line;
    k->next = git->next;
    buffer_clear(&k->line);
    buffer_clear(&k->heard);
    const struct child_run_options options = {.child = {.argv = argv},
                                              .input = git->input,
                                              .timeout_ms = git->timeout_ms,
                                              .stop_timeout_ms = GIT_STOP_MS,
                                              .on_out = git_on_out,
                                              .on_err = git_on_err,
                                              .on_end = git_on_end,
                                              .ctx = k};
    int rc = child_run_start(worker_loop(k->w), &options, &k->run);
    if (rc != 0)
        keeper_fail(k, "git %s: cannot be started: %s", k->program, strerror(-rc));
}
