/* config.c: a configuration's sections and values, and how they are printed. See config.h; loading: config_load.c. */
#include "master/config/config.h"

#include "common/text.h"
#include "common/words.h"
#include "master/config/config_parse.h"

#include <stdio.h>
#include <stdlib.h>

void config_free(struct config *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i < c->count; i++) {
        size_t count = c->sections[i]->values != NULL ? config_kind_keys(c->sections[i]->kind) : 0;
        for (size_t k = 0; k < count; k++)
            free(c->sections[i]->values[k].text);
        free(c->sections[i]->values);
        free(c->sections[i]->title);
        free(c->sections[i]);
    }
    free(c->sections);
    for (int kind = 0; kind < CONFIG_KIND_COUNT; kind++)
        free(c->by_kind[kind]);
    name_index_fini(&c->by_title);
    if (c->parents != NULL)
        name_index_fini(&c->parents->of);
    free(c->parents);
    free(c->path);
    free(c->base);
    free(c);
}

/* A key's default, brought into the normal form of its type; "" where there is none. False when memory is short. */
static bool config_preset(const struct config_key *key, const char *base, char **value)
{
    struct buffer out = BUFFER_EMPTY, why = BUFFER_EMPTY;
    if (key->preset[0] != '\0' && !key->required)
        config_value_check(key, key->preset, base, &out, &why);
    const char *text = buffer_text(&out);
    *value = text != NULL ? strdup(text) : NULL;
    buffer_fini(&out);
    buffer_fini(&why);
    return *value != NULL;
}

static bool config_index(struct config *c, struct config_section *s)
{
    size_t count = c->kind_count[s->kind];
    struct config_section **grown = realloc(c->by_kind[s->kind], (count + 1) * sizeof(*grown));
    if (grown == NULL)
        return false;
    c->by_kind[s->kind] = grown;
    grown[c->kind_count[s->kind]++] = s;
    return name_index_add(&c->by_title, s->kind, s->title, s);
}

struct config_section *config_section_add(struct config *c, enum config_kind kind,
                                          struct slice title)
{
    struct config_section *s = calloc(1, sizeof *s);
    struct config_section **grown = realloc(c->sections, (c->count + 1) * sizeof(*grown));
    if (grown != NULL)
        c->sections = grown;
    if (s == NULL || grown == NULL) {
        free(s);
        return NULL;
    }
    c->sections[c->count++] = s; /* config_free finds it from here on, half made or not */
    s->kind = kind;
    s->line = 1;
    s->title = slice_dup(title);
    s->values = calloc(config_kind_keys(kind) + 1, sizeof *s->values);
    bool good = s->title != NULL && s->values != NULL && config_index(c, s);
    for (int k = 0; k < CONFIG_KEY_COUNT && good; k++) {
        if (config_keys[k].kind == kind)
            good = config_preset(&config_keys[k], c->base, &config_value_at(s, k)->text);
    }
    return good ? s : NULL;
}

/* ---- look-ups ---- */

const struct config_section *config_section_at(const struct config *c, enum config_kind kind,
                                               size_t index)
{
    return index < c->kind_count[kind] ? c->by_kind[kind][index] : NULL;
}

const struct config_section *config_platoon(const struct config *c)
{
    return config_section_at(c, CONFIG_PLATOON, 0);
}

const struct config_section *config_section_find(const struct config *c, enum config_kind kind,
                                                 const char *title)
{
    return name_index_find(&c->by_title, kind, slice_of(title));
}

struct config_value *config_value_at(const struct config_section *s, int key)
{
    return &s->values[config_key_slot(key)];
}

static const char *config_text_at(const struct config_section *s, int key)
{
    const char *text = config_value_at(s, key)->text;
    return text != NULL ? text : "";
}

enum config_kind config_section_kind(const struct config_section *s)
{
    return s->kind;
}

const char *config_base(const struct config *c)
{
    return c->base;
}

const char *config_title(const struct config_section *s)
{
    return s->title != NULL ? s->title : "";
}

const char *config_path(const struct config *c)
{
    return c->path;
}

const char *config_get(const struct config_section *s, const char *key)
{
    int k = config_key_find(s->kind, slice_of(key));
    return k < 0 ? NULL : config_value_at(s, k)->text;
}

uint64_t config_get_u64(const struct config_section *s, const char *key)
{
    uint64_t value = 0;
    const char *text = config_get(s, key);
    if (text == NULL || text_parse_u64(slice_of(text), &value) != 0)
        return text != NULL && strcmp(text, "true") == 0;
    return value;
}

void config_each_told(const struct config_section *s,
                      void (*fn)(const char *key, const char *value, void *ctx), void *ctx)
{
    for (int k = 0; k < CONFIG_KEY_COUNT; k++)
        if (config_keys[k].kind == s->kind && config_keys[k].reload != CONFIG_LIVE)
            fn(config_keys[k].name, config_text_at(s, k), ctx);
}

/* ---- change ---- */

bool config_swap(struct config *c, const struct config_section *s, const char *key, char **value)
{
    int k = s != NULL ? config_key_find(s->kind, slice_of(key)) : -1;
    for (size_t i = 0; i < c->count && k >= 0; i++) {
        if (c->sections[i] != s)
            continue;
        struct config_value *at = config_value_at(s, k);
        char *old = at->text;
        at->text = *value;
        *value = old;
        return true;
    }
    return false;
}

