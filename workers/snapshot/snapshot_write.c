/*
 * snapshot_write.c: versions are written: blob, tree, commit of each, then the branch. See snapshot_repo_private.h.
 *
 * Before the branch is moved nobody sees any of it: a death on the way leaves objects that nothing leads to. The branch
 * is moved from where we know it (compare and swap): whoever else has moved it is not overwritten.
 */
#include "workers/snapshot/snapshot_repo_private.h"

#include "common/fault.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

static const char write_moved[] =
    "somebody else has moved the branch: nothing is written until the store is started anew "
    "(platoonctl restart): see git log, and who pushes there";

/* What was not accepted stands there all the same, and who reads it with git sees it. */
static const char write_torn[] =
    "the branch could neither be synced nor moved back: nothing is written until the disk is "
    "mended and the store started anew (platoonctl restart): then git log says what has stayed";

/* With less than this a version of some size does not fit, compressed or not. */
#define WRITE_ROOM (1u << 20)

bool snapshot_repo_hash(struct slice bytes, char blob[SNAPSHOT_ID_SIZE])
{
    git_oid id;
    if (git_odb_hash(&id, bytes.ptr, bytes.len, GIT_OBJECT_BLOB) != 0)
        return false;
    git_oid_tostr(blob, SNAPSHOT_ID_SIZE, &id);
    return true;
}

/* On a full disk libgit2 often gives no reason, or has said that all is well: so the disk itself is asked. */
static bool write_fail(struct snapshot_repo *r, char *why, const char *what)
{
    struct statvfs disk;
    const char *path = git_repository_path(r->git);
    bool known = statvfs(path, &disk) == 0;
    if (known && (disk.f_flag & ST_RDONLY) != 0)
        snprintf(why, SNAPSHOT_WHY_SIZE, "%s: the disk of %s is read-only: make it writable", what,
                 path);
    else if (known && (uint64_t)disk.f_bavail * disk.f_frsize <= WRITE_ROOM)
        snprintf(why, SNAPSHOT_WHY_SIZE, "%s: no space left on the disk of %s: make room there",
                 what, path);
    else
        return snapshot_repo_fail(why, what);
    return false;
}

static bool write_blob(struct snapshot_repo *r, const struct snapshot_new *n, const git_oid *id,
                       char *why)
{
    if (!snapshot_object_write(r, GIT_OBJECT_BLOB, n->bytes, id))
        return write_fail(r, why, "the bytes cannot be written");
    return !FAULT_POINT("snapshot.after-blob", slice_of(n->path)) ||
           snapshot_repo_fail(why, "a fault");
}

/* The folder that the newest commit has; of the first version nothing. */
static bool write_root(struct snapshot_repo *r)
{
    struct snapshot_tip *tip = &r->tip;
    git_commit *commit = NULL;
    if (tip->has_root)
        return true;
    buffer_clear(&tip->root);
    tip->has_root = !tip->has || (git_commit_lookup(&commit, r->git, &tip->commit) == 0 &&
                                  snapshot_folder_read(r, git_commit_tree_id(commit), &tip->root));
    git_commit_free(commit);
    return tip->has_root;
}

static bool write_tree(struct snapshot_repo *r, const char *path, const git_oid *blob, git_oid *id,
                       struct buffer *root, char *why)
{
    if (!write_root(r) ||
        !snapshot_folder_write(r, buffer_slice(&r->tip.root), path, blob, id, root))
        return write_fail(r, why, "the folder cannot be written");
    return !FAULT_POINT("snapshot.after-tree", slice_of(path)) ||
           snapshot_repo_fail(why, "a fault");
}

static void write_message(const struct snapshot_repo *r, const struct snapshot_new *n,
                          struct buffer *out)
{
    struct snapshot_trailers t = {.seq = 0};
    if (n->made != NULL)
        t = *n->made;
    t.resource = slice_of(n->resource);
    t.seq = r->tip.seq + 1;
    t.source = slice_of(n->source);
    t.by = slice_of(n->by);
    snapshot_trailers_write(&t, out);
}

static void write_id(struct buffer *out, const char *what, const git_oid *id)
{
    char text[SNAPSHOT_ID_SIZE];
    git_oid_tostr(text, sizeof text, id);
    buffer_printf(out, "%s %s\n", what, text);
}

static bool write_commit(struct snapshot_repo *r, const struct snapshot_new *n, const git_oid *tree,
                         git_oid *id, char *why)
{
    static const char *const we[] = {"author", "committer"};
    struct buffer text = BUFFER_EMPTY;
    write_id(&text, "tree", tree);
    if (r->tip.has)
        write_id(&text, "parent", &r->tip.commit);
    for (size_t i = 0; i < 2; i++)
        buffer_printf(&text, "%s platoon <platoon@localhost> %" PRId64 " +0000\n", we[i],
                      n->time_s);
    buffer_append_text(&text, "encoding UTF-8\n\n");
    write_message(r, n, &text);
    bool good =
        buffer_ok(&text) && snapshot_object_make(r, GIT_OBJECT_COMMIT, buffer_slice(&text), id);
    buffer_fini(&text);
    if (!good)
        return write_fail(r, why, "the commit cannot be written");
    return !FAULT_POINT("snapshot.after-commit", slice_of(n->path)) ||
           snapshot_repo_fail(why, "a fault");
}

/* ---- the branch ---- */

/*
 * libgit2 says that the branch cannot be moved also when it has been, and only its folder could not be synced. All of
 * the disk is synced then instead: what git shows already is taken back only when that fails too.
 */
