/*
 * preflight_health.c: whether the health worker's unix socket may stand where it is to. See systems_tree.h.
 *
 * Runs in the master and in the tool, before a start, a reload, or for a check. Refused as runtime_dir is; a running
 * master goes on with a warning, and its worker says the same.
 */
#include "common/listen_address.h"
#include "master/systems_tree.h"

void preflight_health(const struct config_section *s, struct preflight_findings *f)
{
    struct listen_address address;
    struct buffer why = BUFFER_EMPTY;
    const char *text = config_get(s, "health");
    if (text[0] != '\0' && listen_address_parse(text, &address) == 0 &&
        listen_address_place(&address, &why) != 0)
        preflight_found(f, f->when == PREFLIGHT_RUNNING ? PREFLIGHT_PASSING : PREFLIGHT_CONFIG, s,
                        "health",
                        "health: %s: %s: choose a place that is root's or platoon's alone", text,
                        buffer_text(&why) != NULL ? why.data : "others may change it");
    buffer_fini(&why);
}
