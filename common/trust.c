/* trust.c: see trust.h. */
#include "common/trust.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/magic.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#define TRUST_LINKS_MAX 40 /* as many as the kernel follows */

/* Static groups of the system: whoever has one as a primary group stands in /etc/passwd, not in another database. */
#define TRUST_SYSTEM_GID_MAX 99
#define TRUST_PASSWD         "/etc/passwd"
#define TRUST_PASSWD_LINES   100000
#define TRUST_PASSWD_LINE    4096

struct trust_walk {
    enum trust_rule rule;
    struct trust_path *t;
    char rest[PATH_MAX];     /* what is still to be walked */
    char name[NAME_MAX + 1]; /* the component that is looked at */
    struct stat in;          /* the directory that it stands in */
    char in_path[PATH_MAX];  /* and its name */
    bool sticky;             /* there others may take away only their own; t->open: and make some */
    int links;
};

/* ---- who ---- */

/* In a user namespace, whoever is none of its users: no process in it can be theirs, and the host's root is one. */
static bool trust_is_unmapped(uid_t uid)
{
    unsigned long first, host, count;
    bool mapped = false;
    FILE *map = fopen("/proc/self/uid_map", "re");
    if (map == NULL)
        return false;
    while (!mapped && fscanf(map, "%lu %lu %lu", &first, &host, &count) == 3)
        mapped = uid >= first && uid - first < count;
    fclose(map);
    return !mapped;
}

static bool trust_is_ours(uid_t uid)
{
    return uid == 0 || uid == geteuid() || trust_is_unmapped(uid);
}

static bool trust_is_our_name(const char *name)
{
    const struct passwd *us = getpwuid(geteuid());
    return strcmp(name, "root") == 0 || (us != NULL && strcmp(name, us->pw_name) == 0);
}

static bool trust_is_our_account(const struct passwd *user)
{
    return user->pw_uid == 0 || user->pw_uid == geteuid();
}

/*
 * Whether an account of somebody else's has it as its primary group, as the web server has www-data: no list of members
 * names those. What cannot be read to its end counts as one. Of no database but the file: asking the others for all
 * they have may take minutes.
 */
static bool trust_is_primary_of_others(gid_t gid)
{
    char text[TRUST_PASSWD_LINE];
    struct passwd user, *found = NULL;
    FILE *file = fopen(TRUST_PASSWD, "re");
    if (file == NULL)
        return errno != ENOENT;
    int rc = 0;
    bool others = false;
    for (int n = 0; rc == 0 && !others && n < TRUST_PASSWD_LINES; n++) {
        rc = fgetpwent_r(file, &user, text, sizeof text, &found);
        others = rc == 0 && user.pw_gid == gid && !trust_is_our_account(&user);
    }
    fclose(file);
    return others || rc != ENOENT;
}

/* Without whom has it as a primary group. A user's own group has the user's name; so has root's. */
static bool trust_has_our_members(gid_t gid)
{
    const struct group *g = getgrgid(gid);
    if (g == NULL)
        return false;
    for (char *const *member = g->gr_mem; *member != NULL; member++)
        if (!trust_is_our_name(*member))
            return false;
    char name[256];
    snprintf(name, sizeof name, "%s", g->gr_name);
    return gid <= TRUST_SYSTEM_GID_MAX || trust_is_our_name(name);
}

/*
 * Root's own group is root's whatever accounts the system itself has put there (sync, halt and operator of Red Hat's,
 * whose containers run with that group and any user).
 */
static bool trust_is_our_group(gid_t gid)
{
    return trust_has_our_members(gid) && (gid == 0 || !trust_is_primary_of_others(gid));
}

/*
 * An access list that lets more than the owner write sets the bits of the group (acl(5): they are its mask), and the
 * group says nothing then. `fd` may be O_PATH, of which fgetxattr wants to know nothing.
 */
static bool trust_has_list(int fd)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return getxattr(path, "system.posix_acl_access", NULL, 0) >= 0 ||
           (errno != ENODATA && errno != EOPNOTSUPP);
}

static bool trust_others_write(int fd, const struct stat *st)
{
    bool group = (st->st_mode & S_IWGRP) != 0;
    return (st->st_mode & S_IWOTH) != 0 ||
           (group && (!trust_is_our_group(st->st_gid) || trust_has_list(fd)));
}

