/* job_settings.c: see job_settings.h. */
#include "workers/jobs/job_settings.h"

#include "common/utf8.h"
#include "workers/jobs/job_secret.h"
#include "workers/jobs/job_setting_value.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

struct job_setting {
    char name[JOB_SETTINGS_NAME_MAX + 1];
    enum job_setting_type type;
    json_t *standard; /* NULL: none */
    bool required, secret;
};

struct job_settings {
    size_t count;
    struct job_setting list[];
};

/* ---- what a platform says ---- */

void job_settings_free(struct job_settings *s)
{
    for (size_t i = 0; s != NULL && i < s->count; i++)
        json_decref(s->list[i].standard);
    free(s);
}

static bool is_name(const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)name[i]) && name[i] != '_')
            return false;
    return len > 0 && len <= JOB_SETTINGS_NAME_MAX && !isdigit((unsigned char)name[0]);
}

static enum job_setting_type type_of_default(const json_t *standard)
{
    return json_is_integer(standard)   ? JOB_SETTING_INT
           : json_is_real(standard)    ? JOB_SETTING_FLOAT
           : json_is_boolean(standard) ? JOB_SETTING_BOOL
           : json_is_array(standard)   ? JOB_SETTING_LIST
           : json_is_object(standard)  ? JOB_SETTING_DICT
                                       : JOB_SETTING_STR;
}

static bool is_date(const char *name)
{
    return strcmp(name, "date") == 0 || strcmp(name, "start_date") == 0 ||
           strcmp(name, "end_date") == 0;
}

static bool read_flag(const json_t *spec, const char *name, bool standard, bool *out)
{
    const json_t *flag = json_object_get(spec, name);
    *out = flag != NULL ? json_is_true(flag) : standard;
    return flag == NULL || json_is_boolean(flag);
}

/* What is wrong with it, or NULL. */
static const char *setting_read(const char *name, const json_t *spec, struct job_setting *out)
{
    if (!is_name(name))
        return "a name is letters, digits and _, up to 64";
    if (!json_is_object(spec))
        return "an object with type, default, required, secret is wanted";
    const json_t *type = json_object_get(spec, "type");
    json_t *standard = json_object_get(spec, "default");
    json_t *value = NULL;
    memcpy(out->name, name, strlen(name) + 1);
    out->standard = json_is_null(standard) ? NULL : standard;
    if (type != NULL && !json_is_string(type))
        return "type is a text";
    out->type = type != NULL ? job_setting_type_find(json_string_value(type))
                             : type_of_default(out->standard);
    if (out->type == JOB_SETTING_TYPES)
        return "type is none of str int float bool datetime list dict";
    if (out->type == JOB_SETTING_STR && is_date(name))
        out->type = JOB_SETTING_DATETIME;
    if (!read_flag(spec, "required", out->standard == NULL, &out->required) ||
        !read_flag(spec, "secret", false, &out->secret))
        return "required and secret are true or false";
    out->secret = out->secret || job_secret_is_name(name);
    if (out->standard != NULL &&
        job_setting_value_read(out->type, out->standard, NULL, 0, &value) == -EINVAL)
        return "its default is not of its type";
    json_decref(value);
    return NULL;
}

int job_settings_new(const json_t *spec, struct job_settings **out, struct buffer *why)
{
    size_t count = json_object_size(spec);
    const char *name, *wrong;
    json_t *one;
    if ((spec != NULL && !json_is_object(spec)) || count > JOB_SETTINGS_MAX) {
        buffer_printf(why, "settings: an object of at most %d is wanted", JOB_SETTINGS_MAX);
        return -EINVAL;
    }
    struct job_settings *s = calloc(1, sizeof *s + count * sizeof s->list[0]);
    if (s == NULL)
        return -ENOMEM;
    json_object_foreach((json_t *)(uintptr_t)spec, name, one)
    {
        struct job_setting *setting = &s->list[s->count];
        wrong = setting_read(name, one, setting);
        if (wrong != NULL) {
            buffer_printf(why, "settings: %.*s: %s",
                          (int)utf8_cut(slice_of(name), JOB_SETTINGS_NAME_MAX), name, wrong);
            job_settings_free(s);
            return -EINVAL;
        }
        json_incref(setting->standard);
        s->count++;
    }
    *out = s;
    return 0;
}

