/* test_cache_ring_script.c: names and arguments of the ring's scripts (proto/cache/cache_ring_script.h). */
#include "proto/cache/cache_ring_script.h"
#include "test/unit/suite.h"

#include <errno.h>
#include <stdlib.h>

static struct cache_ring_call call;
static const struct cache_ring_holder who = {7, UINT64_C(1790000000000001)};

START_TEST(scripts_are_embedded)
{
    for (int i = 0; i < CACHE_RING_SCRIPT_COUNT; i++) {
        const char *text = cache_ring_script_text((enum cache_ring_script)i);
        ck_assert_ptr_nonnull(strstr(text, "local function call(")); /* redis/call.lua */
        ck_assert_ptr_nonnull(strstr(text, "local P, RUN = KEYS[1], ARGV[1]"));
        ck_assert_ptr_null(strstr(text, "\n--"));
    }
    ck_assert_str_eq(cache_ring_script_name(CACHE_RING_CLAIM), "cache_ring_claim");
    ck_assert_ptr_nonnull(strstr(cache_ring_script_text(CACHE_RING_CLAIM), "put_cell"));
}
END_TEST

START_TEST(prefixes)
{
    char prefix[CACHE_RING_PREFIX_SIZE] = "kept", name[CACHE_RING_PREFIX_SIZE];
    memset(name, 'n', sizeof name);
    name[CACHE_RING_PREFIX_SIZE - strlen("platoon:{cache:}:")] = '\0';
    ck_assert_int_eq(cache_ring_prefix(prefix, name), -ENAMETOOLONG);
    ck_assert_str_eq(prefix, "kept");
    name[CACHE_RING_PREFIX_SIZE - strlen("platoon:{cache:}:") - 1] = '\0';
    ck_assert_int_eq(cache_ring_prefix(prefix, name), 0);
    ck_assert_int_eq(cache_ring_prefix(prefix, "sessions"), 0);
    ck_assert_str_eq(prefix, "platoon:{cache:sessions}:");
}
END_TEST

/* The call's arguments, as text with blanks between. */
static const char *words(int rc, enum cache_ring_script script)
{
    static char text[1024];
    size_t len = 0;
    ck_assert_int_eq(rc, 0);
    ck_assert_int_eq(call.script, script);
    for (size_t i = 0; i < call.count; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%.*s", i > 0 ? " " : "",
                                (int)call.args[i].len, call.args[i].ptr);
    ck_assert_uint_lt(len, sizeof text);
    return text;
}

#define WORDS(NAME, name, ...)                                                                     \
    words(cache_ring_##name(&call, slice_of("r"), __VA_ARGS__), CACHE_RING_##NAME)

/* Cells that are text too. */
#define CELL_A UINT64_C(0x6161616161616161)
#define CELL_B UINT64_C(0x6263646566676869)

START_TEST(arguments)
{
    static const uint64_t cells[] = {CELL_A, CELL_B};
    static const struct cache_ring_held held[] = {{CELL_A, 5}, {CELL_B, UINT64_MAX}};
    static const struct cache_ring_holder nodes[] = {{1, 2}, {3, 4}};
    const struct cache_ring_copy copies[] = {{slice_of("k"), 9, slice_of("rec")}};
    const struct slice m = slice_of("m"), zero = slice_of("0");
    const uint64_t beats = 8;
    ck_assert_str_eq(WORDS(BEAT, beat, m, slice_of("h"), 11, nodes, 2), "r m h 11 1 2 3 4");
    ck_assert_str_eq(WORDS(CLAIM, claim, &who, cells, 2), "r 7 1790000000000001 aaaaaaaa bcdefghi");
    ck_assert_str_eq(WORDS(HELD, held, &who, held, 2),
                     "r 7 1790000000000001 aaaaaaaa 5 bcdefghi 18446744073709551615");
    ck_assert_str_eq(WORDS(RELEASE, release, &who, held, 1), "r 7 1790000000000001 aaaaaaaa 5");
    ck_assert_str_eq(WORDS(LOOK, look, cells, 1), "r aaaaaaaa");
    ck_assert_str_eq(WORDS(LOST, lost, m, 7, 12), "r m 7 12");
    ck_assert_str_eq(WORDS(FORGET, forget, &who, true), "r 7 1790000000000001 1");
    ck_assert_str_eq(WORDS(LEAVE, leave, &who), "r 7 1790000000000001");
    ck_assert_str_eq(WORDS(RETIRE, retire, m, &beats), "r m 8");
    ck_assert_str_eq(WORDS(RETIRE, retire, m, NULL), "r m ");
    ck_assert_str_eq(WORDS(SWEEP, sweep, 7, 3, zero), "r 7 3 0");
    ck_assert_str_eq(WORDS(FREE, free, 3, zero), "r 3 0");
    ck_assert_str_eq(WORDS(COPY, copy, &who, copies, 1), "r 7 1790000000000001 k 9 rec");
    ck_assert_str_eq(WORDS(COPIES, copies, 7, zero), "r 7 0");
    ck_assert_str_eq(WORDS(DROP, drop, &who, copies, 1), "r 7 1790000000000001 k 9");
    cache_ring_call_fini(&call);
}
END_TEST

START_TEST(arguments_of_a_join)
{
    const struct cache_ring_member m = {
        .seed = slice_of("seed"),
        .store = slice_of("st"),
        .file = true,
        .copies = 2,
        .lease_ms = 10000,
        .name = slice_of("n"),
        .host = slice_of("h"),
        .platoon = slice_of("p"),
        .address = slice_of("a"),
        .token = slice_of("t"),
        .last = who,
    };
    ck_assert_str_eq(WORDS(JOIN, join, &m), "r seed st 1 2 10000 n h p a t 7 1790000000000001");
    cache_ring_call_fini(&call);
}
END_TEST

START_TEST(as_many_as_may_be)
{
    uint64_t *cells = calloc(CACHE_RING_CALL_MAX + 1, sizeof *cells);
    struct cache_ring_copy *copies = calloc(CACHE_RING_CALL_MAX + 1, sizeof *copies);
    struct slice run = slice_of("r");
    ck_assert_int_eq(cache_ring_claim(&call, run, &who, cells, CACHE_RING_CALL_MAX), 0);
    ck_assert_uint_eq(call.count, CACHE_RING_CALL_MAX + 3);
    ck_assert_int_eq(cache_ring_claim(&call, run, &who, cells, CACHE_RING_CALL_MAX + 1), -E2BIG);
    ck_assert_uint_eq(call.count, 0);
    ck_assert_int_eq(cache_ring_copy(&call, run, &who, copies, CACHE_RING_CALL_MAX), 0);
    ck_assert_uint_eq(call.count, 3 * CACHE_RING_CALL_MAX + 3);
    ck_assert_int_eq(cache_ring_copy(&call, run, &who, copies, CACHE_RING_CALL_MAX + 1), -E2BIG);
    cache_ring_call_fini(&call);
    free(cells);
    free(copies);
}
END_TEST

SUITE_MAIN("cache_ring_script", scripts_are_embedded, prefixes, arguments, arguments_of_a_join,
           as_many_as_may_be)