/* Others may make and take away what stands in it. */
static bool trust_is_open(int fd, const struct stat *dir)
{
    return !trust_is_ours(dir->st_uid) || trust_others_write(fd, dir);
}

/* Others may make what stands in it, but take away only their own. */
static bool trust_is_sticky(const struct stat *dir)
{
    return trust_is_ours(dir->st_uid) && (dir->st_mode & S_ISVTX) != 0;
}

/* What stands in this directory is not there, or not as it is, by root or us alone. */
static bool trust_is_theirs(const struct trust_walk *w, const struct stat *entry)
{
    return w->t->open && !(w->sticky && trust_is_ours(entry->st_uid));
}

/* ---- the walk ---- */

static int trust_blame(struct trust_walk *w, const char *at, const struct stat *st, int rc)
{
    snprintf(w->t->at, sizeof w->t->at, "%s", at);
    w->t->owner = st->st_uid;
    w->t->shared = trust_is_ours(st->st_uid);
    w->t->dir_owner = w->in.st_uid;
    return rc;
}

/* The next component into w->name; false: there is none. */
static bool trust_next(struct trust_walk *w)
{
    char *from = w->rest + strspn(w->rest, "/");
    size_t len = strcspn(from, "/");
    if (len == 0)
        return false;
    memcpy(w->name, from, len);
    w->name[len] = '\0';
    memmove(w->rest, from + len, strlen(from + len) + 1);
    return true;
}

static bool trust_is_last(const struct trust_walk *w)
{
    return w->rest[strspn(w->rest, "/")] == '\0';
}

