/* drain_ledger.c: connection, keys, arguments and scripts for the drain's workers. See drain_ledger.h. */
#include "workers/drain/drain_ledger.h"

#include "common/trust.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Command name, script digest, number of keys and the keys go in front by redis_conn_script. */
#define DRAIN_LEDGER_KEYS 2

/* Bytes of a key that a message shows. */
#define LEDGER_SHOWN_KEY 120

static int drain_ledger_names(struct drain_ledger *l, struct worker *w)
{
    l->set = slice_of(worker_setting_text(w, "drain.set"));
    if (ledger_prefix(l->prefix, worker_setting_text(w, "drain.name")) != 0 ||
        redis_identity(l->identity, worker_setting_text(w, "platoon.instance"),
                       worker_setting_text(w, "platoon.boot"), worker_name(w),
                       worker_generation(w)) != 0) {
        worker_trouble(w,
                       "the drain's name is too long for the ledger's keys: choose a shorter one");
        return CONTRACT_EXIT_CONFIG;
    }
    return 0;
}

/*
 * A file by its path without links: of one file the same, however it is named, and also before it is there. What stands
 * behind the last folder that is there, or can be looked at, is taken as it was written. Several hosts that drain one
 * set, each into a file of its own, name it by the same path. Rejected: its inode, which a file moved back does not
 * keep.
 */
static void drain_ledger_file(char store[PATH_MAX], const char *path)
{
    char head[PATH_MAX], real[PATH_MAX];
    size_t len = strlen(path);
    int n = PATH_MAX;
    while (n == PATH_MAX && len > 0 && slice_copy(slice_make(path, len), head, sizeof head)) {
        struct trust_path t;
        if (trust_walk(head, TRUST_NO_LINKS, &t) == 0 && trust_real(&t, real) == 0)
            n = snprintf(store, PATH_MAX, "%s%s", real, path + len);
        trust_close(&t);
        while (len > 0 && path[--len] != '/')
            continue;
    }
    if (n >= PATH_MAX)
        snprintf(store, PATH_MAX, "%s", path);
}

/*
 * Of a url's query what says which database it is, in this order. All else may be a secret, or says how one gets there.
 */
static const char *const ledger_url_where[] = {"host",   "hostaddr", "port",
                                               "dbname", "user",     "service"};

static void ledger_url_decode(struct slice text, struct buffer *out)
{
    for (size_t i = 0; i < text.len; i++) {
        char hex[3] = {0}, *end = hex;
        if (text.ptr[i] == '%' && text.len - i > 2)
            memcpy(hex, text.ptr + i + 1, 2);
        unsigned long code = isxdigit((unsigned char)hex[0]) ? strtoul(hex, &end, 16) : 0;
        bool is = end == hex + 2;
        buffer_append_char(out, is ? (char)code : text.ptr[i]);
        i += is ? 2 : 0;
    }
}

/* One way to write it, whichever the url has. */
static void ledger_url_encode(struct slice text, struct buffer *out)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c > ' ' && c < 0x7f && strchr("%&?#", c) == NULL)
            buffer_append_char(out, (char)c);
        else
            buffer_printf(out, "%%%02X", c);
    }
}

/* Into `value` what the query says last of `name`, as libpq takes it; left empty where it says nothing. */
static bool ledger_url_find(const char *query, const char *name, struct buffer *value)
{
    struct buffer is = BUFFER_EMPTY;
    bool good = true;
    for (size_t len; good && *query != '\0'; query += len + (query[len] != '\0')) {
        len = strcspn(query, "&");
        size_t at = strcspn(query, "=&");
        buffer_clear(&is);
        ledger_url_decode(slice_make(query, at), &is);
        if (at < len && slice_is(buffer_slice(&is), name)) {
            buffer_clear(value);
            ledger_url_decode(slice_make(query + at + 1, len - at - 1), value);
        }
        good = buffer_ok(&is) && buffer_ok(value);
    }
    buffer_fini(&is);
    return good;
}

bool drain_ledger_name_url(char store[PATH_MAX], const char *url, const char *table)
{
    const char *query = url + strcspn(url, "?");
    struct buffer out = BUFFER_EMPTY, value = BUFFER_EMPTY;
    buffer_append(&out, url, (size_t)(query - url));
    query += *query == '?';
    char before = '?';
    bool good = true;
    for (size_t i = 0; good && i < sizeof ledger_url_where / sizeof *ledger_url_where; i++) {
        buffer_clear(&value);
        good = ledger_url_find(query, ledger_url_where[i], &value);
        if (value.len == 0)
            continue;
        buffer_printf(&out, "%c%s=", before, ledger_url_where[i]);
        ledger_url_encode(buffer_slice(&value), &out);
        before = '&';
    }
    const char *text = buffer_text(&out);
    if (good && text != NULL)
        snprintf(store, PATH_MAX, "%s %s", text, table);
    buffer_fini(&out);
    buffer_fini(&value);
    return good && text != NULL;
}

