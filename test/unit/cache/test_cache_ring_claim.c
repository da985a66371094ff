/* test_cache_ring_claim.c: who has a cell (claim, release, look, sweep, free), with a real Redis. */
#include "test/unit/cache/ring_fixture.h"

#include <stdlib.h>

/* Cells of every bucket, and of the first and last. */
static const uint64_t cells[] = {0,
                                 1,
                                 UINT64_C(0x000fffffffffffff),
                                 UINT64_C(0x0010000000000000),
                                 UINT64_C(0xfff0000000000000),
                                 UINT64_MAX};
#define CELLS (sizeof cells / sizeof *cells)
static struct cache_ring_owner owners[CACHE_RING_CALL_MAX];

START_TEST(who_comes_first_has_it)
{
    struct cache_ring_holder n1 = ring_node("n1", NULL), n2 = ring_node("n2", NULL);
    struct cache_ring_answer a = ring_claim(n1, cells, 3, owners);
    ck_status(a, OK);
    ck_assert_uint_gt(a.value, UINT64_C(1600000000000000)); /* Redis' clock */
    for (size_t i = 0; i < 3; i++)
        ck_assert(owners[i].state == CACHE_RING_OURS && owners[i].value == owners[0].value);
    uint64_t number = owners[0].value;
    ck_status(ring_claim(n2, cells, CELLS, owners), OK);
    for (size_t i = 0; i < 3; i++)
        ck_assert(owners[i].state == CACHE_RING_THEIRS && owners[i].value == n1.incarnation);
    for (size_t i = 3; i < CELLS; i++)
        ck_assert(owners[i].state == CACHE_RING_OURS && owners[i].value > number);
    ring_redis("HLEN %scells:000", ring.prefix);
    ck_assert_int_eq(ring.integer, 3);
    ring_redis("HLEN %scells:fff", ring.prefix);
    ck_assert_int_eq(ring.integer, 2);
}
END_TEST

START_TEST(a_lost_answer_claims_nothing_anew)
{
    struct cache_ring_holder n1 = ring_node("n1", NULL);
    ck_status(ring_claim(n1, cells, CELLS, owners), OK);
    uint64_t number = owners[0].value;
    const char *once = ring_digest();
    ck_status(ring_claim(n1, cells, CELLS, owners), OK);
    for (size_t i = 0; i < CELLS; i++)
        ck_assert(owners[i].state == CACHE_RING_OURS && owners[i].value == number);
    ck_assert_str_eq(ring_digest(), once);
}
END_TEST

START_TEST(a_cell_twice_in_a_call)
{
    struct cache_ring_holder n1 = ring_node("n1", NULL);
    const uint64_t twice[] = {5, 5};
    ck_status(ring_claim(n1, twice, 2, owners), OK);
    ck_assert(owners[0].state == CACHE_RING_OURS && owners[1].state == CACHE_RING_OURS);
    ck_assert_uint_eq(owners[0].value, owners[1].value);
}
END_TEST

START_TEST(nothing_is_granted_while_it_is_closed)
{
    struct cache_ring_member m = ring_member("n1", NULL);
    struct cache_ring_joined j;
    ring_join(&m, &j);
    struct cache_ring_answer a = ring_claim(j.who, cells, CELLS, owners);
    ck_status(a, CLOSED);
    ck_assert(a.value > 0 && a.value <= RING_LEASE_MS * 12 / 10);
    ck_status(ring_release(j.who, (const struct cache_ring_held[]){{1, 1}}, 1), CLOSED);
    ck_assert_int_eq(ring_owner(1).state, CACHE_RING_FREE_CELL);
    ring_open();
    ck_status(ring_claim(j.who, cells, CELLS, owners), OK);
}
END_TEST

/* What the time does by itself: with a lease that is as short as a test. */
START_TEST(it_opens)
{
    struct cache_ring_member m = ring_member("n1", NULL);
    struct cache_ring_joined j;
    struct cache_ring_answer a;
    m.lease_ms = 50;
    ring_join(&m, &j);
    ck_assert_uint_le(j.closed_ms, 60);
    do
        a = ring_claim(j.who, cells, CELLS, owners);
    while (a.status == CACHE_RING_CLOSED);
    ck_status(a, OK);
    ck_assert_uint_ge(a.value, j.redis_us + 60000);
}
END_TEST

