/*
 * test_store_sqlite_place.c: operators' accidents with the file under its writers, in every moment: what was
 * acknowledged is in one of the files afterwards, and each of them is whole.
 *
 * Sources: sqlite.org/howtocorrupt.html (2.4, 4), vavallee/bindery#2337 and Basekick-Labs/arc#635 (a backup copied over
 * an open database), forum threads on moved, restored and copied WAL databases.
 */
#include "common/clock.h"
#include "common/store/store.h"
#include "common/store/store_sqlite_place.h"
#include "test/unit/build/place_fixture.h"
#include "test/unit/suite.h"

#include <signal.h>
#include <stdatomic.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BEFORE   60 /* records acknowledged before the accident, and so many after it */
#define BOTH     (2 * BEFORE)
#define STRANGER 12345

static struct place place;
static char path[128];
static struct store_error error;

static void setup(void)
{
    place_make(&place);
    snprintf(path, sizeof path, "%s/in/records.db", place.dir);
}

static void teardown(void)
{
    place_remove(&place);
}

static void shell(const char *script)
{
    char command[1024];
    snprintf(command, sizeof command, "cd %s && %s", place.dir, script);
    ck_assert_msg(system(command) == 0, "%s", command);
}

static struct store *open_store(void)
{
    struct store_options options = {.type = "sqlite", .path = path, .cache_bytes = 1 << 20};
    struct store *s = NULL;
    ck_assert_msg(store_open(&options, &s, &error) == STORE_OK, "%s", error.text);
    return s;
}

