/* ctl_cache.c: the verb `cache status`. See ctl_cache.h. */
#include "master/ctl/cache/ctl_cache.h"

#include "common/text.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_render.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/ctl_verbs.h"
#include "proto/counters.h"

/* The columns of a node that are counters, under the names that the tool gives them. */
static const struct cache_column {
    const char *name;
    enum counter counter;
} cache_columns[] = {
    {"objects", COUNTER_CACHE_OBJECTS},         {"bytes", COUNTER_CACHE_BYTES},
    {"memory", COUNTER_CACHE_MEMORY},           {"hits", COUNTER_CACHE_HITS},
    {"misses", COUNTER_CACHE_MISSES},           {"loads", COUNTER_CACHE_LOADS},
    {"stores", COUNTER_CACHE_STORES},           {"store_errors", COUNTER_CACHE_STORE_ERRORS},
    {"evicted", COUNTER_CACHE_EVICTED},         {"expired", COUNTER_CACHE_EXPIRED},
    {"forwarded", COUNTER_CACHE_FORWARDED},     {"dead", COUNTER_CACHE_DEAD},
    {"clients", COUNTER_CACHE_CLIENTS},         {"dirty", COUNTER_CACHE_DIRTY},
    {"dirty_bytes", COUNTER_CACHE_DIRTY_BYTES}, {"at_risk_bytes", COUNTER_CACHE_AT_RISK_BYTES},
};

#define CACHE_COLUMNS (sizeof cache_columns / sizeof cache_columns[0])

/* ---- out of the tree ---- */

/* A node's name is cache/<title>/node.N: the cache is its second part. */
static struct slice cache_of(const char *node)
{
    const char *from = strchr(node, '/');
    const char *to = from != NULL ? strchr(from + 1, '/') : NULL;
    return to != NULL ? slice_make(from + 1, (size_t)(to - from - 1)) : slice_of("");
}

static bool is_node(const json_t *node)
{
    return strcmp(ctl_value_text(node, "type"), "cache-node") == 0;
}

static json_t *cache_node(const json_t *node)
{
    const char *name = ctl_value_text(node, "name");
    const json_t *counters = json_object_get(node, "counters");
    struct slice cache = cache_of(name);
    json_t *out = json_pack("{s:s%,s:s,s:s}", "cache", cache.ptr, cache.len, "node", name, "state",
                            ctl_tree_state(node));
    int rc = out != NULL ? 0 : -1;
    for (size_t i = 0; i < CACHE_COLUMNS; i++) {
        uint64_t value = ctl_value_u64(counters, counter_name(cache_columns[i].counter));
        rc |= json_object_set_new(out, cache_columns[i].name, json_integer((json_int_t)value));
    }
    uint64_t oldest_ms = ctl_value_u64(counters, counter_name(COUNTER_CACHE_OLDEST_DIRTY));
    rc |= json_object_set_new(out, "oldest_dirty_ms",
                              ctl_value_u64(out, "dirty") > 0 ? json_integer((json_int_t)oldest_ms)
                                                              : json_null());
    if (rc == 0)
        return out;
    json_decref(out);
    return NULL;
}

static int add_nodes(const json_t *node, const char *cache, json_t *nodes)
{
    bool wanted = is_node(node) &&
                  (cache[0] == '\0' || slice_is(cache_of(ctl_value_text(node, "name")), cache));
    int rc = wanted ? json_array_append_new(nodes, cache_node(node)) : 0;
    size_t i;
    const json_t *child;
    json_array_foreach(json_object_get(node, "children"), i, child)
    {
        rc |= add_nodes(child, cache, nodes);
    }
    return rc;
}

json_t *ctl_cache_nodes(const json_t *root, const char *cache)
{
    json_t *nodes = json_array();
    if (nodes != NULL && add_nodes(root, cache, nodes) == 0)
        return nodes;
    json_decref(nodes);
    return NULL;
}

/* ---- for people ---- */

enum cell_kind { CELL_NODE, CELL_STATE, CELL_COUNT, CELL_SIZE, CELL_AGE };

/* What people see of a node. `store`: only where there is one. */
static const struct cache_cell {
    struct ctl_column column;
    enum cell_kind kind;
    const char *key;
    enum ctl_color color; /* of a number above 0 */
    bool store;
} cache_cells[] = {
    {{"NODE", false, true}, CELL_NODE, "node", CTL_PLAIN, false},
    {{"STATE", false, false}, CELL_STATE, "state", CTL_PLAIN, false},
    {{"OBJECTS", true, false}, CELL_COUNT, "objects", CTL_PLAIN, false},
    {{"BYTES", true, false}, CELL_SIZE, "bytes", CTL_PLAIN, false},
    {{"MEMORY", true, false}, CELL_SIZE, "memory", CTL_PLAIN, false},
    {{"HITS", true, false}, CELL_COUNT, "hits", CTL_PLAIN, false},
    {{"MISSES", true, false}, CELL_COUNT, "misses", CTL_PLAIN, false},
    {{"EVICTED", true, false}, CELL_COUNT, "evicted", CTL_YELLOW, false},
    {{"EXPIRED", true, false}, CELL_COUNT, "expired", CTL_PLAIN, false},
    {{"CLIENTS", true, false}, CELL_COUNT, "clients", CTL_PLAIN, false},
    {{"FORWARDED", true, false}, CELL_COUNT, "forwarded", CTL_PLAIN, true},
    {{"LOADS", true, false}, CELL_COUNT, "loads", CTL_PLAIN, true},
    {{"STORES", true, false}, CELL_COUNT, "stores", CTL_PLAIN, true},
    {{"ERRORS", true, false}, CELL_COUNT, "store_errors", CTL_YELLOW, true},
    {{"DIRTY", true, false}, CELL_COUNT, "dirty", CTL_PLAIN, true},
    {{"OLDEST", true, false}, CELL_AGE, "oldest_dirty_ms", CTL_PLAIN, true},
    {{"DEAD", true, false}, CELL_COUNT, "dead", CTL_RED, true},
};

