/*
 * test_cache_manager_copy.c: second copies on their way between a node and Redis (workers/cache/manager/
 * cache_manager_copy.c). Redis is the test's.
 */
#include "proto/cache/cache_ring_record.h"
#include "proto/message.h"
#include "test/unit/cache/manager_fixture.h"

#include <stdio.h>

static struct buffer list;

static void put(const char *key, uint64_t version, const char *value)
{
    cache_ring_put_copy(&list, slice_of(key), version,
                        &(struct cache_ring_object){
                            .expiry_ms = 0x3132333435363738, .form = 0, .value = slice_of(value)});
}

/* The list, in a message of that kind; what was made of it. */
static bool say(uint64_t type, uint64_t mark)
{
    struct buffer out = BUFFER_EMPTY;
    if (type == MESSAGE_RING_COPY)
        message_ring_copy_pack(&out, &(struct message_ring_copy){
                                         .token = 4, .mark = mark, .copies = buffer_slice(&list)});
    else
        message_ring_drop_pack(&out, &(struct message_ring_drop){
                                         .token = 4, .mark = mark, .copies = buffer_slice(&list)});
    struct unpack u = unpack_start(buffer_slice(&out));
    schema_peek_type(u);
    bool good = type == MESSAGE_RING_COPY ? manager_on_copy(&managed, &managed_peer, &u)
                                          : manager_on_drop(&managed, &managed_peer, &u);
    buffer_fini(&out);
    buffer_clear(&list);
    return good;
}

static bool fetch(const char *cursor)
{
    struct buffer out = BUFFER_EMPTY;
    message_ring_fetch_pack(
        &out, &(struct message_ring_fetch){.token = 4, .mark = 70, .cursor = slice_of(cursor)});
    struct unpack u = unpack_start(buffer_slice(&out));
    bool good = manager_on_fetch(&managed, &managed_peer, &u);
    buffer_fini(&out);
    return good;
}

/* The last message. */
static const struct managed_said *said(size_t count, uint64_t type, uint64_t result)
{
    ck_assert_uint_eq(managed_said_count, count);
    const struct managed_said *last = &managed_said[count - 1];
    ck_assert_uint_eq(last->type, type);
    ck_assert_uint_eq(last->token, 4);
    ck_assert_uint_eq(last->result, result);
    return last;
}

START_TEST(copies_are_kept)
{
    put("k1", 5, "value");
    put("k2", 6, "");
    ck_assert(say(MESSAGE_RING_COPY, 70));
    managed_expect(CACHE_RING_COPY, "7 70 k1 5 12345678.value k2 6 12345678.");
    ck_assert_uint_eq(managed_said_count, 0);
    managed_answer(CACHE_RING_OK);
    ck_assert_str_eq(said(1, MESSAGE_RING_COPIED, CACHE_RING_OK)->text, "");
}
END_TEST

START_TEST(copies_are_dropped)
{
    cache_ring_put_drop(&list, slice_of("k1"), 5);
    cache_ring_put_drop(&list, slice_of("k2"), 6);
    ck_assert(say(MESSAGE_RING_DROP, 70));
    managed_expect(CACHE_RING_DROP, "7 70 k1 5 k2 6");
    managed_answer(CACHE_RING_OK, 2);
    said(1, MESSAGE_RING_COPIED, CACHE_RING_OK);
}
END_TEST

START_TEST(what_redis_says_is_passed_on)
{
    put("k", 5, "v");
    ck_assert(say(MESSAGE_RING_COPY, 70));
    managed_answer(CACHE_RING_MUST_JOIN);
    said(1, MESSAGE_RING_COPIED, CACHE_RING_MUST_JOIN);
    cache_ring_put_drop(&list, slice_of("k"), 5);
    ck_assert(say(MESSAGE_RING_DROP, 70));
    managed_answer(CACHE_RING_MOVED);
    said(2, MESSAGE_RING_COPIED, CACHE_RING_MOVED);
}
END_TEST

