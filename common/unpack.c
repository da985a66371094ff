/* unpack.c: bounded msgpack cursor. See unpack.h. */
#include "common/unpack.h"

struct unpack unpack_start(struct slice input)
{
    const unsigned char *at = (const unsigned char *)input.ptr;
    return (struct unpack){at, at + input.len, false};
}

static size_t unpack_left(const struct unpack *u)
{
    return (size_t)(u->end - u->at);
}

static uint64_t unpack_fail(struct unpack *u)
{
    u->failed = true;
    return 0;
}

enum unpack_type unpack_peek(const struct unpack *u)
{
    if (u->failed || u->at == u->end)
        return UNPACK_INVALID;
    unsigned char c = *u->at;
    if (c <= 0x7f)
        return UNPACK_UINT;
    if (c <= 0x8f)
        return UNPACK_MAP;
    if (c <= 0x9f)
        return UNPACK_ARRAY;
    if (c <= 0xbf)
        return UNPACK_STR;
    if (c >= 0xe0)
        return UNPACK_INT;
    static const unsigned char types[32] = {
        [0xc0 - 0xc0] = UNPACK_NIL,  [0xc1 - 0xc0] = UNPACK_INVALID, [0xc2 - 0xc0] = UNPACK_BOOL,
        [0xc3 - 0xc0] = UNPACK_BOOL, [0xc4 - 0xc0] = UNPACK_BIN,     [0xc5 - 0xc0] = UNPACK_BIN,
        [0xc6 - 0xc0] = UNPACK_BIN,  [0xc7 - 0xc0] = UNPACK_EXT,     [0xc8 - 0xc0] = UNPACK_EXT,
        [0xc9 - 0xc0] = UNPACK_EXT,  [0xca - 0xc0] = UNPACK_DOUBLE,  [0xcb - 0xc0] = UNPACK_DOUBLE,
        [0xcc - 0xc0] = UNPACK_UINT, [0xcd - 0xc0] = UNPACK_UINT,    [0xce - 0xc0] = UNPACK_UINT,
        [0xcf - 0xc0] = UNPACK_UINT, [0xd0 - 0xc0] = UNPACK_INT,     [0xd1 - 0xc0] = UNPACK_INT,
        [0xd2 - 0xc0] = UNPACK_INT,  [0xd3 - 0xc0] = UNPACK_INT,     [0xd4 - 0xc0] = UNPACK_EXT,
        [0xd5 - 0xc0] = UNPACK_EXT,  [0xd6 - 0xc0] = UNPACK_EXT,     [0xd7 - 0xc0] = UNPACK_EXT,
        [0xd8 - 0xc0] = UNPACK_EXT,  [0xd9 - 0xc0] = UNPACK_STR,     [0xda - 0xc0] = UNPACK_STR,
        [0xdb - 0xc0] = UNPACK_STR,  [0xdc - 0xc0] = UNPACK_ARRAY,   [0xdd - 0xc0] = UNPACK_ARRAY,
        [0xde - 0xc0] = UNPACK_MAP,  [0xdf - 0xc0] = UNPACK_MAP,
    };
    return (enum unpack_type)types[c - 0xc0];
}

/* `width` bytes, big endian, after the type byte. */
static uint64_t unpack_be(struct unpack *u, size_t width)
{
    if (u->failed || unpack_left(u) < width)
        return unpack_fail(u);
    uint64_t value = 0;
    for (size_t i = 0; i < width; i++)
        value = value << 8 | u->at[i];
    u->at += width;
    return value;
}

void unpack_nil(struct unpack *u)
{
    if (unpack_peek(u) != UNPACK_NIL)
        unpack_fail(u);
    else
        u->at++;
}

bool unpack_bool(struct unpack *u)
{
    if (unpack_peek(u) != UNPACK_BOOL)
        return unpack_fail(u);
    return *u->at++ == 0xc3;
}

/* Any whole number as 64 bits; *negative tells how to read them. */
static uint64_t unpack_whole(struct unpack *u, bool *negative)
{
    *negative = false;
    enum unpack_type type = unpack_peek(u);
    if (type != UNPACK_UINT && type != UNPACK_INT)
        return unpack_fail(u);
    unsigned char c = *u->at++;
    if (type == UNPACK_UINT)
        return c <= 0x7f ? c : unpack_be(u, (size_t)1 << (c - 0xcc));
    int64_t value;
    if (c >= 0xe0) {
        value = (int64_t)c - 256;
    } else {
        size_t width = (size_t)1 << (c - 0xd0);
        uint64_t bits = unpack_be(u, width);
        uint64_t sign = UINT64_C(1) << (width * 8 - 1);
        value = (int64_t)((bits ^ sign) - sign);
    }
    *negative = value < 0;
    return (uint64_t)value;
}

uint64_t unpack_u64(struct unpack *u)
{
    bool negative;
    uint64_t value = unpack_whole(u, &negative);
    return negative ? unpack_fail(u) : value;
}

