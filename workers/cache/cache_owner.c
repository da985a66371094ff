/* cache_owner.c: see cache_owner.h. */
#include "workers/cache/cache_owner.h"

#include "workers/cache/cache_forward.h"
#include "workers/cache/cache_node.h"
#include "workers/cache/cache_member.h"
#include "workers/cache/cache_park.h"
#include "workers/cache/cache_reads_command.h"
#include "workers/cache/command/command_keys.h"
#include "workers/cache/command/command_list.h"
#include "workers/cache/command/command_transaction.h"
#include "workers/cache/ring/cache_split.h"

#include <stdlib.h>

#define OWNER_FEW 16 /* keys whose owners need no memory of their own */

/* What has been seen of a command's keys. */
struct owner_view {
    uint32_t few[OWNER_FEW], *owners; /* of each key; few, until there are more */
    size_t count, capacity;
    size_t here; /* keys that are ours */
    bool waits, lost, short_of;
    uint32_t lost_owner; /* the first that is */
    bool bounded;        /* what its owner answers is kept as a copy */
    uint64_t cell;       /* the first that is waited for */
};

static void owner_view_fini(struct owner_view *v)
{
    if (v->owners != v->few)
        free(v->owners);
}

static void owner_add(struct owner_view *v, uint32_t owner)
{
    if (v->count == v->capacity) {
        size_t capacity = 4 * v->capacity;
        uint32_t *grown = realloc(v->owners != v->few ? v->owners : NULL, capacity * sizeof *grown);
        if (grown == NULL) {
            v->short_of = true;
            return;
        }
        if (v->owners == v->few)
            memcpy(grown, v->few, sizeof v->few);
        v->owners = grown;
        v->capacity = capacity;
    }
    v->owners[v->count++] = owner;
}

static void owner_see(struct owner_view *v, struct cache_client *c, struct slice key)
{
    struct cache_member_who who = {.from = c->from, .again = c->again};
    struct cache_member_sight sight = cache_member_look(c->node->member, key, who);
    if (sight.action == CACHE_DO_WAIT && !v->waits)
        v->cell = sight.cell;
    v->waits = v->waits || sight.action == CACHE_DO_WAIT;
    v->short_of = v->short_of || sight.short_of;
    if (sight.action == CACHE_DO_REFUSE && !v->lost)
        v->lost_owner = sight.owner;
    v->lost = v->lost || sight.action == CACHE_DO_REFUSE;
    v->here += sight.action == CACHE_DO_RUN;
    owner_add(v, sight.owner);
}

static void owner_see_all(struct owner_view *v, struct cache_client *c,
                          const struct cache_command *command, const struct slice *words,
                          size_t count)
{
    struct command_keys keys;
    struct slice key;
    v->owners = v->few;
    v->capacity = OWNER_FEW;
    command_keys_start_all(&keys, c, command, words, count);
    while (command_keys_next(&keys, &key))
        owner_see(v, c, key);
    if (command->run != command_exec)
        return;
    for (const struct cache_watch *w = c->watches; w != NULL; w = w->next_of_client)
        owner_see(v, c, w->key);
}

static enum cache_hold owner_refuse(struct cache_client *c, const struct owner_view *v)
{
    const char *name = c->node->options.name;
    char why[CACHE_PARK_WHY_SIZE];
    if (v->short_of)
        command_fault(c, CACHE_FAULT_MEMORY);
    else if (c->from != 0)
        resp_error(&c->reply, CACHE_OWNER_MOVED "it is not %s's", name);
    else {
        cache_park_refuse_lost(c->node->park, v->lost_owner, why);
        resp_error(&c->reply, "%s", why);
    }
    return CACHE_HOLD_REFUSED;
}

