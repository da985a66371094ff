/* gate_request.c: see gate_request.h. */
#include "workers/snapshot/gate/gate_request.h"

#include "workers/snapshot/snapshot_stacked.h"

static bool request_verb(struct slice line, const char *word, struct slice *rest)
{
    size_t len = strlen(word);
    if (line.len <= len || memcmp(line.ptr, word, len) != 0)
        return false;
    *rest = slice_make(line.ptr + len, line.len - len);
    return true;
}

/* One line, or nothing. False: there are several. */
static bool request_version(struct gate_request *r)
{
    struct slice text = buffer_slice(&r->content);
    if (text.len > 0 && text.ptr[text.len - 1] == '\n')
        text.len--;
    r->version = text;
    return text.len == 0 || memchr(text.ptr, '\n', text.len) == NULL;
}

const char *gate_request_read(struct slice stream, struct gate_request *r)
{
    struct slice line = {"", 0};
    enum snapshot_stacked what = snapshot_stacked_read(&stream, &line, &r->content);
    if (what == SNAPSHOT_STACKED_END)
        return "nothing was asked: send =====GET HEADER or =====PUT HEADER";
    if (what == SNAPSHOT_STACKED_WRONG)
        return "that is no stacked stream: =====GET HEADER or =====PUT HEADER, and each line of a "
               "content behind a tab";
    if (stream.len > 0)
        return "one at a time: something follows the first request";
    if (!buffer_ok(&r->content))
        return "memory is short";
    if (request_verb(line, "PUT ", &r->header)) {
        r->verb = GATE_PUT;
        return NULL;
    }
    if (!request_verb(line, "GET ", &r->header))
        return "that is neither =====GET HEADER nor =====PUT HEADER";
    r->verb = GATE_GET;
    return request_version(r) ? NULL : "=====GET takes one line: a version";
}

void gate_answer_version(struct buffer *out, struct slice header, const char *commit,
                         struct slice content)
{
    snapshot_stacked_write(header, slice_of(commit), out);
    snapshot_stacked_write(slice_of("data"), content, out);
}

/* On one line, whatever the reason has. */
void gate_answer_error(struct buffer *out, struct slice why)
{
    buffer_append_text(out, "ERROR: ");
    for (size_t i = 0; i < why.len; i++)
        buffer_append_char(out, why.ptr[i] == '\n' || why.ptr[i] == '\r' ? ' ' : why.ptr[i]);
    buffer_append_char(out, '\n');
}
