/*
 * config_key.h: the KEYS of all systems (proto/systems.h) as a table, and the check of one value against its record.
 *
 * Runs in the master and in the tool. Pure functions; nothing is opened, so a path's file may be missing.
 */
#ifndef MASTER_CONFIG_KEY_H
#define MASTER_CONFIG_KEY_H

#include "common/buffer.h"
#include "master/config/config.h"

enum config_type {
    CONFIG_STRING,
    CONFIG_PATH,
    CONFIG_EXECUTABLE,
    CONFIG_BOOL,
    CONFIG_INT,
    CONFIG_SPAN,
    CONFIG_SIZE,
    CONFIG_CHOICE,
    CONFIG_SECTION, /* `min` is the kind it must be of */
};

/* What a reload makes of a changed value (systems.h, RELOAD). */
enum config_reload { CONFIG_LIVE, CONFIG_RESTART, CONFIG_MASTER };

struct config_key {
    enum config_kind kind;
    const char *name; /* "get_hash.workers" */
    enum config_type type;
    const char *preset; /* default as it stands in the list, "" for none */
    bool required;
    uint64_t min;
    uint64_t max;
    enum config_reload reload;
    const char *help;
};

/* Longest name of a key, NUL included. */
#define CONFIG_KEY_NAME_MAX 64

/* The number of keys in the list, of all kinds; a constant so that it sizes arrays. */
#define CONFIG_KEY_ONE(kind, name, type, preset, min, max, reload, help) +1
enum { CONFIG_KEY_COUNT = 0 SYSTEMS(KEYS, CONFIG_KEY_ONE) };

extern const struct config_key config_keys[CONFIG_KEY_COUNT];

/* The keyword of its sections: "platoon", "redis", … */
const char *config_kind_name(enum config_kind kind);

enum config_heads { CONFIG_SINGLE, CONFIG_TITLED, CONFIG_GROUP };

/* Whether there is one such section or many (systems.h, HEADS). */
enum config_heads config_kind_heads(enum config_kind kind);

/* How many keys a kind has, and a key's place among them: a section holds no more than its own. */
size_t config_kind_keys(enum config_kind kind);
size_t config_key_slot(int key);

/* Place of a key in config_keys; -1 when there is none of that name. */
int config_key_find(enum config_kind kind, struct slice name);

/* The key of that kind whose name, or whose last part, is nearest to a mistyped one; NULL when none is near. */
const struct config_key *config_key_nearest(enum config_kind kind, struct slice name);

/*
 * Checks a value as it stands in the file and appends it normalised: spans in ms, sizes in bytes, bools as 0 and 1,
 * paths absolute under `base`. Returns true; or false with "what is wrong, what is allowed" appended to `why` instead.
 */
bool config_value_check(const struct config_key *key, const char *value, const char *base,
                        struct buffer *out, struct buffer *why);

/* Appends a normalised value as it would be written into a file, without quotes: "5s", "16MB", "true". */
void config_value_format(const struct config_key *key, const char *value, struct buffer *out);

/* Appends the words a CHOICE may have, as "text or json". */
void config_choice_format(const struct config_key *key, struct buffer *out);

/*
 * Appends a text with each url in it shown without secrets: the password before the host, and every value of the query
 * that is not known to say only where and how, become "***".
 */
void config_mask(const char *value, struct buffer *out);

#endif
