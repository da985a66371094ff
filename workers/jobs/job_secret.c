/* job_secret.c: see job_secret.h. */
#include "workers/jobs/job_secret.h"

#include <stdint.h>
#include <string.h>

static json_t *plain(const json_t *value)
{
    return (json_t *)(uintptr_t)value;
}

bool job_secret_is_name(const char *name)
{
    static const char *const words[] = {"password", "passwd", "secret", "token", "api_key"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcasestr(name, words[i]) != NULL)
            return true;
    return false;
}

bool job_secret_in(const json_t *value)
{
    const char *name;
    size_t i;
    json_t *member;
    json_array_foreach(plain(value), i, member)
    {
        if (job_secret_in(member))
            return true;
    }
    json_object_foreach(plain(value), name, member)
    {
        if ((job_secret_is_name(name) && !json_is_null(member)) || job_secret_in(member))
            return true;
    }
    return false;
}

/* Of a member: it as a whole. */
static bool is_whole(const char *name, const json_t *member)
{
    return !json_is_null(member) &&
           (job_secret_is_name(name) || (json_is_array(member) && job_secret_in(member)));
}

json_t *job_secret_mask(const json_t *value)
{
    const char *name;
    json_t *member;
    if (json_is_array(value) && job_secret_in(value))
        return json_string(JOB_SECRET_MASK);
    if (!json_is_object(value))
        return json_deep_copy(value);
    json_t *copy = json_object();
    json_object_foreach(plain(value), name, member)
    {
        json_t *shown =
            is_whole(name, member) ? json_string(JOB_SECRET_MASK) : job_secret_mask(member);
        if (json_object_set_new(copy, name, shown) != 0) {
            json_decref(copy);
            return NULL;
        }
    }
    return copy;
}

json_t *job_secret_pick(const json_t *object)
{
    const char *name;
    json_t *member, *picked = json_is_object(object) ? json_object() : NULL;
    json_object_foreach(plain(object), name, member)
    {
        int rc = 0;
        if (is_whole(name, member))
            rc = json_object_set(picked, name, member);
        else if (job_secret_in(member))
            rc = json_object_set_new(picked, name, job_secret_pick(member));
        if (rc != 0) {
            json_decref(picked);
            return NULL;
        }
    }
    return picked;
}

int job_secret_join(json_t *masked, const json_t *picked)
{
    return json_object_update_recursive(masked, plain(picked));
}
