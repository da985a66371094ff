/*
 * ctl_graph.h: what `graph` draws of a system beside its workers.
 *
 * Runs in platoonctl. The names follow from the GRAPHS of all systems (proto/systems.h); a system's own stand in
 * master/ctl/<system>/. A system must not make the verb fail because one of its workers is away: then it says so in
 * what it draws.
 */
#ifndef MASTER_CTL_CTL_GRAPH_H
#define MASTER_CTL_CTL_GRAPH_H

#include "master/ctl/ctl.h"
#include "proto/systems.h"

/*
 * ctl_graph_<name>: asks, and adds its answer to the tree as a member of the root, which --json shows; nothing, where
 * the tree has none of the system's. 0, or the exit code, the reason printed. ctl_graph_<name>_render: pure; draws that
 * member, where there is one, as statements of DOT indented by four.
 */
#define X(name)                                                                                    \
    int ctl_graph_##name(struct ctl *c, json_t *root);                                             \
    void ctl_graph_##name##_render(const json_t *root, struct buffer *out);
SYSTEMS(GRAPHS, X)
#undef X

#endif
