/* queue_fixture.c: queues in a real redis-server. See queue_fixture.h. */
#include "test/unit/queue/queue_fixture.h"

#include "common/clock.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define QUEUE_WAIT_S 20

struct queue_fixture queue;
struct queue_pulled pulled[QUEUE_PULL_MAX];

/* ---- the server ---- */

static void answer(redisReply *reply)
{
    ck_assert_msg(reply != NULL, "no answer: %s", queue.redis->errstr);
    freeReplyObject(queue.reply);
    queue.reply = reply;
}

redisReply *queue_command(size_t count, const struct slice *words)
{
    const char *argv[4096];
    size_t lens[4096];
    ck_assert_uint_le(count, 4096);
    for (size_t i = 0; i < count; i++) {
        argv[i] = words[i].ptr;
        lens[i] = words[i].len;
    }
    answer(redisCommandArgv(queue.redis, (int)count, argv, lens));
    return queue.reply;
}

static void set_up_cluster(void)
{
    queue_redis("CLUSTER ADDSLOTSRANGE 0 16383");
    uint64_t deadline = clock_mono_ms() + QUEUE_WAIT_S * 1000;
    while (strstr(queue_redis("CLUSTER INFO"), "cluster_state:ok") == NULL)
        ck_assert_uint_lt(clock_mono_ms(), deadline);
}

static void load_library(void)
{
    const struct slice words[] = {slice_of("FUNCTION"), slice_of("LOAD"), slice_of("REPLACE"),
                                  slice_of(redis_library_queue)};
    queue_command(4, words);
    ck_assert_str_eq(queue_text(), "platoon");
}

static void set_up(enum queue_way way)
{
    queue =
        (struct queue_fixture){.way = way, .space = way == QUEUE_IN_CLUSTER ? "{shop}:" : "shop:"};
    redis_fixture_init(&queue.server);
    /* Else its bus would have the port 10,000 above the other, which nobody has looked at: the server ends when it is
     * taken, after it has accepted who connects. */
    char bus[16];
    snprintf(bus, sizeof bus, "%d", queue.server.tls_port);
    const char *cluster[] = {"--cluster-enabled", "yes", "--cluster-port", bus, NULL};
    redis_fixture_start(&queue.server, way == QUEUE_IN_CLUSTER,
                        way == QUEUE_IN_CLUSTER ? cluster : NULL);
    const struct timeval wait = {.tv_sec = QUEUE_WAIT_S};
    queue.redis = redisConnectUnixWithTimeout(queue.server.socket, wait);
    ck_assert(queue.redis != NULL && queue.redis->err == 0);
    redisSetTimeout(queue.redis, wait);
    if (way == QUEUE_IN_CLUSTER)
        set_up_cluster();
    if (way != QUEUE_BY_EVALSHA)
        load_library();
}

void queue_set_up_evalsha(void)
{
    set_up(QUEUE_BY_EVALSHA);
}

void queue_set_up_fcall(void)
{
    set_up(QUEUE_BY_FCALL);
}

static void set_up_in_cluster(void)
{
    set_up(QUEUE_IN_CLUSTER);
}

void queue_tear_down(void)
{
    freeReplyObject(queue.reply);
    redisFree(queue.redis);
    free(queue.text);
    redis_fixture_fini(&queue.server);
}

int queue_suite(const char *name, const TTest *const *tests, size_t count)
{
    static void (*const set_ups[QUEUE_WAYS])(void) = {queue_set_up_evalsha, queue_set_up_fcall,
                                                      set_up_in_cluster};
    static const char *const ways[QUEUE_WAYS] = {"evalsha", "fcall", "cluster"};
    Suite *suite = suite_create(name);
    for (int way = 0; way < QUEUE_WAYS; way++) {
        TCase *tc = tcase_create(ways[way]);
        tcase_set_timeout(tc, SUITE_TIMEOUT_S);
        tcase_add_checked_fixture(tc, set_ups[way], queue_tear_down);
        for (size_t i = 0; i < count; i++)
            tcase_add_test(tc, tests[i]);
        suite_add_tcase(suite, tc);
    }
    return suite_end(suite);
}

