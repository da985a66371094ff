/* test_events.c: the ring of moves: whose are found, what is lost when it is full. */
#include "master/logs/events.h"

#include "common/pack.h"
#include "common/unpack.h"
#include "test/unit/suite.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static struct node worker = {.kind = NODE_WORKER, .state = NODE_READY, .generation = 3};
static struct buffer out;
static uint64_t last, lost;

static void add(const char *name, const char *cause)
{
    snprintf(worker.name, sizeof worker.name, "%s", name);
    snprintf(worker.last_exit, sizeof worker.last_exit, "%s", cause);
    events_add(&worker, NODE_STARTING, cause[0] != '\0' ? STATE_EVENT_RETRY : STATE_EVENT_READY);
}

static size_t pack(const char *name, uint64_t after, size_t limit)
{
    buffer_clear(&out);
    size_t count = events_pack(&out, name, after, limit, &last, &lost);
    struct unpack u = unpack_start(buffer_slice(&out));
    ck_assert_uint_eq(unpack_array(&u), count);
    for (size_t i = 0; i < count; i++)
        unpack_raw(&u);
    ck_assert(unpack_end(&u));
    return count;
}

static bool holds(const char *text)
{
    return memmem(out.data, out.len, text, strlen(text)) != NULL;
}

START_TEST(whose_are_found)
{
    ck_assert_uint_eq(pack("", 0, 10), 0);
    ck_assert_uint_eq(last, 0);
    add("a/x.1", "");
    add("a/x.2", "exit 1");
    add("b/x.1", "");
    ck_assert_uint_eq(pack("", 0, 10), 3);
    ck_assert_uint_eq(last, 3);
    ck_assert_uint_eq(pack("a", 0, 10), 2);
    ck_assert(holds("exit 1") && holds("STARTING") && holds("READY") && holds("RETRY"));
    ck_assert_uint_eq(pack("*x.1", 0, 10), 2);
    ck_assert_uint_eq(pack("", 0, 1), 1);
    ck_assert_msg(holds("b/x.1"), "the newest");
    ck_assert_uint_eq(pack("", 2, 10), 1);
    ck_assert_uint_eq(pack("", 3, 10), 0);
    ck_assert_uint_eq(lost, 0);
}
END_TEST

START_TEST(a_full_ring_counts_what_it_lost)
{
    char name[32];
    for (int i = 1; i <= EVENTS_MAX + 10; i++) {
        snprintf(name, sizeof name, "w.%d", i);
        add(name, "");
    }
    ck_assert_uint_eq(pack("", 0, EVENTS_MAX + 100), EVENTS_MAX - 1);
    ck_assert_uint_eq(lost, 0);
    ck_assert_uint_eq(pack("", 1, EVENTS_MAX + 100), EVENTS_MAX - 1);
    ck_assert_uint_eq(lost, 10);
    ck_assert(holds("w.12") && !holds("w.11\xa4"));
    ck_assert_uint_eq(last, EVENTS_MAX + 10);
}
END_TEST

START_TEST(the_next_master_goes_on)
{
    /* What another one packed: made here by hand, because ours must be empty. */
    struct buffer b = BUFFER_EMPTY;
    static const char *const keys[] = {"time_ms", "name",       "from", "to",
                                       "event",   "generation", "cause"};
    static const char *const values[] = {NULL, "a.1", "READY", "BACKOFF", "RETRY", NULL, "exit 1"};
    pack_array(&b, 1);
    pack_map(&b, 7);
    for (int i = 0; i < 7; i++) {
        pack_text(&b, keys[i]);
        if (values[i] != NULL)
            pack_text(&b, values[i]);
        else
            pack_u64(&b, 7);
    }
    for (size_t len = 0; len < b.len; len++) { /* cut anywhere: nothing, and no harm */
        pid_t pid = suite_fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
            events_restore(slice_make(b.data, len), 20);
            _exit(pack("", 0, 10) == 0 ? 0 : 1);
        }
        int status;
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_msg(status == 0, "cut at %zu", len);
    }
    events_restore(buffer_slice(&b), 20);
    ck_assert_uint_eq(pack("", 0, 10), 1);
    ck_assert_uint_eq(last, 20);
    ck_assert(buffer_slice(&out).len == b.len && memcmp(out.data, b.data, b.len) == 0);
    add("b.1", "");
    ck_assert_uint_eq(pack("", 20, 10), 1);
    ck_assert_uint_eq(last, 21);
    events_restore(buffer_slice(&b), 90);
    ck_assert_uint_eq(pack("", 0, 10), 2);
    buffer_fini(&b);
}
END_TEST

static void finish(void)
{
    buffer_fini(&out);
}

SUITE_MAIN_WITH("events", NULL, finish, whose_are_found, a_full_ring_counts_what_it_lost,
                the_next_master_goes_on)
