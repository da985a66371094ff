/* tree_merge.c: see tree_merge.h. */
#include "master/build/tree_merge.h"

#include "master/build/config_settings.h"

#include "common/name_index.h"
#include "common/pack.h"
#include "common/unpack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define MERGE_KEYS_MAX 3 /* keys named as the reason of a restart */

/* Retired pools get numbers of their own, so that they do not look like new ones. */
#define MERGE_RETIRED_POOL 0x80000000u

struct merge_plan {
    struct buffer changes; /* packed */
    int count;             /* negative: it has failed */
};

static void merge_note(struct merge_plan *p, const char *action, const struct node *n,
                       const char *why)
{
    pack_array(&p->changes, 3);
    pack_text(&p->changes, action);
    pack_text(&p->changes, n->name);
    pack_text(&p->changes, why);
    if (p->count >= 0)
        p->count++;
}

/* ---- what a worker is told ---- */

static bool merge_same_settings(const struct node *a, const struct node *b)
{
    return a->type == b->type &&
           config_settings_same(buffer_slice(&a->settings), buffer_slice(&b->settings));
}

/* The value of a key in a packed map; false when it has none. */
static bool merge_find(const struct node *n, struct slice key, struct slice *value)
{
    struct unpack u = unpack_start(buffer_slice(&n->settings));
    uint32_t count = unpack_map(&u);
    for (uint32_t i = 0; i < count && unpack_ok(&u); i++) {
        struct slice k = unpack_str(&u);
        *value = unpack_str(&u);
        if (unpack_ok(&u) && slice_equal(k, key))
            return true;
    }
    return false;
}

struct merge_keys {
    char text[160];
    size_t len, count;
};

/* Keys of `n` that `other` does not have, or, with `values`, has with another value. */
static void merge_add_keys(struct merge_keys *keys, const struct node *n, const struct node *other,
                           bool values)
{
    struct unpack u = unpack_start(buffer_slice(&n->settings));
    uint32_t count = unpack_map(&u);
    for (uint32_t i = 0; i < count && unpack_ok(&u); i++) {
        struct slice key = unpack_str(&u), value = unpack_str(&u), theirs;
        bool found = merge_find(other, key, &theirs);
        if ((found && (!values || slice_equal(value, theirs))) || ++keys->count > MERGE_KEYS_MAX ||
            keys->len + key.len + 2 >= sizeof keys->text)
            continue;
        if (keys->len > 0)
            keys->text[keys->len++] = ' ';
        memcpy(keys->text + keys->len, key.ptr, key.len);
        keys->len += key.len;
        keys->text[keys->len] = '\0';
    }
}

static void merge_note_restart(struct merge_plan *p, const struct node *live,
                               const struct node *wanted)
{
    struct merge_keys keys = {.len = 0};
    merge_add_keys(&keys, wanted, live, true);
    merge_add_keys(&keys, live, wanted, false);
    if (keys.count > MERGE_KEYS_MAX)
        snprintf(keys.text + keys.len, sizeof keys.text - keys.len, " ...");
    merge_note(p, "restart", live, keys.text);
}

/* ---- what only the master uses ---- */

static bool merge_same_limits(const struct policy_limits *a, const struct policy_limits *b)
{
    return a->backoff_min_ms == b->backoff_min_ms && a->backoff_max_ms == b->backoff_max_ms &&
           a->backoff_factor == b->backoff_factor && a->stable_after_ms == b->stable_after_ms;
}

static bool merge_same_after(const struct node *a, const struct node *b)
{
    if (a->after_count != b->after_count)
        return false;
    for (size_t i = 0; i < a->after_count; i++)
        if (strcmp(a->after[i]->name, b->after[i]->name) != 0)
            return false;
    return true;
}

/* The word for what differs; NULL when nothing does. */
static const char *merge_policy_change(const struct node *a, const struct node *b)
{
    if (a->kind == NODE_BRANCH)
        return a->strategy != b->strategy                   ? "strategy"
               : a->window.limit != b->window.limit         ? "intensity"
               : a->window.period_ms != b->window.period_ms ? "period"
                                                            : NULL;
    return a->log_level != b->log_level                 ? "log_level"
           : a->restart != b->restart                   ? "restart"
           : !merge_same_limits(&a->limits, &b->limits) ? "back-off"
           : a->ready_timeout_ms != b->ready_timeout_ms ? "ready_timeout"
           : a->stop_timeout_ms != b->stop_timeout_ms   ? "stop_timeout"
           : !merge_same_after(a, b)                    ? "after"
                                                        : NULL;
}

