/*
 * command_string.c: the commands that read and write values.
 *
 * Runs in a cache node. Checks are made in redis-server's order, because which error comes first is seen. A value from
 * here is bytes to an Erlang client, whatever the object was.
 */
#include "workers/cache/cache_node.h"
#include "workers/cache/cache_reads.h"
#include "workers/cache/command/command_list.h"
#include "workers/cache/command/command_options.h"

#include <stdio.h>

#define COMMAND_NUMBER_SIZE 24

/* What it has answered from there on holds only if it was done. */
static void command_done(struct cache_client *c, size_t from, enum cache_fault fault)
{
    if (fault == CACHE_OK)
        return;
    c->reply.out.len = from;
    command_fault(c, fault);
}

static void command_value(struct cache_client *c, const struct cache_object *o)
{
    if (o != NULL)
        resp_bulk(&c->reply, cache_object_value(o));
    else
        resp_nil(&c->reply);
}

/* ---- reading ---- */

static void command_read(struct cache_client *c, struct slice key)
{
    struct slice value;
    if (c->reads == CACHE_STRONG)
        command_value(c, cache_db_read(c->node->db, key));
    else if (cache_reads_find(c->node->reads, key, c->reads, &value, NULL))
        resp_bulk(&c->reply, value);
    else
        resp_nil(&c->reply);
}

void command_get(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)count;
    command_read(c, words[1]);
}

void command_mget(struct cache_client *c, const struct slice *words, size_t count)
{
    resp_array(&c->reply, count - 1);
    for (size_t i = 1; i < count; i++)
        command_read(c, words[i]);
}

void command_strlen(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)count;
    const struct cache_object *o = cache_db_read(c->node->db, words[1]);
    resp_i64(&c->reply, o != NULL ? (int64_t)cache_object_value(o).len : 0);
}

/* From and to, both within, counted from the end when they are negative. */
static struct slice command_range(struct slice value, int64_t from, int64_t to)
{
    int64_t len = (int64_t)value.len;
    if (from < 0 && to < 0 && from > to)
        return slice_of("");
    from = from < 0 ? from + len : from;
    to = to < 0 ? to + len : to;
    from = from < 0 ? 0 : from;
    to = to < 0 ? 0 : to;
    to = to >= len ? len - 1 : to;
    return from > to ? slice_of("") : slice_make(value.ptr + from, (size_t)(to - from + 1));
}

void command_getrange(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)count;
    int64_t from, to;
    if (!command_i64(c, words[2], &from) || !command_i64(c, words[3], &to))
        return;
    const struct cache_object *o = cache_db_read(c->node->db, words[1]);
    resp_bulk(&c->reply, command_range(o != NULL ? cache_object_value(o) : slice_of(""), from, to));
}

void command_substr(struct cache_client *c, const struct slice *words, size_t count)
{
    command_getrange(c, words, count);
}

/* ---- setting ---- */

static enum cache_fault command_put(struct cache_client *c, struct slice key, struct slice value,
                                    int64_t expiry_ms)
{
    return cache_db_set(c->node->db, key, value, expiry_ms, CACHE_FORM_BYTES);
}

/* SET with options: looks first, because of NX, XX, GET or KEEPTTL. */
static void command_set_if(struct cache_client *c, const struct slice *words,
                           const struct command_options *o, int64_t when)
{
    struct cache_db *db = c->node->db;
    size_t from = c->reply.out.len;
    const struct cache_object *old =
        o->get ? cache_db_read(db, words[1]) : cache_db_peek(db, words[1]);
    bool wanted = old != NULL ? !o->nx : !o->xx;
    if (o->end == COMMAND_END_KEEP && old != NULL)
        when = cache_object_expiry(old);
    if (o->get)
        command_value(c, old);
    else if (wanted)
        resp_status(&c->reply, "OK");
    else
        resp_nil(&c->reply);
    if (wanted)
        command_done(c, from, command_put(c, words[1], words[2], when));
}

/* With nothing to be asked before. */
static void command_set_plain(struct cache_client *c, struct slice key, struct slice value,
                              int64_t when)
{
    if (command_fault(c, command_put(c, key, value, when)))
        resp_status(&c->reply, "OK");
}

void command_set(struct cache_client *c, const struct slice *words, size_t count)
{
    struct command_options o;
    int64_t when;
    if (count == 3) {
        command_set_plain(c, words[1], words[2], CACHE_NEVER);
        return;
    }
    if (!command_options_read(c, words, 3, count, true, &o) ||
        !command_options_when(c, &o, "set", &when))
        return;
    if (o.nx || o.xx || o.get || o.end == COMMAND_END_KEEP)
        command_set_if(c, words, &o, when);
    else
        command_set_plain(c, words[1], words[2], when);
}

void command_setnx(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)count;
    if (cache_db_peek(c->node->db, words[1]) != NULL)
        resp_i64(&c->reply, 0);
    else if (command_fault(c, command_put(c, words[1], words[2], CACHE_NEVER)))
        resp_i64(&c->reply, 1);
}

static void command_set_timed(struct cache_client *c, const struct slice *words,
                              enum command_end end, const char *name)
{
    struct command_options o = {.end = end, .time = words[2]};
    int64_t when;
    if (command_options_when(c, &o, name, &when))
        command_set_plain(c, words[1], words[3], when);
}

