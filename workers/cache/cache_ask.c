/* cache_ask.c: see cache_ask.h. */
#include "workers/cache/cache_ask.h"

#include "common/json/json_value.h"
#include "common/pack.h"
#include "common/text.h"
#include "common/unpack.h"
#include "workers/cache/cache_access.h"
#include "workers/cache/cache_ask_store.h"
#include "workers/cache/cache_call.h"
#include "workers/cache/cache_node.h"
#include "workers/cache/command/command_consistency.h"

#include <inttypes.h>

#define ASK_ANSWER_MAX (CONTROL_FRAME_MAX - 4096) /* the rest is its frames' */

static enum control_status ask_ok(struct cache_asked *a)
{
    pack_map(a->out, 1);
    pack_text(a->out, "ok");
    pack_bool(a->out, true);
    return CONTROL_OK;
}

/* The words behind the key. False: they are none of those. */
static bool ask_consistency(struct cache_asked *a)
{
    struct slice words[2] = {0};
    for (uint32_t i = 1; i < a->count; i++)
        words[i - 1] = unpack_bytes(&a->args);
    a->need->consistency = CACHE_STRONG;
    return command_consistency_read(words, a->count - 1, &a->need->consistency,
                                    &a->need->bound_ms) == NULL;
}

static enum control_status ask_got(struct cache_asked *a, bool found, struct slice value)
{
    if (value.len > ASK_ANSWER_MAX) {
        buffer_printf(a->out,
                      "the value has %zu bytes, more than an answer may have (%zu): get it in "
                      "Redis' protocol",
                      value.len, (size_t)ASK_ANSWER_MAX);
        return CONTROL_ERROR;
    }
    pack_map(a->out, 1);
    pack_text(a->out, found ? "ok" : "ko");
    if (found)
        pack_bin(a->out, value);
    else
        pack_bool(a->out, true);
    return CONTROL_OK;
}

static enum control_status ask_get(struct cache_asked *a)
{
    struct slice value, key = unpack_bytes(&a->args);
    if (!ask_consistency(a)) {
        buffer_append_text(a->out, "behind its KEY get takes one of: strong, eventual, bounded MS");
        return CONTROL_USAGE;
    }
    enum cache_need_where where = cache_need_where_read(a->node, key, a->need);
    if (where == CACHE_NEED_WAITS)
        return CONTROL_ERROR;
    if (where == CACHE_NEED_DONE)
        return ask_got(a, a->need->parts->found, buffer_slice(&a->need->parts->value));
    a->need->leased = a->need->consistency == CACHE_STRONG;
    bool found = cache_access_get(a->node, key, a->need->consistency, &value, NULL);
    return ask_got(a, found, value);
}

/* Milliseconds from now; false: they are none. */
static bool ask_expiry(struct cache_asked *a, int64_t *at_ms)
{
    uint64_t ms;
    *at_ms = CACHE_NEVER;
    return a->count < 3 ||
           (text_parse_u64(unpack_bytes(&a->args), &ms) == 0 && ms > 0 && ms < INT64_MAX / 2 &&
            (*at_ms = cache_db_now_ms(a->node->db) + (int64_t)ms) > 0);
}

static enum control_status ask_set(struct cache_asked *a)
{
    char why[CACHE_ACCESS_WHY_SIZE];
    int64_t expiry_ms;
    struct slice key = unpack_bytes(&a->args), value = unpack_bytes(&a->args);
    struct unpack after = a->args;
    if (!ask_expiry(a, &expiry_ms))
        return cache_ask_fail(a, "EXPIRE_MS is no number of milliseconds above 0");
    const struct slice words[] = {slice_of("set"), key, value, slice_of("px"),
                                  a->count > 2 ? unpack_bytes(&after) : slice_of("")};
    enum cache_need_where where =
        cache_need_where(a->node, 0, words, a->count > 2 ? 5 : 3, true, a->need);
    if (where == CACHE_NEED_DONE)
        return ask_ok(a);
    if (where == CACHE_NEED_WAITS || !cache_need_has_room(a->node, a->need))
        return CONTROL_ERROR;
    if (!cache_access_set(a->node, key, value, expiry_ms, CACHE_FORM_BYTES, why))
        return cache_ask_fail(a, why);
    return ask_ok(a);
}

