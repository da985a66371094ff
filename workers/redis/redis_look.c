/* redis_look.c: INFO and what it means. See redis_look.h. */
#include "workers/redis/redis_look.h"

#include "common/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* How often the memory that is left is looked at; the other settings are seldom changed under a running server. */
#define REDIS_LOOK_EVERY_MS 15000u

/* "name:value" of a line of its own, "\r\n" behind it. ptr NULL when there is none. */
static struct slice look_value(struct slice info, const char *name)
{
    size_t len = strlen(name);
    for (size_t at = 0; at < info.len;) {
        const char *line = info.ptr + at;
        const char *end = memchr(line, '\n', info.len - at);
        size_t size = end != NULL ? (size_t)(end - line) : info.len - at;
        at += size + 1;
        if (size > len && line[len] == ':' && memcmp(line, name, len) == 0)
            return slice_make(line + len + 1, size - len - 1 - (line[size - 1] == '\r'));
    }
    return slice_make(NULL, 0);
}

static uint64_t look_number(struct slice info, const char *name)
{
    char text[24];
    return slice_copy(look_value(info, name), text, sizeof text) ? strtoull(text, NULL, 10) : 0;
}

struct redis_look_info redis_look_read(struct slice info)
{
    struct slice policy = look_value(info, "maxmemory_policy");
    bool aof_off = slice_is(look_value(info, "aof_enabled"), "0");
    uint64_t used = look_number(info, "used_memory"), most = look_number(info, "maxmemory");
    return (struct redis_look_info){
        .evicts = policy.len > 0 && !slice_is(policy, "noeviction"),
        .aof_off = aof_off,
        .forgets = aof_off && slice_is(look_value(info, "rdb_last_bgsave_time_sec"), "-1"),
        .replica = slice_is(look_value(info, "role"), "slave"),
        .memory_short = most > 0 && used >= most - most / 10,
    };
}

bool redis_look_forgets(const struct redis_look_info *info, const redisReply *config)
{
    bool answered = config->type == REDIS_REPLY_ARRAY && config->elements == 2 &&
                    config->element[1]->type == REDIS_REPLY_STRING;
    return answered ? info->aof_off && config->element[1]->len == 0 : info->forgets;
}

/* ---- asking ---- */

static void look_gauges(const struct redis_look *look, bool unseen)
{
    struct worker *w = look->link->worker;
    worker_gauge(w, COUNTER_REDIS_UNSEEN, unseen);
    worker_gauge(w, COUNTER_REDIS_EVICTS, look->info.evicts);
    worker_gauge(w, COUNTER_REDIS_FORGETS, look->info.forgets);
    worker_gauge(w, COUNTER_REDIS_SHORT, look->info.memory_short);
    worker_gauge(w, COUNTER_REDIS_REPLICA, look->info.replica);
}

static void look_tell(struct redis_look *look)
{
    look_gauges(look, false);
    bool demoted = look->info.replica && look->primary;
    look->primary = !look->info.replica;
    if (demoted)
        redis_conn_renew(look->link->conn, "READONLY: this server has become a replica");
}

static void look_on_info(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    (void)c;
    struct redis_look *look = ctx;
    look->asking = false;
    if (reply != NULL && reply->type == REDIS_REPLY_STRING) {
        look->asking = true; /* until CONFIG has answered */
        look->info = redis_look_read(slice_make(reply->str, reply->len));
    } else if (reply != NULL && redis_error_refusal(reply->str, reply->len) != REDIS_REFUSAL_NONE) {
        /* Of this server nothing is known, and what the one before it was is no news. */
        look->info = (struct redis_look_info){0};
        look_gauges(look, true);
    }
}

static void look_on_save(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    (void)c;
    struct redis_look *look = ctx;
    if (reply == NULL || !look->asking)
        return;
    look->asking = false;
    look->info.forgets = redis_look_forgets(&look->info, reply);
    look_tell(look);
}

static void look_ask(struct redis_look *look)
{
    struct slice info = slice_of("INFO");
    struct slice save[] = {slice_of("CONFIG"), slice_of("GET"), slice_of("save")};
    look->asked_ms = clock_mono_ms();
    look->asking = false;
    if (redis_conn_command(look->link->conn, 1, &info, look_on_info, look) == 0)
        redis_conn_command(look->link->conn, 3, save, look_on_save, look);
}

void redis_look_at(struct redis_look *look, struct redis_link *link)
{
    look->link = link;
    look->primary = false;
    look_ask(look);
}

void redis_look_tick(struct redis_look *look)
{
    if (look->link != NULL && redis_conn_ready(look->link->conn) &&
        clock_mono_ms() - look->asked_ms >= REDIS_LOOK_EVERY_MS)
        look_ask(look);
}

void redis_look_lost(struct redis_look *look, struct worker *w, const char *why)
{
    worker_gauge(w, COUNTER_REDIS_REPLICA, strstr(why, "READONLY") != NULL);
    look->asking = false;
    look->primary = false;
}
