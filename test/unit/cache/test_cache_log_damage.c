/*
 * test_cache_log_damage.c: a log that is cut anywhere, and one that is damaged anywhere (workers/cache/log/cache_log.h,
 * workers/cache/log/cache_log_read.h). A turn is whole or not there; a damaged byte costs one record.
 */
#include "test/unit/cache/cache_log_fixture.h"

#include <errno.h>
#include <stdlib.h>

#define TURNS 60

static struct log_fixture f, copy;
static struct log_state states[TURNS + 1]; /* after each turn */
static size_t segments[TURNS + 1];         /* how many there were then */
static uint64_t sizes[TURNS + 1];          /* of the newest */

static void set_up(void)
{
    log_fixture_init(&f);
    log_fixture_init(&copy);
}

static void tear_down(void)
{
    log_fixture_fini(&f);
    log_fixture_fini(&copy);
}

static void write_turns(uint64_t seed, uint32_t len, size_t clean)
{
    f.random = seed;
    log_fixture_open(&f);
    for (int turn = 1; turn <= TURNS; turn++) {
        log_fixture_turn(&f, len, clean);
        ck_assert_int_eq(cache_log_flush(f.log), 0);
        states[turn] = f.state;
        segments[turn] = log_fixture_segment_count(&f);
        sizes[turn] = log_fixture_size(log_fixture_segment(&f, -1));
    }
    log_fixture_close(&f);
}

/* The last turn that is whole when the newest segment of `count` ends at `size`. */
static int turn_at(size_t count, uint64_t size)
{
    int turn = TURNS;
    while (turn > 0 && (segments[turn] > count || (segments[turn] == count && sizes[turn] > size)))
        turn--;
    return turn;
}

/* Cut at `size` in the newest of `count` segments, as if the process had died there. */
static void cut_at(size_t count, uint64_t size)
{
    log_fixture_copy(&f, &copy);
    while (log_fixture_segment_count(&copy) > count)
        unlink(log_fixture_segment(&copy, -1));
    ck_assert_int_eq(truncate(log_fixture_segment(&copy, -1), (off_t)size), 0);
    int turn = turn_at(count, size);
    log_fixture_open(&copy);
    ck_assert_msg(log_state_equal(&copy.state, &states[turn]), "cut %zu at %llu: not turn %d",
                  count, (unsigned long long)size, turn);
    ck_assert_uint_eq(copy.found.damaged, 0);
    /* It goes on from there. */
    log_fixture_set(&copy, 3, 50);
    struct log_state now = copy.state;
    log_fixture_close(&copy);
    log_fixture_open(&copy);
    ck_assert(log_state_equal(&copy.state, &now));
    ck_assert_uint_eq(copy.found.cut_bytes + copy.found.damaged, 0);
    log_fixture_close(&copy);
}

START_TEST(cut_at_any_byte_of_the_last_turns)
{
    write_turns(_i + 1, 300, 0);
    for (uint64_t size = 0; size <= sizes[TURNS]; size += size + 700 < sizes[TURNS] ? 61 : 3)
        cut_at(segments[TURNS], size);
}
END_TEST

/* Turns larger than a segment: the cut goes back over segments. */
START_TEST(cut_in_a_turn_of_many_segments)
{
    write_turns(_i + 100, 5000, 0);
    for (size_t count = segments[TURNS]; count > segments[TURNS] - 12; count--) {
        log_fixture_copy(&f, &copy);
        while (log_fixture_segment_count(&copy) > count)
            unlink(log_fixture_segment(&copy, -1));
        uint64_t size = log_fixture_size(log_fixture_segment(&copy, -1));
        for (uint64_t cut = 0; cut < size; cut += 1 + size / 7)
            cut_at(count, cut);
    }
}
END_TEST

/* Garbage behind the end, of any kind, is cut off as well. */
START_TEST(garbage_at_the_end_is_cut)
{
    write_turns(7, 300, 0);
    for (int kind = 0; kind < 3; kind++) {
        log_fixture_copy(&f, &copy);
        char garbage[1000];
        for (size_t i = 0; i < sizeof garbage; i++)
            garbage[i] = (char)(kind == 0 ? 0 : kind == 1 ? 0xff : rand() >> 7);
        int fd = open(log_fixture_segment(&copy, -1), O_WRONLY | O_APPEND | O_CLOEXEC);
        ck_assert_int_eq(write(fd, garbage, sizeof garbage), sizeof garbage);
        close(fd);
        log_fixture_open(&copy);
        ck_assert(log_state_equal(&copy.state, &states[TURNS]));
        ck_assert_uint_eq(copy.found.cut_bytes, sizeof garbage);
        ck_assert_uint_eq(copy.found.damaged, 0);
        log_fixture_close(&copy);
    }
}
END_TEST

