/*
 * test_cache_second.c: what is dirty is sent to be copied, in order and again, and how far it is; what is stored is
 * dropped (workers/cache/cache_second.h). Its manager is the test's.
 */
#include "proto/cache/cache_ring_answer.h"
#include "proto/cache/cache_ring_record.h"
#include "proto/message.h"
#include "common/clock.h"
#include "test/unit/suite.h"
#include "workers/cache/cache_second.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define START_US   INT64_C(1700000000000000)
#define SAID       64
#define TIMEOUT_MS 300
#define TURNS_MS   20000

static const uint8_t hash_key[16] = {7};
static uv_loop_t loop;
static struct cache_db *db;
static struct cache_second *second;
static struct buffer composed;

/* What was sent: its message, until the test has heard it. */
static struct buffer said[SAID];
static unsigned said_first, said_count;
static bool deaf;

static struct buffer *compose(void *ctx)
{
    (void)ctx;
    buffer_clear(&composed);
    return &composed;
}

/* The log, and how far it is synced: all of it, unless the test says else. */
static uint64_t log_end, log_synced;
static unsigned log_asked;

static uint64_t end_of_log(void *ctx)
{
    (void)ctx;
    return log_end;
}

static bool is_synced(void *ctx, uint64_t end)
{
    (void)ctx;
    log_asked++;
    return log_synced >= end;
}

static bool transmit(void *ctx)
{
    (void)ctx;
    if (deaf)
        return false;
    ck_assert_uint_lt(said_count, SAID);
    struct buffer *b = &said[(said_first + said_count++) % SAID];
    buffer_clear(b);
    buffer_append_slice(b, buffer_slice(&composed));
    return true;
}

static void set_up(void)
{
    const struct cache_db_options options = {.memory_max = 256 << 20,
                                             .object_max = 4 << 20,
                                             .dirty_max = 64 << 20,
                                             .stored = true,
                                             .copied = true};
    uv_loop_init(&loop);
    db = cache_db_new(&options, hash_key);
    cache_db_begin(db, START_US, 1);
    const struct cache_second_options o = {.loop = &loop,
                                           .db = db,
                                           .timeout_ms = TIMEOUT_MS,
                                           .log_end = end_of_log,
                                           .log_synced = is_synced,
                                           .compose = compose,
                                           .send = transmit};
    log_end = log_synced = 0;
    log_asked = 0;
    second = cache_second_new(&o);
    ck_assert(db != NULL && second != NULL);
    cache_second_joined(second, 11, false);
    said_first = said_count = 0;
    deaf = false;
}

static void tear_down(void)
{
    cache_second_free(second);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    cache_db_free(db);
    buffer_fini(&composed);
    for (unsigned i = 0; i < SAID; i++)
        buffer_fini(&said[i]);
}

static void turn(void)
{
    uv_run(&loop, UV_RUN_NOWAIT);
    while (cache_second_turn(second))
        continue;
}

/*
 * Turns until it holds, TURNS_MS at most: one as soon as the loop has something, and, for what goes by the time, each
 * millisecond.
 */
static void turns_until(bool (*condition)(void))
{
    uint64_t deadline = clock_mono_ms() + TURNS_MS;
    while (!condition()) {
        ck_assert_uint_lt(clock_mono_ms(), deadline);
        poll(&(struct pollfd){.fd = uv_backend_fd(&loop), .events = POLLIN}, 1, 1);
        turn();
    }
}

static void set(const char *key, const char *value)
{
    ck_assert_int_eq(
        cache_db_set(db, slice_of(key), slice_of(value), CACHE_NEVER, CACHE_FORM_BYTES), CACHE_OK);
}

/* A request as it was heard; its list lives until SAID more were. */
struct request {
    uint64_t token, mark;
    struct slice list;
};

static uint64_t next_type(void)
{
    ck_assert_uint_gt(said_count, 0);
    struct unpack u = unpack_start(buffer_slice(&said[said_first]));
    unpack_array(&u);
    return unpack_u64(&u);
}

