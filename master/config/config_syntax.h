/*
 * config_syntax.h: names what libconfuse stopped at, in our words, and hides it so that the rest can be parsed.
 *
 * Runs in the master and in the tool, between two runs of the parser (config_parse.c).
 */
#ifndef MASTER_CONFIG_SYNTAX_H
#define MASTER_CONFIG_SYNTAX_H

#include "master/config/config_errors.h"
#include "master/config/config_scan.h"

/*
 * Reports the statement around token `at` (the tokens' count: the end of the file) and drops its tokens; a section is
 * dropped whole only when it is its head that is wrong. Returns false when there was nothing left to drop: then
 * parsing again would not help.
 */
bool config_syntax_recover(struct config_scan *scan, size_t at, struct config_errors *errors);

#endif
