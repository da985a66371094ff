/*
 * test_cache_member_memory.c: each allocation of a node's place in its ring fails once: nothing is forgotten that is
 * to be asked, nothing is ours that is not, and what only the node has is never lost.
 */
#include "test/unit/short_memory.h"

#include "test/unit/cache/member_fixture.h"

#include "test/unit/suite.h"
#include "workers/cache/cache_member_private.h"

#include <stdio.h>
#include <sys/socket.h>

/* Runs the statement with the Nth allocation failing, for each N until none fails; `then` behind each. */
#define EACH(n, statement, then)                                                                   \
    do {                                                                                           \
        bool failed = true;                                                                        \
        for (long n = 1; failed; n++) {                                                            \
            short_memory_fail(n, false);                                                           \
            statement;                                                                             \
            failed = short_memory_after < 0;                                                       \
            short_memory_fail(0, false);                                                           \
            then;                                                                                  \
            ck_assert_int_lt(n, 1000);                                                             \
        }                                                                                          \
    } while (0)

static const char *key_of(long n)
{
    static char key[16];
    snprintf(key, sizeof key, "k%ld", n);
    return key;
}

static void write_one(const char *key)
{
    char line[64];
    int fd = node_connect();
    snprintf(line, sizeof line, "SET %s v\r\n", key);
    node_expect(fd, line, "");
    play_grant(key);
    ck_assert_str_eq(node_read(fd), "+OK\r\n");
    close(fd);
    node_turn(2);
}

/* As play_say, without an assertion, for those ask for memory. */
static void hear(const struct buffer *message)
{
    struct unpack u = unpack_start(buffer_slice(message)), type = u;
    unpack_array(&type);
    cache_member_on_message(node.member, unpack_u64(&type), &u);
}

static size_t only_here(void)
{
    return cache_db_dirt(node.db).keys;
}

START_TEST(beginning)
{
    char why[512];
    play_open();
    cache_member_free(node.member);
    node.member = NULL;
    node_turn(1); /* its timer goes with the loop */
    size_t before = short_memory_bytes();
    struct cache_member *made;
    EACH(n, made = play_new(why, sizeof why), {
        if (failed) {
            ck_assert_ptr_null(made);
            ck_assert_str_eq(why, "out of memory");
            node_turn(1);
            ck_assert(short_memory_is(before, 0));
        }
    });
    ck_assert_ptr_nonnull(made);
    cache_member_free(made);
    node_turn(1);
    ck_assert(short_memory_is(before, 0));
    node.member = play_new(why, sizeof why);
}
END_TEST

/* Asking: refused, or it waits; who looks again is asked for all the same. */
START_TEST(asking)
{
    play_begin();
    EACH(n, play_looks(key_of(n)), {
        ck_assert_int_eq(play_looks(key_of(n)), CACHE_DO_WAIT);
        play_grant(key_of(n));
        ck_assert_int_eq(play_looks(key_of(n)), CACHE_DO_RUN);
    });
    EACH(n, (play_looks(key_of(n + 100)), member_say(node.member)), {
        ck_assert_int_eq(play_looks(key_of(n + 100)), CACHE_DO_WAIT);
        node.member->later_us = 0;
        play_grant(key_of(n + 100));
    });
}
END_TEST

/* Nothing at all for a while: it says so, joins anew where a note was too much, and goes on. */
START_TEST(none_for_a_while)
{
    char why[CACHE_MEMBER_WHY_SIZE];
    play_begin();
    for (int i = 0; i < 64; i++) /* as much as there is room for in its notes */
        play_looks(key_of(i));
    const struct play_said *claim = play_heard(MESSAGE_RING_CLAIM);
    short_memory_fail(1, true);
    cache_member_turn(node.member);
    struct cache_member_sight sight =
        cache_member_look(node.member, slice_of("more"), (struct cache_member_who){0});
    cache_member_why(node.member, why);
    short_memory_fail(0, false);
    ck_assert_int_eq(sight.action, CACHE_DO_REFUSE);
    ck_assert(sight.short_of); /* not that its owner is lost */
    ck_says(why, "no more memory");
    struct buffer out = BUFFER_EMPTY;
    message_ring_claimed_pack(
        &out,
        &(struct message_ring_claimed){.token = claim->token, .result = 4, .owners = slice_of("")});
    short_memory_fail(1, true);
    hear(&out);
    short_memory_fail(0, false);
    buffer_fini(&out);
    ck_assert_int_eq(node.member->session, MEMBER_OUT); /* there was no room for the first note */
    cache_member_tick(node.member);
    fake_manager.joined.mark++;
    play_join();
    ck_assert_uint_eq(play_heard(MESSAGE_RING_CLAIM)->count, 64);
}
END_TEST