bool job_settings_hide(struct job_settings *s, const char *name)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->list[i].name, name) == 0) {
            s->list[i].secret = true;
            return true;
        }
    return false;
}

/* What is secret in such a one has no name before it has been read. */
static bool has_members(const struct job_setting *setting)
{
    return setting->type == JOB_SETTING_DICT || setting->type == JOB_SETTING_LIST;
}

static json_t *mask_of(const struct job_setting *setting, json_t *value)
{
    json_t *read = NULL, *shown;
    if (value == NULL || json_is_null(value))
        return json_null();
    if (setting->secret || (has_members(setting) && json_is_string(value) &&
                            job_setting_value_read(setting->type, value, NULL, 0, &read) != 0))
        return json_string(JOB_SECRET_MASK);
    shown = job_secret_mask(read != NULL ? read : value);
    json_decref(read);
    return shown;
}

json_t *job_settings_describe(const struct job_settings *s)
{
    json_t *all = json_object();
    for (size_t i = 0; all != NULL && i < s->count; i++) {
        const struct job_setting *setting = &s->list[i];
        json_t *one =
            json_pack("{s:s, s:o, s:b, s:b}", "type", job_setting_type_name(setting->type),
                      "default", mask_of(setting, setting->standard), "required", setting->required,
                      "secret", setting->secret);
        if (json_object_set_new(all, setting->name, one) != 0) {
            json_decref(all);
            return NULL;
        }
    }
    return all;
}

/* ---- what a request gives ---- */

/* `; ` would end a header, `\n` a line of the log: what was given is shown as JSON, which has neither. */
static void show_value(struct buffer *why, const struct job_setting *setting, const json_t *value)
{
    if (setting->secret || has_members(setting) || job_secret_in(value))
        return;
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII);
    if (text != NULL)
        buffer_printf(why, ": %.*s%s", 64, text, strlen(text) > 64 ? "…" : "");
    free(text);
}

/* Names one more thing that is wrong, behind the message's head. */
static void name_wrong(struct buffer *why, const char *head, const char *name)
{
    buffer_append_text(why, why->len == 0 ? head : ", ");
    buffer_append_text(why, name);
}

static int end_wrong(struct buffer *why)
{
    struct slice all = buffer_slice(why);
    if (!buffer_ok(why))
        return -ENOMEM;
    if (all.len > JOB_SETTINGS_WHY_MAX) {
        why->len = utf8_cut(all, JOB_SETTINGS_WHY_MAX - sizeof "…");
        buffer_append_text(why, "…");
    }
    return all.len > 0 ? -EINVAL : 0;
}

static json_t *given_of(const json_t *given, const char *name)
{
    json_t *value = json_object_get(given, name);
    return json_is_null(value) ? NULL : value;
}

static const struct job_setting *find(const struct job_settings *s, const char *name)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->list[i].name, name) == 0)
            return &s->list[i];
    return NULL;
}

static int check_names(const struct job_settings *s, const json_t *given, struct buffer *why)
{
    const char *name;
    json_t *value;
    for (size_t i = 0; i < s->count; i++)
        if (s->list[i].required && given_of(given, s->list[i].name) == NULL)
            name_wrong(why, "Missing parameters in request: ", s->list[i].name);
    if (why->len > 0 || !buffer_ok(why))
        return end_wrong(why);
    json_object_foreach((json_t *)(uintptr_t)given, name, value)
    {
        if (find(s, name) == NULL && why->len <= JOB_SETTINGS_WHY_MAX)
            name_wrong(why, "Unknown parameters in request: ", name);
    }
    return end_wrong(why);
}

