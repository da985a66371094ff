/*
 * ctl_letters.h: what the verbs about dead letters share, whichever system has them: `list`, `show`, `retry`, `drop`.
 *
 * Runs in platoonctl. A system brings how its letters are asked for, named and shown.
 */
#ifndef MASTER_CTL_CTL_LETTERS_H
#define MASTER_CTL_CTL_LETTERS_H

#include "master/ctl/ctl.h"

/* The word that stands for all of them. */
#define CTL_LETTERS_ALL "all"

struct ctl_letters {
    enum ctl_verb verb;
    const char *system;  /* the verb's first word: "drain" */
    const char *retried; /* what those that are tried again do: "will be tried again" */
    /* What one is called by, where that is a number: "id". NULL: the next three are the system's own. */
    const char *number;
    bool placed; /* and may be followed by @ and where it is */
    int (*list)(struct ctl *c);
    int (*show)(struct ctl *c);
    int (*check)(
        struct ctl *c); /* the words of retry and drop: 0, or the exit code, the reason printed */
    /* Where it is a number: an answer to `list` for people, and one to `show`. */
    void (*render)(const json_t *letters, size_t width, bool color, struct buffer *out);
    void (*render_data)(const json_t *letters, bool color, struct buffer *out);
    /* The node's verb with those words: on 0 *answer is the caller's, for json_decref. */
    int (*ask)(struct ctl *c, const char *verb, json_t **answer);
};

/* The verb, by its second word, or `list`. Returns the exit code. */
int ctl_letters_run(struct ctl *c, const struct ctl_letters *letters);

/* Whether the one word behind that is CTL_LETTERS_ALL. */
bool ctl_letters_is_all(const struct ctl *c);

/* Of those that were named so many were there: 0, or the exit code, the reason printed. */
int ctl_letters_found(const struct ctl *c, const char *system, uint64_t found);

#endif
