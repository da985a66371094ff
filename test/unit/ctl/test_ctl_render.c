/* test_ctl_render.c: what people see: tables, the tree, Redis replies; and msgpack as JSON. */
#include "common/pack.h"
#include "common/unpack.h"
#include "master/ctl/redis/ctl_redis.h"
#include "master/ctl/ctl_value.h"
#include "test/unit/ctl/ctl_render_fixture.h"

#include <errno.h>
#include <math.h>

static struct buffer packed;

static void forget(void)
{
    teardown();
    buffer_fini(&packed);
}

/* ---- tables ---- */

START_TEST(columns_are_aligned)
{
    static const struct ctl_column columns[] = {
        {"NAME", false, false}, {"COUNT", true, false}, {"NOTE", false, false}};
    struct ctl_table t;
    ctl_table_init(&t, columns, 3);
    ctl_table_cell(&t, CTL_PLAIN, slice_of("ä"));
    ctl_table_printf(&t, CTL_RED, "%d", 7);
    ctl_table_cell(&t, CTL_PLAIN, slice_of("x"));
    ctl_table_cell(&t, CTL_PLAIN, slice_of("longer"));
    ctl_table_printf(&t, CTL_PLAIN, "%d", 123456);
    ctl_table_cell(&t, CTL_PLAIN, slice_of(""));
    ctl_table_render(&t, 80, false, &out);
    ck_assert_str_eq(shown(), "NAME     COUNT  NOTE\n"
                              "ä            7  x\n"
                              "longer  123456\n");
    buffer_clear(&out);
    ctl_table_render(&t, 80, true, &out);
    ck_assert_ptr_nonnull(strstr(shown(), "\x1b[31m7\x1b[0m"));
    ctl_table_fini(&t);
}
END_TEST

START_TEST(one_column_gives_way)
{
    static const struct ctl_column columns[] = {{"A", false, false}, {"TEXT", false, true}};
    struct ctl_table t;
    ctl_table_init(&t, columns, 2);
    ctl_table_cell(&t, CTL_PLAIN, slice_of("abc"));
    ctl_table_cell(&t, CTL_PLAIN, slice_of("0123456789äöü"));
    ctl_table_render(&t, 17, false, &out);
    ck_assert_str_eq(shown(), "A    TEXT\nabc  0123456789ä…\n");
    buffer_clear(&out);
    ctl_table_render(&t, 18, false, &out);
    ck_assert_str_eq(shown(), "A    TEXT\nabc  0123456789äöü\n");
    buffer_clear(&out);
    ctl_table_render(&t, 1, false, &out);
    ck_assert_str_eq(shown(), "A    TEXT\nabc  0123456…\n");
    ctl_table_fini(&t);
}
END_TEST

START_TEST(notes_are_wrapped)
{
    static const struct ctl_column columns[] = {{"", false, false}};
    struct ctl_table t;
    ctl_table_init(&t, columns, 1);
    ctl_table_note(&t, CTL_PLAIN, slice_of("│ "),
                   slice_of("one two three four five six 0123456789012345678901234567890 end"));
    ctl_table_render(&t, 24, false, &out);
    ck_assert_str_eq(shown(), "│ one two three four\n"
                              "│ five six\n"
                              "│ 0123456789012345678901\n"
                              "│ 234567890 end\n");
    ctl_table_fini(&t);
}
END_TEST

START_TEST(nothing_reaches_the_terminal_as_a_command)
{
    ctl_append_safe(&out, slice_make("a\x1b[31m\n\0\x7f\xff\xc2\x9bä\xe2\x82", 16));
    ck_assert_str_eq(shown(), "a\\x1b[31m\\x0a\\x00\\x7f\\xff\\xc2\\x9bä\\xe2\\x82");
}
END_TEST

