/*
 * snapshot_puts.c: put: bytes that come in pieces, until they are whole and become a version. See snapshot_store.h.
 *
 * A piece is at most SNAPSHOT_PIECE_MAX, so that no one keeps others waiting; the first says how many bytes there will
 * be, which is compared with what the resource takes before anything is kept. Who does not go on for a minute is
 * forgotten.
 */
#include "workers/snapshot/snapshot_runs.h"

#include "common/clock.h"
#include "common/pack.h"
#include "common/text.h"
#include "proto/snapshot/snapshot_limits.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define PUTS_MAX       16
#define PUTS_BYTES_MAX (4u * SNAPSHOT_BYTES_MAX)
#define PUTS_GONE_MS   60000u
#define PUTS_ID_SIZE   40

struct snapshot_upload {
    struct snapshot_upload *next;
    char id[PUTS_ID_SIZE];
    const struct snapshot_resource *r;
    uint64_t touched_ms;
    size_t size, have;
    char bytes[];
};

/* What a request says. */
struct put_words {
    struct slice id;
    uint64_t offset, size;
    struct slice blob; /* the newest version must have it; "" : whichever it has */
    struct slice by;
    struct slice bytes;
};

static bool put_read(struct unpack *u, struct put_words *p)
{
    p->id = unpack_bytes(u);
    if (text_parse_u64(unpack_bytes(u), &p->offset) != 0 ||
        text_parse_u64(unpack_bytes(u), &p->size) != 0)
        return false;
    p->blob = unpack_bytes(u);
    p->by = unpack_bytes(u);
    p->bytes = unpack_bytes(u);
    return unpack_end(u) && p->id.len > 0 && p->id.len < PUTS_ID_SIZE &&
           p->bytes.len <= SNAPSHOT_PIECE_MAX && p->offset <= p->size &&
           p->bytes.len <= p->size - p->offset;
}

/* ---- uploads ---- */

static void put_forget(struct snapshot_store *s, struct snapshot_upload *gone)
{
    struct snapshot_upload **at = &s->uploads;
    while (*at != gone)
        at = &(*at)->next;
    *at = gone->next;
    s->upload_count--;
    s->upload_bytes -= gone->size;
    free(gone);
}

void snapshot_puts_tick(struct snapshot_store *s)
{
    uint64_t now = clock_mono_ms();
    for (struct snapshot_upload *p = s->uploads, *next; p != NULL; p = next) {
        next = p->next;
        if (now - p->touched_ms > PUTS_GONE_MS)
            put_forget(s, p);
    }
}

void snapshot_puts_fini(struct snapshot_store *s)
{
    while (s->uploads != NULL)
        put_forget(s, s->uploads);
}

static struct snapshot_upload *put_find(struct snapshot_store *s, const struct put_words *words,
                                        const struct snapshot_resource *r)
{
    for (struct snapshot_upload *p = s->uploads; p != NULL; p = p->next)
        if (slice_is(words->id, p->id))
            return p->r == r && p->size == words->size && p->have == words->offset ? p : NULL;
    return NULL;
}

static struct snapshot_upload *put_begin(struct snapshot_store *s, const struct put_words *words,
                                         const struct snapshot_resource *r)
{
    if (s->upload_count == PUTS_MAX || s->upload_bytes + words->size > PUTS_BYTES_MAX)
        return NULL;
    struct snapshot_upload *p = calloc(1, sizeof *p + words->size);
    if (p == NULL)
        return NULL;
    slice_copy(words->id, p->id, sizeof p->id);
    p->r = r;
    p->size = words->size;
    p->next = s->uploads;
    s->uploads = p;
    s->upload_count++;
    s->upload_bytes += p->size;
    return p;
}

/* ---- what becomes of it ---- */

