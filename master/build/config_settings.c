/* config_settings.c: a worker's share of the configuration as CONFIG's map. See config_settings.h. */
#include "master/build/config_settings.h"

#include "common/pack.h"
#include "common/unpack.h"
#include "master/config/config_key.h"
#include "proto/contract.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define SETTINGS_NAME_MAX (2 * CONFIG_KEY_NAME_MAX)

static const struct config_tell *settings_tells;
static size_t settings_tell_count;

void config_settings_register(const struct config_tell *tells, size_t count)
{
    settings_tells = tells;
    settings_tell_count = count;
}

/* ---- extras ---- */

struct config_extra {
    char *name, *value;
};

void config_extras_add(struct config_extras *e, const char *name, const char *value)
{
    struct config_extra *grown = realloc(e->list, (e->count + 1) * sizeof *grown);
    if (grown != NULL)
        e->list = grown;
    struct config_extra one = {strdup(name), strdup(value)};
    if (grown == NULL || one.name == NULL || one.value == NULL) {
        free(one.name);
        free(one.value);
        e->failed = true;
        return;
    }
    e->list[e->count++] = one;
}

void config_extras_add_item(struct config_extras *e, const char *list, size_t number,
                            const char *what, const char *value)
{
    char name[CONTRACT_ITEM_SIZE];
    snprintf(name, sizeof name, CONTRACT_ITEM, list, number, what);
    config_extras_add(e, name, value);
}

void config_extras_fini(struct config_extras *e)
{
    for (size_t i = 0; i < e->count; i++) {
        free(e->list[i].name);
        free(e->list[i].value);
    }
    free(e->list);
    *e = CONFIG_EXTRAS_EMPTY;
}

/*
 * ---- the map under construction: pairs are packed one by one, counted, and put behind the
 * map's header at the end ----
 */

struct settings {
    const struct config *c;
    const struct config_section *section; /* being added */
    struct buffer pairs;
    uint32_t count;
    bool failed;
    const char *prefix; /* "drain." or "drain/visits." */
    const struct config_extras *extras;
    struct config_extras *instead; /* where pairs go, when not into the map */
};

static bool settings_is_replaced(const struct settings *s, const char *name)
{
    for (size_t i = 0; s->extras != NULL && i < s->extras->count; i++)
        if (strcmp(s->extras->list[i].name, name) == 0)
            return true;
    return false;
}

static void settings_put(struct settings *s, const char *name, const char *value)
{
    if (s->instead != NULL) {
        config_extras_add(s->instead, name, value);
        return;
    }
    pack_text(&s->pairs, name);
    pack_text(&s->pairs, value);
    s->count++;
}

static const struct config_tell *settings_tell_of(const struct config_section *section,
                                                  const char *key)
{
    for (size_t i = 0; i < settings_tell_count; i++)
        if (settings_tells[i].kind == config_section_kind(section) &&
            strcmp(settings_tells[i].key, key) == 0)
            return &settings_tells[i];
    return NULL;
}

static void settings_add(const char *key, const char *value, void *ctx)
{
    struct settings *s = ctx;
    char name[SETTINGS_NAME_MAX];
    snprintf(name, sizeof name, "%s%s", s->prefix, key);
    if (settings_is_replaced(s, name))
        return;
    const struct config_tell *other = settings_tell_of(s->section, key);
    struct buffer told = BUFFER_EMPTY;
    if (other != NULL) {
        other->tell(s->c, s->section, &told);
        value = buffer_text(&told);
    }
    if (value != NULL)
        settings_put(s, name, value);
    else
        s->failed = true;
    buffer_fini(&told);
}

/* Every key of a section as "<word>.<key>", and its title as "<word>.name". */
static void settings_add_section(struct settings *s, const char *word,
                                 const struct config_section *section)
{
    char prefix[CONFIG_KEY_NAME_MAX + 1], name[CONFIG_KEY_NAME_MAX + 8];
    snprintf(prefix, sizeof prefix, "%s.", word);
    snprintf(name, sizeof name, "%s.name", word);
    s->prefix = prefix;
    s->section = section;
    if (config_kind_heads(config_section_kind(section)) != CONFIG_SINGLE)
        settings_put(s, name, config_title(section));
    config_each_told(section, settings_add, s);
}

/* The sections that this one names. -ENOENT when one is not there. */
static int settings_add_named(struct settings *s, const struct config_section *section)
{
    for (int k = 0; k < CONFIG_KEY_COUNT; k++) {
        const struct config_key *key = &config_keys[k];
        if (key->kind != config_section_kind(section) || key->type != CONFIG_SECTION)
            continue;
        const char *title = config_get(section, key->name);
        const struct config_section *named =
            config_section_find(s->c, (enum config_kind)key->min, title);
        if (named == NULL && title[0] != '\0')
            return -ENOENT;
        if (named != NULL)
            settings_add_section(s, key->name, named);
    }
    return 0;
}