START_TEST(bars)
{
    char text[CTL_BAR_SIZE];
    ck_assert_str_eq(ctl_bar(0, 10, 4, text), "");
    ck_assert_str_eq(ctl_bar(10, 10, 4, text), "████");
    ck_assert_str_eq(ctl_bar(20, 10, 4, text), "████");
    ck_assert_str_eq(ctl_bar(5, 10, 3, text), "█▌");
    ck_assert_str_eq(ctl_bar(1, 1000000, 4, text), "▏");
    ck_assert_str_eq(ctl_bar(5, 0, 4, text), "");
    ck_assert_uint_lt(strlen(ctl_bar(1, 1, 100000, text)), CTL_BAR_SIZE);
}
END_TEST

/* ---- tree and status ---- */

#define WORKER(name, state, more)                                                                  \
    "{\"name\":\"" name "\",\"kind\":\"worker\",\"type\":\"t\",\"state\":\"" state                 \
    "\",\"wanted\":\"up\",\"generation\":2," more "\"children\":[]}"
#define UP "\"pid\":42,\"uptime_ms\":61000,\"rss_bytes\":2097152,\"restarts\":1,"
#define DOWN                                                                                       \
    "\"pid\":null,\"uptime_ms\":null,\"rss_bytes\":null,\"restarts\":9,\"next_start_ms\":3400,"    \
    "\"last_exit\":\"killed by SIGKILL\","
#define BRANCH(name, state, children)                                                              \
    "{\"name\":\"" name "\",\"kind\":\"branch\",\"type\":\"one_for_one\",\"state\":\"" state       \
    "\",\"wanted\":\"up\",\"pid\":null,\"children\":[" children "]"
#define TREE                                                                                       \
    BRANCH(                                                                                        \
        "platoon", "BACKOFF",                                                                      \
        BRANCH(                                                                                    \
            "redis", "READY",                                                                      \
            WORKER(                                                                                \
                "redis/send.1", "READY",                                                           \
                UP                                                                                 \
                "\"doing\":\"3/s\",\"trouble\":\"redis is full\",")) "}," BRANCH("site",           \
                                                                                 "BACKOFF",        \
                                                                                 WORKER(           \
                                                                                     "site/"       \
                                                                                     "v.1",        \
                                                                                     "BACKOFF",    \
                                                                                     DOWN)) "}")

START_TEST(the_tree)
{
    ctl_tree_render(from_json(TREE "}"), 80, false, &out);
    ck_assert_str_eq(shown(),
                     "                STATE    PID  UPTIME  RESTARTS  MEMORY  DOING\n"
                     "platoon         BACKOFF\n"
                     "├── redis/      READY\n"
                     "│   └── send.1  READY     42   1m01s         1   2.0MB  3/s\n"
                     "│         redis is full\n"
                     "└── site/       BACKOFF\n"
                     "    └── v.1     BACKOFF    -       -         9       -  next try in 3s\n"
                     "          killed by SIGKILL\n");
}
END_TEST

START_TEST(the_tree_in_colour)
{
    ctl_tree_render(from_json(TREE "}"), 80, true, &out);
    ck_assert_ptr_nonnull(strstr(shown(), "\x1b[32mREADY\x1b[0m"));
    ck_assert_ptr_nonnull(strstr(shown(), "\x1b[31mBACKOFF\x1b[0m"));
    ck_assert_int_eq(ctl_tree_state_color("no such state"), CTL_PLAIN);
}
END_TEST

START_TEST(the_status)
{
    ctl_status_render(from_json(TREE ",\"ready\":false,\"problems\":[\"v.1: down\"]}"), 80, false,
                      &out);
    ck_assert_str_eq(shown(),
                     "NAME          STATE    PID  UPTIME  RESTARTS  MEMORY  DOING\n"
                     "redis/send.1  READY     42   1m01s         1   2.0MB  3/s\n"
                     "site/v.1      BACKOFF    -       -         9       -  next try in 3s\n"
                     "\nplatoon is not ready:\n  v.1: down\n");
}
END_TEST