/* Redis' clock was set back: it is closed for as long as it would have been, not until that time comes again. */
START_TEST(a_clock_that_is_set_back_closes_nothing_for_ever)
{
    struct cache_ring_holder n1 = ring_node("n1", NULL);
    ring_redis("HSET %sring from_us 4000000000000000", ring.prefix);
    struct cache_ring_answer a = ring_claim(n1, cells, CELLS, owners);
    ck_status(a, CLOSED);
    ck_assert_uint_eq(a.value, RING_LEASE_MS * 12 / 10);
    ring_open();
    ck_status(ring_claim(n1, cells, CELLS, owners), OK); /* and its session has gone on */
}
END_TEST

START_TEST(what_is_released_is_free)
{
    struct cache_ring_holder n1 = ring_node("n1", NULL), n2 = ring_node("n2", NULL);
    const struct cache_ring_held held[] = {{cells[0], ring_take(n1, cells[0])},
                                           {cells[5], ring_take(n1, cells[5])}};
    struct cache_ring_answer a = ring_release(n1, held, 2);
    ck_status(a, OK);
    ck_assert_uint_eq(a.value, 2);
    const char *once = ring_digest();
    a = ring_release(n1, held, 2);
    ck_status(a, OK);
    ck_assert_uint_eq(a.value, 0);
    ck_assert_str_eq(ring_digest(), once);
    ck_assert_int_eq(ring_owner(cells[0]).state, CACHE_RING_FREE_CELL);
    ck_assert_uint_gt(ring_take(n2, cells[0]), held[1].number);
}
END_TEST

START_TEST(a_late_release_frees_no_later_claim)
{
    struct cache_ring_holder n1 = ring_node("n1", NULL), n2 = ring_node("n2", NULL);
    struct cache_ring_held held = {cells[0], ring_take(n1, cells[0])};
    ck_status(ring_release(n1, &held, 1), OK);
    ring_take(n1, cells[0]);
    ck_assert_uint_eq(ring_release(n1, &held, 1).value, 0);
    ck_assert_uint_eq(ring_owner(cells[0]).value, n1.incarnation);
    ck_assert_uint_eq(ring_release(n2, &held, 1).value, 0);
    /* Nor does one of an earlier session, whatever its number. */
    held.number = ring_take(n1, cells[0]);
    ring_node("n1", NULL);
    ck_status(ring_release(n1, &held, 1), MUST_JOIN);
    ck_assert_uint_eq(ring_owner(cells[0]).value, n1.incarnation);
}
END_TEST

START_TEST(a_look_claims_nothing)
{
    struct cache_ring_holder n1 = ring_node("n1", NULL), n2 = ring_node("n2", NULL);
    ring_take(n1, cells[0]);
    ring_take(n2, cells[1]);
    ring_lose(n2);
    const char *before = ring_digest();
    ck_status(ring_look(cells, 3, owners), OK);
    ck_assert(owners[0].state == CACHE_RING_THEIRS && owners[0].value == n1.incarnation);
    ck_assert(owners[1].state == CACHE_RING_LOST_CELL && owners[1].value == n2.incarnation);
    ck_assert(owners[2].state == CACHE_RING_FREE_CELL && owners[2].value == 0);
    ck_assert_str_eq(ring_digest(), before);
}
END_TEST

START_TEST(a_full_redis_grants_nothing_new)
{
    struct cache_ring_holder n1 = ring_node("n1", NULL);
    struct cache_ring_held held = {cells[0], ring_take(n1, cells[0])};
    ring_redis("CONFIG SET maxmemory 1");
    const char *before = ring_digest();
    ck_assert_int_eq(cache_ring_claim(&ring.call, ring.run, &n1, cells, CELLS), 0);
    ck_assert_ptr_nonnull(strstr(ring_refused(), "platoon: SET platoon:{cache:c}:seq\tOOM"));
    ck_assert_str_eq(ring_digest(), before);
    ck_assert_uint_eq(ring_take(n1, cells[0]), held.number); /* what it has it has */
    ck_assert_uint_eq(ring_release(n1, &held, 1).value, 1);
}
END_TEST

/* Cells all over, so that some pages end within the walk; and one bucket that is no listpack. */
static void claim_many(struct cache_ring_holder who, uint64_t start, size_t rounds)
{
    uint64_t many[CACHE_RING_CALL_MAX];
    for (size_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < CACHE_RING_CALL_MAX; i++)
            many[i] = start = start * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        ck_status(ring_claim(who, many, CACHE_RING_CALL_MAX, owners), OK);
    }
}

