/*
 * config_parse.h: from a file's text to sections with checked values, by libconfuse.
 *
 * Runs in the master and in the tool. Not re-entrant: libconfuse's lexer is global (FACTS.md 9). libconfuse ends the
 * process when its lexer gets no memory, which nothing here can prevent; a file is at most CONFIG_FILE_MAX bytes.
 */
#ifndef MASTER_CONFIG_PARSE_H
#define MASTER_CONFIG_PARSE_H

#include "common/name_index.h"
#include "master/config/config_errors.h"
#include "master/config/config_key.h"

#define CONFIG_FILE_MAX (1024u * 1024)

/* What config.h keeps opaque. */
struct config_section {
    enum config_kind kind;
    char *title;
    unsigned line;               /* of its head; 1 when the file has no such section */
    bool duplicate;              /* its title was there before: reported */
    struct config_value *values; /* as many as its kind has keys: config_key_slot */
};

/* What a section has for one key of its kind. */
struct config_value {
    char *text;    /* normalised */
    unsigned line; /* 0: not in the file, the default holds */
    bool broken;   /* its fault was reported: say no more about it */
};

struct config {
    char *path;
    char *base; /* directory of the file, real path */
    struct config_section **sections;
    size_t count;
    /* The same by kind, and by kind and title. */
    struct config_section **by_kind[CONFIG_KIND_COUNT];
    size_t kind_count[CONFIG_KIND_COUNT];
    struct name_index by_title;
    /*
     * Which section names that title as its child: made by who asks first (config_supervisor_of), which is the check.
     */
    struct config_parents {
        bool made;
        struct name_index of;
    } * parents;
};

/*
 * Parses `text` (NUL-terminated, without other NULs) and appends its sections to c, values checked one by one and
 * defaults filled in. What is wrong goes to `errors`. Returns 0 or -ENOMEM.
 */
int config_parse(struct config *c, struct slice text, struct config_errors *errors);

/* The value of the key at that place of config_keys, which must be one of the section's kind. */
struct config_value *config_value_at(const struct config_section *s, int key);

/* Adds a section with all defaults; NULL when memory is short. Copies the title. */
struct config_section *config_section_add(struct config *c, enum config_kind kind,
                                          struct slice title);

#endif
