/*
 * config_check_snapshot.c: what is wrong with snapshot, resource and web sections. See config_check.h.
 *
 * Runs in the master and in the tool.
 */
#include "common/listen_address.h"
#include "master/config/config_check_key.h"
#include "master/snapshot/config_check_inputs.h"
#include "master/snapshot/snapshot_of.h"
#include "master/systems_config.h"
#include "proto/contract.h"
#include "proto/snapshot/snapshot_limits.h"

#include <ctype.h>
#include <stdio.h>

/* ---- snapshot ---- */

/* Two writers of one repository would find each other's lock, and one of them would never write. */
static void snapshot_check_alone(const struct config *c, const struct config_section *s,
                                 struct config_errors *errors)
{
    const struct config_section *other;
    const char *path = config_get(s, "path");
    for (size_t i = 0; path[0] != '\0' &&
                       (other = config_section_at(c, CONFIG_SNAPSHOT, i)) != NULL && other != s;
         i++)
        if (!config_check_broken(other, "path") && strcmp(config_get(other, "path"), path) == 0) {
            config_errors_add(errors, config_check_line(s, "path"),
                              "path: is snapshot %s's already (line %u): each needs its own",
                              config_title(other), config_check_line(other, "path"));
            return;
        }
}

/* What git takes for a branch, but for rarities: git-check-ref-format(1). */
static bool snapshot_is_branch(const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || len > SNAPSHOT_PATH_MAX || name[0] == '-' || name[0] == '.' || name[0] == '/' ||
        name[len - 1] == '/' || name[len - 1] == '.' || strstr(name, "..") != NULL ||
        strstr(name, "//") != NULL || strstr(name, "@{") != NULL || strstr(name, "/.") != NULL ||
        strcmp(name, "@") == 0 || strstr(name, ".lock") != NULL)
        return false;
    for (const char *c = name; *c != '\0'; c++)
        if (!isgraph((unsigned char)*c) || strchr("~^:?*[\\", *c) != NULL)
            return false;
    return true;
}

/* ---- gate ---- */

static void snapshot_check_listen(const struct config_section *s, struct config_errors *errors)
{
    struct listen_address address;
    const char *text = config_check_broken(s, "listen") ? "" : config_get(s, "listen");
    if (text[0] != '\0' &&
        (strncmp(text, "unix:", 5) != 0 || listen_address_parse(text, &address) != 0))
        config_errors_add(errors, config_check_line(s, "listen"),
                          "listen: '%s' is no unix socket: unix:/run/platoon/%s.sock", text,
                          config_title(s));
}

static void snapshot_check_notify(const struct config *c, const struct config_section *s,
                                  struct config_errors *errors)
{
    const char *name = config_check_broken(s, "notify") ? "" : config_get(s, "notify");
    if (name[0] != '\0' && config_section_find(c, CONFIG_REDIS, name) == NULL)
        config_errors_add(errors, config_check_line(s, "notify"),
                          "notify: there is no section redis %s", name);
}

void config_check_snapshot(const struct config *c, const struct config_section *s,
                           struct config_errors *errors)
{
    char path[2 * CONTRACT_NAME_MAX];
    if (!config_check_broken(s, "branch") && !snapshot_is_branch(config_get(s, "branch")))
        config_errors_add(errors, config_check_line(s, "branch"),
                          "branch: '%s' is no name that git takes for a branch",
                          config_get(s, "branch"));
    if (!config_check_broken(s, "path"))
        snapshot_check_alone(c, s, errors);
    snapshot_check_listen(s, errors);
    snapshot_check_notify(c, s, errors);
    snprintf(path, sizeof path, "snapshot/%s", config_title(s));
    config_check_path(c, s, path, errors);
}

/* ---- web ---- */

/* Whoever may connect may ask: so only this machine may. */
void config_check_web(const struct config *c, const struct config_section *s,
                      struct config_errors *errors)
{
    struct listen_address address;
    const char *text = config_check_broken(s, "listen") ? "" : config_get(s, "listen");
    (void)c;
    if (text[0] == '\0')
        return;
    if (listen_address_parse(text, &address) != 0)
        config_errors_add(errors, config_check_line(s, "listen"),
                          "listen: '%s' is no address: 127.0.0.1:9180, [::1]:9180 or "
                          "unix:/run/platoon/web.sock",
                          text);
    else if (!address.loopback)
        config_errors_add(errors, config_check_line(s, "listen"),
                          "listen: %s can be reached from other machines: listen on 127.0.0.1 or "
                          "[::1], and let a proxy decide who else may ask",
                          text);
}

/* ---- resource ---- */

