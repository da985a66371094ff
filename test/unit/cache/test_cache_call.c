/* test_cache_call.c: what a node is called for in JSON, and asked for in msgpack: text in, text out, a real table. */
#include "common/pack.h"
#include "common/unpack.h"
#include "test/unit/cache/backing_fake.h"
#include "test/unit/cache/node_fixture.h"
#include "test/unit/short_memory.h"
#include "test/unit/suite.h"
#include "workers/cache/cache_access.h"
#include "workers/cache/cache_ask.h"
#include "workers/cache/cache_call.h"
#include "workers/cache/cache_need.h"

#include <stdlib.h>
#include <unistd.h>

static struct buffer out;
static struct cache_need need;

static void tear_down(void)
{
    buffer_fini(&out);
    buffer_fini(&need.key);
    node_tear_down();
}

static bool call(const char *text)
{
    return cache_call(&node, slice_of(text), &out, &need);
}

static void expect(const char *text, const char *answer)
{
    ck_assert_msg(call(text), "%s: %s", text, buffer_text(&out));
    ck_assert_str_eq(buffer_text(&out), answer);
}

/* One line, a JSON string, that holds this. */
static void refused(const char *text, const char *part)
{
    ck_assert_msg(!call(text), "%s", text);
    const char *said = buffer_text(&out);
    ck_assert_msg(strstr(said, part) != NULL, "%s: %s", text, said);
    ck_assert(said[0] == '"' && said[out.len - 1] == '"' && strchr(said, '\n') == NULL &&
              strstr(said, "\\n") == NULL);
}

START_TEST(set_and_get)
{
    expect("{\"get\":\"k\",\"consistency\":true}", "{\"ko\":true}");
    expect("{\"set\":\"k\",\"value\":\"v\"}", "{\"ok\":true}");
    expect("{\"get\":\"k\",\"consistency\":true}", "{\"ok\":\"v\"}");
    expect(" {\"consistency\" : false, \"get\":\"k\"} ", "{\"ok\":\"v\"}");
    expect("{\"get\":\"k\"}", "{\"ok\":\"v\"}");
    expect("{\"value\":\"\",\"set\":\"\"}", "{\"ok\":true}");
    expect("{\"get\":\"\"}", "{\"ok\":\"\"}");
    expect("{\"persist\":\"k\"}", "{\"ok\":true}");
    expect("{\"persist\":\"never\"}", "{\"ok\":true}");
    ck_assert_uint_eq(cache_db_count(node.db), 2);
}
END_TEST

/* Said where it is more than bytes; what Redis' protocol writes is bytes again. */
START_TEST(forms)
{
    expect("{\"set\":\"k\",\"value\":\"v\",\"form\":\"term\"}", "{\"ok\":true}");
    expect("{\"get\":\"k\"}", "{\"ok\":\"v\",\"form\":\"term\"}");
    expect("{\"get\":\"k\",\"consistency\":false}", "{\"ok\":\"v\",\"form\":\"term\"}");
    expect("{\"form\":\"string\",\"value\":{\"base64\":\"/w==\"},\"set\":\"k\"}", "{\"ok\":true}");
    expect("{\"get\":\"k\"}", "{\"ok\":{\"base64\":\"/w==\"},\"form\":\"string\"}");
    expect("{\"set\":\"k\",\"value\":\"v\",\"form\":\"bytes\"}", "{\"ok\":true}");
    expect("{\"get\":\"k\"}", "{\"ok\":\"v\"}");
    ck_assert(need.form);
    refused("{\"set\":\"k\",\"value\":\"v\",\"form\":\"atom\"}", "its \\\"form\\\" is none");
    refused("{\"set\":\"k\",\"value\":\"v\",\"form\":1}", "its \\\"form\\\" is none");
    refused("{\"get\":\"k\",\"form\":\"term\"}", "has no \\\"form\\\"");
}
END_TEST

/* Nobody waits for the store; without one there is nothing to do. */
START_TEST(dump)
{
    expect("{\"dump\":\"never\"}", "{\"ok\":true}");
    expect("{\"set\":\"k\",\"value\":\"v\"}", "{\"ok\":true}");
    expect("{\"dump\":\"k\"}", "{\"ok\":true}");
    ck_assert(!need.waits);
    refused("{\"dump\":\"k\",\"value\":\"v\"}", "has no");
}
END_TEST

