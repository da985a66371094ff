/* test_cache_split.c: what each owner is asked, and what is made of their answers. */
#include "test/unit/cache/cache_property.h"
#include "workers/cache/ring/cache_split.h"

#include <errno.h>

static size_t at_start;
static struct cache_split s;
static struct resp_reply reply;

static void set_up(void)
{
    at_start = short_memory_bytes();
    reply.version = 2;
}

static void tear_down(void)
{
    short_memory_fail(0, false);
    cache_split_fini(&s);
    buffer_fini(&reply.out);
    MUST(short_memory_is(at_start, 0));
}

static enum cache_split_plan plan(const char *name, size_t count, const uint32_t *owners)
{
    return cache_split_plan(&s, slice_of(name), owners, count);
}

#define PLAN(name, ...)                                                                            \
    plan(name, sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t), (uint32_t[]){__VA_ARGS__})

static int take(size_t part, const char *answer)
{
    return cache_split_take(&s, part, slice_of(answer), 0);
}

static void expect_joined(const char *text)
{
    ck_assert(cache_split_is_done(&s));
    cache_split_write(&s, &reply);
    ck_assert(buffer_ok(&reply.out));
    ck_assert_msg(slice_is(buffer_slice(&reply.out), text), "%.*s, not %s", (int)reply.out.len,
                  reply.out.data, text);
    buffer_clear(&reply.out);
}

#define REST SIZE_MAX /* as a part: what is left of the command */

static void expect_words(size_t part, const char *words, const char *text)
{
    struct slice in[16], out[16];
    size_t count = 0;
    char copy[128], joined[128] = "";
    snprintf(copy, sizeof copy, "%s", words);
    for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " "))
        in[count++] = slice_of(word);
    if (part == REST) {
        count = cache_split_rest(&s, in, out);
    } else {
        cache_split_words(&s, part, in, out);
        count = cache_split_count(&s, part);
    }
    for (size_t i = 0; i < count; i++)
        snprintf(joined + strlen(joined), sizeof joined - strlen(joined), "%s%.*s", i ? " " : "",
                 (int)out[i].len, out[i].ptr);
    ck_assert_str_eq(joined, text);
}

/* ---- plans ---- */

START_TEST(one_owner_gets_the_whole_command)
{
    ck_assert_int_eq(PLAN("mget", 5, 5, 5), CACHE_SPLIT_WHOLE);
    ck_assert_int_eq(PLAN("msetnx", 5, 5), CACHE_SPLIT_WHOLE);
    ck_assert_int_eq(PLAN("exec", 0), CACHE_SPLIT_WHOLE);
    ck_assert_int_eq(PLAN("get", 5), CACHE_SPLIT_WHOLE);
    ck_assert(short_memory_is(at_start, 0));
}
END_TEST

START_TEST(what_needs_all_at_once_crosses)
{
    ck_assert_int_eq(PLAN("msetnx", 5, 6), CACHE_SPLIT_CROSSES);
    ck_assert_int_eq(PLAN("exec", 5, 5, 6), CACHE_SPLIT_CROSSES);
    ck_assert_int_eq(PLAN("watch", 5, 6), CACHE_SPLIT_CROSSES);
    ck_assert_int_eq(PLAN("mge", 5, 6), CACHE_SPLIT_CROSSES);
    ck_assert_int_eq(PLAN("mgets", 5, 6), CACHE_SPLIT_CROSSES);
    ck_assert_int_eq(PLAN("", 5, 6), CACHE_SPLIT_CROSSES);
    ck_assert(short_memory_is(at_start, 0));
}
END_TEST

