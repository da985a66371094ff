/*
 * cache_member_identity.c: who a node is in its ring, from one start to the next: a file in its directory, "ring", of
 * one line: incarnation, mark of its last join, epoch of that run of the ring, and the ring's seed in hex digits; and
 * "old" while the log may still have what is of an earlier incarnation. See cache_member_private.h.
 */
#include "workers/cache/cache_member_private.h"

#include "common/whole_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define MEMBER_IDENTITY_SIZE 256
#define MEMBER_OLD           " old"

/* The line that a file of `r` has. */
static void member_identity_format(const struct cache_member *r, const uint8_t *seed, bool old,
                                   char text[MEMBER_IDENTITY_SIZE])
{
    char digits[2 * SIPHASH_KEY_SIZE + 1];
    for (size_t i = 0; i < SIPHASH_KEY_SIZE; i++)
        snprintf(digits + 2 * i, 3, "%02x", seed[i]);
    snprintf(text, MEMBER_IDENTITY_SIZE, "%" PRIu32 " %" PRIu64 " %" PRIu64 " %s%s\n",
             r->incarnation, r->mark, r->epoch, digits, old ? MEMBER_OLD : "");
}

/* sscanf takes much that is never written, -1 and numbers that do not fit among it: so it is written, and compared. */
static bool member_identity_parse(struct cache_member *r, const char *text)
{
    char seed[2 * SIPHASH_KEY_SIZE + 1], again[MEMBER_IDENTITY_SIZE];
    unsigned byte;
    if (sscanf(text, "%" SCNu32 " %" SCNu64 " %" SCNu64 " %32[0-9a-f]", &r->incarnation, &r->mark,
               &r->epoch, seed) != 4 ||
        strlen(seed) != sizeof seed - 1)
        return false;
    for (size_t i = 0; i < sizeof r->seed; i++) {
        if (sscanf(seed + 2 * i, "%2x", &byte) != 1)
            return false;
        r->seed[i] = (uint8_t)byte;
    }
    r->owed = strstr(text, MEMBER_OLD) != NULL ? MEMBER_OUTLIVED : MEMBER_SETTLED;
    member_identity_format(r, r->seed, r->owed != MEMBER_SETTLED, again);
    return r->incarnation != 0 && strcmp(text, again) == 0;
}

/* A seed of its own making, should there be no ring yet: the first one that joins says it. */
static int member_identity_make(struct cache_member *r)
{
    return getrandom(r->seed, sizeof r->seed, 0) == (ssize_t)sizeof r->seed ? 0 : -EIO;
}

int member_identity_read(struct cache_member *r, char *why, size_t why_size)
{
    char text[MEMBER_IDENTITY_SIZE];
    int fd = open(r->options.path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT)
        return member_identity_make(r);
    ssize_t got = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    int error = got < 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    if (error != 0) {
        snprintf(why, why_size, "%s: %s: it must be a file that platoon may read", r->options.path,
                 strerror(error));
        return -error;
    }
    text[got] = '\0';
    if (member_identity_parse(r, text))
        return 0;
    snprintf(
        why, why_size,
        "%s: not what a node writes there (who it is in its ring): put the file back, or remove "
        "it, and forget the node (platoonctl cache forget): what it had not stored is stored "
        "where nobody has written since",
        r->options.path);
    return -EINVAL;
}

bool member_identity_write(struct cache_member *r, bool old)
{
    char text[MEMBER_IDENTITY_SIZE];
    member_identity_format(r, r->next_seed, old, text);
    int rc = whole_file_write(r->options.path, slice_of(text));
    r->trouble[0] = '\0';
    if (rc != 0)
        snprintf(r->trouble, sizeof r->trouble,
                 "%s: %s: without it the node cannot come back to what it has in the ring: make it "
                 "writable, or make room",
                 r->options.path, strerror(-rc));
    return rc == 0;
}

/* It is over whether or not this is seen to: Redis does not know that incarnation any more. */
void member_identity_remove(struct cache_member *r)
{
    unlink(r->options.path);
}
