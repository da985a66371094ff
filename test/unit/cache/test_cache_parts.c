/* test_cache_parts.c: what a call, or the tool, wants of other nodes' objects (cache_parts.h, cache_need.h). */
#include "test/unit/cache/forward_fixture.h"

#include "common/unpack.h"
#include "test/unit/suite.h"
#include "workers/cache/cache_ask.h"
#include "workers/cache/cache_call.h"
#include "workers/cache/cache_need.h"

static struct buffer out;
static struct cache_need need;
static struct cache_parts *parts;
static int gone_on; /* times that parts were all answered */

/* k2 and j2 are node 2's, k3 is node 3's; all else is ours. */
static void set_up(void)
{
    far_set_up();
    play_owner("k2", 2);
    play_owner("j2", 2);
    play_owner("k3", 3);
    need = (struct cache_need){0};
    gone_on = 0;
}

static void forget(void)
{
    cache_parts_free(parts);
    parts = NULL;
    buffer_fini(&out);
    buffer_fini(&need.key);
}

static void tear_down(void)
{
    forget();
    far_tear_down();
}

static void on_parts(void *ctx)
{
    (void)ctx;
    gone_on++;
}

/* ---- who asks, as cache_mail.c does ---- */

typedef bool ask_fn(const char *what);

static bool call(const char *text)
{
    return cache_call(&node, slice_of(text), &out, &need);
}

/* Words with blanks between, the first the verb. */
static bool ask(const char *line)
{
    struct buffer args = BUFFER_EMPTY;
    char copy[256], *next = copy;
    snprintf(copy, sizeof copy, "%s", line);
    const char *verb = strsep(&next, " ");
    uint32_t count = 0;
    for (const char *c = line; *c != '\0'; c++)
        count += *c == ' ';
    pack_array(&args, count);
    for (char *word; (word = strsep(&next, " ")) != NULL;)
        pack_bin(&args, slice_of(word));
    enum control_status status = cache_ask(&node, slice_of(verb), buffer_slice(&args), &out, &need);
    buffer_fini(&args);
    return status == CONTROL_OK;
}

/* Asked until it is done, or its parts are out, or it is to pause. True: it is done. */
static bool asks(ask_fn *fn, const char *what)
{
    static const char *const cold[] = {"own", "my", "never", "k2"}; /* the store has none of them */
    for (int i = 0; i < 1000; i++) {
        cache_member_now(node.member);
        buffer_fini(&need.key);
        need = (struct cache_need){.parts = parts, .left_ms = 8000};
        bool done = fn(what);
        if (!need.waits)
            return done;
        if (need.refused || (need.what == CACHE_PARKED_AWAY && parts != NULL))
            return false;
        if (need.what == CACHE_PARKED_AWAY)
            parts = cache_parts_new(&node, uv_now(node.loop) + 60000, on_parts, NULL);
        else if (need.what == CACHE_PARKED_LOAD)
            cache_park_ahead(node.park, buffer_slice(&need.key));
        node_wait();
        for (size_t k = 0; k < sizeof cold / sizeof cold[0]; k++)
            if (fake_find(FAKE_GET, cold[k]) != NULL)
                fake_absent(cold[k], 0);
    }
    ck_abort_msg("%s waits for ever", what);
}

/* It is under way. */
static void goes(ask_fn *fn, const char *what)
{
    ck_assert(!asks(fn, what));
    ck_assert_msg(need.waits && !need.refused, "%s", buffer_text(&out));
    ck_assert_uint_gt(parts->out_count, 0);
}

/* All that it was sent is answered; then it is done, with that. */
static void comes(ask_fn *fn, const char *what, const char *answer)
{
    int before = gone_on;
    node_until(gone_on > before);
    ck_assert_str_eq(parts->why, "");
    ck_assert_msg(asks(fn, what), "%s: %s", what, buffer_text(&out));
    if (answer != NULL)
        ck_assert_str_eq(buffer_text(&out), answer);
}

/* It has failed. */
static void fails(const char *part)
{
    node_until(parts->out_count == 0);
    ck_says(parts->why, part);
}

static uint64_t counted(void)
{
    struct unpack u = unpack_start(buffer_slice(&out));
    ck_assert_uint_eq(unpack_map(&u), 1);
    ck_assert(slice_is(unpack_bytes(&u), "count"));
    return unpack_u64(&u);
}

/* ---- calls ---- */

static void one_call(const char *text, const char *heard, const char *said, const char *answer)
{
    goes(call, text);
    ck_heard(2, heard);
    far_say(2, said);
    comes(call, text, answer);
    forget();
}

