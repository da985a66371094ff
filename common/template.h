/*
 * template.h: text with {fields} in it, compiled once and filled in for each record.
 *
 * Runs in transfer workers (bucket and key of a record) and wherever a template must be checked. Pure.
 *
 *     {field}          the field's value; an empty one counts as present
 *     {field|default}  the default when the record has no such field; it may be empty
 *     {member}         the member itself, whatever fields there are
 *     {{ and }}        the braces themselves
 */
#ifndef COMMON_TEMPLATE_H
#define COMMON_TEMPLATE_H

#include "common/buffer.h"

/* Most pieces (runs of text and fields) of one template. */
#define TEMPLATE_PARTS_MAX 64

struct template;

/* A field of a record; the bytes are borrowed. */
struct template_field {
    struct slice name;
    struct slice value;
};

/*
 * Compiles `text` (copied). On 0 *out is the caller's, for template_free. -EINVAL with one sentence in `why` that says
 * what is wrong and where; -ENOMEM.
 */
int template_compile(const char *text, struct template **out, char *why, size_t why_size);

/* Accepts NULL. */
void template_free(struct template *t);

/* True when it holds neither fields nor {member}: it always gives the same. */
bool template_is_constant(const struct template *t);

/*
 * Appends the template, filled in, to `out` (whose failure is the buffer's). 0; or -ENOENT when the record lacks a
 * field that has no default: then *missing is its name (it lives as long as t), and `out` may have grown.
 */
int template_expand(const struct template *t, struct slice member,
                    const struct template_field *fields, size_t count, struct buffer *out,
                    struct slice *missing);

#endif
