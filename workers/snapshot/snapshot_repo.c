/* snapshot_repo.c: opening and closing a snapshot's repository. See snapshot_repo_private.h. */
#include "workers/snapshot/snapshot_repo_private.h"

#include "common/text.h"
#include "proto/snapshot/snapshot_limits.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define REPO_PATH_MAX 4096
#define REPO_TRIES    5

/* Of one who pushes: what is not made by platoon would have no Seq, and nobody would hear of it. */
static const char repo_hook[] =
    "#!/bin/sh\n"
    "echo 'platoon alone writes here: use platoonctl snapshot put' >&2\n"
    "exit 1\n";

bool snapshot_repo_fail(char *why, const char *what)
{
    const git_error *e = git_error_last();
    snprintf(why, SNAPSHOT_WHY_SIZE, "%s: %s", what,
             e != NULL && e->message != NULL ? e->message : "libgit2 gives no reason");
    return false;
}

static enum snapshot_opened repo_away(char *why, const char *path, const char *what)
{
    snprintf(why, SNAPSHOT_WHY_SIZE, "%s: %s: %s: check the disk, and whose folder it is", path,
             what, strerror(errno));
    return SNAPSHOT_AWAY;
}

/* ---- libgit2 ---- */

/*
 * Once a process: no caches, so that what is read is what is on the disk; nobody's configuration but the repository's
 * own; and whose folder it is, is the affair of who has named it.
 */
static void repo_library(bool fsync)
{
    static bool begun;
    if (!begun) {
        git_libgit2_init();
        git_libgit2_opts(GIT_OPT_ENABLE_CACHING, 0);
        git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
        for (int level = GIT_CONFIG_LEVEL_PROGRAMDATA; level <= GIT_CONFIG_LEVEL_GLOBAL; level++)
            git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, level, "");
    }
    begun = true;
    git_libgit2_opts(GIT_OPT_ENABLE_FSYNC_GITDIR, (int)fsync);
}

/* ---- one writer: its process' number stands in the lock, for who finds it locked, and for the keeper ---- */

