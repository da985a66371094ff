/* test_cache_cells.c: the table of cells beside a plain array, with memory that fails, and walks while it changes. */
#include "test/unit/cache/cache_property.h"
#include "workers/cache/ring/cache_cells.h"

#define SHORT 0xffffffu /* of cells that stand in one place */

static size_t at_start;
static struct cache_cells *c;

static void set_up(void)
{
    at_start = short_memory_bytes();
    c = cache_cells_new(CACHE_CELLS_FOREIGN_MAX);
    ck_assert_ptr_nonnull(c);
}

static void tear_down(void)
{
    short_memory_fail(0, false);
    MUST(short_memory_is(at_start, cache_cells_bytes(c)));
    cache_cells_free(c);
    MUST(short_memory_is(at_start, 0));
}

static uint64_t hash_of(uint64_t i)
{
    i = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    i = (i ^ i >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    i = (i ^ i >> 27) * UINT64_C(0x94d049bb133111eb);
    return i ^ i >> 31;
}

static bool set(uint64_t cell, enum cache_cell_state state)
{
    return cache_cells_set(c, cell, state, 7, 1);
}

/* ---- one cell ---- */

START_TEST(nothing_is_known_at_first)
{
    ck_assert_int_eq(cache_cells_state(c, 5), CACHE_CELL_UNKNOWN);
    ck_assert_ptr_null(cache_cells_find(c, 5));
    ck_assert_ptr_null(cache_cells_use(c, 5, 0, 1));
    ck_assert(!cache_cells_wait(c, 5));
    cache_cells_wait_end(c, 5);
    cache_cells_set_number(c, 5, 9);
    ck_assert(cache_cells_set_first(c, 5, 0, 1));
    ck_assert(set(5, CACHE_CELL_UNKNOWN));
    ck_assert_ptr_null(cache_cells_find(c, 5));
    ck_assert_uint_eq(cache_cells_foreign(c), 0);
    cache_cells_free(NULL);
}
END_TEST

START_TEST(a_cell_is_what_it_was_set_to)
{
    ck_assert(set(5, CACHE_CELL_ASKED));
    ck_assert(set(6, CACHE_CELL_OURS));
    ck_assert(cache_cells_set(c, 5, CACHE_CELL_THEIRS, 42, 9));
    ck_assert_int_eq(cache_cells_state(c, 5), CACHE_CELL_THEIRS);
    ck_assert_uint_eq(cache_cells_find(c, 5)->incarnation, 42);
    ck_assert_int_eq(cache_cells_state(c, 6), CACHE_CELL_OURS);
    ck_assert_uint_eq(cache_cells_count(c, CACHE_CELL_THEIRS), 1);
    ck_assert_uint_eq(cache_cells_count(c, CACHE_CELL_OURS), 1);
    ck_assert_uint_eq(cache_cells_count(c, CACHE_CELL_ASKED), 0);
    ck_assert_uint_eq(cache_cells_foreign(c), 1);
    ck_assert(set(5, CACHE_CELL_UNKNOWN));
    ck_assert_ptr_null(cache_cells_find(c, 5));
    ck_assert_uint_eq(cache_cells_foreign(c), 0);
}
END_TEST

/* Of the log's objects, say, which nobody has claimed again yet. */
START_TEST(what_is_in_memory_or_waited_for_stays)
{
    ck_assert(cache_cells_set_first(c, 5, 77, 3));
    ck_assert(cache_cells_set_first(c, 5, 78, 4));
    ck_assert_int_eq(cache_cells_state(c, 5), CACHE_CELL_UNKNOWN);
    ck_assert_uint_eq(cache_cells_find(c, 5)->first, 78);
    ck_assert_uint_eq(cache_cells_find(c, 5)->used_s, 3);
    ck_assert(set(5, CACHE_CELL_LOST));
    ck_assert_uint_eq(cache_cells_foreign(c), 0); /* not to be forgotten */
    ck_assert(cache_cells_wait(c, 5));
    ck_assert(cache_cells_set_first(c, 5, 0, 4));
    ck_assert_uint_eq(cache_cells_foreign(c), 0);
    ck_assert(set(5, CACHE_CELL_UNKNOWN));
    ck_assert_uint_eq(cache_cells_find(c, 5)->waiting, 1);
    cache_cells_wait_end(c, 5);
    ck_assert_ptr_null(cache_cells_find(c, 5));
}
END_TEST

START_TEST(no_more_wait_than_can_be_counted)
{
    set(5, CACHE_CELL_ASKED);
    for (unsigned i = 0; i < CACHE_CELLS_WAITING_MAX; i++)
        MUST(cache_cells_wait(c, 5));
    ck_assert(!cache_cells_wait(c, 5));
    ck_assert_uint_eq(cache_cells_find(c, 5)->waiting, CACHE_CELLS_WAITING_MAX);
    cache_cells_wait_end(c, 5);
    ck_assert(cache_cells_wait(c, 5));
}
END_TEST

/* A release and a claim again carry it; of what is not ours none is known. */
START_TEST(the_number_of_a_claim_is_known_while_it_stands)
{
    set(5, CACHE_CELL_ASKED);
    cache_cells_set_number(c, 5, 9);
    ck_assert_uint_eq(cache_cells_find(c, 5)->number, 0);
    set(5, CACHE_CELL_OURS);
    ck_assert_uint_eq(cache_cells_find(c, 5)->number, 0);
    cache_cells_set_number(c, 5, UINT64_MAX);
    set(5, CACHE_CELL_HELD);
    ck_assert_uint_eq(cache_cells_find(c, 5)->number, UINT64_MAX);
    set(5, CACHE_CELL_OURS);
    set(5, CACHE_CELL_LEAVING);
    ck_assert_uint_eq(cache_cells_find(c, 5)->number, UINT64_MAX);
    set(5, CACHE_CELL_THEIRS);
    ck_assert_uint_eq(cache_cells_find(c, 5)->number, 0);
    set(5, CACHE_CELL_OURS);
    ck_assert_uint_eq(cache_cells_find(c, 5)->number, 0);
}
END_TEST

/* ---- who uses it ---- */

static uint32_t use(unsigned times, uint32_t from)
{
    for (unsigned i = 0; i < times; i++)
        MUST(cache_cells_use(c, 5, from, 20 + i)->used_s == 20 + i);
    return cache_cells_elsewhere(cache_cells_find(c, 5));
}

START_TEST(it_is_known_when_the_last_commands_all_came_from_one_node)
{
    set(5, CACHE_CELL_OURS);
    ck_assert_uint_eq(use(CACHE_CELLS_STREAK - 1, 9), 0);
    ck_assert_uint_eq(use(1, 9), 9);
    ck_assert_uint_eq(use(100, 9), 9);
    ck_assert_uint_eq(use(1, 0), 0); /* a client here */
    ck_assert_uint_eq(use(CACHE_CELLS_STREAK, 0), 0);
    ck_assert_uint_eq(use(CACHE_CELLS_STREAK - 1, 9), 0);
    ck_assert_uint_eq(use(1, 8), 0);
    ck_assert_uint_eq(use(CACHE_CELLS_STREAK - 1, 8), 8);
}
END_TEST

START_TEST(who_used_it_is_known_while_it_is_ours)
{
    set(5, CACHE_CELL_OURS);
    ck_assert_uint_eq(use(CACHE_CELLS_STREAK, 9), 9);
    set(5, CACHE_CELL_HELD);
    ck_assert_uint_eq(use(1, 9), 0); /* not to be given up now */
    set(5, CACHE_CELL_OURS);
    ck_assert_uint_eq(cache_cells_elsewhere(cache_cells_find(c, 5)), 9);
    set(5, CACHE_CELL_LEAVING);
    set(5, CACHE_CELL_OURS);
    ck_assert_uint_eq(cache_cells_elsewhere(cache_cells_find(c, 5)), 0);
    cache_cells_set(c, 5, CACHE_CELL_THEIRS, 3, 1);
    ck_assert_uint_eq(use(40, 9), 0);
    ck_assert_uint_eq(cache_cells_find(c, 5)->incarnation, 3); /* whose it is, not who used it */
    cache_cells_set(c, 5, CACHE_CELL_LOST, 4, 1);
    ck_assert_uint_eq(use(40, 9), 0);
    ck_assert_uint_eq(cache_cells_find(c, 5)->incarnation, 4);
}
END_TEST

/* ---- foreign ones ---- */

static void start_with(size_t foreign_max)
{
    cache_cells_free(c);
    c = cache_cells_new(foreign_max);
}

START_TEST(foreign_cells_are_bounded_and_the_old_ones_go)
{
    start_with(1000);
    for (uint32_t i = 0; i < 1000; i++)
        MUST(cache_cells_set(c, hash_of(i), CACHE_CELL_OURS, 0, 0));
    for (uint32_t i = 1000; i < 51000; i++) {
        MUST(cache_cells_set(c, hash_of(i), i % 2 ? CACHE_CELL_THEIRS : CACHE_CELL_LOST, 3, i));
        MUST(cache_cells_foreign(c) == (i < 2000 ? i - 999 : 1000));
        MUST(cache_cells_find(c, hash_of(i)) != NULL); /* never the newest one goes */
    }
    size_t late = 0, old = 0;
    for (uint32_t i = 1000; i < 51000; i++)
        *(i < 46000 ? &old : &late) += cache_cells_find(c, hash_of(i)) != NULL;
    ck_assert_uint_eq(late + old, 1000);
    ck_assert_uint_gt(late, 900); /* exactly the oldest would cost a list */
    for (uint32_t i = 0; i < 1000; i++)
        MUST(cache_cells_state(c, hash_of(i)) == CACHE_CELL_OURS);
}
END_TEST

START_TEST(what_is_needed_is_not_forgotten_for_a_foreign_one)
{
    start_with(1);
    cache_cells_set(c, hash_of(0), CACHE_CELL_THEIRS, 3, 1);
    cache_cells_wait(c, hash_of(0));
    cache_cells_set(c, hash_of(1), CACHE_CELL_THEIRS, 3, 2);
    cache_cells_set_first(c, hash_of(1), 5, 2);
    cache_cells_set(c, hash_of(2), CACHE_CELL_THEIRS, 3, 3);
    ck_assert_uint_eq(cache_cells_foreign(c), 1);
    cache_cells_set(c, hash_of(3), CACHE_CELL_LOST, 3, 4); /* in the place of 2 */
    ck_assert_ptr_null(cache_cells_find(c, hash_of(2)));
    cache_cells_wait_end(c, hash_of(0)); /* one of the two goes */
    ck_assert_uint_eq(cache_cells_foreign(c), 1);
    ck_assert_uint_eq(
        cache_cells_count(c, CACHE_CELL_THEIRS) + cache_cells_count(c, CACHE_CELL_LOST), 2);
    start_with(0);
    ck_assert(cache_cells_set(c, hash_of(0), CACHE_CELL_THEIRS, 3, 1));
    ck_assert_ptr_null(cache_cells_find(c, hash_of(0)));
}
END_TEST

START_TEST(a_hand_forgets_by_age)
{
    for (uint32_t i = 0; i < 3000; i++) {
        MUST(cache_cells_set(c, hash_of(i), CACHE_CELL_THEIRS, 3, i));
        MUST(cache_cells_set(c, hash_of(i + 10000), CACHE_CELL_OURS, 0, i));
    }
    cache_cells_use(c, hash_of(7), 0, 5000);
    cache_cells_wait(c, hash_of(8));
    size_t forgotten = 0, calls = 0;
    for (; forgotten < 998; calls++) {
        size_t now = cache_cells_forget(c, 1000);
        ck_assert_uint_le(now, CACHE_CELLS_HAND_MAX);
        forgotten += now;
        ck_assert_uint_lt(calls, 100);
    }
    for (unsigned i = 0; i < 100; i++)
        ck_assert_uint_eq(cache_cells_forget(c, 1000), 0);
    ck_assert_ptr_nonnull(cache_cells_find(c, hash_of(7)));
    ck_assert_ptr_nonnull(cache_cells_find(c, hash_of(8)));
    ck_assert_uint_eq(cache_cells_foreign(c), 2001);
    ck_assert_uint_eq(cache_cells_count(c, CACHE_CELL_OURS), 3000);
}
END_TEST

/* ---- walks ---- */

START_TEST(a_walk_sees_all_in_order_in_portions)
{
    struct cache_cells_walk walk = {0};
    struct cache_cells_entry out[7];
    size_t seen = 0, ours = 0;
    uint64_t before = 0;
    ck_assert_uint_eq(cache_cells_page(c, &walk, ~0u, out, 7), 0);
    ck_assert(walk.end);
    for (uint32_t i = 0; i < 5000; i++)
        MUST(cache_cells_set(c, hash_of(i), i % 5 ? CACHE_CELL_ASKED : CACHE_CELL_OURS, 0, 0));
    set(0, CACHE_CELL_OURS);
    set(UINT64_MAX, CACHE_CELL_OURS);
    for (walk = (struct cache_cells_walk){0}; !walk.end;) {
        size_t count = cache_cells_page(c, &walk, CACHE_CELLS_OF(CACHE_CELL_OURS), out, 7);
        MUST(count == 7 || walk.end);
        for (size_t i = 0; i < count; i++, before = out[i - 1].cell)
            MUST(out[i].state == CACHE_CELL_OURS && (ours++ == 0 || out[i].cell > before));
    }
    ck_assert_uint_eq(ours, 1002);
    ck_assert_uint_eq(cache_cells_page(c, &walk, ~0u, out, 7), 0); /* it stays at its end */
    for (walk = (struct cache_cells_walk){0}; !walk.end;)
        seen += cache_cells_page(c, &walk, ~0u, out, 7);
    ck_assert_uint_eq(seen, 5002);
}
END_TEST

/* Of many that are not asked for, a call passes only so many. */
START_TEST(a_page_is_bounded)
{
    struct cache_cells_walk walk = {0};
    struct cache_cells_entry out[1];
    unsigned calls = 0;
    for (uint32_t i = 0; i < 3 * CACHE_CELLS_SEEN_MAX; i++)
        MUST(cache_cells_set(c, hash_of(i), CACHE_CELL_OURS, 0, 0));
    for (; !walk.end; calls++)
        MUST(cache_cells_page(c, &walk, CACHE_CELLS_OF(CACHE_CELL_HELD), out, 1) == 0);
    ck_assert_uint_ge(calls, 3);
    ck_assert_uint_le(calls, 4);
}
END_TEST

/* ---- beside an array ---- */

#define CELLS 3000

static struct {
    uint64_t cell;
    struct cache_cells_entry e; /* as it should be */
    bool seen, stays;
} model[CELLS];

static bool is_there(size_t i)
{
    return model[i].e.state != CACHE_CELL_UNKNOWN || model[i].e.first != 0 ||
           model[i].e.waiting > 0;
}

/* A third anywhere, a third in one part's last places, a third in very few places. */
static void make_model(void)
{
    memset(model, 0, sizeof model);
    for (size_t i = 0; i < CELLS; i++) {
        uint64_t cell = hash_of(i);
        model[i].cell = i % 3 == 0   ? cell
                        : i % 3 == 1 ? UINT64_C(0x55ffffff00000000) | cell >> 32
                                     : UINT64_C(0xffffffffff000000) | (cell & SHORT);
    }
    model[0].cell = 0;
    model[1].cell = UINT64_MAX;
}

static void expect_cell(size_t i)
{
    const struct cache_cells_entry *e = cache_cells_find(c, model[i].cell), *want = &model[i].e;
    MUST((e != NULL) == is_there(i));
    if (e == NULL)
        return;
    MUST(e->cell == model[i].cell && e->state == want->state && e->first == want->first);
    MUST(e->waiting == want->waiting && e->used_s == want->used_s && e->number == want->number);
    bool others = want->state == CACHE_CELL_THEIRS || want->state == CACHE_CELL_LOST;
    MUST(!others || e->incarnation == want->incarnation);
}

static void expect_all(void)
{
    size_t counts[CACHE_CELL_STATE_COUNT] = {0}, foreign = 0;
    for (size_t i = 0; i < CELLS; i++) {
        const struct cache_cells_entry *want = &model[i].e;
        expect_cell(i);
        counts[want->state] += is_there(i);
        foreign += (want->state == CACHE_CELL_THEIRS || want->state == CACHE_CELL_LOST) &&
                   want->first == 0 && want->waiting == 0;
    }
    for (unsigned s = 0; s < CACHE_CELL_STATE_COUNT; s++)
        MUST(cache_cells_count(c, (enum cache_cell_state)s) == counts[s]);
    MUST(cache_cells_foreign(c) == foreign);
    MUST(short_memory_is(at_start, cache_cells_bytes(c)));
}

static bool is_claimed(unsigned state)
{
    return state == CACHE_CELL_OURS || state == CACHE_CELL_HELD || state == CACHE_CELL_LEAVING;
}

static void step_counts(size_t i, uint32_t r, uint32_t now)
{
    struct cache_cells_entry *want = &model[i].e;
    bool was = is_there(i);
    if (r == 0 && cache_cells_set_first(c, model[i].cell, now, now)) {
        want->first = now;
        want->used_s = was ? want->used_s : now;
    } else if (r == 0) {
        MUST(!was);
    } else if (r == 1) {
        MUST(cache_cells_set_first(c, model[i].cell, 0, now));
        want->first = 0;
    } else if (r == 2) {
        MUST(cache_cells_wait(c, model[i].cell) == was);
        want->waiting += was;
    } else if (r == 3) {
        cache_cells_wait_end(c, model[i].cell);
        want->waiting -= want->waiting > 0;
    } else if (r == 4) {
        MUST((cache_cells_use(c, model[i].cell, 1, now) != NULL) == was);
        want->used_s = was ? now : want->used_s;
    } else if (r == 5) {
        cache_cells_set_number(c, model[i].cell, now);
        want->number = is_claimed(want->state) ? now : want->number;
    }
}

static void step_state(size_t i, enum cache_cell_state state, uint32_t now)
{
    struct cache_cells_entry *want = &model[i].e;
    bool was = is_there(i);
    if (!cache_cells_set(c, model[i].cell, state, now, now)) {
        MUST(!was && state != CACHE_CELL_UNKNOWN);
        return;
    }
    want->state = state & 7u;
    want->number = is_claimed(state) ? want->number : 0;
    want->used_s = was ? want->used_s : now;
    if (state == CACHE_CELL_THEIRS || state == CACHE_CELL_LOST)
        want->incarnation = now;
}

/* `fills`: of a hundred, how many steps set a state that is not UNKNOWN. */
static void steps(unsigned count, uint32_t fills, bool fails)
{
    for (unsigned turn = 1; turn <= count; turn++) {
        size_t i = cache_random(CELLS);
        uint32_t r = cache_random(12);
        if (fails && turn % 3 == 0)
            short_memory_fail(1 + cache_random(2), cache_random(2) == 0);
        if (r < 6)
            step_counts(i, r, turn);
        else if (cache_random(100) < fills)
            step_state(i, 1 + cache_random(CACHE_CELL_STATE_COUNT - 1), turn);
        else
            step_state(i, CACHE_CELL_UNKNOWN, turn);
        short_memory_fail(0, false);
        expect_cell(i);
        if (turn % 1000 == 0)
            expect_all();
    }
}

START_TEST(it_is_what_an_array_would_be)
{
    make_model();
    steps(20000, 90, true);
    steps(20000, 30, true);
    steps(20000, 95, false);
    expect_all();
    size_t full = cache_cells_bytes(c);
    for (size_t i = 0; i < CELLS; i++) {
        step_counts(i, 1, 0);
        while (model[i].e.waiting > 0)
            step_counts(i, 3, 0);
        step_state(i, CACHE_CELL_UNKNOWN, 0);
        if (i % 100 == 0)
            expect_all();
    }
    expect_all();
    MUST(cache_cells_bytes(c) < full / 8);
}
END_TEST

/* What is there all the while is seen once, and nothing twice; what comes and goes, at most once. */
START_TEST(a_walk_holds_while_the_table_changes)
{
    struct cache_cells_entry out[16];
    make_model();
    steps(10000, 90, false);
    for (unsigned round = 0; round < 20; round++) {
        struct cache_cells_walk walk = {0};
        for (size_t i = 0; i < CELLS; i++) {
            model[i].seen = false;
            model[i].stays = is_there(i);
        }
        while (!walk.end) {
            size_t count = cache_cells_page(c, &walk, ~0u, out, 1 + cache_random(16));
            for (size_t j = 0; j < count; j++) {
                size_t i = 0;
                while (model[i].cell != out[j].cell)
                    i++;
                MUST(!model[i].seen && is_there(i));
                model[i].seen = true;
            }
            for (unsigned n = 0; n < 8; n++) {
                size_t i = cache_random(CELLS);
                step_state(i, cache_random(CACHE_CELL_STATE_COUNT), round);
                model[i].stays = model[i].stays && is_there(i);
            }
        }
        for (size_t i = 0; i < CELLS; i++)
            MUST(!model[i].stays || model[i].seen);
    }
}
END_TEST

START_TEST(memory_is_what_was_said)
{
    size_t empty = cache_cells_bytes(c), least = SIZE_MAX, most = 0;
    for (uint32_t i = 0; i < 200000; i++) {
        MUST(cache_cells_set(c, hash_of(i), CACHE_CELL_OURS, 0, 0));
        size_t each = (cache_cells_bytes(c) - empty) / (i + 1);
        if (i > 50000 && each < least)
            least = each;
        if (i > 50000 && each > most)
            most = each;
    }
    ck_assert_uint_ge(least, 36);
    ck_assert_uint_le(most, 45);
    ck_assert_uint_eq(cache_cells_count(c, CACHE_CELL_OURS), 200000);
}
END_TEST

START_TEST(without_memory_nothing_changes)
{
    short_memory_fail(1, true);
    MUST(cache_cells_new(1) == NULL);
    MUST(!set(5, CACHE_CELL_ASKED));
    MUST(!cache_cells_set_first(c, 5, 1, 1));
    MUST(cache_cells_set_first(c, 5, 0, 1));
    short_memory_fail(0, false);
    MUST(cache_cells_find(c, 5) == NULL);
    MUST(set(5, CACHE_CELL_ASKED));
    short_memory_fail(1, true);
    MUST(set(5, CACHE_CELL_OURS)); /* it has its place */
    MUST(set(5, CACHE_CELL_UNKNOWN));
    short_memory_fail(0, false);
    ck_assert_uint_eq(cache_cells_count(c, CACHE_CELL_UNKNOWN), 0);
}
END_TEST

SUITE_MAIN_WITH("cache_cells", set_up, tear_down, nothing_is_known_at_first,
                a_cell_is_what_it_was_set_to, what_is_in_memory_or_waited_for_stays,
                no_more_wait_than_can_be_counted, the_number_of_a_claim_is_known_while_it_stands,
                it_is_known_when_the_last_commands_all_came_from_one_node,
                who_used_it_is_known_while_it_is_ours,
                foreign_cells_are_bounded_and_the_old_ones_go,
                what_is_needed_is_not_forgotten_for_a_foreign_one, a_hand_forgets_by_age,
                a_walk_sees_all_in_order_in_portions, a_page_is_bounded,
                it_is_what_an_array_would_be, a_walk_holds_while_the_table_changes,
                memory_is_what_was_said, without_memory_nothing_changes)
