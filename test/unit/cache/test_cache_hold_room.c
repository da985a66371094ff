/*
 * test_cache_hold_room.c: clients whose commands wait for room, in memory or for what is dirty, or until something is
 * stored.
 */
#include "test/unit/cache/hold_fixture.h"
#include "test/unit/suite.h"

/* ---- room ---- */

START_TEST(writes_wait_for_room)
{
    int fd = node_connect(), other = node_connect();
    hold_fill(fd);
    hold_send_cold(fd, "SET a 1\r\nGET a\r\nPING\r\n");
    node_expect(other, "EXISTS f0\r\nSTRLEN f1\r\n", ":1\r\n:60000\r\n");
    node_send(other, "PLATOON.DIRTY\r\n", 15);
    ck_assert_int_eq(strncmp(node_read(other), "*3\r\n:2\r\n:120004\r\n:", 18), 0);
    node_until(fake_find(FAKE_PUT, "f0") != NULL);
    ck_assert_str_eq(node_read(fd), "");
    fake_stored("f0");
    node_expect(fd, "", "+OK\r\n$1\r\n1\r\n+PONG\r\n");
    close(fd);
    close(other);
}
END_TEST

START_TEST(what_is_deleted_makes_room)
{
    int fd = node_connect(), other = node_connect();
    hold_fill(fd);
    hold_send_cold(fd, "SET a 1\r\n");
    node_expect(other, "DEL f1\r\n", ":1\r\n");
    node_expect(fd, "", "+OK\r\n");
    close(fd);
    close(other);
}
END_TEST

/* Whoever waits first is first; who finds none again waits on. */
START_TEST(room_for_one_after_the_other)
{
    int fd[3];
    for (int i = 0; i < 3; i++)
        fd[i] = node_connect();
    hold_fill(fd[0]);
    hold_send_cold(fd[0], "APPEND f0 x\r\n");
    hold_send_cold(fd[1], "INCR cold\r\n");
    hold_send_cold(fd[2], "EXPIRE f1 100\r\n"); /* dirties, though it takes no memory */
    ck_assert_uint_eq(cache_park_count(node.park), 3);
    ck_assert_uint_eq(fake.made[FAKE_GET], 0);
    node_until(fake_find(FAKE_PUT, "f0") != NULL && fake_find(FAKE_PUT, "f1") != NULL);
    fake_stored("f1");
    node_expect(fd[0], "", ":60001\r\n");
    node_expect(fd[2], "", ":1\r\n");
    fake_absent("cold", 0);
    node_until(cache_park_count(node.park) <= 1);
    if (fake_find(FAKE_PUT, "f0") != NULL)
        fake_stored("f0");
    node_until(cache_park_count(node.park) == 0 || fake_find(FAKE_PUT, "f1") != NULL ||
               fake_find(FAKE_PUT, "f0") != NULL);
    while (fake_find(FAKE_PUT, "f0") != NULL)
        fake_stored("f0");
    while (fake_find(FAKE_PUT, "f1") != NULL)
        fake_stored("f1");
    node_expect(fd[1], "", ":1\r\n");
    for (int i = 0; i < 3; i++)
        close(fd[i]);
}
END_TEST

START_TEST(no_room_in_time)
{
    static const char oom[] = "OOM command not allowed when used memory > 'maxmemory'.\r\n";
    struct buffer expected = BUFFER_EMPTY;
    int fd = node_connect();
    hold_store_anew(50);
    hold_fill(fd);
    static const char sent[] = "SET a 1\r\nGET f2\r\nMULTI\r\nSET a 1\r\nEXEC\r\nDEL f0\r\n";
    node_send(fd, sent, sizeof sent - 1);
    buffer_printf(&expected, "-%s", oom);
    node_until(fake_find(FAKE_GET, "f2") != NULL);
    fake_absent("f2", 0);
    buffer_printf(&expected, "$-1\r\n+OK\r\n-%s", oom);
    const char *came = hold_came_until(fd, "EXECABORT");
    ck_assert_ptr_eq(strstr(came, buffer_text(&expected)), came);
    buffer_fini(&expected);
    close(fd);
}
END_TEST

