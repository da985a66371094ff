/*
 * fuzz_snapshot_text.c: what stands in a repository that somebody may have written to (snapshot_trailers.h), and how
 * people name a version (snapshot_version.h).
 */
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

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct slice bytes = slice_make(data, size);
    read_trailers(bytes);
    read_version(bytes);
    return 0;
}