START_TEST(how_each_command_is_joined)
{
    static const struct {
        const char *name;
        enum cache_split_join join;
        unsigned step;
    } cases[] = {
        {"MGET", CACHE_SPLIT_JOIN_VALUES, 1}, {"MSet", CACHE_SPLIT_JOIN_OK, 2},
        {"del", CACHE_SPLIT_JOIN_SUM, 1},     {"unlink", CACHE_SPLIT_JOIN_SUM, 1},
        {"exists", CACHE_SPLIT_JOIN_SUM, 1},  {"touch", CACHE_SPLIT_JOIN_SUM, 1},
        {"get", CACHE_SPLIT_JOIN_NONE, 0},    {"msetnx", CACHE_SPLIT_JOIN_NONE, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned step = 99;
        ck_assert_int_eq(cache_split_how(slice_of(cases[i].name), &step), cases[i].join);
        ck_assert_uint_eq(step, cases[i].step);
    }
}
END_TEST

START_TEST(each_part_has_its_keys_in_their_order)
{
    ck_assert_int_eq(PLAN("mget", 5, 6, 5, 7, 6, 5), CACHE_SPLIT_PARTS);
    ck_assert_uint_eq(s.count, 3);
    ck_assert_uint_eq(s.parts[0].owner, 5);
    ck_assert_uint_eq(s.parts[2].owner, 7);
    expect_words(0, "MGET a b c d e f", "MGET a c f");
    expect_words(1, "MGET a b c d e f", "MGET b e");
    expect_words(2, "MGET a b c d e f", "MGET d");
}
END_TEST

START_TEST(a_pair_stays_together)
{
    ck_assert_int_eq(PLAN("mset", 5, 0, 5), CACHE_SPLIT_PARTS);
    expect_words(0, "mset a 1 b 2 a 3",
                 "mset a 1 a 3"); /* the same key twice: the last one counts */
    expect_words(1, "mset a 1 b 2 a 3", "mset b 2");
}
END_TEST

START_TEST(owners_are_bounded)
{
    uint32_t owners[CACHE_SPLIT_OWNERS_MAX + 1];
    for (uint32_t i = 0; i <= CACHE_SPLIT_OWNERS_MAX; i++)
        owners[i] = i;
    ck_assert_int_eq(plan("del", CACHE_SPLIT_OWNERS_MAX, owners), CACHE_SPLIT_PARTS);
    cache_split_fini(&s);
    ck_assert_int_eq(plan("del", CACHE_SPLIT_OWNERS_MAX + 1, owners), CACHE_SPLIT_CROSSES);
    ck_assert(short_memory_is(at_start, 0));
}
END_TEST

/* ---- joins ---- */

START_TEST(values_come_in_the_order_of_their_keys)
{
    ck_assert_int_eq(PLAN("mget", 5, 6, 5, 6), CACHE_SPLIT_PARTS);
    ck_assert_int_eq(take(1, "*2\r\n$2\r\nbb\r\n$0\r\n\r\n"), 0);
    ck_assert(!cache_split_is_done(&s));
    ck_assert_int_eq(take(0, "*2\r\n$5\r\n$-1\r\n\r\n$1\r\nc\r\n"), 0);
    expect_joined("*4\r\n$5\r\n$-1\r\n\r\n$2\r\nbb\r\n$1\r\nc\r\n$0\r\n\r\n");
}
END_TEST

/* Of either version from each of them; what the client speaks decides. */
START_TEST(nothing_is_nothing_in_both_versions)
{
    for (int version = 2; version <= 3; version++) {
        reply.version = version;
        ck_assert_int_eq(PLAN("mget", 5, 6, 5), CACHE_SPLIT_PARTS);
        ck_assert_int_eq(take(0, "*2\r\n_\r\n$1\r\nx\r\n"), 0);
        ck_assert_int_eq(take(1, "*1\r\n$-1\r\n"), 0);
        expect_joined(version == 2 ? "*3\r\n$-1\r\n$-1\r\n$1\r\nx\r\n"
                                   : "*3\r\n_\r\n_\r\n$1\r\nx\r\n");
        cache_split_fini(&s);
    }
}
END_TEST

START_TEST(numbers_are_added)
{
    ck_assert_int_eq(PLAN("exists", 5, 6, 5, 5), CACHE_SPLIT_PARTS);
    ck_assert_int_eq(take(0, ":3\r\n"), 0);
    ck_assert_int_eq(take(1, ":0\r\n"), 0);
    expect_joined(":3\r\n");
}
END_TEST

START_TEST(ok_when_all_say_so)
{
    ck_assert_int_eq(PLAN("mset", 5, 6), CACHE_SPLIT_PARTS);
    ck_assert_int_eq(take(0, "+OK\r\n"), 0);
    ck_assert_int_eq(take(1, "+OK\r\n"), 0);
    expect_joined("+OK\r\n");
}
END_TEST

START_TEST(the_first_error_is_the_answer)
{
    static const char *const names[] = {"mget", "mset", "del"};
    static const char *const answers[] = {"*1\r\n$1\r\nx\r\n", "+OK\r\n", ":1\r\n"};
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(PLAN(names[i], 5, 6, 7), CACHE_SPLIT_PARTS);
        ck_assert_int_eq(take(0, answers[i]), 0);
        ck_assert_int_eq(take(2, "-OOM command not allowed\r\n"), 0);
        cache_split_fail(&s, 1, slice_of("TRYAGAIN its node is gone"));
        cache_split_fail(&s, 1, slice_of("ERR another"));
        expect_joined("-OOM command not allowed\r\n");
        cache_split_fini(&s);
    }
    ck_assert_int_eq(PLAN("del", 5, 6), CACHE_SPLIT_PARTS);
    cache_split_fail(&s, 1, slice_of("TRYAGAIN its node is gone"));
    ck_assert(!cache_split_is_done(&s));
    ck_assert_int_eq(take(1, ":1\r\n"), -EALREADY);
    ck_assert_int_eq(take(0, ":1\r\n"), 0);
    expect_joined("-TRYAGAIN its node is gone\r\n");
}
END_TEST

