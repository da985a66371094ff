/*
 * config_check.h: what is wrong with a configuration whose every value is right by itself: names, references, pairs that contradict each
 * other, urls, templates.
 *
 * Runs in the master and in the tool, after the parser. Touches nothing but the sections.
 */
#ifndef MASTER_CONFIG_CHECK_H
#define MASTER_CONFIG_CHECK_H

#include "master/config/config_parse.h"

/* Adds an error for each finding. */
void config_check(const struct config *c, struct config_errors *errors);

/* ---- for the files that check one kind of section ---- */

/* Line of a key, or of its section when the default holds. */
unsigned config_check_line(const struct config_section *s, const char *key);

/* The key's fault was reported already, or it is none of this kind: say no more about it. */
bool config_check_broken(const struct config_section *s, const char *key);

#endif