/* A condition, and bytes that are there already, are looked at with what is accepted. */
static bool put_wants_accepted(const struct snapshot_store *s, const struct snapshot_resource *r,
                               const struct put_words *words, const char *blob)
{
    const char *pending = snapshot_pending_blob(s, r);
    return pending != NULL &&
           (words->blob.len > 0 || strcmp(blob, pending) == 0 || strcmp(blob, r->blob) == 0);
}

static void put_write(struct snapshot_store *s, uint64_t request, struct snapshot_resource *r,
                      const struct put_words *words, struct slice bytes)
{
    char why[SNAPSHOT_WHY_SIZE], blob[SNAPSHOT_ID_SIZE] = "", by[128];
    bool known = snapshot_repo_hash(bytes, blob);
    size_t len = words->by.len < sizeof by ? words->by.len : sizeof by - 1;
    slice_copy(slice_make(words->by.ptr, len), by, sizeof by);
    const struct snapshot_new version = {.resource = r->name,
                                         .path = r->path,
                                         .source = "put",
                                         .by = by,
                                         .bytes = bytes,
                                         .blob = known ? blob : NULL,
                                         .time_s = (int64_t)(clock_wall_ms() / 1000)};
    if (put_wants_accepted(s, r, words, blob))
        snapshot_pending_accept(s);
    if (words->blob.len > 0 && !slice_is(words->blob, r->has ? r->blob : "")) {
        snprintf(why, sizeof why, "its newest version is %s, not that one: look at it first",
                 r->has ? r->blob : "none");
        snapshot_put_refuse(s, request, r, why);
    } else if (r->has && known && strcmp(blob, r->blob) == 0) {
        worker_count(s->w, COUNTER_SNAPSHOT_UNCHANGED, 1);
        snapshot_repo_mend(s->repo, bytes);
        snapshot_put_answer(s, request, r, false);
    } else {
        snapshot_pending_put(s, request, r, &version);
    }
}

/* What it can never be is said with its first piece. */
static bool put_fits(struct snapshot_store *s, uint64_t request, const struct snapshot_resource *r,
                     uint64_t size)
{
    char why[128];
    if (size >= r->size_min && size <= r->size_max)
        return true;
    snprintf(why, sizeof why, "%" PRIu64 " bytes are %s (%" PRIu64 ")", size,
             size < r->size_min ? "fewer than size_min" : "more than size_max",
             size < r->size_min ? r->size_min : r->size_max);
    snapshot_put_refuse(s, request, r, why);
    return false;
}

bool snapshot_put(struct snapshot_store *s, uint64_t request, struct unpack *u, uint32_t count)
{
    struct put_words words;
    struct slice name = unpack_bytes(u);
    if (count != 7 || !put_read(u, &words))
        return false;
    struct snapshot_resource *r = snapshot_resource_of(s, request, name);
    if (r != NULL && r->make != NULL)
        snapshot_put_refuse(s, request, r, "its command makes it: put what it is made from");
    if (r == NULL || r->make != NULL || !put_fits(s, request, r, words.size))
        return true;
    if (words.offset == 0 && words.bytes.len == words.size) {
        put_write(s, request, r, &words, words.bytes);
        return true;
    }
    struct snapshot_upload *p =
        words.offset == 0 ? put_begin(s, &words, r) : put_find(s, &words, r);
    if (p == NULL) {
        snapshot_put_refuse(s, request, r,
                            words.offset == 0 ? "too much is on its way already: try again"
                                              : "its beginning is not here any more: try again");
        return true;
    }
    memcpy(p->bytes + p->have, words.bytes.ptr, words.bytes.len);
    p->have += words.bytes.len;
    p->touched_ms = clock_mono_ms();
    if (p->have == p->size) {
        put_write(s, request, r, &words, slice_make(p->bytes, p->size));
        put_forget(s, p);
        return true;
    }
    struct buffer body = BUFFER_EMPTY;
    pack_map(&body, 1);
    pack_text(&body, "have");
    pack_u64(&body, p->have);
    snapshot_answer(s, request, &body);
    return true;
}
