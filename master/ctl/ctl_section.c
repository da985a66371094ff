/* ctl_section.c: the sections of the tree, by a worker that each has. See ctl_section.h. */
#include "master/ctl/ctl_section.h"

#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_usage.h"
#include "master/ctl/ctl_value.h"

#include <string.h>

/* The second part of "queue/NAME/backbone.N". */
static bool section_of(const json_t *node, const char *type, char name[CONTRACT_NAME_MAX])
{
    if (strcmp(ctl_value_text(node, "type"), type) != 0)
        return false;
    const char *from = strchr(ctl_value_text(node, "name"), '/');
    const char *to = from != NULL ? strchr(from + 1, '/') : NULL;
    return to != NULL &&
           slice_copy(slice_make(from + 1, (size_t)(to - from - 1)), name, CONTRACT_NAME_MAX);
}

/* Those below `node` that are not the one of before; the first into `name`, which is empty until then. */
static size_t section_count(const json_t *node, const char *type, char name[CONTRACT_NAME_MAX])
{
    char other[CONTRACT_NAME_MAX];
    size_t count = 0, i;
    json_t *child;
    if (section_of(node, type, other) && strcmp(other, name) != 0) {
        count++;
        if (name[0] == '\0')
            memcpy(name, other, sizeof other);
    }
    json_array_foreach(json_object_get(node, "children"), i, child)
    {
        count += section_count(child, type, name);
    }
    return count;
}

int ctl_section_find(struct ctl *c, const struct ctl_section *which, const char *on,
                     char name[CONTRACT_NAME_MAX])
{
    json_t *root = NULL;
    name[0] = '\0';
    if (on != NULL)
        return slice_copy(slice_of(on), name, CONTRACT_NAME_MAX)
                   ? CONTROL_OK
                   : ctl_fail(CONTROL_NO_NAME, "no %s named '%s'", which->one, on);
    int status = ctl_request_json(c, "tree", 0, NULL, &root);
    if (status != CONTROL_OK)
        return status;
    size_t count = section_count(root, which->type, name);
    json_decref(root);
    if (count == 0)
        return ctl_fail(CONTROL_NO_NAME, "%s", which->none);
    if (count > 1)
        return ctl_fail_usage(c->args.verb, "%s", which->several);
    return CONTROL_OK;
}