START_TEST(calls)
{
    one_call("{\"set\":\"k2\",\"value\":\"v\"}", "PLATOON.FOR 2 1 0 set k2 v", "+OK\r\n",
             "{\"ok\":true}");
    one_call("{\"get\":\"k2\"}", "PLATOON.FOR 2 1 0 GET k2", "$3\r\na\r\n\r\n",
             "{\"ok\":\"a\\r\\n\"}");
    one_call("{\"get\":\"k2\"}", "PLATOON.FOR 2 1 0 GET k2", "$0\r\n\r\n", "{\"ok\":\"\"}");
    one_call("{\"get\":\"k2\"}", "PLATOON.FOR 2 1 0 GET k2", "$-1\r\n", "{\"ko\":true}");
    /* Its answer comes before the time of who asks is over. */
    one_call("{\"persist\":\"k2\"}", "PLATOON.FOR 2 1 0 PLATOON.DUMP k2 wait 7000", ":1\r\n",
             "{\"ok\":true}");
    ck_assert_uint_eq(cache_db_count(node.db), 0);
    ck_assert_uint_eq(cache_forward_count(node.forward), 5);
}
END_TEST

/* What the owner says to a client is what it says to a call. */
START_TEST(errors)
{
    goes(call, "{\"set\":\"k2\",\"value\":\"v\"}");
    far_heard(2);
    far_say(2, "-OOM command not allowed\r\n");
    fails("OOM command not allowed");
    ck_assert_str_eq(parts->why, "OOM command not allowed");
}
END_TEST

START_TEST(no_answer_to_that)
{
    static const char *const said[] = {"+PONG\r\n", ":-1\r\n", ":4294967296\r\n", "*0\r\n"};
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        goes(call, "{\"get\":\"k2\"}");
        far_heard(2);
        far_say(2, said[i]);
        fails("gave no answer");
        forget();
    }
}
END_TEST

/* ---- the tool ---- */

START_TEST(asked_by_the_tool)
{
    goes(ask, "set k2 v 1000");
    ck_heard(2, "PLATOON.FOR 2 1 0 set k2 v px 1000");
    far_say(2, "+OK\r\n");
    comes(ask, "set k2 v 1000", NULL);
    forget();
    goes(ask, "get k2");
    ck_heard(2, "PLATOON.FOR 2 1 0 GET k2");
    far_say(2, "$1\r\nv\r\n");
    comes(ask, "get k2", NULL);
    ck_assert(memmem(out.data, out.len, "ok", 2) != NULL);
}
END_TEST

/* Of several owners: what is ours goes when all others have answered, and the counts are added. */
START_TEST(deleted_everywhere)
{
    far_get("MSET own 1 my 2", "+OK\r\n");
    goes(ask, "del k2 own k3 j2 my never");
    ck_heard(2, "PLATOON.FOR 2 1 0 del k2");
    ck_heard(2, "PLATOON.FOR 2 1 0 del j2");
    ck_heard(3, "PLATOON.FOR 3 1 0 del k3");
    far_say(2, ":1\r\n:0\r\n");
    node_until(parts->out_count == 1);
    ck_assert_int_eq(gone_on, 0);
    far_get("EXISTS own my", ":2\r\n");
    far_say(3, ":1\r\n");
    comes(ask, "del k2 own k3 j2 my never", NULL);
    ck_assert_uint_eq(counted(), 4);
    far_get("EXISTS own my", ":0\r\n");
    far_hears_nothing(2);
}
END_TEST

START_TEST(dumped_everywhere)
{
    far_get("SET own 1", "+OK\r\n");
    goes(ask, "dump k2 own");
    ck_heard(2, "PLATOON.FOR 2 1 0 PLATOON.DUMP k2");
    far_say(2, ":1\r\n");
    comes(ask, "dump k2 own", NULL);
    ck_assert_uint_eq(counted(), 2);
}
END_TEST

/* One that has failed is the answer; nothing of ours was done. */
START_TEST(one_fails)
{
    far_get("SET own 1", "+OK\r\n");
    goes(ask, "del k2 own k3");
    far_heard(2);
    far_heard(3);
    far_say(2, ":1\r\n");
    far_say(3, "-MISCONF no disk\r\n");
    fails("MISCONF no disk");
    far_get("EXISTS own", ":1\r\n");
}
END_TEST

