/* ring_fixture.c: a ring in a real redis-server. See ring_fixture.h. */
#include "test/unit/cache/ring_fixture.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

#define RING_WAIT_MS 20000

/* Sorted, because Redis gives hashes and keys in any order. */
static const char ring_digest_text[] =
    "local all, keys = {}, redis.call('KEYS', '*') table.sort(keys) "
    "for _, k in ipairs(keys) do all[#all + 1] = k "
    "if redis.call('TYPE', k).ok == 'hash' then local h, rows = redis.call('HGETALL', k), {} "
    "for i = 1, #h, 2 do rows[#rows + 1] = h[i] .. '\\0' .. h[i + 1] end table.sort(rows) "
    "all[#all + 1] = table.concat(rows, '\\0') else all[#all + 1] = redis.call('GET', k) end end "
    "return redis.sha1hex(table.concat(all, '\\0'))";

struct ring_fixture ring;

static void on_ready(struct redis_conn *c, void *ctx)
{
    (void)c;
    (void)ctx;
}

static void on_lost(struct redis_conn *c, const char *why, void *ctx)
{
    (void)c;
    (void)ctx;
    ck_abort_msg("%s", why);
}

static void on_reply(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    (void)c;
    (void)ctx;
    ck_assert_ptr_nonnull(reply);
    ring.answered = true;
    ring.type = reply->type;
    ring.integer = reply->integer;
    free(ring.answer);
    ring.answer_len = reply->str != NULL ? reply->len : 0;
    ring.answer = malloc(ring.answer_len + 1);
    memcpy(ring.answer, reply->str != NULL ? reply->str : "", ring.answer_len);
    ring.answer[ring.answer_len] = '\0';
}

static void on_limit(uv_timer_t *timer)
{
    (void)timer;
    ck_abort_msg("no answer within %d ms: %s", RING_WAIT_MS, redis_conn_trouble(ring.conn));
}

static void wait_for(bool (*is)(void))
{
    uv_timer_start(&ring.limit, on_limit, RING_WAIT_MS, 0);
    while (!is())
        uv_run(&ring.loop, UV_RUN_ONCE);
    uv_timer_stop(&ring.limit);
}

static bool is_ready(void)
{
    return redis_conn_ready(ring.conn);
}

static bool is_answered(void)
{
    return ring.answered;
}

void ring_set_up(void)
{
    static const struct redis_conn_events events = {.on_ready = on_ready, .on_lost = on_lost};
    char url[200], why[300] = "";
    ring = (struct ring_fixture){.options = REDIS_OPTIONS_DEFAULT, .run = slice_of("run-1")};
    redis_fixture_init(&ring.server);
    redis_fixture_start(&ring.server, false, NULL);
    ck_assert_int_eq(uv_loop_init(&ring.loop), 0);
    uv_timer_init(&ring.loop, &ring.limit);
    snprintf(url, sizeof url, "unix://%s", ring.server.socket);
    ck_assert_int_eq(redis_options_parse_url(&ring.options, url, why, sizeof why), 0);
    ring.conn = redis_conn_new(&ring.loop, &ring.options, &events, NULL, why, sizeof why);
    ck_assert_msg(ring.conn != NULL, "%s", why);
    for (int i = 0; i < CACHE_RING_SCRIPT_COUNT; i++) {
        const char *text = cache_ring_script_text((enum cache_ring_script)i);
        ring.scripts[i] = redis_conn_add_script(ring.conn, text);
        ck_assert_int_ge(ring.scripts[i], 0);
    }
    ck_assert_int_eq(cache_ring_prefix(ring.prefix, "c"), 0);
    wait_for(is_ready);
}

void ring_tear_down(void)
{
    redis_conn_free(ring.conn);
    ring.conn = NULL;
    uv_close((uv_handle_t *)&ring.limit, NULL);
    uv_run(&ring.loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&ring.loop), 0);
    redis_options_fini(&ring.options);
    cache_ring_call_fini(&ring.call);
    free(ring.answer);
    redis_fixture_fini(&ring.server);
}

void ring_redis(const char *format, ...)
{
    char line[2048];
    struct slice words[32];
    size_t count = 0;
    va_list args;
    va_start(args, format);
    ck_assert_int_lt(vsnprintf(line, sizeof line, format, args), (int)sizeof line);
    va_end(args);
    for (char *word = strtok(line, " "); word != NULL && count < 32; word = strtok(NULL, " "))
        words[count++] = slice_of(word);
    ring.answered = false;
    ck_assert_int_eq(redis_conn_command(ring.conn, count, words, on_reply, NULL), 0);
    wait_for(is_answered);
    ck_assert_msg(ring.type != REDIS_REPLY_ERROR, "%s: %s", format, ring.answer);
}

