/*
 * test_cache_ring_answer.c: what is made of answers that are none (proto/cache/cache_ring_answer.h). Good ones come
 * from the scripts: the other suites of the ring.
 */
#include "proto/cache/cache_ring_answer.h"
#include "common/pack.h"
#include "test/unit/suite.h"

#include <stdlib.h>

static struct buffer out;
static struct cache_ring_answer a;

static struct slice packed(void)
{
    ck_assert(buffer_ok(&out));
    return buffer_slice(&out);
}

static void numbers(size_t count, const uint64_t *values)
{
    buffer_clear(&out);
    for (size_t i = 0; i < count; i++)
        pack_u64(&out, values[i]);
}

#define NUMBERS(...)                                                                               \
    numbers(sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t),                            \
            (const uint64_t[]){__VA_ARGS__})

START_TEST(statuses)
{
    NUMBERS(CACHE_RING_OK);
    ck_assert(cache_ring_read(packed(), &a) && a.status == CACHE_RING_OK && a.value == 0);
    NUMBERS(CACHE_RING_OK, 12);
    ck_assert(cache_ring_read(packed(), &a) && a.value == 12);
    NUMBERS(CACHE_RING_CLOSED, 1200);
    ck_assert(cache_ring_read(packed(), &a) && a.status == CACHE_RING_CLOSED && a.value == 1200);
    NUMBERS(CACHE_RING_OK, 1, 2);
    ck_assert(!cache_ring_read(packed(), &a));
    NUMBERS(CACHE_RING_STATUS_COUNT);
    ck_assert(!cache_ring_read(packed(), &a));
    NUMBERS(CACHE_RING_CLOSED);
    ck_assert(!cache_ring_read(packed(), &a));
    NUMBERS(CACHE_RING_MUST_JOIN, 1);
    ck_assert(!cache_ring_read(packed(), &a));
    ck_assert(!cache_ring_read(slice_of(""), &a));
    ck_assert_int_eq(a.status, CACHE_RING_CLOSED); /* untouched */
    buffer_fini(&out);
}
END_TEST

START_TEST(a_refusal_says_what_to_do)
{
    char text[512];
    for (uint64_t status = CACHE_RING_OTHER_STORE; status <= CACHE_RING_OTHER_LEASE; status++) {
        NUMBERS(status);
        pack_text(&out, "has");
        pack_text(&out, "cache/sessions/node.1");
        pack_text(&out, "front1");
        ck_assert(cache_ring_read(packed(), &a));
        cache_ring_explain(&a, "platoon:{cache:sessions}:", text, sizeof text);
        ck_assert_ptr_nonnull(strstr(text, "platoon:{cache:sessions}:"));
        ck_assert_ptr_nonnull(strstr(text, "cache/sessions/node.1 on front1"));
        ck_assert_uint_le(strlen(text), 200); /* what the log shows of a reason */
        ck_assert_ptr_nonnull(strstr(text, "forget"));
    }
    NUMBERS(CACHE_RING_FULL);
    ck_assert(cache_ring_read(packed(), &a));
    ck_assert_ptr_nonnull(strstr(cache_ring_explain(&a, "p", text, sizeof text), "as many"));
    NUMBERS(CACHE_RING_MUST_JOIN);
    ck_assert(cache_ring_read(packed(), &a));
    ck_assert_str_eq(cache_ring_explain(&a, "p", text, sizeof text), "");
    buffer_fini(&out);
}
END_TEST

/* [1, value] for each of the cells. */
static void pack_owners(uint32_t count, uint32_t size, uint64_t state)
{
    NUMBERS(CACHE_RING_OK, 100);
    pack_array(&out, count);
    for (uint32_t i = 0; i < count; i++) {
        pack_array(&out, size);
        pack_u64(&out, state);
        for (uint32_t j = 1; j < size; j++)
            pack_u64(&out, 5);
    }
}

START_TEST(owners_that_are_none)
{
    struct cache_ring_owner owners[2] = {{0}};
    pack_owners(2, 2, CACHE_RING_LOST_CELL);
    ck_assert(cache_ring_read_owners(packed(), &a, owners, 2));
    ck_assert_int_eq(owners[1].state, CACHE_RING_LOST_CELL);
    ck_assert_uint_eq(owners[1].value, 5);
    ck_assert(!cache_ring_read_owners(packed(), &a, owners, 1)); /* as many as were asked for */
    pack_owners(1, 2, CACHE_RING_OURS);
    ck_assert(!cache_ring_read_owners(packed(), &a, owners, 2));
    pack_owners(2, 3, CACHE_RING_OURS);
    ck_assert(!cache_ring_read_owners(packed(), &a, owners, 2));
    pack_owners(2, 2, CACHE_RING_LOST_CELL + 1);
    ck_assert(!cache_ring_read_owners(packed(), &a, owners, 2));
    ck_assert_int_eq(owners[0].state, CACHE_RING_LOST_CELL); /* untouched */
    buffer_fini(&out);
}
END_TEST

static void pack_page(uint64_t bucket, const char *cursor, uint32_t count)
{
    NUMBERS(CACHE_RING_OK, 0, bucket);
    pack_text(&out, cursor);
    pack_array(&out, count);
    for (uint32_t i = 0; i < count; i += 2) {
        pack_text(&out, i == 0 ? "12345678" : "1234567");
        pack_u64(&out, i);
    }
}