/* How fresh it must be is known before the key is asked about. */
START_TEST(how_fresh)
{
    need.consistency = CACHE_BOUNDED;
    expect("{\"get\":\"k\"}", "{\"ko\":true}");
    ck_assert_int_eq(need.consistency, CACHE_STRONG);
    expect("{\"get\":\"k\",\"consistency\":false}", "{\"ko\":true}");
    ck_assert_int_eq(need.consistency, CACHE_EVENTUAL);
    expect("{\"get\":\"k\",\"consistency\":true}", "{\"ko\":true}");
    ck_assert_int_eq(need.consistency, CACHE_STRONG);
    refused("{\"get\":\"k\",\"consistency\":null}", "is neither true nor false");
}
END_TEST

/* What a client set, with the time it has to live: a set takes that away, as Redis' SET does. */
START_TEST(beside_clients)
{
    int fd = node_connect();
    node_expect(fd, "SET k v EX 100\r\n", "+OK\r\n");
    expect("{\"get\":\"k\"}", "{\"ok\":\"v\"}");
    expect("{\"set\":\"k\",\"value\":\"w\"}", "{\"ok\":true}");
    node_expect(fd, "TTL k\r\nGET k\r\n", ":-1\r\n$1\r\nw\r\n");
    close(fd);
}
END_TEST

START_TEST(bytes)
{
    expect("{\"set\":{\"base64\":\"/wA=\"},\"value\":{\"base64\":\"gIE=\"}}", "{\"ok\":true}");
    expect("{\"get\":{\"base64\":\"/wA=\"}}", "{\"ok\":{\"base64\":\"gIE=\"}}");
    ck_assert_ptr_nonnull(cache_db_peek(node.db, slice_make("\xff\0", 2)));
    /* Whatever can be a string is one, however it came. */
    expect("{\"set\":{\"base64\":\"aw==\"},\"value\":{\"base64\":\"YQBi\"}}", "{\"ok\":true}");
    expect("{\"get\":\"k\"}", "{\"ok\":\"a\\u0000b\"}");
    expect("{\"set\":\"a\\u0000b\",\"value\":\"\\u00e4\\\"\\n\"}", "{\"ok\":true}");
    expect("{\"get\":{\"base64\":\"YQBi\"}}", "{\"ok\":\"ä\\\"\\n\"}");
    expect("{\"set\":\"base64:AA==\",\"value\":\"a name is a key like any other\"}",
           "{\"ok\":true}");
    ck_assert_ptr_nonnull(cache_db_peek(node.db, slice_of("base64:AA==")));
}
END_TEST

START_TEST(any_bytes_come_back)
{
    for (int round = 0; round < 300; round++) {
        struct buffer text = BUFFER_EMPTY;
        char value[64];
        size_t len = (size_t)rand() % sizeof value;
        for (size_t i = 0; i < len; i++)
            value[i] = (char)(rand() % 4 == 0 ? rand() : 'a' + rand() % 26);
        ck_assert_int_eq(
            cache_db_set(node.db, slice_of("k"), slice_make(value, len), CACHE_NEVER, 0), CACHE_OK);
        expect("{\"persist\":\"k\"}", "{\"ok\":true}");
        ck_assert(call("{\"get\":\"k\"}"));
        /* The answer's value is a call's value. */
        ck_assert_int_eq(strncmp(out.data, "{\"ok\":", 6), 0);
        buffer_printf(&text, "{\"set\":\"l\",\"value\":%.*s}", (int)out.len - 7, out.data + 6);
        expect(buffer_text(&text), "{\"ok\":true}");
        const struct cache_object *o = cache_db_peek(node.db, slice_of("l"));
        ck_assert(slice_equal(cache_object_value(o), slice_make(value, len)));
        buffer_fini(&text);
    }
}
END_TEST

