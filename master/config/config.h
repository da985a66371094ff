/*
 * config.h: the configuration file, read, checked and filled with defaults.
 *
 * Runs in the master and in the tool. libconfuse parses; the keys, their types and ranges come from proto/config_keys.h.
 * Every error is collected, with file and line, and reported at once. Nothing here touches anything but the file.
 */
#ifndef MASTER_CONFIG_H
#define MASTER_CONFIG_H

#include "common/buffer.h"

#include <stdint.h>

enum config_kind {
    CONFIG_PLATOON,
    CONFIG_REDIS,
    CONFIG_STORE,
    CONFIG_DRAIN,
    CONFIG_SUPERVISOR,
    CONFIG_PROGRAM,
    CONFIG_KIND_COUNT
};

/* One section. Values are text, normalised: spans in ms, sizes in bytes, paths absolute. */
struct config_section;
struct config;

/*
 * Reads and checks a file. Returns a configuration to be freed with config_free, or NULL; then `errors` holds one
 * "file:line: key: what is wrong, what is allowed" line for each error (at most 100). Errors cover: unreadable file, syntax,
 * unclosed braces, unknown sections and keys (with the nearest known one), types, ranges, missing keys, names (letters, digits, '-', '_', at most 24),
 * duplicate sections, references to sections that do not exist, urls with passwords, templates with unbalanced braces.
 */
struct config *config_load(const char *path, struct buffer *errors);

/*
 * The same, but with errors it returns what it could make of the file, defaults in the place of the rest: for who only asks where platoon runs. NULL when the file cannot be read.
 */
struct config *config_load_rough(const char *path, struct buffer *errors);
void config_free(struct config *c);

/* The only platoon section (defaults when the file has none). */
const struct config_section *config_platoon(const struct config *c);

/* Sections of a kind in the file's order; NULL past the end. */
const struct config_section *config_section_at(const struct config *c, enum config_kind kind,
                                               size_t index);

/* A section by title; NULL when there is none. */
const struct config_section *config_section_find(const struct config *c, enum config_kind kind,
                                                 const char *title);

const char *config_title(const struct config_section *s);

/* The file it was read from. */
const char *config_path(const struct config *c);

/* A value; every key of the list exists, with its default. NULL for a key that is none (a bug). */
const char *config_get(const struct config_section *s, const char *key);
uint64_t config_get_u64(const struct config_section *s, const char *key);

/*
 * Calls fn for every key of the section that its workers are told of, in the list's order. LIVE keys are not among them: so what a worker is told
 * changes only when it must be restarted.
 */
void config_each_told(const struct config_section *s,
                      void (*fn)(const char *key, const char *value, void *ctx), void *ctx);

/*
 * Exchanges a key's value, which must be normalised, for *value (malloc'ed; the caller gets the old one). False, nothing changed, when c has no such
 * section or the section no such key.
 */
bool config_swap(struct config *c, const struct config_section *s, const char *key, char **value);

/* Appends the names of the LIVE keys of the platoon section that differ, with blanks between; none: nothing. */
void config_changed_live(const struct config *from, const struct config *to, struct buffer *names);

/*
 * May a running master go over from `from` to `to`? False when a key differs that only a new start takes over (runtime_dir, …): one line for each in
 * `errors`, as config_load writes them.
 */
bool config_may_reload(const struct config *from, const struct config *to, struct buffer *errors);

/*
 * Prints the effective configuration in the file's own syntax, so that it can be fed back. Secrets (anything in a url before
 * an '@' beyond the user) are masked.
 */
void config_print(const struct config *c, struct buffer *out);

#endif
