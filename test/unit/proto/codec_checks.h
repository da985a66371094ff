/*
 * codec_checks.h: what must hold for every message of a family, expanded from the family's own list (proto/schema.h).
 *
 * Used by the suites of link, message and control: they define CODEC_STRUCT(name), CODEC_PACK(name), CODEC_FIELDS(NAME)
 * and `static bool codec_unpack_<name>(struct slice frame, struct … *m)`, then expand CODEC_CHECKS over their list.
 */
#ifndef TEST_UNIT_CODEC_CHECKS_H
#define TEST_UNIT_CODEC_CHECKS_H

#include "proto/schema.h"
#include "test/unit/suite.h"

#include <stdlib.h>

/* Values of every size, in turn: seeded, so that a failure repeats itself. */
static inline uint64_t codec_number(void)
{
    return ((uint64_t)rand() << 33 | (uint64_t)rand() << 2) >> (rand() % 64);
}

static inline struct slice codec_bytes(void)
{
    static char bytes[300];
    return slice_make(bytes, (size_t)rand() % sizeof bytes);
}

static inline struct slice codec_value(void)
{
    static const struct slice values[] = {{"\xc0", 1},
                                          {"\x93\x01\x02\x03", 4},
                                          {"\x81\xa1k\xa1v", 5},
                                          {"\xa0", 1},
                                          {"\xcd\x01\x00", 3}};
    return values[(size_t)rand() % (sizeof values / sizeof *values)];
}

#define CODEC_FILL_u64(field)        m->field = codec_number();
#define CODEC_FILL_i64(field)        m->field = (int64_t)codec_number() * (rand() % 2 ? 1 : -1);
#define CODEC_FILL_str(field)        m->field = codec_bytes();
#define CODEC_FILL_bin(field)        m->field = codec_bytes();
#define CODEC_FILL_raw(field)        m->field = codec_value();
#define CODEC_FILL(type, field, doc) CODEC_FILL_##type(field)

#define CODEC_SAME_u64(field)        ck_assert(a->field == b->field);
#define CODEC_SAME_i64(field)        ck_assert(a->field == b->field);
#define CODEC_SAME_str(field)        ck_assert(slice_equal(a->field, b->field));
#define CODEC_SAME_bin(field)        ck_assert(slice_equal(a->field, b->field));
#define CODEC_SAME_raw(field)        ck_assert(slice_equal(a->field, b->field));
#define CODEC_SAME(type, field, doc) CODEC_SAME_##type(field)

/* An unpacker on bytes that end where ASan watches. */
static inline bool codec_try(bool (*unpack)(struct slice frame), const char *bytes, size_t len)
{
    char *exact = malloc(len + (len == 0));
    memcpy(exact, bytes, len);
    bool good = unpack(slice_make(exact, len));
    free(exact);
    return good;
}

/*
 * Cut anywhere: refused. One byte changed anywhere: read or refused, never a byte too far.
 * Another type or count: refused.
 */
static inline void codec_check_hostile(bool (*unpack)(struct slice frame), const struct buffer *b)
{
    ck_assert(codec_try(unpack, b->data, b->len));
    for (size_t len = 0; len < b->len; len++)
        ck_assert(!codec_try(unpack, b->data, len));
    for (int round = 0; round < 200; round++) {
        struct buffer changed = BUFFER_EMPTY;
        buffer_append_slice(&changed, buffer_slice(b));
        changed.data[(size_t)rand() % changed.len] = (char)rand();
        codec_try(unpack, changed.data, changed.len);
        buffer_fini(&changed);
    }
    struct buffer other = BUFFER_EMPTY;
    buffer_append_slice(&other, buffer_slice(b));
    other.data[1] ^= 0x40; /* its type */
    ck_assert(!codec_try(unpack, other.data, other.len));
    other.data[1] ^= 0x40;
    other.data[0]++; /* its count, with one value more behind */
    buffer_append_char(&other, 0);
    ck_assert(!codec_try(unpack, other.data, other.len));
    buffer_fini(&other);
}

#define CODEC_CHECKS(number, NAME, name, doc)                                                      \
    static void fill_##name(CODEC_STRUCT(name) * m)                                                \
    {                                                                                              \
        CODEC_FIELDS(NAME)(CODEC_FILL)                                                             \
    }                                                                                              \
    static void same_##name(const CODEC_STRUCT(name) * a, const CODEC_STRUCT(name) * b)            \
    {                                                                                              \
        CODEC_FIELDS(NAME)(CODEC_SAME)                                                             \
    }                                                                                              \
    static bool try_##name(struct slice frame)                                                     \
    {                                                                                              \
        CODEC_STRUCT(name) m;                                                                      \
        return codec_unpack_##name(frame, &m);                                                     \
    }                                                                                              \
    START_TEST(codec_##name)                                                                       \
    {                                                                                              \
        srand(number);                                                                             \
        for (int round = 0; round < 50; round++) {                                                 \
            CODEC_STRUCT(name) m = {0}, back = {0};                                                \
            struct buffer b = BUFFER_EMPTY;                                                        \
            fill_##name(&m);                                                                       \
            CODEC_PACK(name)(&b, &m);                                                              \
            ck_assert(buffer_ok(&b));                                                              \
            ck_assert_uint_eq(schema_peek_type(unpack_start(buffer_slice(&b))), number);           \
            ck_assert(codec_unpack_##name(buffer_slice(&b), &back));                               \
            same_##name(&m, &back);                                                                \
            codec_check_hostile(try_##name, &b);                                                   \
            buffer_fini(&b);                                                                       \
        }                                                                                          \
    }                                                                                              \
    END_TEST

#endif