int64_t unpack_i64(struct unpack *u)
{
    bool negative;
    uint64_t value = unpack_whole(u, &negative);
    if (!negative && value > INT64_MAX)
        return (int64_t)unpack_fail(u);
    return (int64_t)value;
}

double unpack_double(struct unpack *u)
{
    enum unpack_type type = unpack_peek(u);
    if (type == UNPACK_UINT || type == UNPACK_INT) {
        bool negative;
        uint64_t value = unpack_whole(u, &negative);
        return negative ? (double)(int64_t)value : (double)value;
    }
    if (type != UNPACK_DOUBLE)
        return (double)unpack_fail(u);
    if (*u->at++ == 0xca) {
        uint32_t bits = (uint32_t)unpack_be(u, 4);
        float value;
        memcpy(&value, &bits, sizeof value);
        return (double)value;
    }
    uint64_t bits = unpack_be(u, 8);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The payload of a str, bin or ext whose type byte says how its length is written. */
static struct slice unpack_run(struct unpack *u)
{
    unsigned char c = *u->at++;
    size_t len;
    if (c <= 0xbf)
        len = c & 0x1f;
    else if (c >= 0xd9)
        len = (size_t)unpack_be(u, (size_t)1 << (c - 0xd9));
    else if (c >= 0xd4) /* fixext 1, 2, 4, 8, 16: a type byte and the data */
        len = ((size_t)1 << (c - 0xd4)) + 1;
    else if (c >= 0xc7) /* ext 8, 16, 32: length, then a type byte and the data */
        len = (size_t)unpack_be(u, (size_t)1 << (c - 0xc7)) + 1;
    else
        len = (size_t)unpack_be(u, (size_t)1 << (c - 0xc4));
    if (u->failed || len > unpack_left(u)) {
        unpack_fail(u);
        return slice_make(NULL, 0);
    }
    struct slice run = slice_make(u->at, len);
    u->at += len;
    return run;
}

static struct slice unpack_run_of(struct unpack *u, bool str, bool bin)
{
    enum unpack_type type = unpack_peek(u);
    if ((type == UNPACK_STR && str) || (type == UNPACK_BIN && bin))
        return unpack_run(u);
    unpack_fail(u);
    return slice_make(NULL, 0);
}

struct slice unpack_str(struct unpack *u)
{
    return unpack_run_of(u, true, false);
}

struct slice unpack_bin(struct unpack *u)
{
    return unpack_run_of(u, false, true);
}

struct slice unpack_bytes(struct unpack *u)
{
    return unpack_run_of(u, true, true);
}

/* A container's count; every element takes at least one byte, so a count above what is left is a lie. */
static uint32_t unpack_count(struct unpack *u, enum unpack_type type, size_t per_element)
{
    if (unpack_peek(u) != type)
        return (uint32_t)unpack_fail(u);
    unsigned char c = *u->at++;
    uint64_t count;
    if (c <= 0x9f)
        count = c & 0x0f;
    else
        count = unpack_be(u, (c & 1) ? 4 : 2);
    if (count * per_element > unpack_left(u))
        return (uint32_t)unpack_fail(u);
    return (uint32_t)count;
}

uint32_t unpack_array(struct unpack *u)
{
    return unpack_count(u, UNPACK_ARRAY, 1);
}

uint32_t unpack_map(struct unpack *u)
{
    return unpack_count(u, UNPACK_MAP, 2);
}

static void unpack_skip(struct unpack *u, int depth)
{
    if (depth > UNPACK_DEPTH_MAX) {
        unpack_fail(u);
        return;
    }
    bool negative;
    uint64_t count = 0;
    switch (unpack_peek(u)) {
    case UNPACK_NIL:
    case UNPACK_BOOL:
        u->at++;
        break;
    case UNPACK_UINT:
    case UNPACK_INT:
        unpack_whole(u, &negative);
        break;
    case UNPACK_DOUBLE:
        unpack_double(u);
        break;
    case UNPACK_STR:
    case UNPACK_BIN:
    case UNPACK_EXT:
        unpack_run(u);
        break;
    case UNPACK_ARRAY:
        count = unpack_array(u);
        break;
    case UNPACK_MAP:
        count = 2 * (uint64_t)unpack_map(u);
        break;
    case UNPACK_INVALID:
        unpack_fail(u);
        break;
    }
    for (uint64_t i = 0; i < count && !u->failed; i++)
        unpack_skip(u, depth + 1);
}

struct slice unpack_raw(struct unpack *u)
{
    const unsigned char *from = u->at;
    unpack_skip(u, 0);
    if (u->failed)
        return slice_make(NULL, 0);
    return slice_make(from, (size_t)(u->at - from));
}

bool unpack_is_value(struct slice packed)
{
    struct unpack u = unpack_start(packed);
    unpack_raw(&u);
    return unpack_end(&u);
}
