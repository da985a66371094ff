/* erlang_value.c: see erlang_value.h. */
#include "workers/erlang/erlang_value.h"

#include "workers/erlang/erlang_term.h"
#include "workers/erlang/erlang_write.h"

static const char *const form_names[] = {
    [ERLANG_FORM_BYTES] = "bytes", [ERLANG_FORM_STRING] = "string", [ERLANG_FORM_TERM] = "term"};

#define FORMS (sizeof form_names / sizeof form_names[0])

const char *erlang_form_name(enum erlang_form form)
{
    return (size_t)form < FORMS ? form_names[form] : NULL;
}

bool erlang_form_find(const char *name, enum erlang_form *form)
{
    for (size_t i = 0; i < FORMS; i++)
        if (strcmp(name, form_names[i]) == 0) {
            *form = (enum erlang_form)i;
            return true;
        }
    return false;
}

void erlang_value_from_term(struct slice term, enum erlang_form *form, struct buffer *out)
{
    struct slice in = term, bytes;
    if (erlang_term_binary(&in, &bytes)) {
        *form = ERLANG_FORM_BYTES;
        buffer_append_slice(out, bytes);
    } else if (erlang_term_string(&in, out)) {
        *form = ERLANG_FORM_STRING;
    } else {
        *form = ERLANG_FORM_TERM;
        erlang_write_version(out);
        buffer_append_slice(out, term);
    }
}

/* A fun has no other form than the one it came in (erlang_term_copy). */
static void key_from_other(struct slice term, struct buffer *out)
{
    struct slice in = term;
    erlang_write_version(out);
    if (!erlang_term_copy(&in, out))
        buffer_append_slice(out, term);
}

void erlang_key_from_term(struct slice term, struct buffer *out)
{
    struct slice in = term, bytes;
    struct erlang_atom atom;
    if (erlang_term_binary(&in, &bytes))
        buffer_append_slice(out, bytes);
    else if (erlang_term_atom(&in, &atom))
        buffer_append(out, atom.text, atom.len);
    else if (!erlang_term_string(&in, out))
        key_from_other(term, out);
}

void erlang_value_to_term(struct slice bytes, enum erlang_form form, struct buffer *out)
{
    if (form == ERLANG_FORM_STRING)
        erlang_write_string(out, bytes);
    else if (form == ERLANG_FORM_TERM && erlang_term_is_whole(bytes))
        buffer_append(out, bytes.ptr + 1, bytes.len - 1);
    else
        erlang_write_binary(out, bytes);
}
