/*
 * config_check_key.h: what the checks of every kind of section ask: where a key stands, and whether it agrees with
 * another or names a section.
 *
 * Runs in the master and in the tool. Knows keys by the names it is given, and no kind of section.
 */
#ifndef MASTER_CONFIG_CHECK_KEY_H
#define MASTER_CONFIG_CHECK_KEY_H

#include "master/config/config_parse.h"

/* Line of a key, or of its section when the default holds. */
unsigned config_check_line(const struct config_section *s, const char *key);

/*
 * "file:line: text\n" for what is found when all of the file is right by itself: the line is the key's, or the
 * section's. NULL: of the platoon section; of the file's first line, where the file has none.
 */
void config_say(const struct config *c, const struct config_section *s, const char *key,
                struct buffer *out, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The key's fault was reported already, or it is none of this kind: say no more about it. */
bool config_check_broken(const struct config_section *s, const char *key);

/*
 * Each adds an error when: the key names a section of that kind which is not there; `low` is above `high`; `one` is
 * given without `other`.
 */
void config_check_reference(const struct config *c, const struct config_section *s, const char *key,
                            enum config_kind kind, struct config_errors *errors);
void config_check_order(const struct config_section *s, const char *low, const char *high,
                        struct config_errors *errors);
void config_check_together(const struct config_section *s, const char *one, const char *other,
                           struct config_errors *errors);

/* A key of the section that this one names in `key`; "" when it names none, or one that is not there or broken. */
const char *config_check_named(const struct config *c, const struct config_section *s,
                               const char *key, enum config_kind kind, const char *of);

/*
 * Adds an error when a worker that this configuration may have stands at that path, or below it: then the section's own
 * branch cannot.
 */
void config_check_path(const struct config *c, const struct config_section *s, const char *path,
                       struct config_errors *errors);

/* Whether it has another value than where the file says nothing of it. */
bool config_check_given(const struct config *c, const struct config_section *s, const char *key);

bool config_check_starts(const char *text, const char *start);

#endif
