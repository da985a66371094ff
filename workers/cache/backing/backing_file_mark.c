/* backing_file_mark.c: see backing_file_mark.h. */
#include "workers/cache/backing/backing_file_mark.h"

#include "common/slice.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define MARK_TEXT_SIZE (PATH_MAX + 64)

/* What a file system, not a person, may have put there. */
static const char *const mark_strangers[] = {"lost+found", ".snapshot", ".zfs"};

/* ---- files ---- */

/* The whole of a small file, with a NUL: its length, or a negative errno. */
static ssize_t mark_read_all(int fd, char *text, size_t size)
{
    size_t len = 0;
    while (len < size - 1) {
        ssize_t n = pread(fd, text + len, size - 1 - len, (off_t)len);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            break;
        len += n > 0 ? (size_t)n : 0;
    }
    text[len] = '\0';
    return (ssize_t)len;
}

static int mark_write_all(int fd, const char *text)
{
    size_t len = strlen(text);
    ssize_t n = pwrite(fd, text, len, 0);
    if (n != (ssize_t)len)
        return n < 0 ? -errno : -ENOSPC;
    return fsync(fd) == 0 ? 0 : -errno;
}

/* The first word, which must be an id; "": there is none. */
static int mark_take_id(const char *text, char id[BACKING_MARK_ID_SIZE])
{
    size_t len = strspn(text, "0123456789abcdef");
    id[0] = '\0';
    if (text[strspn(text, " \t\r\n")] == '\0')
        return 0;
    if (len != BACKING_MARK_ID_SIZE - 1 || !isspace((unsigned char)text[len]))
        return -EBADMSG;
    slice_copy(slice_make(text, len), id, BACKING_MARK_ID_SIZE);
    return 0;
}