static bool write_sync(struct snapshot_repo *r)
{
    if (FAULT_POINT("snapshot.sync-all", slice_of("")))
        return false;
    int fd = open(git_repository_path(r->git), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = fd >= 0 && syncfs(fd) == 0;
    if (fd >= 0)
        close(fd);
    return good;
}

/* The branch is as it was before. False: it still has the commit. */
static bool write_take_back(struct snapshot_repo *r, const git_oid *id)
{
    git_reference *ref = NULL;
    git_oid there;
    if (FAULT_POINT("snapshot.take-back", slice_of("")))
        return false;
    if (r->has_head)
        (void)git_reference_create_matching(&ref, r->git, r->branch, &r->head, 1, id, "platoon");
    else
        (void)git_reference_remove(r->git, r->branch);
    git_reference_free(ref);
    return git_reference_name_to_id(&there, r->git, r->branch) != 0 || !git_oid_equal(&there, id);
}

static enum snapshot_written write_branch(struct snapshot_repo *r, const git_oid *id, char *why)
{
    git_reference *ref = NULL;
    git_oid there;
    int rc = r->has_head ? git_reference_create_matching(&ref, r->git, r->branch, id, 1, &r->head,
                                                         "platoon")
                         : git_reference_create(&ref, r->git, r->branch, id, 0, "platoon");
    git_reference_free(ref);
    if (rc == GIT_EMODIFIED || rc == GIT_EEXISTS) {
        r->moved = write_moved;
        return SNAPSHOT_MOVED;
    }
    if (git_reference_name_to_id(&there, r->git, r->branch) != 0 || !git_oid_equal(&there, id)) {
        write_fail(r, why, "the branch cannot be moved");
        return SNAPSHOT_FAILED;
    }
    bool unsynced = rc != 0 || FAULT_POINT("snapshot.branch-sync", slice_of(""));
    if (!unsynced || write_sync(r))
        return SNAPSHOT_ACCEPTED;
    write_fail(r, why, "the branch cannot be synced");
    if (write_take_back(r, id))
        return SNAPSHOT_FAILED;
    r->moved = write_torn;
    return SNAPSHOT_MOVED;
}

/* ---- a version ---- */

static bool write_all(struct snapshot_repo *r, const struct snapshot_new *n, const git_oid *blob,
                      git_oid *commit, struct buffer *root, char *why)
{
    git_oid tree;
    git_error_clear();
    buffer_clear(root);
    return write_blob(r, n, blob, why) && write_tree(r, n->path, blob, &tree, root, why) &&
           write_commit(r, n, &tree, commit, why);
}

/* The branch has it not yet. */
static void write_grow(struct snapshot_repo *r, const git_oid *commit, const char *path,
                       struct buffer *root)
{
    buffer_fini(&r->tip.root);
    r->tip = (struct snapshot_tip){.has = true,
                                   .commit = *commit,
                                   .seq = r->tip.seq + 1,
                                   .path = path,
                                   .has_root = true,
                                   .root = *root};
    *root = BUFFER_EMPTY;
}

enum snapshot_written snapshot_repo_write(struct snapshot_repo *r, const struct snapshot_new *n,
                                          struct snapshot_accepted *a, char *why)
{
    git_oid blob, commit;
    struct buffer root = BUFFER_EMPTY;
    int tries = 0;
    *a = (struct snapshot_accepted){.changed = true, .seq = r->tip.seq + 1};
    if (r->moved != NULL) {
        snprintf(why, SNAPSHOT_WHY_SIZE, "%s", r->moved);
        return SNAPSHOT_MOVED;
    }
    snapshot_repo_refresh(r);
    if (n->blob != NULL ? git_oid_fromstr(&blob, n->blob) != 0
                        : git_odb_hash(&blob, n->bytes.ptr, n->bytes.len, GIT_OBJECT_BLOB) != 0) {
        snapshot_repo_fail(why, "the bytes have no id");
        return SNAPSHOT_FAILED;
    }
    bool good = false;
    do
        good = write_all(r, n, &blob, &commit, &root, why);
    while (!good && snapshot_repo_missed(r, &tries));
    if (good) {
        git_oid_tostr(a->blob, SNAPSHOT_ID_SIZE, &blob);
        git_oid_tostr(a->commit, SNAPSHOT_ID_SIZE, &commit);
        write_grow(r, &commit, n->path, &root);
    }
    buffer_fini(&root);
    return good ? SNAPSHOT_ACCEPTED : SNAPSHOT_FAILED;
}

enum snapshot_written snapshot_repo_accept(struct snapshot_repo *r, char *why)
{
    enum snapshot_written written = SNAPSHOT_FAILED;
    int tries = 0;
    if (r->tip.seq == r->seq)
        return SNAPSHOT_ACCEPTED;
    git_error_clear();
    do
        written = write_branch(r, &r->tip.commit, why);
    while (written == SNAPSHOT_FAILED && snapshot_repo_missed(r, &tries));
    if (written == SNAPSHOT_MOVED)
        snprintf(why, SNAPSHOT_WHY_SIZE, "%s", r->moved);
    if (written != SNAPSHOT_ACCEPTED) {
        snapshot_repo_stand(r);
        return written;
    }
    r->head = r->tip.commit;
    r->has_head = true;
    r->seq = r->tip.seq;
    (void)FAULT_POINT("snapshot.after-branch", slice_of(r->tip.path));
    return SNAPSHOT_ACCEPTED;
}
