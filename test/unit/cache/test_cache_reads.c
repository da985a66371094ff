/*
 * test_cache_reads.c: eventual and bounded reads of a node, whose keys are this node's own when they begin with an o,
 * as long as its lease runs; clients, calls, copies, what is written meanwhile, and memory.
 */
#include "common/clock.h"
#include "test/unit/cache/hold_fixture.h"
#include "test/unit/short_memory.h"
#include "test/unit/suite.h"
#include "workers/cache/cache_access.h"
#include "workers/cache/cache_call.h"
#include "workers/cache/cache_need.h"
#include "workers/cache/cache_reads.h"

#define HOUR_MS UINT64_C(3600000)

static bool leased;

static bool owns(void *ctx, struct slice key)
{
    (void)ctx;
    return leased && key.len > 0 && key.ptr[0] == 'o';
}

static void on_answer(void *ctx)
{
    (void)ctx;
    cache_turn_begin(&node.turn);
}

static void close_reads(void)
{
    cache_client_end_all(&node);
    node_store_end();
    cache_reads_free(node.reads);
    node.reads = NULL;
}

static struct cache_reads *reads_new(void)
{
    static const uint8_t key[16] = "sixteen bytes!!";
    struct cache_reads_options options = {.node = &node,
                                          .backing = &fake.head,
                                          .hash_key = key,
                                          .timeout_ms = 1000,
                                          .retry_max_ms = 100,
                                          .parallel = 64,
                                          .owns = owns,
                                          .on_answer = on_answer};
    return cache_reads_new(&options);
}

/* With node.options and so long a time as they are now. */
static void open_anew(uint64_t timeout_ms)
{
    close_reads();
    node_store(timeout_ms);
    node.reads = reads_new();
    ck_assert_ptr_nonnull(node.reads);
    leased = true;
}

static void set_up(void)
{
    node_set_up();
    open_anew(HOLD_TIMEOUT_MS);
}

static void tear_down(void)
{
    short_memory_fail(0, false);
    close_reads();
    node_tear_down();
}

/* A connection whose commands read so: where there is no ring, nobody says it anew for each. */
static int connect_as(enum cache_consistency how)
{
    int fd = node_connect();
    node_expect(fd, "READONLY\r\n", "+OK\r\n");
    node.clients->reads = how;
    return fd;
}

static bool knows(const char *key)
{
    return cache_reads_knows(node.reads, slice_of(key));
}

/* What an eventual read finds; NULL: nothing. */
static const char *found(const char *key, enum cache_consistency how)
{
    static char text[1024];
    struct slice value;
    if (!cache_reads_find(node.reads, slice_of(key), how, &value, NULL))
        return NULL;
    ck_assert(slice_copy(value, text, sizeof text));
    return text;
}

static struct cache_reads_when asked(uint64_t ms)
{
    struct cache_reads_when when = cache_reads_ask(node.reads);
    when.ms = ms;
    return when;
}

static void take(const char *key, const char *answer, uint64_t asked_ms)
{
    struct resp_reply reply = {.version = 2};
    ck_assert(cache_reads_take(node.reads, slice_of(key), slice_of(answer), asked(asked_ms), &reply,
                               NULL));
    buffer_fini(&reply.out);
}

/* The owner has said it just now. */
static void confirm(const char *key, const char *value)
{
    char answer[256];
    snprintf(answer, sizeof answer, "*4\r\n$%zu\r\n%s\r\n:-1\r\n:7\r\n:0\r\n", strlen(value),
             value);
    take(key, answer, clock_mono_ms());
}

/* ---- clients ---- */

START_TEST(what_is_anothers_becomes_a_copy)
{
    int fd = connect_as(CACHE_EVENTUAL);
    hold_send_cold(fd, "GET f\r\nPING\r\n");
    ck_assert_uint_eq(fake.made[FAKE_GET], 1);
    fake_have("f", "value", 7);
    node_expect(fd, "", "$5\r\nvalue\r\n+PONG\r\n");
    node_expect(fd, "GET f\r\n", "$5\r\nvalue\r\n");
    ck_assert_uint_eq(fake.made[FAKE_GET], 1);
    ck_assert(cache_db_count(node.db) == 0 && !cache_db_knows(node.db, slice_of("f")));
    ck_assert(cache_db_dirt(node.db).keys == 0 && cache_reads_count(node.reads) == 1);
    ck_assert_uint_eq(cache_db_stats(node.db)->hits, 2);
    close(fd);
}
END_TEST

