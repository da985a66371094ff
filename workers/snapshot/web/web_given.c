/* web_given.c: see web_given.h. */
#include "workers/snapshot/web/web_given.h"

#include "common/base64.h"
#include "common/json/json_value.h"

#define GIVEN_SHORT "memory is short: try again"

/* NULL, or why not. */
static const char *given_bytes(const json_t *value, struct buffer *out)
{
    const json_t *coded = json_object_get(value, "base64");
    if (json_is_string(value))
        buffer_append(out, json_string_value(value), json_string_length(value));
    else if (!json_is_string(coded) || json_object_size(value) != 1)
        return "with: what is given is a text, or {\"base64\": …}";
    else if (!base64_append_bytes(out,
                                  slice_make(json_string_value(coded), json_string_length(coded))))
        return buffer_ok(out) ? "with: what stands under base64 is none" : GIVEN_SHORT;
    return buffer_ok(out) ? NULL : GIVEN_SHORT;
}

static const char *given_with(json_t *with, struct web_given *g)
{
    const char *name, *why = NULL;
    json_t *value;
    if (!json_is_object(with) || json_object_size(with) == 0)
        return "with: what is to be otherwise? {\"with\": {\"NAME\": \"text\"}}";
    if (json_object_size(with) > SNAPSHOT_GIVEN_MAX)
        return "with: more resources than a what-if may replace";
    json_object_foreach(with, name, value)
    {
        struct web_given_one *one = &g->list[g->count];
        if (name[0] == '\0' || !slice_copy(slice_of(name), one->name, sizeof one->name))
            return "with: no resource has such a name";
        g->count++;
        why = given_bytes(value, &one->bytes);
        if (why != NULL)
            return why;
    }
    return NULL;
}

static const char *given_members(json_t *root, struct web_given *g)
{
    const json_t *at = json_object_get(root, "at");
    size_t known = (at != NULL) + (json_object_get(root, "with") != NULL);
    if (!json_is_object(root) || json_object_size(root) != known)
        return "it must be {\"with\": …, \"at\": …}";
    if (at != NULL && (!json_is_string(at) ||
                       !slice_copy(slice_make(json_string_value(at), json_string_length(at)), g->at,
                                   sizeof g->at) ||
                       strlen(g->at) != json_string_length(at)))
        return "at: no version is called so";
    return given_with(json_object_get(root, "with"), g);
}

const char *web_given_read(struct slice body, struct web_given *g)
{
    json_error_t error;
    json_t *root = json_loadb(body.len > 0 ? body.ptr : "", body.len,
                              JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    const char *why = root == NULL ? "it is no JSON" : given_members(root, g);
    json_decref(root);
    return why;
}

void web_given_free(struct web_given *g)
{
    for (size_t i = 0; i < g->count; i++)
        buffer_fini(&g->list[i].bytes);
    g->count = 0;
}
