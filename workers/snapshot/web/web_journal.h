/*
 * web_journal.h: the last changes of a store, in order, so that many can read them at their own pace.
 *
 * Runs in the web worker. Pure. Bounded by bytes: the oldest go. A reader is a number, that of what it reads next:
 * it costs the journal nothing, and who is slower than the journal is long has fallen out.
 */
#ifndef WORKERS_SNAPSHOT_WEB_JOURNAL_H
#define WORKERS_SNAPSHOT_WEB_JOURNAL_H

#include "workers/snapshot/web/web_query.h"
#include "workers/snapshot/web/web_text.h"

#include <stddef.h>

#define WEB_COMMIT_SIZE 41 /* hex digits of an object's id, and NUL */

struct web_change {
    size_t resource;    /* its place in the store's list */
    uint64_t seq, prev; /* prev 0: the first version */
    char commit[WEB_COMMIT_SIZE], blob[WEB_COMMIT_SIZE];
    int64_t time_s;
    const char *whole;        /* NULL: `splices` say it; else why not: large, binary, first */
    struct web_text *splices; /* ,"splices":[…] */
    struct web_text *text;    /* ,"text":"…" or ,"base64":"…" */
};

struct web_journal {
    struct web_change *list; /* a ring */
    size_t cap, count;
    uint64_t first; /* number of the oldest */
    size_t bytes, most;
    struct web_id
        before; /* where who has read nothing of it stands: the change that went last, or the beginning */
};

/* At a store's state: `before`. At most so many bytes. */
void web_journal_start(struct web_journal *j, size_t most, const struct web_id *before);
void web_journal_fini(struct web_journal *j);

void web_change_unref(const struct web_change *c);

/*
 * Its seq is above all that are there. Takes the references of *c over, in any case. What is larger than it, or
 * finds no memory, is not kept: the journal begins anew behind it, and all its readers have fallen out.
 */
void web_journal_add(struct web_journal *j, const struct web_change *c);

/* The number that the next change gets. */
static inline uint64_t web_journal_end(const struct web_journal *j)
{
    return j->first + j->count;
}

/* NULL: it has gone, or has not come. Lives until the next is added. */
const struct web_change *web_journal_at(const struct web_journal *j, uint64_t number);

/* The number behind the change of that id. False: it is not there (any more). */
bool web_journal_behind(const struct web_journal *j, const struct web_id *id, uint64_t *number);

#endif
