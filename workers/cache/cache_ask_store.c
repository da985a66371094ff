/* cache_ask_store.c: see cache_ask_store.h. */
#include "workers/cache/cache_ask_store.h"

#include "common/pack.h"
#include "common/text.h"
#include "workers/cache/cache_access.h"
#include "workers/cache/cache_behind.h"
#include "workers/cache/cache_node.h"
#include "workers/cache/cache_second.h"

#define ASK_LETTERS_MAX 1000u              /* of a page of the list */
#define ASK_SHOWN_MAX   ((size_t)64 << 10) /* bytes of a dead letter's value */
#define ASK_ROOM        (CONTROL_FRAME_MAX - (1u << 20))

enum control_status cache_ask_fail(struct cache_asked *a, const char *why)
{
    buffer_clear(a->out);
    buffer_append_text(a->out, why);
    return CONTROL_ERROR;
}

static enum control_status ask_no_store(struct cache_asked *a)
{
    return cache_ask_fail(a, "this cache has no store: nothing of it is stored; `store` names one");
}

enum control_status cache_ask_count(struct cache_asked *a, uint64_t count)
{
    pack_map(a->out, 1);
    pack_text(a->out, "count");
    pack_u64(a->out, count);
    return CONTROL_OK;
}

/* ---- what is not stored ---- */

uint64_t cache_ask_elsewhere(const struct cache_asked *a)
{
    return a->need->parts != NULL ? (uint64_t)a->need->parts->sum : 0;
}

/* Whether those of other nodes are asked for there, and nothing is waited for. */
static bool ask_dumps_elsewhere(struct cache_asked *a)
{
    struct unpack u = a->args;
    bool whole = true;
    for (uint32_t i = 0; i < a->count; i++) {
        const struct slice words[] = {slice_of("PLATOON.DUMP"), unpack_bytes(&u)};
        whole = cache_need_where(a->node, i, words, 2, false, a->need) != CACHE_NEED_WAITS && whole;
    }
    return whole;
}

enum control_status cache_ask_dump(struct cache_asked *a)
{
    if (a->node->behind == NULL)
        return ask_no_store(a);
    if (!ask_dumps_elsewhere(a))
        return CONTROL_ERROR;
    uint64_t count = cache_ask_elsewhere(a);
    for (uint32_t i = 0; i < a->count; i++) {
        struct slice key = unpack_bytes(&a->args);
        count += cache_need_is_here(a->need, i) && cache_need_ask(a->node, key);
    }
    return cache_ask_count(a, count);
}

/* All of them are asked for before the first is waited for. */
enum control_status cache_ask_dump_wait(struct cache_asked *a)
{
    struct unpack u = a->args;
    bool whole = true;
    if (a->node->behind == NULL)
        return ask_no_store(a);
    for (uint32_t i = 0; i < a->count; i++) {
        struct slice key = unpack_bytes(&u);
        enum cache_need_where where = cache_need_where_stored(a->node, i, key, a->need);
        whole = whole && where != CACHE_NEED_WAITS;
        if (where == CACHE_NEED_HERE && a->need->stored == 0)
            cache_need_ask(a->node, key);
    }
    for (uint32_t i = 0; i < a->count && whole; i++) {
        struct slice key = unpack_bytes(&a->args);
        whole = !cache_need_is_here(a->need, i) || cache_need_is_stored(a->node, i, key, a->need);
    }
    return whole ? cache_ask_count(a, a->count) : CONTROL_ERROR;
}

enum control_status cache_ask_dump_all(struct cache_asked *a)
{
    if (a->node->behind == NULL)
        return ask_no_store(a);
    cache_behind_all(a->node->behind);
    return cache_ask_count(a, cache_db_dirt(a->node->db).keys);
}

enum control_status cache_ask_dirty(struct cache_asked *a)
{
    struct cache_dirt dirt = cache_db_dirt(a->node->db);
    int64_t age_ms = cache_db_now_ms(a->node->db) - dirt.oldest_ms;
    pack_map(a->out, 4);
    pack_text(a->out, "dirty");
    pack_u64(a->out, dirt.keys);
    pack_text(a->out, "dirty_bytes");
    pack_u64(a->out, dirt.bytes);
    pack_text(a->out, "oldest_dirty_ms");
    if (dirt.keys == 0)
        pack_nil(a->out);
    else
        pack_u64(a->out, age_ms > 0 ? (uint64_t)age_ms : 0);
    pack_text(a->out, "dead");
    pack_u64(a->out, dirt.dead);
    return CONTROL_OK;
}

/* ---- dead letters ---- */

/* `shown`: with its value, as far as it is shown; a deletion has none. */
static void ask_letter(const struct cache_asked *a, const struct cache_object *o, bool shown,
                       struct buffer *out)
{
    struct slice key = cache_object_key(o), value = cache_object_value(o);
    pack_map(out, shown ? 7 : 6);
    pack_text(out, "key");
    pack_bin(out, cache_stray_key(key));
    pack_text(out, "deleted");
    pack_bool(out, o->gone);
    pack_text(out, "bytes");
    pack_u64(out, o->value_len);
    pack_text(out, "version");
    pack_u64(out, o->version);
    pack_text(out, "lost");
    pack_bool(out, cache_stray_is(key));
    pack_text(out, "reason");
    pack_text(out, cache_behind_why(a->node->behind, key));
    if (!shown)
        return;
    pack_text(out, "value");
    pack_bin(out, slice_make(value.ptr, value.len < ASK_SHOWN_MAX ? value.len : ASK_SHOWN_MAX));
}