/* Etlas' way to say where rows go, {"type", "settings"}, with a type that nobody can store by. */
static bool is_no_storage(const struct job_setting *setting, const json_t *value)
{
    const char *type = json_string_value(json_object_get(value, "type"));
    return strcmp(setting->name, "storage") == 0 && type != NULL &&
           json_is_object(json_object_get(value, "settings")) && strcmp(type, "mysql") != 0 &&
           strcmp(type, "store") != 0;
}

static int read_values(const struct job_settings *s, const json_t *given, const struct zone *zone,
                       int64_t now, json_t *values, struct buffer *why)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct job_setting *setting = &s->list[i];
        const json_t *value = given_of(given, setting->name);
        json_t *read = NULL;
        if (value == NULL)
            value = setting->standard;
        int rc = value == NULL ? 0 : job_setting_value_read(setting->type, value, zone, now, &read);
        if (rc == -EINVAL) {
            name_wrong(why, "Invalid parameters in request: ", setting->name);
            buffer_printf(why, ": no %s",
                          setting->type == JOB_SETTING_DATETIME
                              ? "date"
                              : job_setting_type_name(setting->type));
            show_value(why, setting, value);
            continue;
        }
        if (rc == 0 && is_no_storage(setting, read)) {
            name_wrong(why, "Invalid parameters in request: ", setting->name);
            buffer_append_text(why, ": its type is neither mysql nor store");
            json_decref(read);
            continue;
        }
        if (rc != 0 ||
            json_object_set_new(values, setting->name, read != NULL ? read : json_null()) != 0)
            return -ENOMEM;
    }
    return end_wrong(why);
}

int job_settings_read(const struct job_settings *s, const json_t *given, const struct zone *zone,
                      int64_t now, json_t **out, struct buffer *why)
{
    struct buffer message = BUFFER_EMPTY;
    json_t *values = json_object();
    int rc = values == NULL ? -ENOMEM : 0;
    if (rc == 0 && given != NULL && !json_is_object(given)) {
        buffer_append_text(&message, "Invalid parameters in request: settings: no dict");
        rc = end_wrong(&message);
    }
    if (rc == 0)
        rc = check_names(s, given, &message);
    if (rc == 0)
        rc = read_values(s, given, zone, now, values, &message);
    if (rc == -EINVAL)
        buffer_append_slice(why, buffer_slice(&message));
    buffer_fini(&message);
    if (rc != 0) {
        json_decref(values);
        return rc;
    }
    *out = values;
    return 0;
}

json_t *job_settings_mask(const struct job_settings *s, const json_t *values)
{
    json_t *copy = json_object(), *value;
    const char *name;
    json_object_foreach((json_t *)(uintptr_t)values, name, value)
    {
        const struct job_setting *setting = find(s, name);
        json_t *shown = setting != NULL ? mask_of(setting, value) : job_secret_mask(value);
        if (json_object_set_new(copy, name, shown) != 0) {
            json_decref(copy);
            return NULL;
        }
    }
    return copy;
}

/* What of one stands apart; NULL: nothing does, or memory is short, which *short_of says. */
static json_t *secret_of(const struct job_setting *setting, json_t *value, bool *short_of)
{
    if (setting->secret || (json_is_array(value) && job_secret_in(value)))
        return json_incref(value);
    if (!json_is_object(value) || !job_secret_in(value))
        return NULL;
    json_t *picked = job_secret_pick(value);
    *short_of = *short_of || picked == NULL;
    return picked;
}

json_t *job_settings_secrets(const struct job_settings *s, const json_t *values)
{
    json_t *secrets = json_object();
    bool short_of = secrets == NULL;
    for (size_t i = 0; !short_of && i < s->count; i++) {
        json_t *value = given_of(values, s->list[i].name),
               *secret = value != NULL ? secret_of(&s->list[i], value, &short_of) : NULL;
        if (secret != NULL)
            short_of = json_object_set_new(secrets, s->list[i].name, secret) != 0 || short_of;
    }
    if (short_of) {
        json_decref(secrets);
        return NULL;
    }
    return secrets;
}