/* Who is refused for one that is missing is not told that a node is lost. */
START_TEST(none_for_a_client)
{
    char line[32];
    int said = 0;
    play_begin();
    for (int i = 0; i < 64; i++) /* as much as there is room for in its notes */
        play_looks(key_of(i));
    for (long n = 1; n <= 8; n++) {
        int fd = node_connect();
        node_expect(fd, "PING\r\n", "+PONG\r\n");
        size_t len = (size_t)snprintf(line, sizeof line, "GET %s\r\n", key_of(n + 100));
        ck_assert_int_eq(send(fd, line, len, MSG_NOSIGNAL), (ssize_t)len);
        short_memory_fail(n, false);
        uv_run(node.loop, UV_RUN_NOWAIT);
        short_memory_fail(0, false);
        const char *came = node_read(fd);
        ck_assert_msg(strstr(came, "lost") == NULL, "%s", came);
        said += strcmp(came, "-OOM the system has no more memory for this node\r\n") == 0;
        close(fd);
        node_turn(2);
    }
    ck_assert_int_gt(said, 0);
}
END_TEST

/* Redis began anew, and what was held is another's: what is dirty becomes a stray, sooner or later, and never ours. */
START_TEST(held_and_lost)
{
    struct buffer out = BUFFER_EMPTY, list = BUFFER_EMPTY;
    play_begin();
    cache_ring_put_owner(&list, &(struct cache_ring_owner){CACHE_RING_THEIRS, 2});
    EACH(
        n,
        {
            short_memory_fail(0, false);
            write_one(key_of(n));
            fake_manager.joined.epoch++;
            fake_manager.joined.mark++;
            cache_member_on_up(node.member);
            play_join();
            const struct play_said *held = play_heard(MESSAGE_RING_HELD);
            ck_assert_uint_eq(held->count, 1);
            buffer_clear(&out);
            message_ring_claimed_pack(
                &out, &(struct message_ring_claimed){.token = held->token,
                                                     .owners = buffer_slice(&list)});
            short_memory_fail(n, false);
            hear(&out);
        },
        {
            ck_assert_uint_eq(only_here(), n);
            if (play_state(key_of(n)) == CACHE_CELL_HELD) {
                node.member->later_us = 0;
                ck_assert(play_own(play_heard(MESSAGE_RING_HELD), CACHE_RING_THEIRS, 2));
            }
            play_sync();
            ck_assert_int_eq(play_looks(key_of(n)), CACHE_DO_FORWARD);
            ck_assert_uint_eq(cache_db_strays(node.db).alive, n);
            play_lease(PLAY_HOUR);
        });
    buffer_fini(&out);
    buffer_fini(&list);
}
END_TEST

/* Held by another claim than the one that it had: not served from memory, however often it is answered. */
START_TEST(held_by_another_claim)
{
    struct buffer out = BUFFER_EMPTY, list = BUFFER_EMPTY;
    play_begin();
    cache_ring_put_owner(&list, &(struct cache_ring_owner){CACHE_RING_OURS, 7000});
    EACH(
        n,
        {
            short_memory_fail(0, false);
            write_one(key_of(n));
            fake_manager.joined.epoch++;
            cache_member_on_up(node.member);
            play_join();
            const struct play_said *held = play_heard(MESSAGE_RING_HELD);
            buffer_clear(&out);
            message_ring_claimed_pack(
                &out, &(struct message_ring_claimed){.token = held->token,
                                                     .owners = buffer_slice(&list)});
            short_memory_fail(n, false);
            hear(&out);
        },
        {
            if (play_state(key_of(n)) == CACHE_CELL_HELD) {
                node.member->later_us = 0;
                ck_assert(play_own(play_heard(MESSAGE_RING_HELD), CACHE_RING_OURS, 7000));
            }
            ck_assert_int_eq(play_state(key_of(n)), CACHE_CELL_OURS);
            ck_assert_uint_eq(cache_db_count(node.db), 0);
            play_lease(PLAY_HOUR);
            play_stored(key_of(n));
            cache_cells_set(node.member->cells, play_cell(key_of(n)), CACHE_CELL_UNKNOWN, 0, 0);
        });
    buffer_fini(&out);
    buffer_fini(&list);
}
END_TEST

/* The walk as another incarnation: however short memory is, at its end nothing is ours. */
START_TEST(outlived)
{
    play_begin();
    EACH(
        n,
        {
            short_memory_fail(0, false);
            write_one(key_of(n));
            fake_manager.joined.incarnation++;
            fake_manager.joined.mark++;
            fake_manager.joined.number = fake_manager.number;
            cache_member_on_up(node.member);
            play_heard(MESSAGE_RING_JOIN);
            play_say_joined();
            short_memory_fail(n, false);
            member_walk_on(node.member);
        },
        {
            node_until(node.member->walk == MEMBER_SETTLED);
            ck_assert_uint_eq(cache_member_tell(node.member).cells, 0);
            ck_assert_uint_eq(cache_db_count(node.db), 0);
            ck_assert_uint_eq(cache_db_strays(node.db).alive, n);
            play_nodes((const int[]){1, 2, 0});
            play_lease(PLAY_HOUR);
        });
}
END_TEST

