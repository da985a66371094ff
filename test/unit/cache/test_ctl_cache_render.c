/* test_ctl_cache_render.c: what people see of caches and their objects. */
#include "common/pack.h"
#include "master/ctl/cache/ctl_cache.h"
#include "test/unit/ctl/ctl_render_fixture.h"

#define NODE(name, state, more)                                                                    \
    "{\"name\":\"" name "\",\"kind\":\"worker\",\"type\":\"cache-node\",\"state\":\"" state        \
    "\",\"children\":[]" more "}"

#define COUNTERS                                                                                   \
    ",\"counters\":{\"cache_objects\":1234,\"cache_bytes\":2097152,\"cache_memory\":67108864,"     \
    "\"cache_hits_total\":900,\"cache_misses_total\":100,\"cache_evicted_total\":7,"               \
    "\"cache_expired_total\":3,\"cache_forwarded_total\":11,\"cache_clients\":2,\"cache_log_"      \
    "bytes\":99,\"cache_loads_total\":"                                                            \
    "5,"                                                                                           \
    "\"cache_stores_total\":6,\"cache_store_errors_total\":1,\"cache_dead\":4,\"cache_dirty\":8,"  \
    "\"cache_dirty_bytes\":80,\"cache_at_risk_bytes\":80,\"cache_oldest_dirty\":7070}"

#define TREE                                                                                       \
    "{\"name\":\"platoon\",\"kind\":\"branch\",\"type\":\"one_for_one\",\"children\":["            \
    "{\"name\":\"health\",\"kind\":\"worker\",\"type\":\"health\",\"children\":[]},"               \
    "{\"name\":\"cache\",\"type\":\"one_for_one\",\"children\":["                                  \
    "{\"name\":\"cache/sessions\",\"type\":\"one_for_one\",\"children\":[" NODE(                   \
        "cache/sessions/node.1", "READY",                                                          \
        COUNTERS) "]},"                                                                            \
                  "{\"name\":\"cache/pages\",\"type\":\"one_for_one\",\"children\":[" NODE(        \
                      "cache/pages/node.1", "BACKOFF", ",\"unstable\":true") "]}]}]}"

static json_t *nodes;

static void teardown_nodes(void)
{
    json_decref(nodes);
    nodes = NULL;
    teardown();
}

static const char *as_text(const char *cache)
{
    static char text[2048];
    json_decref(nodes);
    nodes = ctl_cache_nodes(from_json(TREE), cache);
    size_t len = json_dumpb(nodes, text, sizeof text - 1, JSON_COMPACT);
    ck_assert_uint_lt(len, sizeof text - 1);
    text[len] = '\0';
    return text;
}

#define SESSIONS                                                                                   \
    "{\"cache\":\"sessions\",\"node\":\"cache/sessions/node.1\",\"state\":\"READY\","              \
    "\"objects\":1234,\"bytes\":2097152,\"memory\":67108864,\"hits\":900,\"misses\":100,"          \
    "\"loads\":5,\"stores\":6,\"store_errors\":1,\"evicted\":7,\"expired\":3,"                     \
    "\"forwarded\":11,\"dead\":4,"                                                                 \
    "\"clients\":2,\"dirty\":8,\"dirty_bytes\":80,\"at_risk_bytes\":80,\"oldest_dirty_ms\":7070}"
#define PAGES                                                                                      \
    "{\"cache\":\"pages\",\"node\":\"cache/pages/node.1\",\"state\":\"UNSTABLE\","                 \
    "\"objects\":0,\"bytes\":0,\"memory\":0,\"hits\":0,\"misses\":0,"                              \
    "\"loads\":0,\"stores\":0,\"store_errors\":0,\"evicted\":0,\"expired\":0,"                     \
    "\"forwarded\":0,\"dead\":0,"                                                                  \
    "\"clients\":0,\"dirty\":0,\"dirty_bytes\":0,\"at_risk_bytes\":0,\"oldest_dirty_ms\":null}"

/* Also who is not ready, and has said nothing yet. */
START_TEST(out_of_the_tree)
{
    ck_assert_str_eq(as_text(""), "[" SESSIONS "," PAGES "]");
    ck_assert_str_eq(as_text("sessions"), "[" SESSIONS "]");
    ck_assert_str_eq(as_text("pages"), "[" PAGES "]");
    ck_assert_str_eq(as_text("page"), "[]");
}
END_TEST

