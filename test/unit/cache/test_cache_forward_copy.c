/*
 * test_cache_forward_copy.c: bounded reads of what another node has, and writes of it meanwhile: none is older than a
 * write that this node has acknowledged before it was asked (workers/cache/cache_reads.h, cache_forward_answer.c).
 */
#include "test/unit/cache/forward_fixture.h"

#include "test/unit/suite.h"
#include "workers/cache/cache_reads.h"

#include <unistd.h>

#define BOUNDED "PLATOON.GET k BOUNDED 3600000"
#define OLD     "*4\r\n$3\r\nold\r\n:-1\r\n:7\r\n:0\r\n"
#define NEW     "*4\r\n$3\r\nnew\r\n:-1\r\n:8\r\n:0\r\n"

static int other;

static bool owns(void *ctx, struct slice key)
{
    (void)ctx;
    return cache_member_owns(node.member, key);
}

static void on_answer(void *ctx)
{
    (void)ctx;
}

static void set_up(void)
{
    static const uint8_t hash_key[16];
    far_set_up();
    struct cache_reads_options options = {.node = &node,
                                          .backing = &fake.head,
                                          .hash_key = hash_key,
                                          .timeout_ms = 60000,
                                          .retry_max_ms = 100,
                                          .parallel = 8,
                                          .owns = owns,
                                          .on_answer = on_answer};
    node.reads = cache_reads_new(&options);
    ck_assert_ptr_nonnull(node.reads);
    other = node_connect();
    play_owner("k", 2);
}

static void tear_down(void)
{
    close(other);
    cache_client_end_all(&node);
    cache_reads_free(node.reads);
    node.reads = NULL;
    far_tear_down();
}

/* ---- a copy ---- */

START_TEST(one_is_kept)
{
    far_send(far_client, BOUNDED);
    ck_heard(2, "PLATOON.FOR 2 1 0 PLATOON.COPY k");
    far_say(2, OLD);
    far_expect(far_client, "$3\r\nold\r\n");
    far_get(BOUNDED, "$3\r\nold\r\n");
    far_hears_nothing(2);
}
END_TEST

/* What writes it while the copy is asked for, and is answered before that. */
static void is_not_kept(unsigned writer, const char *heard, const char *says, const char *answer)
{
    far_send(far_client, BOUNDED);
    ck_heard(2, "PLATOON.FOR 2 1 0 PLATOON.COPY k");
    play_owner("k", writer == 1 ? 0 : writer);
    cache_member_moved(node.member, slice_of("k"), 2); /* as what was not used for long */
    far_send(other, heard);
    if (writer != 1) {
        far_heard(writer);
        far_say(writer, says);
    }
    far_expect(other, answer);
    far_say(2, OLD);
    far_expect(far_client, "$3\r\nold\r\n"); /* it has asked before that */
    ck_assert_uint_eq(cache_reads_count(node.reads), 0);
}

/* Its former owner's answer, which had been on its way for long, comes behind the write at the next one. */
START_TEST(a_former_owner_comes_behind_a_write)
{
    is_not_kept(3, "SET k new", "+OK\r\n", "+OK\r\n");
    far_send(other, BOUNDED);
    ck_heard(3, "PLATOON.FOR 3 1 0 PLATOON.COPY k");
    far_say(3, NEW);
    far_expect(other, "$3\r\nnew\r\n");
    far_send(other, BOUNDED);
    far_expect(other, "$3\r\nnew\r\n");
    far_hears_nothing(3);
}
END_TEST

/* The write was a transaction's, or in parts. */
START_TEST(behind_other_writes)
{
    is_not_kept(3, "MULTI|SET k new|EXEC", "*1\r\n+OK\r\n", "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n");
    play_owner("k", 2);
    cache_member_moved(node.member, slice_of("k"), 3);
    is_not_kept(3, "DEL k", ":1\r\n", ":1\r\n");
}
END_TEST

/* This node is the owner by then: it has no copy at all. */
START_TEST(behind_a_write_of_this_node)
{
    is_not_kept(1, "SET k new", "", "+OK\r\n");
    far_get(BOUNDED, "$3\r\nnew\r\n");
}
END_TEST

SUITE_MAIN_WITH("cache_forward_copy", set_up, tear_down, one_is_kept,
                a_former_owner_comes_behind_a_write, behind_other_writes,
                behind_a_write_of_this_node)