static void resource_check_snapshot(const struct config *c, const struct config_section *s,
                                    struct config_errors *errors)
{
    if (config_check_broken(s, "snapshot") || snapshot_of(c, s) != NULL ||
        config_get(s, "snapshot")[0] != '\0')
        return;
    bool none = config_section_at(c, CONFIG_SNAPSHOT, 0) == NULL;
    config_errors_add(errors, config_check_line(s, "snapshot"),
                      none ? "snapshot: there is none: add a section such as snapshot plan { }"
                           : "snapshot: there are several: say which one it is of");
}

/* Its workers stand in the tree beside these. */
static void resource_check_name(const struct config_section *s, struct config_errors *errors)
{
    static const char *const taken[] = {"store", "keeper", "gate", "whatif", "stream"};
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
        if (strcmp(config_title(s), taken[i]) == 0)
            config_errors_add(errors, config_check_line(s, ""),
                              "resource %s: is platoon's own name: choose another", taken[i]);
}

/* Each part is a name: not empty, not "." or "..", and nobody's repository. */
static bool resource_is_file(const char *path)
{
    if (strlen(path) > SNAPSHOT_PATH_MAX)
        return false;
    for (const char *part = path;; part++) {
        size_t len = strcspn(part, "/");
        if (len == 0 || (len == 1 && part[0] == '.') || (len == 2 && strncmp(part, "..", 2) == 0) ||
            (len == 4 && strncasecmp(part, ".git", 4) == 0))
            return false;
        part += len;
        if (*part == '\0')
            return true;
    }
}

/* 1: one and the same; 2: one is the other's folder. */
static int resource_overlaps(const char *a, const char *b)
{
    size_t both = strlen(a) < strlen(b) ? strlen(a) : strlen(b);
    if (strncmp(a, b, both) != 0)
        return 0;
    if (a[both] == b[both])
        return 1;
    return a[both] == '/' || b[both] == '/' ? 2 : 0;
}

static void resource_check_path(const struct config *c, const struct config_section *s,
                                struct config_errors *errors)
{
    const struct config_section *other, *of = snapshot_of(c, s);
    const char *path = snapshot_file(s);
    unsigned line = config_check_line(s, "path");
    bool plain = true;
    for (const char *at = path; *at != '\0'; at++)
        plain = plain && !iscntrl((unsigned char)*at);
    if (!plain || !resource_is_file(path)) {
        config_errors_add(errors, line,
                          "path: must be a relative path of a file in the repository, at most %d "
                          "letters, without .. and .git",
                          SNAPSHOT_PATH_MAX);
        return;
    }
    for (size_t i = 0; (other = config_section_at(c, CONFIG_RESOURCE, i)) != NULL && other != s;
         i++) {
        int overlaps =
            config_check_broken(other, "path") || of == NULL || snapshot_of(c, other) != of
                ? 0
                : resource_overlaps(path, snapshot_file(other));
        if (overlaps != 0)
            config_errors_add(errors, line,
                              overlaps == 1 ? "path: is resource %s's already: each needs its own"
                                            : "path: of this and resource %s's one is a folder of "
                                              "the other: a file is none",
                              config_title(other));
    }
}

/* It is a line of its own in a stream of several. */
static void resource_check_header(const struct config_section *s, struct config_errors *errors)
{
    const char *header = config_get(s, "header");
    bool plain = strlen(header) <= SNAPSHOT_PATH_MAX;
    for (const char *at = header; *at != '\0'; at++)
        plain = plain && !iscntrl((unsigned char)*at);
    if (!config_check_broken(s, "header") && !plain)
        config_errors_add(errors, config_check_line(s, "header"),
                          "header: must be one line, at most %d letters", SNAPSHOT_PATH_MAX);
}

/* It is a header of HTTP's: TYPE/SUBTYPE, and parameters (RFC 9110, 8.3). */
static void resource_check_type(const struct config_section *s, struct config_errors *errors)
{
    const char *type = config_check_broken(s, "type") ? "" : config_get(s, "type");
    const char *slash = strchr(type, '/');
    bool good = type[0] == '\0' || (slash != NULL && slash > type && isgraph(slash[1]));
    for (const char *at = type; *at != '\0'; at++)
        good = good && *at >= ' ' && *at < 0x7f;
    if (!good)
        config_errors_add(errors, config_check_line(s, "type"),
                          "type: '%s' is no type of a content, such as text/csv; charset=utf-8",
                          type);
}

void config_check_resource(const struct config *c, const struct config_section *s,
                           struct config_errors *errors)
{
    resource_check_name(s, errors);
    resource_check_snapshot(c, s, errors);
    if (!config_check_broken(s, "path"))
        resource_check_path(c, s, errors);
    config_check_order(s, "size_min", "size_max", errors);
    resource_check_header(s, errors);
    resource_check_type(s, errors);
    config_check_made(c, s, errors);
}