static struct request heard(uint64_t type)
{
    ck_assert_uint_eq(next_type(), type);
    struct unpack u = unpack_start(buffer_slice(&said[said_first]));
    said_first = (said_first + 1) % SAID;
    said_count--;
    struct message_ring_copy copy;
    struct message_ring_drop drop;
    if (type == MESSAGE_RING_COPY) {
        ck_assert(message_ring_copy_unpack(&u, &copy));
        return (struct request){copy.token, copy.mark, copy.copies};
    }
    ck_assert(message_ring_drop_unpack(&u, &drop));
    return (struct request){drop.token, drop.mark, drop.copies};
}

static void answer(struct request r, uint64_t result, const char *why)
{
    struct buffer out = BUFFER_EMPTY;
    struct message_ring_copied m = {.token = r.token, .result = result, .why = slice_of(why)};
    message_ring_copied_pack(&out, &m);
    struct unpack u = unpack_start(buffer_slice(&out));
    ck_assert(cache_second_on_message(second, MESSAGE_RING_COPIED, &u));
    buffer_fini(&out);
    turn();
}

/* Its list is exactly this: "key=value", of a drop "key", a blank behind each. */
static void ck_list(struct request r, const char *wanted)
{
    struct buffer text = BUFFER_EMPTY;
    struct cache_ring_copy copy;
    struct cache_ring_object object;
    while (cache_ring_take_copy(&r.list, &copy)) {
        buffer_append_slice(&text, copy.key);
        if (copy.record.len > 0) {
            ck_assert(cache_ring_read_record(copy.record, &object));
            buffer_append_text(&text, object.deleted ? "!" : "=");
            buffer_append_slice(&text, object.value);
        }
        buffer_append_text(&text, " ");
    }
    ck_assert_str_eq(buffer_text(&text), wanted);
    buffer_fini(&text);
}

/* The store takes what is dirty of that key. */
static void stored(const char *key)
{
    ck_assert(cache_db_ask(db, slice_of(key)));
    const struct cache_object *o = cache_db_take(db, INT64_MAX);
    ck_assert(o != NULL && slice_is(cache_object_key(o), key));
    uint64_t version = o->version;
    cache_second_drop(second, slice_of(key), version);
    ck_assert(cache_db_stored(db, slice_of(key), version, false));
}

/* ---- copying ---- */

START_TEST(a_turn_is_one_request)
{
    turn();
    ck_assert_uint_eq(said_count, 0);
    set("a", "1");
    set("b", "2");
    set("a", "3");
    ck_assert_uint_eq(cache_second_end(second), 0);
    turn();
    struct request r = heard(MESSAGE_RING_COPY);
    ck_assert_uint_eq(r.mark, 11);
    ck_list(r, "a=3 b=2 ");
    ck_assert_uint_eq(said_count, 0);
    ck_assert_uint_eq(cache_second_end(second), 0);
    answer(r, CACHE_RING_OK, "");
    ck_assert_uint_eq(cache_second_end(second), 3);
    ck_assert_uint_eq(cache_db_copied_bytes(db), 4);
}
END_TEST

START_TEST(answers_in_any_order)
{
    set("a", "1");
    turn();
    struct request first = heard(MESSAGE_RING_COPY);
    set("b", "1");
    turn();
    struct request next = heard(MESSAGE_RING_COPY);
    set("a", "2");
    answer(next, CACHE_RING_OK, "");
    ck_assert_uint_eq(cache_second_end(second), 0);
    ck_list(heard(MESSAGE_RING_COPY), "a=2 ");
    answer(first, CACHE_RING_OK, "");
    ck_assert_uint_eq(cache_second_end(second), 2);
    ck_assert_ptr_nonnull(cache_db_copy_find(db, slice_of("a"))); /* that was the older one */
}
END_TEST

START_TEST(a_deletion)
{
    bool was;
    set("a", "1");
    turn();
    answer(heard(MESSAGE_RING_COPY), CACHE_RING_OK, "");
    ck_assert_int_eq(cache_db_delete(db, slice_of("a"), &was), CACHE_OK);
    turn();
    ck_list(heard(MESSAGE_RING_COPY), "a! ");
}
END_TEST