void ring_eval(const char *text)
{
    struct slice words[] = {slice_of("EVAL"), slice_of(text), slice_of("0")};
    ring.answered = false;
    ck_assert_int_eq(redis_conn_command(ring.conn, 3, words, on_reply, NULL), 0);
    wait_for(is_answered);
    ck_assert_msg(ring.type != REDIS_REPLY_ERROR, "%s", ring.answer);
}

const char *ring_digest(void)
{
    static char digests[2][64];
    static int turn;
    ring_eval(ring_digest_text);
    char *digest = digests[turn = !turn];
    snprintf(digest, sizeof digests[0], "%s", ring.answer);
    return digest;
}

void ring_open(void)
{
    ring_redis("HSET %sring from_us 0", ring.prefix);
}

/* ---- calls ---- */

void ring_send(void)
{
    struct slice key = slice_of(ring.prefix);
    ring.answered = false;
    ck_assert_int_eq(redis_conn_script(ring.conn, ring.scripts[ring.call.script], 1, &key,
                                       ring.call.count, ring.call.args, on_reply, NULL),
                     0);
    wait_for(is_answered);
}

/* Sends ring.call, of which `rc` was told. */
static struct slice ring_ask(int rc)
{
    ck_assert_int_eq(rc, 0);
    ring_send();
    const char *name = cache_ring_script_name(ring.call.script);
    ck_assert_msg(ring.type == REDIS_REPLY_STRING, "%s: %s", name, ring.answer);
    return slice_make(ring.answer, ring.answer_len);
}

const char *ring_refused(void)
{
    ring_send();
    ck_assert_int_eq(ring.type, REDIS_REPLY_ERROR);
    return ring.answer;
}

static struct cache_ring_answer ring_plain(int rc)
{
    struct cache_ring_answer a;
    ck_assert(cache_ring_read(ring_ask(rc), &a));
    return a;
}

struct cache_ring_member ring_member(const char *name, const char *platoon)
{
    return (struct cache_ring_member){
        .seed = slice_of("0123456789abcdef"),
        .store = slice_of("s3 bucket"),
        .copies = 1,
        .lease_ms = RING_LEASE_MS,
        .name = slice_of(name),
        .host = slice_of("front1"),
        .platoon = slice_of(platoon != NULL ? platoon : "p1"),
        .address = slice_of("10.0.0.1:6390"),
        .token = slice_of("start1"),
    };
}

struct cache_ring_answer ring_join(const struct cache_ring_member *m, struct cache_ring_joined *j)
{
    struct cache_ring_answer a;
    ck_assert(cache_ring_read_joined(ring_ask(cache_ring_join(&ring.call, ring.run, m)), &a, j));
    return a;
}

struct cache_ring_holder ring_node(const char *name, const char *platoon)
{
    struct cache_ring_member m = ring_member(name, platoon);
    struct cache_ring_joined j;
    ck_status(ring_join(&m, &j), OK);
    ring_open();
    return j.who;
}

struct cache_ring_answer ring_beat(const char *manager, uint64_t gen,
                                   const struct cache_ring_holder *nodes, size_t count,
                                   enum cache_ring_pulse *pulses, struct cache_ring_beaten *b)
{
    struct cache_ring_answer a;
    struct slice bytes = ring_ask(cache_ring_beat(&ring.call, ring.run, slice_of(manager),
                                                  slice_of("front1"), gen, nodes, count));
    ck_assert(cache_ring_read_beaten(bytes, &a, b, pulses, count));
    return a;
}

static struct cache_ring_answer ring_owners(int rc, struct cache_ring_owner *owners, size_t count)
{
    struct cache_ring_answer a;
    ck_assert(cache_ring_read_owners(ring_ask(rc), &a, owners, count));
    return a;
}

struct cache_ring_answer ring_claim(struct cache_ring_holder who, const uint64_t *cells,
                                    size_t count, struct cache_ring_owner *owners)
{
    return ring_owners(cache_ring_claim(&ring.call, ring.run, &who, cells, count), owners, count);
}

struct cache_ring_answer ring_held(struct cache_ring_holder who,
                                   const struct cache_ring_held *cells, size_t count,
                                   struct cache_ring_owner *owners)
{
    return ring_owners(cache_ring_held(&ring.call, ring.run, &who, cells, count), owners, count);
}

struct cache_ring_answer ring_look(const uint64_t *cells, size_t count,
                                   struct cache_ring_owner *owners)
{
    return ring_owners(cache_ring_look(&ring.call, ring.run, cells, count), owners, count);
}

