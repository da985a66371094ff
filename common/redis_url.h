/*
 * redis_url.h: takes a Redis url apart. Pure.
 *
 * Runs in Redis workers, which connect to what it says, and in the master and the tool, which only want to know what is
 * wrong with it: so it is not beside the connection, whose libraries those do not have.
 */
#ifndef COMMON_REDIS_URL_H
#define COMMON_REDIS_URL_H

#include <stdbool.h>
#include <stddef.h>

/* Most servers one url may name. */
#define REDIS_ADDRESSES_MAX 16

struct redis_address {
    char *host;
    int port;
};

/* Strings are heap copies, owned by it (redis_url_fini). */
struct redis_url {
    struct redis_address addresses[REDIS_ADDRESSES_MAX];
    size_t count;        /* 0: a unix socket */
    char *unix_path;     /* NULL with hosts */
    char *user;          /* NULL: none */
    bool sentinel;       /* the addresses are Sentinels */
    char *sentinel_name; /* of the primary that they watch; NULL without Sentinels */
    int database;        /* -1: the url does not say */
    bool tls;
};

/*
 * Reads redis://[user@]host[:port][,host[:port]…][/db], rediss://…, unix:///path[?db=N],
 * sentinel://[user@]host[:port][,host[:port]…]/NAME[/db], sentinels://…. Returns 0, or -EINVAL with one sentence in
 * `why` that says what is wrong ("has no host: …"), never with any part of a password; then there is nothing in *u. A
 * password in the url is refused: it belongs into a file. Escapes (%2F) are taken in user, host, name and path. Source:
 * https://www.iana.org/assignments/uri-schemes/prov/redis
 */
int redis_url_parse(struct redis_url *u, const char *url, char *why, size_t why_size);
void redis_url_fini(struct redis_url *u);

#endif