START_TEST(many_are_several_requests)
{
    char key[16];
    for (unsigned i = 0; i < 10 * CACHE_RING_CALL_MAX; i++) {
        snprintf(key, sizeof key, "%u", i);
        set(key, "v");
    }
    turn();
    ck_assert_uint_eq(said_count, 8);
    for (unsigned i = 0; i < 10; i++) {
        struct request r = heard(MESSAGE_RING_COPY);
        struct cache_ring_copy copy;
        unsigned count = 0;
        for (struct slice list = r.list; cache_ring_take_copy(&list, &copy); count++)
            continue;
        ck_assert_uint_eq(count, CACHE_RING_CALL_MAX);
        answer(r, CACHE_RING_OK, "");
        ck_assert_uint_eq(cache_second_end(second), (i + 1) * CACHE_RING_CALL_MAX);
    }
}
END_TEST

static char large[(1 << 20) + 1];

/* What one request had has become more than one takes since. */
START_TEST(what_has_grown_goes_in_parts)
{
    memset(large, 'x', sizeof large - 1);
    set("a", "1");
    set("b", "1");
    set("c", "1");
    turn();
    struct request r = heard(MESSAGE_RING_COPY);
    set("a", large);
    set("b", large);
    cache_second_joined(second, 12, false); /* the answer is lost */
    turn();
    r = heard(MESSAGE_RING_COPY);
    ck_assert_uint_gt(r.list.len, sizeof large);
    ck_assert_uint_lt(r.list.len, 2 * sizeof large);
    while (cache_second_end(second) < cache_db_copy_end(db)) {
        answer(r, CACHE_RING_OK, "");
        if (said_count > 0)
            r = heard(MESSAGE_RING_COPY);
        ck_assert_uint_lt(r.list.len, 2 * sizeof large);
    }
    ck_assert_uint_eq(cache_db_copied_bytes(db), 2 * sizeof large + 2);
}
END_TEST

/* ---- what goes wrong ---- */

static bool says_again(void)
{
    return said_count > 0;
}

static bool late(void)
{
    return cache_second_is_late(second);
}

START_TEST(what_is_refused_is_sent_again_as_it_is_then)
{
    set("a", "1");
    set("b", "1");
    turn();
    answer(heard(MESSAGE_RING_COPY), 4, "Redis is full");
    ck_assert_uint_eq(said_count, 0);
    ck_assert_uint_eq(cache_second_end(second), 0);
    set("a", "2");
    stored("b");
    turns_until(says_again);
    unsigned copies = 0, drops = 0;
    while (said_count > 0) {
        if (next_type() == MESSAGE_RING_DROP) {
            ck_list(heard(MESSAGE_RING_DROP), "b ");
            drops++;
            turns_until(says_again);
            continue;
        }
        struct request r = heard(MESSAGE_RING_COPY);
        ck_list(r, "a=2 ");
        answer(r, CACHE_RING_OK, "");
        copies++;
    }
    ck_assert(copies > 0 && drops == 1);
    ck_assert_uint_eq(cache_second_end(second), 3);
}
END_TEST

/* Nothing of it is to be copied any more: it is over, holds up nothing, and is not looked at again. */
START_TEST(what_is_stored_while_it_waits_is_over)
{
    set("a", "1");
    turn();
    answer(heard(MESSAGE_RING_COPY), 4, "Redis is full");
    stored("a");
    set("b", "1");
    turns_until(says_again);
    for (unsigned i = 0; i < 2; i++) { /* in either order: the pause may be over by now */
        turns_until(says_again);
        bool drop = next_type() == MESSAGE_RING_DROP;
        struct request r = heard(next_type());
        ck_list(r, drop ? "a " : "b=1 ");
        answer(r, CACHE_RING_OK, "");
    }
    ck_assert_uint_eq(said_count, 0);
    ck_assert_uint_eq(cache_second_end(second), 2);
}
END_TEST

START_TEST(late_is_what_is_not_copied_in_time)
{
    ck_assert(!late());
    set("a", "1");
    ck_assert(!late());
    turn();
    struct request r = heard(MESSAGE_RING_COPY);
    ck_assert_str_eq(cache_second_trouble(second), "");
    answer(r, 4, "Redis is full");
    deaf = true;
    turns_until(late);
    ck_assert_str_eq(cache_second_trouble(second), "Redis is full");
    deaf = false;
    turns_until(says_again);
    answer(heard(MESSAGE_RING_COPY), CACHE_RING_OK, "");
    ck_assert(!late());
    ck_assert_str_eq(cache_second_trouble(second), "");
    set("b", "1"); /* its time begins now */
    ck_assert(!late());
    turn();
    ck_assert(!late());
}
END_TEST

