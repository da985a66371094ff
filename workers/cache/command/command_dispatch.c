/* command_dispatch.c: all commands, and what comes before each. See command.h. */
#include "workers/cache/command/command.h"

#include "common/clock.h"
#include "common/log.h"
#include "workers/cache/cache_access.h"
#include "workers/cache/cache_forward.h"
#include "workers/cache/cache_hold.h"
#include "workers/cache/cache_node.h"
#include "workers/cache/cache_owner.h"
#include "workers/cache/cache_member.h"
#include "workers/cache/cache_reads_command.h"
#include "workers/cache/cache_second.h"
#include "workers/cache/command/command_for.h"
#include "workers/cache/command/command_keys.h"
#include "workers/cache/command/command_list.h"
#include "workers/cache/command/command_stats.h"
#include "workers/cache/command/command_transaction.h"

#include <ctype.h>
#include <stdlib.h>

#define COMMAND_SAY_MS     60000 /* between two lines of the same in the log */
#define COMMAND_QUOTED_MAX 128   /* bytes of what a client has sent in an error of ours */

/* ---- the list ---- */

enum {
    NONE = COMMAND_NONE,
    WRITE = COMMAND_WRITE,
    READ = COMMAND_READ,
    DENYOOM = COMMAND_DENYOOM,
    ADMIN = COMMAND_ADMIN,
    NOSCRIPT = COMMAND_NOSCRIPT,
    LOADING = COMMAND_LOADING,
    STALE = COMMAND_STALE,
    SKIP_SLOWLOG = COMMAND_SKIP_SLOWLOG,
    FAST = COMMAND_FAST,
    NO_AUTH = COMMAND_NO_AUTH,
    ALLOW_BUSY = COMMAND_ALLOW_BUSY,
    STRING = COMMAND_STRING,
    KEYSPACE = COMMAND_KEYSPACE,
    CONNECTION = COMMAND_CONNECTION,
    TRANSACTION = COMMAND_TRANSACTION,
    DANGEROUS = COMMAND_DANGEROUS,
    OF_CLIENT = COMMAND_OF_CLIENT,
    AT_ONCE = COMMAND_AT_ONCE,
    NO_MULTI = COMMAND_NO_MULTI,
    CONTAINER = COMMAND_CONTAINER,
    BLIND = COMMAND_BLIND,
    BLIND_UNLESS = COMMAND_BLIND_UNLESS,
    SHRINKS = COMMAND_SHRINKS,
    COUNTS = COMMAND_COUNTS,
    GETS = COMMAND_GETS,
    SAYS = COMMAND_SAYS,
};