/* Takes the letters. */
static enum control_status ask_letters(struct cache_asked *a, uint32_t count,
                                       struct buffer *letters)
{
    pack_array(a->out, count);
    buffer_append_slice(a->out, buffer_slice(letters));
    a->out->failed = a->out->failed || !buffer_ok(letters);
    buffer_fini(letters);
    return CONTROL_OK;
}

/* The next of that key behind `o`, or NULL; deletions too, which no reader finds, and strays: it may have some. */
static const struct cache_object *ask_dead(const struct cache_asked *a, struct slice key,
                                           const struct cache_object *o)
{
    struct cache_db *db = a->node->db;
    struct cache_strays strays = cache_db_strays(db);
    if (strays.count == strays.alive && (o != NULL || !cache_db_is_dead(db, key)))
        return NULL;
    do
        o = cache_db_dead(db, o);
    while (o != NULL && !slice_equal(cache_stray_key(cache_object_key(o)), key));
    return o;
}

/* The one behind which the list goes on: of that key the last, and the last of that version if one is named. */
static bool ask_after(struct cache_asked *a, const struct cache_object **after)
{
    struct slice key = unpack_bytes(&a->args);
    uint64_t version = 0;
    *after = NULL;
    if (a->count > 1 && text_parse_u64(unpack_bytes(&a->args), &version) != 0)
        return false;
    for (const struct cache_object *o = NULL; (o = ask_dead(a, key, o)) != NULL;)
        if (a->count == 1 || o->version == version)
            *after = o;
    return true;
}

/* From the first on, or from behind that one; behind one that is none any more anew: who pages takes each once. */
enum control_status cache_ask_dead_list(struct cache_asked *a)
{
    struct buffer letters = BUFFER_EMPTY;
    uint32_t count = 0;
    const struct cache_object *after = NULL;
    if (a->count > 0 && !ask_after(a, &after))
        return cache_ask_fail(a, "VERSION is no number");
    const struct cache_object *o =
        a->node->behind != NULL ? cache_db_dead(a->node->db, after) : NULL;
    for (; o != NULL && count < ASK_LETTERS_MAX && letters.len < ASK_ROOM; count++) {
        ask_letter(a, o, false, &letters);
        o = cache_db_dead(a->node->db, o);
    }
    return ask_letters(a, count, &letters);
}

enum control_status cache_ask_dead_show(struct cache_asked *a)
{
    struct buffer letters = BUFFER_EMPTY;
    uint32_t found = 0;
    for (uint32_t i = 0; i < a->count && letters.len < ASK_ROOM; i++) {
        struct slice key = unpack_bytes(&a->args);
        const struct cache_object *o = NULL;
        while (letters.len < ASK_ROOM && (o = ask_dead(a, key, o)) != NULL) {
            ask_letter(a, o, true, &letters);
            found++;
        }
    }
    return ask_letters(a, found, &letters);
}

enum control_status cache_ask_dead_retry(struct cache_asked *a)
{
    uint64_t count = 0;
    const struct cache_object *o;
    if (a->node->behind == NULL)
        return ask_no_store(a);
    for (uint32_t i = 0; i < a->count; i++) {
        struct slice key = unpack_bytes(&a->args);
        for (; (o = ask_dead(a, key, NULL)) != NULL; count++)
            cache_behind_retry(a->node->behind, cache_object_key(o));
    }
    for (; a->count == 0 && (o = cache_db_dead(a->node->db, NULL)) != NULL; count++)
        cache_behind_retry(a->node->behind, cache_object_key(o));
    return cache_ask_count(a, count);
}

static enum control_status ask_drop(struct cache_asked *a, struct slice key, uint64_t *count)
{
    char why[CACHE_ACCESS_WHY_SIZE];
    bool was;
    uint64_t version = a->node->second != NULL ? cache_db_seen(a->node->db, key) / 2 : 0;
    if (version != 0)
        cache_second_drop(a->node->second, cache_stray_key(key), version);
    enum cache_fault fault =
        a->node->turn.failed ? CACHE_FAULT_LOG : cache_db_dead_drop(a->node->db, key, &was);
    if (fault != CACHE_OK) {
        cache_access_fault(a->node, fault, why);
        return cache_ask_fail(a, why);
    }
    *count += was;
    return CONTROL_OK;
}

enum control_status cache_ask_dead_drop(struct cache_asked *a)
{
    uint64_t count = 0;
    enum control_status status = CONTROL_OK;
    const struct cache_object *o;
    if (a->node->behind == NULL)
        return ask_no_store(a);
    for (uint32_t i = 0; i < a->count && status == CONTROL_OK; i++) {
        struct slice key = unpack_bytes(&a->args);
        while (status == CONTROL_OK && (o = ask_dead(a, key, NULL)) != NULL)
            status = ask_drop(a, cache_object_key(o), &count);
    }
    while (a->count == 0 && status == CONTROL_OK && (o = cache_db_dead(a->node->db, NULL)) != NULL)
        status = ask_drop(a, cache_object_key(o), &count);
    return status == CONTROL_OK ? cache_ask_count(a, count) : status;
}
