/*
 * snapshot_whatif.c: the what-ifs there are: what is given for them, piece by piece, and what they answer, likewise.
 * See snapshot_whatif.h.
 *
 * Whoever asks gives up at some time, and who gives up is not heard of again: so each is forgotten when its client's
 * time is over, or, while bytes travel, when nobody goes on for a minute.
 */
#include "workers/snapshot/snapshot_whatif.h"

#include "common/clock.h"
#include "common/pack.h"
#include "common/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define WHATIF_WAIT_MAX  16
#define WHATIF_MAX       64 /* those whose bytes travel, and those that run, besides */
#define WHATIF_BYTES_MAX (4u * SNAPSHOT_BYTES_MAX)
#define WHATIF_GONE_MS   60000u

/* ---- the list ---- */

static struct snapshot_whatif *whatif_find(const struct snapshot_store *s, struct slice id)
{
    for (struct snapshot_whatif *q = s->whatifs.list; q != NULL; q = q->next)
        if (slice_is(id, q->id))
            return q;
    return NULL;
}

static void whatif_append(struct snapshot_store *s, struct snapshot_whatif *q)
{
    struct snapshot_whatif **at = &s->whatifs.list;
    while (*at != NULL)
        at = &(*at)->next;
    q->next = NULL;
    *at = q;
}

static void whatif_take_out(struct snapshot_store *s, const struct snapshot_whatif *q)
{
    struct snapshot_whatif **at = &s->whatifs.list;
    while (*at != q)
        at = &(*at)->next;
    *at = q->next;
}

static void whatif_free(const struct snapshot_store *s, struct snapshot_whatif *q)
{
    for (size_t i = 0; q->parts != NULL && i < s->runs->policy.count; i++)
        buffer_fini(&q->parts[i].bytes);
    free(q->parts);
    free(q->marks);
    free(q);
}

void whatif_end(struct snapshot_store *s, struct snapshot_whatif *q)
{
    whatif_take_out(s, q);
    s->whatifs.count--;
    s->whatifs.bytes -= q->bytes;
    whatif_free(s, q);
}

