/* store_sqlite_place.c: see store_sqlite_place.h. */
#include "common/store/store_sqlite_place.h"

#include "common/store/store_sqlite.h"

#include "common/clock.h"
#include "common/hold.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PLACE_LOCK_MS   1000
#define PLACE_PAUSE_NS  5000000
#define PLACE_LOCK_MODE 0600
#define PLACE_LOCK_NAME (PATH_MAX + 8)
/* A copy gets its first bytes in far less; a file that somebody made empty on purpose is older soon. */
#define PLACE_YOUNG_MS 1000

/* Of the database's header (SQLite, Database File Format, 1.3), numbers with the highest byte first. */
#define PLACE_HEADER_SIZE 100
#define PLACE_PAGE_AT     16 /* two bytes; 1: 65536 */
#define PLACE_CHANGES_AT  24 /* raised by changes, never lowered */
#define PLACE_PAGES_AT    28 /* holds when the number at PLACE_VALID_AT is that at PLACE_CHANGES_AT */
#define PLACE_MARK_AT     68 /* application_id */
#define PLACE_VALID_AT    92

/* Of a WAL (SQLite, Database File Format, 4.1): a header, then frames of a header and a page each. */
#define PLACE_WAL_HEADER     32
#define PLACE_WAL_PAGE_AT    8
#define PLACE_WAL_FRAME      24      /* begins with the page's number */
#define PLACE_WAL_FRAMES_MAX 1000000 /* looked at */

static const char *const place_suffixes[STORE_PLACE_FILES] = {"", "-wal", "-shm"};

/* ---- the lock ---- */

/* There or not: whoever opens it next asks the same lock. */
static void place_lock_name(const char *path, char name[PLACE_LOCK_NAME])
{
    struct trust_path t;
    char real[PATH_MAX];
    bool known = store_sqlite_walk(path, TRUST_NO_LINKS, &t) == 0 && trust_real(&t, real) == 0;
    trust_close(&t);
    snprintf(name, PLACE_LOCK_NAME, "%s-lock", known ? real : path);
}

/* -EBUSY: somebody has it, or it was removed between our opening and our locking it. */
static int place_try_lock(const char *name, bool make)
{
    int fd = store_sqlite_open_file(
        name, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (make ? O_CREAT : 0), PLACE_LOCK_MODE);
    if (fd < 0)
        return -errno;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int rc = fcntl(fd, F_OFD_SETLK, &lock) == 0 ? 0 : -errno;
    if (rc == -EAGAIN || rc == -EACCES || rc == -EINTR || (rc == 0 && !hold_is_at(fd, name)))
        rc = -EBUSY;
    if (rc == 0)
        return fd;
    close(fd);
    return rc;
}

/*
 * Of the file that says whose the store is (hold_share, which has the other kind of lock, flock): who may not write it
 * cannot open it. The directory was rejected: whoever may read that may lock it, and nothing would be stored.
 */
int store_place_lock(const char *path, bool make)
{
    char name[PLACE_LOCK_NAME];
    place_lock_name(path, name);
    uint64_t until = clock_mono_ms() + PLACE_LOCK_MS;
    int fd;
    while ((fd = place_try_lock(name, make)) == -EBUSY && clock_mono_ms() < until)
        nanosleep(&(struct timespec){.tv_nsec = PLACE_PAUSE_NS}, NULL);
    return fd;
}

void store_place_unlock(int lock)
{
    if (lock >= 0)
        close(lock);
}

/* ---- what is there ---- */

static bool place_name(const char *real, int file, char *out, size_t size)
{
    int n = snprintf(out, size, "%s%s", real, place_suffixes[file]);
    return n >= 0 && (size_t)n < size;
}

static struct store_place_id place_id(const char *real, int file, struct stat *st)
{
    char name[PATH_MAX + 8];
    if (!place_name(real, file, name, sizeof name) || stat(name, st) != 0)
        return (struct store_place_id){0};
    return (struct store_place_id){.dev = st->st_dev, .ino = st->st_ino};
}

static bool place_is(struct store_place_id a, struct store_place_id b)
{
    return a.ino == b.ino && a.dev == b.dev;
}

static int place_make(const char *path, mode_t mode)
{
    int fd = store_sqlite_open_file(path, O_RDWR | O_CREAT | O_CLOEXEC, (int)mode);
    if (fd < 0)
        return -errno;
    close(fd);
    return 0;
}

static unsigned place_number(const unsigned char *header, int at)
{
    const unsigned char *b = header + at;
    return (unsigned)b[0] << 24 | (unsigned)b[1] << 16 | (unsigned)b[2] << 8 | b[3];
}