/* Every key of every section of a kind as "<word>/<title>.<key>". */
static void settings_add_all(struct settings *s, enum config_kind kind)
{
    const struct config_section *section;
    for (size_t i = 0; (section = config_section_at(s->c, kind, i)) != NULL; i++) {
        char prefix[2 * CONFIG_KEY_NAME_MAX];
        snprintf(prefix, sizeof prefix, "%s/%s.", config_kind_name(kind), config_title(section));
        s->prefix = prefix;
        s->section = section;
        config_each_told(section, settings_add, s);
    }
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

static void settings_begin(struct settings *s, const struct config_identity *identity)
{
    settings_add_section(s, "platoon", config_platoon(s->c));
    settings_add_identity(s, identity);
}

/* The map goes to `out`; `rc` is what went wrong before. */
static int settings_end(struct settings *s, int rc, struct buffer *out)
{
    for (size_t i = 0; i < s->extras->count; i++)
        settings_put(s, s->extras->list[i].name, s->extras->list[i].value);
    bool good = !s->failed && !s->extras->failed && buffer_ok(&s->pairs);
    if (rc == 0 && good) {
        pack_map(out, s->count);
        buffer_append_slice(out, buffer_slice(&s->pairs));
    }
    buffer_fini(&s->pairs);
    return rc != 0 ? rc : good && buffer_ok(out) ? 0 : -ENOMEM;
}

int config_settings_pack(struct buffer *out, const struct config *c,
                         const struct config_section *section,
                         const struct config_identity *identity, const struct config_extras *extras)
{
    struct settings s = {.c = c, .extras = extras};
    int rc = 0;
    settings_begin(&s, identity);
    if (section != NULL && section != config_platoon(c)) {
        settings_add_section(&s, config_kind_name(config_section_kind(section)), section);
        rc = settings_add_named(&s, section);
    }
    return settings_end(&s, rc, out);
}

int config_settings_pack_all(struct buffer *out, const struct config *c, enum config_kind kind,
                             const struct config_identity *identity,
                             const struct config_extras *extras)
{
    struct settings s = {.c = c, .extras = extras};
    settings_begin(&s, identity);
    settings_add_all(&s, kind);
    return settings_end(&s, 0, out);
}

void config_extras_add_all(struct config_extras *e, const struct config *c, enum config_kind kind)
{
    struct settings s = {.c = c, .instead = e};
    settings_add_all(&s, kind);
    e->failed = e->failed || s.failed;
}

void config_extras_add_section(struct config_extras *e, const struct config *c, const char *word,
                               const struct config_section *section)
{
    struct settings s = {.c = c, .instead = e};
    settings_add_section(&s, word, section);
    e->failed = e->failed || s.failed;
}

/* ---- comparing ---- */

/* True when the map that `u` stands at, of `pairs` pairs, has this one. */
static bool settings_has(struct unpack u, uint32_t pairs, struct slice name, struct slice value)
{
    for (uint32_t i = 0; i < pairs; i++) {
        struct slice other = unpack_str(&u), its = unpack_str(&u);
        if (slice_equal(name, other))
            return unpack_ok(&u) && slice_equal(value, its);
    }
    return false;
}

/* Also as who is told of all sections of a kind is told it: "store.region" as "store/visits.region". */
static bool settings_is(struct slice name, const char *setting)
{
    size_t word = strcspn(setting, "."), key = strlen(setting) - word;
    return slice_is(name, setting) || (name.len > word + 1 + key && name.ptr[word] == '/' &&
                                       memcmp(name.ptr, setting, word) == 0 &&
                                       memcmp(name.ptr + name.len - key, setting + word, key) == 0);
}

static bool settings_is_later(struct slice name)
{
#define X(setting)                                                                                 \
    if (settings_is(name, setting))                                                                \
        return true;
    SYSTEMS(LATER, X)
#undef X
    return false;
}

static bool settings_names(struct unpack u, uint32_t pairs, struct slice name)
{
    for (uint32_t i = 0; i < pairs; i++) {
        struct slice other = unpack_str(&u);
        unpack_str(&u);
        if (slice_equal(name, other))
            return true;
    }
    return false;
}

bool config_settings_still(struct slice then, struct slice now)
{
    struct unpack old = unpack_start(then), u = unpack_start(now);
    uint32_t known = unpack_map(&old), pairs = unpack_map(&u), later = 0;
    if (!unpack_ok(&old) || !unpack_ok(&u))
        return config_settings_same(then, now);
    for (uint32_t i = 0; i < pairs; i++) {
        struct slice name = unpack_str(&u), value = unpack_str(&u);
        if (settings_is_later(name) && !settings_names(old, known, name))
            later++;
        else if (!settings_has(old, known, name, value))
            return false;
    }
    return unpack_end(&u) && pairs - later == known;
}

/* Names are unique in each, so equal numbers of pairs and one inclusion are enough. */
bool config_settings_same(struct slice a, struct slice b)
{
    if (slice_equal(a, b))
        return true;
    struct unpack one = unpack_start(a), other = unpack_start(b);
    uint32_t pairs = unpack_map(&one);
    if (unpack_map(&other) != pairs || !unpack_ok(&one) || !unpack_ok(&other))
        return false;
    for (uint32_t i = 0; i < pairs; i++) {
        struct slice name = unpack_str(&one), value = unpack_str(&one);
        if (!unpack_ok(&one) || !settings_has(other, pairs, name, value))
            return false;
    }
    return unpack_end(&one);
}