/* ---- replies as text ---- */

static size_t text_used;

static void text_add(const char *bytes, size_t len)
{
    if (text_used + 2 * len + 1 > queue.text_size) {
        queue.text_size = 2 * (text_used + 2 * len + 1);
        queue.text = realloc(queue.text, queue.text_size);
        ck_assert_ptr_nonnull(queue.text);
    }
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] == '\0')
            queue.text[text_used++] = '\\';
        queue.text[text_used++] = bytes[i] == '\0' ? '0' : bytes[i];
    }
    queue.text[text_used] = '\0';
}

static void text_reply(const redisReply *r)
{
    char number[32];
    if (r->type == REDIS_REPLY_INTEGER) {
        text_add(number, (size_t)snprintf(number, sizeof number, "%lld", r->integer));
    } else if (r->type == REDIS_REPLY_ARRAY) {
        text_add("[", 1);
        for (size_t i = 0; i < r->elements; i++) {
            text_add(" ", i > 0);
            text_reply(r->element[i]);
        }
        text_add("]", 1);
    } else if (r->type == REDIS_REPLY_NIL) {
        text_add("nil", 3);
    } else {
        text_add("!", r->type == REDIS_REPLY_ERROR);
        text_add(r->str, r->len);
    }
}

const char *queue_text(void)
{
    text_used = 0;
    text_add("", 0);
    text_reply(queue.reply);
    return queue.text;
}

const char *queue_redis(const char *format, ...)
{
    char line[4096], spaced[4096];
    struct slice words[64];
    size_t count = 0, used = 0;
    va_list args;
    va_start(args, format);
    ck_assert_int_lt(vsnprintf(line, sizeof line, format, args), (int)sizeof line);
    va_end(args);
    for (const char *c = line; *c != '\0'; c++) {
        bool space = c[0] == '@' && c[1] == 'N';
        used += (size_t)snprintf(spaced + used, sizeof spaced - used, "%.*s", space ? 64 : 1,
                                 space ? queue.space : c);
        ck_assert_uint_lt(used, sizeof spaced);
        c += space;
    }
    for (char *word = strtok(spaced, " "); word != NULL && count < 64; word = strtok(NULL, " "))
        words[count++] = slice_of(word);
    queue_command(count, words);
    return queue_text();
}

/* ---- calls ---- */

static struct slice function_name(enum queue_script script)
{
    static char name[64];
    snprintf(name, sizeof name, "platoon_%s", queue_script_name(script) + strlen("queue_"));
    return slice_of(name);
}

redisReply *queue_call_words(enum queue_script script, size_t count, const struct slice *args)
{
    struct slice words[4096];
    ck_assert_uint_lt(count + 4, 4096);
    bool text = queue.way == QUEUE_BY_EVALSHA;
    words[0] = slice_of(text ? "EVAL" : "FCALL");
    words[1] = text ? slice_of(queue_script_text(script)) : function_name(script);
    words[2] = slice_of("1");
    words[3] = slice_of(queue.space);
    for (size_t i = 0; i < count; i++)
        words[4 + i] = args[i];
    return queue_command(count + 4, words);
}

redisReply *queue_call(enum queue_script script, ...)
{
    struct slice args[1200];
    size_t count = 0;
    va_list list;
    va_start(list, script);
    for (const char *arg; (arg = va_arg(list, const char *)) != NULL; count++) {
        ck_assert_uint_lt(count, 1200);
        args[count] = slice_of(arg);
    }
    va_end(list);
    return queue_call_words(script, count, args);
}

long long queue_int(const redisReply *reply)
{
    ck_assert_msg(reply->type == REDIS_REPLY_INTEGER, "%s", queue_text());
    return reply->integer;
}

struct slice queue_packed(const redisReply *reply)
{
    ck_assert_msg(reply->type == REDIS_REPLY_STRING, "%s", queue_text());
    return slice_make(reply->str, reply->len);
}

