/*
 * test_cache_manager_rescue.c: the master takes over what a lost node has left (workers/cache/manager/
 * cache_manager_rescue.c): page by page, whatever store and Redis say meanwhile. Store and Redis are the test's.
 */
#include "common/clock.h"
#include "test/unit/cache/manager_fixture.h"

#include <stdio.h>

/* Of incarnation 9, mark 900. */
#define FIRST_PAGE "9 0"

static struct managed_page page;

static void begin(void)
{
    managed_lose(9);
    manager_rescue(&managed);
    managed_expect(CACHE_RING_COPIES, FIRST_PAGE);
}

/* Its pause is over. */
static void again(void)
{
    managed.rescue.again_ms = clock_mono_ms();
    manager_rescue(&managed);
}

static void put_is(const char *key, uint64_t version, const char *value)
{
    const struct fake_call *put = fake_find(FAKE_PUT, key);
    ck_assert_ptr_nonnull(put);
    ck_assert_uint_eq(put->meta.version, version);
    ck_assert(put->meta.deleted == (value == NULL));
    ck_assert_int_eq(put->meta.expiry_ms, INT64_MAX);
    ck_assert(slice_is(put->value, value != NULL ? value : ""));
}

static void not_stored(const char *key, enum backing_result result, const char *why)
{
    fake_answer(fake_find(FAKE_PUT, key), &(struct backing_answer){.result = result, .why = why});
}

static void trouble_has(const char *part)
{
    ck_assert_msg(strstr(managed.rescue.trouble, part) != NULL, "%s", managed.rescue.trouble);
}

START_TEST(all_is_stored_then_it_is_struck_out)
{
    begin();
    managed_page_object(&page, "k1", 5, "value");
    managed_page_object(&page, "k2", 6, NULL);
    managed_answer_page(&page, 900, true, "0");
    put_is("k1", 5, "value");
    put_is("k2", 6, NULL);
    fake_stored("k2");
    ck_assert_uint_eq(managed_calls(), 0);
    fake_stored("k1");
    managed_expect(CACHE_RING_DROP, "9 900 k2 6 k1 5");
    managed_answer(CACHE_RING_OK, 2);
    managed_expect(CACHE_RING_FORGET, "9 900 0");
    managed_answer(CACHE_RING_OK);
    ck_assert_uint_eq(managed_done.forgotten, 9);
    ck_assert_uint_eq(managed_done.frees, 1);
    ck_assert_uint_eq(managed_done.beats, 1);
    ck_assert(!managed.rescue.running);
    ck_assert_str_eq(managed.rescue.trouble, "");
    manager_rescue(&managed);
    ck_assert_uint_eq(managed_calls(), 0);
}
END_TEST

START_TEST(pages_come_one_after_the_other)
{
    begin();
    managed_page_object(&page, "k1", 5, "1");
    managed_answer_page(&page, 900, true, "17");
    fake_stored("k1");
    managed_answer(CACHE_RING_OK, 1);
    managed_expect(CACHE_RING_COPIES, "9 17");
    managed_answer_page(&page, 900, true, "18"); /* with nothing in it */
    managed_expect(CACHE_RING_COPIES, "9 18");
    managed_page_object(&page, "k2", 6, "2");
    managed_answer_page(&page, 900, true, "0");
    fake_stored("k2");
    managed_expect(CACHE_RING_DROP, "9 900 k2 6");
    managed_answer(CACHE_RING_OK, 1);
    managed_expect(CACHE_RING_FORGET, "9 900 0");
}
END_TEST

START_TEST(who_has_left_nothing_is_struck_out)
{
    begin();
    managed_answer_page(&page, 900, true, "0");
    managed_expect(CACHE_RING_FORGET, "9 900 0");
}
END_TEST

/* The store has it from somebody who was given the cell later. */
START_TEST(what_is_older_than_the_stores_is_dropped)
{
    begin();
    managed_page_object(&page, "k", 5, "old");
    managed_answer_page(&page, 900, true, "0");
    fake_answer(fake_find(FAKE_PUT, "k"),
                &(struct backing_answer){.result = BACKING_NEWER, .meta = {.version = 6}});
    managed_expect(CACHE_RING_DROP, "9 900 k 5");
    managed_answer(CACHE_RING_OK, 1);
    managed_expect(CACHE_RING_FORGET, "9 900 0");
}
END_TEST