void config_changed_live(const struct config *from, const struct config *to, struct buffer *names)
{
    const struct config_section *old = config_platoon(from), *new = config_platoon(to);
    for (int k = 0; k < CONFIG_KEY_COUNT; k++)
        if (config_keys[k].kind == CONFIG_PLATOON && config_keys[k].reload == CONFIG_LIVE &&
            strcmp(config_text_at(old, k), config_text_at(new, k)) != 0)
            buffer_printf(names, "%s%s", names->len > 0 ? " " : "", config_keys[k].name);
}

bool config_may_reload(const struct config *from, const struct config *to, struct buffer *errors)
{
    const struct config_section *old = config_platoon(from), *new = config_platoon(to);
    bool may = true;
    for (int k = 0; k < CONFIG_KEY_COUNT; k++) {
        if (config_keys[k].kind != CONFIG_PLATOON || config_keys[k].reload != CONFIG_MASTER ||
            strcmp(config_text_at(old, k), config_text_at(new, k)) == 0)
            continue;
        unsigned line = config_value_at(new, k)->line;
        may = false;
        buffer_printf(errors,
                      "%s:%u: %s: changed from %s to %s, which a reload cannot take over: "
                      "platoonctl shutdown, then start platoon again\n",
                      to->path, line != 0 ? line : new->line, config_keys[k].name,
                      config_text_at(old, k), config_text_at(new, k));
    }
    return may;
}

/* ---- print ---- */

/* In quotes, with what libconfuse would interpret inside them escaped. */
static void config_print_quoted(struct buffer *out, const char *text)
{
    buffer_append_char(out, '"');
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            buffer_append_char(out, '\\');
        buffer_append_char(out, *c);
    }
    buffer_append_char(out, '"');
}

/* Written without quotes. */
static bool config_key_is_plain(const struct config_key *key)
{
    return key->type == CONFIG_BOOL || key->type == CONFIG_INT || key->type == CONFIG_SPAN ||
           key->type == CONFIG_SIZE || key->type == CONFIG_CHOICE;
}

/*
 * NAME=*** for each NAME=value: passwords stand there, and where else they would has another key. Of a JSON object
 * nothing is shown: which of its members are secret only a platform knows.
 */
static void config_mask_words(const char *value, struct buffer *out)
{
    struct buffer words = BUFFER_EMPTY;
    bool object = value[0] == '{', empty = strcmp(value, "{}") == 0;
    int rc = object ? 0 : words_split(slice_of(value), SIZE_MAX, &words);
    if (rc < 0 || object)
        buffer_append_text(out, empty ? value : "***");
    for (const char *w = rc > 0 ? words_next(&words, 0, NULL) : NULL; w != NULL;
         w = words_next(&words, 0, w)) {
        size_t name = strcspn(w, "=");
        buffer_append_text(out, out->len > 0 ? " " : "");
        buffer_append(out, w, w[name] == '=' ? name + 1 : 0);
        buffer_append_text(out, "***");
    }
    buffer_fini(&words);
}

static void config_print_value(struct buffer *out, const struct config_key *key, const char *value)
{
    bool plain = config_key_is_plain(key);
    struct buffer text = BUFFER_EMPTY;
    if (plain)
        config_value_format(key, value, &text);
    else if (key->type == CONFIG_STRING && key->min == CONFIG_MASKED)
        config_mask_words(value, &text);
    else
        config_mask(value, &text);
    const char *shown = buffer_text(&text);
    if (shown == NULL)
        out->failed = true;
    else if (plain)
        buffer_append_text(out, shown);
    else
        config_print_quoted(out, shown);
    buffer_fini(&text);
}

/* Keys of one subsection stand together in the list, so one block each is enough. */
static void config_print_section(const struct config_section *s, struct buffer *out)
{
    char part[64] = "";
    for (int k = 0; k < CONFIG_KEY_COUNT; k++) {
        const struct config_key *key = &config_keys[k];
        if (key->kind != s->kind || (config_text_at(s, k)[0] == '\0' && config_key_is_plain(key)))
            continue; /* an empty number cannot be written */
        const char *dot = strchr(key->name, '.');
        char now[64] = "";
        if (dot != NULL)
            slice_copy(slice_make(key->name, (size_t)(dot - key->name)), now, sizeof now);
        if (strcmp(part, now) != 0) {
            if (part[0] != '\0')
                buffer_append_text(out, "    }\n");
            if (now[0] != '\0')
                buffer_printf(out, "    %s {\n", now);
            memcpy(part, now, sizeof part);
        }
        buffer_printf(out, "%s    %s = ", dot != NULL ? "    " : "",
                      dot != NULL ? dot + 1 : key->name);
        config_print_value(out, key, config_text_at(s, k));
        buffer_append_char(out, '\n');
    }
    if (part[0] != '\0')
        buffer_append_text(out, "    }\n");
}

void config_print(const struct config *c, struct buffer *out)
{
    for (size_t i = 0; i < c->count; i++) {
        const struct config_section *s = c->sections[i];
        buffer_append_text(out, config_kind_name(s->kind));
        if (config_kind_heads(s->kind) != CONFIG_SINGLE)
            buffer_printf(out, " %s", config_title(s));
        buffer_append_text(out, " {\n");
        config_print_section(s, out);
        buffer_append_text(out, "}\n");
    }
}