/* A gauge that warns stands there whoever reports it; a number that is 0, or warns of nothing, does not. */
START_TEST(the_warnings)
{
    json_t *node =
        from_json(WORKER("redis/v/watcher.1", "READY",
                         UP "\"doing\":\"idle\",\"ready\":true,\"problems\":[],\"counters\":{"
                            "\"redis_evicts\":1,\"redis_forgets\":0,\"redis_commands_total\":5},"));
    ck_assert_int_eq(ctl_status_add_warnings(node), 0);
    ck_assert_uint_eq(json_array_size(json_object_get(node, "warnings")), 1);
    ctl_status_render_node(node, 200, false, &out);
    ck_assert_ptr_nonnull(strstr(shown(), "is ready\nwarnings:\n  redis/v/watcher.1: this Redis "));
    ck_assert_ptr_nonnull(strstr(shown(), "noeviction"));
}
END_TEST

START_TEST(the_status_of_one)
{
    ctl_status_render_node(
        from_json(WORKER("redis/send.1", "READY",
                         UP "\"doing\":\"3/s\",\"ready\":true,\"problems\":[],"
                            "\"counters\":{\"commands\":12345},\"rates\":{\"commands\":2.5},")),
        80, false, &out);
    ck_assert_str_eq(shown(), "name       redis/send.1\n"
                              "type       t\n"
                              "state      READY, wanted up\n"
                              "process    pid 42, generation 2, up 1m01s, memory 2.0MB\n"
                              "restarts   1\n"
                              "doing      3/s\n"
                              "\nCOUNTER    VALUE  PER SECOND\ncommands  12,345         2.5\n"
                              "\nredis/send.1 is ready\n");
}
END_TEST

/* ---- Redis replies ---- */

static const char *redis(bool people)
{
    buffer_clear(&out);
    ck_assert(ctl_redis_render(buffer_slice(&packed), people, &out));
    return shown();
}

START_TEST(redis_scalars)
{
    pack_text(&packed, "OK");
    ck_assert_str_eq(redis(false), "OK\n");
    ck_assert_str_eq(redis(true), "OK\n");
    buffer_clear(&packed);
    pack_i64(&packed, -3);
    ck_assert_str_eq(redis(false), "-3\n");
    ck_assert_str_eq(redis(true), "(integer) -3\n");
    buffer_clear(&packed);
    pack_nil(&packed);
    ck_assert_str_eq(redis(false), "\n");
    ck_assert_str_eq(redis(true), "(nil)\n");
    buffer_clear(&packed);
    pack_array(&packed, 0);
    ck_assert_str_eq(redis(false), "\n");
    ck_assert_str_eq(redis(true), "(empty array)\n");
}
END_TEST

START_TEST(redis_bytes)
{
    pack_bin(&packed, slice_make("a\0\xff\"\\\n\x01", 7));
    ck_assert_str_eq(redis(true), "\"a\\x00\\xff\\\"\\\\\\n\\x01\"\n");
    redis(false);
    ck_assert(slice_equal(buffer_slice(&out), slice_make("a\0\xff\"\\\n\x01\n", 8)));
}
END_TEST

/* Ten elements, so that the numbers are two wide, and nested arrays: as `redis-cli` 7.0 prints them. */
START_TEST(redis_arrays)
{
    pack_array(&packed, 10);
    for (int i = 0; i < 8; i++)
        pack_u64(&packed, (uint64_t)i);
    pack_array(&packed, 2);
    pack_bin(&packed, slice_of("x"));
    pack_array(&packed, 2);
    pack_bin(&packed, slice_of("y"));
    pack_nil(&packed);
    pack_bin(&packed, slice_of("z"));
    const char *text = redis(true);
    ck_assert_ptr_eq(strstr(text, " 1) (integer) 0\n 2) (integer) 1\n"), text);
    ck_assert_str_eq(strstr(text, " 9) "), " 9) 1) \"x\"\n"
                                           "    2) 1) \"y\"\n"
                                           "       2) (nil)\n"
                                           "10) \"z\"\n");
    ck_assert_str_eq(redis(false), "0\n1\n2\n3\n4\n5\n6\n7\nx\ny\n\nz\n");
}
END_TEST

START_TEST(redis_nonsense)
{
    pack_map(&packed, 0);
    ck_assert(!ctl_redis_render(buffer_slice(&packed), true, &out));
    ck_assert(!ctl_redis_render(buffer_slice(&packed), false, &out));
    ck_assert(!ctl_redis_render(slice_of("\x93\x01"), true, &out));
    ck_assert(!ctl_redis_render(slice_of("\x01\x01"), true, &out));
    ck_assert(!ctl_redis_render(slice_of(""), false, &out));
}
END_TEST

