/*
 * config_check.h: what is wrong with a configuration whose every value is right by itself: what is missing, names,
 * references; and what the systems look at in their own sections.
 *
 * Runs in the master and in the tool, after the parser. Touches nothing but the sections.
 */
#ifndef MASTER_CONFIG_CONFIG_CHECK_H
#define MASTER_CONFIG_CONFIG_CHECK_H

#include "master/config/config_parse.h"

/* A look at each section of a kind (CHECKS in proto/systems.h). */
struct config_check_entry {
    enum config_kind kind;
    void (*check)(const struct config *c, const struct config_section *s,
                  struct config_errors *errors);
};

/* Once, before the first config_check. The list lives as long as the process. */
void config_check_register(const struct config_check_entry *list, size_t count);

/* Adds an error for each finding. */
void config_check(const struct config *c, struct config_errors *errors);

#endif
