/*
 * cache_tree.c: which workers a cache has. See systems_tree.h.
 *
 * Runs in the master.
 */
#include "master/systems_tree.h"

bool tree_when_cache_store(const struct config *c, const struct config_section *s)
{
    (void)c;
    return config_get(s, "store")[0] != '\0';
}

bool tree_when_cache_redis(const struct config *c, const struct config_section *s)
{
    (void)c;
    return config_get(s, "redis")[0] != '\0';
}
