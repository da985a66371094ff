/* json_text.c: see json_text.h. */
#include "common/json/json_text.h"

#include "common/json/json_write.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* From here on an exponent is written, as most writers do. */
#define REAL_PLAIN_MAX 1e16

const char *json_text_real(double value, char text[JSON_TEXT_REAL])
{
    int least = fabs(value) < DBL_MIN ? 1 : 15; /* the smallest have fewer digits than others */
    for (int digits = least; digits <= 17; digits++) {
        snprintf(text, JSON_TEXT_REAL, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    if (strchr(text, 'e') != NULL && fabs(value) >= 1 && fabs(value) < REAL_PLAIN_MAX)
        snprintf(text, JSON_TEXT_REAL, "%.1f", value);
    if (strpbrk(text, ".e") == NULL)
        strcat(text, ".0");
    return text;
}

static void text_value(struct buffer *out, const json_t *value, int depth);

/* A new line and its blanks, when there are any lines. */
static void text_line(struct buffer *out, int depth)
{
    if (depth < 0)
        return;
    buffer_append_char(out, '\n');
    for (int i = 0; i < depth; i++)
        buffer_append_text(out, "  ");
}

static int deeper(int depth)
{
    return depth < 0 ? depth : depth + 1;
}

static void text_object(struct buffer *out, const json_t *object, int depth)
{
    const char *name, *between = "";
    json_t *value;
    buffer_append_char(out, '{');
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        buffer_append_text(out, between);
        text_line(out, deeper(depth));
        json_write_string(out, slice_of(name));
        buffer_append_text(out, depth < 0 ? ":" : ": ");
        text_value(out, value, deeper(depth));
        between = ",";
    }
    if (json_object_size(object) > 0)
        text_line(out, depth);
    buffer_append_char(out, '}');
}

static void text_array(struct buffer *out, const json_t *array, int depth)
{
    buffer_append_char(out, '[');
    for (size_t i = 0; i < json_array_size(array); i++) {
        buffer_append_text(out, i > 0 ? "," : "");
        text_line(out, deeper(depth));
        text_value(out, json_array_get(array, i), deeper(depth));
    }
    if (json_array_size(array) > 0)
        text_line(out, depth);
    buffer_append_char(out, ']');
}

static void text_value(struct buffer *out, const json_t *value, int depth)
{
    char real[JSON_TEXT_REAL];
    switch (value != NULL ? json_typeof(value) : JSON_NULL) {
    case JSON_OBJECT:
        text_object(out, value, depth);
        return;
    case JSON_ARRAY:
        text_array(out, value, depth);
        return;
    case JSON_STRING:
        json_write_string(out, slice_make(json_string_value(value), json_string_length(value)));
        return;
    case JSON_INTEGER:
        buffer_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        return;
    case JSON_REAL:
        buffer_append_text(out, json_text_real(json_real_value(value), real));
        return;
    case JSON_TRUE:
    case JSON_FALSE:
        buffer_append_text(out, json_is_true(value) ? "true" : "false");
        return;
    case JSON_NULL:
        buffer_append_text(out, "null");
        return;
    }
}

void json_text_append(struct buffer *out, const json_t *value)
{
    text_value(out, value, -1);
}

void json_text_append_lines(struct buffer *out, const json_t *value)
{
    text_value(out, value, 0);
}

const char *json_text_why(const json_error_t *error, char why[JSON_TEXT_WHY])
{
    const char *near = strstr(error->text, " near '");
    int len = near != NULL ? (int)(near - error->text) : (int)strlen(error->text);
    if (error->line > 0)
        snprintf(why, JSON_TEXT_WHY, "line %d, column %d: %.*s", error->line, error->column, len,
                 error->text);
    else
        snprintf(why, JSON_TEXT_WHY, "%.*s", len, error->text);
    return why;
}

char *json_text(const json_t *value)
{
    struct buffer out = BUFFER_EMPTY;
    json_text_append(&out, value);
    buffer_append_char(&out, '\0');
    char *text = buffer_take(&out, NULL);
    buffer_fini(&out);
    return text;
}
