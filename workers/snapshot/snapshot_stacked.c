/* snapshot_stacked.c: see snapshot_stacked.h. */
#include "workers/snapshot/snapshot_stacked.h"

#define MARK_LEN (sizeof SNAPSHOT_STACKED_MARK - 1)

/* The next line of *rest, with its end, where it has one. */
static struct slice stacked_line(struct slice *rest)
{
    const char *end = rest->len > 0 ? memchr(rest->ptr, '\n', rest->len) : NULL;
    size_t len = end != NULL ? (size_t)(end - rest->ptr) + 1 : rest->len;
    struct slice line = slice_make(rest->ptr, len);
    *rest = slice_make(rest->ptr + len, rest->len - len);
    return line;
}

static bool stacked_has_end(struct slice line)
{
    return line.len > 0 && line.ptr[line.len - 1] == '\n';
}

void snapshot_stacked_write(struct slice header, struct slice content, struct buffer *out)
{
    buffer_append_text(out, SNAPSHOT_STACKED_MARK);
    buffer_append_slice(out, header);
    buffer_append_char(out, '\n');
    while (content.len > 0) {
        struct slice line = stacked_line(&content);
        buffer_append_char(out, '\t');
        buffer_append_slice(out, line);
        if (!stacked_has_end(line))
            buffer_append_char(out, '\n');
    }
}

static bool stacked_is_header(struct slice line)
{
    return line.len >= MARK_LEN && memcmp(line.ptr, SNAPSHOT_STACKED_MARK, MARK_LEN) == 0;
}

enum snapshot_stacked snapshot_stacked_read(struct slice *rest, struct slice *header,
                                            struct buffer *content)
{
    if (rest->len == 0)
        return SNAPSHOT_STACKED_END;
    struct slice line = stacked_line(rest);
    if (!stacked_is_header(line))
        return SNAPSHOT_STACKED_WRONG;
    *header = slice_make(line.ptr + MARK_LEN, line.len - MARK_LEN - stacked_has_end(line));
    while (rest->len > 0) {
        struct slice before = *rest;
        line = stacked_line(rest);
        if (stacked_is_header(line)) {
            *rest = before;
            return SNAPSHOT_STACKED_FILE;
        }
        if (line.ptr[0] != '\t')
            return SNAPSHOT_STACKED_WRONG;
        buffer_append(content, line.ptr + 1, line.len - 1);
        if (!stacked_has_end(line))
            buffer_append_char(content, '\n');
    }
    return SNAPSHOT_STACKED_FILE;
}
