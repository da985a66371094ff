/*
 * config_check_drain.c: what is wrong with drain sections. See config_check.h.
 *
 * Runs in the master and in the tool.
 */
#include "master/config/config_check_key.h"
#include "master/systems_config.h"
#include "proto/contract.h"

#include <stdio.h>

/*
 * A template that says nothing beside a key service would be a trap; the defaults may stand there
 * (--print-config prints them).
 */
static void drain_check_key_service(const struct config_section *s, struct config_errors *errors)
{
    if (config_check_broken(s, "key_service") || config_get(s, "key_service")[0] == '\0')
        return;
    const char *url = config_get(s, "key_service");
    unsigned line = config_check_line(s, "key_service");
    const char *host = strstr(url, "://");
    host = host != NULL ? host + strlen("://") : url;
    size_t authority = strcspn(host, "/?#");
    if ((!config_check_starts(url, "http://") && !config_check_starts(url, "https://")) ||
        authority == 0)
        config_errors_add(errors, line, "key_service: must be http://host… or https://host…");
    else if (memchr(host, '@', authority) != NULL)
        config_errors_add(errors, line,
                          "key_service: holds a user or password, which logs would show: the "
                          "service must do without");
    else if (strpbrk(url, "# ") != NULL)
        config_errors_add(errors, line,
                          "key_service: a '#' or a space cannot be in it: write %%23 or %%20");
    if (strcmp(config_get(s, "key"), "{member}") != 0 || config_get(s, "bucket")[0] != '\0')
        config_errors_add(errors, line,
                          "key_service: replaces bucket and key: leave those out, or this");
}

/* Braces in balance, a name in each; {{ and }} are literal braces. common/template.c reads it in transfer. */
static void drain_check_template(const struct config_section *s, const char *key,
                                 struct config_errors *errors)
{
    if (config_check_broken(s, key))
        return;
    for (const char *c = config_get(s, key); *c != '\0'; c++) {
        if ((*c == '{' && c[1] == '{') || (*c == '}' && c[1] == '}')) {
            c++;
            continue;
        }
        const char *close = *c == '{' ? strpbrk(c + 1, "{}") : NULL;
        if (*c == '}' ||
            (*c == '{' && (close == NULL || *close == '{' || close == c + 1 || c[1] == '|'))) {
            config_errors_add(errors, config_check_line(s, key),
                              "%s: a template holds {field} or {field|default}; a brace itself is "
                              "written {{ or }}",
                              key);
            return;
        }
        if (*c == '{')
            c = close;
    }
}

/* Records are not objects: they come in batches, and are asked for by what they hold. */
static void drain_check_store(const struct config *c, const struct config_section *s,
                              struct config_errors *errors)
{
    const char *type = config_check_named(c, s, "store", CONFIG_STORE, "type");
    if (strcmp(type, "file") == 0 || strcmp(type, "s3") == 0)
        config_errors_add(errors, config_check_line(s, "store"),
                          "store: %s is of type %s, which keeps a cache's objects and no records: "
                          "name a store of type sqlite or postgres",
                          config_get(s, "store"), type);
}

void config_check_drain(const struct config *c, const struct config_section *s,
                        struct config_errors *errors)
{
    config_check_order(s, "poll_min", "poll_max", errors);
    drain_check_store(c, s, errors);
    drain_check_key_service(s, errors);
    drain_check_template(s, "key", errors);
    drain_check_template(s, "bucket", errors);
    char path[CONTRACT_NAME_MAX];
    snprintf(path, sizeof path, "redis/%s", config_title(s));
    config_check_path(c, s, path, errors);
}

/* ---- jobs that are given to a drain when they have ended ---- */

/* One script ends a job and adds its hash to the set, so both are in one Redis. */
void config_check_history(const struct config *c, const struct config_section *s,
                          struct config_errors *errors)
{
    const char *redis = config_check_named(c, s, "history", CONFIG_DRAIN, "redis");
    if (redis[0] != '\0' && !config_check_broken(s, "redis") &&
        strcmp(redis, config_get(s, "redis")) != 0)
        config_errors_add(
            errors, config_check_line(s, "history"),
            "history: drain %s is of redis %s, and these jobs are in %s: name a drain "
            "of the same Redis",
            config_get(s, "history"), redis, config_get(s, "redis"));
}