/* What waits has room of its own: it pushes out nothing, and finds room when there is some. */
START_TEST(who_waits_pushes_nothing_out)
{
    static char value[300001];
    char line[64];
    int fd[6], other = node_connect();
    node.options.memory_max = (size_t)1 << 20;
    hold_store_anew(HOLD_TIMEOUT_MS);
    memset(value, 'v', sizeof value - 1);
    hold_send_cold(other, "GET warm\r\n");
    fake_have("warm", "w", 1);
    node_expect(other, "", "$1\r\nw\r\n");
    hold_fill(other);
    for (int i = 0; i < 6; i++) {
        fd[i] = node_connect();
        snprintf(line, sizeof line, "*3\r\n$3\r\nSET\r\n$2\r\nw%d\r\n$300000\r\n", i);
        node_send(fd[i], line, strlen(line));
        node_send(fd[i], value, 300000);
        node_expect(fd[i], "\r\n", "");
    }
    node_turn(3);
    ck_assert_uint_eq(cache_park_count(node.park), 6);
    ck_assert_uint_gt(node.waiting, 1800000);
    ck_assert(cache_db_knows(node.db, slice_of("warm")));
    ck_assert(!cache_db_is_full(node.db));
    for (int i = 0; i < 6; i++)
        close(fd[i]);
    cache_client_end_all(&node);
    ck_assert_uint_eq(node.waiting, 0);
    close(other);
}
END_TEST

/* Writes until they wait, where as much as they like may be dirty; and what is loaded then has room. */
static void load_beside(size_t len)
{
    static char value[1 << 19];
    int fd = node_connect(), other = node_connect(), written = 0;
    node.options.memory_max = (size_t)4 << 20;
    node_dirty_max = (size_t)64 << 20;
    hold_store_anew(HOLD_TIMEOUT_MS);
    memset(value, 'v', sizeof value - 1);
    do {
        char line[64];
        snprintf(line, sizeof line, "*3\r\n$3\r\nSET\r\n$6\r\n%06d\r\n$%zu\r\n", written, len);
        node_send(fd, line, strlen(line));
        node_send(fd, value, len);
        node_send(fd, "\r\n", 2);
        written++;
    } while (strcmp(node_read(fd), "+OK\r\n") == 0);
    ck_assert_uint_eq(cache_park_count(node.park), 1);
    ck_assert_uint_ge((size_t)written * (len + 150), (size_t)2 << 20);
    for (int i = 0; i < 3; i++) {
        char line[16];
        snprintf(line, sizeof line, "STRLEN c%d\r\n", i);
        hold_send_cold(other, line);
        snprintf(line, sizeof line, "c%d", i);
        fake_have(line, value, 1);
        node_expect(other, "", ":524287\r\n");
    }
    close(fd);
    close(other);
}

START_TEST(what_is_loaded_has_room_beside_what_is_dirty)
{
    load_beside(50000);
}
END_TEST

START_TEST(and_beside_much_that_is_small)
{
    load_beside(1);
}
END_TEST

/* No more waits than that: it is refused at once. */
START_TEST(what_waits_is_bounded)
{
    int fd = node_connect();
    hold_fill(fd);
    node.waiting = CACHE_WAITING_MIN;
    node_expect(fd, "SET a 1\r\nSET b 1\r\n",
                "-OOM command not allowed when used memory > 'maxmemory'.\r\n"
                "-OOM command not allowed when used memory > 'maxmemory'.\r\n");
    node.waiting = 0;
    close(fd);
}
END_TEST

START_TEST(a_pipeline_of_writes_waits_once)
{
    int fd = node_connect();
    hold_store_anew(100);
    hold_fill(fd);
    hold_waits_once("SET a 1\r\nSET b 1\r\nSET c 1\r\nSET d 1\r\nPING\r\n", "+PONG\r\n");
    close(fd);
}
END_TEST

/* ---- what does not fit ---- */