/* Parts that did not run are no failure yet; one that has failed is. */
START_TEST(what_is_undone_is_left)
{
    ck_assert_int_eq(PLAN("mset", 5, 6, 5, 7), CACHE_SPLIT_PARTS);
    ck_assert_int_eq(take(1, "+OK\r\n"), 0);
    ck_assert(!cache_split_may_go_on(&s));
    cache_split_undo(&s, 2, slice_of("TRYAGAIN it moves"));
    cache_split_undo(&s, 0, slice_of("TRYAGAIN it waits"));
    cache_split_undo(&s, 0, slice_of("TRYAGAIN twice"));
    cache_split_undo(&s, 1, slice_of("TRYAGAIN it has run"));
    ck_assert(cache_split_is_done(&s) && cache_split_may_go_on(&s));
    expect_words(REST, "MSET a 1 b 2 c 3 d 4", "MSET a 1 c 3 d 4");
    expect_joined("-TRYAGAIN it moves\r\n");
    cache_split_fini(&s);
    ck_assert_int_eq(PLAN("del", 5, 6, 7), CACHE_SPLIT_PARTS);
    cache_split_undo(&s, 2, slice_of("TRYAGAIN it moves"));
    ck_assert_int_eq(take(1, ":1\r\n"), 0);
    ck_assert_int_eq(take(0, "-OOM no room\r\n"), 0);
    ck_assert(!cache_split_may_go_on(&s));
    ck_assert_int_eq(s.sum, 1);
    expect_words(REST, "DEL a b c", "DEL c");
    expect_joined("-OOM no room\r\n");
}
END_TEST

START_TEST(an_answer_is_taken_once)
{
    ck_assert_int_eq(PLAN("del", 5, 6, 6), CACHE_SPLIT_PARTS);
    ck_assert_int_eq(take(1, ":1\r\n"), 0);
    ck_assert_int_eq(take(1, ":1\r\n"), -EALREADY);
    cache_split_fail(&s, 1, slice_of("ERR late"));
    ck_assert_int_eq(take(0, ":1\r\n"), 0);
    expect_joined(":2\r\n");
}
END_TEST

/* ---- what is no answer ---- */