START_TEST(pages_that_are_none)
{
    struct cache_ring_page page = {.bucket = 9};
    struct cache_ring_held cell;
    pack_page(CACHE_RING_BUCKETS + 1, "0", 0);
    ck_assert(!cache_ring_read_swept(packed(), &a, &page));
    pack_page(1, "", 0);
    ck_assert(!cache_ring_read_swept(packed(), &a, &page));
    pack_page(1, "1234567890123456789012345", 0);
    ck_assert(!cache_ring_read_swept(packed(), &a, &page));
    ck_assert_uint_eq(page.bucket, 9);
    pack_page(CACHE_RING_BUCKETS, "0", 0);
    ck_assert(cache_ring_read_swept(packed(), &a, &page) && !page.more);
    pack_page(4, "77", 4);
    ck_assert(cache_ring_read_swept(packed(), &a, &page) && page.more);
    ck_assert(cache_ring_next_cell(&page.list, &cell) && cell.cell == UINT64_C(0x3132333435363738));
    ck_assert(!cache_ring_next_cell(&page.list, &cell)); /* of seven bytes */
    ck_assert(!cache_ring_list_ok(&page.list));
    buffer_fini(&out);
}
END_TEST

/* An answer of copies with one value. */
static bool copy_of(const char *value, struct cache_ring_copy *copy)
{
    struct cache_ring_page page;
    uint64_t mark;
    bool lost;
    NUMBERS(CACHE_RING_OK, 3, 1);
    pack_text(&out, "0");
    pack_array(&out, 2);
    pack_text(&out, "k");
    pack_text(&out, value);
    ck_assert(cache_ring_read_copies(packed(), &a, &mark, &lost, &page));
    ck_assert(mark == 3 && lost && !page.more);
    return cache_ring_next_copy(&page.list, copy) && !cache_ring_next_copy(&page.list, copy) &&
           cache_ring_list_ok(&page.list);
}

START_TEST(copies_that_are_none)
{
    static const char *const bad[] = {"", " ", "1", " x", "x y", "-1 y", "99999999999999999999 y"};
    struct cache_ring_copy copy;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(!copy_of(bad[i], &copy), "%s", bad[i]);
    ck_assert(copy_of("9999999999999999 a b", &copy));
    ck_assert(slice_is(copy.key, "k") && slice_is(copy.record, "a b"));
    ck_assert_uint_eq(copy.version, UINT64_C(9999999999999999));
    ck_assert(copy_of("1 ", &copy) && copy.record.len == 0);
    buffer_fini(&out);
}
END_TEST

/* Reads all lists of an answer, so that ASan sees a step too far. */
static void read_anything(struct slice bytes)
{
    enum cache_ring_pulse pulses[2];
    struct cache_ring_owner owners[2];
    struct cache_ring_beaten b;
    struct cache_ring_joined j;
    struct cache_ring_page page;
    struct cache_ring_node node;
    struct cache_ring_held cell;
    struct cache_ring_copy copy;
    struct slice who, host;
    uint64_t number;
    bool lost;
    cache_ring_read(bytes, &a);
    cache_ring_read_joined(bytes, &a, &j);
    cache_ring_read_owners(bytes, &a, owners, 2);
    cache_ring_read_freed(bytes, &a, &page);
    if (cache_ring_read_swept(bytes, &a, &page) && a.status == CACHE_RING_OK)
        while (cache_ring_next_cell(&page.list, &cell))
            continue;
    if (cache_ring_read_copies(bytes, &a, &number, &lost, &page) && a.status == CACHE_RING_OK)
        while (cache_ring_next_copy(&page.list, &copy))
            ck_assert_uint_le(copy.record.len, bytes.len);
    if (!cache_ring_read_beaten(bytes, &a, &b, pulses, 2) || a.status != CACHE_RING_OK)
        return;
    while (cache_ring_next_beat(&b.beats, &who, &number))
        ck_assert_uint_le(who.len, bytes.len);
    while (cache_ring_next_node(&b.nodes, &node))
        ck_assert_uint_le(node.name.len, bytes.len);
    while (cache_ring_next_manager(&b.managers, &who, &host))
        ck_assert_uint_le(host.len, bytes.len);
}

/* Any bytes: read or refused, and never one too far. */
START_TEST(answers_of_random_bytes)
{
    static const unsigned char likely[] = {0x00, 0x00, 0x01, 0x02, 0x92, 0x94,
                                           0xa1, '0',  0xce, 0x90, 0xdc, 0xda};
    srand(13);
    for (int round = 0; round < 50000; round++) {
        size_t n = 1 + (size_t)rand() % 40;
        char *bytes = malloc(n);
        for (size_t i = 0; i < n; i++)
            bytes[i] = (char)(rand() % 4 ? likely[(size_t)rand() % sizeof likely] : rand());
        bytes[0] = (char)(rand() % 4 ? 0 : bytes[0]);
        read_anything(slice_make(bytes, n));
        free(bytes);
    }
}
END_TEST

SUITE_MAIN("cache_ring_answer", statuses, a_refusal_says_what_to_do, owners_that_are_none,
           pages_that_are_none, copies_that_are_none, answers_of_random_bytes)