START_TEST(in_another_session_it_is_sent_again)
{
    set("a", "1");
    turn();
    struct request old = heard(MESSAGE_RING_COPY);
    cache_second_parted(second);
    set("b", "1");
    turn();
    ck_assert_uint_eq(said_count, 0);
    cache_second_joined(second, 12, false);
    answer(old, CACHE_RING_OK, ""); /* late */
    ck_assert_uint_eq(cache_second_end(second), 0);
    struct request r = heard(MESSAGE_RING_COPY);
    ck_assert_uint_eq(r.mark, 12);
    ck_list(r, "a=1 ");
    answer(r, CACHE_RING_OK, "");
    answer(heard(MESSAGE_RING_COPY), CACHE_RING_OK, "");
    ck_assert_uint_eq(cache_second_end(second), 2);
}
END_TEST

/* Redis is another: nothing more is acknowledged before all that is dirty has a copy there. */
/* How many of its copies are none of those seen; what a search meets that was on its way may come twice. */
static unsigned first_seen(struct slice list, bool *seen, unsigned news)
{
    struct cache_ring_copy copy;
    char key[16];
    unsigned found = 0;
    while (cache_ring_take_copy(&list, &copy)) {
        ck_assert(slice_copy(copy.key, key, sizeof key));
        unsigned i = strcmp(key, "new") == 0 ? news : (unsigned)strtoul(key, NULL, 10);
        ck_assert_uint_le(i, news);
        found += !seen[i];
        seen[i] = true;
    }
    return found;
}

START_TEST(in_a_new_run_all_is_copied_first)
{
    enum { MANY = 3 * CACHE_RING_CALL_MAX / 2 };
    bool seen[MANY + 1] = {false};
    char key[16];
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(key, sizeof key, "%u", i);
        set(key, "v");
    }
    turn();
    answer(heard(MESSAGE_RING_COPY), CACHE_RING_OK, "");
    struct request old = heard(MESSAGE_RING_COPY); /* some are on their way */
    ck_assert_uint_eq(cache_second_end(second), CACHE_RING_CALL_MAX);
    set("new", "1");
    cache_second_joined(second, 12, true);
    ck_assert_uint_eq(cache_second_end(second), CACHE_RING_CALL_MAX);
    turn();
    answer(old, CACHE_RING_OK, "");
    ck_assert_uint_eq(cache_db_copied_bytes(db), 0);
    unsigned left = MANY + 1;
    while (left > 0) {
        struct request r = heard(MESSAGE_RING_COPY);
        ck_assert_uint_eq(cache_second_end(second), CACHE_RING_CALL_MAX);
        left -= first_seen(r.list, seen, MANY);
        answer(r, CACHE_RING_OK, "");
    }
    while (said_count > 0)
        answer(heard(MESSAGE_RING_COPY), CACHE_RING_OK, "");
    ck_assert_uint_eq(cache_second_end(second), cache_db_copy_end(db));
}
END_TEST

START_TEST(what_is_no_message)
{
    struct buffer out = BUFFER_EMPTY;
    message_ring_copied_pack(&out, &(struct message_ring_copied){.token = 0, .why = slice_of("")});
    struct unpack u = unpack_start(buffer_slice(&out));
    ck_assert(!cache_second_on_message(second, MESSAGE_RING_COPIED, &u));
    u = unpack_start(slice_make(out.data, out.len - 2));
    ck_assert(!cache_second_on_message(second, MESSAGE_RING_COPIED, &u));
    u = unpack_start(buffer_slice(&out));
    ck_assert(!cache_second_on_message(second, MESSAGE_RING_LEFT, &u));
    buffer_fini(&out);
}
END_TEST

/* ---- dropping ---- */