static enum store_result put(struct store *s, unsigned number)
{
    char key[16];
    snprintf(key, sizeof key, "k%06u", number);
    struct store_record r = {.bucket = slice_of("b"),
                             .key = slice_of(key),
                             .data =
                                 slice_of("{\"some\":\"text that takes room, and more of it\"}"),
                             .seq = number + 1,
                             .updated_at_ms = 1};
    return store_write(s, &r, 1, &error);
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static void must_put(struct store *s, unsigned from, unsigned to)
{
    uint64_t until = clock_mono_ms() + 20000;
    for (unsigned i = from; i < to; i++)
        while (put(s, i) != STORE_OK) {
            ck_assert_msg(clock_mono_ms() < until, "%u: %s", i, error.text);
            pause_ms(20);
        }
}

static void must_rest(struct store *s)
{
    uint64_t until = clock_mono_ms() + 20000;
    while (!store_rest(s, &error)) {
        ck_assert_msg(clock_mono_ms() < until, "it does not rest: %s", error.text);
        pause_ms(5);
    }
}

/* Marks the records of one file, which must be whole. */
static void mark(const char *file, bool *found)
{
    sqlite3 *db;
    sqlite3_stmt *stmt;
    ck_assert_int_eq(sqlite3_open_v2(file, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    ck_assert_int_eq(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &stmt, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
    ck_assert_msg(strcmp((const char *)sqlite3_column_text(stmt, 0), "ok") == 0, "%s: %s", file,
                  sqlite3_column_text(stmt, 0));
    sqlite3_finalize(stmt);
    /* One that was moved away while it was being made may have no tables yet: nothing was acknowledged in it. */
    if (sqlite3_prepare_v2(db, "SELECT substr(key, 2) FROM records", -1, &stmt, NULL) != SQLITE_OK)
        ck_assert_ptr_nonnull(strstr(sqlite3_errmsg(db), "no such table"));
    while (stmt != NULL && sqlite3_step(stmt) == SQLITE_ROW)
        found[sqlite3_column_int(stmt, 0)] = true;
    sqlite3_finalize(stmt);
    sqlite3_close(db);
}

static void find_all(bool *found)
{
    char command[160], file[256];
    snprintf(command, sizeof command, "find %s -name '*.db' -type f", place.dir);
    FILE *files = popen(command, "r");
    ck_assert_ptr_nonnull(files);
    while (fgets(file, sizeof file, files) != NULL) {
        file[strcspn(file, "\n")] = '\0';
        mark(file, found);
    }
    pclose(files);
}

/* Of the records from..to none may be missing in all of the files together. */
static void expect_all(unsigned from, unsigned to)
{
    bool found[4 * BOTH] = {false};
    find_all(found);
    for (unsigned i = from; i < to; i++)
        ck_assert_msg(found[i], "record %u of %u..%u is nowhere", i, from, to);
}

/*
 * What people do with files; a writer may have made its new one between two steps. `lost`: it takes away what was
 * stored before, by its nature.
 */
static const struct accident {
    const char *script;
    bool lost;
} accidents[] = {
    {"mv in/records.db archive.db", false},
    {"mv in/records.db in/archive.db", false},
    {"rm in/records.db", true},
    {"rm in/records.db*", true},
    {"mv in moved", false},
    {"mv in moved && mkdir -p in", false},
    {"mv in/records.db archive.db && (ln -s ../archive.db in/records.db || true)", false},
    {"mv in/records.db archive.db && (cp -n other.db in/records.db || true)", false},
    {"ln in/records.db kept && mv other.db in/records.db", true},
    {"rm in/records.db && (cp -n other.db in/records.db || true)", true},
    {"rm -f in/records.db-wal", false},
    {"rm -f in/records.db-shm", false},
    {"mv in/records.db archive.db && mv -n archive.db in/records.db", false},
};
#define ACCIDENTS (sizeof accidents / sizeof *accidents)

/* A store of somebody else's with one record. */
static void make_other(void)
{
    char was[sizeof path];
    memcpy(was, path, sizeof path);
    snprintf(path, sizeof path, "%s/other.db", place.dir);
    struct store *s = open_store();
    must_put(s, 3 * BOTH, 3 * BOTH + 1);
    store_close(s);
    memcpy(path, was, sizeof path);
}

static void one_accident(const struct accident *a, bool at_rest)
{
    make_other();
    struct store *s = open_store();
    must_put(s, 0, BEFORE);
    if (at_rest)
        must_rest(s);
    shell(a->script);
    must_put(s, BEFORE, BOTH);
    must_rest(s);
    store_close(s);
    expect_all(a->lost ? BEFORE : 0, BOTH);
    shell("rm -rf in moved *.db*");
}

START_TEST(test_accidents_while_it_is_open)
{
    for (size_t i = 0; i < ACCIDENTS; i++)
        one_accident(&accidents[i], false);
}
END_TEST

START_TEST(test_accidents_while_it_rests)
{
    for (size_t i = 0; i < ACCIDENTS; i++)
        one_accident(&accidents[i], true);
}
END_TEST

/* The accident is the last thing that its writer sees: closing loses nothing either. */
START_TEST(test_accidents_before_the_end)
{
    for (size_t i = 0; i < ACCIDENTS; i++) {
        make_other();
        struct store *s = open_store();
        must_put(s, 0, BEFORE);
        shell(accidents[i].script);
        store_close(s);
        expect_all(0, accidents[i].lost ? 0 : BEFORE);
        shell("rm -rf in moved *.db*");
    }
}
END_TEST

/* Writes records of its own, and says each that was acknowledged. */
static pid_t write_on(unsigned from, int said)
{
    pid_t child = suite_fork();
    if (child != 0)
        return child;
    struct store *s = open_store();
    for (unsigned i = from; i < from + BEFORE; i++) {
        must_put(s, i, i + 1);
        if (write(said, &i, sizeof i) != sizeof i)
            _exit(1);
    }
    store_close(s);
    _exit(0);
}

/*
 * Two processes on one file, and the accident in the midst. `late` gets what was acknowledged afterwards: each of the
 * two may have been about to say one more.
 */
static void accident_under_load(const struct accident *a, bool *late)
{
    int acks[2], waiting = 0;
    unsigned number, count = 0;
    ck_assert_int_eq(pipe(acks), 0);
    pid_t children[2] = {write_on(0, acks[1]), write_on(BEFORE, acks[1])};
    close(acks[1]);
    while (count < BEFORE / 2 && read(acks[0], &number, sizeof number) == sizeof number)
        count++;
    shell(a->script);
    ck_assert_int_eq(ioctl(acks[0], FIONREAD, &waiting), 0);
    unsigned before = count + (unsigned)waiting / sizeof number + 2;
    while (read(acks[0], &number, sizeof number) == sizeof number)
        late[number] = ++count > before;
    close(acks[0]);
    for (int c = 0; c < 2; c++) {
        int status;
        waitpid(children[c], &status, 0);
        ck_assert_msg(status == 0, "%s: a writer ended with %x", a->script, status);
    }
    ck_assert_uint_eq(count, BOTH);
}

START_TEST(test_accidents_under_load)
{
    for (size_t i = 0; i < ACCIDENTS; i++) {
        bool late[BOTH] = {false}, found[4 * BOTH] = {false};
        make_other();
        accident_under_load(&accidents[i], late);
        find_all(found);
        for (unsigned n = 0; n < BOTH; n++)
            ck_assert_msg(found[n] || !(late[n] || !accidents[i].lost), "%s: record %u is nowhere",
                          accidents[i].script, n);
        shell("rm -rf in moved *.db*");
    }
}
END_TEST

START_TEST(test_a_copy_of_what_rests_is_whole)
{
    struct store *s = open_store();
    must_put(s, 0, BEFORE);
    must_rest(s);
    shell("mkdir copy && cp in/records.db copy/ && mv in hidden && rm hidden/*.db");
    expect_all(0, BEFORE);
    store_close(s);
}
END_TEST

/* From a backup, over the file itself: its descriptors stay good, and its content is another one's. */
START_TEST(test_a_backup_is_copied_over_it)
{
    for (int at_rest = 0; at_rest < 2; at_rest++) {
        struct store *s = open_store();
        must_put(s, 0, BEFORE / 2);
        must_rest(s);
        shell("cp in/records.db backup");
        must_put(s, BEFORE / 2, BEFORE);
        must_rest(s);
        if (!at_rest)
            must_put(s, 3 * BOTH, 3 * BOTH + 1);
        shell("cp backup in/records.db");
        must_put(s, BEFORE, BOTH);
        store_close(s);
        expect_all(0, BEFORE / 2);
        expect_all(BEFORE, BOTH);
        shell("rm -rf in backup");
    }
}
END_TEST

/* Another store's file, whose changes are more than ours: the content is another one's, and the inode the same. */
START_TEST(test_another_store_is_copied_over_it)
{
    for (int at_rest = 0; at_rest < 2; at_rest++) {
        make_other();
        char was[sizeof path];
        memcpy(was, path, sizeof path);
        snprintf(path, sizeof path, "%s/other.db", place.dir);
        for (unsigned i = 0; i < 20; i++) { /* each of them raises its change counter */
            struct store *other = open_store();
            must_put(other, 3 * BOTH, 3 * BOTH + 1);
            must_rest(other);
            store_close(other);
        }
        memcpy(path, was, sizeof path);
        struct store *s = open_store();
        must_put(s, 0, BEFORE);
        if (at_rest)
            must_rest(s);
        shell("cat other.db > in/records.db");
        must_put(s, BEFORE, BOTH);
        struct store_error news;
        ck_assert(at_rest || (store_take_news(s, &news) && strstr(news.text, "another content")));
        must_rest(s);
        store_close(s);
        bool found[4 * BOTH] = {false};
        mark(path, found);
        for (unsigned i = BEFORE; i < BOTH; i++)
            ck_assert_msg(found[i], "record %u is nowhere", i);
        ck_assert(found[3 * BOTH]);
        shell("rm -rf in other.db*");
    }
}
END_TEST

/* A copy that takes its time: nothing is stored into half of it. */
START_TEST(test_half_a_copy_is_waited_for)
{
    struct store *s = open_store();
    must_put(s, 0, BEFORE);
    must_rest(s);
    shell("cp in/records.db whole && head -c 5000 whole > in/records.db");
    ck_assert_int_eq(put(s, BEFORE), STORE_RETRY);
    ck_assert_msg(strstr(error.text, "copy under way") != NULL, "%s", error.text);
    shell("cat whole > in/records.db");
    must_put(s, BEFORE, BOTH);
    store_close(s);
    expect_all(0, BOTH);
}
END_TEST

static struct store *try_held(const char *holder, enum store_result wanted)
{
    struct store_options options = {
        .type = "sqlite", .path = path, .cache_bytes = 1 << 20, .holder = holder};
    struct store *s = NULL;
    ck_assert_int_eq(store_open(&options, &s, &error), wanted);
    return s;
}

/* As long as one of them has it, at rest as well; and a copy of it, with all that lies beside it, is nobody's. */
START_TEST(test_one_platoon_has_it)
{
    struct store *first = try_held("state_dir /a", STORE_OK);
    struct store *second = try_held("state_dir /a", STORE_OK);
    must_put(first, 0, 1);
    must_rest(first);
    ck_assert_ptr_null(try_held("state_dir /b", STORE_RETRY));
    ck_assert_msg(strstr(error.text, "another platoon (state_dir /a) stores there") != NULL, "%s",
                  error.text);
    shell("ln -s in link");
    char was[sizeof path];
    memcpy(was, path, sizeof path);
    snprintf(path, sizeof path, "%s/link/records.db", place.dir);
    ck_assert_ptr_null(try_held("state_dir /b", STORE_RETRY));
    memcpy(path, was, sizeof path);
    store_close(first);
    ck_assert_ptr_null(try_held("state_dir /b", STORE_RETRY));
    shell("mkdir copy && cp in/* copy/ && mv copy/records.db copy/records && mv in there && mv "
          "copy in && mv in/records in/records.db");
    store_close(try_held("state_dir /b", STORE_OK));
    must_put(second, 1, 2); /* into what is there now, which is free again */
    store_close(second);
    store_close(try_held("state_dir /b", STORE_OK));
    expect_all(0, 2);
}
END_TEST

/* Killed with its WAL full, and then moved: nothing is made in its place while the WAL has nobody else. */
START_TEST(test_a_wal_without_its_file_is_kept)
{
    make_other();
    pid_t child = suite_fork();
    if (child == 0) {
        must_put(open_store(), 0, BEFORE);
        kill(getpid(), SIGKILL);
    }
    waitpid(child, NULL, 0);
    shell("mv in/records.db in/archive.db");
    struct store_options options = {.type = "sqlite", .path = path, .cache_bytes = 1 << 20};
    struct store *s = NULL;
    ck_assert_int_eq(store_open(&options, &s, &error), STORE_RETRY);
    ck_assert_msg(strstr(error.text, "the file is gone") != NULL, "%s", error.text);
    shell("mv in/records.db-wal in/archive.db-wal && rm -f in/records.db-shm");
    s = open_store();
    must_put(s, BEFORE, BOTH);
    store_close(s);
    expect_all(0, BOTH);
}
END_TEST

/* Another process has it open, and its WAL has no name any more: what it has acknowledged is in that alone. */
START_TEST(test_nobody_opens_it_beside_a_wal_without_a_name)
{
    static const char *const gone[] = {
        "rm in/records.db-wal", "rm in/records.db-shm",
        "mv in/records.db there.db && ln -s ../there.db in/records.db"};
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) {
        int told[2], order[2];
        char byte = 0;
        ck_assert_int_eq(pipe(told), 0);
        ck_assert_int_eq(pipe(order), 0);
        pid_t child = suite_fork();
        if (child == 0) {
            struct store *s = open_store();
            must_put(s, 0, BEFORE);
            bool good = write(told[1], "y", 1) == 1 && read(order[0], &byte, 1) == 1;
            store_close(s);
            _exit(good ? 0 : 1);
        }
        ck_assert_int_eq(read(told[0], &byte, 1), 1);
        shell(gone[i]);
        struct store_options options = {.type = "sqlite", .path = path, .cache_bytes = 1 << 20};
        struct store *s = NULL;
        ck_assert_int_eq(store_open(&options, &s, &error), STORE_RETRY);
        ck_assert_msg(strstr(error.text, "another process has it open") != NULL, "%s", error.text);
        ck_assert_int_eq(write(order[1], "y", 1), 1);
        int status;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_int_eq(status, 0);
        s = open_store();
        must_put(s, BEFORE, BOTH);
        store_close(s);
        expect_all(0, BOTH);
        shell("rm -rf in there.db*");
        for (int j = 0; j < 2; j++) {
            close(told[j]);
            close(order[j]);
        }
    }
}
END_TEST

static sqlite3 *connect_to(const char *file)
{
    sqlite3 *db;
    ck_assert_int_eq(sqlite3_open(file, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    return db;
}

/* Of the store as it is now, until it is closed. */
static sqlite3 *begin_reading(void)
{
    sqlite3 *db = connect_to(path);
    ck_assert_int_eq(sqlite3_exec(db, "BEGIN; SELECT count(*) FROM records", NULL, NULL, NULL),
                     SQLITE_OK);
    return db;
}

/* A reader holds the WAL: nothing is stored until what was stored is in the file that was moved. */
START_TEST(test_a_reader_holds_the_moved_file)
{
    struct store *s = open_store();
    must_put(s, 0, 1);
    sqlite3 *reader = begin_reading();
    must_put(s, 1, BEFORE);
    shell("mv in/records.db archive.db");
    ck_assert_int_eq(put(s, BEFORE), STORE_RETRY);
    ck_assert_msg(strstr(error.text, "moved") != NULL, "%s", error.text);
    sqlite3_close(reader);
    must_put(s, BEFORE, BOTH);
    struct store_error news;
    ck_assert(store_take_news(s, &news));
    ck_assert_ptr_nonnull(strstr(news.text, "moved"));
    ck_assert(!store_take_news(s, &news));
    store_close(s);
    expect_all(0, BOTH);
}
END_TEST

/*
 * PRAGMA application_id on a store that is open. A reader holds the rest of the WAL back: what is in it and not in the
 * file must not go with the old mark.
 */
START_TEST(test_another_mark_of_the_same_store)
{
    struct store *s = open_store();
    must_put(s, 0, BEFORE);
    sqlite3 *first = begin_reading(), *them = connect_to(path);
    ck_assert_int_eq(sqlite3_exec(them, "PRAGMA application_id=42", NULL, NULL, NULL), SQLITE_OK);
    sqlite3 *reader = begin_reading();
    sqlite3_close(first);            /* until now nobody could begin the WAL anew */
    must_put(s, BEFORE, BEFORE + 1); /* no page more: the first one stays as they left it */
    while (sqlite3_wal_checkpoint_v2(them, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL) ==
           SQLITE_BUSY)
        pause_ms(5);
    must_put(s, BEFORE + 1, 2 * BOTH);
    struct store_error news;
    ck_assert(!store_take_news(s, &news));
    sqlite3_close(them);
    sqlite3_close(reader);
    must_rest(s);
    must_put(s, 2 * BOTH, 3 * BOTH);
    bool told = store_take_news(s, &news);
    ck_assert_msg(!told, "%s", news.text);
    store_close(s);
    expect_all(0, 3 * BOTH);
}
END_TEST

/* All the locks that there are, of all that it may open: by then nothing of ours is made any more. */
static void lock_all(const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (int writing = 0; writing < 2; writing++) {
            int fd = open(place_path(&place, names[i]), writing ? O_RDWR : O_RDONLY);
            struct flock lock = {.l_type = writing ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET};
            if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
                fcntl(fd, F_OFD_SETLK, &lock);
        }
}

/* Who may read the directory may lock it. */
START_TEST(test_a_stranger_holds_nothing)
{
    static const char *const names[] = {"", "in", "in/records.db-lock"};
    if (geteuid() != 0)
        return;
    store_close(open_store());
    shell("chmod 755 . in");
    int told[2], order[2];
    ck_assert(pipe(told) == 0 && pipe(order) == 0);
    pid_t child = suite_fork();
    if (child == 0) {
        close(order[1]);
        char end = setgid(STRANGER) == 0 && setuid(STRANGER) == 0 ? 'y' : 'n';
        lock_all(names, sizeof names / sizeof *names);
        end = write(told[1], &end, 1) == 1 && read(order[0], &end, 1) >= 0 ? 'y' : 'n';
        _exit(end == 'y' ? 0 : 1);
    }
    char byte = 'n';
    ck_assert(read(told[0], &byte, 1) == 1 && byte == 'y');
    struct store *s = open_store();
    ck_assert_msg(put(s, 0) == STORE_OK, "%s", error.text);
    must_rest(s);
    store_close(s);
    ck_assert_int_eq(write(order[1], "y", 1), 1);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}
END_TEST

/* One of ours that is opening it is waited for, and nothing is parted with beside it. */
START_TEST(test_who_opens_it_is_waited_for)
{
    struct store *s = open_store();
    must_put(s, 0, 1);
    int lock = store_place_lock(path, true);
    ck_assert_int_ge(lock, 0);
    shell("mv in/records.db archive.db");
    ck_assert_int_eq(put(s, 1), STORE_RETRY);
    ck_assert_msg(strstr(error.text, "another process has locked it") != NULL, "%s", error.text);
    store_place_unlock(lock);
    must_put(s, 1, 2);
    store_close(s);
    expect_all(0, 2);
}
END_TEST

START_TEST(test_what_is_made_is_not_for_everybody)
{
    struct stat st;
    struct store *s = open_store();
    must_put(s, 0, 1);
    static const char *const names[] = {"in/records.db", "in/records.db-wal", "in/records.db-shm"};
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(stat(place_path(&place, names[i]), &st), 0);
        ck_assert_uint_eq(st.st_mode & 0777, 0600);
    }
    /* One made in its place has the rights that the former one was given. */
    shell("chmod 640 in/records.db*");
    must_rest(s);
    must_put(s, 1, 2);
    shell("mv in/records.db archive.db");
    must_put(s, 2, 3);
    ck_assert_int_eq(stat(place_path(&place, names[0]), &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0640);
    store_close(s);
}
END_TEST

/* The next file is moved away when so many statements have begun on it; 0: it is not. */
static atomic_int move_after;

static int move_at_a_statement(unsigned what, void *ctx, void *stmt, void *text)
{
    (void)what, (void)ctx, (void)stmt, (void)text;
    if (atomic_load(&move_after) > 0 && atomic_fetch_sub(&move_after, 1) == 1)
        shell("mv in/records.db archive1.db");
    return 0;
}

static int watch_statements(sqlite3 *db, char **why, const struct sqlite3_api_routines *api)
{
    (void)why, (void)api;
    return sqlite3_trace_v2(db, SQLITE_TRACE_STMT, move_at_a_statement, NULL);
}

START_TEST(test_moved_away_while_it_is_opened)
{
    ck_assert_int_eq(sqlite3_auto_extension((void (*)(void))watch_statements), SQLITE_OK);
    bool moved = true;
    for (int at = 1; moved; at++) {
        struct store *s = open_store();
        must_put(s, 0, 1);
        must_rest(s);
        shell("mv in/records.db archive0.db");
        atomic_store(&move_after, at);
        must_put(s, 1, 3);
        moved = atomic_exchange(&move_after, 0) <= 0;
        must_put(s, 3, 4);
        store_close(s);
        expect_all(0, 4);
        shell("rm -f in/records.db* archive*");
        ck_assert_int_lt(at, 1000);
    }
    sqlite3_cancel_auto_extension((void (*)(void))watch_statements);
}
END_TEST

START_TEST(test_the_wal_is_empty_when_it_rests)
{
    struct stat st;
    struct store *s = open_store();
    must_put(s, 0, BEFORE);
    must_rest(s);
    ck_assert(stat(place_path(&place, "in/records.db-wal"), &st) != 0 || st.st_size == 0);
    must_put(s, BEFORE, BOTH);
    store_close(s);
    ck_assert(stat(place_path(&place, "in/records.db-wal"), &st) != 0 || st.st_size == 0);
    expect_all(0, BOTH);
}
END_TEST

SUITE_MAIN_WITH("store_sqlite_place", setup, teardown, test_accidents_while_it_is_open,
                test_accidents_while_it_rests, test_accidents_before_the_end,
                test_accidents_under_load, test_moved_away_while_it_is_opened,
                test_a_copy_of_what_rests_is_whole, test_a_backup_is_copied_over_it,
                test_another_store_is_copied_over_it, test_half_a_copy_is_waited_for,
                test_one_platoon_has_it, test_nobody_opens_it_beside_a_wal_without_a_name,
                test_a_wal_without_its_file_is_kept, test_a_reader_holds_the_moved_file,
                test_another_mark_of_the_same_store, test_a_stranger_holds_nothing,
                test_who_opens_it_is_waited_for, test_what_is_made_is_not_for_everybody,
                test_the_wal_is_empty_when_it_rests)