/* What was stored is dropped, and with the rest the node stays, is told of, and tried again. */
START_TEST(what_is_not_stored_stays)
{
    begin();
    managed_page_object(&page, "k1", 5, "1");
    managed_page_object(&page, "k2", 6, "2");
    managed_answer_page(&page, 900, true, "0");
    not_stored("k1", BACKING_AWAY, "no route to the store");
    fake_stored("k2");
    managed_expect(CACHE_RING_DROP, "9 900 k2 6");
    managed_answer(CACHE_RING_OK, 1);
    ck_assert_uint_eq(managed_calls(), 0);
    trouble_has(
        "cache/c/node.2 of host front2 is lost, and 1 objects that it wrote are not stored: "
        "no route to the store (");
    ck_assert_uint_eq(managed_done.forgotten, 0);
    ck_assert_uint_eq(managed.rescue.refused_of, 0);
    manager_rescue(&managed); /* not at once */
    ck_assert_uint_eq(managed_calls(), 0);
    again();
    managed_expect(CACHE_RING_COPIES, FIRST_PAGE);
    managed_page_object(&page, "k1", 5, "1");
    managed_answer_page(&page, 900, true, "0");
    fake_stored("k1");
    managed_answer(CACHE_RING_OK, 1);
    managed_expect(CACHE_RING_FORGET, "9 900 0");
    trouble_has("front2");
    managed_answer(CACHE_RING_OK);
    ck_assert_str_eq(managed.rescue.trouble, "");
}
END_TEST

START_TEST(pauses_grow_up_to_the_stores)
{
    uint64_t last = 0;
    begin();
    for (unsigned i = 0; i < 20; i++) {
        managed_page_object(&page, "k", 5, "v");
        managed_answer_page(&page, 900, true, "0");
        not_stored("k", BACKING_AWAY, "away");
        uint64_t pause = managed.rescue.again_ms - clock_mono_ms();
        ck_assert_uint_le(pause, 2000);
        ck_assert(pause > last || last > 1000);
        last = pause;
        again();
    }
}
END_TEST

/* Only when nothing else is left may a person throw it away. */
START_TEST(what_the_store_refuses_for_good)
{
    begin();
    managed_page_object(&page, "k1", 5, "1");
    managed_page_object(&page, "k2", 6, "2");
    managed_answer_page(&page, 900, true, "0");
    not_stored("k1", BACKING_REFUSED, "name too long");
    not_stored("k2", BACKING_AWAY, "away");
    trouble_has("2 objects that it wrote are not stored: name too long (");
    ck_assert_uint_eq(managed.rescue.refused_of, 0);
    again();
    managed_page_object(&page, "k1", 5, "1");
    managed_page_object(&page, "k2", 6, "2");
    managed_answer_page(&page, 900, true, "0");
    not_stored("k1", BACKING_REFUSED, "name too long");
    fake_stored("k2");
    managed_answer(CACHE_RING_OK, 1);
    ck_assert_uint_eq(managed.rescue.refused_of, 9);
    ck_assert_uint_eq(managed_calls(), 0);
    again();
    managed_page_object(&page, "k1", 5, "1");
    managed_answer_page(&page, 900, true, "0");
    not_stored("k1", BACKING_AWAY, "away");
    ck_assert_uint_eq(managed.rescue.refused_of, 0);
}
END_TEST

START_TEST(a_copy_that_is_none_stays)
{
    begin();
    managed_page_put(&page, "k1", 5, slice_of("short"));
    managed_page_object(&page, "k2", 6, "2");
    managed_answer_page(&page, 900, true, "0");
    ck_assert_uint_eq(fake_waiting(FAKE_PUT), 1);
    fake_stored("k2");
    managed_expect(CACHE_RING_DROP, "9 900 k2 6");
    managed_answer(CACHE_RING_OK, 1);
    ck_assert_uint_eq(managed_calls(), 0);
    trouble_has("no node of platoon's");
}
END_TEST

