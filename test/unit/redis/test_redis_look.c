/*
 * test_redis_look.c: what an INFO says of a server that may not keep what it is told (workers/redis/redis_look.h).
 *
 * Reported of such queues: bullmq#2215, sidekiq#2883. The texts are cut from real answers: Redis 7.0.15, Valkey 8.0,
 * KeyDB 6.3.
 */
#include "test/unit/suite.h"
#include "workers/redis/redis_look.h"

#include <check.h>

#define INFO_GOOD                                                                                  \
    "# Memory\r\nused_memory:1024000\r\nused_memory_human:1000K\r\nmaxmemory:0\r\n"                \
    "maxmemory_human:0B\r\nmaxmemory_policy:noeviction\r\n# Persistence\r\nloading:0\r\n"          \
    "rdb_last_bgsave_time_sec:-1\r\naof_enabled:1\r\n# Replication\r\nrole:master\r\n"

struct row {
    const char *info;
    struct redis_look_info says;
};

static const struct row rows[] = {
    {INFO_GOOD, {0}},
    {"maxmemory_policy:allkeys-lru\r\n", {.evicts = true}},
    {"a:1\r\nmaxmemory_policy:volatile-ttl", {.evicts = true}},
    {"xmaxmemory_policy:allkeys-lru\r\n", {0}},
    {"aof_enabled:0\r\nrdb_last_bgsave_time_sec:-1\r\n", {.aof_off = true, .forgets = true}},
    {"aof_enabled:0\r\nrdb_last_bgsave_time_sec:0\r\n", {.aof_off = true}},
    {"aof_enabled:1\r\nrdb_last_bgsave_time_sec:-1\r\n", {0}},
    {"role:slave\r\nmaster_host:db1\r\n", {.replica = true}},
    {"role:master\r\n", {0}},
    {"used_memory:90\r\nmaxmemory:100\r\n", {.memory_short = true}},
    {"used_memory:89\r\nmaxmemory:100\r\n", {0}},
    {"used_memory:90\r\nmaxmemory:0\r\n", {0}},
    {"used_memory:18446744073709551615\r\nmaxmemory:18446744073709551615\r\n",
     {.memory_short = true}},
    {"", {0}},
    {"\r\n:\nrole:", {0}},
    {"maxmemory_policy:\r\n", {0}},
};

START_TEST(what_info_says)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct redis_look_info is = redis_look_read(slice_of(rows[i].info));
        const struct redis_look_info *s = &rows[i].says;
        ck_assert_msg(
            is.evicts == s->evicts && is.forgets == s->forgets && is.aof_off == s->aof_off &&
                is.replica == s->replica && is.memory_short == s->memory_short,
            "%s: %d%d%d%d", rows[i].info, is.evicts, is.forgets, is.replica, is.memory_short);
    }
}
END_TEST

/* Whether a server forgets whose CONFIG GET save is this; NULL: refused. */
static bool forgets(struct redis_look_info info, const char *rules)
{
    char save[] = "save", noperm[] = "NOPERM";
    redisReply name = {.type = REDIS_REPLY_STRING, .str = save, .len = 4};
    redisReply value = {.type = REDIS_REPLY_STRING,
                        .str = (char *)(uintptr_t)rules,
                        .len = rules != NULL ? strlen(rules) : 0};
    redisReply *both[] = {&name, &value};
    redisReply config = {.type = REDIS_REPLY_ARRAY, .elements = 2, .element = both};
    redisReply refused = {.type = REDIS_REPLY_ERROR, .str = noperm, .len = 6};
    return redis_look_forgets(&info, rules != NULL ? &config : &refused);
}

START_TEST(what_config_says)
{
    struct redis_look_info aof = {0}, none = {.aof_off = true, .forgets = true};
    struct redis_look_info has_saved = {.aof_off = true}; /* for its first replica, or by BGSAVE */
    ck_assert(forgets(none, ""));
    ck_assert(forgets(has_saved, ""));
    ck_assert(!forgets(aof, ""));
    ck_assert(!forgets(none, "3600 1 300 100"));
    ck_assert(!forgets(has_saved, "3600 1"));
    ck_assert(!forgets(aof, "3600 1"));
}
END_TEST

START_TEST(without_config_it_is_the_guess)
{
    struct redis_look_info aof = {0}, none = {.aof_off = true, .forgets = true};
    struct redis_look_info has_saved = {.aof_off = true};
    redisReply empty = {.type = REDIS_REPLY_ARRAY};
    ck_assert(forgets(none, NULL) && redis_look_forgets(&none, &empty));
    ck_assert(!forgets(has_saved, NULL) && !redis_look_forgets(&has_saved, &empty));
    ck_assert(!forgets(aof, NULL) && !redis_look_forgets(&aof, &empty));
}
END_TEST

SUITE_MAIN("redis_look", what_info_says, what_config_says, without_config_it_is_the_guess)
