/*
 * test_backing_file_writers.c: no older version ever wins in a directory (backing_file.h), with two
 * processes that write, a third that reads, and whoever is killed.
 */
#include "test/unit/cache/backing_writer.h"
#include "workers/cache/backing/backing_file.h"

#include <check.h>
#include <dirent.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

static char dir[64];
static uv_loop_t loop;
static struct backing *store;

static struct backing *open_store(uv_loop_t *in)
{
    struct backing_file_options options = {.path = dir, .value_max = 1000};
    struct backing *b;
    ck_assert_int_eq(backing_file_new(in, &options, &b), 0);
    return b;
}

static void set_up(void)
{
    strcpy(dir, "/tmp/platoon-backing-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    store = open_store(&loop);
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
}

static unsigned temporaries(void)
{
    unsigned n = 0;
    DIR *d = opendir(dir);
    for (const struct dirent *entry; (entry = readdir(d)) != NULL;)
        n += strncmp(entry->d_name, ".platoon-", 9) == 0;
    closedir(d);
    return n;
}

static pid_t start_writer(unsigned side, unsigned round)
{
    static struct backing_writer w;
    pid_t pid = suite_fork();
    if (pid != 0)
        return pid;
    uv_loop_t mine;
    uv_loop_init(&mine);
    w.deletes = true;
    w.base = (uint64_t)round * BACKING_VERSIONS;
    backing_writer_start(&w, &mine, open_store(&mine), side, 2 * round + side);
    uv_run(&mine, UV_RUN_DEFAULT);
    _exit(w.working == 0 && w.away == 0 ? 0 : 1);
}

static void look(uint64_t *versions)
{
    for (size_t i = 0; i < BACKING_KEYS; i++)
        backing_look(&loop, store, i, false, &versions[i]);
}

START_TEST(no_older_version_wins)
{
    uint64_t versions[BACKING_KEYS] = {0};
    int status, left = 2;
    for (unsigned side = 0; side < 2; side++)
        ck_assert_int_gt(start_writer(side, 0), 0);
    while (left > 0) {
        look(versions);
        if (waitpid(-1, &status, WNOHANG) > 0) {
            ck_assert_int_eq(status, 0);
            left--;
        }
    }
    look(versions);
    for (size_t i = 0; i < BACKING_KEYS; i++)
        ck_assert_uint_eq(versions[i], BACKING_VERSIONS);
    ck_assert_uint_eq(temporaries(), 0);
}
END_TEST

/* Killed at some moment of their work, which the reader sees go on. */
START_TEST(nor_when_writers_are_killed)
{
    uint64_t versions[BACKING_KEYS] = {0};
    for (unsigned round = 1; round <= 20; round++) {
        pid_t a = start_writer(0, round), b = start_writer(1, round);
        uint64_t until =
            (uint64_t)round * BACKING_VERSIONS + (unsigned)rand() % BACKING_VERSIONS / 2;
        while (versions[0] < until)
            look(versions);
        kill(a, SIGKILL);
        kill(b, SIGKILL);
        waitpid(a, NULL, 0);
        waitpid(b, NULL, 0);
        look(versions);
    }
    ck_assert_int_eq(backing_check(&loop, store).result, BACKING_DONE);
    ck_assert_uint_eq(temporaries(), 0);
    for (size_t i = 0; i < BACKING_KEYS; i++)
        ck_assert_int_eq(backing_put(&loop, store, backing_keys[i], "last", 100000).result,
                         BACKING_DONE);
}
END_TEST

SUITE_MAIN_WITH("backing_file_writers", set_up, tear_down, no_older_version_wins,
                nor_when_writers_are_killed)