static const char *const bad_values[] = {
    "",
    "*",
    "*2",
    "*2\r\n",
    "*1\r\n$1\r\na\r\n",
    "*1\r\n_\r\n_\r\n",
    "*3\r\n_\r\n_\r\n",
    "*3\r\n_\r\n_\r\n_\r\n",
    "*2\r\n_\r\n_\r\n_\r\n",
    "*2\r\n$1\r\na\r\n$1\r\nbb\r\n",
    "*2\r\n$1\r\na\r\n$2\r\nb\r\n",
    "*2\r\n$1\r\na\r\n$-2\r\nb\r\n",
    "*2\r\n$1\r\na\r\n:1\r\n",
    "*2\r\n$1\r\na\r\n+b\r\n",
    "*2\r\n$1\r\na\r\n$999999999999999999\r\nb\r\n",
    "*2\r\n$1\r\na\r\n$9999999999999999999999\r\nb\r\n",
    "*2\r\n$1\r\na\r\n$\r\nb\r\n",
    "*2\r\n$1\na\r\n$1\r\nb\r\n",
    "*-1\r\n",
    "$-1\r\n",
    "_\r\n",
    ":2\r\n",
    "+OK\r\n",
    "-\r\n",
    "-ERR no end",
    "-\r\r\n",
    "-ERR two\r\n-lines\r\n",
};
static const char *const bad_sums[] = {"",        ":",        ":1",         ":\r\n",
                                       ":-1\r\n", ":3\r\n",   ":1\r\n\n",   "+OK\r\n",
                                       ":1x\r\n", ":0x1\r\n", "$1\r\n1\r\n"};
static const char *const bad_oks[] = {
    "", "+", "+OK", "+OK\r\n+OK\r\n", "+QUEUED\r\n", ":1\r\n", "$2\r\nOK\r\n"};

static void expect_bad(const char *name, const char *const *answers, size_t count)
{
    ck_assert_int_eq(PLAN(name, 5, 6, 5), CACHE_SPLIT_PARTS);
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(take(0, answers[i]) == -EBADMSG, "%s: %s", name, answers[i]);
    ck_assert_uint_eq(s.left, 2);
    ck_assert_uint_eq(s.held, 0);
    cache_split_fini(&s);
}

START_TEST(what_is_no_answer_is_not_taken)
{
    expect_bad("mget", bad_values, sizeof bad_values / sizeof bad_values[0]);
    expect_bad("del", bad_sums, sizeof bad_sums / sizeof bad_sums[0]);
    expect_bad("mset", bad_oks, sizeof bad_oks / sizeof bad_oks[0]);
}
END_TEST

/* On the heap, so that a sanitizer sees what is read behind its end. */
static int take_copy(const char *answer, size_t len)
{
    char *copy = malloc(len > 0 ? len : 1);
    memcpy(copy, answer, len);
    int err = cache_split_take(&s, 0, slice_make(copy, len), 0);
    free(copy);
    return err;
}

START_TEST(no_part_of_an_answer_is_one)
{
    static const char whole[] = "*3\r\n$3\r\na\r\n\r\n$-1\r\n$12\r\n_\r\n$-1\r\n*2\r\n\r\n";
    ck_assert_int_eq(PLAN("mget", 5, 6, 5, 5), CACHE_SPLIT_PARTS);
    for (size_t len = 0; len < sizeof whole - 1; len++)
        ck_assert_int_eq(take_copy(whole, len), -EBADMSG);
    ck_assert_int_eq(take_copy(whole, sizeof whole - 1), 0);
    cache_split_fini(&s);
    ck_assert_int_eq(PLAN("mget", 5, 6), CACHE_SPLIT_PARTS);
    ck_assert_int_eq(take_copy("-ERR \0\r\n", 8), -EBADMSG); /* found by a fuzzer */
}
END_TEST

START_TEST(answers_are_bounded)
{
    ck_assert_int_eq(PLAN("mget", 5, 6), CACHE_SPLIT_PARTS);
    struct slice answer = slice_of("*1\r\n$1\r\na\r\n");
    ck_assert_int_eq(cache_split_take(&s, 0, answer, answer.len - 1), -EMSGSIZE);
    ck_assert_int_eq(cache_split_take(&s, 0, answer, answer.len), 0);
    ck_assert_int_eq(cache_split_take(&s, 1, answer, 2 * answer.len - 1), -EMSGSIZE);
    ck_assert_int_eq(cache_split_take(&s, 1, answer, 2 * answer.len), 0);
    expect_joined("*2\r\n$1\r\na\r\n$1\r\na\r\n");
}
END_TEST