void command_setex(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)count;
    command_set_timed(c, words, COMMAND_END_EX, "setex");
}

void command_psetex(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)count;
    command_set_timed(c, words, COMMAND_END_PX, "psetex");
}

/* Each of them, before any is written: all or none. False: the error is written. */
static bool command_pairs_fit(struct cache_client *c, const struct slice *words, size_t count,
                              const char *name)
{
    if (count % 2 == 0) {
        resp_error(&c->reply, "ERR wrong number of arguments for '%s' command", name);
        return false;
    }
    for (size_t i = 1; i < count; i += 2)
        if (words[i].len + words[i + 1].len > c->node->options.object_max)
            return command_fault(c, CACHE_FAULT_LARGE);
    return true;
}

static bool command_put_pairs(struct cache_client *c, const struct slice *words, size_t count)
{
    for (size_t i = 1; i < count; i += 2)
        if (!command_fault(c, command_put(c, words[i], words[i + 1], CACHE_NEVER)))
            return false;
    return true;
}

void command_mset(struct cache_client *c, const struct slice *words, size_t count)
{
    if (command_pairs_fit(c, words, count, "mset") && command_put_pairs(c, words, count))
        resp_status(&c->reply, "OK");
}

void command_msetnx(struct cache_client *c, const struct slice *words, size_t count)
{
    if (!command_pairs_fit(c, words, count, "msetnx"))
        return;
    bool taken = false;
    for (size_t i = 1; i < count && !taken; i += 2)
        taken = cache_db_peek(c->node->db, words[i]) != NULL;
    if (taken || command_put_pairs(c, words, count))
        resp_i64(&c->reply, !taken);
}

/* ---- reading, and changing what was read ---- */

void command_getset(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)count;
    size_t from = c->reply.out.len;
    command_value(c, cache_db_read(c->node->db, words[1]));
    command_done(c, from, command_put(c, words[1], words[2], CACHE_NEVER));
}

void command_getdel(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)count;
    size_t from = c->reply.out.len;
    bool was;
    const struct cache_object *o = cache_db_read(c->node->db, words[1]);
    command_value(c, o);
    if (o != NULL)
        command_done(c, from, cache_db_delete(c->node->db, words[1], &was));
}

/* A time given as such may have passed; one from now on cannot. */
static enum cache_fault command_end_at(struct cache_client *c, struct slice key,
                                       const struct command_options *o, int64_t when)
{
    bool was;
    if (o->end >= COMMAND_END_EXAT && when <= cache_db_now_ms(c->node->db))
        return cache_db_delete(c->node->db, key, &was);
    return cache_db_expire(c->node->db, key, when);
}

void command_getex(struct cache_client *c, const struct slice *words, size_t count)
{
    struct command_options o;
    int64_t when = CACHE_NEVER;
    size_t from = c->reply.out.len;
    if (!command_options_read(c, words, 2, count, false, &o))
        return;
    const struct cache_object *old = cache_db_read(c->node->db, words[1]);
    if (old != NULL && !command_options_when(c, &o, "getex", &when))
        return;
    command_value(c, old);
    if (old == NULL || o.end == COMMAND_END_UNSAID ||
        (o.end == COMMAND_END_NEVER && cache_object_expiry(old) == CACHE_NEVER))
        return;
    command_done(c, from, command_end_at(c, words[1], &o, when));
}

void command_append(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)count;
    size_t len = words[2].len;
    enum cache_fault fault = cache_db_peek(c->node->db, words[1]) != NULL
                                 ? cache_db_append(c->node->db, words[1], words[2], &len)
                                 : command_put(c, words[1], words[2], CACHE_NEVER);
    if (command_fault(c, fault))
        resp_i64(&c->reply, (int64_t)len);
}

/* ---- numbers ---- */

static void command_add(struct cache_client *c, struct slice key, int64_t by)
{
    const struct cache_object *o = cache_db_peek(c->node->db, key);
    int64_t value = 0, expiry = o != NULL ? cache_object_expiry(o) : CACHE_NEVER;
    if (o != NULL && !command_i64(c, cache_object_value(o), &value))
        return;
    if (__builtin_add_overflow(value, by, &value)) {
        resp_error(&c->reply, "ERR increment or decrement would overflow");
        return;
    }
    char text[COMMAND_NUMBER_SIZE];
    int len = snprintf(text, sizeof text, "%lld", (long long)value);
    if (command_fault(c, command_put(c, key, slice_make(text, (size_t)len), expiry)))
        resp_i64(&c->reply, value);
}

void command_incr(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)count;
    command_add(c, words[1], 1);
}

void command_decr(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)count;
    command_add(c, words[1], -1);
}

void command_incrby(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)count;
    int64_t by;
    if (command_i64(c, words[2], &by))
        command_add(c, words[1], by);
}

void command_decrby(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)count;
    int64_t by;
    if (!command_i64(c, words[2], &by))
        return;
    if (by == INT64_MIN)
        resp_error(&c->reply, "ERR decrement would overflow");
    else
        command_add(c, words[1], -by);
}
