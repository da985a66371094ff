/* web_splices.c: see web_splices.h. */
#include "workers/snapshot/web/web_splices.h"

#include "common/json/json_write.h"
#include "common/utf8.h"
#include "workers/snapshot/snapshot_lines.h"

#include <git2.h>
#include <string.h>

struct splices {
    struct buffer *out;
    struct slice after; /* what of the new text stands behind `line` */
    size_t line;        /* of the new text */
    size_t most;        /* bytes it may have */
    bool first, large;
};

/* The next line of the new text, with its end. */
static struct slice splices_line(struct splices *s)
{
    const char *end = s->after.len > 0 ? memchr(s->after.ptr, '\n', s->after.len) : NULL;
    size_t len = end != NULL ? (size_t)(end - s->after.ptr) + 1 : s->after.len;
    struct slice line = slice_make(s->after.ptr, len);
    s->after.ptr += len;
    s->after.len -= len;
    s->line++;
    return line;
}

/* libgit2 counts lines from 1; of a hunk that takes nothing away, or adds nothing, it names the line in front. */
static int splices_on_hunk(const git_diff_delta *delta, const git_diff_hunk *h, void *ctx)
{
    struct splices *s = ctx;
    size_t from = (size_t)h->old_start - (h->old_lines > 0);
    size_t to = (size_t)h->new_start - (h->new_lines > 0);
    (void)delta;
    while (s->line < to)
        splices_line(s);
    struct slice text = s->after;
    for (text.len = 0; s->line < to + (size_t)h->new_lines;)
        text.len += splices_line(s).len;
    buffer_printf(s->out, "%s[%zu,%zu,", s->first ? "" : ",", from, (size_t)h->old_lines);
    json_write_string(s->out, text);
    buffer_append_char(s->out, ']');
    s->first = false;
    s->large = s->out->len > s->most;
    return s->large || !buffer_ok(s->out) ? GIT_EUSER : 0;
}

static bool splices_compare(struct slice before, struct slice after, struct splices *s)
{
    git_diff_options options;
    git_diff_options_init(&options, GIT_DIFF_OPTIONS_VERSION);
    options.context_lines = 0;
    options.interhunk_lines = 0;
    options.flags = GIT_DIFF_FORCE_TEXT;
    return git_diff_buffers(before.ptr, before.len, NULL, after.ptr, after.len, NULL, &options,
                            NULL, NULL, splices_on_hunk, NULL, s) == 0;
}

bool web_splices_open(void)
{
    return git_libgit2_init() > 0;
}

void web_splices_close(void)
{
    git_libgit2_shutdown();
}

enum web_spliced web_splices(struct slice before, struct slice after, struct buffer *out)
{
    size_t start = out->len;
    struct splices s = {.out = out, .after = after, .most = start + after.len, .first = true};
    if (before.len > WEB_SPLICES_TEXT_MAX || after.len > WEB_SPLICES_TEXT_MAX ||
        snapshot_lines_between(before, after, WEB_SPLICES_LINES_MAX) > WEB_SPLICES_LINES_MAX)
        return WEB_SPLICES_LARGE;
    if (!utf8_valid(before) || !utf8_valid(after))
        return WEB_SPLICES_BINARY;
    buffer_append_char(out, '[');
    bool good = splices_compare(before, after, &s);
    buffer_append_char(out, ']');
    if (good && buffer_ok(out) && out->len <= s.most)
        return WEB_SPLICED;
    out->len = start;
    return s.large || (good && buffer_ok(out)) ? WEB_SPLICES_LARGE : WEB_SPLICES_SHORT;
}
