/* snapshot_trailers.c: see snapshot_trailers.h. */
#include "workers/snapshot/snapshot_trailers.h"

#include "common/text.h"

#include <inttypes.h>
#include <string.h>

#define TRAILER_VALUE_MAX 200

static void trailer_write(struct buffer *out, const char *key, struct slice value)
{
    buffer_printf(out, "%s: ", key);
    for (size_t i = 0; i < value.len && i < TRAILER_VALUE_MAX; i++)
        buffer_append_char(out, (unsigned char)value.ptr[i] < ' ' ? ' ' : value.ptr[i]);
    buffer_append_char(out, '\n');
}

void snapshot_trailers_write(const struct snapshot_trailers *t, struct buffer *out)
{
    buffer_append_slice(out, t->resource);
    buffer_printf(out, "\n\nSeq: %" PRIu64 "\n", t->seq);
    trailer_write(out, "Source", t->source);
    if (t->by.len > 0)
        trailer_write(out, "By", t->by);
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
        else if (t->source.len == 0 && trailer_is(line, "Source", &value))
            t->source = value;
        else if (t->by.len == 0 && trailer_is(line, "By", &value))
            t->by = value;
    }
    return known && t->resource.len > 0;
}
