/*
 * command.h: the commands of a cache node.
 *
 * Runs in a cache node. COMMANDS (command_list.h) is the list; a command is a function that reads its words and writes
 * one reply. It runs at once and to its end: whatever it waits for (a load, another node) has been waited for before
 * (cache_park.c), by the keys that its line names. Replies and errors are redis-server 7.0's, byte for byte:
 * test/e2e/cache/test_differential.py asks both.
 */
#ifndef WORKERS_CACHE_COMMAND_H
#define WORKERS_CACHE_COMMAND_H

#include "workers/cache/cache_client.h"

enum command_flag {
    COMMAND_NONE = 0,
    /* As COMMAND INFO says them, and in its order. */
    COMMAND_WRITE = 1,
    COMMAND_READ = 1 << 1,
    COMMAND_DENYOOM = 1 << 2, /* refused when full */
    COMMAND_ADMIN = 1 << 3,
    COMMAND_NOSCRIPT = 1 << 4,
    COMMAND_LOADING = 1 << 5,
    COMMAND_STALE = 1 << 6,
    COMMAND_SKIP_SLOWLOG = 1 << 7,
    COMMAND_FAST = 1 << 8,
    COMMAND_NO_AUTH = 1 << 9,   /* before AUTH too */
    COMMAND_NO_MULTI = 1 << 10, /* refused between MULTI and EXEC */
    COMMAND_ALLOW_BUSY = 1 << 11,
    /* Whose it is. */
    COMMAND_STRING = 1 << 16,
    COMMAND_KEYSPACE = 1 << 17,
    COMMAND_CONNECTION = 1 << 18,
    COMMAND_TRANSACTION = 1 << 19,
    COMMAND_DANGEROUS = 1 << 20, /* ADMIN is too */
    /* Changes or tells of its client's connection: in no transaction that another node runs. */
    COMMAND_OF_CLIENT = 1 << 21,
    /* How fresh what it reads must be (command_consistency.h). */
    COMMAND_SAYS = 1 << 22, /* the words behind its key say it; without any as GETS */
    COMMAND_GETS = 1 << 23, /* after READONLY eventual */
    /* Executed between MULTI and EXEC, not queued: EXEC, DISCARD, MULTI, WATCH, QUIT, RESET. */
    COMMAND_AT_ONCE = 1 << 24,
    COMMAND_CONTAINER = 1 << 25, /* has subcommands */
    COMMAND_SUB = 1 << 26,       /* is one */
    /* With a store behind. */
    COMMAND_BLIND = 1 << 27,        /* needs nothing of what was there: nothing is loaded for it */
    COMMAND_BLIND_UNLESS = 1 << 28, /* so too, unless one of SET's options asks for it */
    COMMAND_SHRINKS = 1 << 29,      /* deletes: done however much is not yet stored */
    COMMAND_COUNTS = 1 << 30,       /* its first argument is the number of its keys */
};

/* `words` are name and arguments. They live for the call, and are never NUL-ended. */
typedef void command_run(struct cache_client *c, const struct slice *words, size_t count);

struct cache_commands;

struct cache_command {
    const char *name; /* lower case, as COMMAND shows it: "get", "client|list" */
    unsigned name_len;
    int arity; /* Redis': negative: at least */
    unsigned flags;
    int first, last, step; /* keys, as COMMAND INFO says them */
    const char *key, *tips;
    command_run *run;
};

/* ---- finding (command_table.c) ---- */

#define COMMAND_NAME_MAX 31

struct command_table {
    const struct cache_command *list, *subs; /* commands; subcommands: "client|list" */
    size_t count, sub_count;
    const struct cache_command
        *slots[512]; /* several times the commands, by a hash of their names */
    bool filled;
};

/* Before anything is found in it. */
void command_table_fill(struct command_table *t);

/* The command of that name, in any case, or NULL. */
const struct cache_command *command_find(const struct command_table *t, struct slice name);
bool command_has_name(const struct cache_command *command, struct slice name);

/* The subcommand of a container that those words name; without a second word the container. NULL: there is none. */
const struct cache_command *command_find_sub(const struct command_table *t,
                                             const struct cache_command *container,
                                             const struct slice *words, size_t count);

/*
 * The command that those words (count > 0) name, a container's subcommand among them; NULL: there is none. *container:
 * whose subcommand it would be, or NULL.
 */
const struct cache_command *command_named(const struct command_table *t, const struct slice *words,
                                          size_t count, const struct cache_command **container);

/* Walk the commands, and the subcommands of a container: start with NULL; NULL at the end. */
const struct cache_command *command_next(const struct command_table *t,
                                         const struct cache_command *after);
const struct cache_command *command_next_sub(const struct command_table *t,
                                             const struct cache_command *container,
                                             const struct cache_command *after);

/* ---- executing (command_dispatch.c) ---- */

/* What a node's clients are given (cache_node.h). */
const struct cache_commands *command_all(void);

/*
 * One command of a client (count > 0): checks what comes before each (name, arity, AUTH, OOM, log), then runs or queues
 * it.
 */
void command_execute(struct cache_client *c, const struct slice *words, size_t count);

/* Whether it may be looked at while commands before it are away (cache_forward.h). Nothing is done. */
bool command_may_join(struct cache_client *c, const struct slice *words, size_t count);

/* The one that waited for the store (cache_hold.h) is looked at again: run, refused, or held on. */
void command_resume(struct cache_client *c);

/* ---- words (command_words.c) ---- */

/* Whether so many words, the name among them, are right for it. */
bool command_takes(const struct cache_command *command, size_t count);

/* MSET with a key that has no value: it takes them, and refuses them when it runs. */
bool command_is_crooked(const struct cache_command *command, size_t count);

/* A number as Redis reads it: no plus, no blanks, no leading zero, whole. */
bool command_read_i64(struct slice word, int64_t *out);

/* What its words must be: number, or the error is written and false returned (Redis' text for both). */
bool command_i64(struct cache_client *c, struct slice word, int64_t *out);
/* Writes the error for a fault; true when there was none. */
bool command_fault(struct cache_client *c, enum cache_fault fault);

/* True when the word is that text, in any case. */
bool command_is(struct slice word, const char *text);

/* ---- transactions (command_transaction.c) ---- */

/* Keeps a command that was found right for EXEC, and answers QUEUED. */
void command_queue(struct cache_client *c, const struct cache_command *command,
                   const struct slice *words, size_t count);

/* Ends a transaction without executing it, and the client's watches: DISCARD, RESET, a refused EXEC, its end. */
void command_forget(struct cache_client *c);

#endif
