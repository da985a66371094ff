/*
 * preflight_snapshot.c: whether what snapshots need is there: git, whose programs keepers run, and the commands of
 * resources. See systems_tree.h.
 *
 * Runs in the master and in the tool, before a start, a reload, or for a check. What a resource's command needs may
 * come later, and a run that fails is tried again: so that is a warning.
 */
#include "master/program/program_calls.h"
#include "master/systems_tree.h"

void preflight_snapshot(const struct config_section *s, struct preflight_findings *f)
{
    if (preflight_find_program("git") == 0)
        return;
    /* Who checks need not be on the machine where it will run. */
    preflight_found(
        f, f->when == PREFLIGHT_CHECK ? PREFLIGHT_PASSING : PREFLIGHT_CONFIG, s, "",
        "git is in no directory of PATH: install it (on Debian: apt install git): it packs the "
        "repository");
}

void preflight_resource(const struct config_section *s, struct preflight_findings *f)
{
    program_calls_preflight(s, f);
}