#define CACHE_CELLS (sizeof cache_cells / sizeof cache_cells[0])

static void cell_count(struct ctl_table *t, uint64_t value, enum ctl_color color)
{
    char text[TEXT_NUMBER_SIZE];
    ctl_table_cell(t, value > 0 ? color : CTL_PLAIN, slice_of(text_format_count(value, text)));
}

static void cell_age(struct ctl_table *t, const json_t *ms)
{
    char text[TEXT_NUMBER_SIZE] = "-";
    if (json_is_integer(ms))
        text_format_span((uint64_t)json_integer_value(ms) / 1000 * 1000, text);
    ctl_table_cell(t, CTL_PLAIN, slice_of(text));
}

static void cell(struct ctl_table *t, const json_t *node, const struct cache_cell *cell)
{
    char text[TEXT_NUMBER_SIZE];
    const char *word = ctl_value_text(node, cell->key);
    uint64_t value = ctl_value_u64(node, cell->key);
    switch (cell->kind) {
    case CELL_NODE:
        ctl_table_cell(t, CTL_PLAIN, slice_of(word));
        break;
    case CELL_STATE:
        ctl_table_cell(t, ctl_tree_state_color(word), slice_of(word));
        break;
    case CELL_COUNT:
        cell_count(t, value, cell->color);
        break;
    case CELL_SIZE:
        ctl_table_cell(t, CTL_PLAIN, slice_of(text_format_size_short(value, text)));
        break;
    case CELL_AGE:
        cell_age(t, json_object_get(node, cell->key));
    }
}

/* One that has, or had, something to do with a store. */
static bool has_store(const json_t *nodes)
{
    size_t i;
    const json_t *node;
    json_array_foreach(nodes, i, node)
    {
        for (size_t j = 0; j < CACHE_CELLS; j++)
            if (cache_cells[j].store && ctl_value_u64(node, cache_cells[j].key) > 0)
                return true;
    }
    return false;
}

void ctl_cache_render(const json_t *nodes, size_t width, bool color, struct buffer *out)
{
    struct ctl_column columns[CACHE_CELLS];
    size_t count = 0, i;
    bool store = has_store(nodes);
    for (; count < CACHE_CELLS && (store || !cache_cells[count].store); count++)
        columns[count] = cache_cells[count].column;
    struct ctl_table t;
    ctl_table_init(&t, columns, count);
    json_t *node;
    json_array_foreach(nodes, i, node)
    {
        for (size_t j = 0; j < count; j++)
            cell(&t, node, &cache_cells[j]);
    }
    ctl_table_render(&t, width, color, out);
    ctl_table_fini(&t);
}

/* ---- the verb ---- */

/* In the words that the master has for those who ask a node. */
static int fail_no_cache(const char *name, const json_t *root)
{
    json_t *nodes = ctl_cache_nodes(root, "");
    struct text_nearest nearest = text_nearest_start(slice_of(name));
    struct buffer known = BUFFER_EMPTY;
    const char *last = "";
    size_t i, count = 0;
    const json_t *node;
    json_array_foreach(nodes, i, node)
    {
        const char *cache = ctl_value_text(node, "cache");
        if (strcmp(cache, last) == 0)
            continue;
        buffer_printf(&known, "%s%s", count++ > 0 ? ", " : "", cache);
        text_nearest_offer(&nearest, cache);
        last = cache;
    }
    const char *list = buffer_text(&known);
    bool near = nearest.best != NULL;
    int status =
        ctl_fail(CONTROL_NO_NAME, "no cache named '%s'%s%s%s There %s: %s", name,
                 near ? ": did you mean '" : ".", near ? nearest.best : "", near ? "'?" : "",
                 count > 1 ? "are" : "is", count > 0 && list != NULL ? list : "none");
    buffer_fini(&known);
    json_decref(nodes);
    return status;
}

int ctl_cache_status_run(struct ctl *c)
{
    const char *name = c->args.argc > 0 ? c->args.argv[0] : "";
    json_t *root = NULL;
    int status = ctl_request_json(c, "tree", 0, NULL, &root);
    if (status != CONTROL_OK)
        return status;
    json_t *nodes = ctl_cache_nodes(root, name);
    if (nodes == NULL)
        status = ctl_fail(CONTROL_ERROR, "not enough memory for the answer");
    else if (c->args.argc > 0 && json_array_size(nodes) == 0)
        status = fail_no_cache(name, root);
    else if (c->args.json)
        ctl_print_json(c, nodes);
    else if (json_array_size(nodes) > 0)
        ctl_cache_render(nodes, c->width, c->color, &c->out);
    json_decref(nodes);
    json_decref(root);
    return status;
}
