/*
 * test_store_sqlite_vfs.c: SQLite opens nothing over a link that others may have made, at whatever moment it was put
 * there; and everything else as before.
 */
#include "common/store/store_sqlite.h"

#include "test/unit/build/place_fixture.h"
#include "test/unit/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOMEBODY 12345

static struct place place;

static void start(void)
{
    place_make(&place);
    store_sqlite_open_safely();
    ck_assert_int_eq(mkdir(place_path(&place, "precious"), 0755), 0);
    ck_assert_int_eq(mkdir(place_path(&place, "dir"), 0755), 0);
    ck_assert_int_eq(symlink("../precious", place_path(&place, "dir/link")), 0);
}

static void finish(void)
{
    place_remove(&place);
}

static int open_db(const char *name)
{
    sqlite3 *db;
    int rc = sqlite3_open(place_path(&place, name), &db);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, "PRAGMA journal_mode=WAL; CREATE TABLE t(x)", NULL, NULL, NULL);
    sqlite3_close(db);
    return rc;
}

/* As after a look at the path that had found nothing wrong. */
START_TEST(nothing_is_opened_over_a_link_of_others)
{
    char real[PATH_MAX];
    if (geteuid() != 0)
        return;
    ck_assert_int_eq(chown(place_path(&place, "dir"), SOMEBODY, SOMEBODY), 0);
    ck_assert_int_eq(lchown(place_path(&place, "dir/link"), SOMEBODY, SOMEBODY), 0);
    ck_assert_int_eq(open_db("dir/link/records.db"), SQLITE_CANTOPEN);
    const char *path = place_path(&place, "dir/link/records.db");
    ck_assert_int_eq(store_sqlite_open_file(path, O_RDWR | O_CREAT, 0600), -1);
    ck_assert_int_eq(errno, EMLINK);
    ck_assert(!store_sqlite_real(path, real));
    ck_assert_int_eq(rmdir(place_path(&place, "precious")), 0); /* nothing was made there */
    ck_assert_int_eq(open_db("dir/records.db"), SQLITE_OK);
}
END_TEST

START_TEST(our_own_links_are_followed)
{
    char real[PATH_MAX], wanted[PATH_MAX];
    ck_assert(!store_sqlite_real(place_path(&place, "dir/link/records.db"), real));
    ck_assert_int_eq(open_db("dir/link/records.db"), SQLITE_OK);
    /* Not as the file's own name: its WAL would be looked for in two places. */
    ck_assert_int_eq(symlink("records.db", place_path(&place, "precious/other.db")), 0);
    ck_assert_int_eq(open_db("precious/other.db"), SQLITE_CANTOPEN);
    ck_assert_int_eq(symlink("link/records.db", place_path(&place, "dir/file")), 0);
    ck_assert(store_sqlite_real(place_path(&place, "dir/file"), real));
    ck_assert_ptr_nonnull(realpath(place_path(&place, "precious/records.db"), wanted));
    ck_assert_str_eq(real, wanted);
}
END_TEST

SUITE_MAIN_WITH("store_sqlite_vfs", start, finish, nothing_is_opened_over_a_link_of_others,
                our_own_links_are_followed)
