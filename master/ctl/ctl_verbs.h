/*
 * ctl_verbs.h: the work behind each verb, one function each; see ctl_handler in ctl.h.
 *
 * Runs in platoonctl. The names follow from the VERBS of all systems (proto/systems.h): ctl_<name>_run; a system's own
 * stand in master/ctl/<system>/. ctl_verbs.c has the table of them, above all of them.
 */
#ifndef MASTER_CTL_CTL_VERBS_H
#define MASTER_CTL_CTL_VERBS_H

#include "master/ctl/ctl.h"
#include "proto/systems.h"

#define X(NAME, name, words, min, max, TIME, GROUP, grammar, help)                                 \
    int ctl_##name##_run(struct ctl *c);
SYSTEMS(VERBS, X)
#undef X

/* Every verb of the lists has one. */
ctl_handler ctl_verb_handler(enum ctl_verb verb);

#endif
