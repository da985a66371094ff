/*
 * redis_error.c: Redis' error replies in words that help. Pure. See redis_conn.h.
 *
 * Runs in Redis workers. One table: what an error starts with, what can end it, and the sentence.
 */
#include "common/redis/redis_conn.h"

#include <stdio.h>

enum redis_cure {
    CURE_PERSON, /* somebody has to change something */
    CURE_WAIT,   /* this server may answer otherwise soon */
    CURE_CONNECT, /* so may another one to which the address leads meanwhile; this connection never */
};

struct redis_error {
    const char *prefix;
    enum redis_cure cure;
    const char *sentence;
};

/*
 * The first match counts. Source: errors in Redis 7.0, src: server.c (createSharedObjects), cluster.c, acl.c,
 * networking.c.
 */
/* clang-format off */
#define REDIS_ERROR_NO_RIGHT \
    "the server's access rules refuse it: extend them with ACL SETUSER, see RIGHTS IN REDIS in platoon.conf(5)"
#define REDIS_ERROR_ACL "ACL failure in script: "
#define REDIS_ERROR_NO_SLOT \
    "the key lies in another slot of a Redis Cluster, which platoon does not follow: use a server that holds all keys"
#define REDIS_ERROR_NO_COMMAND \
    "the server has no such command: it was renamed or taken out (rename-command), or the server is too old"

static const struct redis_error redis_errors[] = {
    {"OOM ", CURE_WAIT, "OOM: Redis has reached its maxmemory: free memory or raise maxmemory"},
    {"READONLY ", CURE_CONNECT,
     "READONLY: this server is a read-only replica: wait for the fail-over, or point the url at the primary"},
    {"LOADING ", CURE_CONNECT, "LOADING: Redis is still reading its data from disk: wait until it has"},
    {"BUSY ", CURE_WAIT, "BUSY: a script runs for too long: wait, or end it with SCRIPT KILL"},
    {"MASTERDOWN ", CURE_CONNECT, "MASTERDOWN: this replica has lost its primary: bring that back"},
    {"MISCONF ", CURE_WAIT,
     "MISCONF: Redis cannot write its data to disk and refuses changes: see its log, free disk space"},
    {"NOREPLICAS ", CURE_CONNECT, "NOREPLICAS: too few replicas are in touch (min-replicas-to-write): bring them back"},
    {"CLUSTERDOWN ", CURE_CONNECT, "CLUSTERDOWN: the Redis Cluster does not serve all slots: bring its nodes back"},
    {"TRYAGAIN ", CURE_WAIT, "TRYAGAIN: the Redis Cluster is moving these keys: wait until it has"},
    {"IOERR ", CURE_WAIT, "IOERR: Redis met an I/O error: see its log"},
    {"UNBLOCKED ", CURE_CONNECT, "UNBLOCKED: the server has changed its role: try again"},
    {"NOMASTERLINK ", CURE_CONNECT, "NOMASTERLINK: this replica has lost its primary: bring that back"},
    {"ERR max number of clients", CURE_WAIT, "the server takes no more clients: raise its maxclients, or close some"},
    {"MOVED ", CURE_PERSON,
     "MOVED: this is a node of a Redis Cluster, which platoon does not follow: use a server that holds all keys"},
    {"ASK ", CURE_PERSON,
     "ASK: this is a node of a Redis Cluster, which platoon does not follow: use a server that holds all keys"},
    {"CROSSSLOT ", CURE_PERSON,
     "CROSSSLOT: the keys of this command lie in different slots of a Redis Cluster: give them one {hash tag}"},
    {"WRONGPASS ", CURE_PERSON,
     "WRONGPASS: wrong user or password, or the user is disabled: check user and password_file"},
    {"NOAUTH ", CURE_CONNECT, "NOAUTH: the server wants a password: set password_file"},
    {"DENIED ", CURE_PERSON,
     "DENIED: the server is in protected mode and takes local clients only: give it a password or bind it properly"},
    {"ERR AUTH <password> called without any password", CURE_PERSON,
     "a password is set here but none on the server: remove password_file, or set one there"},
    {"ERR Client sent AUTH, but no password is set", CURE_PERSON,
     "a password is set here but none on the server: remove password_file, or set one there"},
    {"ERR invalid password", CURE_PERSON, "wrong password: check password_file"},
    {"ERR DB index is out of range", CURE_PERSON,
     "the server has no database of that number: choose a smaller one, or raise its `databases`"},
    {"ERR invalid DB index", CURE_PERSON,
     "the server has no database of that number: choose a smaller one, or raise its `databases`"},
    {"ERR SELECT is not allowed in cluster mode", CURE_PERSON, "a Redis Cluster has database 0 only: set database = 0"},
    {"WRONGTYPE ", CURE_PERSON, "WRONGTYPE: the key holds another type than this command is for: see TYPE of the key"},
    {"NOSCRIPT ", CURE_WAIT, "NOSCRIPT: the server has forgotten the script: it is sent again"},
    {"EXECABORT ", CURE_PERSON, "EXECABORT: the transaction was dropped because one of its commands was refused"},
    {"NOPROTO ", CURE_PERSON, "NOPROTO: the server does not know this version of the protocol"},
};

