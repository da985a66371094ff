/* cache_access.c: see cache_access.h. */
#include "workers/cache/cache_access.h"

#include "workers/cache/cache_node.h"
#include "workers/cache/cache_reads.h"
#include "workers/cache/cache_second.h"

#include <stdio.h>

void cache_access_fault(const struct cache_node *n, enum cache_fault fault,
                        char why[CACHE_ACCESS_WHY_SIZE])
{
    const char *text = "";
    switch (fault) {
    case CACHE_OK:
        break;
    case CACHE_FAULT_OOM:
        text = "OOM command not allowed when used memory > 'maxmemory'.";
        break;
    case CACHE_FAULT_MEMORY:
        text = "OOM the system has no more memory for this node";
        break;
    case CACHE_FAULT_LOG:
        snprintf(why, CACHE_ACCESS_WHY_SIZE, "MISCONF %s",
                 n->log != NULL ? cache_log_trouble(n->log) : "no log");
        return;
    case CACHE_FAULT_LARGE:
        snprintf(why, CACHE_ACCESS_WHY_SIZE,
                 "ERR a key and its value may have at most %zu bytes (object_max)",
                 n->options.object_max);
        return;
    }
    snprintf(why, CACHE_ACCESS_WHY_SIZE, "%s", text);
}

static bool access_done(const struct cache_node *n, enum cache_fault fault,
                        char why[CACHE_ACCESS_WHY_SIZE])
{
    cache_access_fault(n, fault, why);
    return fault == CACHE_OK;
}

bool cache_access_get(struct cache_node *n, struct slice key, enum cache_consistency how,
                      struct slice *value, enum cache_form *form)
{
    if (how != CACHE_STRONG && n->reads != NULL)
        return cache_reads_find(n->reads, key, how, value, form);
    const struct cache_object *o = cache_db_read(n->db, key);
    *value = o != NULL ? cache_object_value(o) : slice_of("");
    if (form != NULL)
        *form = o != NULL ? (enum cache_form)o->form : CACHE_FORM_BYTES;
    return o != NULL;
}

/* A copy of what is written now is none any more. */
static void access_wrote(struct cache_node *n, struct slice key)
{
    if (n->reads != NULL)
        cache_reads_drop(n->reads, key);
}

/* What comes before each write. */
static bool access_may(struct cache_node *n, enum cache_fault room, char why[CACHE_ACCESS_WHY_SIZE])
{
    if (n->turn.answer_count >= CACHE_ACCESS_WAITING_MAX) {
        snprintf(why, CACHE_ACCESS_WHY_SIZE,
                 "TRYAGAIN %zu writes wait until the disk has them (fsync = always)",
                 n->turn.answer_count);
        return false;
    }
    if (n->second != NULL && cache_second_is_late(n->second)) {
        snprintf(why, CACHE_ACCESS_WHY_SIZE, "%s", CACHE_SECOND_REFUSED);
        return false;
    }
    return access_done(n, room == CACHE_OK && n->turn.failed ? CACHE_FAULT_LOG : room, why);
}

bool cache_access_set(struct cache_node *n, struct slice key, struct slice value, int64_t expiry_ms,
                      enum cache_form form, char why[CACHE_ACCESS_WHY_SIZE])
{
    access_wrote(n, key);
    return access_may(n, cache_db_room(n->db), why) &&
           access_done(n, cache_db_set(n->db, key, value, expiry_ms, form), why);
}

bool cache_access_delete(struct cache_node *n, struct slice key, bool *was,
                         char why[CACHE_ACCESS_WHY_SIZE])
{
    *was = false;
    access_wrote(n, key);
    return access_may(n, CACHE_OK, why) && access_done(n, cache_db_delete(n->db, key, was), why);
}

uint64_t cache_access_end(const struct cache_node *n)
{
    return n->log != NULL ? cache_log_added(n->log) : 0;
}
