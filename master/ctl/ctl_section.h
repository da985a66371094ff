/*
 * ctl_section.h: which section of the configuration a verb is about: the one that `--on` names, else the only one.
 *
 * Runs in platoonctl. May block as a request does (ctl_ask.h). It does not look whether a named one exists: whoever is
 * asked about it says so.
 */
#ifndef MASTER_CTL_CTL_SECTION_H
#define MASTER_CTL_CTL_SECTION_H

#include "master/ctl/ctl.h"
#include "proto/contract.h"

/* `type`: a worker that each such section has, SYSTEM/NAME/worker; and how a person is told of them. */
struct ctl_section {
    const char *type;
    const char *one;     /* "backbone", for "no backbone named" */
    const char *none;    /* the whole line */
    const char *several; /* the whole line; it comes with the verb's usage */
};

/* Its name into `name`; `on` may be NULL. 0, or the exit code, the reason printed. */
int ctl_section_find(struct ctl *c, const struct ctl_section *which, const char *on,
                     char name[CONTRACT_NAME_MAX]);

#endif
