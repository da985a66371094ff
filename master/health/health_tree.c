/*
 * health_tree.c: when there is a health worker, and what it is told. See systems_tree.h.
 *
 * Runs in the master.
 */
#include "master/systems_tree.h"

bool tree_when_health(const struct config *c, const struct config_section *s)
{
    (void)c;
    return config_get(s, "health")[0] != '\0';
}

/* The key is LIVE, so that a change of it starts or stops the worker; told under another name, it restarts it too. */
int tree_extra_health(const struct config *c, const struct config_section *s,
                      const struct preflight *p, struct config_extras *extras)
{
    (void)c;
    (void)p;
    config_extras_add(extras, "health.listen", config_get(s, "health"));
    return 0;
}
