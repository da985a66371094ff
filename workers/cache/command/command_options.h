/*
 * command_options.h: the options that commands take behind their arguments: SET's and GETEX'.
 *
 * Runs in a cache node. Pure but for the error that it writes. Which options exclude which is Redis': those that say
 * when an object ends exclude each other, and each may be repeated, the last one counts.
 */
#ifndef WORKERS_CACHE_COMMAND_OPTIONS_H
#define WORKERS_CACHE_COMMAND_OPTIONS_H

#include "workers/cache/command/command.h"

/* When the object shall end. */
enum command_end {
    COMMAND_END_UNSAID, /* SET: never; GETEX: as it does */
    COMMAND_END_KEEP,   /* KEEPTTL */
    COMMAND_END_NEVER,  /* PERSIST */
    COMMAND_END_EX,     /* in seconds */
    COMMAND_END_PX,     /* in milliseconds */
    COMMAND_END_EXAT,   /* at a second since 1970 */
    COMMAND_END_PXAT,   /* at a millisecond */
};

struct command_options {
    bool nx, xx, get;
    enum command_end end;
    struct slice time; /* with EX, PX, EXAT, PXAT: their word */
};

/* True when the word is that option, in any case. Redis' words end at a NUL here: "nx\0y" is nx. */
bool command_option_is(struct slice word, const char *name);

/* Reads the words from `from` on. `set`: SET's; else GETEX'. False: the error is written. */
bool command_options_read(struct cache_client *c, const struct slice *words, size_t from,
                          size_t count, bool set, struct command_options *o);

/*
 * When that is, in milliseconds since 1970; CACHE_NEVER unless a time was given. `name`: the command's, for the error.
 * False: it is written.
 */
bool command_options_when(struct cache_client *c, const struct command_options *o, const char *name,
                          int64_t *when);

#endif
