/*
 * config_parse.h: from a file's text to sections with checked values, by libconfuse.
 *
 * Runs in the master and in the tool. Not re-entrant: libconfuse's lexer is global (FACTS.md 9). libconfuse ends the process when
 * its lexer gets no memory, which nothing here can prevent; a file is at most CONFIG_FILE_MAX bytes.
 */
#ifndef MASTER_CONFIG_PARSE_H
#define MASTER_CONFIG_PARSE_H

#include "master/config/config_errors.h"
#include "master/config/config_key.h"

#define CONFIG_FILE_MAX (1024u * 1024)

/* What config.h keeps opaque. */
struct config_section {
    enum config_kind kind;
    char *title;
    unsigned line;                    /* of its head; 1 when the file has no such section */
    bool duplicate;                   /* its title was there before: reported */
    char *values[CONFIG_KEY_COUNT];   /* normalised; NULL for keys of other kinds */
    unsigned lines[CONFIG_KEY_COUNT]; /* 0: not in the file, the default holds */
    bool broken[CONFIG_KEY_COUNT];    /* its fault was reported: say no more about it */
};

struct config {
    char *path;
    char *base; /* directory of the file, real path */
    struct config_section **sections;
    size_t count;
};

/*
 * Parses `text` (NUL-terminated, without other NULs) and appends its sections to c, values checked one by one and defaults filled
 * in. What is wrong goes to `errors`. Returns 0 or -ENOMEM.
 */
int config_parse(struct config *c, struct slice text, struct config_errors *errors);

/* Adds a section with all defaults; NULL when memory is short. Copies the title. */
struct config_section *config_section_add(struct config *c, enum config_kind kind,
                                          struct slice title);

#endif
