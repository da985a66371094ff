/* job_mask.c: see job_mask.h. */
#include "workers/jobs/job_mask.h"

#include <errno.h>
#include <stdlib.h>

#define MASK_MAX   256u /* values */
#define MASK_STARS "***"

struct job_mask {
    size_t count, longest;
    struct slice values[MASK_MAX]; /* of `kept` */
    json_t *kept;
};

/* Each text within it. */
static void mask_collect(struct job_mask *m, const json_t *value)
{
    const char *name;
    size_t i;
    json_t *member;
    if (json_is_string(value) && json_string_length(value) >= JOB_MASK_MIN && m->count < MASK_MAX) {
        m->values[m->count++] = slice_make(json_string_value(value), json_string_length(value));
        if (json_string_length(value) > m->longest)
            m->longest = json_string_length(value);
    }
    json_array_foreach((json_t *)(uintptr_t)value, i, member)
    {
        mask_collect(m, member);
    }
    json_object_foreach((json_t *)(uintptr_t)value, name, member)
    {
        mask_collect(m, member);
    }
}

int job_mask_new(const json_t *secrets, struct job_mask **out)
{
    struct job_mask *m = calloc(1, sizeof *m);
    if (m == NULL)
        return -ENOMEM;
    mask_collect(m, secrets);
    m->kept = json_incref((json_t *)(uintptr_t)secrets);
    *out = m;
    if (m->count == 0) {
        job_mask_free(m);
        *out = NULL;
    }
    return 0;
}

void job_mask_free(struct job_mask *m)
{
    if (m != NULL)
        json_decref(m->kept);
    free(m);
}

static void mask_one(struct slice value, struct buffer *text, size_t from)
{
    char *at;
    while (from < text->len &&
           (at = memmem(text->data + from, text->len - from, value.ptr, value.len)) != NULL) {
        size_t start = (size_t)(at - text->data), stars = sizeof MASK_STARS - 1;
        memcpy(at, MASK_STARS, stars);
        memmove(at + stars, at + value.len, text->len - start - value.len);
        text->len -= value.len - stars;
        from = start + stars;
    }
}

void job_mask_text(const struct job_mask *m, struct buffer *text, size_t fresh)
{
    if (m == NULL || !buffer_ok(text))
        return;
    size_t again = fresh + m->longest - 1; /* one may have begun in what was looked at */
    for (size_t i = 0; i < m->count; i++)
        mask_one(m->values[i], text, text->len > again ? text->len - again : 0);
}

/* The longest beginning of a value, but not all of it, with which the text ends. */
static size_t mask_tail_of(struct slice value, struct slice text)
{
    size_t most = value.len - 1 < text.len ? value.len - 1 : text.len;
    while (most > 0 && memcmp(text.ptr + text.len - most, value.ptr, most) != 0)
        most--;
    return most;
}

size_t job_mask_tail(const struct job_mask *m, struct slice text)
{
    size_t longest = 0;
    for (size_t i = 0; m != NULL && i < m->count; i++) {
        size_t tail = mask_tail_of(m->values[i], text);
        longest = tail > longest ? tail : longest;
    }
    return longest;
}

static json_t *mask_string(const struct job_mask *m, const char *string, size_t len)
{
    struct buffer text = BUFFER_EMPTY;
    buffer_append(&text, string, len);
    job_mask_text(m, &text, len);
    json_t *masked =
        buffer_ok(&text) ? json_stringn(text.len > 0 ? text.data : "", text.len) : NULL;
    buffer_fini(&text);
    return masked;
}

static json_t *mask_object(const struct job_mask *m, const json_t *object)
{
    json_t *copy = json_object(), *member;
    const char *name;
    json_object_foreach((json_t *)(uintptr_t)object, name, member)
    {
        json_t *masked = mask_string(m, name, strlen(name)), *value = job_mask_json(m, member);
        int rc = masked != NULL && value != NULL && copy != NULL
                     ? json_object_set(copy, json_string_value(masked), value)
                     : -1;
        json_decref(masked);
        json_decref(value);
        if (rc != 0) {
            json_decref(copy);
            return NULL;
        }
    }
    return copy;
}

json_t *job_mask_json(const struct job_mask *m, const json_t *value)
{
    size_t i;
    json_t *member;
    if (m == NULL)
        return json_deep_copy(value);
    if (json_is_string(value))
        return mask_string(m, json_string_value(value), json_string_length(value));
    if (json_is_object(value))
        return mask_object(m, value);
    if (!json_is_array(value))
        return json_deep_copy(value);
    json_t *copy = json_array();
    json_array_foreach((json_t *)(uintptr_t)value, i, member)
    {
        if (copy == NULL || json_array_append_new(copy, job_mask_json(m, member)) != 0) {
            json_decref(copy);
            return NULL;
        }
    }
    return copy;
}
