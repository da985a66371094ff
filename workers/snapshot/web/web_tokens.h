/*
 * web_tokens.h: who may do what over HTTP: the file of tokens.
 *
 * Runs in the web worker, and in the tool that checks a configuration. One token a line: NAME read|act TOKEN; empty
 * lines, and those that begin with #, say nothing. Its file is read anew when it has changed (web.c). What a check
 * takes depends on what was sent and on how many tokens there are, not on how much of one is right.
 */
#ifndef WORKERS_SNAPSHOT_WEB_TOKENS_H
#define WORKERS_SNAPSHOT_WEB_TOKENS_H

#include "common/slice.h"

#include <stddef.h>

#define WEB_TOKENS_MAX     256
#define WEB_TOKEN_NAME_MAX 64 /* with its NUL */
#define WEB_TOKEN_MIN      16 /* characters of a token: a shorter one can be guessed */

enum web_right {
    WEB_NONE,  /* no token was given */
    WEB_WRONG, /* one that is nobody's */
    WEB_READ,
    WEB_ACT,
};

struct web_token {
    char name[WEB_TOKEN_NAME_MAX];
    enum web_right right;
    struct slice token; /* lies in the text */
};

struct web_tokens {
    struct web_token list[WEB_TOKENS_MAX];
    size_t count;
};

/* Reads the file's text, which must outlive *out. 0: it is read; else the number of the first line that is none. */
size_t web_tokens_read(struct slice text, struct web_tokens *out);

/*
 * What the header Authorization (NULL: none) allows: `Bearer TOKEN`, or `Basic` with a token as the password, of
 * whatever user. *name: whose it is, "" for nobody's; it lives as long as the tokens.
 */
enum web_right web_tokens_find(const struct web_tokens *t, const char *authorization,
                               const char **name);

#endif