/* So does that there is none, or none any more. */
START_TEST(what_is_absent)
{
    int fd = connect_as(CACHE_EVENTUAL);
    hold_send_cold(fd, "GET f\r\nGET g\r\n");
    fake_absent("f", 3);
    fake_have_until("g", "old", 7, 1000);
    node_expect(fd, "", "$-1\r\n$-1\r\n");
    node_expect(fd, "MGET f g\r\n", "*2\r\n$-1\r\n$-1\r\n");
    ck_assert_uint_eq(fake.made[FAKE_GET], 2);
    ck_assert_uint_eq(cache_db_stats(node.db)->misses, 4);
    close(fd);
}
END_TEST

START_TEST(a_cold_pipeline)
{
    struct buffer sent = BUFFER_EMPTY, came = BUFFER_EMPTY;
    char key[16];
    int fd = connect_as(CACHE_EVENTUAL);
    for (int i = 0; i < 32; i++) {
        snprintf(key, sizeof key, "%skey%02d", i % 4 == 0 ? "o" : "f", i);
        buffer_printf(&sent, "*2\r\n$3\r\nGET\r\n$6\r\n%s\r\n", key);
        buffer_printf(&came, "$6\r\n%s\r\n", key);
    }
    hold_send_cold(fd, buffer_text(&sent));
    ck_assert_uint_eq(fake.made[FAKE_GET], 32);
    for (int i = 31; i >= 0; i--) {
        snprintf(key, sizeof key, "%skey%02d", i % 4 == 0 ? "o" : "f", i);
        ck_assert_str_eq(node_read(fd), "");
        fake_have(key, key, 7);
    }
    node_expect(fd, "", buffer_text(&came));
    ck_assert_uint_eq(fake.made[FAKE_GET], 32);
    ck_assert(cache_db_count(node.db) == 8 && cache_reads_count(node.reads) == 24);
    buffer_fini(&sent);
    buffer_fini(&came);
    close(fd);
}
END_TEST

/* One command of several: what is in memory, what is loaded as an object, what becomes a copy. */
START_TEST(of_several_keys)
{
    int fd = connect_as(CACHE_EVENTUAL);
    node_expect(fd, "SET o1 one\r\n", "+OK\r\n");
    hold_send_cold(fd, "MGET f o1 g o2 f\r\n");
    ck_assert_uint_eq(fake.made[FAKE_GET], 3);
    fake_have("o2", "two", 7);
    fake_have("g", "G", 7);
    ck_assert_str_eq(node_read(fd), "");
    fake_have("f", "F", 7);
    node_expect(fd, "", "*5\r\n$1\r\nF\r\n$3\r\none\r\n$1\r\nG\r\n$3\r\ntwo\r\n$1\r\nF\r\n");
    ck_assert(cache_db_count(node.db) == 2 && cache_reads_count(node.reads) == 2);
    close(fd);
}
END_TEST

START_TEST(what_the_store_does_not_give)
{
    open_anew(100);
    int fd = connect_as(CACHE_EVENTUAL);
    hold_send_cold(fd, "GET f\r\n");
    fake_fail("f", BACKING_AWAY, "no route");
    const char *came = hold_came_until(fd, "\r\n");
    ck_assert_msg(strncmp(came, "-TRYAGAIN the store of cache/test/node.1", 40) == 0, "%s", came);
    ck_assert_msg(strstr(came, "no route") != NULL, "%s", came);
    ck_assert_msg(strstr(cache_park_loads_trouble(node.park), "no route") != NULL, "%s",
                  cache_park_loads_trouble(node.park));
    ck_assert_uint_eq(cache_park_load_stats(node.park).failed,
                      cache_loads_stats(cache_reads_loads(node.reads))->failed);
    ck_assert(!knows("f"));
    close(fd);
}
END_TEST