/* What a command is refused with, found anywhere in the server's words: inside a script they have no code in front. */
static const struct redis_error redis_refusals[] = {
    {"NOPERM", CURE_PERSON, REDIS_ERROR_NO_RIGHT},
    {"can't run this command", CURE_PERSON, REDIS_ERROR_NO_RIGHT},
    {"can't access at least one of the", CURE_PERSON, REDIS_ERROR_NO_RIGHT},
    {REDIS_ERROR_ACL, CURE_PERSON, REDIS_ERROR_NO_RIGHT}, /* Redis 7.2 on, Valkey */
    {"nknown Redis command", CURE_PERSON, REDIS_ERROR_NO_COMMAND},
    {"nknown command called", CURE_PERSON, REDIS_ERROR_NO_COMMAND}, /* Valkey */
    {"ERR unknown command", CURE_PERSON, REDIS_ERROR_NO_COMMAND},
    {"ERR unknown subcommand", CURE_PERSON, REDIS_ERROR_NO_COMMAND},
    {"non local key", CURE_PERSON, REDIS_ERROR_NO_SLOT},
    {"hash to the same slot", CURE_PERSON, REDIS_ERROR_NO_SLOT}, /* Redis 8 */
    {"slot not served", CURE_PERSON, REDIS_ERROR_NO_SLOT}, /* Redis 8 */
};
/* clang-format on */

#define REDIS_ERROR_COUNT   (sizeof redis_errors / sizeof redis_errors[0])
#define REDIS_REFUSAL_COUNT (sizeof redis_refusals / sizeof redis_refusals[0])

/* What scripts of ours put in front of the server's words: "platoon: RENAME visit:1<tab>". */
static const char redis_error_mark[] = "platoon: ";

/* The server's own words; *what is the command and the key when a script names them, else empty. */
static struct slice redis_error_words(struct slice error, struct slice *what)
{
    *what = slice_make(NULL, 0);
    const char *mark = memmem(error.ptr, error.len, redis_error_mark, sizeof redis_error_mark - 1);
    if (error.len == 0 || mark == NULL)
        return error;
    const char *end = error.ptr + error.len, *begin = mark + sizeof redis_error_mark - 1;
    const char *tab = memchr(begin, '\t', (size_t)(end - begin));
    if (tab == NULL)
        return error;
    *what = slice_make(begin, (size_t)(tab - begin));
    static const char where[] =
        " script: "; /* then its digest and line, which say nothing to people */
    static const char acl[] = REDIS_ERROR_ACL;
    const char *words = memmem(tab, (size_t)(end - tab), acl, sizeof acl - 1);
    words = words != NULL ? words + sizeof acl - 1 : tab;
    const char *tail = memmem(words, (size_t)(end - words), where, sizeof where - 1);
    return slice_make(tab + 1, (size_t)((tail != NULL ? tail : end) - tab - 1));
}

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
 * Before Redis 7 an error inside a script came as "ERR Error running script (call to f_…): @user_script:7: …: -OOM
 * command not allowed …": looks for a known condition behind each " -".
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

static const struct redis_error *redis_error_match_refusal(struct slice error)
{
    for (size_t i = 0; i < REDIS_REFUSAL_COUNT && error.len > 0; i++)
        if (memmem(error.ptr, error.len, redis_refusals[i].prefix,
                   strlen(redis_refusals[i].prefix)) != NULL)
            return &redis_refusals[i];
    return NULL;
}

static const struct redis_error *redis_error_find(const char *error, size_t len)
{
    struct slice what, words = redis_error_words(slice_make(error, len), &what);
    const struct redis_error *e = redis_error_match(words);
    if (e == NULL)
        e = redis_error_match_script(words);
    return e != NULL ? e : redis_error_match_refusal(words);
}

bool redis_error_says(const char *error, size_t len, const char *code)
{
    struct slice what, words = redis_error_words(slice_make(error, len), &what);
    return words.len >= strlen(code) && memcmp(words.ptr, code, strlen(code)) == 0;
}

bool redis_error_known(const char *error, size_t len)
{
    return redis_error_find(error, len) != NULL;
}

bool redis_error_cured_by_connecting(const char *error, size_t len)
{
    const struct redis_error *e = redis_error_find(error, len);
    return e != NULL && e->cure == CURE_CONNECT;
}

static bool redis_error_starts(const char *error, size_t len, const char *with)
{
    return len >= strlen(with) && memcmp(error, with, strlen(with)) == 0;
}

enum redis_refusal redis_error_refusal(const char *error, size_t len)
{
    static const char key[] = " key", channel[] = "channel"; /* "... to access one of the keys" */
    if (redis_error_starts(error, len, "ERR unknown command") ||
        redis_error_starts(error, len, "ERR unknown subcommand"))
        return REDIS_REFUSAL_ABSENT;
    if (!redis_error_starts(error, len, "NOPERM"))
        return REDIS_REFUSAL_NONE;
    bool place = memmem(error, len, key, sizeof key - 1) != NULL ||
                 memmem(error, len, channel, sizeof channel - 1) != NULL;
    return place ? REDIS_REFUSAL_PLACE : REDIS_REFUSAL_COMMAND;
}

bool redis_error_explain(const char *error, size_t len, char *text, size_t size)
{
    const struct redis_error *e = redis_error_find(error, len);
    struct slice what, words = redis_error_words(slice_make(error, len), &what);
    /* "ERR" says nothing to people. */
    size_t skip = words.len > 4 && memcmp(words.ptr, "ERR ", 4) == 0 ? 4 : 0;
    int rest = (int)(words.len - skip < 400 ? words.len - skip : 400);
    const char *parts = what.len > 0 ? ": " : "";
    if (e == NULL)
        snprintf(text, size, "%.*s%s%.*s", (int)what.len, what.ptr, parts, rest, words.ptr + skip);
    else if (e == redis_error_match_refusal(words)) /* the words name the command */
        snprintf(text, size, "%.*s%s%s (%.*s)", (int)what.len, what.ptr, parts, e->sentence, rest,
                 words.ptr + skip);
    else
        snprintf(text, size, "%.*s%s%s", (int)what.len, what.ptr, parts, e->sentence);
    return e != NULL && e->cure != CURE_PERSON;
}
