/*
 * preflight_cache.c: whether a cache's unix sockets may stand where they are to, and its password can be read. See
 * systems_tree.h.
 *
 * Runs in the master and in the tool, before a start, a reload, or for a check. A socket's place is refused as
 * runtime_dir is; a running master goes on with a warning, and its worker says the same. Without its password a node
 * would not come up: so that is refused at a reload too, as long as the old node serves.
 */
#include "common/listen_address.h"
#include "common/secret_file.h"
#include "common/words.h"
#include "master/systems_tree.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#define CACHE_ADDRESSES_MAX 16

static void preflight_cache_address(const struct config_section *s, const char *text,
                                    struct preflight_findings *f)
{
    struct listen_address address;
    struct buffer why = BUFFER_EMPTY;
    if (listen_address_parse(text, &address) == 0 && listen_address_place(&address, &why) != 0)
        preflight_found(f, f->when == PREFLIGHT_RUNNING ? PREFLIGHT_PASSING : PREFLIGHT_CONFIG, s,
                        "listen",
                        "listen: %s: %s: choose a place that is root's or platoon's alone", text,
                        buffer_text(&why) != NULL ? why.data : "others may change it");
    buffer_fini(&why);
}

static void preflight_cache_secret(const struct config_section *s, struct preflight_findings *f)
{
    char text[4096], why[PATH_MAX + 256];
    const char *path = config_get(s, "secret_file");
    if (path[0] == '\0')
        return;
    int rc = secret_file_read(path, text, sizeof text, why, sizeof why);
    explicit_bzero(text, sizeof text);
    if (rc == 0)
        return;
    /* Who checks need not be who will run it. */
    bool passing = f->when == PREFLIGHT_CHECK && rc == -EACCES;
    preflight_found(f, passing ? PREFLIGHT_PASSING : PREFLIGHT_CONFIG, s, "secret_file",
                    "secret_file: %s", why);
}

void preflight_cache(const struct config_section *s, struct preflight_findings *f)
{
    struct buffer text = BUFFER_EMPTY, words = BUFFER_EMPTY;
    words_expand_number(config_get(s, "listen"), 1, &text);
    int count =
        buffer_ok(&text) ? words_split(buffer_slice(&text), CACHE_ADDRESSES_MAX, &words) : 0;
    const char *address = NULL;
    for (int i = 0; i < count; i++) {
        address = words_next(&words, 0, address);
        preflight_cache_address(s, address, f);
    }
    preflight_cache_secret(s, f);
    buffer_fini(&text);
    buffer_fini(&words);
}