START_TEST(table)
{
    as_text("");
    ctl_cache_render(nodes, 160, false, &out);
    ck_assert_str_eq(
        shown(),
        "NODE                   STATE     OBJECTS  BYTES  MEMORY  HITS  MISSES  EVICTED  EXPIRED  "
        "CLIENTS  FORWARDED  LOADS  STORES  ERRORS  DIRTY  OLDEST  DEAD\n"
        "cache/sessions/node.1  READY       1,234  2.0MB    64MB   900     100        7        3  "
        "      2         11      5       6       1      8      7s     4\n"
        "cache/pages/node.1     UNSTABLE        0     0B      0B     0       0        0        0  "
        "      0          0      0       0       0      0       -     0\n");
}
END_TEST

START_TEST(table_without_a_store)
{
    as_text("pages");
    ctl_cache_render(nodes, 120, false, &out);
    ck_assert_str_eq(
        shown(),
        "NODE                STATE     OBJECTS  BYTES  MEMORY  HITS  MISSES  EVICTED  EXPIRED  "
        "CLIENTS\n"
        "cache/pages/node.1  UNSTABLE        0     0B      0B     0       0        0        0  "
        "      0\n");
}
END_TEST

/* ---- values ---- */

static bool value_of(struct slice bytes, bool people, bool *found)
{
    struct buffer body = BUFFER_EMPTY;
    buffer_clear(&out);
    pack_map(&body, 1);
    pack_text(&body, "ok");
    pack_bin(&body, bytes);
    bool good = ctl_cache_render_value(buffer_slice(&body), people, found, &out);
    buffer_fini(&body);
    return good;
}

START_TEST(values)
{
    bool found = false;
    ck_assert(value_of(slice_make("a\0\x1b[2J\xff", 7), false, &found) && found);
    ck_assert(slice_equal(buffer_slice(&out), slice_make("a\0\x1b[2J\xff\n", 8)));
    ck_assert(value_of(slice_make("a\0\x1b[2J\xff", 7), true, &found) && found);
    ck_assert_str_eq(shown(), "a\\x00\\x1b[2J\\xff\n");
    ck_assert(value_of(slice_of(""), false, &found) && found);
    ck_assert_str_eq(shown(), "\n");
    buffer_clear(&out);
    ck_assert(ctl_cache_render_value(slice_make("\x81\xa2ko\xc3", 5), false, &found, &out));
    ck_assert(!found);
    ck_assert_str_eq(shown(), "ko\n");
    ck_assert(!ctl_cache_render_value(slice_make("\x81\xa2ok", 4), false, &found, &out));
    ck_assert(!ctl_cache_render_value(slice_make("\x80", 1), false, &found, &out));
    ck_assert(!ctl_cache_render_value(slice_of(""), false, &found, &out));
}
END_TEST

#define LETTERS                                                                                    \
    "[{\"key\":\"user:1\",\"deleted\":false,\"bytes\":5,\"version\":7,\"reason\":\"refused\","     \
    "\"value\":\"va\\u001blue\"},"                                                                 \
    "{\"key\":{\"base64\":\"/"                                                                     \
    "w==\"},\"deleted\":true,\"bytes\":0,\"version\":8,\"reason\":\"newer\","                      \
    "\"value\":\"\"}]"

