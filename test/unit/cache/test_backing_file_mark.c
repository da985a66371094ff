/*
 * test_backing_file_mark.c: a directory that is the store, and one that is only where it should be mounted
 * (backing_file_mark.h).
 */
#include "test/unit/cache/backing_fixture.h"
#include "workers/cache/backing/backing_file.h"

#include <check.h>
#include <dirent.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>

static char dir[64], remembered[80];
static uv_loop_t loop;
static struct backing *store;

static struct backing *open_store(void)
{
    struct backing_file_options options = {
        .path = dir, .remembered = remembered, .value_max = 1000};
    struct backing *b;
    ck_assert_int_eq(backing_file_new(&loop, &options, &b), 0);
    return b;
}

static void set_up(void)
{
    strcpy(dir, "/tmp/platoon-backing-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(remembered, sizeof remembered, "%s.id", dir);
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    store = open_store();
}

static int remove_one(const char *path, const struct stat *stat, int kind, struct FTW *ftw)
{
    (void)stat, (void)kind, (void)ftw;
    return remove(path);
}

static void tear_down(void)
{
    backing_end(&loop, store);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    unlink(remembered);
}

static struct backing_got put(const char *key, const char *value, uint64_t version)
{
    return backing_put(&loop, store, key, value, version);
}

static struct backing_got get(const char *key)
{
    return backing_get(&loop, store, key);
}

static void assert_done(struct backing_got got)
{
    ck_assert_msg(got.result == BACKING_DONE, "%d: %s", got.result, got.why);
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

/* Nothing that is asked for is absent, done or newer. */
static void assert_is_no_store(const char *says)
{
    struct backing_got gots[] = {get("a"), get("never"), put("a", "x", 9),
                                 backing_erase(&loop, store, "a", 1), backing_check(&loop, store)};
    for (size_t i = 0; i < sizeof gots / sizeof *gots; i++) {
        ck_assert_msg(gots[i].result == BACKING_FORBIDDEN, "%zu: %d", i, gots[i].result);
        ck_assert_msg(strstr(gots[i].why, says) != NULL, "%s", gots[i].why);
    }
}

static unsigned entries(void)
{
    unsigned n = 0;
    DIR *d = opendir(dir);
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n - 2;
}

static void open_again(void)
{
    backing_end(&loop, store);
    store = open_store();
}

static const char *mark(void)
{
    static char path[96];
    snprintf(path, sizeof path, "%s/.platoon", dir);
    return path;
}

/* What is mounted at PATH goes, and comes back: while the worker runs, and while it does not. */
START_TEST(an_empty_mount_point)
{
    char moved[80];
    snprintf(moved, sizeof moved, "%s.moved", dir);
    assert_done(backing_check(&loop, store));
    assert_done(put("a", "one", 1));
    ck_assert_int_eq(rename(dir, moved), 0);
    ck_assert_int_eq(mkdir(dir, 0700), 0);
    for (int i = 0; i < 2; i++) {
        assert_is_no_store("has lost its mark");
        ck_assert_uint_eq(entries(), 0);
        open_again();
    }
    ck_assert_int_eq(rmdir(dir), 0);
    ck_assert_int_eq(rename(moved, dir), 0);
    ck_assert_str_eq(get("a").value, "one");
    assert_done(backing_check(&loop, store));
}
END_TEST

/* A person says that it is to begin anew. */
START_TEST(an_empty_mark)
{
    assert_done(backing_check(&loop, store));
    assert_done(put("a", "one", 1));
    unlink(mark());
    assert_is_no_store("if it is right so, empty or not: touch");
    write_file(mark(), "");
    assert_done(backing_check(&loop, store));
    ck_assert_str_eq(get("a").value, "one");
    open_again();
    ck_assert_str_eq(get("a").value, "one");
}
END_TEST

START_TEST(another_store)
{
    assert_done(backing_check(&loop, store));
    write_file(mark(), "0123456789abcdef0123456789abcdef\n");
    assert_is_no_store("is another store than before");
    write_file(mark(), "what");
    assert_is_no_store("has a damaged mark");
    unlink(remembered); /* nothing is known of it, by this host either */
    write_file(mark(), "0123456789abcdef0123456789abcdef\n");
    open_again();
    assert_done(backing_check(&loop, store));
}
END_TEST

START_TEST(a_directory_of_something_else)
{
    char path[96];
    snprintf(path, sizeof path, "%s/README", dir);
    write_file(path, "not mounted");
    assert_is_no_store("has README in it");
    unlink(path);
    snprintf(path, sizeof path, "%s/lost+found", dir);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/ca", dir); /* objects from before there were marks */
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/ca/a", dir);
    write_file(path, "old");
    ck_assert_str_eq(get("a").value, "old");
    ck_assert_int_eq(access(mark(), F_OK), 0);
}
END_TEST

/* Two that make it at once agree. */
START_TEST(made_by_two)
{
    struct backing *other = open_store();
    struct backing_got gots[2][8] = {0};
    for (int i = 0; i < 8; i++)
        for (int n = 0; n < 2; n++) {
            struct backing *b = n == 0 ? store : other;
            ck_assert_int_eq(
                b->ops->get(b, slice_of("a"), 10000, backing_on_got, &gots[n][i], &gots[n][i].call),
                0);
        }
    for (int i = 0; i < 8; i++)
        for (int n = 0; n < 2; n++) {
            backing_wait(&loop, &gots[n][i]);
            ck_assert_msg(gots[n][i].result == BACKING_ABSENT || gots[n][i].result == BACKING_AWAY,
                          "%s", gots[n][i].why);
        }
    assert_done(backing_check(&loop, other));
    assert_done(backing_check(&loop, store));
    ck_assert_int_eq(backing_get(&loop, other, "a").result, BACKING_ABSENT);
    backing_end(&loop, other);
}
END_TEST

SUITE_MAIN_WITH("backing_file_mark", set_up, tear_down, an_empty_mount_point, an_empty_mark,
                another_store, a_directory_of_something_else, made_by_two)