START_TEST(memory_is_short)
{
    begin();
    fake.short_of_memory = true;
    managed_page_object(&page, "k", 5, "v");
    managed_answer_page(&page, 900, true, "0");
    ck_assert_uint_eq(managed_calls(), 0);
    trouble_has("out of memory");
    fake.short_of_memory = false;
    again();
    managed_expect(CACHE_RING_COPIES, FIRST_PAGE);
}
END_TEST

/* ---- it comes back ---- */

static void nothing_more(void)
{
    ck_assert_uint_eq(managed_calls(), 0);
    ck_assert_uint_eq(fake_waiting(FAKE_PUT), 0);
    ck_assert(!managed.rescue.running);
    ck_assert_str_eq(managed.rescue.trouble, "");
    ck_assert_uint_eq(managed_done.forgotten, 0);
}

START_TEST(it_is_back_before_its_page)
{
    begin();
    managed_page_object(&page, "k", 5, "v");
    managed_answer_page(&page, 901, false, "0");
    nothing_more();
}
END_TEST

START_TEST(it_is_lost_anew_before_its_page)
{
    begin();
    managed_page_object(&page, "k", 5, "v");
    managed_answer_page(&page, 902, true, "0");
    nothing_more();
}
END_TEST

START_TEST(it_is_back_before_the_drop)
{
    begin();
    managed_page_object(&page, "k", 5, "v");
    managed_answer_page(&page, 900, true, "0");
    fake_stored("k");
    managed_answer(CACHE_RING_MOVED);
    nothing_more();
}
END_TEST

START_TEST(it_is_back_before_it_is_struck_out)
{
    begin();
    managed_answer_page(&page, 900, true, "0");
    managed_answer(CACHE_RING_MOVED);
    nothing_more();
    ck_assert_uint_eq(managed_done.beats, 1); /* which says what is so */
}
END_TEST

START_TEST(another_one_has_done_it)
{
    begin();
    managed_answer(CACHE_RING_MOVED);
    nothing_more();
}
END_TEST

/* ---- Redis ---- */

START_TEST(no_answer_at_any_step)
{
    begin();
    managed_unheard();
    trouble_has("what it wrote is not stored: no Redis there");
    again();
    managed_page_object(&page, "k", 5, "v");
    managed_answer_page(&page, 900, true, "0");
    fake_stored("k");
    managed_unheard();
    trouble_has("no Redis there");
    again();
    managed_answer_page(&page, 900, true, "0"); /* it was dropped all the same */
    managed_expect(CACHE_RING_FORGET, "9 900 0");
    managed_unheard();
    trouble_has("no Redis there");
    again();
    managed_answer(CACHE_RING_MOVED); /* it was struck out */
    nothing_more();
}
END_TEST

START_TEST(what_redis_has_refused_is_told)
{
    begin();
    snprintf(managed.errors[CACHE_RING_COPIES], MANAGER_ERROR_SIZE, "OOM command not allowed");
    managed_unheard();
    trouble_has("is not stored: OOM command not allowed");
}
END_TEST

START_TEST(answers_that_are_none)
{
    begin();
    managed_answer_bytes(slice_of("\xc1"));
    trouble_has("garbled");
    again();
    managed_page_object(&page, "k", 5, "v");
    managed_answer_page(&page, 900, true, "0");
    fake_stored("k");
    managed_answer_bytes(slice_of("\xc1"));
    trouble_has("garbled");
    again();
    managed_answer_page(&page, 900, true, "0");
    managed_answer_bytes(slice_of("\xc1"));
    trouble_has("garbled");
    ck_assert_uint_eq(managed_done.garbled, 3);
}
END_TEST