static void claim_a_bucket(struct cache_ring_holder who, size_t rounds)
{
    uint64_t many[CACHE_RING_CALL_MAX];
    for (size_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < CACHE_RING_CALL_MAX; i++)
            many[i] = UINT64_C(0x7770000000000000) + round * CACHE_RING_CALL_MAX + i;
        ck_status(ring_claim(who, many, CACHE_RING_CALL_MAX, owners), OK);
    }
}

static int compare(const void *a, const void *b)
{
    const struct cache_ring_held *x = a, *y = b;
    return x->cell < y->cell ? -1 : x->cell > y->cell;
}

START_TEST(a_sweep_tells_of_all_cells)
{
    static struct cache_ring_held found[10000];
    struct cache_ring_holder n1 = ring_node("n1", NULL), n2 = ring_node("n2", NULL);
    claim_many(n1, 1, 3);
    claim_a_bucket(n1, 3);
    claim_many(n2, 2, 1);
    size_t count = ring_sweep_all(n1.incarnation, found, 10000), unique = count > 0;
    qsort(found, count, sizeof *found, compare);
    for (size_t i = 1; i < count; i++)
        unique += found[i].cell != found[i - 1].cell;
    ck_assert_uint_eq(unique, 6000);
    ck_assert_uint_eq(ring_owner(found[0].cell).value, n1.incarnation);
    ck_assert_uint_eq(ring_take(n1, found[0].cell), found[0].number);
    ck_assert_uint_eq(ring_sweep_all(n2.incarnation, found, 10000), 1000);
    ck_assert_uint_eq(ring_sweep_all(3, found, 10000), 0);
}
END_TEST

START_TEST(a_page_is_bounded)
{
    struct cache_ring_page page = {.cursor = "0"};
    struct cache_ring_holder n1 = ring_node("n1", NULL);
    ck_status(ring_sweep(1, &page), OK);
    ck_assert(page.more && page.bucket > 0 && page.bucket < CACHE_RING_BUCKETS / 8);
    claim_a_bucket(n1, 5);
    page = (struct cache_ring_page){.bucket = 0x777, .cursor = "0"};
    ck_status(ring_sweep(1, &page), OK);
    ck_assert(page.bucket == 0x777 && strcmp(page.cursor, "0") != 0);
    ck_assert(page.list.left >= 1000 && page.list.left < 2000);
}
END_TEST

/* What is left of a node that is gone is free at once, and goes page by page; nothing of another does. */
START_TEST(what_is_left_goes_page_by_page)
{
    struct cache_ring_holder n1 = ring_node("n1", NULL), n2 = ring_node("n2", NULL);
    claim_many(n1, 1, 2);
    claim_a_bucket(n1, 3);
    claim_many(n2, 2, 1);
    ck_assert_uint_eq(ring_free_all(), 0);
    struct cache_ring_holder lost = ring_lose(n1);
    ck_assert_uint_eq(ring_free_all(), 0);
    ck_status(ring_forget(lost, false), OK);
    ck_assert_int_eq(ring_owner(UINT64_C(0x7770000000000000)).state, CACHE_RING_FREE_CELL);
    ring_take(n2, UINT64_C(0x7770000000000000));
    struct cache_ring_page page = {.bucket = 0x777, .cursor = "0"}, again = page;
    ck_assert_uint_gt(ring_free(&page).value, 0);
    ck_status(ring_free(&again), OK); /* the answer was lost */
    ring_free_all();
    ck_assert_uint_eq(ring_free_all(), 0);
    ck_assert_uint_eq(ring_sweep_all(n1.incarnation, NULL, 0), 0);
    ck_assert_uint_eq(ring_sweep_all(n2.incarnation, NULL, 0), 1001);
}
END_TEST

SUITE_MAIN_WITH("cache_ring_claim", ring_set_up, ring_tear_down, who_comes_first_has_it,
                a_lost_answer_claims_nothing_anew, a_cell_twice_in_a_call,
                nothing_is_granted_while_it_is_closed, it_opens,
                a_clock_that_is_set_back_closes_nothing_for_ever, what_is_released_is_free,
                a_late_release_frees_no_later_claim, a_look_claims_nothing,
                a_full_redis_grants_nothing_new, a_sweep_tells_of_all_cells, a_page_is_bounded,
                what_is_left_goes_page_by_page)