/* One command needs more than memory has: an end after some rounds, and one at a time they are all had. */
START_TEST(what_does_not_fit)
{
    static char value[1 << 19];
    char key[16], line[32];
    int fd = node_connect(), rounds = 0;
    node.options.memory_max = (size_t)4 << 20;
    hold_store_anew(HOLD_TIMEOUT_MS);
    memset(value, 'v', sizeof value - 1);
    hold_send_keys(fd, "MGET", 20);
    const char *came = "";
    for (; rounds < 1000 && (came = node_read(fd))[0] == '\0'; rounds++)
        for (int i = 0; i < 20; i++) {
            snprintf(key, sizeof key, "k%d", i);
            if (fake_find(FAKE_GET, key) != NULL)
                fake_have(key, value, 1);
            node_turn(1);
        }
    ck_assert_msg(strstr(came, "-TRYAGAIN the objects of this command do not fit") == came, "%.80s",
                  came);
    /* As soon as more has come than memory has: it is known then. */
    ck_assert_uint_le(fake.made[FAKE_GET], 20);
    node_expect(fd, "PING\r\n", "+PONG\r\n");
    for (int i = 0; i < 20; i++) {
        snprintf(key, sizeof key, "k%d", i);
        snprintf(line, sizeof line, "STRLEN %s\r\n", key);
        node_send(fd, line, strlen(line));
        if (fake_find(FAKE_GET, key) != NULL)
            fake_have(key, value, 1);
        node_expect(fd, "", ":524287\r\n");
    }
    close(fd);
}
END_TEST

/* A key that comes twice does not count twice. */
START_TEST(what_fits_though_it_comes_often)
{
    static char value[1 << 19];
    int fd = node_connect();
    node.options.memory_max = (size_t)4 << 20;
    hold_store_anew(HOLD_TIMEOUT_MS);
    memset(value, 'v', sizeof value - 1);
    hold_send_cold(fd, "EXISTS k k k k k k k k k k k k k k k k k k k k\r\n");
    fake_have("k", value, 1);
    node_expect(fd, "", ":20\r\n");
    close(fd);
}
END_TEST

/* Its time is over before so much has come: the reason is not that the store does not answer. */
START_TEST(what_does_not_fit_in_time)
{
    static char value[1 << 19];
    char key[16];
    int fd = node_connect(), rounds = 0;
    node.options.memory_max = (size_t)4 << 20;
    hold_store_anew(300);
    memset(value, 'v', sizeof value - 1);
    hold_send_keys(fd, "EXISTS", 8);
    const char *came = "";
    for (; rounds < 10000 && (came = node_read(fd))[0] == '\0'; rounds++) {
        snprintf(key, sizeof key, "k%d", rounds % 8);
        if (rounds % 10 == 0 && fake_find(FAKE_GET, key) != NULL)
            fake_have(key, value, 1);
        node_wait();
    }
    ck_assert_msg(strstr(came, "gives no answer: it has not answered") == NULL, "%s", came);
    ck_assert_str_eq(cache_loads_trouble(cache_park_loads(node.park)), "");
    close(fd);
}
END_TEST

/* ---- nothing to do ---- */

/* And it is awake when there is something again. */
START_TEST(a_node_without_work_sleeps)
{
    unsigned wakes = 0;
    int fd = node_connect();
    hold_send_cold(fd, "GET k\r\n");
    fake_have("k", "v", 1);
    node_expect(fd, "", "$1\r\nv\r\n");
    for (uint64_t from = uv_now(node.loop); uv_now(node.loop) - from < 2500; wakes++)
        uv_run(node.loop, UV_RUN_ONCE);
    ck_assert_uint_le(wakes, 8);
    hold_fill(fd);
    for (wakes = 0; fake_find(FAKE_PUT, "f0") == NULL; wakes++) {
        ck_assert_int_le(uv_backend_timeout(node.loop), 100); /* it would not sleep on */
        ck_assert_uint_lt(wakes, 7);
        uv_run(node.loop, UV_RUN_ONCE);
    }
    close(fd);
}
END_TEST

/* ---- the store on demand ---- */

