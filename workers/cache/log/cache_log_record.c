/* cache_log_record.c: see cache_log_record.h. */
#include "workers/cache/log/cache_log_record.h"
#include "common/crc32c.h"

#include <endian.h>

#define AT_BODY    4
#define AT_VALUE   8
#define AT_KEY     12
#define AT_VERSION 16
#define AT_EXPIRY  24

#define RECORD_KIND    25
#define RECORD_FORM    27
#define RECORD_DIRTY   (1u << 29)
#define RECORD_LAST    (1u << 30)
#define RECORD_EXPIRES (1u << 31)

#define RECORD_KIND_HIGH 25 /* beside the key's length */
#define RECORD_BEHIND    (1u << 26)
#define RECORD_BLIND     (1u << 27)
#define RECORD_ADOPTED   (1u << 28)

static void record_put32(char *to, uint32_t v)
{
    v = htole32(v);
    memcpy(to, &v, sizeof v);
}

static void record_put64(char *to, uint64_t v)
{
    v = htole64(v);
    memcpy(to, &v, sizeof v);
}

static uint32_t record_get32(const char *from)
{
    uint32_t v;
    memcpy(&v, from, sizeof v);
    return le32toh(v);
}

static uint64_t record_get64(const char *from)
{
    uint64_t v;
    memcpy(&v, from, sizeof v);
    return le64toh(v);
}

static size_t record_head_size(uint32_t flags)
{
    return (flags & RECORD_EXPIRES) != 0 ? CACHE_LOG_HEAD_MAX : CACHE_LOG_HEAD_MIN;
}

static uint32_t record_head_sum(const char *at, uint32_t seed)
{
    return crc32c(
        seed, slice_make(at + AT_BODY, record_head_size(record_get32(at + AT_VALUE)) - AT_BODY));
}

size_t cache_log_size(const struct cache_log_record *r)
{
    return record_head_size(r->expiry_ms != INT64_MAX ? RECORD_EXPIRES : 0) + r->key.len +
           r->value.len;
}

bool cache_log_record_fits(const struct cache_log_record *r)
{
    return r->key.len <= CACHE_LOG_LENGTH_MAX && r->value.len <= CACHE_LOG_LENGTH_MAX &&
           r->form < 4;
}

/* An empty slice may have no address. */
static void record_copy(char *to, struct slice from)
{
    if (from.len > 0)
        memcpy(to, from.ptr, from.len);
}

void cache_log_record_write(char *to, const struct cache_log_record *r, uint32_t seed)
{
    uint32_t flags = (uint32_t)r->value.len | ((uint32_t)r->kind & 3) << RECORD_KIND |
                     (uint32_t)r->form << RECORD_FORM | (r->dirty ? RECORD_DIRTY : 0) |
                     (r->expiry_ms != INT64_MAX ? RECORD_EXPIRES : 0);
    char *body = to + record_head_size(flags);
    record_put32(to + AT_VALUE, flags);
    record_put32(to + AT_KEY, (uint32_t)r->key.len | (uint32_t)r->kind >> 2 << RECORD_KIND_HIGH |
                                  (r->behind ? RECORD_BEHIND : 0) | (r->blind ? RECORD_BLIND : 0) |
                                  (r->adopted ? RECORD_ADOPTED : 0));
    record_put64(to + AT_VERSION, r->version);
    if ((flags & RECORD_EXPIRES) != 0)
        record_put64(to + AT_EXPIRY, (uint64_t)r->expiry_ms);
    record_copy(body, r->key);
    record_copy(body + r->key.len, r->value);
    record_put32(to + AT_BODY, crc32c(seed, slice_make(body, r->key.len + r->value.len)));
}

void cache_log_record_seal(char *at, uint32_t seed, bool last)
{
    uint32_t flags = record_get32(at + AT_VALUE);
    record_put32(at + AT_VALUE, last ? flags | RECORD_LAST : flags & ~RECORD_LAST);
    record_put32(at, record_head_sum(at, seed));
}

static size_t record_whole_size(const char *at)
{
    uint32_t flags = record_get32(at + AT_VALUE);
    return record_head_size(flags) + (record_get32(at + AT_KEY) & CACHE_LOG_LENGTH_MAX) +
           (flags & CACHE_LOG_LENGTH_MAX);
}

size_t cache_log_record_written(const char *at)
{
    return record_whole_size(at);
}

void cache_log_record_replace(char *at, uint32_t seed)
{
    size_t head = record_head_size(record_get32(at + AT_VALUE));
    record_put32(at + AT_BODY, crc32c(seed, slice_make(at + head, record_whole_size(at) - head)));
    cache_log_record_seal(at, seed, false);
}

static struct cache_log_record record_of(const char *at)
{
    uint32_t flags = record_get32(at + AT_VALUE);
    const char *key = at + record_head_size(flags);
    uint32_t key_word = record_get32(at + AT_KEY);
    size_t key_len = key_word & CACHE_LOG_LENGTH_MAX;
    return (struct cache_log_record){
        .kind = (enum cache_log_kind)((flags >> RECORD_KIND & 3) |
                                      (key_word >> RECORD_KIND_HIGH & 1) << 2),
        .key = slice_make(key, key_len),
        .value = slice_make(key + key_len, flags & CACHE_LOG_LENGTH_MAX),
        .version = record_get64(at + AT_VERSION),
        .expiry_ms =
            (flags & RECORD_EXPIRES) != 0 ? (int64_t)record_get64(at + AT_EXPIRY) : INT64_MAX,
        .form = flags >> RECORD_FORM & 3,
        .dirty = (flags & RECORD_DIRTY) != 0,
        .behind = (key_word & RECORD_BEHIND) != 0,
        .blind = (key_word & RECORD_BLIND) != 0,
        .adopted = (key_word & RECORD_ADOPTED) != 0,
    };
}

enum cache_log_look cache_log_record_read(const char *at, size_t len, uint32_t seed,
                                          struct cache_log_seen *seen)
{
    seen->size = CACHE_LOG_HEAD_MIN;
    if (len < seen->size)
        return CACHE_LOG_SHORT;
    size_t head = record_head_size(record_get32(at + AT_VALUE));
    seen->size = head;
    if (len < head)
        return CACHE_LOG_SHORT;
    /* The length first: that alone turns away nearly all of what is none, byte after byte of a damaged place. */
    if (record_get32(at + AT_KEY) >
            (CACHE_LOG_LENGTH_MAX | CACHE_LOG_CLEAR >> 2 << RECORD_KIND_HIGH | RECORD_BEHIND |
             RECORD_BLIND | RECORD_ADOPTED) ||
        record_get32(at) != record_head_sum(at, seed))
        return CACHE_LOG_BAD;
    seen->size = record_whole_size(at);
    if (len < seen->size)
        return CACHE_LOG_SHORT;
    if (record_get32(at + AT_BODY) != crc32c(seed, slice_make(at + head, seen->size - head)))
        return CACHE_LOG_BAD;
    seen->record = record_of(at);
    seen->last = (record_get32(at + AT_VALUE) & RECORD_LAST) != 0;
    return CACHE_LOG_WHOLE;
}
