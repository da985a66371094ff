/*
 * test_cache_ring_refused.c: Redis refuses one command of a script (access rules, which it checks at each call): what
 * the script is for is not done, nor half done, and is done when it is called again. Every script, every command of
 * RIGHTS.
 */
#include "test/unit/cache/ring_fixture.h"

struct right {
    const char *command;
    bool of_scripts;
};

/* Those that are tried with no words, or with those of a key, are the scripts'; all else is the connection's. */
#define RIGHT_NEEDED   1
#define RIGHT_OPTIONAL 0
#define RIGHT_SPARE    0
#define RIGHT(KIND, command, need, words)                                                          \
    {command, RIGHT_##need && (sizeof(words) == 1 || (words)[0] == '$')},
static const struct right rights[] = {CACHE_RIGHTS(RIGHT)};
#define RIGHTS (sizeof rights / sizeof *rights)

/* What the scripts are for: nodes, managers, cells, copies. Not: numbers given in vain, who is master, beats. */
static const char deeds_text[] =
    "local all, keys = {}, redis.call('KEYS', '*') table.sort(keys) for _, k in ipairs(keys) do "
    "if redis.call('TYPE', k).ok == 'hash' and not string.find(k, ':ring$') and "
    "not string.find(k, ':beats$') then local h, rows = redis.call('HGETALL', k), {} "
    "for i = 1, #h, 2 do rows[#rows + 1] = h[i] .. '\\0' .. h[i + 1] end table.sort(rows) "
    "all[#all + 1] = k .. table.concat(rows, '\\0') end end "
    "return redis.sha1hex(table.concat(all, '\\0'))";

static struct cache_ring_holder n1, n2, lost;
static struct cache_ring_member comes;
static struct cache_ring_held held;
static const struct cache_ring_copy copies[] = {{{"k", 1}, 5, {"r", 1}}, {{"new", 3}, 6, {"r", 1}}};
static const uint64_t cells[] = {1, 2}; /* n1's, and free */

static void deeds(char digest[41])
{
    ring_eval(deeds_text);
    snprintf(digest, 41, "%s", ring.answer);
}

/* A node with a cell and a copy, one without, a lost one, and one that is gone and has left a cell. */
static void make_ring(void)
{
    enum cache_ring_pulse pulse;
    struct cache_ring_beaten b;
    ring_redis("FLUSHALL");
    struct cache_ring_holder gone = ring_node("n0", NULL);
    ring_take(gone, 9);
    ck_status(ring_leave(gone), OK);
    n1 = ring_node("n1", NULL);
    n2 = ring_node("n2", NULL);
    lost = ring_lose(ring_node("n3", NULL));
    held = (struct cache_ring_held){1, ring_take(n1, 1)};
    ck_status(ring_copy(n1, copies, 1), OK);
    ck_status(ring_beat("m", 0, &n1, 1, &pulse, &b), OK);
    comes = ring_member("n4", NULL);
}

/* ring.call as this script, which has something to do. */
static int make_call(enum cache_ring_script script)
{
    const struct slice run = ring.run, m = slice_of("m"), start = slice_of("0");
    struct cache_ring_call *c = &ring.call;
    switch (script) {
    case CACHE_RING_JOIN:
        return cache_ring_join(c, run, &comes);
    case CACHE_RING_BEAT:
        return cache_ring_beat(c, run, m, slice_of("front1"), 0, &n1, 1);
    case CACHE_RING_CLAIM:
        return cache_ring_claim(c, run, &n2, cells, 2);
    case CACHE_RING_HELD:
        ring_redis("HSET %sring from_us 8000000000000000", ring.prefix);
        held.number += 5;
        return cache_ring_held(c, run, &n2, &held, 1);
    case CACHE_RING_RELEASE:
        return cache_ring_release(c, run, &n1, &held, 1);
    case CACHE_RING_LOOK:
        return cache_ring_look(c, run, cells, 2);
    case CACHE_RING_LOST:
        return cache_ring_lost(c, run, m, n2.incarnation, 1);
    case CACHE_RING_FORGET:
        return cache_ring_forget(c, run, &lost, true);
    case CACHE_RING_LEAVE:
        return cache_ring_leave(c, run, &n2);
    case CACHE_RING_RETIRE:
        return cache_ring_retire(c, run, m, NULL);
    case CACHE_RING_SWEEP:
        return cache_ring_sweep(c, run, n1.incarnation, 0, start);
    case CACHE_RING_FREE:
        return cache_ring_free(c, run, 0, start);
    case CACHE_RING_COPY:
        return cache_ring_copy(c, run, &n1, copies, 2);
    case CACHE_RING_COPIES:
        return cache_ring_copies(c, run, n1.incarnation, start);
    default:
        return cache_ring_drop(c, run, &n1, copies, 1);
    }
}

/* Scripts that only tell. */
static bool changes(enum cache_ring_script script)
{
    return script != CACHE_RING_BEAT && script != CACHE_RING_LOOK && script != CACHE_RING_SWEEP &&
           script != CACHE_RING_COPIES;
}

/* Whether the script uses this command. */
static bool refuse(enum cache_ring_script script, const char *command)
{
    char before[41], after[41], mark[64];
    make_ring();
    ck_assert_int_eq(make_call(script), 0);
    deeds(before);
    ring_redis("ACL SETUSER default -%s", command);
    ring_send();
    bool refused = ring.type == REDIS_REPLY_ERROR;
    snprintf(mark, sizeof mark, "platoon: %s", command);
    ck_assert_msg(!refused || strstr(ring.answer, mark) != NULL, "%s", ring.answer);
    ring_redis("ACL SETUSER default +%s", command);
    deeds(after);
    const char *name = cache_ring_script_name(script);
    ck_assert_msg(!refused || strcmp(before, after) == 0, "%s without %s is half done", name,
                  command);
    ring_send();
    ck_assert_msg(ring.type == REDIS_REPLY_STRING && ring.answer[0] == CACHE_RING_OK, "%s after %s",
                  name, command);
    deeds(after);
    ck_assert_msg((strcmp(before, after) != 0) == changes(script), "%s after %s", name, command);
    return refused;
}

START_TEST(what_is_refused_is_not_half_done)
{
    size_t used[RIGHTS] = {0};
    for (int script = 0; script < CACHE_RING_SCRIPT_COUNT; script++)
        for (size_t i = 0; i < RIGHTS; i++)
            if (rights[i].of_scripts)
                used[i] += refuse((enum cache_ring_script)script, rights[i].command);
    for (size_t i = 0; i < RIGHTS; i++)
        ck_assert_msg(!rights[i].of_scripts || used[i] > 0, "nobody uses %s", rights[i].command);
}
END_TEST

SUITE_MAIN_WITH("cache_ring_refused", ring_set_up, ring_tear_down, what_is_refused_is_not_half_done)
