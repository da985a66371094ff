/* redis_url.c: takes a Redis url apart. See redis_url.h. */
#include "common/redis_url.h"

#include "common/slice.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define REDIS_PORT          6379
#define REDIS_SENTINEL_PORT 26379
#define REDIS_DATABASE_MAX  65535

static int __attribute__((format(printf, 3, 4)))
redis_url_refuse(char *why, size_t size, const char *sentence, ...)
{
    va_list args;
    va_start(args, sentence);
    vsnprintf(why, size, sentence, args);
    va_end(args);
    return -EINVAL;
}

#define REDIS_URL_PART(slice) (int)(slice).len, (slice).ptr

/* Whole number within 0..max, decimal digits only; -1 when it is none. */
static int redis_url_number(struct slice text, int max)
{
    if (text.len == 0 || text.len > 6)
        return -1;
    int value = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return -1;
        value = value * 10 + (text.ptr[i] - '0');
    }
    return value <= max ? value : -1;
}

static int redis_url_hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* A heap copy with %XX resolved; NULL when memory is short or an escape is broken or means NUL. */
static char *redis_url_decode(struct slice from)
{
    char *text = malloc(from.len + 1);
    size_t n = 0;
    for (size_t i = 0; text != NULL && i < from.len; i++) {
        char c = from.ptr[i];
        if (c == '%') {
            int high = i + 2 < from.len ? redis_url_hex(from.ptr[i + 1]) : -1;
            int low = i + 2 < from.len ? redis_url_hex(from.ptr[i + 2]) : -1;
            c = (char)(high * 16 + low);
            i += 2;
            if (high < 0 || low < 0 || c == '\0') {
                free(text);
                return NULL;
            }
        }
        text[n++] = c;
    }
    if (text != NULL)
        text[n] = '\0';
    return text;
}

/* The bytes before the first `c`, or all; *rest gets what follows it (ptr NULL when there is no `c`). */
static struct slice redis_url_cut(struct slice from, char c, struct slice *rest)
{
    const char *at = from.len > 0 ? memchr(from.ptr, c, from.len) : NULL;
    *rest = (struct slice){NULL, 0};
    if (at == NULL)
        return from;
    *rest = (struct slice){at + 1, (size_t)(from.ptr + from.len - at - 1)};
    return slice_make(from.ptr, (size_t)(at - from.ptr));
}

static int redis_url_database(struct redis_url *u, struct slice text, char *why, size_t size)
{
    u->database = redis_url_number(text, REDIS_DATABASE_MAX);
    if (u->database < 0)
        return redis_url_refuse(why, size, "\"%.*s\" is not a database number (0 to 65535)",
                                REDIS_URL_PART(text));
    return 0;
}

/* unix:///path[?db=N] */
static int redis_url_unix(struct redis_url *u, struct slice rest, char *why, size_t size)
{
    struct slice query;
    struct slice path = redis_url_cut(rest, '?', &query);
    if (path.len < 2 || path.ptr[0] != '/')
        return redis_url_refuse(why, size,
                                "unix:// takes an absolute path: unix:///run/redis.sock");
    u->unix_path = redis_url_decode(path);
    if (u->unix_path == NULL)
        return redis_url_refuse(why, size, "the path \"%.*s\" cannot be read",
                                REDIS_URL_PART(path));
    if (query.ptr == NULL)
        return 0;
    if (query.len < 3 || memcmp(query.ptr, "db=", 3) != 0)
        return redis_url_refuse(why, size, "\"?%.*s\" is not understood, only ?db=N",
                                REDIS_URL_PART(query));
    return redis_url_database(u, slice_make(query.ptr + 3, query.len - 3), why, size);
}

/* host, host:port, [ipv6], [ipv6]:port */
static int redis_url_host(struct redis_url *u, struct slice text, char *why, size_t size)
{
    struct slice host, port;
    if (text.len > 0 && text.ptr[0] == '[') {
        host = redis_url_cut(slice_make(text.ptr + 1, text.len - 1), ']', &port);
        if (port.ptr == NULL || (port.len > 0 && port.ptr[0] != ':'))
            return redis_url_refuse(why, size, "\"%.*s\" is not an address in brackets",
                                    REDIS_URL_PART(text));
        port = port.len > 0 ? slice_make(port.ptr + 1, port.len - 1) : (struct slice){NULL, 0};
    } else {
        host = redis_url_cut(text, ':', &port);
    }
    if (host.len == 0)
        return redis_url_refuse(why, size, "has no host: redis://host:6379");
    struct redis_address *a = &u->addresses[u->count];
    a->port = port.ptr == NULL ? (u->sentinel ? REDIS_SENTINEL_PORT : REDIS_PORT)
                               : redis_url_number(port, 65535);
    if (a->port <= 0)
        return redis_url_refuse(why, size, "\"%.*s\" is not a port (1 to 65535)",
                                REDIS_URL_PART(port));
    a->host = redis_url_decode(host);
    if (a->host == NULL)
        return redis_url_refuse(why, size, "the host \"%.*s\" cannot be read",
                                REDIS_URL_PART(host));
    u->count++;
    return 0;
}