/* Whether all of them are known, or were deleted where they are: before the first is deleted here. */
static bool ask_knows_all(struct cache_asked *a)
{
    struct unpack u = a->args;
    bool known = true;
    for (uint32_t i = 0; i < a->count; i++) {
        const struct slice words[] = {slice_of("del"), unpack_bytes(&u)};
        enum cache_need_where where = cache_need_where(a->node, i, words, 2, true, a->need);
        known = known && where != CACHE_NEED_WAITS;
        if (where == CACHE_NEED_HERE)
            known = cache_need_knows(a->node, words[1], a->need) && known;
    }
    return known;
}

static enum control_status ask_del(struct cache_asked *a)
{
    char why[CACHE_ACCESS_WHY_SIZE];
    if (!ask_knows_all(a))
        return CONTROL_ERROR;
    uint64_t count = cache_ask_elsewhere(a);
    for (uint32_t i = 0; i < a->count; i++) {
        struct slice key = unpack_bytes(&a->args);
        bool was = false;
        if (cache_need_is_here(a->need, i) && !cache_access_delete(a->node, key, &was, why))
            return cache_ask_fail(a, why);
        count += was;
    }
    return cache_ask_count(a, count);
}

/* `platoonctl send NODE JSON`: a call, for a person to try. */
static enum control_status ask_json(struct cache_asked *a)
{
    struct buffer said = BUFFER_EMPTY;
    bool done = cache_call(a->node, unpack_bytes(&a->args), &said, a->need);
    if (a->need->waits) {
        buffer_fini(&said);
        return CONTROL_ERROR;
    }
    json_t *value = buffer_ok(&said)
                        ? json_loadb(said.data, said.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL)
                        : NULL;
    if (value == NULL)
        a->out->failed = true;
    else if (done)
        json_value_pack(a->out, value);
    else
        buffer_append_text(a->out, json_string_value(value));
    json_decref(value);
    buffer_fini(&said);
    return done ? CONTROL_OK : CONTROL_ERROR;
}

static const struct ask_row {
    const char *verb;
    uint32_t min, max; /* arguments */
    enum control_status (*run)(struct cache_asked *a);
} ask_rows[] = {{"get", 1, 3, ask_get},
                {"set", 2, 3, ask_set},
                {"del", 1, UINT32_MAX, ask_del},
                {"dump", 1, UINT32_MAX, cache_ask_dump},
                {"dump-wait", 1, UINT32_MAX, cache_ask_dump_wait},
                {"dump-all", 0, 0, cache_ask_dump_all},
                {"dirty", 0, 0, cache_ask_dirty},
                {"dead-list", 0, 2, cache_ask_dead_list},
                {"dead-show", 1, UINT32_MAX, cache_ask_dead_show},
                {"dead-retry", 0, UINT32_MAX, cache_ask_dead_retry},
                {"dead-drop", 0, UINT32_MAX, cache_ask_dead_drop},
                {"json", 1, 1, ask_json}};

/* All of them are strings or bytes, as many as it takes. */
static bool ask_takes(const struct ask_row *row, struct cache_asked *a)
{
    struct unpack u = a->args;
    a->count = unpack_array(&u);
    a->args = u;
    for (uint32_t i = 0; i < a->count && unpack_ok(&u); i++)
        unpack_bytes(&u);
    return unpack_end(&u) && a->count >= row->min && a->count <= row->max;
}

enum control_status cache_ask(struct cache_node *n, struct slice verb, struct slice args,
                              struct buffer *out, struct cache_need *need)
{
    struct cache_asked a = {.node = n, .args = unpack_start(args), .out = out, .need = need};
    buffer_clear(out);
    for (size_t i = 0; i < sizeof ask_rows / sizeof ask_rows[0]; i++) {
        if (!slice_is(verb, ask_rows[i].verb) || !ask_takes(&ask_rows[i], &a))
            continue;
        cache_turn_begin(&n->turn);
        return ask_rows[i].run(&a);
    }
    buffer_append_text(
        out, "a cache node takes: get KEY [strong|eventual|bounded MS], set KEY VALUE [EXPIRE_MS], "
             "del KEY..., dump KEY..., dump-wait KEY..., dump-all, dirty, "
             "dead-list [AFTER [VERSION]], dead-show KEY..., dead-retry [KEY...], "
             "dead-drop [KEY...]; and what it is called for, as JSON");
    return CONTROL_USAGE;
}
