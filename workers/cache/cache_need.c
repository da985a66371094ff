/* cache_need.c: see cache_need.h. */
#include "workers/cache/cache_need.h"

#include "workers/cache/cache_behind.h"
#include "workers/cache/cache_node.h"

static bool need_wait(struct cache_need *need, enum cache_parked_for what, struct slice key)
{
    need->waits = !need->looks;
    need->what = what;
    buffer_clear(&need->key);
    buffer_append_slice(&need->key, key);
    return false;
}

bool cache_need_knows(struct cache_node *n, struct slice key, struct cache_need *need)
{
    if (n->park == NULL || (cache_db_knows(n->db, key) && !need->looks))
        return true;
    if (!need->looks && !need->waits)
        return need_wait(need, CACHE_PARKED_LOAD, key);
    cache_park_ahead(n->park, key);
    return false;
}

bool cache_need_has_room(struct cache_node *n, struct cache_need *need)
{
    if (n->park == NULL || (!need->looks && (cache_park_has_room(n->park, true, true) ||
                                             cache_db_dirt(n->db).keys == 0)))
        return true;
    return need_wait(need, CACHE_PARKED_ROOM, slice_of(""));
}

bool cache_need_ask(struct cache_node *n, struct slice key)
{
    return n->behind != NULL &&
           (cache_behind_ask(n->behind, key) || cache_behind_retry(n->behind, key));
}

bool cache_need_is_stored(struct cache_node *n, struct slice key, struct cache_need *need)
{
    bool was = need->looked++ < need->stored;
    if (was || n->behind == NULL || (!need->looks && !cache_need_ask(n, key)))
        return true;
    return need_wait(need, CACHE_PARKED_STORED, key);
}