/* Another ring: the same, and strays are found by its places. */
START_TEST(made_anew)
{
    play_begin();
    fake_manager.joined.closed_ms = 3600000; /* strays are put, and no cells claimed for them */
    EACH(
        n,
        {
            short_memory_fail(0, false);
            write_one(key_of(n));
            fake_manager.seed[0]++;
            cache_member_on_up(node.member);
            play_heard(MESSAGE_RING_JOIN);
            play_say_joined();
            short_memory_fail(n, false);
            member_walk_on(node.member);
        },
        {
            node_until(node.member->walk == MEMBER_SETTLED);
            ck_assert(memcmp(node.member->seed, fake_manager.seed, 16) == 0);
            for (long i = 1; i <= n; i++)
                ck_assert_int_ne(
                    cache_cell_objects_first(&node.member->objects, play_cell(key_of(i))), 0);
            play_lease(PLAY_HOUR);
        });
}
END_TEST

/* All by their own numbers. */
static void confirm(const struct play_said *held)
{
    static struct cache_ring_owner owners[PLAY_CELLS];
    for (size_t i = 0; i < held->count; i++)
        owners[i] = (struct cache_ring_owner){CACHE_RING_OURS, held->cells[i].number};
    ck_assert(play_own_each(held, owners, held->count));
}

/* Redis' new run: what could not be noted as held is not taken for ours. */
START_TEST(new_run)
{
    play_begin();
    EACH(
        n,
        {
            short_memory_fail(0, false);
            play_looks(key_of(n));
            play_grant(key_of(n));
            fake_manager.joined.epoch++;
            cache_member_on_up(node.member);
            play_heard(MESSAGE_RING_JOIN);
            play_say_joined();
            free(node.member->holds.at); /* as if it had never held anything */
            node.member->holds = (struct member_list){0};
            short_memory_fail(n, false);
            member_walk_on(node.member);
        },
        {
            node_until(node.member->walk == MEMBER_SETTLED);
            const struct play_said *held = play_heard(MESSAGE_RING_HELD);
            ck_assert_uint_eq(held->count, n);
            ck_assert_uint_eq(cache_member_tell(node.member).cells, 0);
            confirm(held);
            play_lease(PLAY_HOUR);
        });
}
END_TEST

/* Giving back: it stays ours, or it goes; what leaves is said in the end. */
START_TEST(giving_back)
{
    fake_manager.idle_ms = 1000;
    play_begin();
    EACH(
        n,
        {
            short_memory_fail(0, false);
            write_one(key_of(n));
            cache_behind_ask(node.behind, slice_of(key_of(n)));
            play_stored(key_of(n));
            free(node.member->leaving.at);
            node.member->leaving = (struct member_list){0};
            short_memory_fail(n, false);
            member_event(node.member, play_cell(key_of(n)), CACHE_ON_IDLE, 0);
        },
        {
            if (play_state(key_of(n)) == CACHE_CELL_OURS)
                member_event(node.member, play_cell(key_of(n)), CACHE_ON_IDLE, 0);
            ck_assert_int_eq(play_state(key_of(n)), CACHE_CELL_LEAVING);
            node_until(fake_manager.count > 0);
            ck_assert(play_heard(MESSAGE_RING_RELEASE)->cells[0].cell == play_cell(key_of(n)));
        });
}
END_TEST

/* The ring's nodes: those of before, and it has itself told again; or those of now. */
START_TEST(nodes)
{
    struct buffer out = BUFFER_EMPTY, list = BUFFER_EMPTY;
    play_begin();
    pack_array(&list, 1);
    pack_array(&list, 4);
    pack_u64(&list, 9);
    pack_bin(&list, slice_of("n"));
    pack_bin(&list, slice_of("unix:/n"));
    pack_u64(&list, 0);
    message_ring_nodes_pack(&out,
                            &(struct message_ring_nodes){.gen = 2, .nodes = buffer_slice(&list)});
    EACH(n, hear(&out), {
        ck_assert(cache_member_is_live(node.member, failed ? 2 : 9));
        ck_assert_int_eq(node.member->session, failed ? MEMBER_OUT : MEMBER_IN);
        if (failed) {
            cache_member_tick(node.member);
            play_join();
        }
    });
    buffer_fini(&out);
    buffer_fini(&list);
}
END_TEST

SUITE_MAIN_WITH("cache_member_memory", play_set_up, play_tear_down, beginning, asking,
                none_for_a_while, none_for_a_client, held_and_lost, held_by_another_claim, outlived,
                made_anew, new_run, giving_back, nodes)
