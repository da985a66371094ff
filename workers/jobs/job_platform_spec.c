/* job_platform_spec.c: what a platform says of itself, read. See job_platform.h. */
#include "common/text.h"
#include "common/utf8.h"
#include "workers/jobs/job_platform.h"

#include <errno.h>
#include <stdlib.h>

/* A member that is there; null is as good as absent. */
static json_t *spec_get(const json_t *spec, const char *name)
{
    json_t *value = json_object_get(spec, name);
    return json_is_null(value) ? NULL : value;
}

static bool spec_timeout(const json_t *value, uint64_t *ms)
{
    double seconds = json_number_value(value);
    if (json_is_string(value))
        return text_parse_span(slice_of(json_string_value(value)), ms) == 0 &&
               *ms >= JOB_PLATFORM_TIMEOUT_MIN_MS && *ms <= JOB_PLATFORM_TIMEOUT_MAX_MS;
    if (!json_is_number(value) || !(seconds * 1000 >= JOB_PLATFORM_TIMEOUT_MIN_MS) ||
        seconds * 1000 > JOB_PLATFORM_TIMEOUT_MAX_MS)
        return false;
    *ms = (uint64_t)(seconds * 1000);
    return true;
}

/* What is wrong with what it says beside its settings, or NULL. */
static const char *spec_read_rest(const json_t *spec, struct job_platform_spec *out)
{
    const json_t *name = spec_get(spec, "display_name"), *timeout = spec_get(spec, "timeout"),
                 *retries = spec_get(spec, "retries"), *rerun = spec_get(spec, "rerun");
    out->retries = -1;
    out->rerun = !json_is_false(rerun);
    if (timeout != NULL && !spec_timeout(timeout, &out->timeout_ms))
        return "timeout: seconds are wanted, 1 to 2592000, or text with a unit, such as 3m";
    if (rerun != NULL && !json_is_boolean(rerun))
        return "rerun: true or false is wanted";
    if (retries != NULL) {
        out->retries = json_is_integer(retries) ? (int64_t)json_integer_value(retries) : -1;
        if (out->retries < 0 || out->retries > JOB_PLATFORM_RETRIES_MAX)
            return "retries: a number from 0 to 1000 is wanted";
    }
    if (name != NULL && !json_is_string(name))
        return "display_name: a text is wanted";
    if (name == NULL)
        return NULL;
    struct slice text = slice_of(json_string_value(name));
    out->display_name = slice_dup(slice_make(text.ptr, utf8_cut(text, JOB_PLATFORM_MAX)));
    return out->display_name != NULL ? NULL : "memory is short";
}

static int spec_read_secrets(const json_t *names, struct job_settings *settings, struct buffer *why)
{
    size_t i;
    json_t *name;
    if (names != NULL && !json_is_array(names)) {
        buffer_append_text(why, "secrets: a list of names of settings is wanted");
        return -EINVAL;
    }
    json_array_foreach(names, i, name)
    {
        const char *text = json_is_string(name) ? json_string_value(name) : "";
        if (job_settings_hide(settings, text))
            continue;
        buffer_printf(why, "secrets: '%.*s' is no setting of it",
                      (int)utf8_cut(slice_of(text), JOB_SETTINGS_NAME_MAX), text);
        return -EINVAL;
    }
    return 0;
}

int job_platform_read_spec(const json_t *spec, struct job_platform_spec *out, struct buffer *why)
{
    struct job_platform_spec read = {0};
    if (!json_is_object(spec)) {
        buffer_append_text(why, "an object with display_name, settings, timeout, retries, rerun "
                                "is wanted");
        return -EINVAL;
    }
    const char *wrong = spec_read_rest(spec, &read);
    int rc = 0;
    if (wrong != NULL) {
        buffer_append_text(why, wrong);
        rc = -EINVAL;
    }
    if (rc == 0)
        rc = job_settings_new(spec_get(spec, "settings"), &read.settings, why);
    if (rc == 0)
        rc = spec_read_secrets(spec_get(spec, "secrets"), read.settings, why);
    if (rc == 0)
        *out = read;
    else
        job_platform_spec_fini(&read);
    return rc;
}

void job_platform_spec_fini(struct job_platform_spec *spec)
{
    free(spec->display_name);
    job_settings_free(spec->settings);
    *spec = (struct job_platform_spec){0};
}