/* Any one byte, in any segment but at the very end: one record is lost, or none; all others are there, in order. */
START_TEST(any_damaged_byte_costs_one_record)
{
    write_turns(11, 120, 0);
    log_fixture_open(&f);
    uint64_t all = f.found.records;
    log_fixture_close(&f);
    for (int i = 0; i < 300; i++) {
        log_fixture_copy(&f, &copy);
        bool newest = i % 10 == 0;
        int n = newest ? -1 : (int)log_fixture_random(&f, (uint32_t)segments[TURNS] - 1);
        const char *path = log_fixture_segment(&copy, n);
        uint64_t size = log_fixture_size(path);
        uint64_t offset = i < 64 && !newest
                              ? (uint64_t)i
                              : log_fixture_random(&f, (uint32_t)(newest ? size / 3 : size));
        log_fixture_flip(path, offset);
        log_fixture_open(&copy);
        ck_assert_uint_eq(copy.found.damaged, 1);
        ck_assert_uint_eq(copy.found.records, offset < 32 ? all : all - 1);
        ck_assert_uint_lt(copy.found.damaged_bytes, 200);
        ck_assert_uint_eq(copy.found.cut_bytes, 0);
        size_t different = 0;
        for (size_t key = 0; key < LOG_KEYS; key++)
            different += copy.state.objects[key].version != states[TURNS].objects[key].version;
        ck_assert_uint_le(different, offset < 32 ? 0 : 1);
        log_fixture_close(&copy);
    }
}
END_TEST

/* A page of zeroes in the middle, as a lost block; and a whole segment of them. */
START_TEST(lost_blocks_are_skipped)
{
    static const char zeroes[4096];
    write_turns(13, 120, 0);
    for (uint64_t len = 512; len <= 4096; len *= 2) {
        log_fixture_copy(&f, &copy);
        const char *path = log_fixture_segment(&copy, 2);
        uint64_t size = log_fixture_size(path);
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        uint64_t part = len < size ? len : size;
        ck_assert_int_eq(pwrite(fd, zeroes, part, len < size ? 700 % (off_t)(size - part + 1) : 0),
                         part);
        close(fd);
        log_fixture_open(&copy);
        ck_assert_uint_ge(copy.found.damaged, 1);
        ck_assert_uint_ge(copy.found.damaged_bytes, len < 4096 ? len - 200 : size);
        ck_assert_uint_gt(copy.found.records, 50);
        log_fixture_close(&copy);
    }
}
END_TEST

static void copy_bytes(const char *from, uint64_t from_at, const char *to, uint64_t to_at,
                       size_t len)
{
    char bytes[1024];
    int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CLOEXEC);
    ck_assert_int_eq(pread(in, bytes, len, (off_t)from_at), len);
    ck_assert_int_eq(pwrite(out, bytes, len, (off_t)to_at), len);
    close(in);
    close(out);
}

/* A good record of another place, of another segment, or of another log, is none. */
START_TEST(a_record_elsewhere_is_none)
{
    static struct log_fixture other;
    char first[128], second[128], foreign[128];
    log_fixture_init(&other);
    log_fixture_open(&f);
    log_fixture_open(&other);
    uint64_t at = cache_log_added(f.log);
    for (uint32_t i = 0; i < 100; i++) {
        log_fixture_set(&f, 10 + i % 30, 90);
        log_fixture_set(&other, 10 + i % 30, 90);
        at = i == 0 ? cache_log_added(f.log) : at;
    }
    size_t size = (size_t)at - 32;
    log_fixture_close(&f);
    log_fixture_close(&other);
    for (int i = 0; i < 3; i++) {
        log_fixture_copy(&f, &copy);
        snprintf(first, sizeof first, "%s", log_fixture_segment(&copy, 0));
        snprintf(second, sizeof second, "%s", log_fixture_segment(&copy, 1));
        snprintf(foreign, sizeof foreign, "%s", log_fixture_segment(&other, 0));
        copy_bytes(i == 0   ? first
                   : i == 1 ? second
                            : foreign,
                   i == 0 ? 32 + 3 * size : 32 + 5 * size, first, 32 + 5 * size, size);
        log_fixture_open(&copy);
        ck_assert_uint_eq(copy.found.records, 99);
        ck_assert_uint_eq(copy.found.damaged_bytes, size);
        log_fixture_close(&copy);
    }
    log_fixture_fini(&other);
}
END_TEST

/*
 * A client's value that is a whole segment of a log, this one's or another's, is never taken for records, even when the
 * head of its own record is damaged.
 */
