/*
 * redis_url.c: takes a Redis url apart. Pure. See redis_conn.h.
 *
 * Runs in Redis workers, and in no other process: the master hands urls on as text.
 */
#include "common/redis/redis_conn.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define REDIS_PORT         6379
#define REDIS_DATABASE_MAX 65535

/* What a url says, before it goes into the options: so that these stay untouched when a later part is wrong. */
struct redis_url {
    char *host;
    char *unix_path;
    char *user;
    int port;
    int database; /* -1: the url does not say */
    bool tls;
};

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
                                "a unix url needs an absolute path: unix:///run/redis.sock");
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
        return redis_url_refuse(why, size, "the url has no host: redis://host:6379");
    u->port = port.ptr == NULL ? REDIS_PORT : redis_url_number(port, 65535);
    if (u->port <= 0)
        return redis_url_refuse(why, size, "\"%.*s\" is not a port (1 to 65535)",
                                REDIS_URL_PART(port));
    u->host = redis_url_decode(host);
    return u->host != NULL ? 0
                           : redis_url_refuse(why, size, "the host \"%.*s\" cannot be read",
                                              REDIS_URL_PART(host));
}

/* [user@]host[:port][/db] */
static int redis_url_tcp(struct redis_url *u, struct slice rest, char *why, size_t size)
{
    /* First of all, and without showing any part: a password may hold any of the characters that are looked at below. */
    const char *at = memrchr(rest.ptr, '@', rest.len);
    if (at != NULL && memchr(rest.ptr, ':', (size_t)(at - rest.ptr)) != NULL)
        return redis_url_refuse(why, size,
                                "the url holds a password: put it into a file and name that as "
                                "password_file");
    if (memchr(rest.ptr, '?', rest.len) != NULL || memchr(rest.ptr, '#', rest.len) != NULL)
        return redis_url_refuse(why, size, "a redis url has no \"?\" or \"#\" part");
    struct slice database, host;
    struct slice authority = redis_url_cut(rest, '/', &database);
    struct slice user = redis_url_cut(authority, '@', &host);
    if (host.ptr == NULL)
        host = authority;
    else if (user.len > 0 && (u->user = redis_url_decode(user)) == NULL)
        return redis_url_refuse(why, size, "the user \"%.*s\" cannot be read",
                                REDIS_URL_PART(user));
    int rc = redis_url_host(u, host, why, size);
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

static int redis_url_parse(struct redis_url *u, struct slice url, char *why, size_t size)
{
    if (redis_url_scheme(&url, "unix://"))
        return redis_url_unix(u, url, why, size);
    if (redis_url_scheme(&url, "redis://"))
        return redis_url_tcp(u, url, why, size);
    u->tls = redis_url_scheme(&url, "rediss://");
    if (u->tls)
        return redis_url_tcp(u, url, why, size);
    /* Not shown either: "user:password@host" without a scheme is a likely slip. */
    return redis_url_refuse(why, size, "the url must start with redis://, rediss:// or unix://");
}

int redis_options_parse_url(struct redis_options *o, const char *url, char *why, size_t why_size)
{
    struct redis_url u = {.database = -1};
    int rc = redis_url_parse(&u, slice_of(url), why, why_size);
    if (rc != 0) {
        free(u.host);
        free(u.unix_path);
        free(u.user);
        return rc;
    }
    free(o->host);
    free(o->unix_path);
    o->host = u.host;
    o->unix_path = u.unix_path;
    o->port = u.port;
    o->tls = u.tls;
    if (u.user != NULL) {
        free(o->user);
        o->user = u.user;
    }
    if (u.database >= 0)
        o->database = u.database;
    return 0;
}

void redis_options_fini(struct redis_options *o)
{
    free(o->host);
    free(o->unix_path);
    free(o->user);
    free(o->password_file);
    free(o->tls_ca_file);
    free(o->tls_cert_file);
    free(o->tls_key_file);
    free(o->tls_server_name);
    *o = (struct redis_options){0};
}

void redis_options_name(const struct redis_options *o, char name[REDIS_NAME_SIZE])
{
    if (o->unix_path != NULL) {
        snprintf(name, REDIS_NAME_SIZE, "unix:%s", o->unix_path);
        return;
    }
    const char *host = o->host != NULL ? o->host : "?";
    if (strchr(host, ':') != NULL)
        snprintf(name, REDIS_NAME_SIZE, "[%s]:%d%s", host, o->port, o->tls ? " (TLS)" : "");
    else
        snprintf(name, REDIS_NAME_SIZE, "%s:%d%s", host, o->port, o->tls ? " (TLS)" : "");
}

static char *redis_options_dup(const char *text, bool *failed)
{
    if (text == NULL || text[0] == '\0')
        return NULL;
    char *copy = strdup(text);
    *failed |= copy == NULL;
    return copy;
}

int redis_options_copy(struct redis_options *to, const struct redis_options *from)
{
    bool failed = false;
    *to = *from;
    to->host = redis_options_dup(from->host, &failed);
    to->unix_path = redis_options_dup(from->unix_path, &failed);
    to->user = redis_options_dup(from->user, &failed);
    to->password_file = redis_options_dup(from->password_file, &failed);
    to->tls_ca_file = redis_options_dup(from->tls_ca_file, &failed);
    to->tls_cert_file = redis_options_dup(from->tls_cert_file, &failed);
    to->tls_key_file = redis_options_dup(from->tls_key_file, &failed);
    to->tls_server_name = redis_options_dup(from->tls_server_name, &failed);
    return failed ? -ENOMEM : 0;
}
