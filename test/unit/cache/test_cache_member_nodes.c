/*
 * test_cache_member_nodes.c: the list of the ring's nodes, and the file in which a node keeps who it is
 * (workers/cache/cache_member_hear.c, workers/cache/cache_member_identity.c).
 */
#include "test/unit/cache/member_fixture.h"

#include "test/unit/suite.h"
#include "workers/cache/cache_member_private.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the ring's nodes ---- */

static bool say_nodes(const struct buffer *list)
{
    struct buffer out = BUFFER_EMPTY;
    message_ring_nodes_pack(&out,
                            &(struct message_ring_nodes){.gen = 1, .nodes = buffer_slice(list)});
    bool taken = play_say(&out);
    buffer_fini(&out);
    return taken;
}

/* [incarnation, name, address, lost] behind what is there; `count` fields of it. */
static void add_node(struct buffer *list, uint32_t count, uint64_t incarnation, uint64_t lost)
{
    pack_array(list, count);
    pack_u64(list, incarnation);
    pack_bin(list, slice_of("n"));
    pack_bin(list, slice_of("unix:/n"));
    for (uint32_t i = 3; i < count; i++)
        pack_u64(list, lost);
}

static void is_no_list(uint32_t count, uint64_t incarnation, uint32_t said)
{
    struct buffer list = BUFFER_EMPTY;
    pack_array(&list, said);
    add_node(&list, 4, 1, 0);
    add_node(&list, count, incarnation, 0);
    ck_assert(!say_nodes(&list));
    buffer_fini(&list);
}

/* What is no list changes nothing: those that are known stay. */
START_TEST(malformed_nodes)
{
    play_begin();
    is_no_list(4, 0, 2);
    is_no_list(4, (uint64_t)UINT32_MAX + 1, 2);
    is_no_list(3, 2, 2);
    is_no_list(5, 2, 2);
    struct buffer list = BUFFER_EMPTY;
    pack_u64(&list, 7);
    ck_assert(!say_nodes(&list)); /* no array */
    buffer_clear(&list);
    pack_array(&list, 2);
    pack_u64(&list, 1);
    pack_u64(&list, 2);
    ck_assert(!say_nodes(&list)); /* not of arrays */
    buffer_clear(&list);
    pack_array(&list, 4097);
    for (uint64_t i = 1; i <= 4097; i++)
        add_node(&list, 4, i, 0);
    ck_assert(!say_nodes(&list)); /* more than a ring has */
    ck_assert_uint_eq(fake_manager.listed, 1);
    ck_assert(cache_member_is_live(node.member, 2));
    ck_assert(!cache_member_is_live(node.member, 4));
    buffer_clear(&list);
    pack_array(&list, 4096);
    for (uint64_t i = 4096; i >= 1; i--)
        add_node(&list, 4, i, i % 2);
    ck_assert(say_nodes(&list));
    ck_assert_uint_eq(fake_manager.nodes, 4096);
    for (uint32_t i = 0; i <= 4097; i++)
        ck_assert_int_eq(cache_member_is_live(node.member, i), i > 0 && i < 4097 && i % 2 == 0);
    buffer_clear(&list);
    pack_array(&list, 0);
    ck_assert(say_nodes(&list));
    ck_assert(!cache_member_is_live(node.member, 2));
    buffer_fini(&list);
}
END_TEST

/* Very many cells of a lost node: all are asked for again when the nodes have changed, and not before. */
START_TEST(nodes_changed)
{
    char key[16];
    play_begin();
    for (int i = 0; i < 900; i++) {
        snprintf(key, sizeof key, "k%d", i);
        play_looks(key);
    }
    const struct play_said *claim = play_heard(MESSAGE_RING_CLAIM);
    ck_assert_uint_eq(claim->count, 900);
    ck_assert(play_own(claim, CACHE_RING_LOST_CELL, 3));
    ck_assert_uint_eq(cache_cells_count(node.member->cells, CACHE_CELL_LOST), 900);
    play_nodes((const int[]){1, 2, -3, 0});
    ck_assert_uint_eq(cache_cells_count(node.member->cells, CACHE_CELL_LOST), 0);
    ck_assert_int_eq(play_looks("k899"), CACHE_DO_WAIT);
}
END_TEST

/* Whoever is told has no memory for it: it joins again, for the list is said to who joins. */
START_TEST(nodes_are_forgotten)
{
    play_begin();
    fake_manager.forgets = true;
    play_nodes((const int[]){1, 4, 0});
    fake_manager.forgets = false;
    ck_assert(cache_member_serves(node.member));
    cache_member_tick(node.member);
    play_join();
    play_nodes((const int[]){1, 4, 0});
    cache_member_tick(node.member);
    play_hears_nothing();
}
END_TEST

/* ---- who it is ---- */

static void write_identity(const char *text)
{
    FILE *f = fopen(fake_manager.path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(text, f), 0);
    ck_assert_int_eq(fclose(f), 0);
}

static void is_refused(const char *part)
{
    char why[512] = "";
    ck_assert(!play_try_open(why, sizeof why));
    ck_says(why, part);
    ck_says(why, fake_manager.path);
    ck_assert_ptr_null(strchr(why, '\n'));
}

#define SEED "000102030405060708090a0b0c0d0e0f"

