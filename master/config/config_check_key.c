/* config_check_key.c: what the checks of every kind of section ask. See config_check_key.h. */
#include "master/config/config_check_key.h"

#include "master/config/config.h"

#include "common/text.h"
#include "proto/worker_types.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

unsigned config_check_line(const struct config_section *s, const char *key)
{
    int k = config_key_find(s->kind, slice_of(key));
    unsigned line = k >= 0 ? config_value_at(s, k)->line : 0;
    return line != 0 ? line : s->line;
}

void config_say(const struct config *c, const struct config_section *s, const char *key,
                struct buffer *out, const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    s = s != NULL ? s : config_platoon(c);
    /* One line: a value may hold anything. */
    for (char *p = text; p != NULL && *p != '\0'; p++)
        if ((unsigned char)*p < ' ' || *p == 127)
            *p = '?';
    buffer_printf(out, "%s:%u: %s\n", config_path(c),
                  key != NULL ? config_check_line(s, key) : s->line,
                  text != NULL ? text : "memory is short: try again");
    free(text);
}

bool config_check_broken(const struct config_section *s, const char *key)
{
    int k = config_key_find(s->kind, slice_of(key));
    const struct config_value *value = k >= 0 ? config_value_at(s, k) : NULL;
    return value == NULL || value->broken || value->text == NULL;
}

/* ---- references ---- */

void config_check_reference(const struct config *c, const struct config_section *s, const char *key,
                            enum config_kind kind, struct config_errors *errors)
{
    if (config_check_broken(s, key) || config_get(s, key)[0] == '\0')
        return;
    const char *title = config_get(s, key);
    if (config_section_find(c, kind, title) != NULL)
        return;
    struct text_nearest nearest = text_nearest_start(slice_of(title));
    const struct config_section *other;
    for (size_t i = 0;
         !config_errors_full(errors) && (other = config_section_at(c, kind, i)) != NULL; i++)
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

const char *config_check_named(const struct config *c, const struct config_section *s,
                               const char *key, enum config_kind kind, const char *of)
{
    const struct config_section *named =
        config_check_broken(s, key) ? NULL : config_section_find(c, kind, config_get(s, key));
    return named == NULL || config_check_broken(named, of) ? "" : config_get(named, of);
}

/* By its value, not by its line: what is printed has a line for each key. */
bool config_check_given(const struct config *c, const struct config_section *s, const char *key)
{
    struct buffer preset = BUFFER_EMPTY, why = BUFFER_EMPTY;
    int k = config_key_find(s->kind, slice_of(key));
    if (k < 0 || config_check_broken(s, key))
        return false;
    if (config_keys[k].preset[0] != '\0')
        config_value_check(&config_keys[k], config_keys[k].preset, config_base(c), &preset, &why);
    bool given = !slice_is(buffer_slice(&preset), config_get(s, key));
    buffer_fini(&preset);
    buffer_fini(&why);
    return given;
}

/* ---- pairs ---- */

void config_check_order(const struct config_section *s, const char *low, const char *high,
                        struct config_errors *errors)
{
    if (config_check_broken(s, low) || config_check_broken(s, high) ||
        config_get_u64(s, low) <= config_get_u64(s, high))
        return;
    config_errors_add(errors, config_check_line(s, low), "%s: must not be above %s", low, high);
}

void config_check_together(const struct config_section *s, const char *one, const char *other,
                           struct config_errors *errors)
{
    if (config_check_broken(s, one) || config_check_broken(s, other))
        return;
    if (config_get(s, one)[0] != '\0' && config_get(s, other)[0] == '\0')
        config_errors_add(errors, config_check_line(s, one), "%s: needs %s beside it", one, other);
}

/* ---- paths ---- */

void config_check_path(const struct config *c, const struct config_section *s, const char *path,
                       struct config_errors *errors)
{
    for (int type = 0; type < WORKER_TYPE_COUNT; type++) {
        const struct worker_type_record *r = worker_type_record((enum worker_type)type);
        if (config_section_at(c, r->kind, 0) == NULL ||
            !worker_type_takes((enum worker_type)type, path))
            continue;
        config_errors_add(errors, s->line,
                          "%s %s: %s is the place of platoon's %s: choose another name",
                          config_kind_name(s->kind), config_title(s), path, r->name);
        return;
    }
}

/* ---- texts ---- */

bool config_check_starts(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}