struct cache_ring_answer ring_release(struct cache_ring_holder who,
                                      const struct cache_ring_held *cells, size_t count)
{
    return ring_plain(cache_ring_release(&ring.call, ring.run, &who, cells, count));
}

struct cache_ring_answer ring_lost(const char *manager, uint64_t incarnation, uint64_t beats)
{
    return ring_plain(cache_ring_lost(&ring.call, ring.run, slice_of(manager), incarnation, beats));
}

struct cache_ring_answer ring_forget(struct cache_ring_holder lost, bool even)
{
    return ring_plain(cache_ring_forget(&ring.call, ring.run, &lost, even));
}

struct cache_ring_answer ring_leave(struct cache_ring_holder who)
{
    return ring_plain(cache_ring_leave(&ring.call, ring.run, &who));
}

struct cache_ring_answer ring_retire(const char *manager, const uint64_t *beats)
{
    return ring_plain(cache_ring_retire(&ring.call, ring.run, slice_of(manager), beats));
}

struct cache_ring_answer ring_copy(struct cache_ring_holder who,
                                   const struct cache_ring_copy *copies, size_t count)
{
    return ring_plain(cache_ring_copy(&ring.call, ring.run, &who, copies, count));
}

struct cache_ring_answer ring_drop(struct cache_ring_holder who,
                                   const struct cache_ring_copy *copies, size_t count)
{
    return ring_plain(cache_ring_drop(&ring.call, ring.run, &who, copies, count));
}

struct cache_ring_answer ring_copies(uint64_t incarnation, const char *cursor, uint64_t *mark,
                                     bool *lost, struct cache_ring_page *page)
{
    struct cache_ring_answer a;
    struct slice bytes =
        ring_ask(cache_ring_copies(&ring.call, ring.run, incarnation, slice_of(cursor)));
    ck_assert(cache_ring_read_copies(bytes, &a, mark, lost, page));
    return a;
}

struct cache_ring_answer ring_sweep(uint64_t incarnation, struct cache_ring_page *page)
{
    struct cache_ring_answer a;
    struct slice bytes = ring_ask(
        cache_ring_sweep(&ring.call, ring.run, incarnation, page->bucket, slice_of(page->cursor)));
    ck_assert(cache_ring_read_swept(bytes, &a, page));
    return a;
}

struct cache_ring_answer ring_free(struct cache_ring_page *page)
{
    struct cache_ring_answer a;
    struct slice bytes =
        ring_ask(cache_ring_free(&ring.call, ring.run, page->bucket, slice_of(page->cursor)));
    ck_assert(cache_ring_read_freed(bytes, &a, page));
    return a;
}

/* ---- what tests often want ---- */

uint64_t ring_take(struct cache_ring_holder who, uint64_t cell)
{
    struct cache_ring_owner owner;
    ck_status(ring_claim(who, &cell, 1, &owner), OK);
    ck_assert_int_eq(owner.state, CACHE_RING_OURS);
    return owner.value;
}

struct cache_ring_owner ring_owner(uint64_t cell)
{
    struct cache_ring_owner owner;
    ck_status(ring_look(&cell, 1, &owner), OK);
    return owner;
}

uint64_t ring_beats(const char *who)
{
    ring_redis("HGET %sbeats %s", ring.prefix, who);
    return strtoull(ring.answer, NULL, 10);
}

struct cache_ring_holder ring_lose(struct cache_ring_holder who)
{
    char inc[24];
    snprintf(inc, sizeof inc, "%" PRIu64, who.incarnation);
    ring_redis("SET %smaster m", ring.prefix);
    struct cache_ring_answer a = ring_lost("m", who.incarnation, ring_beats(inc));
    ck_status(a, OK);
    return (struct cache_ring_holder){who.incarnation, a.value};
}

size_t ring_sweep_all(uint64_t incarnation, struct cache_ring_held *cells, size_t most)
{
    struct cache_ring_page page = {.cursor = "0", .more = true};
    struct cache_ring_held cell;
    size_t count = 0;
    while (page.more) {
        ck_status(ring_sweep(incarnation, &page), OK);
        for (; cache_ring_next_cell(&page.list, &cell); count++)
            if (count < most)
                cells[count] = cell;
        ck_assert(cache_ring_list_ok(&page.list));
    }
    return count;
}

uint64_t ring_free_all(void)
{
    struct cache_ring_page page = {.cursor = "0", .more = true};
    uint64_t count = 0;
    while (page.more) {
        struct cache_ring_answer a = ring_free(&page);
        ck_status(a, OK);
        count += a.value;
    }
    return count;
}