START_TEST(what_was_sent_behind_waits_once)
{
    open_anew(100);
    int fd = connect_as(CACHE_EVENTUAL);
    static const char sent[] = "GET f\r\nGET g\r\nMGET h i\r\nPING\r\n";
    node_send(fd, sent, sizeof sent - 1);
    const char *came = hold_came_until(fd, "+PONG\r\n");
    ck_assert_msg(hold_waits < HOLD_ONCE, "%d: %s", hold_waits, came);
    close(fd);
}
END_TEST

/* ---- of whom ---- */

START_TEST(what_is_ours_is_read_as_ever)
{
    int fd = connect_as(CACHE_EVENTUAL);
    hold_send_cold(fd, "GET o\r\n");
    fake_have("o", "value", 7);
    node_expect(fd, "", "$5\r\nvalue\r\n");
    ck_assert(cache_db_knows(node.db, slice_of("o")) && cache_reads_count(node.reads) == 0);
    close(fd);
}
END_TEST

/* Of what it has in memory it goes on reading; what it does not is read as another's. */
START_TEST(when_the_lease_is_over)
{
    int fd = connect_as(CACHE_EVENTUAL);
    node_expect(fd, "SET o1 mine\r\n", "+OK\r\n");
    leased = false;
    node_expect(fd, "GET o1\r\n", "$4\r\nmine\r\n");
    hold_send_cold(fd, "GET o2\r\n");
    fake_have("o2", "stored", 7);
    node_expect(fd, "", "$6\r\nstored\r\n");
    ck_assert(!cache_db_knows(node.db, slice_of("o2")) && cache_reads_count(node.reads) == 1);
    leased = true;
    ck_assert(!knows("o2")); /* with a lease it is loaded */
    hold_send_cold(fd, "GET o2\r\n");
    ck_assert_uint_eq(cache_reads_count(node.reads), 0); /* and the copy is none any more */
    fake_have("o2", "newer", 8);
    node_expect(fd, "", "$5\r\nnewer\r\n");
    leased = false;
    node_expect(fd, "GET o2\r\n", "$5\r\nnewer\r\n");
    close(fd);
}
END_TEST

/* It was asked for as another's, and is ours when it comes: no copy, and loaded once more. */
START_TEST(what_becomes_ours_meanwhile)
{
    leased = false;
    int fd = connect_as(CACHE_EVENTUAL);
    hold_send_cold(fd, "GET o\r\n");
    leased = true;
    fake_have("o", "old", 7);
    ck_assert_str_eq(node_read(fd), "");
    ck_assert_uint_eq(fake.made[FAKE_GET], 2);
    fake_have("o", "new", 8);
    node_expect(fd, "", "$3\r\nnew\r\n");
    ck_assert_uint_eq(cache_reads_count(node.reads), 0);
    close(fd);
}
END_TEST

/* ---- bounded ---- */

START_TEST(what_the_owner_confirmed)
{
    confirm("f", "value");
    ck_assert(cache_reads_is_fresh(node.reads, slice_of("f"), HOUR_MS));
    ck_assert(!cache_reads_is_fresh(node.reads, slice_of("f"), 0));
    ck_assert(!cache_reads_is_fresh(node.reads, slice_of("g"), HOUR_MS));
    ck_assert_str_eq(found("f", CACHE_BOUNDED), "value");
    ck_assert_str_eq(found("f", CACHE_EVENTUAL), "value");
    int fd = connect_as(CACHE_BOUNDED);
    node_expect(fd, "GET f\r\n", "$5\r\nvalue\r\n");
    take("g", "*4\r\n$-1\r\n:-1\r\n:0\r\n:0\r\n", clock_mono_ms());
    ck_assert(cache_reads_is_fresh(node.reads, slice_of("g"), HOUR_MS) &&
              found("g", CACHE_BOUNDED) == NULL && knows("g"));
    ck_assert_uint_eq(fake.made[FAKE_GET], 0);
    close(fd);
}
END_TEST

/* What this node has had itself was never confirmed by who has it now. */
START_TEST(not_what_was_ours)
{
    int fd = connect_as(CACHE_BOUNDED);
    node_expect(fd, "SET o mine\r\n", "+OK\r\n");
    leased = false;
    confirm("o", "theirs");
    node_expect(fd, "GET o\r\n", "$6\r\ntheirs\r\n");
    ck_assert_str_eq(found("o", CACHE_EVENTUAL), "mine");
    close(fd);
}
END_TEST