START_TEST(malformed)
{
    static const char *const none[] = {
        "",      "{",   "{\"get\":\"k\"",         "nonsense", "{\"get\":\"\xff\"}",
        "\"k\"", "{}x", "{\"get\":\"k\\ud800\"}", "7",
    };
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        refused(none[i], "it is no JSON (");
    refused("{\"get\":\"k\",\"get\":\"l\"}", "duplicate");
    refused("{\n\"get\":\n\"k\n", "it is no JSON (");
    refused("{}", "none of those that are understood: a cache node takes {\\\"set\\\":KEY");
    refused("[\"get\",\"k\"]", "none of those that are understood");
    refused("{\"gte\":\"k\"}", "none of those that are understood");
    refused("{\"get\":7}", "its key is no string and no base64");
    refused("{\"get\":null}", "its key is no string and no base64");
    refused("{\"get\":{\"base64\":\"A\"}}", "its key is no string and no base64");
    refused("{\"get\":{\"base64\":\"AAA=\",\"x\":1}}", "its key is no string and no base64");
    refused("{\"get\":\"k\",\"consistency\":\"strong\"}", "is neither true nor false");
    refused("{\"get\":\"k\",\"value\":\"v\"}", "a call to get has no \\\"value\\\"");
    refused("{\"persist\":\"k\",\"consistency\":true}", "has no \\\"consistency\\\"");
    refused("{\"set\":\"k\"}", "its \\\"value\\\" is missing");
    refused("{\"set\":\"k\",\"value\":7}", "its \\\"value\\\" is missing, or no string");
    refused("{\"set\":\"k\",\"value\":{\"base64\":\"*\"}}", "its \\\"value\\\" is missing");
    refused("{\"set\":\"k\",\"value\":\"v\",\"expire\":60}", "a call to set has no \\\"expire\\\"");
    refused("{\"set\":\"k\",\"value\":\"v\",\"get\":\"k\"}", "a call to set has no \\\"get\\\"");
    ck_assert_uint_eq(cache_db_count(node.db), 0);
}
END_TEST

/* In Redis' words. */
START_TEST(faults)
{
    struct buffer text = BUFFER_EMPTY;
    buffer_printf(&text, "{\"set\":\"k\",\"value\":\"%*s\"}", 1 << 20, "");
    refused(buffer_text(&text),
            "\"ERR a key and its value may have at most 1048576 bytes (object_max)\"");
    node.turn.failed = true;
    refused("{\"set\":\"k\",\"value\":\"v\"}", "\"MISCONF ");
    expect("{\"get\":\"k\"}", "{\"ko\":true}");
    node.turn.failed = false;
    node.turn.answer_count = CACHE_ACCESS_WAITING_MAX;
    refused("{\"set\":\"k\",\"value\":\"v\"}", "\"TRYAGAIN 65536 writes wait");
    node.turn.answer_count = 0;
    cache_db_free(node.db);
    struct cache_db_options options = {.memory_max = 0, .object_max = 1 << 20};
    node.db = cache_db_new(&options, (const uint8_t *)"sixteen bytes!!");
    refused("{\"set\":\"k\",\"value\":\"v\"}",
            "\"OOM command not allowed when used memory > 'maxmemory'.\"");
    ck_assert_uint_eq(cache_db_count(node.db), 0);
    buffer_fini(&text);
}
END_TEST

/* Whatever allocation fails: done and said so, or neither; and it is never taken for what is no JSON. */
START_TEST(memory_is_short)
{
    static const char set[] = "{\"set\":\"k\",\"value\":{\"base64\":\"dmFsdWU=\"}}";
    static const char get[] = "{\"get\":\"there\",\"consistency\":true}";
    bool done = false, got = false;
    int fd = node_connect();
    node_expect(fd, "SET there value\r\n", "+OK\r\n");
    for (long n = 1; n < 100 && !(done && got); n++) {
        for (int i = 0; i < 2; i++) {
            buffer_fini(&out);
            short_memory_fail(n, false);
            bool ok = call(i == 0 ? set : get);
            short_memory_fail(0, false);
            const char *text = buffer_text(&out);
            ck_assert_msg(text == NULL || strstr(text, "no JSON") == NULL, "%ld: %s", n, text);
            if (i == 0)
                ck_assert_int_eq(ok, cache_db_peek(node.db, slice_of("k")) != NULL);
            else if (ok && buffer_ok(&out))
                ck_assert_str_eq(buffer_text(&out), "{\"ok\":\"value\"}");
            done = done || (i == 0 && ok);
            got = got || (i == 1 && ok && buffer_ok(&out));
        }
    }
    ck_assert(done && got);
    close(fd);
}
END_TEST

