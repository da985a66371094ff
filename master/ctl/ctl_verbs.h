/*
 * ctl_verbs.h: the work behind each verb, one function each; see ctl_handler in ctl.h.
 *
 * Runs in platoonctl. ctl_verbs.c ties them to CONTROL_VERB_LIST.
 */
#ifndef MASTER_CTL_CTL_VERBS_H
#define MASTER_CTL_CTL_VERBS_H

#include "master/ctl/ctl.h"

int ctl_tree_run(struct ctl *c);
int ctl_tree_show(struct ctl *c, void (*render)(struct ctl *c, const json_t *root));
int ctl_status_run(struct ctl *c);
int ctl_drain_status_run(struct ctl *c);
int ctl_drain_wait_run(struct ctl *c);
int ctl_dead_run(struct ctl *c);
int ctl_report_run(struct ctl *c);
int ctl_redis_run(struct ctl *c);
int ctl_logs_run(struct ctl *c);
int ctl_crashes_run(struct ctl *c);
int ctl_watch_run(struct ctl *c);
int ctl_top_run(struct ctl *c);
int ctl_trace_run(struct ctl *c);
int ctl_graph_run(struct ctl *c);
int ctl_reload_run(struct ctl *c);
int ctl_scale_run(struct ctl *c);
int ctl_check_run(struct ctl *c);
int ctl_act_start(struct ctl *c);
int ctl_act_stop(struct ctl *c);
int ctl_act_restart(struct ctl *c);
int ctl_act_level(struct ctl *c);
int ctl_act_signal(struct ctl *c);
int ctl_act_send(struct ctl *c);
int ctl_act_wait(struct ctl *c);
int ctl_act_upgrade(struct ctl *c);
int ctl_act_shutdown(struct ctl *c);
int ctl_act_version(struct ctl *c);

#endif