static enum cache_hold owner_elsewhere(struct cache_client *c, const struct cache_command *command,
                                       const struct slice *words, size_t count,
                                       const struct owner_view *v)
{
    struct cache_split split = {0};
    struct slice name = command->run == command_watch
                            ? slice_of(CACHE_FORWARD_WATCH)
                            : slice_make(command->name, command->name_len);
    switch (cache_split_plan(&split, name, v->owners, v->count)) {
    case CACHE_SPLIT_WHOLE:
        if (command->run == command_exec)
            return cache_forward_exec(c, v->owners[0]);
        if (v->bounded)
            return cache_forward_copy(c, command, words, count, v->owners[0]);
        return cache_forward_whole(c, command, words, count, v->owners[0]);
    case CACHE_SPLIT_PARTS:
        return cache_forward_parts(c, command, words, count, &split);
    case CACHE_SPLIT_CROSSES:
        resp_error(&c->reply, CACHE_SPLIT_CROSSSLOT);
        return CACHE_HOLD_REFUSED;
    default:
        command_fault(c, CACHE_FAULT_MEMORY);
        return CACHE_HOLD_REFUSED;
    }
}

static enum cache_hold owner_decide(struct cache_client *c, const struct cache_command *command,
                                    const struct slice *words, size_t count,
                                    const struct owner_view *v)
{
    if (v->short_of || v->lost)
        return owner_refuse(c, v);
    if (v->waits)
        return cache_hold_cell(c, command, words, count, v->cell);
    if (v->here == v->count)
        return CACHE_HOLD_GO;
    return owner_elsewhere(c, command, words, count, v);
}

/* What is queued is asked for ahead: EXEC will need it. */
static void owner_look_ahead(struct cache_client *c, const struct cache_command *command,
                             const struct slice *words, size_t count)
{
    struct command_keys keys;
    struct slice key;
    command_keys_start_all(&keys, c, command, words, count);
    for (size_t left = CACHE_PARK_AHEAD; left > 0 && command_keys_next(&keys, &key); left--)
        cache_member_look_ahead(c->node->member, key);
}

/* How it reads: a bounded one for which nothing is known that is fresh is a strong one. */
static enum cache_consistency owner_reads(struct cache_client *c,
                                          const struct cache_command *command,
                                          const struct slice *words, size_t count, bool *bounded)
{
    struct cache_reads *reads = c->node->reads;
    uint64_t ms;
    enum cache_consistency how = cache_reads_asked(c, command, words, count, &ms);
    *bounded = how == CACHE_BOUNDED;
    if (!*bounded)
        return how;
    struct slice key = words[command->first];
    bool here = !cache_reads_owns(reads, key) && cache_reads_is_fresh(reads, key, ms);
    return here ? CACHE_BOUNDED : CACHE_STRONG;
}

/* It asks nobody. That a key of ours was used is known all the same. */
static enum cache_hold owner_read(struct cache_client *c, const struct cache_command *command,
                                  const struct slice *words, size_t count)
{
    struct command_keys keys;
    struct slice key;
    command_keys_start_all(&keys, c, command, words, count);
    while (command_keys_next(&keys, &key))
        if (cache_reads_owns(c->node->reads, key))
            cache_member_look(c->node->member, key, (struct cache_member_who){0});
    return CACHE_HOLD_GO;
}

/* What it watches is told here, before it goes anywhere: whoever runs it knows nothing of that. */
static enum cache_hold owner_aborts(struct cache_client *c)
{
    resp_nil_array(&c->reply);
    command_forget(c);
    return CACHE_HOLD_DONE;
}

enum cache_hold cache_owner_look(struct cache_client *c, const struct cache_command *command,
                                 const struct slice *words, size_t count)
{
    struct owner_view view = {0};
    c->reads = CACHE_STRONG;
    if (!command_has_keys(c, command) || c->multi_bad || command_is_crooked(command, count))
        return CACHE_HOLD_GO;
    if (c->multi && command->run != command_exec) {
        owner_look_ahead(c, command, words, count);
        return CACHE_HOLD_GO;
    }
    if (command->run == command_exec && command_is_touched(c))
        return owner_aborts(c);
    c->reads = owner_reads(c, command, words, count, &view.bounded);
    if (c->reads != CACHE_STRONG)
        return owner_read(c, command, words, count);
    owner_see_all(&view, c, command, words, count);
    enum cache_hold may = owner_decide(c, command, words, count, &view);
    owner_view_fini(&view);
    return may;
}