void whatif_refuse(struct snapshot_store *s, struct snapshot_whatif *q, enum control_status status,
                   const char *format, ...)
{
    char why[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    worker_reply_text(s->w, q->request, status, "%s", why);
    whatif_end(s, q);
}

bool whatif_keep(struct snapshot_store *s, struct snapshot_whatif *q, size_t more)
{
    if (s->whatifs.bytes + more > WHATIF_BYTES_MAX) {
        whatif_refuse(s, q, CONTROL_TRYAGAIN,
                      "what-ifs have more than %u MB already: try again when they have ended",
                      WHATIF_BYTES_MAX >> 20);
        return false;
    }
    q->bytes += more;
    s->whatifs.bytes += more;
    return true;
}

static struct snapshot_whatif *whatif_new(struct snapshot_store *s, struct slice id,
                                          struct snapshot_resource *wanted)
{
    struct snapshot_whatif *q = s->whatifs.count < WHATIF_MAX ? calloc(1, sizeof *q) : NULL;
    if (q == NULL)
        return NULL;
    slice_copy(id, q->id, sizeof q->id);
    q->wanted = wanted;
    q->parts = calloc(s->runs->policy.count, sizeof *q->parts);
    q->marks = calloc(s->runs->policy.count, sizeof *q->marks);
    if (q->parts == NULL || q->marks == NULL) {
        whatif_free(s, q);
        return NULL;
    }
    whatif_append(s, q);
    s->whatifs.count++;
    return q;
}

void snapshot_whatif_tick(struct snapshot_store *s)
{
    uint64_t now = clock_mono_ms();
    for (struct snapshot_whatif *q = s->whatifs.list, *next; q != NULL; q = next) {
        bool asked = q->state == WHATIF_WAITING || q->state == WHATIF_RUNNING;
        next = q->next;
        if (asked ? now > q->deadline_ms : now - q->touched_ms > WHATIF_GONE_MS)
            whatif_end(s, q);
    }
    whatif_go(s);
}

void snapshot_whatif_fini(struct snapshot_store *s)
{
    while (s->whatifs.list != NULL)
        whatif_end(s, s->whatifs.list);
}

bool snapshot_whatif_late(const struct snapshot_store *s, char *why, size_t size)
{
    for (const struct snapshot_whatif *q = s->whatifs.list; q != NULL; q = q->next) {
        if (q->state != WHATIF_WAITING && q->state != WHATIF_RUNNING)
            continue;
        snprintf(why, size, "what-if of %s: %s%s", q->wanted->name,
                 q->state == WHATIF_WAITING ? "it waits for its worker" : "it makes ",
                 q->state == WHATIF_WAITING ? "" : s->resources[s->runs->order[q->step]].name);
        return true;
    }
    return false;
}

/* ---- what is given ---- */

struct give_words {
    struct slice id, bytes;
    uint64_t offset, size;
};

static bool give_read(struct unpack *u, struct give_words *g)
{
    if (text_parse_u64(unpack_bytes(u), &g->offset) != 0 ||
        text_parse_u64(unpack_bytes(u), &g->size) != 0)
        return false;
    g->bytes = unpack_bytes(u);
    return unpack_end(u) && g->id.len > 0 && g->id.len < SNAPSHOT_ASK_MAX &&
           g->bytes.len <= SNAPSHOT_PIECE_MAX && g->offset <= g->size &&
           g->bytes.len <= g->size - g->offset;
}

/* It can be no version of that resource. False: which has been answered. */
static bool give_fits(struct snapshot_store *s, uint64_t request, const struct snapshot_resource *r,
                      uint64_t size)
{
    bool few = size < r->size_min;
    if (!few && size <= r->size_max)
        return true;
    worker_reply_text(s->w, request, CONTROL_ERROR, "%s: %" PRIu64 " bytes are %s (%" PRIu64 ")",
                      r->name, size, few ? "fewer than size_min" : "more than size_max",
                      few ? r->size_min : r->size_max);
    return false;
}

/* The first piece of one that is given. False: it has been answered. */
static bool give_begin(struct snapshot_store *s, struct snapshot_whatif *q, size_t place,
                       const struct give_words *g)
{
    if (!whatif_keep(s, q, g->size))
        return false;
    q->marks[place].given = true;
    q->parts[place].size = g->size;
    if (g->size > 0 && buffer_reserve(&q->parts[place].bytes, g->size) == NULL) {
        whatif_refuse(s, q, CONTROL_TRYAGAIN, "memory is short for a what-if: try again");
        return false;
    }
    return true;
}

static void give_take(struct snapshot_store *s, struct snapshot_whatif *q, size_t place,
                      const struct give_words *g)
{
    struct whatif_part *part = &q->parts[place];
    struct buffer body = BUFFER_EMPTY;
    bool begins = g->offset == 0 && !q->marks[place].given;
    if (begins && !give_begin(s, q, place, g))
        return;
    if (part->bytes.len != g->offset || part->size != g->size ||
        (!begins && part->bytes.len == part->size)) {
        whatif_refuse(s, q, CONTROL_USAGE, "%s is given twice, or not in order",
                      s->resources[s->runs->order[place]].name);
        return;
    }
    buffer_append_slice(&part->bytes, g->bytes);
    pack_map(&body, 1);
    pack_text(&body, "have");
    pack_u64(&body, part->bytes.len);
    snapshot_answer(s, q->request, &body);
}

bool snapshot_whatif_give(struct snapshot_store *s, uint64_t request, struct unpack *u,
                          uint32_t count)
{
    struct give_words g = {.id = unpack_bytes(u)};
    struct slice wanted = unpack_bytes(u), name = unpack_bytes(u);
    if (count != 6 || !give_read(u, &g))
        return false;
    struct snapshot_resource *of = snapshot_resource_of(s, request, wanted);
    struct snapshot_resource *r = of != NULL ? snapshot_resource_of(s, request, name) : NULL;
    if (r == NULL || !give_fits(s, request, r, g.size))
        return true;
    struct snapshot_whatif *q = whatif_find(s, g.id);
    if (q == NULL && g.offset == 0)
        q = whatif_new(s, g.id, of);
    if (q == NULL || q->wanted != of || q->state != WHATIF_GIVEN) {
        worker_reply_text(s->w, request, CONTROL_TRYAGAIN,
                          g.offset == 0 ? "too many what-ifs are on their way already: try again"
                                        : "its beginning is not here any more: try again");
        return true;
    }
    q->request = request;
    q->touched_ms = clock_mono_ms();
    give_take(s, q, s->runs->place[r - s->resources], &g);
    return true;
}

/* ---- it is asked ---- */

static size_t whatif_waiting(const struct snapshot_store *s)
{
    size_t count = 0;
    for (const struct snapshot_whatif *q = s->whatifs.list; q != NULL; q = q->next)
        count += q->state == WHATIF_WAITING;
    return count;
}

/* The first that is not whole. */
static const char *whatif_unfinished(const struct snapshot_store *s,
                                     const struct snapshot_whatif *q)
{
    for (size_t i = 0; i < s->runs->policy.count; i++)
        if (q->marks[i].given && q->parts[i].bytes.len < q->parts[i].size)
            return s->resources[s->runs->order[i]].name;
    return NULL;
}

static void whatif_begin(struct snapshot_store *s, struct snapshot_whatif *q, struct slice version)
{
    const struct policy *p = &s->runs->policy;
    const char *name = whatif_unfinished(s, q);
    size_t idle;
    if (name != NULL)
        whatif_refuse(s, q, CONTROL_USAGE, "%s is not here whole", name);
    else if (worker_setting_u64(s->w, "snapshot.whatifs") == 0)
        whatif_refuse(s, q, CONTROL_ERROR,
                      "whatifs = 0: nobody may ask what if: set it in snapshot %s",
                      worker_setting_text(s->w, "snapshot.name"));
    else if (!snapshot_steps_find(p, s->runs->place[q->wanted - s->resources], q->marks, &idle))
        whatif_refuse(s, q, CONTROL_USAGE, "%s is not made from %s", q->wanted->name,
                      s->resources[s->runs->order[idle]].name);
    else if (whatif_waiting(s) >= WHATIF_WAIT_MAX)
        whatif_refuse(s, q, CONTROL_TRYAGAIN, "%d what-ifs wait already: try again later",
                      WHATIF_WAIT_MAX);
    else if (whatif_base(s, q, version)) {
        q->state = WHATIF_WAITING;
        whatif_take_out(s, q);
        whatif_append(s, q);
        whatif_go(s);
    }
}

bool snapshot_whatif(struct snapshot_store *s, uint64_t request, struct unpack *u, uint32_t count)
{
    struct slice id = unpack_bytes(u), name = unpack_bytes(u), version = unpack_bytes(u);
    if (count != 3 || !unpack_end(u))
        return false;
    struct snapshot_resource *r = snapshot_resource_of(s, request, name);
    struct snapshot_whatif *q = whatif_find(s, id);
    if (r == NULL)
        return true;
    if (q == NULL || q->wanted != r || q->state != WHATIF_GIVEN) {
        worker_reply_text(s->w, request, CONTROL_TRYAGAIN,
                          "what is given for it is not here any more: try again");
        return true;
    }
    q->request = request;
    q->deadline_ms = s->until_ms;
    whatif_begin(s, q, version);
    return true;
}

/* ---- its answer ---- */

static struct slice whatif_piece(const struct snapshot_store *s, const struct snapshot_whatif *q,
                                 size_t offset)
{
    struct slice all = buffer_slice(&q->parts[s->runs->place[q->wanted - s->resources]].bytes);
    size_t left = all.len - offset;
    return slice_make(all.ptr != NULL ? all.ptr + offset : "",
                      left < SNAPSHOT_PIECE_MAX ? left : SNAPSHOT_PIECE_MAX);
}

/* It is over when its last byte has been told. */
static void whatif_told(struct snapshot_store *s, struct snapshot_whatif *q, size_t offset,
                        struct slice piece)
{
    q->touched_ms = clock_mono_ms();
    if (offset + piece.len == q->parts[s->runs->place[q->wanted - s->resources]].bytes.len)
        whatif_end(s, q);
}

void whatif_answer(struct snapshot_store *s, struct snapshot_whatif *q)
{
    struct buffer body = BUFFER_EMPTY;
    struct slice piece = whatif_piece(s, q, 0);
    pack_map(&body, 3);
    pack_text(&body, "base");
    pack_text(&body, q->base);
    pack_text(&body, "size");
    pack_u64(&body, q->parts[s->runs->place[q->wanted - s->resources]].bytes.len);
    pack_text(&body, "bytes");
    pack_bin(&body, piece);
    q->state = WHATIF_DONE;
    snapshot_answer(s, q->request, &body);
    whatif_told(s, q, 0, piece);
}

bool snapshot_whatif_more(struct snapshot_store *s, uint64_t request, struct unpack *u,
                          uint32_t count)
{
    struct buffer body = BUFFER_EMPTY;
    struct slice id = unpack_bytes(u);
    uint64_t offset;
    if (count != 2 || text_parse_u64(unpack_bytes(u), &offset) != 0 || !unpack_end(u))
        return false;
    struct snapshot_whatif *q = whatif_find(s, id);
    if (q == NULL || q->state != WHATIF_DONE ||
        offset >= q->parts[s->runs->place[q->wanted - s->resources]].bytes.len) {
        worker_reply_text(s->w, request, CONTROL_TRYAGAIN,
                          "that what-if is not here any more: try again");
        return true;
    }
    struct slice piece = whatif_piece(s, q, offset);
    pack_map(&body, 1);
    pack_text(&body, "bytes");
    pack_bin(&body, piece);
    snapshot_answer(s, request, &body);
    whatif_told(s, q, offset, piece);
    return true;
}
