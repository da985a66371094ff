/* job_setting_value.c: see job_setting_value.h. */
#include "workers/jobs/job_setting_value.h"

#include "common/time/date_words.h"

#include <ctype.h>
#include <errno.h>
#include <strings.h>

static const char *const type_names[JOB_SETTING_TYPES] = {"str",      "int",  "float", "bool",
                                                          "datetime", "list", "dict"};

const char *job_setting_type_name(enum job_setting_type type)
{
    return type_names[type];
}

enum job_setting_type job_setting_type_find(const char *name)
{
    int type = 0;
    while (type < JOB_SETTING_TYPES && strcmp(name, type_names[type]) != 0)
        type++;
    return (enum job_setting_type)type;
}

static bool is_of(enum job_setting_type type, const json_t *value)
{
    switch (type) {
    case JOB_SETTING_STR:
        return json_is_string(value);
    case JOB_SETTING_INT:
        return json_is_integer(value);
    case JOB_SETTING_FLOAT:
        return json_is_real(value);
    case JOB_SETTING_BOOL:
        return json_is_boolean(value);
    case JOB_SETTING_LIST:
        return json_is_array(value);
    case JOB_SETTING_DICT:
        return json_is_object(value);
    case JOB_SETTING_DATETIME:
    case JOB_SETTING_TYPES:
        break;
    }
    return false;
}

static struct slice trim(struct slice text)
{
    while (text.len > 0 && isspace((unsigned char)text.ptr[0]))
        text = slice_make(text.ptr + 1, text.len - 1);
    while (text.len > 0 && isspace((unsigned char)text.ptr[text.len - 1]))
        text.len--;
    return text;
}

/* As Python's int() reads it: a sign and zeros in front. json_loads takes neither. */
static json_t *read_int(struct slice text)
{
    uint64_t value = 0, limit = INT64_MAX;
    bool negative = text.len > 0 && text.ptr[0] == '-';
    size_t i = text.len > 0 && (negative || text.ptr[0] == '+');
    limit += negative;
    if (i == text.len)
        return NULL;
    for (; i < text.len; i++) {
        unsigned digit = (unsigned)(unsigned char)text.ptr[i] - '0';
        if (digit > 9 || value > (limit - digit) / 10)
            return NULL;
        value = value * 10 + digit;
    }
    return json_integer(negative ? (json_int_t)(0 - value) : (json_int_t)value);
}

static json_t *read_bool(struct slice text)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (text.len == strlen(words[i]) && strncasecmp(text.ptr, words[i], text.len) == 0)
            return json_boolean(i % 2);
    return NULL;
}

/* A whole number is a float too. */
static json_t *read_json(enum job_setting_type type, struct slice text)
{
    size_t flags = JSON_DECODE_ANY | JSON_REJECT_DUPLICATES;
    json_t *value = json_loadb(text.ptr, text.len, flags, NULL);
    if (type == JOB_SETTING_FLOAT && json_is_integer(value)) {
        json_t *real = json_real((double)json_integer_value(value));
        json_decref(value);
        return real;
    }
    if (value != NULL && !is_of(type, value)) {
        json_decref(value);
        return NULL;
    }
    return value;
}

static json_t *read_date(struct slice text, const struct zone *zone, int64_t now)
{
    struct date_time date;
    char iso[DATE_TEXT_SIZE];
    if (date_words_read(text, zone, now, &date) != 0)
        return NULL;
    return json_string(date_format(&date, false, iso));
}

static json_t *read_text(enum job_setting_type type, struct slice text, const struct zone *zone,
                         int64_t now)
{
    text = trim(text);
    switch (type) {
    case JOB_SETTING_INT:
        return read_int(text);
    case JOB_SETTING_BOOL:
        return read_bool(text);
    case JOB_SETTING_DATETIME:
        return read_date(text, zone, now);
    case JOB_SETTING_FLOAT:
    case JOB_SETTING_LIST:
    case JOB_SETTING_DICT:
        return read_json(type, text);
    case JOB_SETTING_STR:
    case JOB_SETTING_TYPES:
        break;
    }
    return NULL;
}

int job_setting_value_read(enum job_setting_type type, const json_t *value, const struct zone *zone,
                           int64_t now, json_t **out)
{
    json_t *read = NULL;
    if (is_of(type, value)) {
        read = json_deep_copy(value);
        if (read == NULL)
            return -ENOMEM;
    } else if (type == JOB_SETTING_FLOAT && json_is_integer(value)) {
        read = json_real((double)json_integer_value(value));
    } else if (json_is_string(value)) {
        read = read_text(type, slice_make(json_string_value(value), json_string_length(value)),
                         zone, now);
    }
    if (read == NULL)
        return -EINVAL;
    *out = read;
    return 0;
}