void queue_register_with(const char *name, const char *pattern, int attempts, int retry_ms,
                         int message_max)
{
    char numbers[3][16];
    snprintf(numbers[0], sizeof numbers[0], "%d", attempts);
    snprintf(numbers[1], sizeof numbers[1], "%d", retry_ms);
    snprintf(numbers[2], sizeof numbers[2], "%d", message_max);
    long long was =
        q_int(REGISTER, name, pattern, "0", numbers[0], numbers[1], numbers[1], numbers[2]);
    ck_assert_int_ge(was, 0);
}

void queue_register(const char *name, const char *pattern)
{
    queue_register_with(name, pattern, 5, 0, 1048576);
}

void queue_register_raw(const char *name, const char *pattern)
{
    ck_assert_int_ge(q_int(REGISTER, name, pattern, "1"), 0);
}

const char *queue_deliver(const char *topic, const char *facet, const char *body)
{
    static char ids[8][32];
    static unsigned next;
    char *id = ids[next++ % 8];
    queue_call(QUEUE_SCRIPT_QUEUE_DELIVER, topic, facet, body, NULL);
    ck_assert_msg(queue.reply->type == REDIS_REPLY_ARRAY, "%s", queue_text());
    snprintf(id, sizeof ids[0], "%s", queue.reply->element[0]->str);
    return id;
}

static void copy_text(char *to, size_t size, const redisReply *from)
{
    ck_assert_uint_lt(from->len, size);
    memcpy(to, from->str, from->len + 1);
}

size_t queue_pull(const char *name, int count, int lease_ms)
{
    char number[16], lease[16];
    snprintf(number, sizeof number, "%d", count);
    snprintf(lease, sizeof lease, "%d", lease_ms);
    memset(pulled, 0, sizeof pulled);
    queue_call(QUEUE_SCRIPT_QUEUE_PULL, "me", number, lease, name, NULL);
    ck_assert_msg(queue.reply->type == REDIS_REPLY_ARRAY, "%s", queue_text());
    ck_assert_uint_le(queue.reply->elements, QUEUE_PULL_MAX);
    for (size_t i = 0; i < queue.reply->elements; i++) {
        redisReply **m = queue.reply->element[i]->element;
        ck_assert_uint_eq(queue.reply->element[i]->elements, 6);
        copy_text(pulled[i].queue, sizeof pulled[i].queue, m[0]);
        copy_text(pulled[i].receipt, sizeof pulled[i].receipt, m[1]);
        pulled[i].attempt = m[2]->integer;
        copy_text(pulled[i].facet, sizeof pulled[i].facet, m[3]);
        pulled[i].at_ms = m[4]->integer;
        if (m[5]->len < sizeof pulled[i].body)
            copy_text(pulled[i].body, sizeof pulled[i].body, m[5]);
    }
    return queue.reply->elements;
}

const char *queue_bodies(const char *name, int count, int lease_ms)
{
    static char all[64 * 1024];
    size_t used = 0, n = queue_pull(name, count, lease_ms);
    all[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        used += (size_t)snprintf(all + used, sizeof all - used, "%s%s", i > 0 ? " " : "",
                                 pulled[i].body);
        ck_assert_uint_lt(used, sizeof all);
    }
    return all;
}

struct queue_status queue_status_of(const char *name)
{
    struct queue_status s;
    struct queue_list all;
    ck_assert(queue_read_status(q_packed(STATUS, name), &all));
    ck_assert(queue_next_status(&all, &s) && queue_list_ok(&all));
    return s;
}

long long queue_now(void)
{
    queue_redis("TIME");
    return atoll(queue.reply->element[0]->str) * 1000 + atoll(queue.reply->element[1]->str) / 1000;
}

void queue_sleep_until(long long redis_ms)
{
    while (queue_now() <= redis_ms)
        ;
}

/* ---- what always holds ---- */