/* It was asked so long ago, whenever it was answered; what the store has told was never confirmed. */
START_TEST(how_long_ago)
{
    static const char answer[] = "*4\r\n$1\r\nv\r\n:-1\r\n:7\r\n:0\r\n";
    take("f", answer, 1); /* of a clock that began long before */
    ck_assert(!cache_reads_is_fresh(node.reads, slice_of("f"), 1));
    ck_assert(cache_reads_is_fresh(node.reads, slice_of("f"), clock_mono_ms() + HOUR_MS));
    cache_reads_ahead(node.reads, slice_of("s"));
    fake_have("s", "stored", 7);
    ck_assert(!cache_reads_is_fresh(node.reads, slice_of("s"), UINT64_MAX) && knows("s"));
}
END_TEST

START_TEST(a_copy_does_not_outlive_its_object)
{
    char answer[128];
    cache_turn_begin(&node.turn);
    snprintf(answer, sizeof answer, "*4\r\n$1\r\nv\r\n:%lld\r\n:7\r\n:0\r\n",
             (long long)cache_db_now_ms(node.db) + 40);
    take("f", answer, clock_mono_ms());
    ck_assert(knows("f"));
    node_until(
        (cache_turn_begin(&node.turn), !cache_reads_is_fresh(node.reads, slice_of("f"), HOUR_MS)));
    ck_assert(!knows("f"));
}
END_TEST

/* Its value is written in the client's version; what is no such answer is not, and nothing is kept. */
START_TEST(what_the_client_gets)
{
    struct resp_reply reply = {.version = 3};
    struct slice key = slice_of("f");
    ck_assert(!cache_reads_take(node.reads, key, slice_of("$1\r\nv\r\n"), asked(1), &reply, NULL));
    ck_assert(reply.out.len == 0 && cache_reads_count(node.reads) == 0);
    ck_assert(cache_reads_take(node.reads, key, slice_of("*4\r\n$-1\r\n:-1\r\n:0\r\n:0\r\n"),
                               asked(1), &reply, NULL));
    ck_assert_str_eq(buffer_text(&reply.out), "_\r\n");
    leased = true;
    ck_assert(cache_reads_take(node.reads, slice_of("o"),
                               slice_of("*4\r\n$1\r\nv\r\n:-1\r\n:7\r\n:0\r\n"), asked(1), &reply,
                               NULL));
    ck_assert_str_eq(buffer_text(&reply.out), "_\r\n$1\r\nv\r\n");
    ck_assert_uint_eq(cache_reads_count(node.reads), 1); /* not what is ours by now */
    buffer_fini(&reply.out);
}
END_TEST

START_TEST(what_a_node_answers)
{
    int fd = connect_as(CACHE_STRONG);
    node_expect(fd, "SET o v PXAT 9999999999999\r\n", "+OK\r\n");
    uint64_t version = cache_db_peek(node.db, slice_of("o"))->version;
    char answer[128];
    snprintf(answer, sizeof answer, "*4\r\n$1\r\nv\r\n:9999999999999\r\n:%llu\r\n:0\r\n",
             (unsigned long long)version);
    node_expect(fd, "PLATOON.COPY o\r\n", answer);
    hold_send_cold(fd, "PLATOON.COPY a\r\n");
    fake_absent("a", 0);
    node_expect(fd, "", "*4\r\n$-1\r\n:-1\r\n:0\r\n:0\r\n");
    close(fd);
}
END_TEST

/* ---- what is written ---- */

/*
 * The key is written when its copy is on its way, and the answer is from before: who has asked reads it, and nobody
 * else does.
 */
