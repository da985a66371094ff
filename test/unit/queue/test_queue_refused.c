/*
 * test_queue_refused.c: Redis refuses one command of a script (access rules, which it checks at each call), or is full:
 * what the script is for is not done, nor half done, and is done when it is called again. Every script and command.
 */
#include "test/unit/queue/queue_fixture.h"

#include <ctype.h>
#include <stdlib.h>

static const char *const commands[] = {
    "GET",         "HDEL",    "HEXISTS",       "HRANDFIELD", "RENAMENX", "LMOVE",  "SISMEMBER",
    "HGET",        "HGETALL", "HINCRBY",       "HLEN",       "HMGET",    "HSCAN",  "HSET",
    "HSTRLEN",     "INCRBY",  "LINDEX",        "LLEN",       "LPUSH",    "LRANGE", "LREM",
    "LTRIM",       "PEXPIRE", "PUBLISH",       "RPUSH",      "SADD",     "SCARD",  "SET",
    "SRANDMEMBER", "SREM",    "SSCAN",         "TIME",       "TYPE",     "UNLINK", "ZADD",
    "ZCARD",       "ZRANGE",  "ZRANGEBYSCORE", "ZREM",       "ZSCAN",    "ZSCORE"};
#define COMMANDS (sizeof commands / sizeof *commands)

/*
 * All that counts. Not: numbers given in vain, what rights were tried on, facets named for nothing, a length of 0,
 * which queues want a topic, and for how long that is known.
 */
static const char deeds_lua[] =
    "local all, keys, call = {}, redis.call('KEYS', '*'), redis.call table.sort(keys) "
    "for _, k in ipairs(keys) do local t, v = call('TYPE', k).ok, '' "
    "if string.find(k, ':seq$') or string.find(k, ':try$') or string.find(k, ':stats$') or "
    "string.find(k, ':active_facets$') or string.find(k, ':topics$') or "
    "string.find(k, ':vouched$') then v = nil "
    "elseif t == 'list' then v = table.concat(call('LRANGE', k, 0, -1), '|') "
    "elseif t == 'zset' then v = table.concat(call('ZRANGE', k, 0, -1, 'WITHSCORES'), '|') "
    "elseif t == 'string' then v = call('GET', k) if v == '0' then v = nil end "
    "else local h, rows = call('HGETALL', k), {} for i = 1, #h, 2 do rows[#rows + 1] = h[i] .. '=' "
    ".. h[i + 1] end "
    "table.sort(rows) v = table.concat(rows, '|') end "
    "if v then all[#all + 1] = k .. ': ' .. v end end return table.concat(all, '\\n')";

static char before[1 << 16], after[1 << 16];

static void deeds(char *to)
{
    const struct slice words[] = {slice_of("EVAL"), slice_of(deeds_lua), slice_of("0")};
    queue_command(3, words);
    ck_assert_int_eq(queue.reply->type, REDIS_REPLY_STRING);
    ck_assert_uint_lt(strlen(queue_text()), sizeof before);
    strcpy(to, queue_text());
}

static char receipt[64], other[64], ran_out[64], letter[64];

/* So many that a walk through their patterns is not made each time. */
static void make_many(void)
{
    static const char many[] = "for i = 1, 65 do redis.call('HSET', KEYS[1] .. "
                               "'registered_queues', 'many' .. i, '^nothing') end";
    const struct slice words[] = {slice_of("EVAL"), slice_of(many), slice_of("1"),
                                  slice_of(queue.space)};
    queue_command(4, words);
}

/* A queue with something in each place, and an inbox. */
static void make_queue(void)
{
    queue_redis("FLUSHALL");
    make_many();
    queue_register_with("q", "^t", 1, 0, 1000);
    queue_register("w", "^t");
    q_int(CAP, "q", "7");
    for (int i = 0; i < 3; i++)
        queue_deliver("t", "a", "a");
    queue_deliver("t", "b", "b");
    queue_pull("q", 3, 600000);
    strcpy(letter, pulled[0].receipt);
    strcpy(receipt, pulled[1].receipt);
    strcpy(other, pulled[2].receipt);
    ck_assert_int_eq(q_int(BURY, "q", "bad", letter), 1);
    *strchr(letter, '.') = '\0';
    q_int(PAUSE, "q", "1", "a");
    q_int(PAUSE, "q", "0", "a");
    queue_pull("q", 1, 600000);
    strcpy(ran_out, pulled[0].receipt);
    queue_deliver("t", "a", "a");
    queue_deliver("t", "c", "c");
    queue_redis("LPUSH @Nplatoon:inbox one two");
    queue_call(QUEUE_SCRIPT_QUEUE_VOUCH, NULL);
    queue_redis("HDEL @Nplatoon:topics t");
}

