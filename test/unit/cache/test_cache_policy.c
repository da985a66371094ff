/* test_cache_policy.c: beside the paper's algorithm on arrays; and what the paper has not: objects that must stay. */
#include "workers/cache/memory/cache_policy.h"
#include "test/unit/cache/cache_property.h"

#define KEYS 4000

static const uint8_t hash_key[SIPHASH_KEY_SIZE] = "a key of hashes";
static struct cache_table *t;
static struct cache_policy *p;
static uint32_t handles[KEYS]; /* 0: not in */
static size_t count, at_start;

static void set_up(void)
{
    at_start = short_memory_bytes();
    t = cache_table_new(hash_key);
    p = cache_policy_new(t);
}

static void tear_down(void)
{
    short_memory_fail(0, false);
    MUST(short_memory_is(at_start, cache_policy_bytes(p) + cache_table_bytes(t)));
    cache_policy_free(p);
    cache_table_free(t);
    MUST(short_memory_is(at_start, 0));
}

static uint64_t hash_of(size_t i)
{
    return cache_table_hash(t, slice_make(&i, sizeof i));
}

static struct cache_object *at(size_t i)
{
    return cache_table_at(t, handles[i]);
}

static size_t index_of(uint32_t handle)
{
    size_t i;
    memcpy(&i, cache_object_key(cache_table_at(t, handle)).ptr, sizeof i);
    return i;
}

static void add(size_t i)
{
    handles[i] = cache_table_add(t, slice_make(&i, sizeof i), hash_of(i));
    MUST(handles[i] != 0);
    cache_policy_add(p, handles[i], hash_of(i));
    count++;
}

static void gone(size_t i)
{
    cache_table_remove(t, handles[i], hash_of(i));
    handles[i] = 0;
    count--;
}

static void drop(size_t i)
{
    cache_policy_remove(p, handles[i]);
    gone(i);
}

static void hit(size_t i)
{
    cache_policy_hit(at(i));
}

/* Whose object went, or KEYS: none could. */
static size_t evict(void)
{
    uint32_t victim = cache_policy_victim(p);
    if (victim == 0)
        return KEYS;
    size_t i = index_of(victim);
    MUST(victim == handles[i] && !at(i)->dirty && !at(i)->busy);
    cache_policy_evicted(p, victim, hash_of(i));
    gone(i);
    return i;
}

/* ---- the paper's algorithm, on arrays; its ghost of 16 is exact, as ours is up to 17 objects ---- */

#define FEW   17
#define GHOST 16

struct queue {
    size_t keys[FEW + GHOST + 1];
    size_t count;
};

static struct queue small_queue, main_queue, ghost_queue;
static unsigned heats[KEYS];

static void queue_push(struct queue *q, size_t i)
{
    q->keys[q->count++] = i;
}

static bool queue_take(struct queue *q, size_t i)
{
    size_t k = 0;
    while (k < q->count && q->keys[k] != i)
        k++;
    if (k == q->count)
        return false;
    memmove(q->keys + k, q->keys + k + 1, (--q->count - k) * sizeof *q->keys);
    return true;
}

static void model_add(size_t i)
{
    heats[i] = 0;
    queue_push(queue_take(&ghost_queue, i) ? &main_queue : &small_queue, i);
}

static size_t model_evict_main(void)
{
    size_t i;
    for (;;) {
        i = main_queue.keys[0];
        queue_take(&main_queue, i);
        if (heats[i] == 0)
            return i;
        heats[i]--;
        queue_push(&main_queue, i);
    }
}

static size_t model_evict_small(void)
{
    while (small_queue.count > 0) {
        size_t i = small_queue.keys[0];
        queue_take(&small_queue, i);
        if (heats[i] <= 1) {
            queue_push(&ghost_queue, i);
            if (ghost_queue.count > GHOST)
                queue_take(&ghost_queue, ghost_queue.keys[0]);
            return i;
        }
        heats[i] = 0;
        queue_push(&main_queue, i);
    }
    return model_evict_main();
}

static size_t model_evict(void)
{
    size_t all = small_queue.count + main_queue.count;
    return main_queue.count == 0 || small_queue.count * 10 >= all ? model_evict_small()
                                                                  : model_evict_main();
}

static void model_drop(size_t i)
{
    if (!queue_take(&small_queue, i))
        queue_take(&main_queue, i);
}

START_TEST(as_the_paper_has_it)
{
    for (unsigned step = 0; step < 500000; step++) {
        size_t i = cache_random(3) == 0 ? cache_random(60) : cache_random(12);
        if (handles[i] != 0 && cache_random(20) == 0) {
            model_drop(i);
            drop(i);
        } else if (handles[i] != 0) {
            heats[i] += heats[i] < 3;
            hit(i);
        } else {
            if (count == FEW)
                MUST(evict() == model_evict());
            model_add(i);
            add(i);
        }
    }
    while (count > 0)
        MUST(evict() == model_evict());
    MUST(evict() == KEYS);
}
END_TEST

/* ---- what is dirty or busy ---- */

/* Marks change all the time; whatever goes is clean, and if there is a clean one among a few, one goes. */
START_TEST(what_is_dirty_stays)
{
    size_t clean;
    for (unsigned step = 0; step < 200000; step++) {
        size_t i = cache_random(100);
        if (handles[i] == 0)
            add(i);
        at(i)->dirty = cache_random(8) != 0;
        at(i)->busy = cache_random(20) == 0;
        if (cache_random(2) == 0)
            hit(i);
        if (cache_random(30) == 0)
            drop(i);
        if (count < 60)
            continue;
        clean = 0;
        for (size_t k = 0; k < 100; k++)
            clean += handles[k] != 0 && !at(k)->dirty && !at(k)->busy;
        MUST((evict() != KEYS) == (clean > 0));
    }
}
END_TEST

