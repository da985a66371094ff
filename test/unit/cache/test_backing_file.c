/*
 * test_backing_file.c: a directory as a store (backing_file.h): what it keeps, and what it says of a disk
 * that does not.
 */
#include "test/unit/cache/backing_fixture.h"
#include "workers/cache/backing/backing_file.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>

/* ---- a disk that fails: the calls of the store, which fail with an errno where they are told to ---- */

enum { CALL_NONE, CALL_ATTRIBUTE, CALL_SYNC, CALL_RENAME };
static atomic_int failing, failing_errno;
static atomic_int sync_stands; /* fsync waits until it is 0 */
static atomic_int syncs;
enum { LIVES, DIES_BEFORE, DIES_BEHIND };
static atomic_int dies; /* by its rename */

static bool call_fails(int call)
{
    if (atomic_load(&failing) != call)
        return false;
    errno = atomic_load(&failing_errno);
    return true;
}

int fsetxattr(int fd, const char *name, const void *value, size_t size, int flags)
{
    return call_fails(CALL_ATTRIBUTE) ? -1
                                      : (int)syscall(SYS_fsetxattr, fd, name, value, size, flags);
}

int fsync(int fd)
{
    atomic_fetch_add(&syncs, 1);
    while (atomic_load(&sync_stands) != 0)
        usleep(1000);
    return call_fails(CALL_SYNC) ? -1 : (int)syscall(SYS_fsync, fd);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    if (call_fails(CALL_RENAME))
        return -1;
    if (atomic_load(&dies) == DIES_BEFORE)
        kill(getpid(), SIGKILL);
    int rc = (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, 0);
    if (atomic_load(&dies) == DIES_BEHIND)
        kill(getpid(), SIGKILL);
    return rc;
}

static void disk_fails(int call, int error)
{
    atomic_store(&failing_errno, error);
    atomic_store(&failing, call);
}

/* ---- the fixture ---- */

static char dir[64], remembered[80];
static uv_loop_t loop;
static struct backing *store;

static struct backing *open_store(uv_loop_t *in)
{
    struct backing_file_options options = {
        .path = dir, .remembered = remembered, .value_max = 1000};
    struct backing *b;
    ck_assert_int_eq(backing_file_new(in, &options, &b), 0);
    return b;
}