START_TEST(without_memory_nothing_changes)
{
    for (long n = 1; n <= 2; n++) {
        short_memory_fail(n, false);
        MUST(PLAN("mget", 5, 6) == CACHE_SPLIT_NO_MEMORY);
        short_memory_fail(0, false);
        MUST(short_memory_is(at_start, 0));
    }
    MUST(PLAN("mget", 5, 6) == CACHE_SPLIT_PARTS);
    short_memory_fail(1, true);
    MUST(take(0, "*1\r\n$1\r\na\r\n") == -ENOMEM);
    short_memory_fail(0, false);
    MUST(take(0, "*1\r\n$1\r\na\r\n") == 0);
    short_memory_fail(1, true);
    cache_split_fail(&s, 1, slice_of("ERR gone"));
    short_memory_fail(0, false);
    cache_split_write(&s, &reply);
    MUST(cache_split_is_done(&s) && slice_is(slice_make(reply.out.data, 10), "-TRYAGAIN "));
}
END_TEST

/* ---- any commands ---- */

#define KEYS 40

/* Key i is nothing, or i bytes that look like an answer's. */
static void write_value(struct resp_reply *to, size_t key)
{
    char value[KEYS];
    memset(value, "\r\n$*"[key % 4], sizeof value);
    if (key % 3 == 0)
        resp_nil(to);
    else
        resp_bulk(to, slice_make(value, key));
}

static void answer_part(size_t part)
{
    struct resp_reply answer = {.version = 2 + (int)cache_random(2)};
    int want = s.parts[part].answered ? -EALREADY : 0;
    resp_array(&answer, s.parts[part].keys);
    for (size_t key = 0; key < s.keys; key++)
        if (s.part_of[key] == part)
            write_value(&answer, key);
    MUST(cache_split_take(&s, part, buffer_slice(&answer.out), 0) == want);
    buffer_fini(&answer.out);
}

START_TEST(split_and_joined_is_as_asked_of_one)
{
    for (unsigned round = 0; round < 2000; round++) {
        uint32_t owners[KEYS], nodes = 2 + cache_random(6);
        size_t keys = 2 + cache_random(KEYS - 1);
        struct resp_reply one = {.version = 2 + (int)cache_random(2)};
        for (size_t i = 0; i < keys; i++)
            owners[i] = 10 + cache_random(nodes);
        if (plan("mget", keys, owners) != CACHE_SPLIT_PARTS)
            continue;
        while (!cache_split_is_done(&s))
            answer_part(cache_random((uint32_t)s.count));
        reply.version = one.version;
        cache_split_write(&s, &reply);
        resp_array(&one, keys);
        for (size_t i = 0; i < keys; i++)
            write_value(&one, i);
        MUST(slice_equal(buffer_slice(&reply.out), buffer_slice(&one.out)));
        buffer_fini(&one.out);
        buffer_clear(&reply.out);
        cache_split_fini(&s);
    }
}
END_TEST

SUITE_MAIN_WITH("cache_split", set_up, tear_down, one_owner_gets_the_whole_command,
                what_needs_all_at_once_crosses, how_each_command_is_joined,
                each_part_has_its_keys_in_their_order, a_pair_stays_together, owners_are_bounded,
                values_come_in_the_order_of_their_keys, nothing_is_nothing_in_both_versions,
                numbers_are_added, ok_when_all_say_so, the_first_error_is_the_answer,
                what_is_undone_is_left, an_answer_is_taken_once, what_is_no_answer_is_not_taken,
                no_part_of_an_answer_is_one, answers_are_bounded, without_memory_nothing_changes,
                split_and_joined_is_as_asked_of_one)