/* A copy that is under way has its beginning first. */
static bool place_is_short(const char *path, off_t size)
{
    unsigned char h[PLACE_HEADER_SIZE] = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = fd >= 0 ? pread(fd, h, sizeof h, 0) : 0;
    if (fd >= 0)
        close(fd);
    unsigned page = (unsigned)h[PLACE_PAGE_AT] << 8 | h[PLACE_PAGE_AT + 1];
    bool valid = place_number(h, PLACE_VALID_AT) == place_number(h, PLACE_CHANGES_AT);
    uint64_t whole = (uint64_t)place_number(h, PLACE_PAGES_AT) * (page == 1 ? 65536 : page);
    return memcmp(h, "SQLite format 3", 16) == 0 &&
           (n < (ssize_t)sizeof h || (valid && (uint64_t)size < whole));
}

/* True for what was written a moment ago: what is not complete may become so. */
static bool place_is_young(const struct stat *st)
{
    int64_t since = (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000;
    int64_t age = (int64_t)clock_wall_ms() - since;
    return age >= 0 && age < PLACE_YOUNG_MS;
}

/*
 * Whether another process has it open: in WAL mode each connection holds a lock on these bytes from its first read to
 * its end (os.h of SQLite, SHARED_FIRST and SHARED_SIZE).
 */
static bool place_is_open_elsewhere(const char *path)
{
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0x40000000 + 2, .l_len = 510};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool held = fd >= 0 && fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    if (fd >= 0)
        close(fd);
    return held;
}

int store_place_prepare(const char *path, mode_t mode, bool *made)
{
    char real[PATH_MAX];
    struct stat st, wal, shm;
    bool there = stat(path, &st) == 0;
    *made = false;
    if (!there && errno != ENOENT)
        return -errno;
    const char *name = realpath(path, real) != NULL ? real : path;
    bool has_wal = place_id(name, STORE_PLACE_WAL, &wal).ino != 0;
    bool hot = has_wal && wal.st_size > 0;
    bool whole = has_wal && place_id(name, STORE_PLACE_SHM, &shm).ino != 0;
    if (there && st.st_size > 0 && !whole && place_is_open_elsewhere(path))
        return -EBUSY;
    if (there && st.st_size > 0) /* while a WAL is written back it may be short, too */
        return !hot && place_is_young(&st) && place_is_short(path, st.st_size) ? -EAGAIN : 0;
    if (hot)
        return -ESTALE;
    *made = !there;
    if (!there)
        return place_make(path, mode);
    return place_is_young(&st) ? -EAGAIN : 0;
}

/*
 * Through the connection: see the header. What a file is too short for is 0. False: it cannot be read now, and a disk
 * that fails is no reason to part with the WAL.
 */
static bool place_read(sqlite3 *db, unsigned *changes, unsigned *mark)
{
    unsigned char h[PLACE_HEADER_SIZE] = {0};
    sqlite3_file *file = NULL;
    if (sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK ||
        file == NULL || file->pMethods == NULL)
        return false;
    int rc = file->pMethods->xRead(file, h, sizeof h, 0);
    *changes = place_number(h, PLACE_CHANGES_AT);
    *mark = place_number(h, PLACE_MARK_AT);
    return rc == SQLITE_OK || rc == SQLITE_IOERR_SHORT_READ;
}

/* As the connection has it, which is newer than the file while the WAL is not written back. */
static bool place_ask_mark(sqlite3 *db, unsigned *mark)
{
    sqlite3_stmt *stmt = NULL;
    bool known = sqlite3_prepare_v2(db, "PRAGMA application_id", -1, &stmt, NULL) == SQLITE_OK &&
                 sqlite3_step(stmt) == SQLITE_ROW;
    *mark = known ? (unsigned)sqlite3_column_int(stmt, 0) : 0;
    sqlite3_finalize(stmt);
    return known;
}

int store_place_mark(struct store_place *p, sqlite3 *db)
{
    unsigned mark;
    place_ask_mark(db, &mark);
    while (mark == 0)
        sqlite3_randomness(sizeof mark, &mark);
    atomic_store(&p->mark, mark);
    return (int)mark;
}

/* Another process that has the file open may have given it its mark meanwhile. */
static bool place_is_ours(struct store_place *p, unsigned mark)
{
    unsigned none = 0, then = atomic_load(&p->mark_then);
    return mark == then || atomic_load(&p->mark) == mark ||
           (then == 0 && atomic_compare_exchange_strong(&p->mark, &none, mark));
}

/* The frame begins page 1 with that mark. */
static bool place_is_frame_of(int wal, off_t at, unsigned mark)
{
    unsigned char frame[PLACE_WAL_FRAME + PLACE_HEADER_SIZE];
    return pread(wal, frame, sizeof frame, at) == (ssize_t)sizeof frame &&
           place_number(frame, 0) == 1 &&
           place_number(frame + PLACE_WAL_FRAME, PLACE_MARK_AT) == mark;
}

