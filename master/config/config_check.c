/* config_check.c: checks that need more than one value. See config_check.h. */
#include "master/config/config_check.h"

#include "common/listen_address.h"
#include "common/text.h"
#include "master/program/config_check_program.h"

#include <stdio.h>

#define CONFIG_NAME_MAX 24

unsigned config_check_line(const struct config_section *s, const char *key)
{
    int k = config_key_find(s->kind, slice_of(key));
    return k >= 0 && s->lines[k] != 0 ? s->lines[k] : s->line;
}

bool config_check_broken(const struct config_section *s, const char *key)
{
    int k = config_key_find(s->kind, slice_of(key));
    return k < 0 || s->broken[k] || s->values[k] == NULL;
}

static void check_required(const struct config_section *s, struct config_errors *errors)
{
    for (int k = 0; k < CONFIG_KEY_COUNT; k++)
        if (config_keys[k].kind == s->kind && config_keys[k].required && s->lines[k] == 0 &&
            !s->broken[k])
            config_errors_add(errors, s->line, "%s: must be given in %s %s: %s",
                              config_keys[k].name, config_kind_name(s->kind), config_title(s),
                              config_keys[k].help);
}

static void check_name(const struct config_section *s, struct config_errors *errors)
{
    const char *title = config_title(s);
    bool good = title[0] != '\0' && strlen(title) <= CONFIG_NAME_MAX;
    for (const char *c = title; *c != '\0' && good; c++)
        good = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
               *c == '-' || *c == '_';
    if (!good)
        config_errors_add(errors, s->line, "%s %s: a name is 1 to %d letters, digits, '-' or '_'",
                          config_kind_name(s->kind), title, CONFIG_NAME_MAX);
}

/* ---- references ---- */

static void check_reference(const struct config *c, const struct config_section *s, const char *key,
                            enum config_kind kind, struct config_errors *errors)
{
    if (config_check_broken(s, key) || config_get(s, key)[0] == '\0')
        return;
    const char *title = config_get(s, key);
    if (config_section_find(c, kind, title) != NULL)
        return;
    struct text_nearest nearest = text_nearest_start(slice_of(title));
    const struct config_section *other;
    for (size_t i = 0; (other = config_section_at(c, kind, i)) != NULL; i++)
        text_nearest_offer(&nearest, config_title(other));
    if (nearest.best != NULL)
        config_errors_add(errors, config_check_line(s, key),
                          "%s: there is no %s section named %s: did you mean %s?", key,
                          config_kind_name(kind), title, nearest.best);
    else
        config_errors_add(errors, config_check_line(s, key),
                          "%s: there is no %s section named %s: add `%s %s { … }`", key,
                          config_kind_name(kind), title, config_kind_name(kind), title);
}

/* ---- pairs ---- */

static void check_order(const struct config_section *s, const char *low, const char *high,
                        struct config_errors *errors)
{
    if (config_check_broken(s, low) || config_check_broken(s, high) ||
        config_get_u64(s, low) <= config_get_u64(s, high))
        return;
    config_errors_add(errors, config_check_line(s, low), "%s: must not be above %s", low, high);
}

static void check_together(const struct config_section *s, const char *one, const char *other,
                           struct config_errors *errors)
{
    if (config_check_broken(s, one) || config_check_broken(s, other))
        return;
    if (config_get(s, one)[0] != '\0' && config_get(s, other)[0] == '\0')
        config_errors_add(errors, config_check_line(s, one), "%s: needs %s beside it", one, other);
}

/* ---- urls ---- */

