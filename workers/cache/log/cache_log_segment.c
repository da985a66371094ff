/* cache_log_segment.c: see cache_log_segment.h. */
#include "workers/cache/log/cache_log_segment.h"
#include "common/crc32c.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOG_MAGIC   "platoon\n"
#define LOG_VERSION 1
#define NAME_DIGITS 8
#define NAME_LENGTH (NAME_DIGITS + 1 + 16)

/* As it stands on the disk. */
struct segment_head {
    char magic[8];
    uint32_t version, number;
    uint64_t instance;
    uint32_t before, sum;
};
_Static_assert(sizeof(struct segment_head) == CACHE_LOG_SEGMENT_HEAD, "no gaps");

char *cache_log_name_write(const struct cache_log_name *n, char text[CACHE_LOG_NAME_SIZE])
{
    snprintf(text, CACHE_LOG_NAME_SIZE, "%08" PRIx32 "-%016" PRIx64 ".log", n->number, n->instance);
    return text;
}

bool cache_log_name_read(const char *text, struct cache_log_name *n)
{
    char again[CACHE_LOG_NAME_SIZE];
    if (strlen(text) <= NAME_LENGTH)
        return false;
    n->number = (uint32_t)strtoul(text, NULL, 16);
    n->instance = strtoull(text + NAME_DIGITS + 1, NULL, 16);
    return n->number != 0 && strcmp(cache_log_name_write(n, again), text) == 0;
}

uint32_t cache_log_segment_base(const struct cache_log_name *n)
{
    uint64_t words[] = {htole64(n->instance), htole64(n->number)};
    return crc32c(0, slice_make(words, sizeof words));
}

void cache_log_head_write(const struct cache_log_name *n, uint32_t before,
                          char to[CACHE_LOG_SEGMENT_HEAD])
{
    struct segment_head h = {.version = htole32(LOG_VERSION),
                             .number = htole32(n->number),
                             .instance = htole64(n->instance),
                             .before = htole32(before)};
    memcpy(h.magic, LOG_MAGIC, sizeof h.magic);
    h.sum = htole32(crc32c(0, slice_make(&h, offsetof(struct segment_head, sum))));
    memcpy(to, &h, sizeof h);
}

enum cache_log_head cache_log_head_read(const char *from, size_t len,
                                        const struct cache_log_name *n, uint32_t *before)
{
    struct segment_head h;
    *before = 0;
    if (len < sizeof h)
        return CACHE_LOG_HEAD_DAMAGED;
    memcpy(&h, from, sizeof h);
    if (memcmp(h.magic, LOG_MAGIC, sizeof h.magic) != 0 ||
        le32toh(h.sum) != crc32c(0, slice_make(&h, offsetof(struct segment_head, sum))))
        return CACHE_LOG_HEAD_DAMAGED;
    if (le32toh(h.version) != LOG_VERSION)
        return CACHE_LOG_HEAD_NEWER;
    *before = le32toh(h.before);
    return le32toh(h.number) == n->number && le64toh(h.instance) == n->instance
               ? CACHE_LOG_HEAD_GOOD
               : CACHE_LOG_HEAD_FOREIGN;
}

int cache_log_dir_open(const char *path)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return -errno;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    struct stat st;
    int rc = fstat(fd, &st) != 0 ? -errno : 0;
    if (rc == 0 && (st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0))
        rc = -EPERM;
    if (rc == 0)
        return fd;
    close(fd);
    return rc;
}

static int segment_by_number(const void *a, const void *b)
{
    const struct cache_log_name *x = a, *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

static int segment_list_one(const char *text, struct cache_log_name **list, size_t *count)
{
    struct cache_log_name n;
    if (!cache_log_name_read(text, &n))
        return 0;
    if (*count > 0 && (*list)[0].instance != n.instance)
        return -EEXIST;
    if ((*count & (*count - 1)) == 0) { /* a power of two: full */
        void *grown = realloc(*list, (*count > 0 ? 2 * *count : 1) * sizeof **list);
        if (grown == NULL)
            return -ENOMEM;
        *list = grown;
    }
    (*list)[(*count)++] = n;
    return 0;
}

int cache_log_dir_list(int dir, struct cache_log_name **list, size_t *count)
{
    *list = NULL;
    *count = 0;
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    DIR *d = fdopendir(fd);
    if (d == NULL) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    int rc = 0;
    while (rc == 0) {
        errno = 0;
        const struct dirent *e = readdir(d);
        if (e == NULL) {
            rc = -errno;
            break;
        }
        rc = segment_list_one(e->d_name, list, count);
    }
    closedir(d);
    if (rc == 0 && *count > 0)
        qsort(*list, *count, sizeof **list, segment_by_number);
    return rc;
}

static int segment_check(int fd, uint64_t *size)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return -errno;
    *size = (uint64_t)st.st_size;
    return !S_ISREG(st.st_mode)     ? -EINVAL
           : st.st_uid != geteuid() ? -EPERM
           : st.st_nlink != 1       ? -EMLINK
                                    : 0;
}

int cache_log_segment_open(int dir, const struct cache_log_name *n, uint64_t *size)
{
    char name[CACHE_LOG_NAME_SIZE];
    int fd = openat(dir, cache_log_name_write(n, name),
                    O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int rc = segment_check(fd, size);
    if (rc == 0)
        return fd;
    close(fd);
    return rc;
}

uint64_t cache_log_segment_size(int dir, const struct cache_log_name *n)
{
    char name[CACHE_LOG_NAME_SIZE];
    struct stat st;
    return fstatat(dir, cache_log_name_write(n, name), &st, AT_SYMLINK_NOFOLLOW) == 0 &&
                   st.st_size > 0
               ? (uint64_t)st.st_size
               : 0;
}

int cache_log_segment_make(int dir, const struct cache_log_name *n)
{
    char name[CACHE_LOG_NAME_SIZE];
    int fd = openat(dir, cache_log_name_write(n, name),
                    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    return fd < 0 ? -errno : fd;
}

int cache_log_instance(uint64_t *instance)
{
    return getrandom(instance, sizeof *instance, 0) == sizeof *instance ? 0 : -errno;
}

static const char *segment_remedy(int rc)
{
    switch (-rc) {
    case ENOSPC:
    case EDQUOT:
        return "make room on that file system";
    case EIO:
        return "see what the kernel says of that disk (dmesg)";
    case EROFS:
        return "mount that file system for writing";
    case EPERM:
        return "it must belong to platoon's user, and nobody else may write it";
    case ELOOP:
    case EMLINK:
    case EINVAL:
        return "it must be a plain file or directory with one name: move away what stands there";
    case EEXIST:
        return "the segments of one log only may stand there: move those of the other away";
    case EPROTONOSUPPORT:
        return "a newer platoon has written it: start that one, or move the directory away";
    case ENOMEM:
        return "give this process more memory";
    case EMFILE:
        return "raise the limit of open files (LimitNOFILE=, ulimit -n)";
    case ENFILE:
        return "raise fs.file-max, or end who holds so many files";
    default:
        return "see that platoon may read and write there";
    }
}

void cache_log_explain(char *why, size_t size, const char *what, const char *dir,
                       const struct cache_log_name *n, int rc)
{
    char name[CACHE_LOG_NAME_SIZE] = "";
    if (n != NULL)
        cache_log_name_write(n, name);
    snprintf(why, size, "cannot %s %s%s%s: %s: %s", what, dir, n != NULL ? "/" : "", name,
             strerror(-rc), segment_remedy(rc));
}
