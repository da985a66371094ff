/*
 * snapshot_loose.c: a small object's file, written as git reads it. See snapshot_repo_private.h.
 *
 * "TYPE SIZE", NUL and the bytes, as zlib has them (RFC 1950) that it does not compress, in one block: as git writes
 * with core.looseCompression = 0, which libgit2 1.5.1 cannot. To deflate is most of what a small version costs, and the
 * keeper packs them soon; large ones are compressed (snapshot_object.c). Written under another name, which the next
 * start removes when we die on the way, and read back: each byte of it is what was written.
 */
#include "workers/snapshot/snapshot_repo_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOSE_PATH_MAX   4096
#define LOOSE_HEAD       7 /* zlib's two bytes, and those of the block */
#define LOOSE_ADLER_MOD  65521
#define LOOSE_ADLER_MANY 5552 /* so many bytes go before a sum of 32 bits is full */

struct loose {
    char tmp[LOOSE_PATH_MAX], file[LOOSE_PATH_MAX], dir[LOOSE_PATH_MAX], objects[LOOSE_PATH_MAX];
};

static bool loose_fail(const char *what, const char *path)
{
    char text[LOOSE_PATH_MAX + 128];
    snprintf(text, sizeof text, "%s '%s': %s", what, path, strerror(errno));
    git_error_set_str(GIT_ERROR_OS, text);
    return false;
}

/* ---- its bytes ---- */

static uint32_t loose_adler(struct slice bytes)
{
    const unsigned char *at = (const unsigned char *)bytes.ptr;
    uint32_t a = 1, b = 0;
    for (size_t left = bytes.len; left > 0;) {
        size_t many = left < LOOSE_ADLER_MANY ? left : LOOSE_ADLER_MANY;
        left -= many;
        while (many-- > 0) {
            a += *at++;
            b += a;
        }
        a %= LOOSE_ADLER_MOD;
        b %= LOOSE_ADLER_MOD;
    }
    return b << 16 | a;
}

/* False: it is too large for this, or memory is short. */
static bool loose_encode(git_object_t type, struct slice bytes, struct buffer *out)
{
    char head[64];
    int head_len =
        snprintf(head, sizeof head, "%s %zu", git_object_type2string(type), bytes.len) + 1;
    size_t len = (size_t)head_len + bytes.len;
    if (len > UINT16_MAX)
        return false;
    const unsigned char block[LOOSE_HEAD] = {0x78,
                                             0x01,
                                             0x01, /* the last block, as it is */
                                             (unsigned char)len,
                                             (unsigned char)(len >> 8),
                                             (unsigned char)~len,
                                             (unsigned char)(~len >> 8)};
    buffer_append(out, block, sizeof block);
    buffer_append(out, head, (size_t)head_len);
    buffer_append_slice(out, bytes);
    if (!buffer_ok(out))
        return false;
    uint32_t sum = loose_adler(slice_make(out->data + LOOSE_HEAD, len));
    const unsigned char end[] = {(unsigned char)(sum >> 24), (unsigned char)(sum >> 16),
                                 (unsigned char)(sum >> 8), (unsigned char)sum};
    buffer_append(out, end, sizeof end);
    return buffer_ok(out);
}

/* ---- its file ---- */

static bool loose_names(const struct snapshot_repo *r, const git_oid *id, struct loose *l)
{
    char text[SNAPSHOT_ID_SIZE];
    const char *git = git_repository_path(r->git);
    git_oid_tostr(text, sizeof text, id);
    return snprintf(l->objects, sizeof l->objects, "%sobjects", git) < (int)sizeof l->objects &&
           snprintf(l->tmp, sizeof l->tmp, "%sobjects/tmp_obj_%s", git, text) <
               (int)sizeof l->tmp &&
           snprintf(l->dir, sizeof l->dir, "%sobjects/%.2s", git, text) < (int)sizeof l->dir &&
           snprintf(l->file, sizeof l->file, "%sobjects/%.2s/%s", git, text, text + 2) <
               (int)sizeof l->file;
}

static bool loose_write_all(int fd, struct slice bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.ptr, bytes.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes = slice_make(bytes.ptr + n, bytes.len - (size_t)n);
    }
    return true;
}

/* One of that name stands there when it could neither be named nor removed. */
static bool loose_write(const struct snapshot_repo *r, const struct loose *l, struct slice bytes)
{
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
    int fd = open(l->tmp, flags, 0444);
    if (fd < 0 && errno == EEXIST && unlink(l->tmp) == 0)
        fd = open(l->tmp, flags, 0444);
    if (fd < 0)
        return loose_fail("cannot be made", l->tmp);
    bool good = loose_write_all(fd, bytes) && (!r->fsync || fsync(fd) == 0);
    int error = errno;
    if (close(fd) != 0 && good) {
        error = errno;
        good = false;
    }
    if (good)
        return true;
    unlink(l->tmp);
    errno = error;
    return loose_fail("cannot be written", l->tmp);
}

static bool loose_sync_folder(const struct snapshot_repo *r, const char *path)
{
    int fd = r->fsync ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    bool good = !r->fsync || (fd >= 0 && fsync(fd) == 0);
    int error = errno;
    if (fd >= 0)
        close(fd);
    errno = error;
    return good || loose_fail("cannot be synced", path);
}

/* The folder may not be there yet, or not any more: who packs removes it when it is empty. */
static bool loose_name(const struct snapshot_repo *r, const struct loose *l)
{
    bool made = false, named = rename(l->tmp, l->file) == 0;
    if (!named && errno == ENOENT) {
        made = mkdir(l->dir, 0777) == 0;
        named = (made || errno == EEXIST) && rename(l->tmp, l->file) == 0;
    }
    if (!named) {
        loose_fail("cannot be named", l->file);
        unlink(l->tmp);
        return false;
    }
    return loose_sync_folder(r, l->dir) && (!made || loose_sync_folder(r, l->objects));
}

/* It is gone when it has just been packed: *gone. */
static bool loose_is_there(const struct loose *l, struct slice bytes, bool *gone)
{
    char part[16384];
    ssize_t n = 0;
    int fd = open(l->file, O_RDONLY | O_CLOEXEC);
    *gone = fd < 0 && errno == ENOENT;
    if (fd < 0)
        return loose_fail("cannot be read back", l->file);
    while ((n = read(fd, part, sizeof part)) > 0 && (size_t)n <= bytes.len &&
           memcmp(part, bytes.ptr, (size_t)n) == 0)
        bytes = slice_make(bytes.ptr + n, bytes.len - (size_t)n);
    if (n < 0)
        loose_fail("cannot be read back", l->file);
    else if (n > 0 || bytes.len > 0)
        git_error_set_str(GIT_ERROR_ODB, "what was written is not what is on the disk");
    close(fd);
    return n == 0 && bytes.len == 0;
}

enum snapshot_loose snapshot_loose_write(struct snapshot_repo *r, git_object_t type,
                                         struct slice bytes, const git_oid *id)
{
    struct loose l;
    struct buffer encoded = BUFFER_EMPTY;
    enum snapshot_loose done = SNAPSHOT_LOOSE_OTHER;
    bool gone = false;
    if (loose_names(r, id, &l) && loose_encode(type, bytes, &encoded)) {
        struct slice all = buffer_slice(&encoded);
        bool good = loose_write(r, &l, all) && loose_name(r, &l) && loose_is_there(&l, all, &gone);
        done = good ? SNAPSHOT_LOOSE_THERE : gone ? SNAPSHOT_LOOSE_GONE : SNAPSHOT_LOOSE_FAILED;
    }
    buffer_fini(&encoded);
    return done;
}