static bool check_starts(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* Only the shape: what it names is found out by connecting (common/redis_url.c reads it in the workers). */
static void check_redis_url(const struct config_section *s, struct config_errors *errors)
{
    if (config_check_broken(s, "url"))
        return;
    const char *url = config_get(s, "url");
    unsigned line = config_check_line(s, "url");
    if (strcmp(url, "embedded") == 0)
        return;
    const char *rest = strstr(url, "://");
    if (!check_starts(url, "redis://") && !check_starts(url, "rediss://") &&
        !check_starts(url, "unix://")) {
        config_errors_add(errors, line, "url: must be embedded, redis://…, rediss://… or unix://…");
        return;
    }
    rest += strlen("://");
    size_t authority = strcspn(rest, "/?");
    const char *at = memchr(rest, '@', authority);
    if (at != NULL && memchr(rest, ':', (size_t)(at - rest)) != NULL)
        config_errors_add(
            errors, line,
            "url: holds a password: put it into a file and name that in password_file");
    if (check_starts(url, "unix://") && rest[0] != '/')
        config_errors_add(errors, line,
                          "url: unix:// takes an absolute path: unix:///run/redis.sock");
}

/* What the type needs is there, and nothing that only another type reads. */
static void check_store(const struct config_section *s, struct config_errors *errors)
{
    if (config_check_broken(s, "type") || config_check_broken(s, "path") ||
        config_check_broken(s, "url"))
        return;
    bool postgres = strcmp(config_get(s, "type"), "postgres") == 0;
    const char *url = config_get(s, "url");
    unsigned line = config_check_line(s, "url");
    if (!postgres && config_get(s, "path")[0] == '\0')
        config_errors_add(errors, s->line, "path: must be given in store %s", config_title(s));
    if (postgres && url[0] == '\0')
        config_errors_add(errors, s->line, "url: must be given in store %s, of type postgres",
                          config_title(s));
    if (!postgres && url[0] != '\0')
        config_errors_add(errors, line, "url: is for type = postgres");
    if (postgres && config_get(s, "path")[0] != '\0')
        config_errors_add(errors, config_check_line(s, "path"),
                          "path: is for type = sqlite; a postgres store has a url");
    if (!postgres || url[0] == '\0')
        return;
    const char *rest = strstr(url, "://");
    if ((!check_starts(url, "postgresql://") && !check_starts(url, "postgres://")) ||
        rest == NULL) {
        config_errors_add(errors, line, "url: must be postgresql://…");
        return;
    }
    rest += strlen("://");
    const char *at = memchr(rest, '@', strcspn(rest, "/?"));
    bool password = at != NULL && memchr(rest, ':', (size_t)(at - rest)) != NULL;
    if (password || strstr(rest, "?password=") != NULL || strstr(rest, "&password=") != NULL)
        config_errors_add(errors, line,
                          "url: holds a password: put it into a file and name that with "
                          "?passfile=, or into ~/.pgpass");
}

/* Names that PostgreSQL takes without quotes, of at most 63 bytes, one or two. */
static void check_table(const struct config_section *s, struct config_errors *errors)
{
    if (config_check_broken(s, "table"))
        return;
    size_t parts = 1, len = 0;
    bool good = true;
    for (const char *c = config_get(s, "table"); good && *c != '\0'; c++) {
        bool letter = (*c >= 'a' && *c <= 'z') || *c == '_';
        bool digit = *c >= '0' && *c <= '9';
        if (*c == '.' && len > 0 && parts == 1) {
            parts++;
            len = 0;
        } else {
            good = (letter || (digit && len > 0)) && ++len <= 63;
        }
    }
    if (!good || len == 0)
        config_errors_add(
            errors, config_check_line(s, "table"),
            "table: must be a name of a-z, 0-9 and _, or two with a dot between them");
}

/* A template that says nothing beside a key service would be a trap; the defaults may stand there (--print-config prints them). */
static void check_key_service(const struct config_section *s, struct config_errors *errors)
{
    if (config_check_broken(s, "key_service") || config_get(s, "key_service")[0] == '\0')
        return;
    const char *url = config_get(s, "key_service");
    unsigned line = config_check_line(s, "key_service");
    const char *host = strstr(url, "://");
    host = host != NULL ? host + strlen("://") : url;
    size_t authority = strcspn(host, "/?#");
    if ((!check_starts(url, "http://") && !check_starts(url, "https://")) || authority == 0)
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

/* ---- templates ---- */

/* Braces in balance, a name in each; {{ and }} are literal braces. common/template.c reads it in transfer. */
static void check_template(const struct config_section *s, const char *key,
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

/* ---- sections ---- */

/* Whoever may connect may read names and numbers of all workers: so only this machine may. */
static void check_health(const struct config_section *s, struct config_errors *errors)
{
    struct listen_address address;
    const char *text = config_check_broken(s, "health") ? "" : config_get(s, "health");
    if (text[0] == '\0')
        return;
    if (listen_address_parse(text, &address) != 0)
        config_errors_add(errors, config_check_line(s, "health"),
                          "health: '%s' is no address: 127.0.0.1:9100, [::1]:9100 or "
                          "unix:/run/platoon/health.sock",
                          text);
    else if (!address.loopback)
        config_errors_add(errors, config_check_line(s, "health"),
                          "health: %s can be reached from other machines: listen on 127.0.0.1 or "
                          "[::1], and let a proxy decide who else may ask",
                          text);
}

static void check_section(const struct config *c, const struct config_section *s,
                          struct config_errors *errors)
{
    check_required(s, errors);
    if (s->kind != CONFIG_PLATOON)
        check_name(s, errors);
    switch (s->kind) {
    case CONFIG_PLATOON:
        check_order(s, "backoff_min", "backoff_max", errors);
        check_health(s, errors);
        break;
    case CONFIG_REDIS:
        check_redis_url(s, errors);
        check_together(s, "tls_cert_file", "tls_key_file", errors);
        check_together(s, "tls_key_file", "tls_cert_file", errors);
        break;
    case CONFIG_STORE:
        check_store(s, errors);
        check_table(s, errors);
        break;
    case CONFIG_DRAIN:
        check_reference(c, s, "redis", CONFIG_REDIS, errors);
        check_reference(c, s, "store", CONFIG_STORE, errors);
        check_order(s, "poll_min", "poll_max", errors);
        check_key_service(s, errors);
        check_template(s, "key", errors);
        check_template(s, "bucket", errors);
        if (strcmp(config_title(s), "server") == 0)
            config_errors_add(
                errors, s->line,
                "drain server: redis/server is the embedded server's name: choose another");
        break;
    case CONFIG_SUPERVISOR:
        config_check_supervisor(c, s, errors);
        break;
    case CONFIG_PROGRAM:
        config_check_program(c, s, errors);
        break;
    case CONFIG_KIND_COUNT:
        break;
    }
}

void config_check(const struct config *c, struct config_errors *errors)
{
    for (size_t i = 0; i < c->count; i++)
        if (!c->sections[i]->duplicate)
            check_section(c, c->sections[i], errors);
}
