/*
 * redis_rights.h: which commands does this Redis refuse us? All of them, in one sentence.
 *
 * Runs in one worker of each drain, its watcher. Each command is called once, in one write, with words that change
 * nothing (proto/systems.h, RIGHTS), on the connection that has just come up, and the errors are looked at: access
 * rules come before whatever else may be wrong. Not by ACL DRYRUN: it needs a right of its own, which nobody has whose
 * rights were counted out, it knows nothing of rename-command, and older servers know nothing of it.
 */
#ifndef WORKERS_REDIS_RIGHTS_H
#define WORKERS_REDIS_RIGHTS_H

#include "workers/redis/redis_settings.h"

#define REDIS_RIGHTS_MAX 64

/* A line of RIGHTS; words NULL: not tried. */
struct redis_right {
    const char *command;
    const char *words;
};

/* An entry of such a table: X of RIGHTS. */
#define REDIS_RIGHT(KIND, command, NEED, words) {command, REDIS_RIGHT_##NEED(words)},
#define REDIS_RIGHT_NEEDED(words)               (words)[0] == '-' ? NULL : (words)
#define REDIS_RIGHT_OPTIONAL(words)             NULL
#define REDIS_RIGHT_NEWER(words)                NULL
#define REDIS_RIGHT_SPARE(words)                NULL

struct redis_rights {
    struct redis_link *link;
    const struct redis_right *list;
    size_t count;
    char spare[160];  /* $ */
    struct slice set; /* @ */
    char keys[128];   /* what keys of ours begin with, as people are told */
    uint64_t asked_ms;
    size_t answered; /* of those that were asked */
    size_t asked;
    unsigned char found[REDIS_RIGHTS_MAX]; /* enum redis_refusal */
    unsigned char told[REDIS_RIGHTS_MAX];  /* of the last round that was answered whole */
    bool missing;
    bool given; /* one that was refused is not any more; whoever acts on it clears it */
};

/*
 * `prefix`: what keys of ours begin with; `spare`: the rest of the name of the one that is not there. `list` and `set`
 * must outlive it. A prefix that is too long is cut: nothing is done with these keys.
 */
void redis_rights_init(struct redis_rights *r, struct redis_link *link,
                       const struct redis_right *list, size_t count, const char *prefix,
                       const char *spare, struct slice set);

/* Asks, when the link is READY: for on_ready. */
void redis_rights_ask(struct redis_rights *r);

/* Asks again: soon while something is missing or `doubtful`, seldom else. For on_tick. */
void redis_rights_tick(struct redis_rights *r, bool doubtful);

/*
 * What is missing, with the remedy, in one line; "" when nothing is. Names that do not fit are counted. Returns text.
 */
const char *redis_rights_text(const struct redis_rights *r, char *text, size_t size);

#endif
