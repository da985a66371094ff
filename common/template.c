/* template.c: templates over fields. See template.h. */
#include "common/template.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum template_kind {
    TEMPLATE_TEXT,
    TEMPLATE_MEMBER,
    TEMPLATE_FIELD,
    TEMPLATE_FIELD_OR, /* with a default */
};

struct template_part {
    enum template_kind kind;
    struct slice text; /* the text, or the field's name */
    struct slice otherwise;
};

struct template
{
    char *text; /* what the parts point into */
    size_t count;
    struct template_part parts[TEMPLATE_PARTS_MAX];
};

static int template_add(struct template *t, struct template_part part, char *why, size_t why_size)
{
    if (t->count == TEMPLATE_PARTS_MAX) {
        snprintf(why, why_size, "more than %d pieces", TEMPLATE_PARTS_MAX);
        return -EINVAL;
    }
    t->parts[t->count++] = part;
    return 0;
}

/* The field whose `{` stands at `at`; moves *at behind its `}`. */
static int template_add_field(struct template *t, const char **at, char *why, size_t why_size)
{
    const char *from = *at + 1;
    size_t len = strcspn(from, "{}");
    size_t column = (size_t)(*at - t->text) + 1;
    if (from[len] != '}') {
        snprintf(why, why_size, "the { at column %zu is not closed (a brace itself is written {{)",
                 column);
        return -EINVAL;
    }
    const char *bar = memchr(from, '|', len);
    struct template_part part = {
        .kind = bar ? TEMPLATE_FIELD_OR : TEMPLATE_FIELD,
        .text = slice_make(from, bar ? (size_t)(bar - from) : len),
    };
    if (bar != NULL)
        part.otherwise = slice_make(bar + 1, len - part.text.len - 1);
    if (part.text.len == 0) {
        snprintf(why, why_size, "the braces at column %zu name no field", column);
        return -EINVAL;
    }
    if (slice_is(part.text, "member"))
        part.kind = TEMPLATE_MEMBER;
    *at = from + len + 1;
    return template_add(t, part, why, why_size);
}

static int template_parse(struct template *t, char *why, size_t why_size)
{
    const char *at = t->text;
    int rc = 0;
    while (*at != '\0' && rc == 0) {
        if (at[0] == '{' && at[1] != '{') {
            rc = template_add_field(t, &at, why, why_size);
            continue;
        }
        if (at[0] == '}' && at[1] != '}') {
            snprintf(why, why_size,
                     "the } at column %zu closes nothing (a brace itself is written }})",
                     (size_t)(at - t->text) + 1);
            return -EINVAL;
        }
        /* A doubled brace is one byte of text and two of the source. */
        bool brace = *at == '{' || *at == '}';
        size_t len = brace ? 1 : strcspn(at, "{}");
        rc = template_add(
            t, (struct template_part){.kind = TEMPLATE_TEXT, .text = slice_make(at, len)}, why,
            why_size);
        at += brace ? 2 : len;
    }
    return rc;
}

int template_compile(const char *text, struct template **out, char *why, size_t why_size)
{
    struct template *t = calloc(1, sizeof *t);
    if (t != NULL)
        t->text = strdup(text);
    if (t == NULL || t->text == NULL) {
        template_free(t);
        snprintf(why, why_size, "out of memory");
        return -ENOMEM;
    }
    int rc = template_parse(t, why, why_size);
    if (rc != 0) {
        template_free(t);
        return rc;
    }
    *out = t;
    return 0;
}

void template_free(struct template *t)
{
    if (t == NULL)
        return;
    free(t->text);
    free(t);
}

bool template_is_constant(const struct template *t)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->parts[i].kind != TEMPLATE_TEXT)
            return false;
    return true;
}

static const struct template_field *template_find(struct slice name,
                                                  const struct template_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (slice_equal(fields[i].name, name))
            return &fields[i];
    return NULL;
}

int template_expand(const struct template *t, struct slice member,
                    const struct template_field *fields, size_t count, struct buffer *out,
                    struct slice *missing)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct template_part *part = &t->parts[i];
        if (part->kind == TEMPLATE_TEXT) {
            buffer_append_slice(out, part->text);
            continue;
        }
        if (part->kind == TEMPLATE_MEMBER) {
            buffer_append_slice(out, member);
            continue;
        }
        const struct template_field *field = template_find(part->text, fields, count);
        if (field == NULL && part->kind == TEMPLATE_FIELD) {
            *missing = part->text;
            return -ENOENT;
        }
        buffer_append_slice(out, field ? field->value : part->otherwise);
    }
    return 0;
}