START_TEST(comes_back_as_it_was)
{
    write_identity("7 8 9 " SEED "\n");
    play_open();
    cache_member_on_up(node.member);
    const struct play_said *join = play_heard(MESSAGE_RING_JOIN);
    ck_assert_uint_eq(join->incarnation, 7);
    ck_assert_uint_eq(join->mark, 8);
    for (unsigned i = 0; i < 16; i++)
        ck_assert_uint_eq(join->seed[i], i);
    ck_assert_uint_eq(node.member->epoch, 9);
}
END_TEST

/* What a join has said is what the next start says. */
START_TEST(writes_what_it_reads)
{
    fake_manager.joined.incarnation = UINT32_MAX;
    fake_manager.joined.mark = fake_manager.joined.epoch = UINT64_MAX;
    play_open();
    play_join();
    play_shut();
    struct stat st;
    ck_assert_int_eq(stat(fake_manager.path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    play_open();
    cache_member_on_up(node.member);
    const struct play_said *join = play_heard(MESSAGE_RING_JOIN);
    ck_assert_uint_eq(join->incarnation, UINT32_MAX);
    ck_assert_uint_eq(join->mark, UINT64_MAX);
    ck_assert_uint_eq(node.member->epoch, UINT64_MAX);
    ck_assert_mem_eq(join->seed, fake_manager.seed, 16);
}
END_TEST

START_TEST(malformed_identity)
{
    static const char *const texts[] = {"",
                                        "\n",
                                        "7 8 9 " SEED,
                                        "7 8 9 " SEED "\n7",
                                        "7 8 9 " SEED "\n\n",
                                        "7 8 9 " SEED "0\n",
                                        "7 8 9 " SEED " ol\n",
                                        "7 8 9 " SEED "  old\n",
                                        "7 8 9 " SEED " old",
                                        "7 8 9 " SEED " old\n\n",
                                        "7 8 9 old " SEED "\n",
                                        "7 8 9 000102030405060708090a0b0c0d0e\n",
                                        "7 8 9 000102030405060708090A0B0C0D0E0F\n",
                                        "7 8 " SEED "\n",
                                        "0 8 9 " SEED "\n",
                                        "x 8 9 " SEED "\n",
                                        "-1 8 9 " SEED "\n",
                                        "4294967297 8 9 " SEED "\n",
                                        "7 18446744073709551616 9 " SEED "\n",
                                        " 7 8 9 " SEED "\n",
                                        "7  8 9 " SEED "\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        write_identity(texts[i]);
        is_refused("put the file back, or remove it, and forget the node");
    }
    char longer[600];
    memset(longer, '1', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    write_identity(longer);
    is_refused("put the file back");
}
END_TEST

/* No file that can be read: it does not start as somebody new, whose cells would all be lost. */
START_TEST(unreadable_identity)
{
    ck_assert_int_eq(mkdir(fake_manager.path, 0700), 0);
    is_refused("it must be a file that platoon may read");
    ck_assert_int_eq(rmdir(fake_manager.path), 0);
    ck_assert_int_eq(symlink("/etc/passwd", fake_manager.path), 0);
    is_refused("it must be a file that platoon may read");
    ck_assert_int_eq(unlink(fake_manager.path), 0);
}
END_TEST

static void is_in_trouble(const char *part)
{
    char why[CACHE_MEMBER_WHY_SIZE];
    play_join();
    ck_assert_int_eq(node.member->session, MEMBER_OUT);
    play_lease(PLAY_HOUR);
    ck_assert(!cache_member_serves(node.member));
    ck_assert_int_eq(play_looks("k"), CACHE_DO_WAIT);
    play_hears_nothing();
    cache_member_why(node.member, why);
    ck_says(why, part);
    ck_says(why, fake_manager.path);
    ck_says(why, "make it writable, or make room");
}

static void is_fine_again(void)
{
    char why[CACHE_MEMBER_WHY_SIZE];
    cache_member_tick(node.member);
    play_join();
    play_lease(PLAY_HOUR);
    ck_assert(cache_member_serves(node.member));
    cache_member_why(node.member, why);
    ck_assert_ptr_null(strstr(why, fake_manager.path));
}

/* Who it is cannot be written: it is in no session, claims nothing, and tries again by joining. */
START_TEST(unwritable_identity)
{
    char beside[sizeof fake_manager.path + 4];
    snprintf(beside, sizeof beside, "%s.new", fake_manager.path);
    play_open();
    ck_assert_int_eq(mkdir(beside, 0700), 0);
    is_in_trouble("File exists");
    ck_assert_int_eq(rmdir(beside), 0);
    is_fine_again();
}
END_TEST

/* The disk is full: what was there is as it was. */
START_TEST(disk_is_full)
{
    struct rlimit was, none;
    play_open();
    play_join();
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &was), 0);
    none = (struct rlimit){.rlim_cur = 4, .rlim_max = was.rlim_max};
    fake_manager.joined.mark = 102;
    cache_member_on_up(node.member);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
    play_join();
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &was), 0);
    ck_assert_int_eq(node.member->session, MEMBER_OUT);
    char text[128] = "", why[CACHE_MEMBER_WHY_SIZE];
    int fd = open(fake_manager.path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_gt(read(fd, text, sizeof text - 1), 0);
    close(fd);
    ck_says(text, "1 101 ");
    cache_member_why(node.member, why);
    ck_says(why, "make room");
    is_fine_again();
}
END_TEST

SUITE_MAIN_WITH("cache_member_nodes", play_set_up, play_tear_down, malformed_nodes, nodes_changed,
                nodes_are_forgotten, comes_back_as_it_was, writes_what_it_reads, malformed_identity,
                unreadable_identity, unwritable_identity, disk_is_full)
