/*
 * replay.c: what part of a trace of keys is answered from memory, with room for so many objects: by a cache node's own
 * table and policy, beside exact LRU and SIEVE.
 *
 * Part of scripts/bench/cache/hit_ratio. Usage: replay PERCENT… < KEYS, a key a line. PERCENT is of the keys that
 * differ. Prints a line for each: percent, room, requests, and the ratios of policy, LRU and SIEVE.
 */
#include "workers/cache/memory/cache_policy.h"

#include <stdio.h>
#include <stdlib.h>

/* Keys are numbers from 1 on, in the order of their names. */
struct trace {
    char **lines, **names;
    uint32_t *ids;
    size_t count, distinct;
};

static void *need(void *p)
{
    if (p == NULL) {
        fprintf(stderr, "replay: memory is short\n");
        exit(1);
    }
    return p;
}

/* ---- the trace ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void trace_read(struct trace *t)
{
    size_t cap = 0, size = 0;
    char *line = NULL;
    for (ssize_t n; (n = getline(&line, &size, stdin)) >= 0; t->count++) {
        if (t->count == cap)
            t->lines = need(realloc(t->lines, (cap = 2 * cap + 1024) * sizeof *t->lines));
        t->lines[t->count] = need(strndup(line, (size_t)n - (n > 0 && line[n - 1] == '\n')));
    }
    free(line);
}

static void trace_number(struct trace *t)
{
    t->names = need(malloc((t->count + 1) * sizeof *t->names));
    t->ids = need(malloc((t->count + 1) * sizeof *t->ids));
    memcpy(t->names, t->lines, t->count * sizeof *t->names);
    qsort(t->names, t->count, sizeof *t->names, by_name);
    for (size_t i = 0; i < t->count; i++)
        if (i == 0 || strcmp(t->names[i], t->names[t->distinct - 1]) != 0)
            t->names[t->distinct++] = t->names[i];
    for (size_t i = 0; i < t->count; i++) {
        char **found = bsearch(&t->lines[i], t->names, t->distinct, sizeof *t->names, by_name);
        t->ids[i] = (uint32_t)(found - t->names) + 1;
    }
}

/* ---- the node's ---- */

static void evict(struct cache_table *t, struct cache_policy *p)
{
    uint32_t victim = cache_policy_victim(p);
    uint64_t hash = cache_table_hash(t, cache_object_key(cache_table_at(t, victim)));
    cache_policy_evicted(p, victim, hash);
    cache_table_remove(t, victim, hash);
}

static size_t replay_policy(const struct trace *trace, size_t room)
{
    static const uint8_t hash_key[SIPHASH_KEY_SIZE] = "hit ratio bench";
    struct cache_table *t = need(cache_table_new(hash_key));
    struct cache_policy *p = need(cache_policy_new(t));
    size_t hits = 0;
    for (size_t i = 0; i < trace->count; i++) {
        struct slice key = slice_of(trace->lines[i]);
        uint64_t hash = cache_table_hash(t, key);
        uint32_t handle = cache_table_find(t, key, hash);
        if (handle != 0) {
            cache_policy_hit(cache_table_at(t, handle));
            hits++;
            continue;
        }
        if (cache_table_count(t) == room)
            evict(t, p);
        cache_policy_add(p, cache_table_add(t, key, hash), hash);
    }
    cache_policy_free(p);
    cache_table_free(t);
    return hits;
}

/* ---- LRU and SIEVE, on numbers ---- */

struct model {
    uint32_t *older, *newer; /* 0: none */
    bool *in, *visited;
    uint32_t oldest, newest, hand;
    size_t count;
};

static void model_push(struct model *m, uint32_t id)
{
    m->older[id] = m->newest;
    m->newer[id] = 0;
    *(m->newest != 0 ? &m->newer[m->newest] : &m->oldest) = id;
    m->newest = id;
    m->in[id] = true;
    m->count++;
}

static void model_pull(struct model *m, uint32_t id)
{
    *(m->older[id] != 0 ? &m->newer[m->older[id]] : &m->oldest) = m->newer[id];
    *(m->newer[id] != 0 ? &m->older[m->newer[id]] : &m->newest) = m->older[id];
    m->in[id] = false;
    m->count--;
}

static void lru_hit(struct model *m, uint32_t id)
{
    model_pull(m, id);
    model_push(m, id);
}

static void lru_evict(struct model *m)
{
    model_pull(m, m->oldest);
}

static void sieve_hit(struct model *m, uint32_t id)
{
    m->visited[id] = true;
}

/* The hand goes from old to new, and what it has passed stays where it is. */
static void sieve_evict(struct model *m)
{
    uint32_t at = m->hand != 0 ? m->hand : m->oldest;
    while (m->visited[at]) {
        m->visited[at] = false;
        at = m->newer[at] != 0 ? m->newer[at] : m->oldest;
    }
    m->hand = m->newer[at];
    model_pull(m, at);
}

static size_t replay_model(const struct trace *trace, size_t room,
                           void (*hit)(struct model *m, uint32_t id),
                           void (*evicts)(struct model *m))
{
    size_t n = trace->distinct + 1, hits = 0;
    struct model m = {.older = need(calloc(n, sizeof *m.older)),
                      .newer = need(calloc(n, sizeof *m.newer)),
                      .in = need(calloc(n, sizeof *m.in)),
                      .visited = need(calloc(n, sizeof *m.visited))};
    for (size_t i = 0; i < trace->count; i++) {
        uint32_t id = trace->ids[i];
        if (m.in[id]) {
            hit(&m, id);
            hits++;
            continue;
        }
        if (m.count == room)
            evicts(&m);
        model_push(&m, id);
    }
    free(m.older);
    free(m.newer);
    free(m.in);
    free(m.visited);
    return hits;
}

int main(int argc, char **argv)
{
    struct trace t = {0};
    trace_read(&t);
    if (argc < 2 || t.count == 0) {
        fprintf(stderr, "usage: replay PERCENT… < KEYS\n");
        return 2;
    }
    trace_number(&t);
    double all = (double)t.count;
    for (int i = 1; i < argc; i++) {
        size_t room = (size_t)((double)t.distinct * strtod(argv[i], NULL) / 100);
        if (room == 0)
            room = 1;
        printf("%s %zu %zu %.4f %.4f %.4f\n", argv[i], room, t.count,
               (double)replay_policy(&t, room) / all,
               (double)replay_model(&t, room, lru_hit, lru_evict) / all,
               (double)replay_model(&t, room, sieve_hit, sieve_evict) / all);
    }
    for (size_t i = 0; i < t.count; i++)
        free(t.lines[i]);
    free(t.lines);
    free(t.names);
    free(t.ids);
    return 0;
}
