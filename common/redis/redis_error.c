/*
 * redis_error.c: Redis' error replies in words that help. Pure. See redis_conn.h.
 *
 * Runs in Redis workers. One table: what an error starts with, whether waiting can end it, and the sentence.
 */
#include "common/redis/redis_conn.h"

#include <stdio.h>

struct redis_error {
    const char *prefix;
    bool temporary;
    const char *sentence;
};

/* The first match counts. Source: errors in Redis 7.0's src/server.c (createSharedObjects), cluster.c, acl.c, networking.c. */
/* clang-format off */
static const struct redis_error redis_errors[] = {
    {"OOM ", true, "OOM: Redis has reached its maxmemory: free memory or raise maxmemory"},
    {"READONLY ", true, "READONLY: this server is a read-only replica: wait for the fail-over, or point the url at the primary"},
    {"LOADING ", true, "LOADING: Redis is still reading its data from disk: wait until it has"},
    {"BUSY ", true, "BUSY: a script runs for too long: wait, or end it with SCRIPT KILL"},
    {"MASTERDOWN ", true, "MASTERDOWN: this replica has lost its primary: bring that back"},
    {"MISCONF ", true, "MISCONF: Redis cannot write its data to disk and refuses changes: see its log, free disk space"},
    {"NOREPLICAS ", true, "NOREPLICAS: too few replicas are in touch (min-replicas-to-write): bring them back"},
    {"CLUSTERDOWN ", true, "CLUSTERDOWN: the Redis Cluster does not serve all slots: bring its nodes back"},
    {"TRYAGAIN ", true, "TRYAGAIN: the Redis Cluster is moving these keys: wait until it has"},
    {"IOERR ", true, "IOERR: Redis met an I/O error: see its log"},
    {"UNBLOCKED ", true, "UNBLOCKED: the server has changed its role: try again"},
    {"ERR max number of clients", true, "the server takes no more clients: raise its maxclients, or close some"},
    {"MOVED ", false, "MOVED: this is a node of a Redis Cluster, which platoon does not follow: use a server that holds all keys"},
    {"ASK ", false, "ASK: this is a node of a Redis Cluster, which platoon does not follow: use a server that holds all keys"},
    {"CROSSSLOT ", false, "CROSSSLOT: the keys of this command lie in different slots of a Redis Cluster: give them one {hash tag}"},
    {"WRONGPASS ", false, "WRONGPASS: wrong user or password, or the user is disabled: check user and password_file"},
    {"NOAUTH ", false, "NOAUTH: the server wants a password: set password_file"},
    {"NOPERM ", false, "NOPERM: the server does not let this user do that: extend its rights with ACL SETUSER"},
    {"DENIED ", false, "DENIED: the server is in protected mode and takes local clients only: give it a password or bind it properly"},
    {"ERR AUTH <password> called without any password", false, "a password is set here but none on the server: remove password_file, or set one there"},
    {"ERR Client sent AUTH, but no password is set", false, "a password is set here but none on the server: remove password_file, or set one there"},
    {"ERR invalid password", false, "wrong password: check password_file"},
    {"ERR DB index is out of range", false, "the server has no database of that number: choose a smaller one, or raise its `databases`"},
    {"ERR invalid DB index", false, "the server has no database of that number: choose a smaller one, or raise its `databases`"},
    {"ERR SELECT is not allowed in cluster mode", false, "a Redis Cluster has database 0 only: set database = 0"},
    {"WRONGTYPE ", false, "WRONGTYPE: the key holds another type than this command is for: see TYPE of the key"},
    {"NOSCRIPT ", true, "NOSCRIPT: the server has forgotten the script: it is sent again"},
    {"EXECABORT ", false, "EXECABORT: the transaction was dropped because one of its commands was refused"},
    {"NOPROTO ", false, "NOPROTO: the server does not know this version of the protocol"},
};
/* clang-format on */

#define REDIS_ERROR_COUNT (sizeof redis_errors / sizeof redis_errors[0])

static const struct redis_error *redis_error_match(struct slice error)
{
    for (size_t i = 0; i < REDIS_ERROR_COUNT; i++) {
        size_t len = strlen(redis_errors[i].prefix);
        if (error.len >= len && memcmp(error.ptr, redis_errors[i].prefix, len) == 0)
            return &redis_errors[i];
    }
    return NULL;
}

/*
 * Before Redis 7 an error inside a script came as "ERR Error running script (call to f_…): @user_script:7: …: -OOM command
 * not allowed …": looks for a known condition behind each " -".
 */
static const struct redis_error *redis_error_match_script(struct slice error)
{
    static const char mark[] = "ERR Error running script";
    if (error.len < sizeof mark - 1 || memcmp(error.ptr, mark, sizeof mark - 1) != 0)
        return NULL;
    for (size_t i = sizeof mark; i + 1 < error.len; i++) {
        if (error.ptr[i - 1] != ' ' || error.ptr[i] != '-')
            continue;
        const struct redis_error *e =
            redis_error_match(slice_make(error.ptr + i + 1, error.len - i - 1));
        if (e != NULL)
            return e;
    }
    return NULL;
}

static const struct redis_error *redis_error_find(const char *error, size_t len)
{
    const struct redis_error *e = redis_error_match(slice_make(error, len));
    return e != NULL ? e : redis_error_match_script(slice_make(error, len));
}

bool redis_error_known(const char *error, size_t len)
{
    return redis_error_find(error, len) != NULL;
}

bool redis_error_explain(const char *error, size_t len, char *text, size_t size)
{
    const struct redis_error *e = redis_error_find(error, len);
    if (e != NULL) {
        snprintf(text, size, "%s", e->sentence);
        return e->temporary;
    }
    /* "ERR" says nothing to people. */
    size_t skip = len > 4 && memcmp(error, "ERR ", 4) == 0 ? 4 : 0;
    slice_copy(slice_make(error + skip, len - skip), text, size);
    return false;
}
