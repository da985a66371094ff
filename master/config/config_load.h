/*
 * config_load.h: the configuration file, read, checked and filled with defaults.
 *
 * Runs in the master and in the tool. libconfuse parses (config_parse.h); every kind of section has its own checks
 * (config_check.h), and only here are all of them known. Every error is collected, with file and line, and reported at
 * once. Nothing here touches anything but the file.
 */
#ifndef MASTER_CONFIG_LOAD_H
#define MASTER_CONFIG_LOAD_H

#include "master/config/config.h"

/*
 * Reads and checks a file. Returns a configuration to be freed with config_free, or NULL; then `errors` holds one
 * "file:line: key: what is wrong, what is allowed" line for each error (at most 100). Errors cover: unreadable file,
 * syntax, unclosed braces, unknown sections and keys (with the nearest known one), types, ranges, missing keys, names
 * (letters, digits, '-', '_', at most 24), duplicate sections, references to sections that do not exist, urls with
 * passwords, templates with unbalanced braces.
 */
struct config *config_load(const char *path, struct buffer *errors);

/*
 * The same, but with errors it returns what it could make of the file, defaults in the place of the rest: for who only
 * asks where platoon runs. NULL when the file cannot be read.
 */
struct config *config_load_rough(const char *path, struct buffer *errors);

#endif
