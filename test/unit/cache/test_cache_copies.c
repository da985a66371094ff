/* test_cache_copies.c: copies beside a plain list of what was told, while room, memory and time run out. */
#include "workers/cache/memory/cache_copies.h"
#include "test/unit/cache/cache_property.h"

#define KEYS      600
#define VALUE_MAX 3000
#define ROOM      ((size_t)200 << 10)
#define PLENTY    ((size_t)64 << 20)
#define SLACK                                                                                      \
    ((size_t)64 << 10) /* what a table may grow by at once: a chunk of handles and one of buckets */
#define NEVER INT64_MAX

static const uint8_t hash_key[SIPHASH_KEY_SIZE] = "a key of hashes";
static struct cache_copies *c;
static size_t at_start;

static void start(size_t bytes_max)
{
    at_start = short_memory_bytes();
    c = cache_copies_new(bytes_max, hash_key);
    MUST(c != NULL);
    MUST(short_memory_is(at_start, cache_copies_bytes(c)));
}

static void tear_down(void)
{
    short_memory_fail(0, false);
    if (c == NULL)
        return;
    MUST(short_memory_is(at_start, cache_copies_bytes(c)));
    cache_copies_free(c);
    MUST(short_memory_is(at_start, 0));
}

static bool put(const char *key, const char *value, uint64_t confirmed_ms)
{
    return cache_copies_put(c, slice_of(key),
                            &(struct cache_copy){.value = slice_of(value),
                                                 .version = confirmed_ms + 7,
                                                 .expiry_ms = NEVER,
                                                 .confirmed_ms = confirmed_ms});
}

static const struct cache_copy *find(const char *key)
{
    return cache_copies_find(c, slice_of(key), 0);
}

/* ---- one copy ---- */

START_TEST(what_was_told_is_found)
{
    start(PLENTY);
    MUST(find("k") == NULL && find("") == NULL);
    struct cache_copy told = {.value = slice_of("value"),
                              .form = 2,
                              .version = UINT64_MAX - 1,
                              .expiry_ms = 5000,
                              .confirmed_ms = (UINT64_C(7) << 32) + 9};
    MUST(cache_copies_put(c, slice_of("k"), &told));
    const struct cache_copy *found = cache_copies_find(c, slice_of("k"), 4999);
    MUST(found != NULL && slice_is(found->value, "value") && !found->absent);
    MUST(found->form == 2 && found->version == told.version);
    MUST(found->expiry_ms == 5000 && found->confirmed_ms == told.confirmed_ms);
    MUST(cache_copies_put(c, slice_of(""),
                          &(struct cache_copy){.absent = true, .expiry_ms = NEVER}));
    found = find("");
    MUST(found != NULL && found->absent && found->value.len == 0 && found->expiry_ms == NEVER);
    MUST(cache_copies_count(c) == 2);
}
END_TEST

START_TEST(what_was_confirmed_later_stays)
{
    start(PLENTY);
    MUST(put("k", "of 100", 100));
    MUST(put("k", "of 99", 99));
    MUST(slice_is(find("k")->value, "of 100") && find("k")->version == 107);
    MUST(put("k", "the store's", 0));
    MUST(find("k")->confirmed_ms == 100);
    MUST(put("k", "of 100, the later answer", 100));
    MUST(slice_is(find("k")->value, "of 100, the later answer"));
    MUST(put("k", "", UINT64_MAX >> 2));
    MUST(find("k")->confirmed_ms == UINT64_MAX >> 2 && find("k")->value.len == 0);
    MUST(cache_copies_count(c) == 1);
}
END_TEST

START_TEST(what_has_expired_is_gone)
{
    start(PLENTY);
    struct cache_copy told = {.value = slice_of("v"), .expiry_ms = 1000, .confirmed_ms = 1};
    MUST(cache_copies_put(c, slice_of("k"), &told));
    MUST(cache_copies_find(c, slice_of("k"), 999) != NULL);
    MUST(cache_copies_find(c, slice_of("k"), 1000) == NULL);
    MUST(cache_copies_count(c) == 0);
    MUST(cache_copies_find(c, slice_of("k"), 0) == NULL);
    MUST(put("k", "v", 0)); /* nothing is there that was confirmed later */
    MUST(cache_copies_find(c, slice_of("k"), INT64_MAX) != NULL);
}
END_TEST

START_TEST(how_fresh_it_is)
{
    struct cache_copy copy = {.confirmed_ms = 1000};
    MUST(!cache_copy_is_fresh(&copy, 1000, 0) && !cache_copy_is_fresh(&copy, 1001, 0));
    MUST(cache_copy_is_fresh(&copy, 1000, 1) && !cache_copy_is_fresh(&copy, 1001, 1));
    MUST(cache_copy_is_fresh(&copy, 1499, 500) && !cache_copy_is_fresh(&copy, 1500, 500));
    MUST(cache_copy_is_fresh(&copy, 999, 1)); /* clocks of one node: a little before */
    MUST(cache_copy_is_fresh(&copy, UINT64_MAX, UINT64_MAX));
    copy.confirmed_ms = 0;
    MUST(!cache_copy_is_fresh(&copy, 0, 0) && !cache_copy_is_fresh(&copy, 10, UINT64_MAX));
}
END_TEST