/* A call of this script that has something to do. */
static void call(enum queue_script script)
{
    switch (script) {
#define CASE(NAME, ...)                                                                            \
    case QUEUE_SCRIPT_QUEUE_##NAME:                                                                \
        queue_call(script, __VA_ARGS__, NULL);                                                     \
        break
        CASE(DELIVER, "t", "a", "new");
        CASE(DELIVER_MANY, "t", "a", "0", "new", "t", "d", "60000", "late");
        CASE(INBOX_LOOK, "10", "1000");
        CASE(INBOX_TAKE, "0", "t", "a", "3", "", "", "", "3", "no topic");
        CASE(PULL, "me", "5", "600000", "q");
        CASE(TAKE, "me", "5", "600000", "q");
        CASE(ACK, "q", receipt, other);
        CASE(AGAIN, "w", "60000", "why", receipt);
        CASE(BURY, "q", "bad", receipt);
        CASE(RENEW, "q", "700000", receipt);
        CASE(ADOPT, "q", "you", "700000", receipt);
        CASE(BACK, "q", "0", "gone", receipt);
        CASE(DISOWN, "q", "me", "", "0", "gone", "0");
        CASE(CLOCK, "q");
    case QUEUE_SCRIPT_QUEUE_VOUCH:
        queue_redis("DEL @Nplatoon:vouched");
        queue_redis("HDEL @Nplatoon:inbox:stats born");
        queue_call(script, NULL);
        break;
        CASE(REGISTER, "new", "t", "0", "5", "0", "0", "1000");
        CASE(UNREGISTER, "q");
        CASE(DESTROY, "q");
        CASE(WEIGHT, "q", "a", "0");
        CASE(CAP, "q", "9");
        CASE(PAUSE, "q", "1", "a");
        CASE(STATUS, "q");
        CASE(FACETS, "q", "0", "10");
        CASE(PEEK, "q", "", "5");
        CASE(DEAD_LIST, "q", "5");
        CASE(DEAD_SHOW, "q", letter);
        CASE(DEAD_RETRY, "q", "5");
        CASE(DEAD_DROP, "q", "5");
    default:
        ck_abort_msg("%s: no call", queue_script_name(script));
    }
}

/* Those that only tell. */
static bool changes(enum queue_script script)
{
    static const enum queue_script tell[] = {
        QUEUE_SCRIPT_QUEUE_INBOX_LOOK, QUEUE_SCRIPT_QUEUE_VOUCH, QUEUE_SCRIPT_QUEUE_STATUS,
        QUEUE_SCRIPT_QUEUE_FACETS,     QUEUE_SCRIPT_QUEUE_PEEK,  QUEUE_SCRIPT_QUEUE_DEAD_LIST,
        QUEUE_SCRIPT_QUEUE_DEAD_SHOW};
    for (size_t i = 0; i < sizeof tell / sizeof *tell; i++)
        if (tell[i] == script)
            return false;
    return true;
}

/*
 * A lease that ran out is the clock's, also in a pull, where what comes of it is written first. What `again` gives back
 * is of the queue w, where it has attempts left.
 */
static void make_for(enum queue_script script)
{
    make_queue();
    if (script == QUEUE_SCRIPT_QUEUE_CLOCK)
        queue_redis("ZADD @Nplatoon:q:leases 1 %.*s", (int)strcspn(ran_out, "."), ran_out);
    if (script != QUEUE_SCRIPT_QUEUE_AGAIN)
        return;
    queue_pull("w", 1, 600000);
    strcpy(receipt, pulled[0].receipt);
}