START_TEST(what_is_stored_is_dropped)
{
    set("a", "1");
    set("b", "1");
    turn();
    answer(heard(MESSAGE_RING_COPY), CACHE_RING_OK, "");
    stored("a");
    stored("b");
    ck_assert_uint_eq(cache_second_drop_end(second), 2);
    ck_assert_uint_eq(cache_second_dropped(second), 0);
    turn();
    struct request r = heard(MESSAGE_RING_DROP);
    ck_list(r, "a b ");
    ck_assert_uint_eq(cache_second_dropped(second), 0);
    answer(r, CACHE_RING_OK, "");
    ck_assert_uint_eq(cache_second_dropped(second), 2);
    ck_assert_uint_eq(said_count, 0);
}
END_TEST

START_TEST(drops_are_sent_again)
{
    cache_second_drop(second, slice_of("a"), 1);
    turn();
    answer(heard(MESSAGE_RING_DROP), 4, "");
    cache_second_drop(second, slice_of("b"), 1);
    turns_until(says_again);
    struct request r = heard(MESSAGE_RING_DROP);
    ck_list(r, "a ");
    cache_second_joined(second, 12, true);
    turn();
    answer(r, CACHE_RING_OK, ""); /* of the earlier session */
    ck_assert_uint_eq(cache_second_dropped(second), 0);
    while (said_count > 0)
        answer(heard(MESSAGE_RING_DROP), CACHE_RING_OK, "");
    ck_assert_uint_eq(cache_second_dropped(second), 2);
}
END_TEST

/* It needs none; but nothing else would say that the log has lost it. */
START_TEST(what_is_stored_uncopied_waits_for_the_log)
{
    set("a", "1");
    uint64_t end = cache_db_copy_end(db);
    log_end = 100;
    log_synced = 99;
    stored("a");
    turn();
    ck_assert_uint_lt(cache_second_end(second), end);
    log_end = 200;
    log_synced = 100;
    turn();
    ck_assert_uint_eq(cache_second_end(second), end);
}
END_TEST

/* Without its end the log would have what was there before, as clean. */
START_TEST(drops_wait_for_the_log)
{
    log_end = 100;
    cache_second_drop(second, slice_of("a"), 1);
    log_synced = 99;
    turn();
    ck_assert_uint_eq(said_count, 0);
    ck_assert_uint_gt(log_asked, 0);
    log_end = 200;
    cache_second_drop(second, slice_of("b"), 1);
    log_synced = 199;
    turn();
    struct request r = heard(MESSAGE_RING_DROP);
    ck_list(r, "a ");
    ck_assert_uint_eq(said_count, 0);
    answer(r, CACHE_RING_OK, "");
    ck_assert_uint_eq(cache_second_dropped(second), 1);
    log_synced = 200;
    turn();
    r = heard(MESSAGE_RING_DROP);
    ck_list(r, "b ");
    answer(r, CACHE_RING_OK, "");
    ck_assert_uint_eq(cache_second_dropped(second), 2);
}
END_TEST

START_TEST(drops_are_bounded)
{
    static char key[4096];
    memset(key, 'k', sizeof key - 1);
    cache_second_parted(second);
    while (!cache_second_is_full(second))
        cache_second_drop(second, slice_of(key), 1);
    ck_assert_uint_lt(cache_second_drop_end(second), 5000);
    cache_second_joined(second, 12, false);
    turn();
    ck_assert_uint_eq(said_count, 8);
    while (said_count > 0)
        answer(heard(MESSAGE_RING_DROP), CACHE_RING_OK, "");
    ck_assert(!cache_second_is_full(second));
    ck_assert_uint_eq(cache_second_dropped(second), cache_second_drop_end(second));
}
END_TEST

SUITE_MAIN_WITH("cache_second", set_up, tear_down, a_turn_is_one_request, answers_in_any_order,
                a_deletion, many_are_several_requests, what_has_grown_goes_in_parts,
                what_is_refused_is_sent_again_as_it_is_then, what_is_stored_while_it_waits_is_over,
                late_is_what_is_not_copied_in_time, in_another_session_it_is_sent_again,
                in_a_new_run_all_is_copied_first, what_is_no_message, what_is_stored_is_dropped,
                what_is_stored_uncopied_waits_for_the_log, drops_are_sent_again,
                drops_wait_for_the_log, drops_are_bounded)
