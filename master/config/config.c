/* config.c: loads, checks and prints a configuration. See config.h. */
#include "master/config/config.h"

#include "common/text.h"
#include "master/config/config_check.h"
#include "master/config/config_parse.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

void config_free(struct config *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i < c->count; i++) {
        for (int k = 0; k < CONFIG_KEY_COUNT; k++)
            free(c->sections[i]->values[k]);
        free(c->sections[i]->title);
        free(c->sections[i]);
    }
    free(c->sections);
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

/* Reads at most CONFIG_FILE_MAX bytes. False with the reason in `errors`. */
static bool config_read_file(const char *path, struct buffer *text, struct buffer *errors)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        buffer_printf(errors, "%s:1: %s: check the path and its permissions\n", path,
                      strerror(errno));
        return false;
    }
    size_t n = 0;
    char *room = buffer_reserve(text, CONFIG_FILE_MAX + 1);
    if (room != NULL)
        n = fread(room, 1, CONFIG_FILE_MAX + 1, file);
    int failed = ferror(file) ? errno : 0;
    fclose(file);
    if (room == NULL || failed != 0 || n > CONFIG_FILE_MAX) {
        const char *cause = room == NULL  ? "memory is short"
                            : failed != 0 ? strerror(failed)
                                          : "larger than 1 MB";
        buffer_printf(errors, "%s:1: %s: it must be a readable text file\n", path, cause);
        return false;
    }
    const char *nul = memchr(room, '\0', n);
    if (nul != NULL) {
        unsigned line = 1;
        for (const char *c = room; c < nul; c++)
            line += *c == '\n';
        buffer_printf(errors, "%s:%u: holds a NUL byte: it must be a readable text file\n", path,
                      line);
        return false;
    }
    text->len = n;
    room[n] = '\0'; /* the scanner looks one character ahead */
    return true;
}

/* The directory of the file, without symbolic links in it, so that relative paths mean the same wherever we run. */
static char *config_base(const char *path)
{
    char real[PATH_MAX];
    if (realpath(path, real) == NULL)
        return NULL;
    char *slash = strrchr(real, '/');
    *(slash == real ? slash + 1 : slash) = '\0';
    return strdup(real);
}

static struct config *config_new(const char *path)
{
    struct config *c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    c->path = strdup(path);
    c->base = config_base(path);
    if (c->path == NULL || c->base == NULL) {
        config_free(c);
        return NULL;
    }
    return c;
}

/* With whatever could be understood; *good: all of it. NULL: it cannot be read, or memory is short. */
static struct config *config_load_all(const char *path, struct buffer *errors, bool *good)
{
    struct buffer text = BUFFER_EMPTY;
    struct config *c = config_read_file(path, &text, errors) ? config_new(path) : NULL;
    struct config_errors *list = c != NULL ? calloc(1, sizeof *list) : NULL;
    bool parsed = false;
    *good = false;
    if (list != NULL) {
        parsed = config_parse(c, buffer_slice(&text), list) == 0;
        if (parsed)
            config_check(c, list);
        else
            list->failed = true;
        *good = !config_errors_any(list);
        config_errors_print(list, path, errors);
        config_errors_fini(list);
    } else if (c != NULL) {
        buffer_printf(errors, "%s:1: memory is short\n", path);
    }
    free(list);
    buffer_fini(&text);
    if (parsed && config_platoon(c) != NULL)
        return c;
    config_free(c);
    return NULL;
}

struct config *config_load(const char *path, struct buffer *errors)
{
    bool good;
    struct config *c = config_load_all(path, errors, &good);
    if (good)
        return c;
    config_free(c);
    return NULL;
}

struct config *config_load_rough(const char *path, struct buffer *errors)
{
    bool good;
    return config_load_all(path, errors, &good);
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
    bool good = s->title != NULL;
    for (int k = 0; k < CONFIG_KEY_COUNT && good; k++) {
        if (config_keys[k].kind == kind)
            good = config_preset(&config_keys[k], c->base, &s->values[k]);
    }
    return good ? s : NULL;
}

/* ---- look-ups ---- */

const struct config_section *config_section_at(const struct config *c, enum config_kind kind,
                                               size_t index)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->sections[i]->kind == kind && index-- == 0)
            return c->sections[i];
    return NULL;
}

const struct config_section *config_platoon(const struct config *c)
{
    return config_section_at(c, CONFIG_PLATOON, 0);
}

const struct config_section *config_section_find(const struct config *c, enum config_kind kind,
                                                 const char *title)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->sections[i]->kind == kind && strcmp(config_title(c->sections[i]), title) == 0)
            return c->sections[i];
    return NULL;
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
    return k < 0 ? NULL : s->values[k];
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
            fn(config_keys[k].name, s->values[k] != NULL ? s->values[k] : "", ctx);
}

/* ---- change ---- */

bool config_swap(struct config *c, const struct config_section *s, const char *key, char **value)
{
    int k = s != NULL ? config_key_find(s->kind, slice_of(key)) : -1;
    for (size_t i = 0; i < c->count && k >= 0; i++) {
        if (c->sections[i] != s)
            continue;
        char *old = c->sections[i]->values[k];
        c->sections[i]->values[k] = *value;
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
            strcmp(old->values[k], new->values[k]) != 0)
            buffer_printf(names, "%s%s", names->len > 0 ? " " : "", config_keys[k].name);
}

bool config_may_reload(const struct config *from, const struct config *to, struct buffer *errors)
{
    const struct config_section *old = config_platoon(from), *new = config_platoon(to);
    bool may = true;
    for (int k = 0; k < CONFIG_KEY_COUNT; k++) {
        if (config_keys[k].reload != CONFIG_MASTER || strcmp(old->values[k], new->values[k]) == 0)
            continue;
        may = false;
        buffer_printf(errors,
                      "%s:%u: %s: changed from %s to %s, which a reload cannot take over: "
                      "platoonctl shutdown, then start platoon again\n",
                      to->path, new->lines[k] != 0 ? new->lines[k] : new->line, config_keys[k].name,
                      old->values[k], new->values[k]);
    }
    return may;
}

/* ---- print ---- */

/* In quotes, with what libconfuse would interpret inside them escaped. */
static void config_print_quoted(struct buffer *out, const char *text)
{
    buffer_append_char(out, '"');
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\' || *c == '$')
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

static void config_print_value(struct buffer *out, const struct config_key *key, const char *value)
{
    bool plain = config_key_is_plain(key);
    struct buffer text = BUFFER_EMPTY;
    if (plain)
        config_value_format(key, value, &text);
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
        bool none = s->values[k] == NULL || (s->values[k][0] == '\0' && config_key_is_plain(key));
        if (key->kind != s->kind || none)
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
        config_print_value(out, key, s->values[k]);
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
        if (s->kind != CONFIG_PLATOON)
            buffer_printf(out, " %s", config_title(s));
        buffer_append_text(out, " {\n");
        config_print_section(s, out);
        buffer_append_text(out, "}\n");
    }
}
