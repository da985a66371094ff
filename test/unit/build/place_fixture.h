/*
 * place_fixture.h: a directory of a test's own and a configuration in it.
 *
 * Runs in unit tests. Whatever fails ends the test.
 */
#ifndef TEST_UNIT_PLACE_FIXTURE_H
#define TEST_UNIT_PLACE_FIXTURE_H

#include "master/config/config.h"

struct place {
    char dir[64];
};

/* Makes a directory under /tmp (short: sockets go there). */
void place_make(struct place *p);

/* Removes it with all that is in it. */
void place_remove(struct place *p);

/* A path in it; the result lives until the fourth call after this one. */
const char *place_path(const struct place *p, const char *name);

/* Writes a file there. */
void place_write(const struct place *p, const char *name, const char *text, unsigned mode);

/* The text of a file there, at most 255 bytes; lives until the next call. */
const char *place_read(const struct place *p, const char *name);

/* Loads `text` as a configuration file of that directory. Free with config_free. */
struct config *place_config(const struct place *p, const char *text);

#endif
