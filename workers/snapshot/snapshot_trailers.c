/* snapshot_trailers.c: see snapshot_trailers.h. */
#include "workers/snapshot/snapshot_trailers.h"

#include "common/text.h"

#include <inttypes.h>
#include <string.h>

#define TRAILER_VALUE_MAX SNAPSHOT_COMMAND_MAX

static void trailer_write(struct buffer *out, const char *key, struct slice value)
{
    buffer_printf(out, "%s: ", key);
    for (size_t i = 0; i < value.len && i < TRAILER_VALUE_MAX; i++)
        buffer_append_char(out, (unsigned char)value.ptr[i] < ' ' ? ' ' : value.ptr[i]);
    buffer_append_char(out, '\n');
}

/* The next line of `rest`, without its end. */
static struct slice trailer_line(struct slice *rest)
{
    const char *end = memchr(rest->ptr, '\n', rest->len);
    struct slice line = slice_make(rest->ptr, end != NULL ? (size_t)(end - rest->ptr) : rest->len);
    size_t used = line.len + (end != NULL);
    *rest = slice_make(rest->ptr + used, rest->len - used);
    return line;
}

static bool trailer_is(struct slice line, const char *key, struct slice *value)
{
    size_t len = strlen(key);
    if (line.len < len + 2 || memcmp(line.ptr, key, len) != 0 || line.ptr[len] != ':' ||
        line.ptr[len + 1] != ' ')
        return false;
    *value = slice_make(line.ptr + len + 2, line.len - len - 2);
    return true;
}

static void trailer_write_given(struct buffer *out, const char *key, struct slice value)
{
    if (value.len > 0)
        trailer_write(out, key, value);
}

bool snapshot_trailers_keep(struct slice written, struct slice value)
{
    struct buffer line = BUFFER_EMPTY;
    struct slice kept;
    trailer_write(&line, "Is", value);
    struct slice rest = buffer_slice(&line);
    bool same = buffer_ok(&line) && trailer_is(trailer_line(&rest), "Is", &kept) &&
                slice_equal(kept, written);
    buffer_fini(&line);
    return same;
}

void snapshot_trailers_write(const struct snapshot_trailers *t, struct buffer *out)
{
    buffer_append_slice(out, t->resource);
    buffer_printf(out, "\n\nSeq: %" PRIu64 "\n", t->seq);
    trailer_write(out, "Source", t->source);
    for (size_t i = 0; i < t->input_count; i++)
        buffer_printf(out, "Input: %.*s %.*s\n", (int)t->inputs[i].name.len, t->inputs[i].name.ptr,
                      (int)t->inputs[i].commit.len, t->inputs[i].commit.ptr);
    trailer_write_given(out, "Command", t->command);
    trailer_write_given(out, "Url", t->url);
    trailer_write_given(out, "Etag", t->etag);
    trailer_write_given(out, "Last-Modified", t->modified);
    if (t->timed)
        buffer_printf(out, "Duration-Ms: %" PRIu64 "\n", t->duration_ms);
    trailer_write_given(out, "By", t->by);
}

static void trailer_take(struct slice line, const char *key, struct slice *to)
{
    struct slice value;
    if (to->len == 0 && trailer_is(line, key, &value))
        *to = value;
}

/* "NAME COMMIT" */
static void trailer_input(struct snapshot_trailers *t, struct slice value)
{
    const char *blank = memchr(value.ptr, ' ', value.len);
    if (blank == NULL || t->input_count == SNAPSHOT_INPUTS_MAX)
        return;
    size_t len = (size_t)(blank - value.ptr);
    t->inputs[t->input_count++] = (struct snapshot_trailer_input){
        .name = slice_make(value.ptr, len), .commit = slice_make(blank + 1, value.len - len - 1)};
}

/* What says how it was made; of several of one key the first counts. */
static void trailer_made(struct snapshot_trailers *t, struct slice line)
{
    struct slice value;
    if (trailer_is(line, "Input", &value))
        trailer_input(t, value);
    else if (!t->timed && trailer_is(line, "Duration-Ms", &value))
        t->timed = text_parse_u64(value, &t->duration_ms) == 0;
    trailer_take(line, "Source", &t->source);
    trailer_take(line, "By", &t->by);
    trailer_take(line, "Command", &t->command);
    trailer_take(line, "Url", &t->url);
    trailer_take(line, "Etag", &t->etag);
    trailer_take(line, "Last-Modified", &t->modified);
}

bool snapshot_trailers_read(struct slice message, struct snapshot_trailers *t)
{
    struct slice rest = message, value;
    bool known = false;
    *t = (struct snapshot_trailers){.resource = trailer_line(&rest)};
    if (trailer_line(&rest).len > 0)
        return false; /* a subject of several lines is somebody else's */
    while (rest.len > 0) {
        struct slice line = trailer_line(&rest);
        if (!known && trailer_is(line, "Seq", &value))
            known = text_parse_u64(value, &t->seq) == 0 && t->seq > 0;
        else
            trailer_made(t, line);
    }
    return known && t->resource.len > 0;
}
