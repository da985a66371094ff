/* config_check.c: checks that need more than one value. See config_check.h. */
#include "master/config/config_check.h"

#include "master/config/config_check_key.h"

#include <stdio.h>

#define CONFIG_NAME_MAX 24

static const struct config_check_entry *check_list;
static size_t check_count;

void config_check_register(const struct config_check_entry *list, size_t count)
{
    check_list = list;
    check_count = count;
}

static void check_required(const struct config_section *s, struct config_errors *errors)
{
    for (int k = 0; k < CONFIG_KEY_COUNT; k++)
        if (config_keys[k].kind == s->kind && config_keys[k].required &&
            config_value_at(s, k)->line == 0 && !config_value_at(s, k)->broken)
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

/* ---- sections ---- */

static void check_references(const struct config *c, const struct config_section *s,
                             struct config_errors *errors)
{
    for (int k = 0; k < CONFIG_KEY_COUNT; k++)
        if (config_keys[k].kind == s->kind && config_keys[k].type == CONFIG_SECTION)
            config_check_reference(c, s, config_keys[k].name, (enum config_kind)config_keys[k].min,
                                   errors);
}

static void check_section(const struct config *c, const struct config_section *s,
                          struct config_errors *errors)
{
    check_required(s, errors);
    if (config_kind_heads(s->kind) != CONFIG_SINGLE)
        check_name(s, errors);
    check_references(c, s, errors);
    for (size_t i = 0; i < check_count; i++)
        if (check_list[i].kind == s->kind)
            check_list[i].check(c, s, errors);
}

void config_check(const struct config *c, struct config_errors *errors)
{
    for (size_t i = 0; i < c->count; i++)
        if (!c->sections[i]->duplicate)
            check_section(c, c->sections[i], errors);
}
