/*
 * config_fixture.h: configuration files of a test's own, what is said of them, and whether they survive being printed.
 *
 * Included by one suite each, which is one process; set_up and tear_down stand around each test.
 */
#ifndef TEST_UNIT_CONFIG_CONFIG_FIXTURE_H
#define TEST_UNIT_CONFIG_CONFIG_FIXTURE_H

#include "master/config/config_load.h"
#include "master/config/config_key.h"
#include "master/systems_config.h"
#include "test/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[] = "/tmp/config.XXXXXX";
static char path[64];
static struct buffer errors;

static inline void set_up(void)
{
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/c", dir);
}

static inline void tear_down(void)
{
    unlink(path);
    rmdir(dir);
    buffer_fini(&errors);
}

static inline struct config *load_bytes(const char *text, size_t len)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text, 1, len, file), len);
    fclose(file);
    buffer_clear(&errors);
    systems_config_register();
    return config_load(path, &errors);
}

static inline struct config *load(const char *text)
{
    return load_bytes(text, strlen(text));
}

static inline struct config *load_good(const char *text)
{
    struct config *c = load(text);
    ck_assert_msg(c != NULL, "%s\n%s", text, buffer_text(&errors));
    ck_assert_uint_eq(errors.len, 0);
    return c;
}

static inline void says(const char *text, const char *wanted)
{
    struct config *c = load(text);
    ck_assert_msg(c == NULL, "accepted: %s", text);
    struct buffer stripped = BUFFER_EMPTY;
    const char *said = buffer_text(&errors);
    for (const char *line = said; *line != '\0'; line = strchr(line, '\n') + 1) {
        ck_assert_msg(strncmp(line, path, strlen(path)) == 0 && line[strlen(path)] == ':', "%s",
                      said);
        const char *rest = line + strlen(path) + 1;
        buffer_append(&stripped, rest, (size_t)(strchr(rest, '\n') + 1 - rest));
    }
    ck_assert_msg(strstr(buffer_text(&stripped), wanted) != NULL, "%s\n-- says\n%s-- and not\n%s",
                  text, buffer_text(&stripped), wanted);
    buffer_fini(&stripped);
}

/* Each key of the kind has a value in the section that gives the least; no other has, nor is there a second one. */
static inline void defaults_are_there(const struct config *c, enum config_kind kind)
{
    const struct config_section *s = config_section_at(c, kind, 0);
    for (int k = 0; k < CONFIG_KEY_COUNT; k++)
        if (config_keys[k].kind == kind)
            ck_assert_ptr_nonnull(config_get(s, config_keys[k].name));
    ck_assert_ptr_null(config_get(s, "no_such_key"));
    ck_assert_ptr_null(config_section_find(c, kind, "e"));
    ck_assert_ptr_null(config_section_at(c, kind, 1));
}

struct value_case {
    const char *text, *key, *value; /* no key: the file is refused */
};

/* Each text between `head` and `tail`, in the one section of the kind, gives its key the value. */
static inline void values_are(const char *head, const char *tail, enum config_kind kind,
                              const struct value_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char text[512];
        snprintf(text, sizeof text, "%s%s%s", head, cases[i].text, tail);
        struct config *c = load(text);
        ck_assert_msg((c != NULL) == (cases[i].key != NULL), "%s: %s", cases[i].text,
                      buffer_text(&errors));
        if (c != NULL)
            ck_assert_str_eq(config_get(config_section_at(c, kind, 0), cases[i].key),
                             cases[i].value);
        config_free(c);
    }
}

static inline void same(const struct config *a, const struct config *b)
{
    for (enum config_kind kind = 0; kind < CONFIG_KIND_COUNT; kind++) {
        for (size_t i = 0;; i++) {
            const struct config_section *x = config_section_at(a, kind, i),
                                        *y = config_section_at(b, kind, i);
            ck_assert_int_eq(x == NULL, y == NULL);
            if (x == NULL)
                break;
            ck_assert_str_eq(config_title(x), config_title(y));
            for (int k = 0; k < CONFIG_KEY_COUNT; k++)
                if (config_keys[k].kind == kind)
                    ck_assert_msg(strcmp(config_get(x, config_keys[k].name),
                                         config_get(y, config_keys[k].name)) == 0,
                                  "%s: %s, %s", config_keys[k].name,
                                  config_get(x, config_keys[k].name),
                                  config_get(y, config_keys[k].name));
        }
    }
}

/* Loads `text`, prints it, loads that: it must mean the same. */
static inline void prints_the_same(const char *text)
{
    struct config *c = load_good(text);
    struct buffer printed = BUFFER_EMPTY;
    config_print(c, &printed);
    struct config *again = load(buffer_text(&printed));
    ck_assert_msg(again != NULL, "%s\n%s\n%s", text, buffer_text(&printed), buffer_text(&errors));
    same(c, again);
    config_free(c);
    config_free(again);
    buffer_fini(&printed);
}

/* Values in the file's own writing that must survive being printed. */
static const char *const config_values[] = {
    "plain",
    "\"two words\"",
    "'$x'",
    "'${HOME}'",
    "\"quote \\\" back \\\\ slash\"",
    "'a\\b'",
    "\"tab\\tnew\\nline\"",
    "'{app}/{session|none}'",
    "\"it's\"",
    "'#no comment'",
    "'// none'",
    "\"\\x01\"",
    "'*'",
    "\"ä€\"",
};

/* Files of pieces in any order, behind `front` or not, some bytes of them anything: read, or refused with a reason. */
static inline void reads_anything(const char *front, const char *const *pieces, size_t count)
{
    srand(12);
    for (int round = 0; round < 1500; round++) {
        struct buffer text = BUFFER_EMPTY;
        if (rand() % 2)
            buffer_append_text(&text, front);
        for (int k = rand() % 30; k > 0; k--) {
            buffer_append_text(&text, pieces[(size_t)rand() % count]);
            if (rand() % 2)
                buffer_append_char(&text, ' ');
        }
        for (int k = rand() % 3; k > 0 && text.len > 0; k--)
            text.data[(size_t)rand() % text.len] = (char)(1 + rand() % 255);
        struct config *c = load_bytes(text.data != NULL ? text.data : "", text.len);
        ck_assert_msg((c == NULL) == (errors.len > 0), "%.*s\n%s", (int)text.len, text.data,
                      buffer_text(&errors));
        config_free(c);
        buffer_fini(&text);
    }
}

#endif
