/*
 * config_scan.h: cuts a configuration file into tokens and sees to it that every brace, string and comment ends.
 *
 * Runs in the master and in the tool. libconfuse remains the parser; this pass exists for four of its traps (3.3,
 * measured): it accepts a file whose last brace is missing, it silently drops '*' and a lone '+', it stays inside a
 * broken string for the NEXT file it parses, and it stops at its first error without saying where on the line. So it
 * gets one token a line, from which every position can be told, with comments gone and braces in balance.
 */
#ifndef MASTER_CONFIG_SCAN_H
#define MASTER_CONFIG_SCAN_H

#include "master/config/config_errors.h"

enum config_token_type {
    CONFIG_TOKEN_WORD,   /* unquoted text, or ${NAME} */
    CONFIG_TOKEN_STRING, /* quoted text, with its quotes */
    CONFIG_TOKEN_OPEN,   /* { */
    CONFIG_TOKEN_CLOSE,  /* } */
    CONFIG_TOKEN_EQUAL,  /* = or += */
    CONFIG_TOKEN_OTHER,  /* ( ) , */
};

#define CONFIG_TOKEN_NONE SIZE_MAX

struct config_token {
    enum config_token_type type;
    struct slice text; /* into the file's text, or a literal */
    unsigned line;     /* of its first character */
    bool glued;        /* follows the one before without a blank */
    bool broken;       /* a string with a fault that was reported: its value means nothing */
    bool dropped;      /* hidden from libconfuse after an error */
    bool
        renamed; /* a title that was there before; goes to libconfuse as a name that no file can hold */
    size_t match;  /* of a brace: its other half */
    size_t parent; /* the OPEN of the block it is in, CONFIG_TOKEN_NONE at the top */
};

struct config_scan {
    struct config_token *tokens;
    size_t count;
    size_t cap;
    bool truncated; /* a string or comment never ended: what came after is unknown */
};

/*
 * Scans `text`, which must outlive the tokens. What is wrong goes to `errors`; the tokens are made whole all the same
 * (missing closing braces are added, surplus ones left out), so that the rest can be checked. Returns 0 or -ENOMEM.
 * Free with config_scan_fini in either case.
 */
int config_scan(struct config_scan *s, struct slice text, struct config_errors *errors);
void config_scan_fini(struct config_scan *s);

/* The live token before i, or CONFIG_TOKEN_NONE. */
size_t config_scan_before(const struct config_scan *s, size_t i);

/* The first token of the head of the block that starts at `open`: the section's keyword. */
size_t config_scan_head(const struct config_scan *s, size_t open);

/* The line people should look at for a token: of a closing brace, the line of its section's head. */
unsigned config_scan_line(const struct config_scan *s, size_t i);

/* A section's title as people know it: without quotes; empty for a block without one. */
struct slice config_scan_title(const struct config_scan *s, size_t open);

#endif