START_TEST(dumped)
{
    int fd = node_connect(), other = node_connect();
    node_expect(fd, "SET k v\r\nSET l v\r\n", "+OK\r\n+OK\r\n");
    node_expect(fd, "PLATOON.DUMP l\r\nPLATOON.DUMP nothing WAIT 0\r\n", ":1\r\n:0\r\n");
    hold_send_cold(fd, "PLATOON.DUMP k WAIT 0\r\nPING\r\n");
    node_until(fake_find(FAKE_PUT, "k") != NULL);
    ck_assert_str_eq(node_read(fd), "");
    fake_stored("k");
    node_expect(fd, "", ":1\r\n+PONG\r\n");
    node_expect(fd, "PLATOON.DUMP k WAIT 0\r\n", ":0\r\n");
    /* In time, or TRYAGAIN and why. */
    node_expect(other, "SET k w\r\n", "+OK\r\n");
    hold_send_cold(other, "PLATOON.DUMP k WAIT 20\r\n");
    ck_assert_ptr_nonnull(strstr(hold_came_until(other, "\r\n"),
                                 "-TRYAGAIN the store of cache/test/node.1 has not taken the "
                                 "object within 20 ms: "));
    close(fd);
    close(other);
}
END_TEST

/* What is written all the time is never clean: who asked has what it was, and waits for nothing newer. */
START_TEST(dumped_while_it_is_written)
{
    int fd = node_connect(), later = node_connect(), other = node_connect(),
        writer = node_connect();
    node_expect(writer, "SET l v\r\nSET k 1\r\n", "+OK\r\n+OK\r\n");
    hold_send_cold(fd, "PLATOON.DUMP k WAIT 0\r\n");
    hold_send_cold(other, "PLATOON.DUMP l WAIT 0\r\n");
    node_until(fake_find(FAKE_PUT, "k") != NULL);
    node_expect(writer, "SET k 2\r\n", "+OK\r\n");
    hold_send_cold(later, "PLATOON.DUMP k WAIT 0\r\n");
    fake_stored("k");
    node_expect(fd, "", ":1\r\n");
    node_expect(other, "", ""); /* l is not stored */
    node_until(fake_find(FAKE_PUT, "k") != NULL);
    node_expect(later, "", ""); /* nor what k was when this one asked */
    node_expect(writer, "SET k 3\r\n", "+OK\r\n");
    fake_stored("k");
    node_expect(later, "", ":1\r\n");
    node_expect(writer, "PLATOON.DUMP k\r\n", ":1\r\n");
    node_until(fake_find(FAKE_PUT, "l") != NULL);
    fake_stored("l");
    node_expect(other, "", ":1\r\n");
    close(fd);
    close(later);
    close(other);
    close(writer);
}
END_TEST

/* What the store refuses for good is said to be so, and not stored. */
START_TEST(a_dead_letter_is_not_stored)
{
    struct backing_answer refused = {.result = BACKING_REFUSED, .why = "its name is too long"};
    int fd = node_connect();
    node_expect(fd, "SET k v\r\n", "+OK\r\n");
    hold_send_cold(fd, "PLATOON.DUMP k WAIT 0\r\n");
    node_until(fake_find(FAKE_PUT, "k") != NULL);
    fake_answer(fake_find(FAKE_PUT, "k"), &refused);
    node_expect(fd, "",
                "-ERR the store of cache/test/node.1 does not take this object: its name is "
                "too long\r\n");
    node_expect(fd, "GET k\r\n", "$1\r\nv\r\n");
    /* Asked for again, it is tried again. */
    hold_send_cold(fd, "PLATOON.DUMP k WAIT 0\r\n");
    node_until(fake_find(FAKE_PUT, "k") != NULL);
    fake_stored("k");
    node_expect(fd, "", ":1\r\n");
    close(fd);
}
END_TEST

SUITE_MAIN_WITH("cache_hold_room", hold_set_up, node_tear_down, writes_wait_for_room,
                what_is_deleted_makes_room, room_for_one_after_the_other, no_room_in_time,
                who_waits_pushes_nothing_out, what_is_loaded_has_room_beside_what_is_dirty,
                and_beside_much_that_is_small, what_waits_is_bounded, what_does_not_fit,
                what_fits_though_it_comes_often, what_does_not_fit_in_time,
                a_node_without_work_sleeps, a_pipeline_of_writes_waits_once, dumped,
                dumped_while_it_is_written, a_dead_letter_is_not_stored)