START_TEST(no_answer_says_why)
{
    put("k", 5, "v");
    ck_assert(say(MESSAGE_RING_COPY, 70));
    managed_unheard();
    ck_assert_str_eq(said(1, MESSAGE_RING_COPIED, MANAGER_AWAY)->text, "no Redis there");
    snprintf(managed.errors[CACHE_RING_COPY], MANAGER_ERROR_SIZE, "OOM command not allowed");
    put("k", 5, "v");
    ck_assert(say(MESSAGE_RING_COPY, 70));
    managed_unheard();
    ck_assert_str_eq(said(2, MESSAGE_RING_COPIED, MANAGER_AWAY)->text, "OOM command not allowed");
    managed.look.info.evicts = true;
    put("k", 5, "v");
    managed_send_rc = -1;
    ck_assert(say(MESSAGE_RING_COPY, 70));
    ck_assert_ptr_nonnull(strstr(said(3, MESSAGE_RING_COPIED, MANAGER_AWAY)->text, "noeviction"));
}
END_TEST

START_TEST(an_answer_that_is_none)
{
    put("k", 5, "v");
    ck_assert(say(MESSAGE_RING_COPY, 70));
    managed_answer_bytes(slice_of("\xc1"));
    ck_assert_str_eq(said(1, MESSAGE_RING_COPIED, MANAGER_AWAY)->text, "garbled");
}
END_TEST

/* Of an earlier session, or while there is no Redis: at once. */
START_TEST(what_cannot_be_asked)
{
    put("k", 5, "v");
    ck_assert(say(MESSAGE_RING_COPY, 69));
    said(1, MESSAGE_RING_COPIED, CACHE_RING_MUST_JOIN);
    managed_obstacle = MANAGER_AWAY;
    put("k", 5, "v");
    ck_assert(say(MESSAGE_RING_COPY, 70));
    said(2, MESSAGE_RING_COPIED, MANAGER_AWAY);
    ck_assert(fetch("0"));
    said(3, MESSAGE_RING_FETCHED, MANAGER_AWAY);
    ck_assert_uint_eq(managed_calls(), 0);
}
END_TEST

START_TEST(a_node_that_is_gone_hears_nothing)
{
    put("k", 5, "v");
    ck_assert(say(MESSAGE_RING_COPY, 70));
    ck_assert(fetch("0"));
    managed_node_is_gone = true;
    managed_answer(CACHE_RING_OK);
    managed_unheard();
    ck_assert_uint_eq(managed_said_count, 0);
}
END_TEST

START_TEST(lists_that_are_none)
{
    ck_assert(!say(MESSAGE_RING_COPY, 70)); /* empty */
    put("k", 0, "v");
    ck_assert(!say(MESSAGE_RING_COPY, 70));
    put("k", 5, "v");
    ck_assert(!say(MESSAGE_RING_DROP, 70)); /* with a record */
    cache_ring_put_drop(&list, slice_of("k"), 5);
    ck_assert(!say(MESSAGE_RING_COPY, 70)); /* without */
    put("k", 5, "v");
    list.len--;
    ck_assert(!say(MESSAGE_RING_COPY, 70));
    put("k", 5, "v");
    buffer_append_slice(&list, slice_of("more"));
    ck_assert(!say(MESSAGE_RING_COPY, 70));
    for (unsigned i = 0; i <= CACHE_RING_CALL_MAX; i++)
        put("k", 5, "v");
    ck_assert(!say(MESSAGE_RING_COPY, 70));
    ck_assert(!fetch(""));
    ck_assert(!fetch("123456789012345678901234567890"));
    ck_assert_uint_eq(managed_calls() + managed_said_count, 0);
}
END_TEST

/* ---- what is there ---- */

static void next_copy(struct slice *rest, const char *key, uint64_t version)
{
    struct cache_ring_copy copy;
    struct cache_ring_object object;
    ck_assert(cache_ring_take_copy(rest, &copy));
    ck_assert(slice_is(copy.key, key));
    ck_assert_uint_eq(copy.version, version);
    ck_assert(cache_ring_read_record(copy.record, &object));
}

