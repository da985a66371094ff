/* web_journal.c: see web_journal.h. */
#include "workers/snapshot/web/web_journal.h"

#include <stdlib.h>

#define JOURNAL_CAP 64 /* at first */

static struct web_change *journal_slot(const struct web_journal *j, uint64_t number)
{
    return &j->list[number % j->cap];
}

static size_t journal_bytes(const struct web_change *c)
{
    return sizeof *c + web_text_slice(c->splices).len + web_text_slice(c->text).len;
}

static struct web_id journal_id(const struct web_change *c)
{
    struct web_id id = {.seq = c->seq};
    memcpy(id.commit, c->commit, WEB_ID_DIGITS);
    return id;
}

void web_change_unref(const struct web_change *c)
{
    web_text_unref(c->splices);
    web_text_unref(c->text);
}

static void journal_drop(struct web_journal *j)
{
    struct web_change *c = journal_slot(j, j->first);
    j->before = journal_id(c);
    j->bytes -= journal_bytes(c);
    web_change_unref(c);
    j->first++;
    j->count--;
}

void web_journal_start(struct web_journal *j, size_t most, const struct web_id *before)
{
    *j = (struct web_journal){.most = most, .before = *before};
}

void web_journal_fini(struct web_journal *j)
{
    while (j->count > 0)
        journal_drop(j);
    free(j->list);
    j->list = NULL;
    j->cap = 0;
}

static bool journal_grow(struct web_journal *j)
{
    size_t cap = j->cap > 0 ? 2 * j->cap : JOURNAL_CAP;
    struct web_change *grown = calloc(cap, sizeof *grown);
    if (grown == NULL)
        return false;
    for (uint64_t n = j->first; n < web_journal_end(j); n++)
        grown[n % cap] = *journal_slot(j, n);
    free(j->list);
    j->list = grown;
    j->cap = cap;
    return true;
}

void web_journal_add(struct web_journal *j, const struct web_change *c)
{
    size_t bytes = journal_bytes(c);
    while (j->count > 0 && j->bytes + bytes > j->most)
        journal_drop(j);
    if (bytes > j->most || (j->count == j->cap && !journal_grow(j))) {
        while (j->count > 0)
            journal_drop(j);
        j->first++; /* who waits for it has fallen out */
        j->before = journal_id(c);
        web_change_unref(c);
        return;
    }
    *journal_slot(j, web_journal_end(j)) = *c;
    j->count++;
    j->bytes += bytes;
}

const struct web_change *web_journal_at(const struct web_journal *j, uint64_t number)
{
    return number >= j->first && number < web_journal_end(j) ? journal_slot(j, number) : NULL;
}

static bool journal_is(const struct web_id *a, const struct web_id *b)
{
    return a->seq == b->seq && strcmp(a->commit, b->commit) == 0;
}

bool web_journal_behind(const struct web_journal *j, const struct web_id *id, uint64_t *number)
{
    uint64_t low = j->first, high = web_journal_end(j); /* the first above the id's seq */
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (journal_slot(j, middle)->seq > id->seq)
            high = middle;
        else
            low = middle + 1;
    }
    struct web_id met = j->before;
    if (low > j->first)
        met = journal_id(journal_slot(j, low - 1));
    *number = low;
    return journal_is(&met, id);
}
