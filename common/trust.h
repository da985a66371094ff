/*
 * trust.h: who else may change what stands at a path: nobody but root and this user, or whoever owns or may write one
 * of the directories above it, or has put a symbolic link there.
 *
 * Runs in the master and in workers. Checking the last component alone is not enough: who may write a directory above
 * it puts another one in its place, or a link that leads root to files that are not theirs. So the path is walked by
 * descriptors, one component after the other, as sshd (StrictModes) and Postfix look at all of them; links are followed
 * here and not by the kernel. Group-writable counts as others, unless nobody but root and this user is in it, be it as
 * a member or by a primary group; with an access list (acl(5)) it counts as others always.
 */
#ifndef COMMON_TRUST_H
#define COMMON_TRUST_H

#include "common/buffer.h"

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

enum trust_rule {
    TRUST_NO_OTHERS, /* each directory above it is root's or ours, and no others may write there */
    TRUST_NO_LINKS,  /* others may write there; but a link that they can have made leads nowhere */
    TRUST_NO_FOLLOW, /* the same, and a link as the last component is not followed, whosever it is */
};

struct trust_path {
    int dir;                 /* O_PATH: where the last component stands, or would; -1: none */
    char name[NAME_MAX + 1]; /* that component; "." of "/" */
    bool magic;              /* it is a link of /proc's, which only the kernel can follow */
    bool open;               /* others may make something in that directory, and be it in /tmp */
    /* After -EPERM and -EMLINK: what others may change, or the link, and who owns it. */
    char at[PATH_MAX];
    uid_t owner;
    bool shared;     /* it is ours, but others may write it */
    uid_t dir_owner; /* of the directory that the link stands in */
};

/*
 * Walks to the directory of the last component of `path`, which is absolute. Returns 0, the descriptor being the
 * caller's to close (trust_close); -EPERM: a directory that others may change (TRUST_NO_OTHERS); -EMLINK: a link that
 * others may have made; or another negative errno, -ENOENT when a directory above is missing.
 */
int trust_walk(const char *path, enum trust_rule rule, struct trust_path *t);
void trust_close(struct trust_path *t);

/*
 * What a path that trust_walk has walked is called without links, "." and "..". 0, -ENAMETOOLONG or another negative
 * errno. Two paths with the same name here are one file.
 */
int trust_real(const struct trust_path *t, char real[PATH_MAX]);

/*
 * Appends, after -EPERM: "/srv/app belongs to uid 1000 (bob), who …"; after -EMLINK: "/srv/app/log is a symbolic link
 * of …". No end of line, no remedy. Looks into the user database: may block.
 */
void trust_say(const struct trust_path *t, int rc, struct buffer *out);

/* "uid 1000 (bob)", or "uid 1000" when it has no name. */
void trust_say_user(uid_t uid, struct buffer *out);

#endif