static int drain_ledger_store(struct drain_ledger *l, struct worker *w)
{
    const char *path = worker_setting(w, "store.path"), *url = worker_setting(w, "store.url");
    bool good = true;
    if (url != NULL && url[0] != '\0')
        good = drain_ledger_name_url(l->store, url, worker_setting_text(w, "store.table"));
    else if (path != NULL)
        drain_ledger_file(l->store, path);
    return good ? 0 : CONTRACT_EXIT_TEMPORARY;
}

int drain_ledger_open(struct drain_ledger *l, struct worker *w, void *state,
                      const struct redis_link_events *events)
{
    *l = (struct drain_ledger){.w = w};
    int code = drain_ledger_names(l, w);
    if (code == 0)
        code = drain_ledger_store(l, w);
    if (code == 0)
        code = redis_link_open(&l->link, w, state, REDIS_LINK_PRIMARY, events);
    if (code != 0)
        return code;
    l->conn = l->link.conn;
    for (int i = 0; i < LEDGER_SCRIPT_COUNT; i++) {
        l->scripts[i] = redis_conn_add_script(l->conn, ledger_script_text((enum ledger_script)i));
        if (l->scripts[i] < 0)
            return CONTRACT_EXIT_TEMPORARY;
    }
    return 0;
}

void drain_ledger_close(struct drain_ledger *l)
{
    l->conn = NULL;
    redis_link_close(&l->link);
    free(l->args);
    free(l->digits);
    l->args = NULL;
    l->digits = NULL;
    l->cap = 0;
}

int drain_ledger_begin(struct drain_ledger *l, size_t max)
{
    l->count = 0;
    if (max <= l->cap)
        return 0;
    /*
     * Both new before either is replaced: an argument may point into `digits`, so these never
     * move while a call is made.
     */
    struct slice *args = calloc(max, sizeof *args);
    char(*digits)[LEDGER_ID_SIZE] = calloc(max, sizeof *digits);
    if (args == NULL || digits == NULL) {
        free(args);
        free(digits);
        return -ENOMEM;
    }
    free(l->args);
    free(l->digits);
    l->args = args;
    l->digits = digits;
    l->cap = max;
    return 0;
}

void drain_ledger_add(struct drain_ledger *l, struct slice arg)
{
    assert(l->count < l->cap);
    l->args[l->count++] = arg;
}

void drain_ledger_add_u64(struct drain_ledger *l, uint64_t arg)
{
    assert(l->count < l->cap);
    int len = snprintf(l->digits[l->count], LEDGER_ID_SIZE, "%" PRIu64, arg);
    drain_ledger_add(l, slice_make(l->digits[l->count], (size_t)len));
}

int drain_ledger_send(struct drain_ledger *l, enum ledger_script script, redis_reply_fn fn,
                      void *ctx)
{
    struct slice keys[DRAIN_LEDGER_KEYS] = {slice_of(l->prefix), l->set};
    if (l->conn == NULL)
        return -ENOTCONN;
    return redis_conn_script(l->conn, l->scripts[script], DRAIN_LEDGER_KEYS, keys, l->count,
                             l->args, fn, ctx);
}

int drain_ledger_command(struct drain_ledger *l, redis_reply_fn fn, void *ctx)
{
    if (l->conn == NULL)
        return -ENOTCONN;
    return redis_conn_command(l->conn, l->count, l->args, fn, ctx);
}

void drain_ledger_count(struct drain_ledger *l)
{
    redis_link_tick(&l->link);
}

bool drain_ledger_explain(const redisReply *reply, char *text, size_t size)
{
    if (reply == NULL) {
        snprintf(text, size, "the connection to Redis broke; waiting for it to come back");
        return true;
    }
    if (reply->type != REDIS_REPLY_ERROR) {
        snprintf(text, size,
                 "Redis gave an answer of type %d, which the ledger's scripts never give: is it a "
                 "Redis?",
                 reply->type);
        return false;
    }
    return redis_error_explain(reply->str, reply->len, text, size);
}

void drain_ledger_explain_command(const redisReply *reply, const char *command, struct slice key,
                                  char *text, size_t size)
{
    char why[384];
    drain_ledger_explain(reply, why, sizeof why);
    bool whole = key.len <= LEDGER_SHOWN_KEY;
    char shown[LEDGER_SHOWN_KEY + 1];
    slice_copy(slice_make(key.ptr, whole ? key.len : LEDGER_SHOWN_KEY), shown, sizeof shown);
    snprintf(text, size, "%s %s%s: %s", command, shown, whole ? "" : "…", why);
}

int64_t drain_reply_int(const redisReply *reply, size_t i)
{
    if (reply->type != REDIS_REPLY_ARRAY || i >= reply->elements)
        return 0;
    const redisReply *r = reply->element[i];
    if (r->type == REDIS_REPLY_INTEGER)
        return r->integer;
    return r->type == REDIS_REPLY_STRING ? strtoll(r->str, NULL, 10) : 0;
}

struct slice drain_reply_text(const redisReply *reply, size_t i)
{
    if (reply->type != REDIS_REPLY_ARRAY || i >= reply->elements)
        return slice_make(NULL, 0);
    const redisReply *r = reply->element[i];
    if (r->type != REDIS_REPLY_STRING && r->type != REDIS_REPLY_STATUS)
        return slice_make(NULL, 0);
    return drain_reply_slice(r);
}