/* A value that no message could carry as JSON is refused, instead of its answer being lost. */
START_TEST(more_than_a_message)
{
    size_t len = 5 << 20;
    char *value = calloc(1, len); /* NULs: six characters each */
    cache_db_free(node.db);
    struct cache_db_options options = {.memory_max = (size_t)1 << 30, .object_max = 16 << 20};
    node.db = cache_db_new(&options, (const uint8_t *)"sixteen bytes!!");
    ck_assert_int_eq(cache_db_set(node.db, slice_of("k"), slice_make(value, len), CACHE_NEVER, 0),
                     CACHE_OK);
    refused("{\"get\":\"k\"}", "\"ERR the value has 5242880 bytes, and as JSON 31457289");
    memset(value, 'v', len);
    ck_assert_int_eq(cache_db_set(node.db, slice_of("k"), slice_make(value, len), CACHE_NEVER, 0),
                     CACHE_OK);
    ck_assert(call("{\"get\":\"k\"}"));
    free(value);
}
END_TEST

/* ---- what is asked ---- */

static enum control_status ask(const char *verb, size_t count, const struct slice *words)
{
    struct buffer args = BUFFER_EMPTY;
    pack_array(&args, (uint32_t)count);
    for (size_t i = 0; i < count; i++)
        pack_bin(&args, words[i]);
    enum control_status status = cache_ask(&node, slice_of(verb), buffer_slice(&args), &out, &need);
    buffer_fini(&args);
    return status;
}

/* The one member of the answer. */
static struct unpack answered(const char *name)
{
    struct unpack u = unpack_start(buffer_slice(&out));
    ck_assert_uint_eq(unpack_map(&u), 1);
    ck_assert(slice_is(unpack_bytes(&u), name));
    return u;
}

START_TEST(asked)
{
    const struct slice words[] = {slice_make("k\0", 2), slice_make("v\xff", 2), slice_of("60000")};
    struct unpack u;
    ck_assert_int_eq(ask("get", 1, words), CONTROL_OK);
    answered("ko");
    ck_assert_int_eq(ask("set", 3, words), CONTROL_OK);
    answered("ok");
    ck_assert_int_eq(ask("get", 1, words), CONTROL_OK);
    u = answered("ok");
    ck_assert(slice_equal(unpack_bin(&u), words[1]));
    const struct cache_object *o = cache_db_peek(node.db, words[0]);
    ck_assert_int_eq(cache_object_expiry(o), cache_db_now_ms(node.db) + 60000);
    ck_assert_int_eq(ask("set", 2, words), CONTROL_OK);
    o = cache_db_peek(node.db, words[0]);
    ck_assert(cache_object_expiry(o) == CACHE_NEVER);
    ck_assert_int_eq(ask("del", 3, words), CONTROL_OK);
    u = answered("count");
    ck_assert_uint_eq(unpack_u64(&u), 1);
    ck_assert_uint_eq(cache_db_count(node.db), 0);
}
END_TEST

