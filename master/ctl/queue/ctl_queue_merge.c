/* ctl_queue_merge.c: one answer made of those of several servers. See ctl_queue_servers.h. */
#include "master/ctl/ctl_value.h"
#include "master/ctl/queue/ctl_queue_servers.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- ids ---- */

static bool merge_mark_member(json_t *object, const char *key, const char *server)
{
    const char *text = ctl_value_text(object, key);
    if (text[0] == '\0')
        return true;
    return json_object_set_new(object, key, json_sprintf("%s@%s", text, server)) == 0;
}

bool ctl_queue_merge_mark(json_t *list, const char *server)
{
    size_t i;
    json_t *object;
    bool good = true;
    json_array_foreach(list, i, object)
    {
        good = good && merge_mark_member(object, "id", server) &&
               merge_mark_member(object, "receipt", server) &&
               json_object_set_new(object, "server", json_string(server)) == 0;
    }
    return good;
}

/* ---- numbers ---- */

static bool merge_add(json_t *into, const char *key, json_int_t more)
{
    json_int_t sum = json_integer_value(json_object_get(into, key)) + more;
    return json_object_set_new(into, key, json_integer(sum)) == 0;
}

/* The longer; null is none. */
static bool merge_longest(json_t *into, const char *key, json_t *value)
{
    const json_t *has = json_object_get(into, key);
    if (!json_is_integer(value) ||
        (json_is_integer(has) && json_integer_value(has) >= json_integer_value(value)))
        return true;
    return json_object_set(into, key, value) == 0;
}

/* The name of a time, in which the worst counts. */
static bool merge_is_span(const char *key)
{
    size_t len = strlen(key);
    return len > 3 && strcmp(key + len - 3, "_ms") == 0;
}

static bool merge_row(json_t *into, json_t *row)
{
    const char *key;
    json_t *value;
    bool good = true;
    json_object_foreach(row, key, value)
    {
        if (merge_is_span(key))
            good = good && merge_longest(into, key, value);
        else if (strcmp(key, "weight") == 0)
            good = good && merge_longest(into, key, value);
        else if (json_is_integer(value))
            good = good && merge_add(into, key, json_integer_value(value));
        else if (json_is_true(value) || json_is_null(json_object_get(into, key)))
            good = good && json_object_set(into, key, value) == 0;
    }
    return good;
}

bool ctl_queue_merge_counts(json_t *all, const json_t *object)
{
    return merge_row(all, (json_t *)object);
}

static json_t *merge_find(json_t *list, const char *key, const json_t *value)
{
    size_t i;
    json_t *object;
    json_array_foreach(list, i, object)
    {
        if (json_equal(json_object_get(object, key), value))
            return object;
    }
    return NULL;
}

/* ---- queues ---- */

static bool merge_wrong(json_t *into, const json_t *row, const char *server)
{
    size_t i;
    json_t *what, *list = json_object_get(into, "wrong");
    bool good = true;
    json_array_foreach(json_object_get(row, "wrong"), i, what)
    {
        good = good && json_array_append_new(
                           list, json_sprintf("%s: %s", server, json_string_value(what))) == 0;
    }
    return good;
}

/* The first server's row as it is, with its own as the first of `servers`. */
static json_t *merge_status_begin(json_t *all, const json_t *row)
{
    json_t *into = json_copy((json_t *)row);
    if (into == NULL || json_object_set_new(into, "servers", json_array()) != 0 ||
        json_object_set_new(into, "wrong", json_array()) != 0 ||
        json_array_append(all, into) != 0) {
        json_decref(into);
        return NULL;
    }
    json_decref(into);
    return into;
}

bool ctl_queue_merge_status(json_t *all, json_t *list, const char *server)
{
    size_t i;
    json_t *row;
    bool good = true;
    json_array_foreach(list, i, row)
    {
        json_t *into = merge_find(all, "queue", json_object_get(row, "queue"));
        bool first = into == NULL;
        into = first ? merge_status_begin(all, row) : into;
        good = good && into != NULL && (first || merge_row(into, row)) &&
               merge_wrong(into, row, server) &&
               json_object_set_new(row, "server", json_string(server)) == 0 &&
               json_array_append(json_object_get(into, "servers"), row) == 0;
    }
    return good;
}

/* ---- facets ---- */

/* Each is looked for: a sweep has at most as many as were asked for. What two servers show is one facet. */
bool ctl_queue_merge_sweep(json_t *all, json_t *sweep, const char *server)
{
    size_t i;
    json_t *facet, *facets = json_object_get(all, "facets");
    if (facets == NULL) {
        bool fresh = json_object_set_new(all, "facets", json_array()) == 0 &&
                     json_object_set_new(all, "whole", json_true()) == 0 &&
                     json_object_set_new(all, "seen", json_integer(0)) == 0;
        facets = json_object_get(all, "facets");
        if (!fresh)
            return false;
    }
    bool good = merge_add(all, "seen", json_integer_value(json_object_get(sweep, "seen"))) &&
                merge_longest(all, "age_ms", json_object_get(sweep, "age_ms"));
    if (json_is_false(json_object_get(sweep, "whole")))
        good = good && json_object_set_new(all, "whole", json_false()) == 0;
    json_array_foreach(json_object_get(sweep, "facets"), i, facet)
    {
        json_t *into = merge_find(facets, "facet", json_object_get(facet, "facet"));
        bool first = into == NULL;
        if (first)
            good = good && json_object_set_new(facet, "servers", json_array()) == 0 &&
                   json_array_append(facets, facet) == 0;
        else
            good = good && merge_row(into, facet) && merge_add(all, "seen", -1);
        good = good && json_array_append_new(json_object_get(first ? facet : into, "servers"),
                                             json_string(server)) == 0;
    }
    return good;
}

struct merge_order {
    json_t *facet;
    json_int_t number;
};

static int merge_compare(const void *a, const void *b)
{
    const struct merge_order *x = a, *y = b;
    return (x->number < y->number) - (x->number > y->number);
}

bool ctl_queue_merge_cut(json_t *all, size_t limit, const char *by)
{
    json_t *facets = json_object_get(all, "facets"), *cut = json_array();
    size_t count = json_array_size(facets);
    const char *key = strcmp(by, "oldest") == 0 ? "oldest_ms" : by;
    struct merge_order *order = calloc(count + 1, sizeof *order);
    bool good = cut != NULL && order != NULL;
    for (size_t i = 0; good && i < count; i++) {
        json_t *facet = json_array_get(facets, i);
        order[i] = (struct merge_order){facet, json_integer_value(json_object_get(facet, key))};
    }
    if (good)
        qsort(order, count, sizeof *order, merge_compare);
    for (size_t i = 0; good && i < count && i < limit; i++)
        good = json_array_append(cut, order[i].facet) == 0;
    free(order);
    good = good && json_object_set(all, "facets", cut) == 0;
    json_decref(cut);
    return good;
}
