/*
 * fuzz_snapshot_text.c: what stands in a repository that somebody may have written to (snapshot_trailers.h), how people
 * name a version (snapshot_version.h), files in one stream (snapshot_stacked.h), and what is asked so at a gate
 * (gate_request.h).
 */
#include "workers/snapshot/gate/gate_request.h"
#include "workers/snapshot/snapshot_stacked.h"
#include "workers/snapshot/snapshot_trailers.h"
#include "workers/snapshot/snapshot_version.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static bool is_inside(struct slice part, struct slice whole)
{
    return part.len == 0 || (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
}

/* What can be read lies in what was given, and written again it is read as the same number. */
static void read_trailers(struct slice message)
{
    struct snapshot_trailers t, again;
    struct buffer out = BUFFER_EMPTY;
    if (!snapshot_trailers_read(message, &t))
        return;
    if (t.seq == 0 || t.resource.len == 0 || !is_inside(t.resource, message) ||
        !is_inside(t.source, message) || !is_inside(t.by, message))
        abort();
    snapshot_trailers_write(&t, &out);
    if (!buffer_ok(&out) || !snapshot_trailers_read(buffer_slice(&out), &again) ||
        again.seq != t.seq || !slice_equal(again.resource, t.resource))
        abort();
    buffer_fini(&out);
}

static void read_version(struct slice text)
{
    struct snapshot_version v;
    char shown[SNAPSHOT_TIME_SIZE];
    if (!snapshot_version_read(text, 1764324000, &v))
        return;
    if (v.kind == SNAPSHOT_COMMIT && (strlen(v.commit) < 7 || strlen(v.commit) > 40))
        abort();
    snapshot_time_write(v.time_s, shown);
}

/* Whatever can be read is written as what is read again to the same. */
static void read_stream(struct slice rest)
{
    struct buffer content = BUFFER_EMPTY, out = BUFFER_EMPTY, again = BUFFER_EMPTY;
    struct slice header, back;
    while (snapshot_stacked_read(&rest, &header, &content) == SNAPSHOT_STACKED_FILE) {
        buffer_clear(&out);
        buffer_clear(&again);
        snapshot_stacked_write(header, buffer_slice(&content), &out);
        struct slice stream = buffer_slice(&out);
        if (snapshot_stacked_read(&stream, &back, &again) != SNAPSHOT_STACKED_FILE ||
            stream.len > 0 || !slice_equal(back, header) ||
            !slice_equal(buffer_slice(&again), buffer_slice(&content)))
            abort();
        buffer_clear(&content);
    }
    buffer_fini(&again);
    buffer_fini(&out);
    buffer_fini(&content);
}

/* Any bytes are a content that comes back, with an end to its last line. */
static void write_stream(struct slice bytes)
{
    struct buffer out = BUFFER_EMPTY, content = BUFFER_EMPTY;
    struct slice header;
    snapshot_stacked_write(slice_of("h"), bytes, &out);
    struct slice rest = buffer_slice(&out);
    if (snapshot_stacked_read(&rest, &header, &content) != SNAPSHOT_STACKED_FILE || rest.len > 0 ||
        content.len < bytes.len || content.len > bytes.len + 1 ||
        (bytes.len > 0 && memcmp(content.data, bytes.ptr, bytes.len) != 0))
        abort();
    buffer_fini(&content);
    buffer_fini(&out);
}

/* What is asked lies in what came; and why it is none is one line. */
static void read_request(struct slice stream)
{
    struct gate_request r = {.verb = GATE_GET};
    struct buffer out = BUFFER_EMPTY;
    const char *why = gate_request_read(stream, &r);
    if (why == NULL && (r.header.len == 0 || !is_inside(r.header, stream) ||
                        (r.verb == GATE_GET && !is_inside(r.version, buffer_slice(&r.content)))))
        abort();
    gate_answer_error(&out, stream);
    if (memchr(out.data, '\n', out.len) != out.data + out.len - 1)
        abort();
    buffer_fini(&out);
    buffer_fini(&r.content);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct slice bytes = slice_make(data, size);
    read_trailers(bytes);
    read_version(bytes);
    read_stream(bytes);
    write_stream(bytes);
    read_request(bytes);
    return 0;
}
