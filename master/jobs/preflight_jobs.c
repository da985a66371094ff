/*
 * preflight_jobs.c: whether what a jobs section needs for HTTP is there: a place for its socket, its token, its files.
 * See systems_tree.h.
 *
 * Runs in the master and in the tool, before a start, a reload, or for a check. Without it the collector would not come
 * up: so that is refused at a reload too, as long as the old one serves.
 */
#include "common/listen_address.h"
#include "common/secret_file.h"
#include "master/systems_tree.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>

#define PREFLIGHT_TOKEN_MAX 1024

static void jobs_find_place(const struct config_section *s, struct preflight_findings *f)
{
    struct listen_address address;
    struct buffer why = BUFFER_EMPTY;
    const char *text = config_get(s, "listen");
    if (listen_address_parse(text, &address) == 0 && listen_address_place(&address, &why) != 0)
        preflight_found(f, PREFLIGHT_CONFIG, s, "listen",
                        "listen: %s: %s: choose a place that is root's or platoon's alone", text,
                        buffer_text(&why) != NULL ? why.data : "others may change it");
    buffer_fini(&why);
}

/* Who checks need not be who will run it, nor on the machine where it will run. */
static int jobs_severity(const struct preflight_findings *f, int rc)
{
    bool elsewhere = f->when == PREFLIGHT_CHECK && (rc == -EACCES || rc == -ENOENT);
    return elsewhere ? PREFLIGHT_PASSING : PREFLIGHT_CONFIG;
}

static void jobs_find_token(const struct config_section *s, struct preflight_findings *f)
{
    char text[PREFLIGHT_TOKEN_MAX], why[PATH_MAX + 256];
    const char *path = config_get(s, "token_file");
    if (path[0] == '\0')
        return;
    int rc = secret_file_read_private(path, "token", text, sizeof text, why, sizeof why);
    explicit_bzero(text, sizeof text);
    if (rc != 0)
        preflight_found(f, jobs_severity(f, rc), s, "token_file", "token_file: %s", why);
}

static void jobs_find_static(const struct config_section *s, struct preflight_findings *f)
{
    struct stat st;
    const char *path = config_get(s, "static");
    if (path[0] == '\0')
        return;
    int rc = stat(path, &st) != 0 ? -errno : S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
    if (rc != 0)
        preflight_found(f, jobs_severity(f, rc), s, "static",
                        "static: %s: %s: name a folder with what is to be shown", path,
                        strerror(-rc));
}

static void jobs_find_user(const struct config_section *s, struct preflight_findings *f)
{
    const char *user = config_get(s, "sanjer.user");
    if (user[0] != '\0' && user[strspn(user, "0123456789")] != '\0' && getpwnam(user) == NULL)
        preflight_found(f, PREFLIGHT_PASSING, s, "sanjer.user",
                        "sanjer.user: %s: there is no such user on this host: make it, or correct "
                        "sanjer.user",
                        user);
}

void preflight_jobs(const struct config_section *s, struct preflight_findings *f)
{
    jobs_find_user(s, f);
    if (config_get(s, "listen")[0] == '\0')
        return;
    jobs_find_place(s, f);
    jobs_find_token(s, f);
    jobs_find_static(s, f);
}
