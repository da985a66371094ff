/*
 * erlang_value.h: what a term is as an object of a cache, and an object as a term.
 *
 * Runs in erlang workers. Pure. A binary is bytes; a string is its bytes, of form `string`; any other term is its
 * external format, version byte and all, of form `term`. So each comes back as it was, and what clients of Redis'
 * protocol have set comes back as a binary. Names of objects have no form: a binary, a string and an atom of one text
 * name one object, the one that has this text for clients of Redis; any other term names the object whose key is its
 * external format.
 */
#ifndef WORKERS_ERLANG_VALUE_H
#define WORKERS_ERLANG_VALUE_H

#include "common/buffer.h"

enum erlang_form { ERLANG_FORM_BYTES, ERLANG_FORM_STRING, ERLANG_FORM_TERM };

/* "bytes", "string", "term"; NULL for another number. */
const char *erlang_form_name(enum erlang_form form);

/* False: there is no form of that name. */
bool erlang_form_find(const char *name, enum erlang_form *form);

/* The bytes of a whole term, appended to `out`. Failure of memory is the buffer's. */
void erlang_value_from_term(struct slice term, enum erlang_form *form, struct buffer *out);

/* The same of what names an object. */
void erlang_key_from_term(struct slice term, struct buffer *out);

/*
 * Appends the term that these bytes were. Bytes of form `term` that are none, which nobody has set here, are a binary:
 * whoever is sent what is no term ends the connection.
 */
void erlang_value_to_term(struct slice bytes, enum erlang_form form, struct buffer *out);

#endif