START_TEST(a_page_is_told)
{
    struct managed_page page = {0};
    ck_assert(fetch("0"));
    managed_expect(CACHE_RING_COPIES, "7 0");
    managed_page_object(&page, "k1", 5, "value");
    managed_page_object(&page, "k2", 6, NULL);
    managed_answer_page(&page, 70, false, "17");
    const struct managed_said *m = said(1, MESSAGE_RING_FETCHED, CACHE_RING_OK);
    struct slice rest = buffer_slice(&m->copies);
    ck_assert_str_eq(m->text, "17");
    next_copy(&rest, "k1", 5);
    next_copy(&rest, "k2", 6);
    ck_assert_uint_eq(rest.len, 0);
    ck_assert(fetch("17"));
    managed_expect(CACHE_RING_COPIES, "7 17");
    managed_answer_page(&page, 70, false, "0");
    m = said(2, MESSAGE_RING_FETCHED, CACHE_RING_OK);
    ck_assert_str_eq(m->text, "0");
    ck_assert_uint_eq(m->copies.len, 0);
}
END_TEST

/* Some copies of a page are large: no message has two of them. */
START_TEST(a_large_page_is_told_in_parts)
{
    static char value[(3 << 20) + 1];
    struct managed_page page = {0};
    memset(value, 'v', sizeof value - 1);
    ck_assert(fetch("0"));
    managed_page_object(&page, "a", 1, "small");
    managed_page_object(&page, "b", 2, value);
    managed_page_object(&page, "c", 3, value);
    managed_page_object(&page, "d", 4, "small");
    managed_answer_page(&page, 70, false, "17");
    ck_assert_uint_eq(managed_said_count, 4);
    for (size_t i = 0; i < 4; i++) {
        struct slice rest = buffer_slice(&managed_said[i].copies);
        next_copy(&rest, (const char *[]){"a", "b", "c", "d"}[i], i + 1);
        ck_assert_uint_eq(rest.len, 0);
        ck_assert_uint_eq(managed_said[i].token, 4);
        ck_assert_str_eq(managed_said[i].text, i < 3 ? "" : "17");
    }
}
END_TEST

START_TEST(a_page_of_another_session_is_not_told)
{
    struct managed_page page = {0};
    ck_assert(fetch("0"));
    managed_answer_page(&page, 71, false, "0");
    said(1, MESSAGE_RING_FETCHED, CACHE_RING_MUST_JOIN);
    ck_assert(fetch("0"));
    managed_answer_page(&page, 70, true, "0");
    said(2, MESSAGE_RING_FETCHED, CACHE_RING_MUST_JOIN);
    ck_assert(fetch("0"));
    managed_answer(CACHE_RING_MOVED);
    said(3, MESSAGE_RING_FETCHED, CACHE_RING_MUST_JOIN);
}
END_TEST

START_TEST(a_page_that_is_none)
{
    struct managed_page page = {0};
    ck_assert(fetch("0"));
    managed_answer_bytes(slice_of("\xc1"));
    said(1, MESSAGE_RING_FETCHED, MANAGER_AWAY);
    ck_assert(fetch("0"));
    managed_unheard();
    said(2, MESSAGE_RING_FETCHED, MANAGER_AWAY);
    managed_page_object(&page, "k1", 5, "value");
    pack_bin(&page.list, slice_of("k2"));
    pack_bin(&page.list, slice_of("no version"));
    page.count += 2;
    ck_assert(fetch("0"));
    managed_answer_page(&page, 70, false, "0");
    said(3, MESSAGE_RING_FETCHED, MANAGER_AWAY);
    ck_assert_uint_eq(managed_done.garbled, 2);
}
END_TEST

static void tear_down(void)
{
    buffer_fini(&list);
    managed_tear_down();
}

SUITE_MAIN_WITH("cache_manager_copy", managed_set_up, tear_down, copies_are_kept,
                copies_are_dropped, what_redis_says_is_passed_on, no_answer_says_why,
                an_answer_that_is_none, what_cannot_be_asked, a_node_that_is_gone_hears_nothing,
                lists_that_are_none, a_page_is_told, a_large_page_is_told_in_parts,
                a_page_of_another_session_is_not_told, a_page_that_is_none)
