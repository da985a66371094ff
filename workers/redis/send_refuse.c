/*
 * send_refuse.c: one table of commands that would change the connection for all who use it. See send_refuse.h.
 *
 * SHUTDOWN, FLUSHALL and their like are not in it: they do to the server what they say, and only the owner of the
 * control socket can ask for them. An embedded server comes back by its supervisor; the answer to SHUTDOWN is
 * that the connection broke.
 */
#include "workers/redis/send_refuse.h"

#include <strings.h>

#define REFUSE_SUBSCRIBE "it turns the shared connection into a listener: use redis-cli"
#define REFUSE_TRANSACTION                                                                         \
    "the shared connection would mix other commands into the transaction: use EVAL, or redis-cli"
#define REFUSE_BLOCK                                                                               \
    "it waits on the server, and all commands of the shared connection behind it: use the form "   \
    "that does not block"
#define REFUSE_STATE                                                                               \
    "it changes the shared connection for all who use it: set it in the redis section of the "     \
    "configuration"
#define REFUSE_REPLICA "it turns the shared connection into a replica's: use redis-cli"

#define REFUSE_DEEP                                                                                \
    "its reply is nested deeper than hiredis 0.14 reads, which ends the shared connection: use "   \
    "redis-cli"

struct send_refusal {
    const char *command;
    const char *word; /* NULL: always; else only with this word among the arguments */
    const char *reason;
};

/* clang-format off */
static const struct send_refusal refusals[] = {
    {"SUBSCRIBE", NULL, REFUSE_SUBSCRIBE},   {"PSUBSCRIBE", NULL, REFUSE_SUBSCRIBE},
    {"SSUBSCRIBE", NULL, REFUSE_SUBSCRIBE},  {"UNSUBSCRIBE", NULL, REFUSE_SUBSCRIBE},
    {"PUNSUBSCRIBE", NULL, REFUSE_SUBSCRIBE}, {"SUNSUBSCRIBE", NULL, REFUSE_SUBSCRIBE},
    {"MONITOR", NULL, REFUSE_SUBSCRIBE},
    {"MULTI", NULL, REFUSE_TRANSACTION},     {"EXEC", NULL, REFUSE_TRANSACTION},
    {"DISCARD", NULL, REFUSE_TRANSACTION},   {"WATCH", NULL, REFUSE_TRANSACTION},
    {"UNWATCH", NULL, REFUSE_TRANSACTION},
    {"BLPOP", NULL, REFUSE_BLOCK},           {"BRPOP", NULL, REFUSE_BLOCK},
    {"BRPOPLPUSH", NULL, REFUSE_BLOCK},      {"BLMOVE", NULL, REFUSE_BLOCK},
    {"BLMPOP", NULL, REFUSE_BLOCK},          {"BZPOPMIN", NULL, REFUSE_BLOCK},
    {"BZPOPMAX", NULL, REFUSE_BLOCK},        {"BZMPOP", NULL, REFUSE_BLOCK},
    {"XREAD", "BLOCK", REFUSE_BLOCK},        {"XREADGROUP", "BLOCK", REFUSE_BLOCK},
    {"WAIT", NULL, REFUSE_BLOCK},            {"WAITAOF", NULL, REFUSE_BLOCK},
    {"QUIT", NULL, REFUSE_STATE},            {"AUTH", NULL, REFUSE_STATE},
    {"HELLO", NULL, REFUSE_STATE},           {"SELECT", NULL, REFUSE_STATE},
    {"RESET", NULL, REFUSE_STATE},           {"CLIENT", "REPLY", REFUSE_STATE},
    {"CLIENT", "TRACKING", REFUSE_STATE},    {"CLIENT", "CACHING", REFUSE_STATE},
    {"COMMAND", "DOCS", REFUSE_DEEP},
    {"SYNC", NULL, REFUSE_REPLICA},          {"PSYNC", NULL, REFUSE_REPLICA},
    {"REPLCONF", NULL, REFUSE_REPLICA},
};
/* clang-format on */

static bool refuse_is(struct slice text, const char *word)
{
    return text.len == strlen(word) && strncasecmp(text.ptr, word, text.len) == 0;
}

/*
 * A subcommand stands at once behind its command. XREAD's BLOCK stands anywhere before STREAMS, behind which the names
 * of streams begin, of which one may be called "block"; XREADGROUP's group and consumer (GROUP g c) may be, too.
 */
static bool refuse_has(size_t argc, const struct slice *argv, const char *word)
{
    if (refuse_is(argv[0], "CLIENT") || refuse_is(argv[0], "COMMAND"))
        return argc > 1 && refuse_is(argv[1], word);
    for (size_t i = 1; i < argc && !refuse_is(argv[i], "STREAMS"); i++) {
        if (refuse_is(argv[i], word))
            return true;
        if (refuse_is(argv[i], "GROUP"))
            i += 2;
    }
    return false;
}

const char *send_refuse(size_t argc, const struct slice *argv)
{
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        const struct send_refusal *r = &refusals[i];
        if (refuse_is(argv[0], r->command) && (r->word == NULL || refuse_has(argc, argv, r->word)))
            return r->reason;
    }
    return NULL;
}
