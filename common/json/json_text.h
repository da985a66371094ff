/*
 * json_text.h: JSON values as text whose numbers read as they were written.
 *
 * Runs in workers and platoonctl. Pure. jansson prints 17 digits of every number, so that 0.1 becomes
 * 0.10000000000000001; here a number has as few digits as read back to the same one, which is what most have written.
 */
#ifndef COMMON_JSON_JSON_TEXT_H
#define COMMON_JSON_JSON_TEXT_H

#include "common/buffer.h"

#include <jansson.h>

#define JSON_TEXT_REAL 32
#define JSON_TEXT_WHY  (JSON_ERROR_TEXT_LENGTH + 64)

/* The shortest text of a finite number, with a point or an exponent. Returns `text`. */
const char *json_text_real(double value, char text[JSON_TEXT_REAL]);

/* Appends a value in one line without blanks, members in their own order; NULL appends null. Failure: the buffer's. */
void json_text_append(struct buffer *out, const json_t *value);

/* The same with a line for each member, each two blanks further in. */
void json_text_append_lines(struct buffer *out, const json_t *value);

/*
 * Why jansson could not read a text, and where: "line 1, column 5: invalid token". Of the text itself nothing, as
 * jansson has it ("near 'abc'"): it may be a secret. Returns `why`.
 */
const char *json_text_why(const json_error_t *error, char why[JSON_TEXT_WHY]);

/* As json_text_append, as a string, for free. NULL: memory is short. */
char *json_text(const json_t *value);

#endif