/* ---- plan ---- */

/* Names of a branch's children: to search its list for each of the other's would grow with the square. */
static struct name_index merge_names(struct merge_plan *p, const struct node *parent)
{
    struct name_index names = NAME_INDEX_EMPTY;
    for (size_t i = 0; i < parent->child_count; i++)
        if (!name_index_add(&names, 0, parent->children[i]->name, parent->children[i]))
            p->count = -ENOMEM;
    return names;
}

static struct node *merge_child(const struct name_index *names, const char *name)
{
    return name_index_find(names, 0, slice_of(name));
}

static void merge_note_all(struct merge_plan *p, const char *action, const struct node *n)
{
    if (n->kind == NODE_WORKER)
        merge_note(p, action, n, action[2] == 'a' ? "new" : "gone");
    for (size_t i = 0; i < n->child_count; i++)
        merge_note_all(p, action, n->children[i]);
}

static void merge_plan_node(struct merge_plan *p, struct node *live, struct node *wanted);

/* Room behind the wanted children for those that retire: so that the merge itself needs no memory. */
static size_t merge_make_room(struct merge_plan *p, struct node *live, struct node *wanted,
                              const struct name_index *kept)
{
    size_t retiring = 0;
    for (size_t i = 0; i < live->child_count; i++)
        retiring += merge_child(kept, live->children[i]->name) == NULL;
    size_t room = wanted->child_count + retiring;
    struct node **grown = room > 0 ? realloc(wanted->children, room * sizeof(*grown)) : NULL;
    if (room > 0 && grown == NULL)
        p->count = -ENOMEM;
    else if (grown != NULL)
        wanted->children = grown;
    return retiring;
}

static void merge_plan_children(struct merge_plan *p, struct node *live, struct node *wanted)
{
    struct name_index had = merge_names(p, live), kept = merge_names(p, wanted);
    size_t retiring = p->count < 0 ? 0 : merge_make_room(p, live, wanted, &kept);
    for (size_t i = 0; i < wanted->child_count && p->count >= 0; i++) {
        struct node *child = wanted->children[i], *same = merge_child(&had, child->name);
        if (same == NULL)
            merge_note_all(p, "start", child);
        else if (same->kind != child->kind)
            p->count = -EEXIST;
        else
            merge_plan_node(p, same, child);
    }
    for (size_t i = 0; i < live->child_count && retiring > 0 && p->count >= 0; i++)
        if (merge_child(&kept, live->children[i]->name) == NULL && !live->children[i]->retired &&
            !live->children[i]->child)
            merge_note_all(p, "stop", live->children[i]);
    name_index_fini(&had);
    name_index_fini(&kept);
}

static void merge_plan_node(struct merge_plan *p, struct node *live, struct node *wanted)
{
    live->twin = wanted;
    wanted->twin = live;
    const char *policy = merge_policy_change(live, wanted);
    if (live->retired && live->kind == NODE_WORKER)
        merge_note(p, "start", live, "back again");
    else if (live->kind == NODE_WORKER && !merge_same_settings(live, wanted))
        merge_note_restart(p, live, wanted);
    else if (policy != NULL)
        merge_note(p, "update", live, policy);
    merge_plan_children(p, live, wanted);
}

static void merge_forget_twins(struct node *n)
{
    n->twin = NULL;
    for (size_t i = 0; i < n->child_count; i++)
        merge_forget_twins(n->children[i]);
}

static void merge_forget_changes(struct node *n)
{
    n->change = NODE_UNCHANGED;
    for (size_t i = 0; i < n->child_count; i++)
        merge_forget_changes(n->children[i]);
}

int tree_merge_plan(struct node *live, struct node *wanted, struct buffer *changes)
{
    struct merge_plan p = {.count = 0};
    merge_forget_twins(live);
    merge_plan_node(&p, live, wanted);
    if (p.count >= 0 && p.changes.failed)
        p.count = -ENOMEM;
    if (p.count >= 0)
        buffer_append_slice(changes, buffer_slice(&p.changes));
    buffer_fini(&p.changes);
    return p.count >= 0 && !buffer_ok(changes) ? -ENOMEM : p.count;
}

/* ---- merge ---- */

/* A node of the wanted tree as it will be called in the live one. */
static struct node *merge_becomes(struct node *n)
{
    return n->twin != NULL ? n->twin : n;
}