static const char check_text[] =
    "local K, own, call = KEYS[1] .. ARGV[1] .. ':', KEYS[1] .. 'platoon:' .. ARGV[1] .. ':', "
    "redis.call "
    "local raw = call('HEXISTS', KEYS[1] .. 'platoon:queues', ARGV[1]) == 0 "
    "local turns, waiting, total = {}, 0, 0 "
    "for _, f in ipairs(call('LRANGE', K .. 'facet_queue', 0, -1)) do turns[f] = (turns[f] or 0) + "
    "1 total = total + 1 end "
    "local pool = call('HGETALL', K .. 'facet_pool') "
    "for i = 1, #pool, 2 do local n = tonumber(pool[i + 1]) "
    "if n <= 0 or n ~= turns[pool[i]] then return 'turns of ' .. pool[i] .. ': ' .. "
    "(turns[pool[i]] or 0) .. ' in the list, ' .. n .. ' in the pool' end "
    "turns[pool[i]] = nil end "
    "local stray = next(turns) if stray then return 'a turn of ' .. stray .. ' that the pool does "
    "not know' end "
    "local limit = tonumber(call('GET', K .. 'limit') or 0) "
    "local refs, flight, leased = {}, {}, call('ZRANGE', own .. 'leases', 0, -1) "
    "for _, f in ipairs(call('SMEMBERS', K .. 'active_facets')) do local list = call('LRANGE', K "
    ".. f, 0, -1) waiting = waiting + #list "
    "local w = tonumber(call('HGET', K .. 'priorities', f) or 1) local in_flight = "
    "tonumber(call('HGET', own .. 'flight', f) or 0) "
    "local has = tonumber(call('HGET', K .. 'facet_pool', f) or 0) "
    "if not raw and #list > 0 and w > 0 and has == 0 and (limit == 0 or in_flight < limit) then "
    "return f .. ' waits without a turn' end "
    "if #list + in_flight + has == 0 then return f .. ' is active without anything' end end "
    "local length = tonumber(call('GET', K .. 'length') or 0) "
    "if length ~= waiting then return 'length ' .. length .. ', but ' .. waiting .. ' wait' end "
    "for _, id in ipairs(leased) do local s = call('HGET', own .. 'held', 's' .. id) "
    "if not s then return 'leased, and not held: ' .. id end "
    "local where, _, _, _, f = cmsgpack.unpack(s) if where ~= 1 then return 'leased, and its state "
    "is ' .. where end "
    "flight[f] = (flight[f] or 0) + 1 end "
    "local said = call('HGETALL', own .. 'flight') "
    "for i = 1, #said, 2 do if tonumber(said[i + 1]) ~= flight[said[i]] then return 'in flight of "
    "' .. said[i] .. ': ' .. said[i + 1] end "
    "flight[said[i]] = nil end "
    "if next(flight) then return 'in flight, and not counted: ' .. next(flight) end "
    "local held, keys = call('HGETALL', own .. 'held'), {[1] = 'leases', [4] = 'later', [5] = "
    "'dead', [6] = 'dead'} "
    "for i = 1, #held, 2 do local name = held[i] if string.sub(name, 1, 1) == 's' then local id = "
    "string.sub(name, 2) "
    "if call('HEXISTS', own .. 'held', id) == 0 then return 'a state without a body: ' .. id end "
    "local key = keys[(cmsgpack.unpack(held[i + 1]))] "
    "if key and not call('ZSCORE', own .. key, id) then return id .. ' is not in ' .. key end "
    "elseif call('HEXISTS', own .. 'held', 's' .. name) == 0 then return 'a body without a state: "
    "' .. name end end "
    "return ''";

void queue_check(const char *name)
{
    const struct slice words[] = {slice_of("EVAL"), slice_of(check_text), slice_of("1"),
                                  slice_of(queue.space), slice_of(name)};
    queue_command(5, words);
    ck_assert_str_eq(queue_text(), "");
}

/* ---- the original's clients ---- */

