/*
 * drain_tree.c: what the drains' workers are told beyond the lists. See systems_tree.h.
 *
 * Runs in the master, which knows a drain by its section only.
 */
#include "master/systems_tree.h"

/* The report worker reads every drain's store: it is told of all stores, and of no Redis. */
int tree_extra_report(const struct config *c, const struct config_section *s,
                      const struct preflight *p, struct config_extras *extras)
{
    (void)s;
    (void)p;
    config_extras_add_all(extras, c, CONFIG_STORE);
    return 0;
}