/* One of them, or several with commas between. */
static int redis_url_hosts(struct redis_url *u, struct slice text, char *why, size_t size)
{
    int rc = 0;
    while (rc == 0 && text.ptr != NULL) {
        struct slice rest, host = redis_url_cut(text, ',', &rest);
        if (u->count == REDIS_ADDRESSES_MAX)
            return redis_url_refuse(why, size, "has more than %d hosts", REDIS_ADDRESSES_MAX);
        rc = redis_url_host(u, host, why, size);
        text = rest;
    }
    return rc;
}

/* [user@]host[:port][,host[:port]…][/db] */
static int redis_url_tcp(struct redis_url *u, struct slice rest, char *why, size_t size)
{
    /*
     * First of all, and without showing any part: a password may hold any of the characters that are looked at below.
     */
    const char *at = memrchr(rest.ptr, '@', rest.len);
    if (at != NULL && memchr(rest.ptr, ':', (size_t)(at - rest.ptr)) != NULL)
        return redis_url_refuse(
            why, size, "holds a password: put it into a file and name that in password_file");
    if (memchr(rest.ptr, '?', rest.len) != NULL || memchr(rest.ptr, '#', rest.len) != NULL)
        return redis_url_refuse(
            why, size, "has a \"?\" or \"#\" part, which means nothing here: leave it out");
    struct slice database, host;
    struct slice authority = redis_url_cut(rest, '/', &database);
    struct slice user = redis_url_cut(authority, '@', &host);
    if (host.ptr == NULL)
        host = authority;
    else if (user.len > 0 && (u->user = redis_url_decode(user)) == NULL)
        return redis_url_refuse(why, size, "the user \"%.*s\" cannot be read",
                                REDIS_URL_PART(user));
    int rc = redis_url_hosts(u, host, why, size);
    if (rc == 0 && u->sentinel) {
        struct slice name = redis_url_cut(database, '/', &database);
        if (name.len == 0)
            return redis_url_refuse(why, size,
                                    "names nothing that the Sentinels watch: "
                                    "sentinel://host:26379,host:26379/NAME");
        u->sentinel_name = redis_url_decode(name);
        if (u->sentinel_name == NULL)
            return redis_url_refuse(why, size, "the name \"%.*s\" cannot be read",
                                    REDIS_URL_PART(name));
    }
    if (rc == 0 && database.ptr != NULL && database.len > 0)
        rc = redis_url_database(u, database, why, size);
    return rc;
}

static bool redis_url_scheme(struct slice *url, const char *scheme)
{
    size_t len = strlen(scheme);
    if (url->len < len || memcmp(url->ptr, scheme, len) != 0)
        return false;
    *url = slice_make(url->ptr + len, url->len - len);
    return true;
}

static int redis_url_read(struct redis_url *u, struct slice url, char *why, size_t size)
{
    if (redis_url_scheme(&url, "unix://"))
        return redis_url_unix(u, url, why, size);
    if (redis_url_scheme(&url, "redis://"))
        return redis_url_tcp(u, url, why, size);
    u->sentinel = redis_url_scheme(&url, "sentinel://");
    if (u->sentinel)
        return redis_url_tcp(u, url, why, size);
    u->sentinel = redis_url_scheme(&url, "sentinels://");
    u->tls = u->sentinel || redis_url_scheme(&url, "rediss://");
    if (u->tls)
        return redis_url_tcp(u, url, why, size);
    /* Not shown either: "user:password@host" without a scheme is a likely slip. */
    return redis_url_refuse(why, size,
                            "must be embedded, redis://…, rediss://…, sentinel://…, "
                            "sentinels://… or unix://…");
}

int redis_url_parse(struct redis_url *u, const char *url, char *why, size_t why_size)
{
    *u = (struct redis_url){.database = -1};
    int rc = redis_url_read(u, slice_of(url), why, why_size);
    if (rc != 0)
        redis_url_fini(u);
    return rc;
}

void redis_url_fini(struct redis_url *u)
{
    for (size_t i = 0; i < u->count; i++)
        free(u->addresses[i].host);
    free(u->unix_path);
    free(u->user);
    free(u->sentinel_name);
    *u = (struct redis_url){.database = -1};
}