/* As the layout says: for each queue that wants it list, length, a turn, facet; then everybody hears of it. */
static const char original_deliver_lua[] =
    "local n, topic, facet, body, call = KEYS[1], ARGV[1], ARGV[2], ARGV[3], redis.call "
    "local all = call('hgetall', n .. 'registered_queues') "
    "for i = 1, #all, 2 do if string.find(topic, all[i + 1]) then local q = n .. all[i] .. ':' "
    "local len = call('lpush', q .. facet, body) call('incr', q .. 'length') "
    "local has = tonumber(call('hget', q .. 'facet_pool', facet)) or 0 "
    "local most = tonumber(call('hget', q .. 'priorities', facet)) or 1 "
    "local limit = tonumber(call('get', q .. 'limit')) or 0 "
    "most = math.min(len, most) "
    "if limit > 0 then most = math.min(most, limit - call('scard', q .. facet .. ':inflight')) end "
    "if most > has then call('lpush', q .. 'facet_queue', facet) call('hset', q .. 'facet_pool', "
    "facet, has + 1) end "
    "call('sadd', q .. 'active_facets', facet) end end "
    "call('publish', n .. topic, body)";

static const char original_manage_lua[] =
    "local call, n = redis.call, KEYS[1] "
    "local function manage(q, f) "
    "local has = tonumber(call('hget', q .. 'facet_pool', f)) or 0 "
    "local most = tonumber(call('hget', q .. 'priorities', f)) or 1 "
    "local limit, busy, len = tonumber(call('get', q .. 'limit')) or 0, call('scard', q .. f .. "
    "':inflight'), call('llen', q .. f) "
    "most = math.min(len, most) if limit > 0 then most = math.min(most, limit - busy) end "
    "if most < has then call('hset', q .. 'facet_pool', f, has - 1) "
    "elseif most > has then call('lpush', q .. 'facet_queue', f, f) call('hset', q .. "
    "'facet_pool', f, has + 1) "
    "else call('lpush', q .. 'facet_queue', f) end "
    "if len == 0 and busy == 0 then call('hdel', q .. 'facet_pool', f) call('srem', q .. "
    "'active_facets', f) end end ";

static const char original_pull_lua[] =
    "for _, name in ipairs(ARGV) do local q = n .. name .. ':' local f = call('rpop', q .. "
    "'facet_queue') "
    "if f then local m = call('rpop', q .. f) if m then call('decr', q .. 'length') end manage(q, "
    "f) return {name, m} end end";

static const char original_leased_lua[] =
    "local count, wait, now = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(call('time')[1]) "
    "local q, out = n .. ARGV[1] .. ':', {} local f = call('rpop', q .. 'facet_queue') if not f "
    "then return false end "
    "for i = 1, count do local m = call('rpop', q .. f) if m then out[#out + 1] = m "
    "if wait ~= -1 then call('zadd', q .. 'inflight', now + wait, m) call('sadd', q .. f .. "
    "':inflight', m) end end end "
    "call('decrby', q .. 'length', #out) manage(q, f) return {ARGV[1], out}";

/* A script of the original's, of one or two parts. */
static const char *original(const char *first, const char *second, size_t count,
                            const struct slice *args)
{
    char text[4096];
    struct slice words[8] = {slice_of("EVAL"), {0}, slice_of("1"), slice_of(queue.space)};
    snprintf(text, sizeof text, "%s%s", first, second);
    words[1] = slice_of(text);
    for (size_t i = 0; i < count; i++)
        words[4 + i] = args[i];
    queue_command(4 + count, words);
    return queue_text();
}

const char *original_deliver_text(const char *topic, const char *facet, const char *body)
{
    const struct slice args[] = {slice_of(topic), slice_of(facet), slice_of(body)};
    return original(original_deliver_lua, "", 3, args);
}

void original_deliver(const char *topic, const char *facet, const char *body)
{
    ck_assert_str_eq(original_deliver_text(topic, facet, body), "nil");
}

const char *original_pull(const char *name)
{
    const struct slice args[] = {slice_of(name)};
    return original(original_manage_lua, original_pull_lua, 1, args);
}

const char *original_pull_leased(const char *name, int n, int wait)
{
    char count[16], seconds[16];
    snprintf(count, sizeof count, "%d", n);
    snprintf(seconds, sizeof seconds, "%d", wait);
    const struct slice args[] = {slice_of(name), slice_of(count), slice_of(seconds)};
    return original(original_manage_lua, original_leased_lua, 3, args);
}
