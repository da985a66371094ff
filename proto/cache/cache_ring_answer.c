/* cache_ring_answer.c: the answers of the ring's scripts. See cache_ring_answer.h. */
#include "proto/cache/cache_ring_answer.h"

#include <stdio.h>

static const char *const ring_refusals[CACHE_RING_STATUS_COUNT] = {
    [CACHE_RING_OTHER_STORE] = "has another store: make both sections alike",
    [CACHE_RING_OTHERS_FILE] = "is two platoons', which share no directory: use s3",
    [CACHE_RING_OTHER_COPIES] = "has other copies: make both sections alike",
    [CACHE_RING_OTHER_LEASE] = "has another lease: make both sections alike",
};

const char *cache_ring_explain(const struct cache_ring_answer *a, const char *prefix, char *text,
                               size_t size)
{
    const char *what = ring_refusals[a->status];
    text[0] = '\0';
    if (a->status == CACHE_RING_FULL)
        snprintf(text, size,
                 "the ring %s has as many nodes as it may have: have those that are gone for good "
                 "forgotten (platoonctl cache forget)",
                 prefix);
    else if (what != NULL)
        snprintf(text, size,
                 "the ring %s %s, rename this cache, or forget the other's nodes (platoonctl cache "
                 "forget): %.*s on %.*s",
                 prefix, what, (int)a->name.len, a->name.ptr, (int)a->host.len, a->host.ptr);
    return text;
}

/* ---- reading ---- */

/* The status, and all that comes with one that is not OK. False: it is none. */
static bool answer_start(struct slice bytes, struct unpack *u, struct cache_ring_answer *a)
{
    *u = unpack_start(bytes);
    *a =
        (struct cache_ring_answer){.has = slice_of(""), .name = slice_of(""), .host = slice_of("")};
    uint64_t status = unpack_u64(u);
    if (!unpack_ok(u) || status >= CACHE_RING_STATUS_COUNT)
        return false;
    a->status = (enum cache_ring_status)status;
    if (status == CACHE_RING_CLOSED || status == CACHE_RING_COPIED)
        a->value = unpack_u64(u);
    else if (status == CACHE_RING_SLAVE)
        a->has = unpack_bytes(u);
    else if (ring_refusals[status] != NULL) {
        a->has = unpack_bytes(u);
        a->name = unpack_bytes(u);
        a->host = unpack_bytes(u);
    }
    return status == CACHE_RING_OK ? unpack_ok(u) : unpack_end(u);
}

bool cache_ring_read(struct slice bytes, struct cache_ring_answer *a)
{
    struct unpack u;
    struct cache_ring_answer read;
    if (!answer_start(bytes, &u, &read))
        return false;
    if (unpack_more(&u))
        read.value = unpack_u64(&u);
    if (!unpack_end(&u))
        return false;
    *a = read;
    return true;
}

/* A number of an enumeration that ends with `last`. */
static unsigned unpack_below(struct unpack *u, unsigned last)
{
    uint64_t number = unpack_u64(u);
    u->failed |= number > last;
    return u->failed ? 0 : (unsigned)number;
}

bool cache_ring_read_joined(struct slice bytes, struct cache_ring_answer *a,
                            struct cache_ring_joined *joined)
{
    struct unpack u;
    struct cache_ring_answer read;
    struct cache_ring_joined j = {0};
    if (!answer_start(bytes, &u, &read))
        return false;
    if (read.status == CACHE_RING_OK) {
        j.redis_us = unpack_u64(&u);
        j.closed_ms = unpack_u64(&u);
        j.who.incarnation = unpack_u64(&u);
        j.who.mark = unpack_u64(&u);
        j.seed = unpack_bytes(&u);
        j.gen = unpack_u64(&u);
        j.epoch = unpack_u64(&u);
        j.was = (enum cache_ring_was)unpack_below(&u, CACHE_RING_LOST_NODE);
        j.number = unpack_u64(&u);
        if (!unpack_end(&u) || j.seed.len != CACHE_RING_SEED_SIZE || j.who.incarnation == 0)
            return false;
        *joined = j;
    }
    *a = read;
    return true;
}

/* A list of entries of `each` values; checked to its end. */
static struct cache_ring_list unpack_list(struct unpack *u, uint32_t each)
{
    struct unpack whole = unpack_start(unpack_raw(u));
    struct cache_ring_list l = {.left = unpack_array(&whole)};
    u->failed |= whole.failed || l.left % each != 0;
    l.left /= each;
    l.u = whole;
    return l;
}

