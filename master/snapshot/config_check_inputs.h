/*
 * config_check_inputs.h: what is wrong with how a resource is made.
 *
 * Runs in the master and in the tool. Pure.
 */
#ifndef MASTER_SNAPSHOT_CONFIG_CHECK_INPUTS_H
#define MASTER_SNAPSHOT_CONFIG_CHECK_INPUTS_H

#include "master/config/config_parse.h"

/* Adds what is wrong with inputs, command, schedule and pauses. */
void config_check_made(const struct config *c, const struct config_section *s,
                       struct config_errors *errors);

#endif
