/*
 * unpack.h: reads msgpack from bytes that may be hostile, one value at a time, without allocating anything.
 *
 * Runs in every process. Why not msgpack_unpack: version 4.0 builds an object tree and takes an array's
 * claimed length at its word (5 bytes make it reserve 2 GB; FACTS.md 3). This cursor never believes more than
 * the bytes that are there.
 *
 * Errors are sticky: after the first wrong type or short input every read returns an empty value and
 * unpack_ok() is false, so a decoder reads all its fields and asks once. Strings and bytes point into the input
 * and live as long as it does.
 */
#ifndef COMMON_UNPACK_H
#define COMMON_UNPACK_H

#include "common/slice.h"

#include <stdint.h>

/* Deepest nesting unpack_skip follows; deeper input is an error. */
#define UNPACK_DEPTH_MAX 16

enum unpack_type {
    UNPACK_NIL,
    UNPACK_BOOL,
    UNPACK_UINT, /* a whole number >= 0 */
    UNPACK_INT,  /* a whole number < 0 */
    UNPACK_DOUBLE,
    UNPACK_STR,
    UNPACK_BIN,
    UNPACK_ARRAY,
    UNPACK_MAP,
    UNPACK_EXT,
    UNPACK_INVALID, /* nothing left, or not msgpack */
};

struct unpack {
    const unsigned char *at;
    const unsigned char *end;
    bool failed;
};

struct unpack unpack_start(struct slice input);

static inline bool unpack_ok(const struct unpack *u)
{
    return !u->failed;
}

/* True when nothing failed AND every byte was consumed: what a decoder must check last. */
static inline bool unpack_end(const struct unpack *u)
{
    return !u->failed && u->at == u->end;
}

/* True while there are bytes left and nothing failed. */
static inline bool unpack_more(const struct unpack *u)
{
    return !u->failed && u->at < u->end;
}

/* The type of the next value; reads nothing. */
enum unpack_type unpack_peek(const struct unpack *u);

void unpack_nil(struct unpack *u);
bool unpack_bool(struct unpack *u);
uint64_t unpack_u64(struct unpack *u);
int64_t unpack_i64(struct unpack *u);
double unpack_double(struct unpack *u); /* takes whole numbers too */
struct slice unpack_str(struct unpack *u);
struct slice unpack_bin(struct unpack *u);
struct slice unpack_bytes(struct unpack *u); /* str or bin */

/* Element count of an array, pair count of a map. Fails when the input cannot hold that many. */
uint32_t unpack_array(struct unpack *u);
uint32_t unpack_map(struct unpack *u);

/* Skips one whole value, checking it; returns its bytes, for handing on with pack_raw. */
struct slice unpack_raw(struct unpack *u);

/* True when these bytes are one whole value, nested at most UNPACK_DEPTH_MAX levels deep: what every reader takes. */
bool unpack_is_value(struct slice packed);

#endif