/* Which commands the script uses: one bit each, in their order. */
static uint64_t used_now(enum queue_script script)
{
    uint64_t used = 0;
    queue_redis("CONFIG RESETSTAT");
    call(script);
    ck_assert_msg(queue.reply->type != REDIS_REPLY_ERROR, "%s", queue_text());
    const char *stats = queue_redis("INFO commandstats");
    for (size_t i = 0; i < COMMANDS; i++) {
        char line[64];
        int len = snprintf(line, sizeof line, "cmdstat_%s:", commands[i]);
        for (int c = 0; c < len; c++)
            line[c] = (char)tolower(line[c]);
        used |= (uint64_t)(strstr(stats, line) != NULL) << i;
    }
    return used;
}

static void refuse(enum queue_script script, const char *command)
{
    char mark[64];
    const char *name = queue_script_name(script);
    make_for(script);
    deeds(before);
    queue_redis("ACL SETUSER default -%s", command);
    call(script);
    snprintf(mark, sizeof mark, "platoon: %s", command);
    ck_assert_msg(queue.reply->type == REDIS_REPLY_ERROR && strstr(queue_text(), mark) != NULL,
                  "%s without %s: %s", name, command, queue_text());
    queue_redis("ACL SETUSER default +%s", command);
    deeds(after);
    ck_assert_msg(strcmp(before, after) == 0, "%s without %s is half done:\n%s\n\n%s", name,
                  command, before, after);
    call(script);
    ck_assert_msg(queue.reply->type != REDIS_REPLY_ERROR, "%s after %s: %s", name, command,
                  queue_text());
    deeds(after);
    ck_assert_msg((strcmp(before, after) != 0) == changes(script), "%s after %s:\n%s\n\n%s", name,
                  command, before, after);
    if (script != QUEUE_SCRIPT_QUEUE_DESTROY)
        queue_check("q");
}

/* ---- what other clients have left ---- */

/*
 * A raw queue beside, which wants the same; bodies pushed where q's cap is read, and among its turns, each counted by
 * who pushed it; topics as many as there may be; and a look at the registry that is too old.
 */
static void make_odd(void)
{
    static const char many[] =
        "local P, call = KEYS[1] .. 'platoon:', redis.call "
        "for i = 1, 10000 do call('HSET', P .. 'topics', i, 'x') end "
        "local t, digest = call('TIME'), string.match(call('GET', P .. 'vouched'), '^%x+') "
        "call('SET', P .. 'vouched', digest .. ' ' .. string.format('%d', t[1] * 1000 - 1500), "
        "'PX', 10000)";
    const struct slice words[] = {slice_of("EVAL"), slice_of(many), slice_of("1"),
                                  slice_of(queue.space)};
    make_for(QUEUE_SCRIPT_QUEUE_CLOCK);
    queue_register_raw("r", "^t");
    queue_deliver("t", "limit", "ours");
    queue_redis("DEL @Nq:limit");
    queue_redis("LPUSH @Nq:limit theirs");
    queue_redis("LPUSH @Nq:facet_queue theirs");
    queue_redis("SADD @Nq:active_facets facet_queue");
    queue_redis("INCRBY @Nq:length 2");
    queue_redis("DEL @Nplatoon:vouched");
    queue_call(QUEUE_SCRIPT_QUEUE_VOUCH, NULL);
    queue_command(4, words);
    ck_assert_msg(queue.reply->type != REDIS_REPLY_ERROR, "%s", queue_text());
}

static const char theirs_lua[] =
    "local count = 0 for _, v in ipairs(redis.call('HVALS', KEYS[1] .. 'platoon:q:held')) do "
    "if string.find(v, 'theirs$') then count = count + 1 end end return count";

/* What is moved out of the way stays moved; but all is there, and comes to somebody. */
static void refuse_odd(enum queue_script script, const char *command)
{
    char mark[64];
    make_odd();
    queue_redis("ACL SETUSER default -%s", command);
    call(script);
    snprintf(mark, sizeof mark, "platoon: %s", command);
    ck_assert_msg(queue.reply->type == REDIS_REPLY_ERROR && strstr(queue_text(), mark) != NULL,
                  "%s without %s: %s", queue_script_name(script), command, queue_text());
    queue_redis("ACL SETUSER default +%s", command);
    call(script);
    ck_assert_msg(queue.reply->type != REDIS_REPLY_ERROR, "%s after %s: %s",
                  queue_script_name(script), command, queue_text());
    while (queue_pull("q", 100, 600000) > 0)
        ;
    const struct slice words[] = {slice_of("EVAL"), slice_of(theirs_lua), slice_of("1"),
                                  slice_of(queue.space)};
    queue_command(4, words);
    ck_assert_msg(queue_int(queue.reply) == 2, "%s after %s: %s of their bodies came to somebody",
                  queue_script_name(script), command, queue_text());
    ck_assert_str_eq(queue_redis("GET @Nq:length"), "0");
}