/* Its end is missing: what is there is stored, and the node stays. */
START_TEST(a_list_that_breaks_off)
{
    begin();
    managed_page_object(&page, "k1", 5, "1");
    pack_bin(&page.list, slice_of("k2"));
    pack_bin(&page.list, slice_of("no version"));
    page.count += 2;
    managed_answer_page(&page, 900, true, "0");
    fake_stored("k1");
    managed_expect(CACHE_RING_DROP, "9 900 k1 5");
    managed_answer(CACHE_RING_OK, 1);
    ck_assert_uint_eq(managed_calls(), 0);
    trouble_has("no list of copies");
}
END_TEST

START_TEST(copies_that_came_meanwhile)
{
    begin();
    managed_answer_page(&page, 900, true, "0");
    managed_answer(CACHE_RING_COPIED, 1);
    trouble_has("it goes on");
    again();
    managed_expect(CACHE_RING_COPIES, FIRST_PAGE);
}
END_TEST

START_TEST(it_cannot_be_sent)
{
    managed_lose(9);
    managed_send_rc = -1;
    manager_rescue(&managed);
    trouble_has("no Redis there");
    managed_send_rc = 0;
    again();
    managed_expect(CACHE_RING_COPIES, FIRST_PAGE);
}
END_TEST

/* ---- whose turn it is ---- */

START_TEST(another_is_master_meanwhile)
{
    begin();
    managed_page_object(&page, "k", 5, "v");
    managed_answer_page(&page, 900, true, "0");
    managed.is_master = false;
    fake_stored("k");
    nothing_more();
}
END_TEST

/* What cannot be stored of one holds up nobody else. */
START_TEST(lost_ones_have_their_turns)
{
    managed_lose(11);
    begin();
    managed_page_object(&page, "k", 5, "v");
    managed_answer_page(&page, 900, true, "0");
    not_stored("k", BACKING_AWAY, "away");
    again();
    managed_expect(CACHE_RING_COPIES, "11 0");
    managed_answer_page(&page, 1100, true, "0");
    managed_answer(CACHE_RING_OK);
    ck_assert_uint_eq(managed_done.forgotten, 11);
    again();
    managed_expect(CACHE_RING_COPIES, FIRST_PAGE);
}
END_TEST

START_TEST(one_at_a_time)
{
    begin();
    managed_lose(11);
    again();
    ck_assert_uint_eq(managed_calls(), 1);
}
END_TEST

START_TEST(who_is_there_is_left_alone)
{
    managed_lose(9)->lost = false;
    manager_rescue(&managed);
    ck_assert_uint_eq(managed_calls(), 0);
}
END_TEST

START_TEST(not_with_one_copy)
{
    managed.copies = 1;
    managed_lose(9);
    manager_rescue(&managed);
    ck_assert_uint_eq(managed_calls(), 0);
}
END_TEST

/* Nobody hears of puts that are under way. */
START_TEST(the_end)
{
    begin();
    managed_page_object(&page, "k1", 5, "1");
    managed_page_object(&page, "k2", 6, "2");
    managed_answer_page(&page, 900, true, "0");
    manager_rescue_close(&managed);
    ck_assert_uint_eq(fake.cancelled, 2);
    ck_assert_ptr_null(managed.backing);
}
END_TEST

static void tear_down(void)
{
    manager_rescue_close(&managed);
    managed_tear_down();
}

SUITE_MAIN_WITH("cache_manager_rescue", managed_set_up, tear_down,
                all_is_stored_then_it_is_struck_out, pages_come_one_after_the_other,
                who_has_left_nothing_is_struck_out, what_is_older_than_the_stores_is_dropped,
                what_is_not_stored_stays, pauses_grow_up_to_the_stores,
                what_the_store_refuses_for_good, a_copy_that_is_none_stays, memory_is_short,
                it_is_back_before_its_page, it_is_lost_anew_before_its_page,
                it_is_back_before_the_drop, it_is_back_before_it_is_struck_out,
                another_one_has_done_it, no_answer_at_any_step, what_redis_has_refused_is_told,
                answers_that_are_none, a_list_that_breaks_off, copies_that_came_meanwhile,
                it_cannot_be_sent, another_is_master_meanwhile, lost_ones_have_their_turns,
                one_at_a_time, who_is_there_is_left_alone, not_with_one_copy, the_end)