/* The newest first; also those of before its last beginning, which are ours as well. */
static bool place_wal_has(int wal, off_t size, unsigned mark)
{
    unsigned char h[PLACE_WAL_HEADER];
    if (pread(wal, h, sizeof h, 0) != (ssize_t)sizeof h)
        return false;
    off_t frame = (off_t)place_number(h, PLACE_WAL_PAGE_AT) + PLACE_WAL_FRAME;
    off_t count = (size - PLACE_WAL_HEADER) / frame;
    bool found = false;
    for (off_t i = 0; !found && i < count && i < PLACE_WAL_FRAMES_MAX; i++)
        found = place_is_frame_of(wal, PLACE_WAL_HEADER + (count - 1 - i) * frame, mark);
    return found;
}

/* The WAL may be opened here: only the database's own locks end with any descriptor of it. */
static bool place_came_by_wal(const struct store_place *p, unsigned mark)
{
    char name[PATH_MAX + 8];
    struct stat st;
    if (!place_name(p->real, STORE_PLACE_WAL, name, sizeof name))
        return false;
    int wal = store_sqlite_open_file(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
    if (wal < 0)
        return false;
    bool same =
        fstat(wal, &st) == 0 &&
        place_is((struct store_place_id){st.st_dev, st.st_ino}, p->files[STORE_PLACE_WAL]) &&
        place_wal_has(wal, st.st_size, mark);
    close(wal);
    return same;
}

/*
 * Somebody may have given the store that is open another mark (PRAGMA application_id). What came into it through the
 * WAL that we have is no other content, and what else that WAL holds belongs to it. `mark` is the file's. Followed as
 * soon as the connection sees it: when the WAL has been begun anew nobody can tell any more.
 */
static bool place_follow_mark(struct store_place *p, sqlite3 *db, unsigned mark)
{
    unsigned asked;
    if (!place_is_ours(p, mark)) {
        if (!place_came_by_wal(p, mark))
            return false;
        atomic_store(&p->mark_then, mark);
    }
    if (place_ask_mark(db, &asked) && asked != atomic_load(&p->mark) &&
        asked != atomic_load(&p->mark_then) && place_came_by_wal(p, asked)) {
        atomic_store(&p->mark_then, mark);
        atomic_store(&p->mark, asked);
    }
    return true;
}

static bool place_has_moved(sqlite3 *db)
{
    int moved = 0;
    return sqlite3_file_control(db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && moved;
}

bool store_place_note(struct store_place *p, sqlite3 *db)
{
    struct stat st;
    for (int i = STORE_PLACE_FILES - 1; i >= 0;
         i--) /* the mode of the database itself comes last */
        p->files[i] = place_id(p->real, i, &st);
    if (p->files[STORE_PLACE_DB].ino == 0 || place_has_moved(db))
        return false;
    p->mode = st.st_mode & 0777;
    unsigned changes = 0, mark, then = 0;
    place_ask_mark(db, &mark);
    place_read(db, &changes, &then);
    atomic_store(&p->mark, mark);
    atomic_store(&p->mark_then, then);
    atomic_store(&p->changes, changes);
    return true;
}

enum store_place_state store_place_look(struct store_place *p, const char *path, sqlite3 *db)
{
    unsigned seen = atomic_load(&p->changes), changes = 0, mark = 0;
    bool read = place_read(db, &changes, &mark);
    if (!read)
        changes = seen;
    else if (changes < seen)
        return STORE_PLACE_OVERWRITTEN;
    while (changes > seen && !atomic_compare_exchange_weak(&p->changes, &seen, changes))
        ;
    char real[PATH_MAX];
    if (realpath(path, real) == NULL || strcmp(real, p->real) != 0)
        return STORE_PLACE_MOVED;
    for (int i = 0; i < STORE_PLACE_FILES; i++) {
        struct stat st;
        if (!place_is(place_id(real, i, &st), p->files[i]))
            return STORE_PLACE_MOVED;
    }
    if (place_has_moved(db))
        return STORE_PLACE_MOVED;
    /*
     * Only of what is all in its place: whoever has lost a file beside it may have given it another mark, and what was
     * stored is in the WAL that we have open.
     */
    return read && !place_follow_mark(p, db, mark) ? STORE_PLACE_OVERWRITTEN : STORE_PLACE_SAME;
}

void store_place_clear(const struct store_place *p)
{
    for (int i = STORE_PLACE_WAL; i < STORE_PLACE_FILES; i++) {
        char name[PATH_MAX + 8];
        struct stat st;
        if (p->files[i].ino != 0 && place_is(place_id(p->real, i, &st), p->files[i]) &&
            place_name(p->real, i, name, sizeof name) && unlink(name) != 0)
            continue; /* a directory that may not be written: SQLite says so when it opens them */
    }
}