START_TEST(asked_how_fresh)
{
    static const struct {
        const char *word, *ms;
        enum cache_consistency consistency;
        uint64_t bound_ms;
    } cases[] = {{"eventual", NULL, CACHE_EVENTUAL, 0},
                 {"strong", NULL, CACHE_STRONG, 0},
                 {"bounded", "500", CACHE_BOUNDED, 500},
                 {NULL, NULL, CACHE_STRONG, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct slice words[] = {slice_of("k"),
                                      slice_of(cases[i].word != NULL ? cases[i].word : ""),
                                      slice_of(cases[i].ms != NULL ? cases[i].ms : "")};
        size_t count = (size_t)1 + (cases[i].word != NULL) + (cases[i].ms != NULL);
        need.bound_ms = 0;
        ck_assert_int_eq(ask("get", count, words), CONTROL_OK);
        answered("ko");
        ck_assert_int_eq(need.consistency, cases[i].consistency);
        ck_assert_uint_eq(need.bound_ms, cases[i].bound_ms);
    }
}
END_TEST

START_TEST(asked_how_fresh_wrongly)
{
    static const char *const wrong[][2] = {
        {"weak", NULL}, {"bounded", NULL}, {"bounded", "-1"}, {"bounded", "soon"}, {"strong", "5"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const struct slice words[] = {slice_of("k"), slice_of(wrong[i][0]),
                                      slice_of(wrong[i][1] != NULL ? wrong[i][1] : "")};
        ck_assert_int_eq(ask("get", wrong[i][1] != NULL ? 3 : 2, words), CONTROL_USAGE);
        ck_assert_str_eq(buffer_text(&out),
                         "behind its KEY get takes one of: strong, eventual, bounded MS");
    }
}
END_TEST

/* A call, by the tool's `send`. */
START_TEST(asked_in_json)
{
    struct slice set = slice_of("{\"set\":\"k\",\"value\":{\"base64\":\"/w==\"}}");
    struct slice get = slice_of("{\"get\":\"k\"}"), wrong = slice_of("{\"gte\":\"k\"}");
    struct unpack u;
    ck_assert_int_eq(ask("json", 1, &set), CONTROL_OK);
    u = answered("ok");
    ck_assert(unpack_bool(&u));
    ck_assert_int_eq(ask("json", 1, &get), CONTROL_OK);
    u = answered("ok");
    ck_assert_uint_eq(unpack_map(&u), 1);
    ck_assert(slice_is(unpack_str(&u), "base64") && slice_is(unpack_str(&u), "/w=="));
    ck_assert_int_eq(ask("json", 1, &wrong), CONTROL_ERROR);
    ck_assert_int_eq(strncmp(buffer_text(&out), "it is none of those", 19), 0);
}
END_TEST

START_TEST(asked_wrongly)
{
    const struct slice words[] = {slice_of("k"), slice_of("v"), slice_of("soon"), slice_of("x")};
    static const struct {
        const char *verb;
        size_t count;
    } cases[] = {{"get", 0}, {"get", 4},  {"set", 1}, {"set", 4},
                 {"del", 0}, {"json", 2}, {"put", 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_int_eq(ask(cases[i].verb, cases[i].count, words), CONTROL_USAGE);
        ck_assert_ptr_nonnull(
            strstr(buffer_text(&out), "get KEY [strong|eventual|bounded MS], set KEY VALUE"));
    }
    ck_assert_int_eq(cache_ask(&node, slice_of("get"), slice_of("\xc1"), &out, &need),
                     CONTROL_USAGE);
    ck_assert_int_eq(ask("set", 3, words), CONTROL_ERROR);
    ck_assert_str_eq(buffer_text(&out), "EXPIRE_MS is no number of milliseconds above 0");
    node.turn.failed = true;
    ck_assert_int_eq(ask("set", 2, words), CONTROL_ERROR);
    ck_assert_int_eq(strncmp(buffer_text(&out), "MISCONF ", 8), 0);
    ck_assert_int_eq(ask("del", 1, words), CONTROL_ERROR);
    ck_assert_int_eq(strncmp(buffer_text(&out), "MISCONF ", 8), 0);
    node.turn.failed = false;
    ck_assert_uint_eq(cache_db_count(node.db), 0);
}
END_TEST

/* ---- with a store ---- */

/* It must wait, for that, and has said nothing. */
static void waits_for(bool done, enum cache_parked_for what, const char *key)
{
    ck_assert(!done && need.waits);
    ck_assert_int_eq(need.what, what);
    ck_assert(slice_is(buffer_slice(&need.key), key));
    need.waits = false;
}

START_TEST(calls_wait_for_the_store)
{
    node_store(60000);
    waits_for(call("{\"get\":\"k\"}"), CACHE_PARKED_LOAD, "k");
    cache_turn_begin(&node.turn);
    ck_assert_int_eq(cache_db_learn(node.db, slice_of("k"), slice_of("v"), 1, CACHE_NEVER, 0),
                     CACHE_OK);
    ck_assert_int_eq(cache_db_learn_absent(node.db, slice_of("none"), 0), CACHE_OK);
    expect("{\"get\":\"k\"}", "{\"ok\":\"v\"}");
    expect("{\"get\":\"none\"}", "{\"ko\":true}");
    expect("{\"persist\":\"k\"}", "{\"ok\":true}"); /* it is stored */
    expect("{\"set\":\"new\",\"value\":\"n\"}", "{\"ok\":true}");
    waits_for(call("{\"persist\":\"new\"}"), CACHE_PARKED_STORED, "new");
    struct buffer large = BUFFER_EMPTY;
    for (int i = 0; i < NODE_DIRTY_MAX; i++)
        buffer_append_char(&large, 'x');
    ck_assert_int_eq(cache_db_set(node.db, slice_of("large"), buffer_slice(&large), CACHE_NEVER, 0),
                     CACHE_OK);
    waits_for(call("{\"set\":\"k\",\"value\":\"w\"}"), CACHE_PARKED_ROOM, "");
    expect("{\"get\":\"k\"}", "{\"ok\":\"v\"}");
    buffer_fini(&large);
}
END_TEST

/* Of what it has waited for it does not ask again, though it is dirty again; of the next it does. */
START_TEST(what_was_stored_is_not_asked_for_again)
{
    struct buffer args = BUFFER_EMPTY;
    node_store(60000);
    expect("{\"set\":\"a\",\"value\":\"1\"}", "{\"ok\":true}");
    expect("{\"set\":\"b\",\"value\":\"1\"}", "{\"ok\":true}");
    pack_array(&args, 2);
    pack_text(&args, "a");
    pack_text(&args, "b");
    static const char *const keys[] = {"a", "b"};
    for (uint32_t i = 0; i < 2; i++) {
        buffer_fini(&need.key);
        need = (struct cache_need){.stored = i};
        cache_ask(&node, slice_of("dump-wait"), buffer_slice(&args), &out, &need);
        waits_for(false, CACHE_PARKED_STORED, keys[i]);
    }
    buffer_fini(&need.key);
    need = (struct cache_need){.stored = 2};
    ck_assert_int_eq(cache_ask(&node, slice_of("dump-wait"), buffer_slice(&args), &out, &need),
                     CONTROL_OK);
    need = (struct cache_need){.stored = 1};
    expect("{\"persist\":\"a\"}", "{\"ok\":true}");
    buffer_fini(&args);
}
END_TEST

/* Nothing is deleted before all is known; what is not is loaded at once. */
START_TEST(requests_wait_for_the_store)
{
    struct buffer args = BUFFER_EMPTY;
    node_store(60000);
    cache_turn_begin(&node.turn);
    cache_db_learn(node.db, slice_of("a"), slice_of("1"), 1, CACHE_NEVER, 0);
    pack_array(&args, 3);
    pack_text(&args, "a");
    pack_text(&args, "b");
    pack_text(&args, "c");
    cache_ask(&node, slice_of("del"), buffer_slice(&args), &out, &need);
    waits_for(false, CACHE_PARKED_LOAD, "b");
    ck_assert_ptr_nonnull(fake_find(FAKE_GET, "c"));
    ck_assert_ptr_nonnull(cache_db_peek(node.db, slice_of("a")));
    buffer_fini(&args);
}
END_TEST

/* ---- keys that a stray might have ---- */

#define STRAY      CACHE_STRAY_PREFIX "\0\0\0\0\0\0\0\1k"
#define STRAY_LINE "\"\\xffplatoon:stray\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x01k\""
#define STRAY_JSON "{\"base64\":\"/3BsYXRvb246c3RyYXkAAAAAAAAAAAFr\"}"

/* Each command that has a key; what is queued with one is no transaction. */
static void no_client_has_it(void)
{
    static const char *const lines[] = {"SET " STRAY_LINE " v\r\n",
                                        "GET " STRAY_LINE "\r\n",
                                        "DEL " STRAY_LINE "\r\n",
                                        "MSET a 1 " STRAY_LINE " 2\r\n",
                                        "MGET a " STRAY_LINE "\r\n",
                                        "EXISTS a " STRAY_LINE "\r\n",
                                        "INCR " STRAY_LINE "\r\n",
                                        "SET " STRAY_LINE " v NX EX 9\r\n",
                                        "EXPIRE " STRAY_LINE " 9\r\n",
                                        "GETEX " STRAY_LINE "\r\n",
                                        "WATCH " STRAY_LINE "\r\n",
                                        "MEMORY USAGE " STRAY_LINE "\r\n",
                                        "TYPE " STRAY_LINE "\r\n",
                                        "PLATOON.DUMP " STRAY_LINE "\r\n",
                                        "PLATOON.GET " STRAY_LINE " EVENTUAL\r\n",
                                        "GET \"\\xffplatoon:stray\\x00\"\r\n"};
    int fd = node_connect();
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        node_expect(fd, lines[i], "-" CACHE_ACCESS_HIDDEN "\r\n");
    node_expect(fd, "MULTI\r\nSET a 1\r\n", "+OK\r\n+QUEUED\r\n");
    node_expect(fd, "SET " STRAY_LINE " v\r\n", "-" CACHE_ACCESS_HIDDEN "\r\n");
    node_expect(fd, "EXEC\r\n", "-EXECABORT Transaction discarded because of previous errors.\r\n");
    close(fd);
}

static void is_refused_it(void)
{
    ck_assert(need.waits && need.refused);
    ck_assert_str_eq(buffer_text(&need.key), CACHE_ACCESS_HIDDEN);
    buffer_fini(&need.key);
    need = (struct cache_need){0};
}

static void no_call_has_it(void)
{
    static const char *const calls[] = {"{\"set\":" STRAY_JSON ",\"value\":\"v\"}",
                                        "{\"set\":" STRAY_JSON
                                        ",\"value\":\"v\",\"form\":\"term\"}",
                                        "{\"dump\":" STRAY_JSON "}",
                                        "{\"get\":" STRAY_JSON "}",
                                        "{\"get\":" STRAY_JSON ",\"consistency\":false}",
                                        "{\"persist\":" STRAY_JSON "}"};
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        ck_assert(!call(calls[i]));
        is_refused_it();
    }
}

static void no_request_has_it(bool stored)
{
    const struct slice words[] = {slice_make(STRAY, sizeof STRAY - 1), slice_of("v")};
    static const char *const verbs[] = {"get", "del", "dump", "dump-wait"};
    ck_assert_int_eq(ask("set", 2, words), CONTROL_ERROR);
    is_refused_it();
    for (size_t i = 0; i < (stored ? 4 : 2); i++) {
        ck_assert_int_eq(ask(verbs[i], 1, words), CONTROL_ERROR);
        is_refused_it();
    }
}

/* Of a node that is in no ring, too: put under the key behind it, it would overwrite another object in the store. */
START_TEST(keys_of_strays)
{
    no_client_has_it();
    no_call_has_it();
    no_request_has_it(false);
    node_store(60000);
    no_client_has_it();
    no_call_has_it();
    no_request_has_it(true);
    need.looks = true;
    call("{\"get\":" STRAY_JSON "}");
    buffer_fini(&need.key);
    need = (struct cache_need){0};
    ck_assert_uint_eq(cache_db_strays(node.db).count, 0);
    ck_assert_uint_eq(cache_db_dirt(node.db).keys, 0);
    ck_assert_uint_eq(fake_waiting(FAKE_GET), 0);
}
END_TEST

/* Behind one that waits it is not loaded ahead either. */
START_TEST(keys_of_strays_ahead)
{
    node_store(60000);
    int fd = node_connect();
    static const char line[] = "GET a\r\nGET " STRAY_LINE "\r\nGET b\r\n";
    node_send(fd, line, sizeof line - 1);
    node_turn(2);
    ck_assert_ptr_nonnull(fake_find(FAKE_GET, "b"));
    ck_assert_uint_eq(fake_waiting(FAKE_GET), 2);
    close(fd);
}
END_TEST

/* Who only looks does nothing, and has begun what it will need. */
START_TEST(looking_does_nothing)
{
    node_store(60000);
    need.looks = true;
    ck_assert(!call("{\"get\":\"k\"}") && !need.waits);
    ck_assert(!call("{\"set\":\"s\",\"value\":\"v\"}") && !need.waits);
    ck_assert(!call("{\"persist\":\"k\"}") && !need.waits);
    ck_assert(call("{\"dump\":\"k\"}") && !need.waits);
    ck_assert_ptr_nonnull(fake_find(FAKE_GET, "k"));
    ck_assert_ptr_null(cache_db_peek(node.db, slice_of("s")));
    need.looks = false;
}
END_TEST

SUITE_MAIN_WITH("cache_call", node_set_up, tear_down, set_and_get, forms, dump, how_fresh,
                beside_clients, bytes, any_bytes_come_back, malformed, faults, memory_is_short,
                more_than_a_message, asked, asked_how_fresh, asked_how_fresh_wrongly, asked_in_json,
                asked_wrongly, calls_wait_for_the_store, what_was_stored_is_not_asked_for_again,
                requests_wait_for_the_store, keys_of_strays, keys_of_strays_ahead,
                looking_does_nothing)
