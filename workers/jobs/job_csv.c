/* job_csv.c: see job_csv.h. */
#include "workers/jobs/job_csv.h"

#include "common/json/json_text.h"

#include <stdint.h>
#include <stdlib.h>

static void csv_text(struct buffer *out, struct slice text)
{
    bool plain = true;
    for (size_t i = 0; i < text.len; i++)
        plain = plain && strchr(",\"\r\n", text.ptr[i]) == NULL;
    if (plain) {
        buffer_append_slice(out, text);
        return;
    }
    buffer_append_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"')
            buffer_append_char(out, '"');
        buffer_append_char(out, text.ptr[i]);
    }
    buffer_append_char(out, '"');
}

static void csv_value(struct buffer *out, const json_t *value)
{
    if (value == NULL || json_is_null(value))
        return;
    if (json_is_string(value)) {
        csv_text(out, slice_make(json_string_value(value), json_string_length(value)));
        return;
    }
    char *text = json_text(value);
    csv_text(out, slice_of(text != NULL ? text : ""));
    free(text);
}

void job_csv_append(struct buffer *out, const json_t *rows)
{
    json_t *head = json_array_get(rows, 0), *row, *value;
    const char *name;
    size_t i;
    const char *between = "";
    json_object_foreach(head, name, value)
    {
        buffer_append_text(out, between);
        csv_text(out, slice_of(name));
        between = ",";
    }
    if (head != NULL)
        buffer_append_char(out, '\n');
    json_array_foreach((json_t *)(uintptr_t)rows, i, row)
    {
        between = "";
        json_object_foreach(head, name, value)
        {
            buffer_append_text(out, between);
            csv_value(out, json_object_get(row, name));
            between = ",";
        }
        buffer_append_char(out, '\n');
    }
}