static bool repo_make_folders(const char *path)
{
    char part[REPO_PATH_MAX];
    if (strlen(path) >= sizeof part) {
        errno = ENAMETOOLONG;
        return false;
    }
    strcpy(part, path);
    for (char *at = strchr(part + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            return false;
        *at = '/';
    }
    return mkdir(part, 0777) == 0 || errno == EEXIST;
}

/* Over what stands there: a disk that is full takes that, too. */
static bool repo_sign(const char *name)
{
    char text[24];
    int len = snprintf(text, sizeof text, "%d\n", (int)getpid());
    int fd = open(name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    bool good = fd >= 0 && pwrite(fd, text, (size_t)len, 0) == len && ftruncate(fd, len) == 0;
    if (fd >= 0)
        close(fd);
    return good;
}

static void repo_lock_name(const char *path, char *name, size_t size)
{
    size_t len = strlen(path);
    snprintf(name, size, "%s%s%s", path, len > 0 && path[len - 1] == '/' ? "" : "/", SNAPSHOT_LOCK);
}

void snapshot_repo_sign(struct snapshot_repo *r)
{
    char name[REPO_PATH_MAX + sizeof SNAPSHOT_LOCK + 1];
    if (r->is_signed)
        return;
    repo_lock_name(git_repository_path(r->git), name, sizeof name);
    r->is_signed = repo_sign(name);
}

/* Not for writing: such a descriptor, open for as long as we live, would keep the disk from being made read-only. */
static enum snapshot_opened repo_lock(struct snapshot_repo *r, const char *path, char *why)
{
    char name[REPO_PATH_MAX + sizeof SNAPSHOT_LOCK + 1], holder[24] = "";
    repo_lock_name(path, name, sizeof name);
    r->lock = open(name, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (r->lock < 0)
        return repo_away(why, name, "cannot be opened");
    if (flock(r->lock, LOCK_EX | LOCK_NB) == 0) {
        r->is_signed = repo_sign(name);
        return SNAPSHOT_OPEN;
    }
    if (errno != EWOULDBLOCK)
        return repo_away(why, name, "cannot be locked");
    ssize_t len = pread(r->lock, holder, sizeof holder - 1, 0);
    holder[len > 0 ? strcspn(holder, "\n") : 0] = '\0';
    snprintf(why, SNAPSHOT_WHY_SIZE,
             "%s: is written by another platoon%s%s already: give each its own path, or end that "
             "one; waiting for it",
             path, holder[0] != '\0' ? ", process " : "", holder);
    return SNAPSHOT_LOCKED;
}

/* ---- what a writer that was killed has left ---- */

static bool repo_is_left(const char *name)
{
    size_t len = strlen(name);
    return (len > 5 && strcmp(name + len - 5, ".lock") == 0 && strcmp(name, SNAPSHOT_LOCK) != 0) ||
           strncmp(name, "tmp_obj_", 8) == 0 || strncmp(name, "tmp_object_", 11) == 0 ||
           strncmp(name, "tmp_pack_", 9) == 0 || strstr(name, "_git2_") != NULL;
}

static int repo_sweep_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    if (type == FTW_F && repo_is_left(path + at->base))
        unlink(path); /* one that stays is libgit2's to complain of */
    return 0;
}

/* ---- making and opening ---- */

/* Nothing stands in it but our lock. */
static bool repo_is_empty(const char *path)
{
    DIR *dir = opendir(path);
    bool empty = dir != NULL;
    for (struct dirent *e; empty && (e = readdir(dir)) != NULL;)
        empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
                strcmp(e->d_name, SNAPSHOT_LOCK) == 0;
    if (dir != NULL)
        closedir(dir);
    return empty;
}

static int repo_make(struct snapshot_repo *r, const struct snapshot_repo_options *o)
{
    git_repository_init_options init;
    git_repository_init_options_init(&init, GIT_REPOSITORY_INIT_OPTIONS_VERSION);
    init.flags = GIT_REPOSITORY_INIT_BARE | GIT_REPOSITORY_INIT_MKDIR;
    init.initial_head = o->branch;
    return git_repository_init_ext(&r->git, o->path, &init);
}

/* A disk that takes nothing is opened all the same: what there is can be read. */
static bool repo_has_hook(const char *name)
{
    char text[sizeof repo_hook];
    struct stat st;
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    bool same = fd >= 0 && fstat(fd, &st) == 0 && (st.st_mode & 0111) == 0111 &&
                read(fd, text, sizeof text) == sizeof repo_hook - 1 &&
                memcmp(text, repo_hook, sizeof repo_hook - 1) == 0;
    if (fd >= 0)
        close(fd);
    return same;
}

static bool repo_write_hook(const char *path, char *why)
{
    char name[REPO_PATH_MAX + 32], made[REPO_PATH_MAX + 40];
    snprintf(name, sizeof name, "%s/hooks/pre-receive", path);
    if (repo_has_hook(name))
        return true;
    snprintf(name, sizeof name, "%s/hooks", path);
    if (mkdir(name, 0777) != 0 && errno != EEXIST)
        return repo_away(why, name, "cannot be made") == SNAPSHOT_OPEN;
    snprintf(name, sizeof name, "%s/hooks/pre-receive", path);
    snprintf(made, sizeof made, "%s.new", name);
    int fd = open(made, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    bool good = fd >= 0 && write(fd, repo_hook, sizeof repo_hook - 1) == sizeof repo_hook - 1 &&
                fchmod(fd, 0755) == 0;
    good = (fd < 0 || close(fd) == 0) && good && rename(made, name) == 0;
    return good || repo_away(why, name, "cannot be written") == SNAPSHOT_OPEN;
}

/* What git's own programs must not do behind our back. */
static bool repo_settle(struct snapshot_repo *r, const struct snapshot_repo_options *o, char *why)
{
    git_config *config = NULL;
    int32_t automatic = 1;
    int rc = git_repository_config(&config, r->git);
    if (rc == 0 && (git_config_get_int32(&automatic, config, "gc.auto") != 0 || automatic != 0))
        rc = git_config_set_int32(config, "gc.auto", 0);
    git_config_free(config);
    if (rc != 0)
        return snapshot_repo_fail(why, o->path);
    return repo_write_hook(o->path, why);
}

bool snapshot_repo_missed(struct snapshot_repo *r, int *tries)
{
    const git_error *e = git_error_last();
    git_odb *odb = NULL;
    bool missed = e != NULL && e->message != NULL &&
                  (e->klass == GIT_ERROR_ODB || strstr(e->message, strerror(ENOENT)) != NULL);
    if (!missed || ++*tries > REPO_TRIES)
        return false;
    if (git_repository_odb(&odb, r->git) == 0)
        (void)git_odb_refresh(odb); /* what it does not find is missed once more */
    git_odb_free(odb);
    return true;
}

bool snapshot_repo_commit(struct snapshot_repo *r, const git_oid *id, git_commit **commit,
                          struct snapshot_trailers *t)
{
    int tries = 0;
    *commit = NULL;
    while (git_commit_lookup(commit, r->git, id) != 0)
        if (!snapshot_repo_missed(r, &tries))
            return false;
    return snapshot_trailers_read(slice_of(git_commit_message_raw(*commit)), t);
}

static enum snapshot_opened repo_read_head(struct snapshot_repo *r, const char *path, char *why)
{
    git_commit *commit;
    struct snapshot_trailers t;
    int rc = git_reference_name_to_id(&r->head, r->git, r->branch);
    if (rc == GIT_ENOTFOUND)
        return SNAPSHOT_OPEN;
    if (rc != 0) {
        snapshot_repo_fail(why, path);
        return SNAPSHOT_AWAY;
    }
    r->has_head = true;
    bool ours = snapshot_repo_commit(r, &r->head, &commit, &t);
    r->seq = ours ? t.seq : 0;
    if (commit == NULL) {
        snapshot_repo_fail(why, path);
        return SNAPSHOT_AWAY;
    }
    git_commit_free(commit);
    if (ours)
        return SNAPSHOT_OPEN;
    snprintf(
        why, SNAPSHOT_WHY_SIZE,
        "%s: the newest commit of %s is not platoon's (it has no Seq): choose another path, or "
        "another branch",
        path, r->branch + strlen("refs/heads/"));
    return SNAPSHOT_ALIEN;
}

static enum snapshot_opened repo_open_git(struct snapshot_repo *r,
                                          const struct snapshot_repo_options *o, char *why)
{
    nftw(o->path, repo_sweep_one, 16, FTW_PHYS);
    int rc = repo_is_empty(o->path) ? repo_make(r, o) : git_repository_open_bare(&r->git, o->path);
    if (rc == GIT_ENOTFOUND) {
        snprintf(why, SNAPSHOT_WHY_SIZE,
                 "%s: is neither empty nor a bare git repository: choose another path", o->path);
        return SNAPSHOT_ALIEN;
    }
    if (rc != 0) {
        snapshot_repo_fail(why, o->path);
        return SNAPSHOT_AWAY;
    }
    if (!snapshot_object_open(r)) {
        snapshot_repo_fail(why, o->path);
        return SNAPSHOT_AWAY;
    }
    enum snapshot_opened opened =
        repo_settle(r, o, why) ? repo_read_head(r, o->path, why) : SNAPSHOT_AWAY;
    snapshot_repo_stand(r);
    return opened;
}

enum snapshot_opened snapshot_repo_open(const struct snapshot_repo_options *o,
                                        struct snapshot_repo **out, char *why)
{
    struct snapshot_repo *r = calloc(1, sizeof *r);
    enum snapshot_opened opened = SNAPSHOT_AWAY;
    *out = NULL;
    if (r == NULL) {
        snprintf(why, SNAPSHOT_WHY_SIZE, "%s: memory is short", o->path);
        return SNAPSHOT_AWAY;
    }
    r->lock = -1;
    r->fsync = o->fsync;
    r->on_long = o->on_long;
    r->ctx = o->ctx;
    repo_library(o->fsync);
    if (snprintf(r->branch, sizeof r->branch, "refs/heads/%s", o->branch) >=
        (int)sizeof r->branch) {
        snprintf(why, SNAPSHOT_WHY_SIZE, "branch: is too long");
        opened = SNAPSHOT_ALIEN;
    } else if (!repo_make_folders(o->path)) {
        opened = repo_away(why, o->path, "cannot be made");
    } else {
        opened = repo_lock(r, o->path, why);
        if (opened == SNAPSHOT_OPEN)
            opened = repo_open_git(r, o, why);
    }
    if (opened == SNAPSHOT_OPEN)
        *out = r;
    else
        snapshot_repo_close(r);
    return opened;
}

void snapshot_repo_refresh(struct snapshot_repo *r)
{
    char packs[REPO_PATH_MAX + 32];
    struct stat st;
    git_repository *fresh = NULL;
    const char *path = git_repository_path(r->git);
    snprintf(packs, sizeof packs, "%sobjects/pack", path);
    if (stat(packs, &st) != 0 ||
        (st.st_mtim.tv_sec == r->packed.tv_sec && st.st_mtim.tv_nsec == r->packed.tv_nsec))
        return;
    if (git_repository_open_bare(&fresh, path) != 0)
        return; /* the next call tries again */
    git_repository_free(r->git);
    r->git = fresh;
    r->packed = st.st_mtim;
}

void snapshot_repo_close(struct snapshot_repo *r)
{
    if (r == NULL)
        return;
    buffer_fini(&r->tip.root);
    buffer_fini(&r->kept);
    snapshot_object_close(r);
    git_repository_free(r->git);
    if (r->lock >= 0)
        close(r->lock);
    free(r);
}

uint64_t snapshot_repo_seq(const struct snapshot_repo *r)
{
    return r->seq;
}
