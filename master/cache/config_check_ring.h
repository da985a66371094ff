/*
 * config_check_ring.h: what a cache that is a ring must have beyond what every cache has.
 *
 * Runs in the master and in the tool.
 */
#ifndef MASTER_CACHE_CONFIG_CHECK_RING_H
#define MASTER_CACHE_CONFIG_CHECK_RING_H

#include "master/config/config_check.h"

/* Adds what is wrong with a cache section in which `redis` is given; of any other it adds nothing. */
void config_check_ring(const struct config *c, const struct config_section *s,
                       struct config_errors *errors);

#endif