static const enum queue_script odd_scripts[] = {
    QUEUE_SCRIPT_QUEUE_DELIVER, QUEUE_SCRIPT_QUEUE_DELIVER_MANY, QUEUE_SCRIPT_QUEUE_TAKE,
    QUEUE_SCRIPT_QUEUE_ACK, QUEUE_SCRIPT_QUEUE_STATUS};
#define ODD_SCRIPTS (sizeof odd_scripts / sizeof *odd_scripts)

START_TEST(what_others_have_left_is_not_lost)
{
    for (size_t s = 0; s < ODD_SCRIPTS; s++) {
        make_odd();
        uint64_t used = used_now(odd_scripts[s]);
        for (size_t i = 0; i < COMMANDS; i++)
            if (used >> i & 1)
                refuse_odd(odd_scripts[s], commands[i]);
    }
}
END_TEST

START_TEST(what_is_refused_is_not_half_done)
{
    uint64_t by_any = 0;
    for (int script = 0; script < QUEUE_SCRIPT_COUNT; script++) {
        make_for((enum queue_script)script);
        uint64_t used = used_now((enum queue_script)script);
        by_any |= used;
        for (size_t i = 0; i < COMMANDS; i++)
            if (used >> i & 1)
                refuse((enum queue_script)script, commands[i]);
    }
    for (size_t i = 0; i < ODD_SCRIPTS; i++) {
        make_odd();
        by_any |= used_now(odd_scripts[i]);
    }
    for (size_t i = 0; i < COMMANDS; i++)
        ck_assert_msg(by_any >> i & 1, "nobody uses %s", commands[i]);
}
END_TEST

/* Without a name it says which queues there are. */
START_TEST(the_names_that_there_are)
{
    make_queue();
    queue_redis("ACL SETUSER default -hkeys");
    ck_assert_ptr_nonnull(strstr(q_text(STATUS, NULL), "platoon: HKEYS"));
    queue_redis("ACL SETUSER default +hkeys");
    q_packed(STATUS, NULL);
}
END_TEST

/* What only adds is refused before it has changed anything; all else runs, because it is what makes room. */
START_TEST(a_redis_that_is_full)
{
    for (int i = 0; i < QUEUE_SCRIPT_COUNT; i++) {
        enum queue_script script = (enum queue_script)i;
        bool adds = script == QUEUE_SCRIPT_QUEUE_DELIVER ||
                    script == QUEUE_SCRIPT_QUEUE_DELIVER_MANY ||
                    script == QUEUE_SCRIPT_QUEUE_INBOX_TAKE;
        make_for(script);
        deeds(before);
        queue_redis("CONFIG SET maxmemory 1");
        call(script);
        const char *name = queue_script_name(script);
        ck_assert_msg((queue.reply->type == REDIS_REPLY_ERROR) == adds, "%s: %s", name,
                      queue_text());
        ck_assert(!adds || strstr(queue_text(), "OOM") != NULL);
        queue_redis("CONFIG SET maxmemory 0");
        deeds(after);
        ck_assert_msg(!adds || strcmp(before, after) == 0, "%s is half done", name);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {what_is_refused_is_not_half_done,
                                  what_others_have_left_is_not_lost, the_names_that_there_are,
                                  a_redis_that_is_full};
    Suite *suite = suite_create("queue_refused");
    static void (*const ways[])(void) = {queue_set_up_evalsha, queue_set_up_fcall};
    for (int way = 0; way < 2; way++) {
        TCase *tc = tcase_create(way == 0 ? "evalsha" : "fcall");
        tcase_set_timeout(tc, SUITE_TIMEOUT_S);
        tcase_add_checked_fixture(tc, ways[way], queue_tear_down);
        for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
            tcase_add_test(tc, tests[i]);
        suite_add_tcase(suite, tc);
    }
    return suite_end(suite);
}