static int mark_open(int root, int flags)
{
    int fd = openat(root, BACKING_MARK, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    return fd >= 0 ? fd : -errno;
}

static int mark_read_id(int fd, char id[BACKING_MARK_ID_SIZE])
{
    char text[BACKING_MARK_ID_SIZE + 32];
    ssize_t len = mark_read_all(fd, text, sizeof text);
    return len < 0 ? (int)len : mark_take_id(text, id);
}

/* 0, id "" when the mark is empty; -ENOENT: there is none; -EBADMSG; another negative errno. */
static int mark_read(int root, char id[BACKING_MARK_ID_SIZE])
{
    int fd = mark_open(root, O_RDONLY);
    int rc = fd < 0 ? fd : mark_read_id(fd, id);
    if (fd >= 0)
        close(fd);
    return rc == -ELOOP || rc == -EISDIR ? -EBADMSG : rc;
}

/* ---- what is remembered ---- */

/* "ID PATH"; of another path it is of no use. */
static void mark_recall(struct backing_file_mark *m)
{
    char text[MARK_TEXT_SIZE] = "", id[BACKING_MARK_ID_SIZE];
    int fd = m->remembered != NULL ? open(m->remembered, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    ssize_t len = mark_read_all(fd, text, sizeof text);
    close(fd);
    if (len <= BACKING_MARK_ID_SIZE || mark_take_id(text, id) != 0 || text[len - 1] != '\n')
        return;
    text[len - 1] = '\0';
    m->is_remembered = strcmp(text + BACKING_MARK_ID_SIZE, m->path) == 0;
    if (m->is_remembered)
        slice_copy(slice_of(id), m->id, sizeof m->id);
}

/* Workers of one cache write the same; each by a temporary file of its own. */
static int mark_write_remembered(const struct backing_file_mark *m)
{
    char temporary[PATH_MAX], text[MARK_TEXT_SIZE];
    int n = snprintf(temporary, sizeof temporary, "%s.%d", m->remembered, (int)getpid());
    if (n < 0 || (size_t)n >= sizeof temporary)
        return -ENAMETOOLONG;
    int rc, fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    snprintf(text, sizeof text, "%s %s\n", m->id, m->path);
    rc = mark_write_all(fd, text);
    close(fd);
    if (rc == 0 && rename(temporary, m->remembered) != 0)
        rc = -errno;
    if (rc != 0)
        unlink(temporary);
    return rc;
}

int backing_file_mark_remember(struct backing_file_mark *m)
{
    int rc = 0;
    pthread_mutex_lock(&m->mutex);
    if (m->remembered != NULL && !m->is_remembered && m->id[0] != '\0')
        rc = mark_write_remembered(m);
    m->is_remembered = m->is_remembered || rc == 0;
    pthread_mutex_unlock(&m->mutex);
    return rc;
}

/* ---- the first time ---- */

static bool mark_is_ours(const char *name)
{
    bool hh = strlen(name) == 2 && strspn(name, "0123456789abcdef") == 2;
    bool dots = strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
    bool stranger = false;
    for (size_t i = 0; i < sizeof mark_strangers / sizeof *mark_strangers; i++)
        stranger = stranger || strcmp(name, mark_strangers[i]) == 0;
    return hh || dots || stranger ||
           strncmp(name, BACKING_MARK_TEMPORARY, strlen(BACKING_MARK_TEMPORARY)) == 0;
}

/* 0, or -ESTALE and what is there that is no object's; -EAGAIN: another has made the mark since it was looked for. */
static int mark_is_free(const struct backing_file_mark *m, int root, char *why, size_t why_size)
{
    int rc = 0, fd = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        rc = -errno;
        if (fd >= 0)
            close(fd);
        return rc;
    }
    for (const struct dirent *entry; rc == 0 && (entry = readdir(dir)) != NULL;)
        if (strcmp(entry->d_name, BACKING_MARK) == 0) {
            rc = -EAGAIN;
        } else if (!mark_is_ours(entry->d_name)) {
            snprintf(
                why, why_size,
                "%.200s has %.100s in it, and no mark of a store: mount what belongs there, or "
                "name an empty directory; if it is right so: touch %.200s/" BACKING_MARK,
                m->path, entry->d_name, m->path);
            rc = -ESTALE;
        }
    closedir(dir);
    return rc;
}

/* By the name that is remembered, or a new one. */
static int mark_write(const struct backing_file_mark *m, int root, int fd,
                      char id[BACKING_MARK_ID_SIZE])
{
    uint64_t random[2];
    char text[BACKING_MARK_ID_SIZE + 1];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return -EAGAIN;
    snprintf(id, BACKING_MARK_ID_SIZE, "%016" PRIx64 "%016" PRIx64, random[0], random[1]);
    if (m->id[0] != '\0')
        slice_copy(slice_of(m->id), id, BACKING_MARK_ID_SIZE);
    snprintf(text, sizeof text, "%s\n", id);
    int rc = mark_write_all(fd, text);
    if (rc == 0 && fsync(root) != 0)
        rc = -errno;
    if (rc != 0 && ftruncate(fd, 0) != 0) /* half of it would be damage */
        rc = -errno;
    return rc;
}

/* Another process may do the same: who has the lock first names it. -EAGAIN: another has it, or has named it. */
static int mark_claim(struct backing_file_mark *m, int root)
{
    char id[BACKING_MARK_ID_SIZE] = "";
    int fd = mark_open(root, O_RDWR | O_CREAT);
    if (fd < 0)
        return fd;
    int rc = flock(fd, LOCK_EX | LOCK_NB) == 0 ? mark_read_id(fd, id)
             : errno == EWOULDBLOCK            ? -EAGAIN
                                               : -errno;
    if (rc == 0 && id[0] == '\0')
        rc = mark_write(m, root, fd, id);
    close(fd);
    if (rc == 0 && m->id[0] != '\0' && strcmp(id, m->id) != 0)
        return -EAGAIN; /* another store's by now: the next look says so */
    if (rc == 0)
        slice_copy(slice_of(id), m->id, sizeof m->id);
    return rc;
}

/* ---- looking ---- */

static int mark_say(const struct backing_file_mark *m, char *why, size_t why_size, const char *what,
                    const char *remedy)
{
    snprintf(why, why_size, "%.200s %s: mount what belongs there; %s %.200s/" BACKING_MARK, m->path,
             what, remedy, m->path);
    return -ESTALE;
}

/* Under the mutex. */
static int mark_judge(struct backing_file_mark *m, int root, char *why, size_t why_size)
{
    char id[BACKING_MARK_ID_SIZE] = "";
    int rc = mark_read(root, id);
    if (rc == 0 && id[0] == '\0')
        return mark_claim(m, root);
    if (rc == 0 && m->id[0] == '\0')
        slice_copy(slice_of(id), m->id, sizeof m->id);
    if (rc == 0 && strcmp(id, m->id) != 0)
        return mark_say(m, why, why_size, "is another store than before",
                        "if it is to be this one's from now on, empty the file");
    if (rc == -EBADMSG)
        return mark_say(m, why, why_size, "has a damaged mark",
                        "if it is the store, put an empty file in place of");
    if (rc == -ENOENT && m->id[0] != '\0')
        return mark_say(m, why, why_size, "has lost its mark, by which the store is known",
                        "if it is right so, empty or not: touch");
    if (rc == -ENOENT && (rc = mark_is_free(m, root, why, why_size)) == 0)
        return mark_claim(m, root);
    return rc;
}

int backing_file_mark_look(struct backing_file_mark *m, int root, char *why, size_t why_size)
{
    char id[BACKING_MARK_ID_SIZE] = "";
    int rc = mark_read(root, id); /* beside others, on a file system that is slow */
    why[0] = '\0';
    pthread_mutex_lock(&m->mutex);
    if (m->id[0] == '\0')
        mark_recall(m);
    if (rc != 0 || id[0] == '\0' || strcmp(id, m->id) != 0)
        rc = mark_judge(m, root, why, why_size);
    pthread_mutex_unlock(&m->mutex);
    return rc;
}

/* ---- life ---- */

bool backing_file_mark_init(struct backing_file_mark *m, const char *path, const char *remembered)
{
    *m = (struct backing_file_mark){.path = path};
    if (remembered != NULL && (m->remembered = strdup(remembered)) == NULL)
        return false;
    pthread_mutex_init(&m->mutex, NULL);
    return true;
}

void backing_file_mark_fini(struct backing_file_mark *m)
{
    pthread_mutex_destroy(&m->mutex);
    free(m->remembered);
}
