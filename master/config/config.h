/*
 * config.h: what the configuration says, once it has been read (config_load.h): looked up, compared, printed.
 *
 * Runs in the master and in the tool. The keys, their types and ranges come from the lists in
 * proto/systems.h. Touches nothing.
 */
#ifndef MASTER_CONFIG_H
#define MASTER_CONFIG_H

#include "common/buffer.h"
#include "proto/config_kind.h"

#include <stdint.h>

/* One section. Values are text, normalised: spans in ms, sizes in bytes, paths absolute. */
struct config_section;
struct config;

/* What config_load (config_load.h) has returned; NULL is nothing. */
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
enum config_kind config_section_kind(const struct config_section *s);

/* The file it was read from. */
const char *config_path(const struct config *c);

/* The directory that its relative paths are relative to: absolute, without symbolic links. */
const char *config_base(const struct config *c);

/* A value; every key of its kind's list exists, with its default. NULL for a key that its kind does not have. */
const char *config_get(const struct config_section *s, const char *key);
uint64_t config_get_u64(const struct config_section *s, const char *key);

/*
 * Calls fn for every key of the section that its workers are told of, in the list's order. LIVE keys are not among
 * them: so what a worker is told changes only when it must be restarted.
 */
void config_each_told(const struct config_section *s,
                      void (*fn)(const char *key, const char *value, void *ctx), void *ctx);

/*
 * Exchanges a key's value, which must be normalised, for *value (malloc'ed; the caller gets the old one). False,
 * nothing changed, when c has no such section or the section no such key.
 */
bool config_swap(struct config *c, const struct config_section *s, const char *key, char **value);

/* Appends the names of the LIVE keys of the platoon section that differ, with blanks between; none: nothing. */
void config_changed_live(const struct config *from, const struct config *to, struct buffer *names);

/*
 * May a running master go over from `from` to `to`? False when a key differs that only a new start takes over
 * (runtime_dir, …): one line for each in `errors`, as config_load writes them.
 */
bool config_may_reload(const struct config *from, const struct config *to, struct buffer *errors);

/*
 * Prints the effective configuration in the file's own syntax, so that it can be fed back. Secrets in urls are masked:
 * a password before the '@', and what the query says beyond where and how (config_mask).
 */
void config_print(const struct config *c, struct buffer *out);

#endif