START_TEST(written_while_it_is_asked_for)
{
    struct resp_reply reply = {.version = 2};
    struct cache_reads_when before = cache_reads_ask(node.reads);
    cache_reads_drop(node.reads, slice_of("f"));
    ck_assert(cache_reads_take(node.reads, slice_of("f"),
                               slice_of("*4\r\n$3\r\nold\r\n:-1\r\n:7\r\n:0\r\n"), before, &reply,
                               NULL));
    ck_assert_str_eq(buffer_text(&reply.out), "$3\r\nold\r\n");
    ck_assert(!knows("f"));
    buffer_clear(&reply.out);
    ck_assert(cache_reads_take(node.reads, slice_of("g"),
                               slice_of("*4\r\n$3\r\nold\r\n:-1\r\n:7\r\n:0\r\n"), before, &reply,
                               NULL));
    ck_assert(knows("g"));
    confirm("f", "new");
    ck_assert_str_eq(found("f", CACHE_BOUNDED), "new");
    buffer_fini(&reply.out);
}
END_TEST

static void each_is_dropped_by(const char *command)
{
    confirm("f", "old");
    int fd = connect_as(CACHE_STRONG);
    node_send(fd, command, strlen(command));
    ck_assert_msg(!cache_reads_is_fresh(node.reads, slice_of("f"), HOUR_MS), "%s", command);
    if (fake_find(FAKE_GET, "f") != NULL)
        fake_absent("f", 0);
    ck_assert_str_ne(node_read(fd), "");
    node_expect(fd, "DEL f\r\n", strstr(command, "DEL ") == NULL ? ":1\r\n" : ":0\r\n");
    close(fd);
}

START_TEST(who_writes_drops_the_copy)
{
    static const char *const commands[] = {"SET f new\r\n", "MSET a 1 f new b 2\r\n",
                                           "APPEND f new\r\n", "DEL a f\r\n",
                                           "MULTI\r\nSET f new\r\nEXEC\r\n"};
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        each_is_dropped_by(commands[i]);
}
END_TEST

START_TEST(who_only_reads_does_not)
{
    int fd = connect_as(CACHE_EVENTUAL);
    confirm("f", "old");
    node_expect(fd, "GET f\r\nMGET f f\r\nSET g new\r\nPING\r\n",
                "$3\r\nold\r\n*2\r\n$3\r\nold\r\n$3\r\nold\r\n+OK\r\n+PONG\r\n");
    ck_assert(cache_reads_is_fresh(node.reads, slice_of("f"), HOUR_MS));
    close(fd);
}
END_TEST

/* What was asked for before is older than that, and must not be there behind it. */
START_TEST(written_while_it_was_loaded)
{
    int fd = connect_as(CACHE_EVENTUAL);
    hold_send_cold(fd, "GET f\r\n");
    cache_reads_drop(node.reads, slice_of("f"));
    fake_have("f", "old", 7);
    ck_assert_str_eq(node_read(fd), "");
    ck_assert(!knows("f") && fake.made[FAKE_GET] == 2);
    fake_have("f", "new", 8);
    node_expect(fd, "", "$3\r\nnew\r\n");
    close(fd);
}
END_TEST

START_TEST(written_by_a_call)
{
    char why[CACHE_ACCESS_WHY_SIZE];
    bool was;
    confirm("f", "old");
    cache_turn_begin(&node.turn);
    ck_assert(cache_access_set(&node, slice_of("f"), slice_of("new"), CACHE_NEVER, 0, why));
    ck_assert(!cache_reads_is_fresh(node.reads, slice_of("f"), HOUR_MS));
    confirm("f", "old");
    ck_assert(cache_access_delete(&node, slice_of("f"), &was, why) && was);
    ck_assert(!cache_reads_is_fresh(node.reads, slice_of("f"), HOUR_MS));
}
END_TEST

/* ---- calls ---- */

START_TEST(calls_wait_as_commands_do)
{
    static const char call[] = "{\"get\":\"f\",\"consistency\":false}";
    struct cache_need need = {0};
    struct buffer out = BUFFER_EMPTY;
    ck_assert(!cache_call(&node, slice_of(call), &out, &need));
    ck_assert(need.waits && need.what == CACHE_PARKED_COPY);
    ck_assert(slice_is(buffer_slice(&need.key), "f"));
    need.looks = true;
    ck_assert(!cache_call(&node, slice_of(call), &out, &need));
    ck_assert_uint_eq(fake.made[FAKE_GET], 1);
    fake_have("f", "value", 7);
    need.looks = false;
    ck_assert(cache_call(&node, slice_of(call), &out, &need));
    ck_assert_str_eq(buffer_text(&out), "{\"ok\":\"value\"}");
    ck_assert_uint_eq(cache_db_count(node.db), 0);
    need.waits = false;
    ck_assert(!cache_call(&node, slice_of("{\"get\":\"o\",\"consistency\":false}"), &out, &need));
    ck_assert(need.waits && need.what == CACHE_PARKED_LOAD);
    buffer_fini(&need.key);
    buffer_fini(&out);
}
END_TEST