static void merge_take_after(struct node *n, struct node *wanted)
{
    struct node **mine = n->after;
    n->after = wanted->after;
    n->after_count = wanted->after_count;
    for (size_t i = 0; i < n->after_count; i++)
        n->after[i] = merge_becomes(n->after[i]);
    if (n != wanted) {
        free(mine);
        wanted->after = NULL;
        wanted->after_count = 0;
    }
}

static void merge_take_window(struct node *n, struct node *wanted)
{
    n->strategy = wanted->strategy;
    if (n->window.limit != wanted->window.limit) {
        struct restart_window old = n->window;
        n->window = wanted->window;
        wanted->window = old;
    }
    n->window.period_ms = wanted->window.period_ms;
}

static void merge_take_policy(struct node *n, struct node *wanted)
{
    n->pool = wanted->pool;
    n->log_level = wanted->log_level;
    n->restart = wanted->restart;
    n->limits = wanted->limits;
    n->ready_timeout_ms = wanted->ready_timeout_ms;
    n->stop_timeout_ms = wanted->stop_timeout_ms;
    merge_take_after(n, wanted);
    if (n->kind == NODE_BRANCH)
        merge_take_window(n, wanted);
}

static void merge_take_settings(struct node *n, struct node *wanted)
{
    struct buffer mine = n->settings;
    n->settings = wanted->settings;
    wanted->settings = mine;
    n->type = wanted->type;
    char *executable = n->executable;
    n->executable = wanted->executable;
    wanted->executable = executable;
    n->change = NODE_CHANGED;
}

static void merge_retire(struct node *n)
{
    n->retired = true;
    n->after_count = 0;
    n->pool |= n->pool != 0 ? MERGE_RETIRED_POOL : 0;
    for (size_t i = 0; i < n->child_count; i++)
        merge_retire(n->children[i]);
}

/* A node and all below it that the live tree did not have. */
static void merge_add(struct node *n)
{
    n->change = NODE_ADDED;
    merge_take_after(n, n);
    for (size_t i = 0; i < n->child_count; i++)
        merge_add(n->children[i]);
}

static void merge_node(struct node *live, struct node *wanted);

/*
 * The wanted list of children becomes the live one; what was not in it retires at its end, where it is stopped first.
 */
static void merge_children(struct node *live, struct node *wanted)
{
    struct node **list = wanted->children, **old = live->children;
    size_t count = wanted->child_count;
    for (size_t i = 0; i < count; i++) {
        struct node *child = list[i];
        list[i] = merge_becomes(child);
        list[i]->parent = live;
        if (child->twin != NULL)
            merge_node(child->twin, child);
        else
            merge_add(child);
    }
    for (size_t i = 0; i < live->child_count; i++) {
        if (old[i]->twin != NULL)
            continue;
        if (!old[i]->child) /* those go when their owner goes */
            merge_retire(old[i]);
        list[count++] = old[i];
    }
    free(old);
    live->children = list;
    live->child_count = count;
    wanted->children = NULL;
    wanted->child_count = 0;
}

/* `wanted` has a twin: what is left of it afterwards is a shell. */
static void merge_node(struct node *live, struct node *wanted)
{
    if (live->kind == NODE_WORKER && !merge_same_settings(live, wanted))
        merge_take_settings(live, wanted);
    if (live->retired)
        live->change = NODE_ADDED;
    live->retired = false;
    merge_take_policy(live, wanted);
    if (live->kind == NODE_BRANCH)
        merge_children(live, wanted);
}

/*
 * Shells are needed until the last `after` has been looked up through their twins, so they are gathered through their
 * own `parent` chain and freed at the end. Allocating a list of them could fail.
 */
static void merge_gather(struct node **first, struct node *wanted)
{
    for (size_t i = 0; i < wanted->child_count; i++)
        if (wanted->children[i]->twin != NULL)
            merge_gather(first, wanted->children[i]);
    wanted->parent = *first;
    *first = wanted;
}

void tree_merge(struct node *live, struct node *wanted)
{
    struct node *shells = NULL;
    merge_forget_changes(live);
    merge_gather(&shells, wanted);
    merge_node(live, wanted);
    merge_forget_twins(live);
    while (shells != NULL) {
        struct node *shell = shells;
        shells = shell->parent;
        shell->child_count = 0;
        tree_free(shell);
    }
}