static int trust_join(const struct trust_walk *w, char path[PATH_MAX])
{
    int n =
        snprintf(path, PATH_MAX, "%s%s%s", w->in_path, w->in_path[1] != '\0' ? "/" : "", w->name);
    return n >= 0 && n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* Into a directory that is open as `fd`, of that name; from here on what it contains is looked at. */
static int trust_enter(struct trust_walk *w, int fd, const char *path)
{
    if (fstat(fd, &w->in) != 0 || !S_ISDIR(w->in.st_mode)) {
        close(fd);
        return -ENOTDIR;
    }
    trust_close(w->t);
    w->t->dir = fd;
    w->t->open = trust_is_open(fd, &w->in);
    w->sticky = trust_is_sticky(&w->in);
    if (path != w->in_path)
        snprintf(w->in_path, sizeof w->in_path, "%s", path);
    bool bad = w->t->open && !w->sticky;
    return bad && w->rule == TRUST_NO_OTHERS ? trust_blame(w, path, &w->in, -EPERM) : 0;
}

static int trust_enter_root(struct trust_walk *w)
{
    int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : trust_enter(w, fd, "/");
}

/* The kernel says where ".." leads; then its name is made shorter. */
static int trust_enter_parent(struct trust_walk *w)
{
    int fd = openat(w->t->dir, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    char *slash = strrchr(w->in_path, '/');
    slash[slash == w->in_path ? 1 : 0] = '\0';
    return trust_enter(w, fd, w->in_path);
}

/* What the link says comes before what is still to be walked. */
static int trust_follow(struct trust_walk *w, int link)
{
    char target[PATH_MAX], rest[PATH_MAX];
    ssize_t n = readlinkat(link, "", target, sizeof target - 1);
    if (n <= 0)
        return n < 0 ? -errno : -ENOENT;
    target[n] = '\0';
    if (++w->links > TRUST_LINKS_MAX)
        return -ELOOP;
    if ((size_t)n + 1 + strlen(w->rest) >= sizeof rest)
        return -ENAMETOOLONG;
    memcpy(rest, target, (size_t)n);
    snprintf(rest + n, sizeof rest - (size_t)n, "/%s", w->rest);
    memcpy(w->rest, rest, sizeof rest);
    return target[0] == '/' ? trust_enter_root(w) : 0;
}

/* /proc/self/fd/1 and its like say no name that could be walked. */
static bool trust_is_magic(const struct trust_walk *w)
{
    struct statfs fs;
    return trust_is_last(w) && fstatfs(w->t->dir, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

static int trust_take_link(struct trust_walk *w, int link, const struct stat *st, bool *done)
{
    char path[PATH_MAX];
    int rc = trust_join(w, path);
    if (rc == 0 && trust_is_theirs(w, st))
        rc = trust_blame(w, path, st, -EMLINK);
    if (rc != 0)
        return rc;
    w->t->magic = trust_is_magic(w);
    *done = w->t->magic || (w->rule == TRUST_NO_FOLLOW && trust_is_last(w));
    return *done ? 0 : trust_follow(w, link);
}

/* The component w->name; *done: it is the last one. What is not there as the last one is as good. */
static int trust_step(struct trust_walk *w, bool *done)
{
    char path[PATH_MAX];
    struct stat st;
    if (strcmp(w->name, ".") == 0)
        return 0;
    if (strcmp(w->name, "..") == 0)
        return trust_enter_parent(w);
    int fd = openat(w->t->dir, w->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    bool missing = fd < 0 && errno == ENOENT && trust_is_last(w);
    if (fd < 0 && !missing)
        return -errno;
    int rc = missing || fstat(fd, &st) == 0 ? trust_join(w, path) : -errno;
    *done = trust_is_last(w) && (missing || !S_ISLNK(st.st_mode));
    if (rc == 0 && !missing && S_ISLNK(st.st_mode))
        rc = trust_take_link(w, fd, &st, done);
    else if (rc == 0 && !missing && w->rule == TRUST_NO_OTHERS && trust_is_theirs(w, &st))
        rc = trust_blame(w, path, &st, -EPERM);
    else if (rc == 0 && !*done)
        return trust_enter(w, fd, path);
    if (fd >= 0)
        close(fd);
    return rc;
}

int trust_walk(const char *path, enum trust_rule rule, struct trust_path *t)
{
    struct trust_walk w = {.rule = rule, .t = t};
    bool done = false;
    *t = (struct trust_path){.dir = -1};
    if (path[0] != '/')
        return -EINVAL;
    if (strlen(path) >= sizeof w.rest)
        return -ENAMETOOLONG;
    memcpy(w.rest, path, strlen(path) + 1);
    int rc = trust_enter_root(&w);
    snprintf(w.name, sizeof w.name, "%s", ".");
    while (rc == 0 && !done && trust_next(&w))
        rc = trust_step(&w, &done);
    if (rc != 0)
        trust_close(t);
    else
        snprintf(t->name, sizeof t->name, "%s", done ? w.name : ".");
    return rc;
}

void trust_close(struct trust_path *t)
{
    if (t->dir >= 0)
        close(t->dir);
    t->dir = -1;
}

int trust_real(const struct trust_path *t, char real[PATH_MAX])
{
    char fd[64], dir[PATH_MAX];
    snprintf(fd, sizeof fd, "/proc/self/fd/%d", t->dir);
    ssize_t n = readlink(fd, dir, sizeof dir - 1);
    if (n <= 0)
        return n < 0 ? -errno : -ENOENT;
    dir[n] = '\0';
    int len = snprintf(real, PATH_MAX, "%s/%s", n > 1 ? dir : "", t->name);
    return len < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* ---- words ---- */

void trust_say_user(uid_t uid, struct buffer *out)
{
    const struct passwd *user = getpwuid(uid);
    buffer_printf(out, "uid %u", (unsigned)uid);
    if (user != NULL)
        buffer_printf(out, " (%s)", user->pw_name);
}

static void trust_say_link(const struct trust_path *t, struct buffer *out)
{
    buffer_printf(out, "%s is a symbolic link of ", t->at);
    trust_say_user(t->owner, out);
    buffer_append_text(out, ", in a directory of ");
    trust_say_user(t->dir_owner, out);
    buffer_append_text(out,
                       ": it is followed only where nobody but root and platoon's own user may "
                       "put one");
}

void trust_say(const struct trust_path *t, int rc, struct buffer *out)
{
    if (rc == -EMLINK) {
        trust_say_link(t, out);
        return;
    }
    buffer_printf(out, "%s belongs to ", t->at);
    trust_say_user(t->owner, out);
    buffer_append_text(out, t->shared
                                ? " and others can write there: they could put something else "
                                  "in its place"
                                : ", who could put something else in its place");
}