/* Of a bounded one nothing is left to say when there is no copy that is fresh: it is strong then. */
START_TEST(bounded_calls)
{
    struct cache_need need = {.consistency = CACHE_BOUNDED, .bound_ms = HOUR_MS};
    struct slice value;
    cache_turn_begin(&node.turn);
    confirm("f", "value");
    ck_assert_int_eq(cache_need_where_read(&node, slice_of("f"), &need), CACHE_NEED_HERE);
    ck_assert_int_eq(need.consistency, CACHE_BOUNDED);
    ck_assert(cache_access_get(&node, slice_of("f"), need.consistency, &value, NULL));
    ck_assert(slice_is(value, "value"));
    ck_assert_int_eq(cache_need_where_read(&node, slice_of("g"), &need), CACHE_NEED_WAITS);
    ck_assert(need.consistency == CACHE_STRONG && need.what == CACHE_PARKED_LOAD);
    buffer_fini(&need.key);
}
END_TEST

/* ---- memory ---- */

static struct buffer large;

static const char *large_value(size_t len)
{
    buffer_clear(&large);
    memset(buffer_reserve(&large, len + 1), 'x', len);
    large.len = len;
    return buffer_text(&large);
}

static void open_small(void)
{
    node.options.memory_max = (size_t)2 << 20;
    open_anew(HOLD_TIMEOUT_MS);
}

/* Copies are memory of the node, and an eighth of it at most. */
START_TEST(copies_are_counted)
{
    char key[16];
    open_small();
    size_t before = cache_db_bytes(node.db);
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "f%d", i);
        cache_reads_ahead(node.reads, slice_of(key));
        fake_have(key, large_value(1000), 7);
        ck_assert_uint_le(cache_db_bytes(node.db) - before, node.options.memory_max / 8);
    }
    ck_assert_uint_gt(cache_db_bytes(node.db) - before, node.options.memory_max / 16);
    ck_assert(knows("f999") && !knows("f0"));
    cache_db_spare(node.db, NULL, NULL);
    size_t with = cache_db_bytes(node.db), count = cache_reads_count(node.reads);
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "f%d", i);
        cache_reads_drop(node.reads, slice_of(key));
    }
    ck_assert(count > 100 && with - cache_db_bytes(node.db) > count * 1000);
    buffer_fini(&large);
}
END_TEST

static void fill(int from, int to)
{
    char key[16];
    cache_turn_begin(&node.turn);
    for (int i = from; i < to; i++) {
        snprintf(key, sizeof key, "o%d", i);
        cache_db_learn(node.db, slice_of(key), slice_of(large_value(1000)), 7, CACHE_NEVER,
                       CACHE_FORM_BYTES);
    }
}

/* They go before objects do, but for some; and all of them before anybody is refused for want of room. */
START_TEST(copies_go_first)
{
    char key[16];
    open_small();
    for (int i = 0; i < 300; i++) {
        snprintf(key, sizeof key, "f%d", i);
        cache_reads_ahead(node.reads, slice_of(key));
        fake_have(key, large_value(1000), 7);
    }
    size_t full = cache_reads_count(node.reads);
    for (int i = 0; cache_db_stats(node.db)->evicted == 0 && i < 5000; i++)
        fill(i, i + 1);
    ck_assert(cache_reads_count(node.reads) < full / 3 && cache_reads_count(node.reads) > 0);
    fill(5000, 10000);
    ck_assert_uint_gt(cache_reads_count(node.reads), 0);
    size_t objects = cache_db_bytes(node.db);
    cache_db_charge(node.db, (ptrdiff_t)objects); /* what clients hold: nothing is left to evict */
    ck_assert_int_eq(cache_db_room(node.db), CACHE_FAULT_OOM);
    ck_assert_uint_eq(cache_reads_count(node.reads), 0);
    cache_db_charge(node.db, -(ptrdiff_t)objects);
    buffer_fini(&large);
}
END_TEST