/* So many at once, and the others when those are answered; each once. */
static size_t sends(size_t keys)
{
    const struct slice words[] = {slice_of("del"), slice_of("k2")};
    size_t done = 0;
    need = (struct cache_need){.parts = parts, .left_ms = 8000};
    cache_member_now(node.member);
    for (size_t i = 0; i < keys; i++)
        done += cache_need_where(&node, i, words, 2, true, &need) == CACHE_NEED_DONE;
    buffer_fini(&need.key);
    return done;
}

static void answered(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        ck_heard(2, "PLATOON.FOR 2 1 0 del k2");
        far_say(2, ":1\r\n");
    }
    node_until(parts->out_count == 0);
}

START_TEST(many)
{
    size_t keys = CACHE_PARTS_OUT_MAX + 10;
    far_send(far_client, "GET k2");
    far_heard(2);
    far_say(2, "$-1\r\n");
    far_expect(far_client, "$-1\r\n");
    parts = cache_parts_new(&node, uv_now(node.loop) + 60000, on_parts, NULL);
    ck_assert_uint_eq(sends(keys), 0);
    ck_assert_uint_eq(parts->out_count, CACHE_PARTS_OUT_MAX);
    answered(CACHE_PARTS_OUT_MAX);
    ck_assert_uint_eq(sends(keys), CACHE_PARTS_OUT_MAX);
    ck_assert_uint_eq(parts->out_count, 10);
    answered(10);
    ck_assert_uint_eq(sends(keys), keys);
    ck_assert_int_eq(parts->sum, (int64_t)keys);
    ck_assert_int_eq(gone_on, 2);
}
END_TEST

/* ---- an owner that is none any more ---- */

#define PERSIST "{\"persist\":\"k2\"}"
#define UNKNOWN "the node that had the object is gone: whether it has stored it is not known"

/* It waits until k2 is stored at node 2, which has not; then it is this one's (0: ours), and node 2 is lost. */
static void stored_at_one_that_goes(uint32_t owner, bool lost)
{
    static const char *const says[] = {"-PLATOONMOVED WAITS not yet\r\n",
                                       "-PLATOONMOVED it is not node.2's\r\n"};
    forget();
    play_nodes((const int[]){1, 2, 3, 0});
    play_owner("k2", 2);
    for (uint32_t i = 1; i <= 3; i++)
        cache_member_moved(node.member, slice_of("k2"), i);
    for (int i = 0; i < 2; i++) {
        int before = gone_on;
        goes(call, PERSIST);
        far_heard(2);
        if (i == 1)
            play_owner("k2", owner);
        far_say(2, says[i]);
        node_until(gone_on > before);
        ck_assert_str_eq(parts->why, "");
    }
    if (lost)
        play_nodes((const int[]){1, -2, 3, 0});
    if (owner == 0)
        return;
    goes(call, PERSIST);
    far_heard(owner);
    far_say(owner, ":0\r\n");
}

START_TEST(stored_at_one_that_is_gone)
{
    stored_at_one_that_goes(3, false);
    comes(call, PERSIST, "{\"ok\":true}");
    stored_at_one_that_goes(3, true);
    fails("TRYAGAIN " UNKNOWN);
    stored_at_one_that_goes(0, true);
    ck_assert(!asks(call, PERSIST) && need.refused);
    ck_says(buffer_text(&need.key), "TRYAGAIN " UNKNOWN);
}
END_TEST

/* The same where it was lost while it waited there; it is asked for again, but not at once. */
START_TEST(stored_at_one_that_was_lost)
{
    goes(call, PERSIST);
    ck_assert_uint_eq(cache_parts_pause(parts), 0);
    far_heard(2);
    far_cut(2);
    node_until(gone_on == 1);
    ck_assert_uint_gt(cache_parts_pause(parts), 0);
    goes(call, PERSIST);
    far_heard(2);
    play_owner("k2", 3);
    far_say(2, "-PLATOONMOVED it is not node.2's\r\n");
    node_until(gone_on == 2);
    play_nodes((const int[]){1, -2, 3, 0});
    goes(call, PERSIST);
    far_heard(3);
    far_say(3, ":0\r\n");
    fails("TRYAGAIN " UNKNOWN);
    ck_assert_uint_eq(cache_parts_pause(parts), 0);
}
END_TEST

START_TEST(moved)
{
    goes(call, "{\"set\":\"k2\",\"value\":\"v\"}");
    far_heard(2);
    play_owner("k2", 3);
    far_say(2, "-PLATOONMOVED it is not node.2's\r\n");
    node_until(gone_on == 1);
    ck_assert_str_eq(parts->why, "");
    goes(call, "{\"set\":\"k2\",\"value\":\"v\"}");
    ck_heard(3, "PLATOON.FOR 3 1 1 set k2 v");
    far_say(3, "+OK\r\n");
    comes(call, "{\"set\":\"k2\",\"value\":\"v\"}", "{\"ok\":true}");
}
END_TEST