bool cache_ring_read_beaten(struct slice bytes, struct cache_ring_answer *a,
                            struct cache_ring_beaten *beaten, enum cache_ring_pulse *pulses,
                            size_t count)
{
    struct unpack u;
    struct cache_ring_answer read;
    struct cache_ring_beaten b = {0};
    if (!answer_start(bytes, &u, &read))
        return false;
    if (read.status == CACHE_RING_OK) {
        b.redis_us = unpack_u64(&u);
        b.closed_ms = unpack_u64(&u);
        b.gen = unpack_u64(&u);
        b.master = unpack_bytes(&u);
        struct cache_ring_list found = unpack_list(&u, 1);
        b.beats = unpack_list(&u, 2);
        b.nodes = unpack_list(&u, 2);
        b.managers = unpack_list(&u, 2);
        if (!unpack_end(&u) || found.left != count)
            return false;
        struct unpack check = found.u;
        for (size_t i = 0; i < count; i++)
            unpack_below(&check, CACHE_RING_IS_GONE);
        if (!unpack_end(&check))
            return false;
        for (size_t i = 0; i < count; i++)
            pulses[i] = (enum cache_ring_pulse)unpack_below(&found.u, CACHE_RING_IS_GONE);
        *beaten = b;
    }
    *a = read;
    return true;
}

static bool next_owner(struct unpack *u, struct cache_ring_owner *owner)
{
    u->failed |= unpack_array(u) != 2;
    owner->state = (enum cache_ring_state)unpack_below(u, CACHE_RING_LOST_CELL);
    owner->value = unpack_u64(u);
    return unpack_ok(u);
}

bool cache_ring_read_owners(struct slice bytes, struct cache_ring_answer *a,
                            struct cache_ring_owner *owners, size_t count)
{
    struct unpack u;
    struct cache_ring_answer read;
    struct cache_ring_owner owner;
    if (!answer_start(bytes, &u, &read))
        return false;
    if (read.status == CACHE_RING_OK) {
        read.value = unpack_u64(&u);
        if (unpack_array(&u) != count)
            return false;
        struct unpack check = u;
        for (size_t i = 0; i < count; i++)
            next_owner(&check, &owner);
        if (!unpack_end(&check))
            return false;
        for (size_t i = 0; i < count; i++)
            next_owner(&u, &owners[i]);
    }
    *a = read;
    return true;
}

static void unpack_cursor(struct unpack *u, struct cache_ring_page *page)
{
    struct slice cursor = unpack_bytes(u);
    u->failed |= cursor.len == 0 || !slice_copy(cursor, page->cursor, sizeof page->cursor);
    page->more = !slice_is(cursor, "0");
}

/* Where a walk over the buckets goes on. */
static void unpack_walk(struct unpack *u, struct cache_ring_page *page)
{
    page->bucket = unpack_below(u, CACHE_RING_BUCKETS);
    unpack_cursor(u, page);
    page->more = page->bucket < CACHE_RING_BUCKETS;
}

bool cache_ring_read_swept(struct slice bytes, struct cache_ring_answer *a,
                           struct cache_ring_page *page)
{
    struct unpack u;
    struct cache_ring_answer read;
    struct cache_ring_page p = {0};
    if (!answer_start(bytes, &u, &read))
        return false;
    if (read.status == CACHE_RING_OK) {
        read.value = unpack_u64(&u);
        unpack_walk(&u, &p);
        p.list = unpack_list(&u, 2);
        if (!unpack_end(&u))
            return false;
        *page = p;
    }
    *a = read;
    return true;
}

bool cache_ring_read_freed(struct slice bytes, struct cache_ring_answer *a,
                           struct cache_ring_page *page)
{
    struct unpack u;
    struct cache_ring_answer read;
    struct cache_ring_page p = {0};
    if (!answer_start(bytes, &u, &read))
        return false;
    if (read.status == CACHE_RING_OK) {
        unpack_walk(&u, &p);
        read.value = unpack_u64(&u);
        if (!unpack_end(&u))
            return false;
        *page = p;
    }
    *a = read;
    return true;
}