#define X(name, arity, flags, first, last, step, key, tips)                                        \
    {#name, sizeof #name - 1, arity, flags, first, last, step, key, tips, command_##name},
#define CONTAINER_ENTRY(name) {#name, sizeof #name - 1, -2, CONTAINER, 0, 0, 0, "", "", NULL},
#define OWN_ENTRY(name, arity, flags, first, last, step, key, tips)                                \
    {                                                                                              \
        "platoon." #name,                                                                          \
        sizeof "platoon." #name - 1,                                                               \
        arity,                                                                                     \
        flags,                                                                                     \
        first,                                                                                     \
        last,                                                                                      \
        step,                                                                                      \
        key,                                                                                       \
        tips,                                                                                      \
        command_platoon_##name},
static const struct cache_command command_list[] = {COMMANDS(X) CONTAINERS(CONTAINER_ENTRY)
                                                        COMMANDS_OWN(OWN_ENTRY)};
#undef X

#define X(container, name, word, arity, flags, first, last, step, key, tips)                       \
    {#container "|" word,                                                                          \
     sizeof #container "|" word - 1,                                                               \
     arity,                                                                                        \
     (flags) | COMMAND_SUB,                                                                        \
     first,                                                                                        \
     last,                                                                                         \
     step,                                                                                         \
     key,                                                                                          \
     tips,                                                                                         \
     command_##container##_##name},
static const struct cache_command command_subs[] = {SUBCOMMANDS(X)};
#undef X

static struct command_table command_table = {
    .list = command_list,
    .count = sizeof command_list / sizeof command_list[0],
    .subs = command_subs,
    .sub_count = sizeof command_subs / sizeof command_subs[0],
};

/* ---- executing ---- */

/* As far as a C string goes, and at most so many bytes: what Redis quotes of a word. */
static int command_quoted(struct slice word, size_t most)
{
    return (int)strnlen(word.ptr, word.len < most ? word.len : most);
}

static void command_unknown(struct cache_client *c, const struct cache_command *container,
                            const struct slice *words, size_t count)
{
    if (container != NULL) {
        char upper[COMMAND_NAME_MAX + 1] = "";
        for (unsigned i = 0; i < container->name_len; i++)
            upper[i] = (char)toupper((unsigned char)container->name[i]);
        resp_error(&c->reply, "ERR unknown subcommand '%.*s'. Try %s HELP.",
                   command_quoted(words[1], COMMAND_QUOTED_MAX), words[1].ptr, upper);
        return;
    }
    struct buffer args = BUFFER_EMPTY;
    for (size_t i = 1; i < count && args.len < COMMAND_QUOTED_MAX; i++)
        buffer_printf(&args, "'%.*s' ", command_quoted(words[i], COMMAND_QUOTED_MAX - args.len),
                      words[i].ptr);
    const char *text = buffer_text(&args);
    resp_error(&c->reply, "ERR unknown command '%.*s', with args beginning with: %s",
               command_quoted(words[0], COMMAND_QUOTED_MAX), words[0].ptr,
               text != NULL ? text : "");
    buffer_fini(&args);
}

/*
 * A browser that a page sends to an address of ours: what stands in its request's body must not be taken for commands.
 * As redis-server, which ends such a connection without a word.
 */
static bool command_is_http(struct slice word)
{
    return command_is(word, "post") || command_is(word, "host:");
}

static void command_end_http(struct cache_client *c)
{
    uint64_t now = clock_mono_ms(), *said = &c->node->http_said_ms;
    if (*said == 0 || now - *said > COMMAND_SAY_MS) {
        *said = now;
        log_warn(
            "http-refused",
            "reason=\"a client speaks HTTP, maybe a page in somebody's browser: its connection is "
            "ended; let only your application reach the address (unix:, secret_file)\"");
    }
    cache_turn_end(c, true);
}

/* EXEC does what was queued. */
static unsigned command_flags(const struct cache_client *c, const struct cache_command *command,
                              const struct slice *words, size_t count)
{
    return command->run == command_exec           ? command->flags | command_queued_flags(c)
           : command->run == command_platoon_exec ? command_exec_flags(c, words, count)
                                                  : command->flags;
}

/* What takes memory, or makes something dirty; in a transaction all does, for what is queued takes memory. */
static bool command_has_room(const struct cache_client *c, const struct cache_command *command,
                             const struct slice *words, size_t count)
{
    unsigned flags = command_flags(c, command, words, count);
    bool takes =
        (flags & COMMAND_DENYOOM) != 0 || (c->multi && (command->flags & COMMAND_AT_ONCE) == 0);
    if (c->node->park == NULL)
        return !takes || cache_db_room(c->node->db) == CACHE_OK;
    bool dirties = (flags & COMMAND_WRITE) != 0 &&
                   (flags & (COMMAND_DENYOOM | COMMAND_SHRINKS)) != COMMAND_SHRINKS;
    return cache_park_has_room(c->node->park, takes, dirties);
}

/* When full it is refused; with a store it waits, for room comes with what is stored. */
static enum cache_hold command_is_full(struct cache_client *c, const struct cache_command *command,
                                       const struct slice *words, size_t count)
{
    if (c->node->park != NULL && cache_db_dirt(c->node->db).keys > 0)
        return cache_hold_room(c, command, words, count);
    command_fault(c, CACHE_FAULT_OOM);
    return CACHE_HOLD_REFUSED;
}

/* It names a key that a stray might have, in a ring or not. EXEC's have been seen when they were queued. */
static bool command_is_hidden(const struct cache_command *command, const struct slice *words,
                              size_t count)
{
    struct command_keys keys;
    struct slice key;
    command_keys_start_all(&keys, NULL, command, words, count);
    while (command_keys_next(&keys, &key))
        if (cache_stray_may_be(key))
            return true;
    return false;
}

/* In Redis' order. */
static enum cache_hold command_may(struct cache_client *c, const struct cache_command *command,
                                   const struct slice *words, size_t count)
{
    enum cache_hold owner;
    if (!command_takes(command, count))
        resp_error(&c->reply, "ERR wrong number of arguments for '%s' command", command->name);
    else if (!c->trusted && (command->flags & COMMAND_NO_AUTH) == 0)
        resp_error(&c->reply, "NOAUTH Authentication required.");
    else if (c->large)
        command_fault(c, CACHE_FAULT_LARGE);
    else if (c->multi && (command->flags & COMMAND_NO_MULTI) != 0)
        resp_error(&c->reply, "ERR Command not allowed inside a transaction");
    else if (command_is_hidden(command, words, count))
        resp_error(&c->reply, "%s", CACHE_ACCESS_HIDDEN);
    else if (c->node->member != NULL &&
             (owner = cache_owner_look(c, command, words, count)) != CACHE_HOLD_GO)
        return owner;
    else if (!command_has_room(c, command, words, count))
        return command_is_full(c, command, words, count);
    else if (c->node->turn.failed && (command_flags(c, command, words, count) & COMMAND_WRITE) != 0)
        command_fault(c, CACHE_FAULT_LOG);
    else if (c->node->second != NULL && cache_second_is_late(c->node->second) &&
             (command_flags(c, command, words, count) & COMMAND_WRITE) != 0)
        resp_error(&c->reply, CACHE_SECOND_REFUSED);
    else
        return c->node->park != NULL ? cache_hold_keys(c, command, words, count) : CACHE_HOLD_GO;
    return CACHE_HOLD_REFUSED;
}

/*
 * A transaction of which something was refused is none; EXEC itself says what was wrong with it. That the store does
 * not answer, or that its keys are not of one node, is told as it is: whoever knows TRYAGAIN tries it again from MULTI
 * on.
 */
static void command_refused(struct cache_client *c, const struct cache_command *command,
                            size_t from)
{
    c->multi_bad = c->multi_bad || c->multi;
    if (command == NULL || command->run != command_exec)
        return;
    struct buffer *out = &c->reply.out;
    char *text =
        buffer_ok(out) ? slice_dup(slice_make(out->data + from + 1, out->len - from - 1)) : NULL;
    command_forget(c);
    bool as_it_is = text != NULL &&
                    (strncmp(text, "TRYAGAIN ", 9) == 0 || strncmp(text, "CROSSSLOT ", 10) == 0);
    if (as_it_is) {
        free(text);
        return;
    }
    out->len = from;
    bool plain = text != NULL && strncmp(text, "ERR ", 4) == 0;
    resp_error(&c->reply, "EXECABORT Transaction discarded because of: %s",
               text == NULL ? ""
               : plain      ? text + 4
                            : text);
    free(text);
}

/* How far the log must have come for what it has written; 0: nothing. */
static uint64_t command_do(struct cache_client *c, const struct cache_command *command,
                           const struct slice *words, size_t count)
{
    struct cache_log *log = c->node->log;
    if (c->multi && (command->flags & COMMAND_AT_ONCE) == 0) {
        command_queue(c, command, words, count);
        return 0;
    }
    if (c->node->reads != NULL)
        cache_reads_wrote(c->node->reads, c, command, words, count);
    bool writes = log != NULL && (command->flags & (COMMAND_WRITE | COMMAND_AT_ONCE)) != 0;
    uint64_t before = writes ? cache_log_added(log) : 0;
    command_call(c, command, words, count);
    uint64_t after = writes ? cache_log_added(log) : 0;
    return after != before ? after : 0;
}

/* Told to the client or not, as Redis counts them. */
static void command_count_error(struct cache_client *c, size_t from)
{
    const struct buffer *out = &c->reply.out;
    if (!buffer_ok(out) || out->len <= from || out->data[from] != '-')
        return;
    c->node->counts.errors++;
    cache_rates_error(&c->node->rates, out->data + from + 1, out->len - from - 1);
}

/* What CLIENT REPLY says of the reply that stands from there on. */
static void command_hush(struct cache_client *c, size_t from)
{
    if (c->reply_off || c->reply_skip)
        c->reply.out.len = from;
    c->reply_skip = c->reply_skip_next;
    c->reply_skip_next = false;
}

/* So far second copies must be before it is told what it reads: of the last changes of its keys. */
static uint64_t command_copies(struct cache_client *c, const struct cache_command *command,
                               const struct slice *words, size_t count)
{
    struct command_keys keys;
    struct slice key;
    uint64_t copy = 0;
    if (cache_turn_is_copied(&c->node->turn, cache_db_copy_end(c->node->db)))
        return 0;
    command_keys_start(&keys, c, command, words, count);
    while (command_keys_next(&keys, &key)) {
        uint64_t number = cache_db_copy_of(c->node->db, key);
        copy = number > copy ? number : copy;
    }
    return copy;
}

/* Its answer holds only while the lease runs: it tells of objects as their owner, and not of some that may be old. */
static bool command_is_leased(const struct cache_client *c, const struct cache_command *command)
{
    return c->node->member != NULL && c->reads == CACHE_STRONG && command_has_keys(c, command);
}

/*
 * What another node takes in one piece. It is told, and its other clients' answers follow; the node of a client that
 * asks itself drops that one (cache_client.c), as Redis does.
 */
static void command_bound(struct cache_client *c, size_t from)
{
    struct buffer *out = &c->reply.out;
    if (buffer_ok(out) && out->len - from <= CACHE_CLIENT_UNSENT_MAX)
        return;
    out->failed = false;
    out->len = from;
    resp_error(&c->reply, "ERR the answer is larger than 64 MB, or than the memory there is: ask "
                          "for less at a time");
}

/* What has been found (NULL: nothing was) runs, is refused, or waits. */
static void command_go(struct cache_client *c, const struct cache_command *command,
                       const struct slice *words, size_t count, enum cache_hold may, size_t from)
{
    uint64_t end = 0, copied = cache_db_copy_end(c->node->db), copy = 0;
    if (may == CACHE_HOLD_WAITS)
        return;
    struct cache_held *held = cache_hold_take(c);
    bool leased = may == CACHE_HOLD_GO && command_is_leased(c, command);
    bool bounded = c->from != 0 && buffer_ok(&c->reply.out);
    if (leased)
        copy = command_copies(c, command, words, count);
    if (may == CACHE_HOLD_GO)
        end = command_do(c, command, words, count);
    if (may == CACHE_HOLD_REFUSED && command != NULL)
        command_stats_reject(c, command);
    if (may == CACHE_HOLD_GO && c->away != NULL)
        cache_forward_complete(c, from);
    else if (may == CACHE_HOLD_REFUSED)
        command_refused(c, command, from);
    if (bounded)
        command_bound(c, from);
    command_count_error(c, from);
    if (c->parked == 0)
        command_hush(c, from);
    if (cache_db_copy_end(c->node->db) != copied)
        copy = cache_db_copy_end(c->node->db);
    if (end != 0 || leased)
        cache_turn_wrote(c, from, end, copy); /* what CLIENT REPLY leaves of it */
    cache_hold_free(held);
    if (c->away != NULL && c->parked == 0 && may != CACHE_HOLD_AWAY) {
        cache_forward_behind(c, from);
        cache_forward_go_on(c);
    }
}

bool command_may_join(struct cache_client *c, const struct slice *words, size_t count)
{
    const struct cache_command *container = NULL;
    return cache_forward_may_join(c, command_named(&command_table, words, count, &container), words,
                                  count);
}

static void command_look(struct cache_client *c, const struct slice *words, size_t count)
{
    enum cache_hold may = CACHE_HOLD_REFUSED;
    const struct cache_command *container = NULL;
    command_number(c);
    size_t from = c->reply.out.len;
    bool again = c->last != NULL && (c->last->flags & (COMMAND_CONTAINER | COMMAND_SUB)) == 0 &&
                 command_has_name(c->last, words[0]);
    const struct cache_command *command =
        again ? c->last : command_named(&command_table, words, count, &container);
    c->last = command;
    c->node->counts.commands++;
    if (command == NULL && command_is_http(words[0])) {
        command_end_http(c);
        return;
    }
    if (command == NULL)
        command_unknown(c, container, words, count);
    else
        may = command_may(c, command, words, count);
    command_go(c, command, words, count, may, from);
}

void command_execute(struct cache_client *c, const struct slice *words, size_t count)
{
    size_t from = c->reply.out.len;
    const struct slice *all = words;
    size_t all_count = count;
    if (!command_unwrap(c, &words, &count))
        command_hush(c, from);
    else if (!command_is_behind(c, all, all_count))
        command_look(c, words, count);
    command_beside(c, from);
}

void command_resume(struct cache_client *c)
{
    size_t before = c->reply.out.len;
    command_number(c);
    size_t from = c->reply.out.len;
    const struct command_queued *q = cache_hold_command(c);
    enum cache_hold may = cache_hold_came(c);
    c->again = false; /* Redis has been asked for it: once */
    if (may == CACHE_HOLD_GO)
        may = command_may(c, q->command, q->words, q->count);
    command_go(c, q->command, q->words, q->count, may, from);
    command_beside(c, before);
}

/* It ends. */
static void command_leave(struct cache_client *c)
{
    cache_hold_forget(c);
    cache_forward_forget(c);
    command_forget(c);
}

const struct cache_commands *command_all(void)
{
    static const struct cache_commands all = {.execute = command_execute,
                                              .may_join = command_may_join,
                                              .resume = command_resume,
                                              .look_ahead = cache_hold_look_ahead,
                                              .forget = command_leave,
                                              .table = &command_table};
    if (!command_table.filled)
        command_table_fill(&command_table);
    return &all;
}
