/* gate_work.c: one request, asked of the store in pieces, and answered. See gate_private.h. */
#include "workers/snapshot/gate/gate_private.h"

#include "common/pack.h"
#include "workers/snapshot/gate/gate_request.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define WORK_AWAY "the store is away: ask again"

struct gate_work {
    struct gate *g;
    struct gate_work **handle; /* the caller's */
    gate_work_fn fn;
    void *ctx;
    struct buffer stream;
    struct gate_request r;
    const struct gate_resource *of;
    char by[GATE_BY_SIZE];
    /* PUT */
    char id[48];
    size_t sent;
    /* GET */
    char commit[GATE_COMMIT_SIZE];
    struct buffer bytes;
    uint64_t size;
};

static void work_free(struct gate_work *work)
{
    snapshot_ask_forget(&work->g->asking, work);
    *work->handle = NULL;
    buffer_fini(&work->bytes);
    buffer_fini(&work->r.content);
    buffer_fini(&work->stream);
    free(work);
}

void gate_work_forget(struct gate_work *work)
{
    if (work != NULL)
        work_free(work);
}

static void work_end(struct gate_work *work, struct buffer *answer)
{
    gate_work_fn fn = work->fn;
    void *ctx = work->ctx;
    if (!buffer_ok(answer)) {
        buffer_fini(answer);
        gate_answer_error(answer, slice_of("memory is short"));
    }
    work_free(work);
    fn(ctx, answer);
    buffer_fini(answer);
}

static void work_fail(struct gate_work *work, struct slice why)
{
    struct buffer answer = BUFFER_EMPTY;
    gate_answer_error(&answer, why);
    work_end(work, &answer);
}

/* What the store has answered, where it is no success. */
static void work_refused(struct gate_work *work, struct slice body)
{
    struct unpack u = unpack_start(body);
    struct slice why = unpack_bytes(&u);
    work_fail(work, unpack_ok(&u) ? why : slice_of("the store gives no reason"));
}

/* ---- GET ---- */

static void work_get(struct gate_work *work);

/* A piece of what snapshot-get answers; how many bytes it has. */
static bool work_read(struct gate_work *work, struct slice body, size_t *got)
{
    struct unpack u = unpack_start(body);
    uint32_t count = unpack_map(&u);
    *got = 0;
    for (uint32_t i = 0; i < count && unpack_ok(&u); i++) {
        struct slice key = unpack_bytes(&u);
        if (slice_is(key, "size")) {
            work->size = unpack_u64(&u);
        } else if (slice_is(key, "commit")) {
            slice_copy(unpack_bytes(&u), work->commit, sizeof work->commit);
        } else if (slice_is(key, "bytes")) {
            struct slice bytes = unpack_bytes(&u);
            buffer_append_slice(&work->bytes, bytes);
            *got = bytes.len;
        } else {
            unpack_raw(&u);
        }
    }
    return unpack_ok(&u) && buffer_ok(&work->bytes) && work->bytes.len <= SNAPSHOT_BYTES_MAX;
}

static void work_on_version(void *ctx, enum control_status status, struct slice body)
{
    struct gate_work *work = ctx;
    size_t got;
    if (status != CONTROL_OK) {
        work_refused(work, body);
    } else if (!work_read(work, body, &got) || (got == 0 && work->bytes.len < work->size)) {
        work_fail(work, slice_of("the version cannot be read now"));
    } else if (work->bytes.len < work->size) {
        work_get(work);
    } else {
        struct buffer answer = BUFFER_EMPTY;
        gate_answer_version(&answer, slice_of(work->of->header), work->commit,
                            buffer_slice(&work->bytes));
        work_end(work, &answer);
    }
}

/* Behind the first piece it is that version's, whatever has become the newest meanwhile. */
static void work_get(struct gate_work *work)
{
    char offset[24];
    snprintf(offset, sizeof offset, "%zu", work->bytes.len);
    const struct slice words[] = {
        slice_of(work->of->name),
        work->commit[0] != '\0' ? slice_of(work->commit) : work->r.version, slice_of(offset)};
    if (!snapshot_ask(&work->g->asking, work->g->peer, "snapshot-get", 3, words, work_on_version,
                      work))
        work_fail(work, slice_of(WORK_AWAY));
}

/* ---- PUT ---- */

static void work_on_put(void *ctx, enum control_status status, struct slice body);

static void work_put(struct gate_work *work)
{
    struct slice all = buffer_slice(&work->r.content);
    size_t left = all.len - work->sent, len = left < SNAPSHOT_PIECE_MAX ? left : SNAPSHOT_PIECE_MAX;
    char offset[24], size[24];
    snprintf(offset, sizeof offset, "%zu", work->sent);
    snprintf(size, sizeof size, "%zu", all.len);
    const struct slice words[] = {slice_of(work->of->name),
                                  slice_of(work->id),
                                  slice_of(offset),
                                  slice_of(size),
                                  slice_of(""),
                                  slice_of(work->by),
                                  slice_make(len > 0 ? all.ptr + work->sent : "", len)};
    work->sent += len;
    if (!snapshot_ask(&work->g->asking, work->g->peer, "snapshot-put", 7, words, work_on_put, work))
        work_fail(work, slice_of("the store is away: nothing was accepted"));
}

static void work_on_put(void *ctx, enum control_status status, struct slice body)
{
    struct gate_work *work = ctx;
    struct buffer answer = BUFFER_EMPTY;
    if (status != CONTROL_OK) {
        work_refused(work, body);
    } else if (work->sent < work->r.content.len) {
        work_put(work);
    } else {
        buffer_append_text(&answer, "OK\n");
        work_end(work, &answer);
    }
}

/* ---- which ---- */

static const struct gate_resource *work_find(const struct gate *g, struct slice header)
{
    for (size_t i = 0; i < g->count; i++)
        if (slice_is(header, g->list[i].header))
            return &g->list[i];
    return NULL;
}

static void work_unknown(struct gate_work *work)
{
    struct buffer why = BUFFER_EMPTY;
    size_t len = work->r.header.len < 64 ? work->r.header.len : 64;
    buffer_printf(&why, "no resource of %s has the header '%.*s'; there are:", work->g->title,
                  (int)len, work->r.header.ptr);
    for (size_t i = 0; i < work->g->count && i < 20; i++)
        buffer_printf(&why, "%s %s", i > 0 ? "," : "", work->g->list[i].header);
    work_fail(work, buffer_ok(&why) ? buffer_slice(&why) : slice_of("no such resource"));
    buffer_fini(&why);
}

void gate_work_begin(struct gate *g, struct buffer *stream, const char *by, struct gate_work **work,
                     gate_work_fn fn, void *ctx)
{
    struct gate_work *made = worker_must_alloc(g->w, sizeof *made);
    made->g = g;
    made->handle = work;
    made->fn = fn;
    made->ctx = ctx;
    made->stream = *stream;
    *stream = BUFFER_EMPTY;
    *work = made;
    snprintf(made->by, sizeof made->by, "%s", by);
    snprintf(made->id, sizeof made->id, "gate.%" PRIu64 ".%" PRIu64, worker_generation(g->w),
             ++g->works);
    const char *wrong = gate_request_read(buffer_slice(&made->stream), &made->r);
    made->of = wrong == NULL ? work_find(g, made->r.header) : NULL;
    if (wrong != NULL)
        work_fail(made, slice_of(wrong));
    else if (made->of == NULL)
        work_unknown(made);
    else if (made->r.verb == GATE_GET)
        work_get(made);
    else
        work_put(made);
}