bool cache_ring_read_copies(struct slice bytes, struct cache_ring_answer *a, uint64_t *mark,
                            bool *lost, struct cache_ring_page *page)
{
    struct unpack u;
    struct cache_ring_answer read;
    struct cache_ring_page p = {0};
    if (!answer_start(bytes, &u, &read))
        return false;
    if (read.status == CACHE_RING_OK) {
        uint64_t number = unpack_u64(&u);
        bool is = unpack_below(&u, 1) == 1;
        unpack_cursor(&u, &p);
        p.list = unpack_list(&u, 2);
        if (!unpack_end(&u))
            return false;
        *mark = number;
        *lost = is;
        *page = p;
    }
    *a = read;
    return true;
}

/* ---- lists ---- */

/* Whether there is one more; and it is counted. */
static bool list_next(struct cache_ring_list *l)
{
    if (l->left == 0 || !unpack_ok(&l->u))
        return false;
    l->left--;
    return true;
}

/* A number in decimal digits, as keys of Redis' hashes are. Versions have 16. */
static uint64_t decimal_of(struct slice text, bool *failed)
{
    uint64_t number = 0;
    *failed |= text.len == 0 || text.len > 19;
    for (size_t i = 0; i < text.len && !*failed; i++) {
        *failed |= text.ptr[i] < '0' || text.ptr[i] > '9';
        number = number * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    return *failed ? 0 : number;
}

bool cache_ring_next_beat(struct cache_ring_list *l, struct slice *who, uint64_t *beats)
{
    if (!list_next(l))
        return false;
    struct slice read = unpack_bytes(&l->u);
    uint64_t count = unpack_u64(&l->u);
    if (!unpack_ok(&l->u))
        return false;
    *who = read;
    *beats = count;
    return true;
}

/* An entry of the hash `nodes`, as ring_lib.lua packs it. */
static bool read_entry(struct slice packed, struct cache_ring_node *node)
{
    struct unpack u = unpack_start(packed);
    u.failed |= unpack_array(&u) != 7;
    node->who.mark = unpack_u64(&u);
    node->lost = unpack_below(&u, 1) == 1;
    node->name = unpack_bytes(&u);
    node->host = unpack_bytes(&u);
    node->platoon = unpack_bytes(&u);
    node->address = unpack_bytes(&u);
    unpack_bytes(&u);
    return unpack_end(&u);
}

bool cache_ring_next_node(struct cache_ring_list *l, struct cache_ring_node *node)
{
    struct cache_ring_node read = {0};
    if (!list_next(l))
        return false;
    read.who.incarnation = decimal_of(unpack_bytes(&l->u), &l->u.failed);
    l->u.failed |= !read_entry(unpack_bytes(&l->u), &read);
    if (!unpack_ok(&l->u))
        return false;
    *node = read;
    return true;
}

bool cache_ring_next_manager(struct cache_ring_list *l, struct slice *manager, struct slice *host)
{
    if (!list_next(l))
        return false;
    struct slice name = unpack_bytes(&l->u), where = unpack_bytes(&l->u);
    if (!unpack_ok(&l->u))
        return false;
    *manager = name;
    *host = where;
    return true;
}

bool cache_ring_next_cell(struct cache_ring_list *l, struct cache_ring_held *cell)
{
    if (!list_next(l))
        return false;
    struct slice bytes = unpack_bytes(&l->u);
    uint64_t number = unpack_u64(&l->u);
    l->u.failed |= bytes.len != 8;
    if (!unpack_ok(&l->u))
        return false;
    *cell = (struct cache_ring_held){.number = number};
    for (size_t i = 0; i < 8; i++)
        cell->cell = cell->cell << 8 | (unsigned char)bytes.ptr[i];
    return true;
}

bool cache_ring_next_copy(struct cache_ring_list *l, struct cache_ring_copy *copy)
{
    if (!list_next(l))
        return false;
    struct slice key = unpack_bytes(&l->u), value = unpack_bytes(&l->u);
    const char *blank = value.len > 0 ? memchr(value.ptr, ' ', value.len) : NULL;
    size_t digits = blank != NULL ? (size_t)(blank - value.ptr) : 0;
    uint64_t version = decimal_of(slice_make(value.ptr, digits), &l->u.failed);
    if (!unpack_ok(&l->u))
        return false;
    *copy = (struct cache_ring_copy){
        .key = key,
        .version = version,
        .record = slice_make(value.ptr + digits + 1, value.len - digits - 1),
    };
    return true;
}
