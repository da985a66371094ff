/*
 * json_check.h: is this text JSON? Says nothing of what is in it.
 *
 * Runs in the master, for each line of a program's that begins with a brace, before it is passed on
 * untouched among JSON lines; and in ports, for each body that is told as it was written. Strict (RFC 8259; half of a
 * surrogate pair is no character), one pass, no memory; the master links no JSON library, and for a yes or no it need
 * not.
 */
#ifndef COMMON_JSON_CHECK_H
#define COMMON_JSON_CHECK_H

#include "common/slice.h"

/* Deeper nesting counts as no JSON. */
#define JSON_CHECK_DEPTH 64

/* True when the whole text, blanks around it aside, is one JSON object in valid UTF-8. */
bool json_check_object(struct slice text);

/* True when it is one value of any kind. Of what is nested deeper it is false, too: whoever must know parses it. */
bool json_check_value(struct slice text);

#endif
