/* backing_known.c: see backing_known.h. */
#include "workers/cache/backing/backing_known.h"

#include "common/siphash.h"

#include <stdlib.h>
#include <sys/random.h>

struct known_doubts {
    struct known_doubt {
        uint64_t until_ms; /* 0: free */
        char etag[BACKING_ETAG_SIZE];
    } all[BACKING_DOUBTS];
};

struct known_entry {
    struct known_entry *chain;         /* of one slot */
    struct known_entry *newer, *older; /* by use */
    struct known_entry **slot;
    struct backing_fact fact;
    struct known_doubts *doubts; /* NULL: there never were any */
    char name[];
};

struct backing_known {
    size_t max, count, slot_count;
    struct known_entry **slots;
    struct known_entry *newest, *oldest;
    uint8_t key[SIPHASH_KEY_SIZE];
};

struct backing_known *backing_known_new(size_t max)
{
    struct backing_known *k = calloc(1, sizeof *k);
    if (k == NULL)
        return NULL;
    k->max = max > 0 ? max : 1;
    for (k->slot_count = 16; k->slot_count < k->max;)
        k->slot_count *= 2;
    k->slots = calloc(k->slot_count, sizeof *k->slots);
    if (k->slots == NULL || getrandom(k->key, sizeof k->key, 0) != (ssize_t)sizeof k->key) {
        backing_known_free(k);
        return NULL;
    }
    return k;
}

static void known_unlink(struct backing_known *k, struct known_entry *e)
{
    *(e->newer != NULL ? &e->newer->older : &k->newest) = e->older;
    *(e->older != NULL ? &e->older->newer : &k->oldest) = e->newer;
}

static void known_link(struct backing_known *k, struct known_entry *e)
{
    e->newer = NULL;
    e->older = k->newest;
    *(k->newest != NULL ? &k->newest->newer : &k->oldest) = e;
    k->newest = e;
}

static void known_remove(struct backing_known *k, struct known_entry *e)
{
    struct known_entry **at = e->slot;
    while (*at != e)
        at = &(*at)->chain;
    *at = e->chain;
    known_unlink(k, e);
    free(e->doubts);
    free(e);
    k->count--;
}

void backing_known_free(struct backing_known *k)
{
    if (k == NULL)
        return;
    while (k->oldest != NULL)
        known_remove(k, k->oldest);
    free(k->slots);
    free(k);
}

static struct known_entry **known_slot(const struct backing_known *k, const char *name)
{
    return &k->slots[siphash(slice_of(name), k->key) & (k->slot_count - 1)];
}

static struct known_entry *known_find(struct backing_known *k, const char *name)
{
    struct known_entry *e = *known_slot(k, name);
    while (e != NULL && strcmp(e->name, name) != 0)
        e = e->chain;
    if (e != NULL) {
        known_unlink(k, e);
        known_link(k, e);
    }
    return e;
}

static struct known_entry *known_make(struct backing_known *k, const char *name)
{
    struct known_entry *e = known_find(k, name);
    if (e != NULL)
        return e;
    e = calloc(1, sizeof *e + strlen(name) + 1);
    if (e == NULL)
        return NULL;
    if (k->count == k->max)
        known_remove(k, k->oldest);
    memcpy(e->name, name, strlen(name) + 1);
    e->slot = known_slot(k, name);
    e->chain = *e->slot;
    *e->slot = e;
    known_link(k, e);
    k->count++;
    return e;
}

const struct backing_fact *backing_known_find(struct backing_known *k, const char *name)
{
    struct known_entry *e = known_find(k, name);
    return e != NULL ? &e->fact : NULL;
}

void backing_known_learn(struct backing_known *k, const char *name, const char *etag,
                         uint64_t version, uint64_t now_ms)
{
    struct known_entry *e = known_make(k, name);
    if (e == NULL || (e->fact.etag[0] != '\0' && e->fact.version > version))
        return;
    if (!slice_copy(slice_of(etag), e->fact.etag, sizeof e->fact.etag))
        e->fact.etag[0] = '\0';
    e->fact.version = version;
    e->fact.learned_ms = now_ms;
}

void backing_known_forget(struct backing_known *k, const char *name)
{
    struct known_entry *e = known_find(k, name);
    if (e == NULL)
        return;
    if (e->doubts == NULL)
        known_remove(k, e);
    else
        e->fact.etag[0] = '\0';
}

void backing_known_doubt(struct backing_known *k, const char *name, const char *etag,
                         uint64_t until_ms)
{
    struct known_entry *e = known_make(k, name);
    if (e == NULL)
        return;
    e->fact.etag[0] = '\0';
    if (e->doubts == NULL)
        e->doubts = calloc(1, sizeof *e->doubts);
    if (e->doubts == NULL)
        return;
    struct known_doubt *to = &e->doubts->all[0];
    for (size_t i = 0; i < BACKING_DOUBTS; i++) {
        struct known_doubt *d = &e->doubts->all[i];
        bool same = d->until_ms > 0 && strcmp(d->etag, etag) == 0;
        if (same || d->until_ms < to->until_ms)
            to = d;
        if (same)
            break;
    }
    slice_copy(slice_of(etag), to->etag, sizeof to->etag);
    to->until_ms = until_ms;
}

uint64_t backing_known_doubted(struct backing_known *k, const char *name, const char *etag,
                               uint64_t now_ms)
{
    const struct known_entry *e = known_find(k, name);
    uint64_t until_ms = 0;
    for (size_t i = 0; e != NULL && e->doubts != NULL && i < BACKING_DOUBTS; i++) {
        const struct known_doubt *d = &e->doubts->all[i];
        if (d->until_ms > now_ms && d->until_ms > until_ms &&
            (etag == NULL || strcmp(d->etag, etag) == 0))
            until_ms = d->until_ms;
    }
    return until_ms;
}
