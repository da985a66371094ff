/*
 * preflight_erlang.c: whether a gate's cookie can be read, and by nobody else. See systems_tree.h.
 *
 * Runs in the master and in the tool, before a start, a reload, or for a check. Without it the gate would not come up:
 * so that is refused at a reload too, as long as the old one serves.
 */
#include "common/secret_file.h"
#include "master/systems_tree.h"
#include "proto/erlang/erlang_address.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

void preflight_erlang(const struct config_section *s, struct preflight_findings *f)
{
    char text[ERLANG_COOKIE_SIZE], why[PATH_MAX + 256];
    const char *path = config_get(s, "cookie_file");
    int rc = secret_file_read_private(path, "cookie", text, sizeof text, why, sizeof why);
    explicit_bzero(text, sizeof text);
    if (rc == 0)
        return;
    /* Who checks need not be who will run it, nor on the machine where it will run. */
    bool passing = f->when == PREFLIGHT_CHECK && (rc == -EACCES || rc == -ENOENT);
    preflight_found(f, passing ? PREFLIGHT_PASSING : PREFLIGHT_CONFIG, s, "cookie_file",
                    "cookie_file: %s", why);
}