/* ---- order and room ---- */

START_TEST(the_least_recently_used_goes_first)
{
    start(PLENTY);
    MUST(put("a", "1", 1) && put("b", "1", 1) && put("c", "1", 1) && put("d", "1", 1));
    MUST(find("a") != NULL);
    MUST(put("b", "2", 2));
    MUST(put("c", "an older one", 0)); /* it stays, and was not used */
    MUST(cache_copies_shrink(c, 1) > 0);
    MUST(cache_copies_count(c) == 3 && find("c") == NULL);
    MUST(cache_copies_shrink(c, 1) > 0);
    MUST(cache_copies_count(c) == 2 && find("d") == NULL);
    cache_copies_drop(c, slice_of("a"));
    cache_copies_drop(c, slice_of("a"));
    MUST(cache_copies_count(c) == 1 && find("b") != NULL);
    MUST(cache_copies_shrink(c, SIZE_MAX) > 0);
    MUST(cache_copies_count(c) == 0 && cache_copies_shrink(c, SIZE_MAX) == 0);
    MUST(put("e", "1", 1) && put("f", "1", 1));
    cache_copies_drop_all(c);
    MUST(cache_copies_count(c) == 0 && find("e") == NULL);
    cache_copies_drop_all(c);
}
END_TEST

/* An answer that cannot be kept is no reason to go on with what it has overtaken. */
START_TEST(one_that_is_too_large_leaves_nothing_old)
{
    static char large[ROOM / 2 + 1];
    start(ROOM);
    MUST(put("k", "old", 1) && put("other", "v", 1));
    struct cache_copy told = {.value = {large, sizeof large - 1}, .expiry_ms = NEVER};
    MUST(cache_copies_put(c, slice_of("k"), &told)); /* older: nothing to keep */
    MUST(slice_is(find("k")->value, "old"));
    told.confirmed_ms = 2;
    MUST(!cache_copies_put(c, slice_of("k"), &told));
    MUST(find("k") == NULL && find("other") != NULL);
    told.value.len -= 1;
    MUST(cache_copies_put(c, slice_of("k"), &told));
    MUST(find("k")->value.len == ROOM / 2 - 1 && find("other") != NULL);
    told.value.len = (size_t)1 << 26;
    MUST(!cache_copies_put(c, slice_of("k"), &told));
    MUST(cache_copies_bytes(c) <= ROOM);
}
END_TEST

START_TEST(a_bound_below_the_table_holds_nothing)
{
    start(4096);
    MUST(!put("k", "v", 1) && find("k") == NULL && cache_copies_count(c) == 0);
    MUST(!put("k", "v", 1));
}
END_TEST

/* ---- beside a model ---- */

struct told {
    bool there;
    uint64_t used; /* number of the step */
    unsigned fill;
    size_t len;
    struct cache_copy copy;
};

static struct told model[KEYS];
static uint64_t step;
static int64_t now_ms;

static struct slice key_of(unsigned i)
{
    static char text[32];
    return slice_make(text, (size_t)snprintf(text, sizeof text, "key %u", i));
}

static struct slice value_of(unsigned fill, size_t len)
{
    static char bytes[VALUE_MAX];
    memset(bytes, (int)fill, len);
    return slice_make(bytes, len);
}

static unsigned oldest(void)
{
    unsigned found = KEYS;
    for (unsigned i = 0; i < KEYS; i++)
        if (model[i].there && (found == KEYS || model[i].used < model[found].used))
            found = i;
    return found;
}

static size_t model_count(void)
{
    size_t count = 0;
    for (unsigned i = 0; i < KEYS; i++)
        count += model[i].there;
    return count;
}

/* Those that are gone must be the ones used longest ago; which ones are there, look() tells. */
static void model_trim(void)
{
    MUST(cache_copies_count(c) <= model_count());
    for (size_t count = model_count(); count > cache_copies_count(c); count--)
        model[oldest()].there = false;
}

static void look(unsigned i)
{
    const struct cache_copy *found = cache_copies_find(c, key_of(i), now_ms);
    struct told *t = &model[i];
    if (t->there && t->copy.expiry_ms <= now_ms)
        t->there = false;
    MUST((found != NULL) == t->there);
    if (found == NULL)
        return;
    MUST(slice_equal(found->value, value_of(t->fill, t->len)));
    MUST(found->absent == t->copy.absent && found->form == t->copy.form);
    MUST(found->version == t->copy.version && found->expiry_ms == t->copy.expiry_ms);
    MUST(found->confirmed_ms == t->copy.confirmed_ms);
    t->used = step;
}

