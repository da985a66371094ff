/*
 * preflight_snapshot.c: whether what a resource's command needs is there. See systems_tree.h.
 *
 * Runs in the master and in the tool, before a start, a reload, or for a check. All of it may come later, and a run
 * that fails is tried again: so it is a warning.
 */
#include "master/program/program_calls.h"
#include "master/systems_tree.h"

void preflight_resource(const struct config_section *s, struct preflight_findings *f)
{
    program_calls_preflight(s, f);
}
