/*
 * snapshot_write.c: a version is written: blob, tree, commit, branch. See snapshot_repo_private.h.
 *
 * Before the branch is moved nobody sees any of it: a death on the way leaves objects that nothing leads to. The branch
 * is moved from where we know it (compare and swap): whoever else has moved it is not overwritten.
 */
#include "workers/snapshot/snapshot_repo_private.h"

#include "common/fault.h"

#include <fcntl.h>
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

/* From the disk, and its bytes have this id (libgit2 hashes what it reads). */
static bool write_is_there(struct snapshot_repo *r, const git_oid *id)
{
    git_odb *odb = NULL;
    git_odb_object *object = NULL;
    bool there = git_repository_odb(&odb, r->git) == 0 && git_odb_read(&object, odb, id) == 0;
    git_odb_object_free(object);
    git_odb_free(odb);
    return there;
}

static bool write_blob(struct snapshot_repo *r, const struct snapshot_new *n, git_oid *id,
                       char *why)
{
    if (git_blob_create_from_buffer(id, r->git, n->bytes.ptr, n->bytes.len) != 0 ||
        !write_is_there(r, id))
        return write_fail(r, why, "the bytes cannot be written");
    return !FAULT_POINT("snapshot.after-blob", slice_of(n->path)) ||
           snapshot_repo_fail(why, "a fault");
}

/* What stands there now; of the first version nothing. */
static bool write_base(struct snapshot_repo *r, git_tree **base)
{
    git_commit *head = NULL;
    git_treebuilder *empty = NULL;
    git_oid id;
    bool good;
    if (r->has_head) {
        good = git_commit_lookup(&head, r->git, &r->head) == 0 && git_commit_tree(base, head) == 0;
    } else {
        good = git_treebuilder_new(&empty, r->git, NULL) == 0 &&
               git_treebuilder_write(&id, empty) == 0 && git_tree_lookup(base, r->git, &id) == 0;
    }
    git_treebuilder_free(empty);
    git_commit_free(head);
    return good;
}

/* The tree is there, and all on the way to the file. */
static bool write_leads_to(struct snapshot_repo *r, const git_oid *tree_id, const char *path,
                           const git_oid *blob)
{
    git_tree *tree = NULL;
    git_tree_entry *entry = NULL;
    bool good = write_is_there(r, tree_id) && git_tree_lookup(&tree, r->git, tree_id) == 0 &&
                git_tree_entry_bypath(&entry, tree, path) == 0 &&
                git_oid_equal(git_tree_entry_id(entry), blob);
    git_tree_entry_free(entry);
    git_tree_free(tree);
    return good;
}

static bool write_tree(struct snapshot_repo *r, const char *path, const git_oid *blob, git_oid *id,
                       char *why)
{
    git_tree *base = NULL;
    git_tree_update update = {
        .action = GIT_TREE_UPDATE_UPSERT, .id = *blob, .filemode = GIT_FILEMODE_BLOB, .path = path};
    bool good = write_base(r, &base) &&
                git_tree_create_updated(id, r->git, base, 1, &update) == 0 &&
                write_leads_to(r, id, path, blob);
    git_tree_free(base);
    if (!good)
        return write_fail(r, why, "the folder cannot be written");
    return !FAULT_POINT("snapshot.after-tree", slice_of(path)) ||
           snapshot_repo_fail(why, "a fault");
}

static bool write_message(struct snapshot_repo *r, const struct snapshot_new *n, struct buffer *out)
{
    struct snapshot_trailers t = {.seq = 0};
    if (n->made != NULL)
        t = *n->made;
    t.resource = slice_of(n->resource);
    t.seq = r->seq + 1;
    t.source = slice_of(n->source);
    t.by = slice_of(n->by);
    snapshot_trailers_write(&t, out);
    return buffer_ok(out) && buffer_text(out) != NULL;
}

static bool write_commit(struct snapshot_repo *r, const struct snapshot_new *n,
                         const git_oid *tree_id, git_oid *id, char *why)
{
    git_signature *we = NULL;
    git_tree *tree = NULL;
    git_commit *head = NULL;
    struct buffer message = BUFFER_EMPTY;
    bool good = git_signature_new(&we, "platoon", "platoon@localhost", n->time_s, 0) == 0 &&
                git_tree_lookup(&tree, r->git, tree_id) == 0 &&
                (!r->has_head || git_commit_lookup(&head, r->git, &r->head) == 0) &&
                write_message(r, n, &message);
    const git_commit *parents[] = {head};
    good = good &&
           git_commit_create(id, r->git, NULL, we, we, "UTF-8", buffer_text(&message), tree,
                             r->has_head ? 1 : 0, parents) == 0 &&
           write_is_there(r, id);
    buffer_fini(&message);
    git_commit_free(head);
    git_tree_free(tree);
    git_signature_free(we);
    if (!good)
        return write_fail(r, why, "the commit cannot be written");
    return !FAULT_POINT("snapshot.after-commit", slice_of(n->path)) ||
           snapshot_repo_fail(why, "a fault");
}

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

static enum snapshot_written write_all(struct snapshot_repo *r, const struct snapshot_new *n,
                                       git_oid *commit, char *why)
{
    git_oid blob, tree;
    git_error_clear();
    if (!write_blob(r, n, &blob, why) || !write_tree(r, n->path, &blob, &tree, why) ||
        !write_commit(r, n, &tree, commit, why))
        return SNAPSHOT_FAILED;
    return write_branch(r, commit, why);
}

/* Nothing of the branch has changed when it fails. */
static enum snapshot_written write_again(struct snapshot_repo *r, const struct snapshot_new *n,
                                         git_oid *commit, char *why)
{
    enum snapshot_written written;
    int tries = 0;
    do
        written = write_all(r, n, commit, why);
    while (written == SNAPSHOT_FAILED && snapshot_repo_missed(r, &tries));
    return written;
}

enum snapshot_written snapshot_repo_write(struct snapshot_repo *r, const struct snapshot_new *n,
                                          struct snapshot_accepted *a, char *why)
{
    git_oid commit;
    *a = (struct snapshot_accepted){.changed = true, .seq = r->seq + 1};
    enum snapshot_written written = SNAPSHOT_FAILED;
    snapshot_repo_refresh(r);
    if (r->moved != NULL)
        written = SNAPSHOT_MOVED;
    else if (!snapshot_repo_hash(n->bytes, a->blob))
        snapshot_repo_fail(why, "the bytes have no id");
    else
        written = write_again(r, n, &commit, why);
    if (written == SNAPSHOT_MOVED)
        snprintf(why, SNAPSHOT_WHY_SIZE, "%s", r->moved);
    if (written != SNAPSHOT_ACCEPTED)
        return written;
    git_oid_tostr(a->commit, SNAPSHOT_ID_SIZE, &commit);
    r->head = commit;
    r->has_head = true;
    r->seq++;
    (void)FAULT_POINT("snapshot.after-branch", slice_of(n->path));
    return SNAPSHOT_ACCEPTED;
}