static void tell(unsigned i)
{
    bool absent = cache_random(4) == 0;
    struct told t = {
        .there = true,
        .used = step,
        .fill = cache_random(256),
        .len = absent ? 0 : cache_random(VALUE_MAX),
        .copy = {.absent = absent,
                 .form = cache_random(3),
                 .version = cache_random(1000),
                 .expiry_ms = cache_random(4) == 0 ? now_ms + cache_random(500) : NEVER,
                 .confirmed_ms = cache_random(50) + step / 100}};
    size_t before = cache_copies_count(c), had = model[i].there;
    t.copy.value = value_of(t.fill, t.len);
    bool older = had && model[i].copy.confirmed_ms > t.copy.confirmed_ms;
    bool kept = cache_copies_put(c, key_of(i), &t.copy);
    if (older)
        MUST(kept && cache_copies_count(c) == before);
    else
        model[i] = t;
    if (!kept)
        model[i].there = false;
    bool gone = cache_copies_count(c) < model_count();
    model_trim();
    MUST(!gone || cache_copies_bytes(c) + VALUE_MAX + SLACK >= ROOM);
}

/* From the one used longest ago on: so the order stays. */
static void look_at_all(void)
{
    size_t count = 0;
    now_ms = now_ms > 0 ? now_ms : 1;
    for (uint64_t from = ++step; count < model_count(); step++) {
        unsigned i = oldest();
        if (model[i].used >= from)
            break;
        look(i);
        count += model[i].there;
    }
    MUST(count == model_count() && count == cache_copies_count(c));
    for (unsigned i = 0; i < KEYS; i++)
        if (!model[i].there)
            look(i);
}

static void shrink(void)
{
    size_t wanted = cache_random(20000), before = cache_copies_bytes(c);
    size_t freed = cache_copies_shrink(c, wanted);
    MUST(freed == before - cache_copies_bytes(c));
    MUST(freed >= wanted || cache_copies_count(c) == 0);
    model_trim();
}

static void drop(unsigned i)
{
    cache_copies_drop(c, key_of(i));
    model[i].there = false;
    MUST(cache_copies_count(c) == model_count());
}

static void one_step(void)
{
    unsigned what = cache_random(1000), i = cache_random(KEYS);
    step++;
    now_ms += cache_random(3);
    if (what < 500)
        tell(i);
    else if (what < 900)
        look(i);
    else if (what < 985)
        drop(i);
    else if (what < 995)
        shrink();
    else
        look_at_all();
    MUST(cache_copies_bytes(c) <= ROOM);
    MUST(short_memory_is(at_start, cache_copies_bytes(c)));
}

START_TEST(as_a_plain_list)
{
    start(ROOM);
    size_t most = 0;
    for (unsigned i = 0; i < 60000; i++) {
        one_step();
        most = cache_copies_count(c) > most ? cache_copies_count(c) : most;
    }
    MUST(most > 50 && most < KEYS); /* else nothing had to go */
    look_at_all();
    cache_copies_drop_all(c);
    memset(model, 0, sizeof model);
    look_at_all();
}
END_TEST

/* Room for all: none goes that nobody takes. */
START_TEST(with_room_for_all_nothing_goes)
{
    start(PLENTY);
    for (unsigned i = 0; i < 20000; i++)
        MUST(cache_copies_put(c, key_of(i),
                              &(struct cache_copy){.value = value_of(i, 100), .expiry_ms = NEVER}));
    MUST(cache_copies_count(c) == 20000);
    for (unsigned i = 0; i < 20000; i++)
        MUST(cache_copies_find(c, key_of(i), 0) != NULL);
}
END_TEST

/* ---- memory short ---- */

START_TEST(memory_that_is_short)
{
    for (long n = 1; n < 4; n++) {
        short_memory_fail(n, true);
        c = cache_copies_new(PLENTY, hash_key);
        short_memory_fail(0, false);
        MUST(c == NULL);
    }
    start(ROOM);
    MUST(put("k", "old", 1));
    short_memory_fail(1, false);
    MUST(!put("k", "new", 2));
    MUST(find("k") == NULL && put("k", "new", 2));
    for (unsigned i = 0; i < 20000; i++) {
        unsigned key = cache_random(KEYS);
        step++;
        short_memory_fail(1 + cache_random(3), cache_random(2) == 0);
        bool kept =
            cache_copies_put(c, key_of(key),
                             &(struct cache_copy){.value = value_of(1, cache_random(VALUE_MAX)),
                                                  .expiry_ms = NEVER,
                                                  .confirmed_ms = step});
        short_memory_fail(0, false);
        const struct cache_copy *found = cache_copies_find(c, key_of(key), 0);
        MUST(kept ? found->confirmed_ms == step : found == NULL);
        MUST(cache_copies_bytes(c) <= ROOM && short_memory_is(at_start, cache_copies_bytes(c)));
    }
}
END_TEST

SUITE_MAIN_WITH("cache_copies", NULL, tear_down, what_was_told_is_found,
                what_was_confirmed_later_stays, what_has_expired_is_gone, how_fresh_it_is,
                the_least_recently_used_goes_first, one_that_is_too_large_leaves_nothing_old,
                a_bound_below_the_table_holds_nothing, as_a_plain_list,
                with_room_for_all_nothing_goes, memory_that_is_short)