/* It is there for who has waited, and memory has it back behind that. */
START_TEST(what_is_too_large_for_a_copy)
{
    open_small();
    int fd = connect_as(CACHE_EVENTUAL);
    node_turn(2);
    size_t before = cache_db_bytes(node.db), len = node.options.memory_max / 10;
    for (int round = 1; round <= 2; round++) {
        hold_send_cold(fd, "GET f\r\n");
        ck_assert_uint_eq(fake.made[FAKE_GET], (size_t)round);
        fake_have("f", large_value(len), 7);
        struct buffer came = BUFFER_EMPTY;
        while (came.len < len + 11)
            buffer_append_text(&came, node_read(fd));
        ck_assert(strncmp(buffer_text(&came), "$209715\r\nxxx", 12) == 0 && came.len == len + 11);
        buffer_fini(&came);
        node_turn(2);
        ck_assert(cache_reads_count(node.reads) == 0 && !knows("f"));
        ck_assert_uint_le(cache_db_bytes(node.db), before);
    }
    buffer_fini(&large);
    close(fd);
}
END_TEST

/* Several of those are not there together: that is said, and it does not go on for ever. */
START_TEST(what_does_not_fit_together)
{
    open_small();
    int fd = connect_as(CACHE_EVENTUAL);
    size_t len = node.options.memory_max / 10;
    hold_send_cold(fd, "MGET f g\r\n");
    const char *came = "";
    for (int i = 0; i < 100 && came[0] == '\0'; i++) {
        if (fake_find(FAKE_GET, "f") != NULL)
            fake_have("f", large_value(len), 7);
        if (fake_find(FAKE_GET, "g") != NULL)
            fake_have("g", large_value(len), 7);
        came = node_read(fd);
    }
    ck_assert_msg(strstr(came, "-TRYAGAIN the objects of this command do not fit") == came, "%s",
                  came);
    buffer_fini(&large);
    close(fd);
}
END_TEST

START_TEST(memory_that_is_short)
{
    bool made = false;
    for (long n = 1; !made; n++) {
        short_memory_fail(n, false);
        struct cache_reads *r = reads_new();
        short_memory_fail(0, false);
        made = r != NULL;
        if (made)
            cache_reads_free(r);
    }
    cache_db_spare(node.db, NULL, NULL);
    int fd = connect_as(CACHE_EVENTUAL);
    hold_send_cold(fd, "GET f\r\n");
    struct backing_answer answer = {
        .result = BACKING_DONE, .meta = {.version = 7, .expiry_ms = BACKING_NEVER}, .why = ""};
    struct fake_call *call = fake_find(FAKE_GET, "f"), copy = *call;
    answer.value = slice_of("value");
    call->used = false;
    short_memory_fail(1, true); /* of Check itself, too: nothing is asserted meanwhile */
    copy.fn(&answer, copy.ctx);
    short_memory_fail(0, false);
    ck_assert_str_eq(node_read(fd), "");
    node_until(fake_find(FAKE_GET, "f") != NULL); /* asked for once more */
    fake_have("f", "value", 7);
    node_expect(fd, "", "$5\r\nvalue\r\n");
    close(fd);
}
END_TEST

SUITE_MAIN_WITH("cache_reads", set_up, tear_down, what_is_anothers_becomes_a_copy, what_is_absent,
                a_cold_pipeline, of_several_keys, what_the_store_does_not_give,
                what_was_sent_behind_waits_once, what_is_ours_is_read_as_ever,
                when_the_lease_is_over, what_becomes_ours_meanwhile, what_the_owner_confirmed,
                not_what_was_ours, how_long_ago, a_copy_does_not_outlive_its_object,
                what_the_client_gets, what_a_node_answers, who_writes_drops_the_copy,
                who_only_reads_does_not, written_while_it_was_loaded, written_while_it_is_asked_for,
                written_by_a_call, calls_wait_as_commands_do, bounded_calls, copies_are_counted,
                copies_go_first, what_is_too_large_for_a_copy, what_does_not_fit_together,
                memory_that_is_short)