START_TEST(records_within_a_value_are_none)
{
    static char inner[8192];
    write_turns(17, 120, 0);
    int fd = open(log_fixture_segment(&f, 0), O_RDONLY | O_CLOEXEC);
    ssize_t len = read(fd, inner, sizeof inner);
    close(fd);
    ck_assert_int_gt(len, 2000);
    log_fixture_open(&copy);
    struct cache_log_record r = {.key = slice_of("key:1"),
                                 .value = slice_make(inner, (size_t)len),
                                 .version = 5,
                                 .expiry_ms = INT64_MAX};
    ck_assert_uint_ne(cache_log_add(copy.log, &r), 0);
    ck_assert_uint_ne(cache_log_add(copy.log, &r), 0);
    log_fixture_close(&copy);
    log_fixture_flip(log_fixture_segment(&copy, 0), 34);
    ck_assert_int_eq(log_fixture_try_open(&copy), 0);
    ck_assert_uint_eq(copy.found.records, 1);
    ck_assert_uint_eq(copy.found.damaged, 1);
    ck_assert_uint_eq(copy.wrong, 1); /* the second: its value is not the fixture's */
}
END_TEST

/* While it is cleaned, too: the copies and the removals are parts of turns. */
START_TEST(cut_while_cleaning)
{
    f.random = _i + 1;
    f.options.segment_max = 2048;
    log_fixture_open(&f);
    size_t removed = 0;
    for (int turn = 0; turn < 400; turn++) {
        struct log_state last = f.state;
        uint64_t size =
            log_fixture_segment_count(&f) > 0 ? log_fixture_size(log_fixture_segment(&f, -1)) : 0;
        size_t count = log_fixture_segment_count(&f);
        log_fixture_turn(&f, 200, 700);
        ck_assert_int_eq(cache_log_flush(f.log), 0);
        if (turn % 8 == 7) {
            log_fixture_copy(&f, &copy);
            const char *path = log_fixture_segment(&copy, -1);
            uint64_t now = log_fixture_size(path);
            uint64_t from = log_fixture_segment_count(&copy) == count ? size : 0;
            uint64_t cut = from + log_fixture_random(&f, (uint32_t)(now - from) + 1);
            ck_assert_int_eq(truncate(path, (off_t)cut), 0);
            log_fixture_open(&copy);
            ck_assert(log_state_equal(&copy.state, cut == now ? &f.state : &last));
            ck_assert_uint_eq(copy.found.damaged, 0);
            log_fixture_close(&copy);
        }
        if (turn % 5 == 0)
            log_fixture_sync(&f);
        removed += log_fixture_segment_count(&f) < count;
    }
    ck_assert_uint_gt(removed, 3);
}
END_TEST

/* What could be read is written anew, and the next start finds it whole; a torn tail alone asks for nothing. */
START_TEST(what_was_damaged_is_found_once)
{
    write_turns(19, 120, 0);
    log_fixture_copy(&f, &copy);
    const char *newest = log_fixture_segment(&copy, -1);
    ck_assert_int_eq(truncate(newest, (off_t)log_fixture_size(newest) - 3), 0);
    log_fixture_open(&copy);
    ck_assert_uint_gt(copy.found.cut_bytes, 0);
    ck_assert_uint_eq(copy.found.damaged, 0);
    ck_assert(!cache_log_wants_rewrite(copy.log));
    log_fixture_close(&copy);

    log_fixture_flip(log_fixture_segment(&copy, 1), 700);
    log_fixture_open(&copy);
    ck_assert_uint_eq(copy.found.damaged, 1);
    ck_assert(cache_log_wants_rewrite(copy.log));
    log_fixture_rewrite(&copy);
    ck_assert_int_eq(cache_log_flush(copy.log), 0);
    log_fixture_sync(&copy);
    ck_assert(!cache_log_wants_rewrite(copy.log));
    struct log_state now = copy.state;
    log_fixture_close(&copy);
    log_fixture_open(&copy);
    ck_assert_uint_eq(copy.found.damaged + copy.found.cut_bytes, 0);
    ck_assert(log_state_equal(&copy.state, &now));
    log_fixture_close(&copy);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache_log_damage");
    TCase *tc = tcase_create("cache_log_damage");
    tcase_set_timeout(tc, SUITE_TIMEOUT_S);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, cut_at_any_byte_of_the_last_turns, 0, 3);
    tcase_add_loop_test(tc, cut_in_a_turn_of_many_segments, 0, 3);
    tcase_add_test(tc, garbage_at_the_end_is_cut);
    tcase_add_test(tc, any_damaged_byte_costs_one_record);
    tcase_add_test(tc, lost_blocks_are_skipped);
    tcase_add_test(tc, a_record_elsewhere_is_none);
    tcase_add_test(tc, records_within_a_value_are_none);
    tcase_add_test(tc, what_was_damaged_is_found_once);
    tcase_add_loop_test(tc, cut_while_cleaning, 0, 4);
    suite_add_tcase(suite, tc);
    return suite_end(suite);
}
