/* config_settings.c: a worker's share of the configuration as CONFIG's map. See config_settings.h. */
#include "master/build/config_settings.h"

#include "common/pack.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

/* The map under construction: pairs are packed one by one, counted, and put behind the map's header at the end. */
struct settings {
    struct buffer pairs;
    uint32_t count;
    const char *prefix; /* "drain." or "drain/visits." */
    const struct config_pair *extra;
    size_t extra_count;
    const char *redis_url;
};

static bool settings_is_replaced(const struct settings *s, const char *name)
{
    for (size_t i = 0; i < s->extra_count; i++)
        if (strcmp(s->extra[i].key, name) == 0)
            return true;
    return false;
}

static void settings_put(struct settings *s, const char *name, const char *value)
{
    pack_text(&s->pairs, name);
    pack_text(&s->pairs, value);
    s->count++;
}

static void settings_add(const char *key, const char *value, void *ctx)
{
    struct settings *s = ctx;
    char name[128];
    snprintf(name, sizeof name, "%s%s", s->prefix, key);
    if (settings_is_replaced(s, name))
        return;
    settings_put(s, name, strcmp(name, "redis.url") == 0 ? s->redis_url : value);
}

/* Every key of a section as "<kind>.<key>", and its title as "<kind>.name". */
static void settings_add_section(struct settings *s, const char *kind,
                                 const struct config_section *section)
{
    char prefix[32], name[40];
    snprintf(prefix, sizeof prefix, "%s.", kind);
    snprintf(name, sizeof name, "%s.name", kind);
    s->prefix = prefix;
    if (strcmp(kind, "platoon") != 0)
        settings_put(s, name, config_title(section));
    config_each_told(section, settings_add, s);
}

/* Every key of every section of a kind as "<kind>/<title>.<key>". */
static void settings_add_all(struct settings *s, const struct config *c, enum config_kind kind,
                             const char *word)
{
    const struct config_section *section;
    for (size_t i = 0; (section = config_section_at(c, kind, i)) != NULL; i++) {
        char prefix[96];
        snprintf(prefix, sizeof prefix, "%s/%s.", word, config_title(section));
        s->prefix = prefix;
        config_each_told(section, settings_add, s);
    }
}

bool config_redis_is_embedded(const struct config_section *redis)
{
    return strcmp(config_get(redis, "url"), "embedded") == 0;
}

void config_redis_socket(const struct config *c, const struct config_section *redis,
                         struct buffer *out)
{
    buffer_printf(out, "%s/redis", config_get(config_platoon(c), "runtime_dir"));
    if (redis != config_section_at(c, CONFIG_REDIS, 0))
        buffer_printf(out, "-%s", config_title(redis));
    buffer_append_text(out, ".sock");
}

void config_redis_url(const struct config *c, const struct config_section *redis,
                      struct buffer *out)
{
    if (!config_redis_is_embedded(redis)) {
        buffer_append_text(out, config_get(redis, "url"));
        return;
    }
    buffer_append_text(out, "unix://");
    config_redis_socket(c, redis, out);
}

/* ---- which sections a type gets ---- */

enum settings_place { HEALTH, EMBEDDED, REDIS, DRAIN, ONCE, PROGRAM };

static const enum settings_place settings_places[] = {
#define X(NAME, type, PLACE, path, key, doc) [WORKER_TYPE_##NAME] = PLACE,
    WORKER_TYPE_LIST(X)
#undef X
};

/* The titles of the three sections that concern the worker; any may be NULL. */
struct settings_sections {
    const struct config_section *redis, *drain, *store;
};

static int settings_find(const struct config *c, enum settings_place place,
                         const struct config_section *section, struct settings_sections *found)
{
    *found = (struct settings_sections){0};
    if (place == ONCE || place == HEALTH)
        return 0;
    if (section == NULL)
        return -EINVAL;
    const char *title = config_title(section);
    if (config_section_find(c, CONFIG_PROGRAM, title) == section)
        return 0; /* all a program is told are the extra pairs */
    if (place != DRAIN) {
        found->redis = section;
        return config_section_find(c, CONFIG_REDIS, title) == section ? 0 : -EINVAL;
    }
    if (config_section_find(c, CONFIG_DRAIN, title) != section)
        return -EINVAL;
    found->drain = section;
    found->redis = config_section_find(c, CONFIG_REDIS, config_get(section, "redis"));
    found->store = config_section_find(c, CONFIG_STORE, config_get(section, "store"));
    return found->redis != NULL && found->store != NULL ? 0 : -ENOENT;
}

static void settings_add_identity(struct settings *s, const struct config_identity *identity)
{
    char number[24];
    snprintf(number, sizeof number, "%" PRIu64, identity->boot);
    settings_put(s, "platoon.instance", identity->instance);
    settings_put(s, "platoon.boot", number);
    if (identity->cgroup[0] != '\0')
        settings_put(s, "platoon.cgroup", identity->cgroup);
}

int config_settings_pack(struct buffer *out, const struct config *c, enum worker_type type,
                         const struct config_section *section,
                         const struct config_identity *identity, const struct config_pair *extra,
                         size_t extra_count)
{
    struct settings_sections sections;
    int rc = settings_find(c, settings_places[type], section, &sections);
    if (rc != 0)
        return rc;
    struct settings s = {.extra = extra, .extra_count = extra_count};
    struct buffer url = BUFFER_EMPTY;
    if (sections.redis != NULL)
        config_redis_url(c, sections.redis, &url);
    s.redis_url = buffer_text(&url);
    settings_add_section(&s, "platoon", config_platoon(c));
    settings_add_identity(&s, identity);
    if (sections.redis != NULL && s.redis_url != NULL)
        settings_add_section(&s, "redis", sections.redis);
    if (sections.drain != NULL)
        settings_add_section(&s, "drain", sections.drain);
    if (sections.store != NULL)
        settings_add_section(&s, "store", sections.store);
    if (settings_places[type] == ONCE) {
        settings_add_all(&s, c, CONFIG_DRAIN, "drain");
        settings_add_all(&s, c, CONFIG_STORE, "store");
    }
    for (size_t i = 0; i < extra_count; i++)
        settings_put(&s, extra[i].key, extra[i].value);
    bool good = s.redis_url != NULL && buffer_ok(&s.pairs);
    if (good) {
        pack_map(out, s.count);
        buffer_append_slice(out, buffer_slice(&s.pairs));
    }
    buffer_fini(&s.pairs);
    buffer_fini(&url);
    return good && buffer_ok(out) ? 0 : -ENOMEM;
}