/* It may have come to us. */
START_TEST(moved_here)
{
    goes(call, "{\"set\":\"k2\",\"value\":\"v\"}");
    far_heard(2);
    play_owner("k2", 0);
    far_say(2, "-PLATOONMOVED it is not node.2's\r\n");
    comes(call, "{\"set\":\"k2\",\"value\":\"v\"}", "{\"ok\":true}");
    far_get("GET k2", "$1\r\nv\r\n");
    far_hears_nothing(2);
}
END_TEST

/* A write that was sent may have been done; a read is asked again. */
START_TEST(lost_connections)
{
    goes(call, "{\"set\":\"k2\",\"value\":\"v\"}");
    far_heard(2);
    far_cut(2);
    fails("it may have been done");
    ck_assert_int_eq(strncmp(parts->why, "TRYAGAIN ", 9), 0);
    forget();
    goes(call, "{\"get\":\"k2\"}");
    far_heard(2);
    far_cut(2);
    node_until(gone_on == 2);
    ck_assert_str_eq(parts->why, "");
    ck_assert_uint_gt(cache_parts_pause(parts), 0);
    goes(call, "{\"get\":\"k2\"}");
    ck_heard(2, "PLATOON.FOR 2 1 1 GET k2");
    far_say(2, "$1\r\nv\r\n");
    comes(call, "{\"get\":\"k2\"}", "{\"ok\":\"v\"}");
}
END_TEST

/* Its time is over: nobody was reached, and why. */
START_TEST(never_reached)
{
    far_goes(2);
    parts = cache_parts_new(&node, uv_now(node.loop) + 50, on_parts, NULL);
    goes(call, "{\"get\":\"j2\"}");
    fails("TRYAGAIN ");
}
END_TEST

/* Who asked is gone: what was sent goes its way, and its answer nowhere. */
START_TEST(nobody_waits)
{
    goes(ask, "del k2 k3");
    far_heard(2);
    far_heard(3);
    cache_parts_free(parts);
    parts = NULL;
    far_say(2, ":1\r\n");
    node_turn(5);
    ck_assert_int_eq(gone_on, 0);
}
END_TEST

/* ---- whose nobody may have ---- */

START_TEST(refused)
{
    play_nodes((const int[]){1, 2, -3, 0});
    ck_assert(!asks(call, "{\"get\":{\"base64\":\"/3BsYXRvb246c3RyYXkAAAAAAAAAAAA=\"}}"));
    ck_assert(need.waits && need.refused);
    ck_says(buffer_text(&need.key), "a key must not begin with");
    fake_manager.answers = false;
    cache_member_now(node.member);
    need = (struct cache_need){.key = need.key};
    call("{\"get\":\"lost\"}");
    ck_assert(need.waits && need.what == CACHE_PARKED_CELL && need.cell == play_cell("lost"));
    ck_assert(play_own(play_heard(MESSAGE_RING_CLAIM), CACHE_RING_LOST_CELL, 3));
    call("{\"get\":\"lost\"}");
    ck_assert(need.waits && need.refused);
    ck_says(buffer_text(&need.key),
            "TRYAGAIN cache node node at unix:/nowhere, which has this object, is lost: ");
}
END_TEST

/* What is asked about ahead is claimed, and nothing is sent. */
START_TEST(ahead)
{
    asks(call, "{\"get\":\"own\"}");
    goes(call, "{\"get\":\"k2\"}");
    far_heard(2);
    forget();
    need = (struct cache_need){.looks = true};
    ck_assert(!call("{\"get\":\"k2\"}") && !call("{\"set\":\"j2\",\"value\":\"v\"}") &&
              !call("{\"persist\":\"k3\"}"));
    far_hears_nothing(2);
    far_hears_nothing(3);
    ck_assert_int_eq(play_state("j2"), CACHE_CELL_THEIRS);
    ck_assert_int_eq(play_state("k3"), CACHE_CELL_THEIRS);
}
END_TEST

SUITE_MAIN_WITH("cache_parts", set_up, tear_down, calls, errors, no_answer_to_that,
                asked_by_the_tool, deleted_everywhere, dumped_everywhere, one_fails, many,
                stored_at_one_that_is_gone, stored_at_one_that_was_lost, moved, moved_here,
                lost_connections, never_reached, nobody_waits, refused, ahead)
