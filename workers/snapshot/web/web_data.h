/*
 * web_data.h: what the web worker has of a store: the newest version of each resource, and the last changes.
 *
 * Runs in the web worker. Pure: who brings it and who reads it is elsewhere (web_feed.h, web_reader.h). It stays when
 * the store is away.
 */
#ifndef WORKERS_SNAPSHOT_WEB_DATA_H
#define WORKERS_SNAPSHOT_WEB_DATA_H

#include "common/buffer.h"
#include "workers/snapshot/web/web_journal.h"

struct web_version {
    uint64_t seq;
    char commit[WEB_COMMIT_SIZE], blob[WEB_COMMIT_SIZE];
    int64_t time_s;
};

struct web_resource {
    const char *name; /* the owner's */
    bool has;         /* a version: */
    struct web_version v;
    struct buffer bytes;
    struct web_text *text; /* of the newest version, for readers */
    bool binary;           /* its bytes are no UTF-8 */
};

/* Of one change: what stands in front of it, for each way in which it is told (web_reader.h). NULL: not made yet. */
#define WEB_FRAMINGS 3
struct web_heads {
    uint64_t number; /* in the journal */
    struct web_text *list[WEB_FRAMINGS][WEB_CONTENT_COUNT];
};

struct web_store {
    const char *name; /* the owner's */
    struct web_resource *list;
    size_t count;
    bool
        known; /* what is here is all there is, or was when the store was last heard; until then nobody reads it */
    uint64_t history;   /* another number: ids of before are of another one */
    struct web_id head; /* the newest change; 0: none */
    struct web_journal journal;
    struct web_heads *heads;
    struct web_texts *texts; /* all that was encoded */
};

/* Of so many resources, whose names the owner sets. False: memory is short. */
bool web_store_start(struct web_store *s, const char *name, size_t count, size_t journal_most);
void web_store_fini(struct web_store *s);

/* They are of that change from now on. */
void web_heads_of(struct web_heads *h, uint64_t number);

/* NULL: there is none. */
struct web_resource *web_store_find(const struct web_store *s, struct slice name);

/*
 * A resource has another version, the newest of all: takes *bytes over (it is empty then). False: memory is short, and
 * nothing has changed.
 */
bool web_store_take(struct web_store *s, struct web_resource *r, const struct web_version *v,
                    struct buffer *bytes);

/* All versions there were are here: from now on there are changes. */
void web_store_know(struct web_store *s);

/* All that was here is of another history: it is forgotten, and so are the ids. */
void web_store_forget(struct web_store *s);

#endif