START_TEST(dead_letters)
{
    json_t *letters = from_json(LETTERS);
    ctl_cache_render_dead(letters, 120, false, &out);
    ctl_cache_render_dead_data(letters, false, &out);
    ck_assert_str_eq(shown(), "KEY            BYTES  REASON\n"
                              "user:1             5  refused\n"
                              "base64:/w==  deleted  newer\n"
                              "user:1\n  refused\n  5 bytes: va\\x1blue\n"
                              "base64:/w==\n  newer\n  deleted\n");
    letters = from_json("[{\"key\":\"all\",\"bytes\":5,\"reason\":\"no\"}]");
    buffer_clear(&out);
    ctl_cache_render_dead(letters, 120, false, &out);
    ck_assert_str_eq(shown(), "KEY          BYTES  REASON\nbase64:YWxs      5  no\n");
    letters = from_json("[{\"key\":\"a\",\"bytes\":5,\"lost\":true,\"reason\":\"no\"},"
                        "{\"key\":\"a\",\"bytes\":6,\"lost\":false,\"reason\":\"never\"}]");
    buffer_clear(&out);
    ctl_cache_render_dead(letters, 120, false, &out);
    ctl_cache_render_dead_data(letters, false, &out);
    ck_assert_str_eq(shown(), "KEY  BYTES  REASON\n"
                              "a        5  (lost) no\n"
                              "a        6  never\n"
                              "a\n  (lost) no\n  5 bytes: -\n"
                              "a\n  never\n  6 bytes: -\n");
}
END_TEST

/* Names come from other hosts, by way of Redis. */
#define RING                                                                                       \
    "{\"cache\":\"c\",\"gen\":5,\"lease_ms\":1000,\"closed_ms\":%d,\"heard_ms\":%d,\"nodes\":["    \
    "{\"incarnation\":1,\"name\":\"cache/c/node.1\",\"host\":\"front1\",\"platoon\":\"p\","        \
    "\"address\":\"10.0.0.1:6390\",\"state\":\"live\",\"cells\":1234,\"beat_ms\":900},"            \
    "{\"incarnation\":12,\"name\":\"cache/c/node.2\",\"host\":\"f\\u001b\",\"platoon\":\"q\","     \
    "\"address\":\"10.0.0.2:6390\",\"state\":\"lost\",\"cells\":null,\"beat_ms\":null}],"          \
    "\"managers\":["                                                                               \
    "{\"name\":\"a:1:m:1\",\"host\":\"front1\",\"role\":\"master\",\"beat_ms\":0},"                \
    "{\"name\":\"b:1:m:1\",\"host\":\"front2\",\"role\":\"slave\",\"beat_ms\":65000}]}"

static const char *ring_shown(int closed_ms, int heard_ms)
{
    char text[1024];
    snprintf(text, sizeof text, RING, closed_ms, heard_ms);
    buffer_clear(&out);
    ctl_cache_render_ring(from_json(text), 120, false, &out);
    return shown();
}

START_TEST(rings)
{
    ck_assert_str_eq(ring_shown(0, 1000),
                     "NUMBER  NODE            STATE  CELLS   BEAT  HOST    ADDRESS\n"
                     "     1  cache/c/node.1  live   1,234  900ms  front1  "
                     "10.0.0.1:6390\n"
                     "    12  cache/c/node.2  lost       -      -  f\\x1b   "
                     "10.0.0.2:6390\n"
                     "\n"
                     "MANAGER  ROLE    BEAT  HOST\n"
                     "a:1:m:1  master   0ms  front1\n"
                     "b:1:m:1  slave    65s  front2\n");
    ck_assert_ptr_nonnull(strstr(ring_shown(1200, 0), "\nclosed for 2"));
    ck_assert_ptr_nonnull(
        strstr(ring_shown(0, 65000),
               "\n\nRedis has given no answer for 65s: all of this is as it was then\n"));
}
END_TEST

static const char *owner_shown(const char *text)
{
    buffer_clear(&out);
    ctl_cache_render_owner(from_json(text), &out);
    return shown();
}

START_TEST(whose_a_key_is)
{
    ck_assert_str_eq(
        owner_shown("{\"state\":\"free\",\"incarnation\":0,\"node\":\"\",\"host\":\"\"}"),
        "free: who asks for it next has it\n");
    ck_assert_str_eq(
        owner_shown("{\"state\":\"owned\",\"incarnation\":7,\"node\":\"n\",\"host\":\"h\"}"),
        "n 7 on h\n");
    ck_assert_str_eq(
        owner_shown(
            "{\"state\":\"lost\",\"incarnation\":7,\"node\":\"n\\u001b\",\"host\":\"\\u001b\"}"),
        "n\\x1b 7 on \\x1b, which is lost\n");
}
END_TEST

SUITE_MAIN_WITH("ctl_cache_render", NULL, teardown_nodes, out_of_the_tree, table,
                table_without_a_store, values, dead_letters, rings, whose_a_key_is)
