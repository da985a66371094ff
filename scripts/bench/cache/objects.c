/*
 * objects.c: what an object costs a cache node's table and policy: bytes of the process, and CPU time to make, find and
 * remove it.
 *
 * Usage: objects [COUNT [KEY_BYTES [VALUE_BYTES]]] (1000000 16 100). Keys are found in an order that has nothing to do
 * with the one they were made in. Prints one line of JSON.
 */
#include "workers/cache/memory/cache_policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static const uint8_t hash_key[SIPHASH_KEY_SIZE] = "objects' bench.";
static char key_bytes[256];
static size_t key_len;

/* CPU time: what others do meanwhile is not to be measured. */
static double now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static size_t resident(void)
{
    size_t pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f == NULL || fscanf(f, "%*u %zu", &pages) != 1)
        exit(1);
    fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static struct slice key_of(size_t i)
{
    snprintf(key_bytes, sizeof key_bytes, "%0*zu", (int)key_len, i);
    return slice_make(key_bytes, key_len);
}

static void make(struct cache_table *t, struct cache_policy *p, size_t i, size_t value_len)
{
    struct slice key = key_of(i);
    uint64_t hash = cache_table_hash(t, key);
    uint32_t handle = cache_table_add(t, key, hash);
    char *value = handle != 0 ? cache_table_resize(t, handle, value_len, INT64_MAX) : NULL;
    if (value == NULL) {
        fprintf(stderr, "objects: memory is short\n");
        exit(1);
    }
    memset(value, 'v', value_len);
    cache_policy_add(p, handle, hash);
}

static uint32_t find(struct cache_table *t, struct slice key, uint64_t *hash)
{
    *hash = cache_table_hash(t, key);
    return cache_table_find(t, key, *hash);
}

static void hit(struct cache_table *t, struct cache_policy *p, struct slice key)
{
    uint64_t hash;
    (void)p;
    cache_policy_hit(cache_table_at(t, find(t, key, &hash)));
}

static void drop(struct cache_table *t, struct cache_policy *p, struct slice key)
{
    uint64_t hash;
    uint32_t handle = find(t, key, &hash);
    cache_policy_remove(p, handle);
    cache_table_remove(t, handle, hash);
}

/* Seconds of doing it with every key, each once, in an order of its own. */
static double each(struct cache_table *t, struct cache_policy *p, size_t count,
                   void (*fn)(struct cache_table *t, struct cache_policy *p, struct slice key))
{
    double start = now();
    size_t step = 7919, at = 0; /* prime, and no divisor of the counts one gives */
    for (size_t i = 0; i < count; i++) {
        at = (at + step * 101) % count;
        fn(t, p, key_of(at));
    }
    return now() - start;
}

static size_t number(int argc, char **argv, int at, size_t otherwise)
{
    return argc > at ? strtoul(argv[at], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
    size_t count = number(argc, argv, 1, 1000000), value_len = number(argc, argv, 3, 100);
    key_len = number(argc, argv, 2, 16);
    if (key_len < 9 || key_len >= sizeof key_bytes || count % 7919 == 0 || count % 101 == 0) {
        fprintf(stderr, "usage: objects [COUNT [KEY_BYTES [VALUE_BYTES]]]\n");
        return 2;
    }
    size_t before = resident();
    struct cache_table *t = cache_table_new(hash_key);
    struct cache_policy *p = t != NULL ? cache_policy_new(t) : NULL;
    if (p == NULL)
        return 1;
    double start = now();
    for (size_t i = 0; i < count; i++)
        make(t, p, i, value_len);
    double made = now() - start;
    size_t bytes = resident() - before, told = cache_table_bytes(t) + cache_policy_bytes(p);
    double found = each(t, p, count, hit), dropped = each(t, p, count, drop);
    double n = (double)count;
    printf("{\"objects\": %zu, \"rss_per_object\": %.1f, \"told_per_object\": %.1f, \"make_ns\": "
           "%.0f, "
           "\"find_ns\": %.0f, \"remove_ns\": %.0f, \"left\": %zu, \"bytes_after\": %zu}\n",
           count, (double)bytes / n, (double)told / n, made * 1e9 / n, found * 1e9 / n,
           dropped * 1e9 / n, cache_table_count(t), cache_table_bytes(t) + cache_policy_bytes(p));
    cache_policy_free(p);
    cache_table_free(t);
    return 0;
}
