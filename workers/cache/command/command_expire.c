/*
 * command_expire.c: the commands about when objects end.
 *
 * Runs in a cache node. Times come in seconds or milliseconds, from now on or since 1970; inside they are milliseconds
 * since 1970. Checks are made in redis-server's order.
 */
#include "workers/cache/cache_node.h"
#include "workers/cache/command/command_list.h"
#include "workers/cache/command/command_options.h"

/* ---- setting it ---- */

struct command_expire {
    const char *name;
    bool seconds, absolute;
};

struct command_expire_if {
    bool nx, xx, gt, lt;
};

static bool command_expire_option(struct slice word, struct command_expire_if *o)
{
    if (command_option_is(word, "nx"))
        return o->nx = true;
    if (command_option_is(word, "xx"))
        return o->xx = true;
    if (command_option_is(word, "gt"))
        return o->gt = true;
    return command_option_is(word, "lt") && (o->lt = true);
}

static bool command_expire_options(struct cache_client *c, const struct slice *words, size_t count,
                                   struct command_expire_if *o)
{
    *o = (struct command_expire_if){0};
    for (size_t i = 3; i < count; i++)
        if (!command_expire_option(words[i], o)) {
            resp_error(&c->reply, "ERR Unsupported option %.*s",
                       (int)strnlen(words[i].ptr, words[i].len), words[i].ptr);
            return false;
        }
    if (o->nx && (o->xx || o->gt || o->lt)) {
        resp_error(&c->reply,
                   "ERR NX and XX, GT or LT options at the same time are not compatible");
        return false;
    }
    if (o->gt && o->lt) {
        resp_error(&c->reply, "ERR GT and LT options at the same time are not compatible");
        return false;
    }
    return true;
}

/* It may lie in the past, also before 1970: such an object ends at once. */
static bool command_expire_when(struct cache_client *c, struct slice word,
                                const struct command_expire *how, int64_t *when)
{
    int64_t base = how->absolute ? 0 : cache_db_now_ms(c->node->db);
    if (!command_i64(c, word, when))
        return false;
    if (!__builtin_mul_overflow(*when, how->seconds ? 1000 : 1, when) &&
        !__builtin_add_overflow(*when, base, when))
        return true;
    resp_error(&c->reply, "ERR invalid expire time in '%s' command", how->name);
    return false;
}

/* Never counts as later than any time. */
static bool command_expire_wanted(const struct command_expire_if *o, int64_t current, int64_t when)
{
    bool never = current == CACHE_NEVER;
    return !(o->nx && !never) && !(o->xx && never) && !(o->gt && when <= current) &&
           !(o->lt && when >= current && !never);
}

static void command_expire_as(struct cache_client *c, const struct slice *words, size_t count,
                              const struct command_expire *how)
{
    struct command_expire_if o;
    struct cache_db *db = c->node->db;
    int64_t when;
    bool was;
    if (!command_expire_options(c, words, count, &o) ||
        !command_expire_when(c, words[2], how, &when))
        return;
    const struct cache_object *object = cache_db_peek(db, words[1]);
    if (object == NULL || !command_expire_wanted(&o, cache_object_expiry(object), when)) {
        resp_i64(&c->reply, 0);
        return;
    }
    enum cache_fault fault =
        when <= cache_db_now_ms(db)
            ? cache_db_delete(db, words[1], &was)
            : cache_db_expire(db, words[1], when < CACHE_NEVER ? when : CACHE_NEVER - 1);
    if (command_fault(c, fault))
        resp_i64(&c->reply, 1);
}

void command_expire(struct cache_client *c, const struct slice *words, size_t count)
{
    command_expire_as(c, words, count, &(struct command_expire){"expire", true, false});
}

void command_pexpire(struct cache_client *c, const struct slice *words, size_t count)
{
    command_expire_as(c, words, count, &(struct command_expire){"pexpire", false, false});
}

void command_expireat(struct cache_client *c, const struct slice *words, size_t count)
{
    command_expire_as(c, words, count, &(struct command_expire){"expireat", true, true});
}

void command_pexpireat(struct cache_client *c, const struct slice *words, size_t count)
{
    command_expire_as(c, words, count, &(struct command_expire){"pexpireat", false, true});
}

void command_persist(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)count;
    const struct cache_object *o = cache_db_peek(c->node->db, words[1]);
    if (o == NULL || cache_object_expiry(o) == CACHE_NEVER)
        resp_i64(&c->reply, 0);
    else if (command_fault(c, cache_db_expire(c->node->db, words[1], CACHE_NEVER)))
        resp_i64(&c->reply, 1);
}

/* ---- asking for it ---- */

/* -2: no such object; -1: it never ends. Seconds are rounded, as Redis rounds them. */
static void command_time_left(struct cache_client *c, struct slice key, bool seconds, bool absolute)
{
    const struct cache_object *o = cache_db_peek(c->node->db, key);
    int64_t when = o != NULL ? cache_object_expiry(o) : CACHE_NEVER;
    if (o == NULL || when == CACHE_NEVER) {
        resp_i64(&c->reply, o == NULL ? -2 : -1);
        return;
    }
    uint64_t time = (uint64_t)when - (absolute ? 0 : (uint64_t)cache_db_now_ms(c->node->db));
    resp_i64(&c->reply, (int64_t)(seconds ? (time + 500) / 1000 : time));
}

void command_ttl(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)count;
    command_time_left(c, words[1], true, false);
}

void command_pttl(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)count;
    command_time_left(c, words[1], false, false);
}

void command_expiretime(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)count;
    command_time_left(c, words[1], true, true);
}

void command_pexpiretime(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)count;
    command_time_left(c, words[1], false, true);
}
