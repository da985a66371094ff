/*
 * config_check.h: what is wrong with a configuration whose every value is right by itself: names, references, pairs that contradict each
 * other, urls, templates.
 *
 * Runs in the master and in the tool, after the parser. Touches nothing but the sections.
 */
#ifndef MASTER_CONFIG_CHECK_H
#define MASTER_CONFIG_CHECK_H

#include "master/config_parse.h"

/* Adds an error for each finding. */
void config_check(const struct config *c, struct config_errors *errors);

#endif