/* ---- values ---- */

START_TEST(values)
{
    pack_map(&packed, 8);
    pack_text(&packed, "nil");
    pack_nil(&packed);
    pack_text(&packed, "bool");
    pack_bool(&packed, true);
    pack_text(&packed, "big");
    pack_u64(&packed, INT64_MAX);
    pack_text(&packed, "less");
    pack_i64(&packed, -5);
    pack_text(&packed, "text");
    pack_bin(&packed, slice_make("\0ä", 3));
    pack_text(&packed, "bytes");
    pack_bin(&packed, slice_of("\xff\xfe"));
    pack_bin(&packed, slice_of("\xff"));
    pack_array(&packed, 1);
    pack_double(&packed, 1.5);
    pack_text(&packed, "nan");
    pack_double(&packed, NAN);
    ck_assert_int_eq(ctl_value_decode(buffer_slice(&packed), &value), 0);
    char *text = json_dumps(value, JSON_COMPACT);
    ck_assert_str_eq(text, "{\"nil\":null,\"bool\":true,\"big\":9223372036854775807,\"less\":-5,"
                           "\"text\":\"\\u0000ä\",\"bytes\":{\"base64\":\"//4=\"},"
                           "\"base64:/w==\":[1.5],\"nan\":null}");
    free(text);
}
END_TEST

START_TEST(values_that_are_none)
{
    ck_assert_int_eq(ctl_value_decode(slice_of(""), &value), -EINVAL);
    ck_assert_int_eq(ctl_value_decode(slice_of("\x01\x01"), &value), -EINVAL);
    ck_assert_int_eq(ctl_value_decode(slice_of("\x92\x01"), &value), -EINVAL);
    ck_assert_int_eq(ctl_value_decode(slice_of("\x81\x01\x01"), &value), -EINVAL);
    ck_assert_int_eq(ctl_value_decode(slice_of("\xdd\xff\xff\xff\xff"), &value), -EINVAL);
    for (int i = 0; i < 1000; i++)
        pack_array(&packed, 1);
    pack_nil(&packed);
    ck_assert_int_eq(ctl_value_decode(buffer_slice(&packed), &value), -EINVAL);
    ck_assert_ptr_null(value);
}
END_TEST

START_TEST(values_shown)
{
    from_json("{\"t\":\"x\",\"n\":5,\"neg\":-5,\"b\":{\"base64\":\"/w==\"},\"z\":null,\"r\":2.5}");
    ck_assert_str_eq(ctl_value_text(value, "t"), "x");
    ck_assert_str_eq(ctl_value_text(value, "n"), "");
    ck_assert_str_eq(ctl_value_text(value, "missing"), "");
    ck_assert_uint_eq(ctl_value_u64(value, "n"), 5);
    ck_assert_uint_eq(ctl_value_u64(value, "neg"), 0);
    ck_assert_uint_eq(ctl_value_u64(value, "t"), 0);
    ck_assert(ctl_value_real(value, "r") == 2.5);
    const char *keys[] = {"t", "n", "b", "z", "missing"};
    for (size_t i = 0; i < 5; i++) {
        ctl_value_show(json_object_get(value, keys[i]), &out);
        buffer_append_char(&out, ' ');
    }
    ck_assert_str_eq(shown(), "x 5 base64:/w== - - ");
    buffer_clear(&out);
    ctl_value_print(from_json("[1]"), &out);
    ck_assert_str_eq(shown(), "[\n  1\n]\n");
}
END_TEST

SUITE_MAIN_WITH("ctl_render", NULL, forget, columns_are_aligned, one_column_gives_way,
                notes_are_wrapped, nothing_reaches_the_terminal_as_a_command, bars, the_tree,
                the_tree_in_colour, the_status, the_warnings, the_status_of_one, redis_scalars,
                redis_bytes, redis_arrays, redis_nonsense, values, values_that_are_none,
                values_shown)