static void set_up(void)
{
    strcpy(dir, "/tmp/platoon-backing-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(remembered, sizeof remembered, "%s.id", dir);
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
    disk_fails(CALL_NONE, 0);
    if (store != NULL)
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

/* Of key "a", whose SHA-256 begins with ca. */
static const char *file_of_a(void)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/ca/a", dir);
    return path;
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

static void assert_done(struct backing_got got)
{
    ck_assert_msg(got.result == BACKING_DONE, "%d: %s", got.result, got.why);
}

/* ---- what it keeps ---- */

START_TEST(keeps)
{
    assert_done(backing_check(&loop, store));
    ck_assert_int_eq(get("a").result, BACKING_ABSENT);
    ck_assert_uint_eq(get("a").meta.version, 0);
    assert_done(put("a", "hello", 5));
    struct backing_got got = get("a");
    assert_done(got);
    ck_assert_str_eq(got.value, "hello");
    ck_assert_uint_eq(got.meta.version, 5);
    ck_assert_int_eq(got.meta.expiry_ms, 1700000000000);
    ck_assert_uint_eq(got.meta.form, 2);
    char text[64] = "";
    ck_assert_int_gt(getxattr(file_of_a(), "user.platoon", text, sizeof text), 0);
    ck_assert_str_eq(text, "v=5;e=1700000000000;f=term");
    assert_done(put("", "", 1));
    ck_assert_uint_eq(get("").value_len, 0);
    ck_assert_uint_eq(temporaries(), 0);
}
END_TEST

START_TEST(an_older_version_is_refused)
{
    assert_done(put("a", "five", 5));
    struct backing_got got = put("a", "four", 4);
    ck_assert_int_eq(got.result, BACKING_NEWER);
    ck_assert_uint_eq(got.meta.version, 5);
    ck_assert_str_eq(get("a").value, "five");
    assert_done(put("a", "again", 5)); /* a request repeated: nothing is written */
    ck_assert_str_eq(get("a").value, "five");
    assert_done(put("a", "six", 6));
    ck_assert_str_eq(get("a").value, "six");
}
END_TEST

START_TEST(deletions)
{
    assert_done(put("a", "five", 5));
    ck_assert_int_eq(backing_delete(&loop, store, "a", 4).result, BACKING_NEWER);
    assert_done(backing_delete(&loop, store, "a", 6));
    struct backing_got got = get("a");
    ck_assert_int_eq(got.result, BACKING_ABSENT);
    ck_assert_uint_eq(got.meta.version, 6);
    ck_assert_int_eq(put("a", "late", 5).result, BACKING_NEWER);
    got = backing_erase(&loop, store, "a", 5);
    ck_assert_int_eq(got.result, BACKING_NEWER);
    ck_assert_uint_eq(got.meta.version, 6);
    assert_done(backing_erase(&loop, store, "a", 6));
    ck_assert_uint_eq(get("a").meta.version, 0);
    ck_assert_int_eq(access(file_of_a(), F_OK), -1);
    assert_done(backing_erase(&loop, store, "a", 6));
    assert_done(backing_erase(&loop, store, "never there", 6));
    assert_done(put("a", "seven", 7));
    got = backing_erase(&loop, store, "a", 7); /* no tombstone */
    ck_assert_int_eq(got.result, BACKING_NEWER);
    ck_assert_str_eq(get("a").value, "seven");
}
END_TEST

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

START_TEST(what_a_person_put_there)
{
    assert_done(put("a", "five", 5));
    unlink(file_of_a());
    write_file(file_of_a(), "by hand");
    struct backing_got got = get("a");
    assert_done(got);
    ck_assert_str_eq(got.value, "by hand");
    ck_assert_uint_eq(got.meta.version, 0);
    ck_assert_int_eq(got.meta.expiry_ms, BACKING_NEVER);
    assert_done(put("a", "one", 1));
    ck_assert_str_eq(get("a").value, "one");
    /* Damaged: neither believed nor overwritten. */
    ck_assert_int_eq(setxattr(file_of_a(), "user.platoon", "v=x", 3, 0), 0);
    for (int i = 0; i < 2; i++) {
        got = i == 0 ? get("a") : put("a", "two", 2);
        ck_assert_int_eq(got.result, BACKING_REFUSED);
        ck_assert_ptr_nonnull(strstr(got.why, "/ca/a: its attribute user.platoon is damaged"));
    }
    unlink(file_of_a());
    ck_assert_int_eq(symlink("/etc/passwd", file_of_a()), 0);
    ck_assert_int_eq(get("a").result, BACKING_REFUSED);
    got = put("a", "two", 2);
    ck_assert_int_eq(got.result, BACKING_REFUSED);
    ck_assert_ptr_nonnull(strstr(got.why, "take it away"));
    unlink(file_of_a());
    mkdir(file_of_a(), 0700);
    ck_assert_int_eq(get("a").result, BACKING_REFUSED);
    ck_assert_int_eq(put("a", "two", 2).result, BACKING_REFUSED);
    rmdir(file_of_a());
    mkfifo(file_of_a(), 0600);
    got = get("a");
    ck_assert_int_eq(got.result, BACKING_REFUSED);
    ck_assert_ptr_nonnull(strstr(got.why, "it is a pipe, a socket or a device"));
    unlink(file_of_a());
    char large[1002] = "";
    memset(large, 'x', 1001);
    write_file(file_of_a(), large);
    got = get("a");
    ck_assert_int_eq(got.result, BACKING_REFUSED);
    ck_assert_ptr_nonnull(strstr(got.why, "object_max"));
    ck_assert_uint_eq(temporaries(), 0);
}
END_TEST

/* ---- a disk that fails ---- */

struct broken {
    int call, error;
    enum backing_result result;
    const char *remedy;
};

START_TEST(a_disk_that_fails)
{
    static const struct broken cases[] = {
        {CALL_SYNC, ENOSPC, BACKING_FORBIDDEN, "make room"},
        {CALL_SYNC, EDQUOT, BACKING_FORBIDDEN, "quota"},
        {CALL_SYNC, EIO, BACKING_FORBIDDEN, "kernel's log"},
        {CALL_RENAME, EROFS, BACKING_FORBIDDEN, "for writing"},
        {CALL_RENAME, EACCES, BACKING_FORBIDDEN, "chown"},
        {CALL_RENAME, EXDEV, BACKING_FORBIDDEN, "own file system"},
        {CALL_RENAME, ENAMETOOLONG, BACKING_REFUSED, "short names"},
        {CALL_RENAME, ENOENT, BACKING_AWAY, ""}, /* the sweep took it */
        {CALL_ATTRIBUTE, EOPNOTSUPP, BACKING_FORBIDDEN, "ext4"},
        {CALL_ATTRIBUTE, ENOMEM, BACKING_AWAY, "Cannot allocate memory"},
    };
    assert_done(put("a", "one", 1));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        disk_fails(cases[i].call, cases[i].error);
        struct backing_got got = put("a", "two", 2);
        ck_assert_msg(got.result == cases[i].result, "%zu: %s", i, got.why);
        ck_assert_msg(strstr(got.why, cases[i].remedy) != NULL, "%s", got.why);
        ck_assert_msg(strncmp(got.why, dir, strlen(dir)) == 0, "%s", got.why);
        disk_fails(CALL_NONE, 0);
        ck_assert_str_eq(get("a").value, "one");
        ck_assert_uint_eq(temporaries(), 0);
    }
    assert_done(put("a", "two", 2));
}
END_TEST

START_TEST(the_check)
{
    disk_fails(CALL_ATTRIBUTE, EOPNOTSUPP);
    struct backing_got got = backing_check(&loop, store);
    ck_assert_int_eq(got.result, BACKING_REFUSED);
    ck_assert_ptr_nonnull(
        strstr(got.why, "must lie on a file system with locks and user attributes"));
    disk_fails(CALL_SYNC, ENOSPC);
    ck_assert_int_eq(backing_check(&loop, store).result, BACKING_FORBIDDEN);
    disk_fails(CALL_NONE, 0);
    char moved[80];
    snprintf(moved, sizeof moved, "%s.moved", dir);
    ck_assert_int_eq(rename(dir, moved), 0);
    for (int i = 0; i < 3; i++) {
        got = i == 0 ? backing_check(&loop, store) : i == 1 ? get("a") : put("a", "x", 1);
        ck_assert_int_eq(got.result, BACKING_FORBIDDEN);
        ck_assert_ptr_nonnull(strstr(got.why, "make the directory that path names"));
    }
    write_file(dir, "");
    ck_assert_int_eq(backing_check(&loop, store).result, BACKING_FORBIDDEN);
    unlink(dir);
    ck_assert_int_eq(rename(moved, dir), 0);
    assert_done(backing_check(&loop, store));
}
END_TEST

/* A rename that was not made durable is made so by the repeated request. */
START_TEST(a_repeated_put_syncs_the_directory)
{
    assert_done(put("a", "one", 1));
    int before = atomic_load(&syncs);
    assert_done(put("a", "one", 1));
    ck_assert_int_eq(atomic_load(&syncs), before + 1);
}
END_TEST

/* ---- deadlines ---- */

static struct backing_got start_put(uint64_t version, uint64_t timeout_ms, struct backing_got *got)
{
    struct backing_meta meta = {.version = version, .expiry_ms = BACKING_NEVER};
    ck_assert_int_eq(store->ops->put(store, slice_of("a"), slice_of("late"), &meta, timeout_ms,
                                     backing_on_got, got, &got->call),
                     0);
    return *got;
}

START_TEST(a_disk_at_a_stand)
{
    struct backing_got late = {0};
    assert_done(put("a", "one", 1));
    atomic_store(&sync_stands, 1);
    start_put(2, 30, &late);
    backing_wait(&loop, &late);
    ck_assert_int_eq(late.result, BACKING_AWAY);
    ck_assert_ptr_nonnull(strstr(late.why, "no answer for 30 ms"));
    atomic_store(&sync_stands, 0);
    assert_done(put("a", "three", 3));
    backing_end(&loop, store); /* until the thread is through */
    store = open_store(&loop);
    ck_assert_str_eq(get("a").value, "three");
    ck_assert_uint_eq(temporaries(), 0);
}
END_TEST

/* What was given up changes nothing any more: not even where nothing newer stands in its way. */
START_TEST(what_was_given_up_is_not_done)
{
    struct backing_got late = {0};
    atomic_store(&sync_stands, 1);
    start_put(2, 30, &late);
    backing_wait(&loop, &late);
    atomic_store(&sync_stands, 0);
    backing_end(&loop, store);
    store = open_store(&loop);
    ck_assert_int_eq(get("a").result, BACKING_ABSENT);
}
END_TEST

START_TEST(a_lock_that_is_held)
{
    struct backing_got late = {0};
    char lock[96];
    assert_done(put("a", "one", 1));
    snprintf(lock, sizeof lock, "%s/ca/.lock", dir);
    int fd = open(lock, O_RDWR);
    ck_assert_int_eq(flock(fd, LOCK_EX), 0);
    start_put(2, 50, &late);
    backing_wait(&loop, &late);
    ck_assert_int_eq(late.result, BACKING_AWAY);
    ck_assert_str_eq(get("a").value, "one"); /* readers need none */
    close(fd);
    assert_done(put("a", "two", 2));
}
END_TEST

START_TEST(too_many)
{
    static struct backing_got gots[BACKING_FILE_CALLS + 1];
    struct backing_call *call;
    atomic_store(&sync_stands, 1);
    for (size_t i = 0; i < BACKING_FILE_CALLS; i++)
        ck_assert_int_eq(store->ops->check(store, 60000, backing_on_got, &gots[i], &call), 0);
    start_put(1, 60000, &gots[BACKING_FILE_CALLS]);
    backing_wait(&loop, &gots[BACKING_FILE_CALLS]);
    ck_assert_int_eq(gots[BACKING_FILE_CALLS].result, BACKING_AWAY);
    ck_assert_ptr_nonnull(strstr(gots[BACKING_FILE_CALLS].why, "wait for its disk already"));
    atomic_store(&sync_stands, 0);
    backing_end(&loop, store); /* the threads work on what they had begun, and nobody is called */
    store = NULL;
    for (size_t i = 0; i < BACKING_FILE_CALLS; i++)
        ck_assert_uint_eq(gots[i].calls, 0);
}
END_TEST

START_TEST(cancelled)
{
    struct backing_got got = {0};
    start_put(1, 10000, &got);
    store->ops->cancel(got.call);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_uint_eq(got.calls, 0);
}
END_TEST

/* Killed beside its rename: the old or the new is there, whole, and the same request is right again. */
START_TEST(killed_at_each_step)
{
    assert_done(put("a", "one", 1));
    for (int when = DIES_BEFORE; when <= DIES_BEHIND; when++) {
        int status;
        pid_t pid = suite_fork();
        if (pid == 0) {
            uv_loop_t mine;
            uv_loop_init(&mine);
            atomic_store(&dies, when);
            backing_put(&mine, open_store(&mine), "a", "two", (uint64_t)when + 1);
            _exit(1);
        }
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        ck_assert_str_eq(get("a").value, when == DIES_BEFORE ? "one" : "two");
        ck_assert_uint_eq(temporaries(), when == DIES_BEFORE);
        assert_done(put("a", "two", (uint64_t)when + 1));
        ck_assert_uint_eq(get("a").meta.version, (uint64_t)when + 1);
        assert_done(backing_check(&loop, store));
        ck_assert_uint_eq(temporaries(), 0);
    }
}
END_TEST

START_TEST(leftovers_are_swept)
{
    char path[96];
    snprintf(path, sizeof path, "%s/.platoon-0123456789abcdef", dir);
    write_file(path, "left");
    int fd = open(path, O_RDWR);
    ck_assert_int_eq(flock(fd, LOCK_EX), 0);
    assert_done(backing_check(&loop, store));
    ck_assert_uint_eq(temporaries(), 1); /* its writer lives */
    close(fd);
    assert_done(backing_check(&loop, store));
    ck_assert_uint_eq(temporaries(), 0);
}
END_TEST

SUITE_MAIN_WITH("backing_file", set_up, tear_down, keeps, an_older_version_is_refused, deletions,
                what_a_person_put_there, a_disk_that_fails, the_check,
                a_repeated_put_syncs_the_directory, a_disk_at_a_stand,
                what_was_given_up_is_not_done, a_lock_that_is_held, too_many, cancelled,
                leftovers_are_swept, killed_at_each_step)
