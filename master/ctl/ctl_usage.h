/*
 * ctl_usage.h: nodes of the tree, with the memory and processor time of each.
 *
 * Runs in platoonctl, which reads /proc itself: the master, which everybody needs, would take 40 ms for a thousand.
 */
#ifndef MASTER_CTL_CTL_USAGE_H
#define MASTER_CTL_CTL_USAGE_H

#include "master/ctl/ctl.h"

/*
 * As ctl_request_json, of a verb whose answer is a node: `rss_bytes` and `cpu_ms` of each worker that has a process are
 * filled in. They stay null where this process cannot see that one (another pid namespace, hidepid).
 */
int ctl_usage_request(struct ctl *c, const char *verb, size_t argc, const struct slice *argv,
                      json_t **node);

#endif