START_TEST(all_dirty_is_none)
{
    for (size_t i = 0; i < KEYS; i++) {
        add(i);
        at(i)->dirty = 1;
    }
    MUST(evict() == KEYS);
    MUST(evict() == KEYS);
    at(KEYS / 2)->dirty = 0;
    size_t found = KEYS;
    for (unsigned n = 0; n < KEYS && found == KEYS; n++)
        found = evict(); /* each goes on where the last one stopped */
    MUST(found == KEYS / 2);
}
END_TEST

/* Half of them in the main queue, the others in the small one. */
static void fill_both(void)
{
    for (size_t i = 0; i < KEYS / 2; i++) {
        add(i);
        hit(i);
        hit(i);
    }
    add(KEYS - 1);
    for (unsigned n = 0; n < KEYS && !at(KEYS / 2 - 1)->main; n++) {
        MUST(cache_policy_victim(p) != 0);
    }
    for (size_t i = 0; i < KEYS / 2; i++)
        MUST(at(i)->main);
    for (size_t i = KEYS / 2; i < KEYS - 1; i++)
        add(i);
}

static size_t newest_small(void)
{
    for (size_t i = KEYS / 2; i < KEYS; i++)
        if (handles[i] != 0 && at(i)->newer == 0)
            return i;
    return KEYS;
}

/* Each eviction takes from the main queue, and the small one is looked through once in a while only. */
START_TEST(a_dirty_small_queue_costs_no_round_each)
{
    fill_both();
    for (size_t i = KEYS / 2; i < KEYS; i++)
        at(i)->dirty = 1;
    MUST(evict() < KEYS / 2);
    size_t newest = newest_small();
    for (unsigned n = 0; n < 200; n++) {
        MUST(evict() < KEYS / 2);
        MUST(newest_small() == newest);
    }
    for (unsigned n = 0; n < 100; n++)
        MUST(evict() < KEYS / 2);
    MUST(newest_small() != newest);
}
END_TEST

/* All of many are hot: one goes at once, not after a round of all. */
START_TEST(a_search_is_bounded)
{
    fill_both();
    for (size_t i = KEYS / 2; i < KEYS; i++)
        drop(i);
    for (size_t i = 0; i < KEYS / 2; i++)
        at(i)->heat = 3;
    at(100)->heat = 2;
    MUST(evict() == 100);
    size_t cooled = 0;
    for (size_t i = 0; i < KEYS / 2; i++)
        cooled += handles[i] != 0 && at(i)->heat < 3;
    MUST(cooled > 0 && cooled < 500);
}
END_TEST

/* ---- what it is for ---- */

static void request(size_t i, size_t room)
{
    if (handles[i] != 0) {
        hit(i);
        return;
    }
    if (count == room)
        MUST(evict() != KEYS);
    add(i);
}

START_TEST(a_scan_does_not_wash_out_what_is_used)
{
    for (unsigned round = 0; round < 4; round++)
        for (size_t i = 0; i < 80; i++)
            request(i, 100);
    for (size_t i = 1000; i < 3000; i++)
        request(i, 100);
    for (size_t i = 0; i < 80; i++)
        MUST(handles[i] != 0);
}
END_TEST

/* It was new and went, and is asked for again: then it stays. */
START_TEST(what_comes_back_is_in_the_main_queue)
{
    for (size_t i = 0; i < 100; i++)
        add(i);
    size_t i = evict();
    MUST(i == 0 && evict() == 1);
    add(0);
    MUST(at(0)->main);
    add(200);
    MUST(!at(200)->main);
    drop(0);
    add(0);
    MUST(!at(0)->main); /* once; and what is deleted is not remembered */
}
END_TEST

START_TEST(fingerprints_cost_nothing_before_the_first_eviction)
{
    size_t before = cache_policy_bytes(p);
    for (size_t i = 0; i < KEYS; i++)
        add(i);
    MUST(cache_policy_bytes(p) == before);
    while (evict() != KEYS)
        ;
    for (unsigned round = 0; round < 10; round++)
        for (size_t i = 0; i < KEYS; i++)
            request(i, KEYS / 2);
    MUST(cache_policy_bytes(p) <
         before + 5 * 16384); /* 4 bytes for each object, in chunks of 16 KB */
}
END_TEST

START_TEST(without_memory_it_goes_on)
{
    short_memory_fail(1, true);
    MUST(cache_policy_new(t) == NULL);
    short_memory_fail(0, false);
    for (size_t i = 0; i < 100; i++)
        add(i);
    uint32_t victim = cache_policy_victim(p);
    short_memory_fail(1, true);
    cache_policy_evicted(p, victim, hash_of(0));
    short_memory_fail(0, false);
    MUST(index_of(victim) == 0);
    gone(0);
    MUST(evict() == 1);
}
END_TEST

SUITE_MAIN_WITH("cache_policy", set_up, tear_down, as_the_paper_has_it, what_is_dirty_stays,
                all_dirty_is_none, a_dirty_small_queue_costs_no_round_each, a_search_is_bounded,
                a_scan_does_not_wash_out_what_is_used, what_comes_back_is_in_the_main_queue,
                fingerprints_cost_nothing_before_the_first_eviction, without_memory_it_goes_on)
