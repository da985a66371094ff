/*
 * snapshot_object.c: an object is written, and read back. See snapshot_repo_private.h.
 *
 * libgit2's own writing looks for an object everywhere, packs anew, before it writes it, and leaves to the caller to
 * look for it behind. What is written here is new nearly always: so it is written at once, small ones as
 * snapshot_loose.c does, others by libgit2's backend of loose objects alone. What is there already is put there once
 * more, which makes it young for who prunes, as a look for it would.
 */
#include "workers/snapshot/snapshot_repo_private.h"

#include <git2/sys/odb_backend.h>
#include <stdio.h>
#include <string.h>

bool snapshot_object_open(struct snapshot_repo *r)
{
    char path[4096];
    if (snprintf(path, sizeof path, "%sobjects", git_repository_path(r->git)) >= (int)sizeof path)
        return false;
    return git_odb_backend_loose(&r->loose, path, -1, 0, 0, 0) == 0;
}

void snapshot_object_close(struct snapshot_repo *r)
{
    if (r->loose != NULL)
        r->loose->free(r->loose);
    r->loose = NULL;
}

static bool object_is(git_object_t type, struct slice bytes, git_object_t found_type,
                      const void *found, size_t len)
{
    return found_type == type && len == bytes.len && memcmp(found, bytes.ptr, len) == 0;
}

/* It has just been packed, and its file is gone. */
static bool object_is_packed(struct snapshot_repo *r, git_object_t type, struct slice bytes,
                             const git_oid *id)
{
    git_odb *odb = NULL;
    git_odb_object *object = NULL;
    bool there = git_repository_odb(&odb, r->git) == 0 && git_odb_read(&object, odb, id) == 0 &&
                 object_is(type, bytes, git_odb_object_type(object), git_odb_object_data(object),
                           git_odb_object_size(object));
    git_odb_object_free(object);
    git_odb_free(odb);
    return there;
}

/* Its bytes themselves are compared, of its file or pack: nothing that libgit2 remembers, nor a hash of them. */
static bool object_is_there(struct snapshot_repo *r, git_object_t type, struct slice bytes,
                            const git_oid *id)
{
    void *found = NULL;
    size_t len = 0;
    git_object_t found_type = GIT_OBJECT_INVALID;
    int rc = r->loose->read(&found, &len, &found_type, r->loose, id);
    bool same = rc == 0 && object_is(type, bytes, found_type, found, len);
    if (rc == 0)
        git_odb_backend_data_free(r->loose, found);
    if (rc == 0 && !same)
        git_error_set_str(GIT_ERROR_ODB, "what was written is not what is on the disk");
    return same || (rc == GIT_ENOTFOUND && object_is_packed(r, type, bytes, id));
}

bool snapshot_object_write(struct snapshot_repo *r, git_object_t type, struct slice bytes,
                           const git_oid *id)
{
    switch (snapshot_loose_write(r, type, bytes, id)) {
    case SNAPSHOT_LOOSE_THERE:
        return true;
    case SNAPSHOT_LOOSE_FAILED:
        return false;
    case SNAPSHOT_LOOSE_GONE:
        return object_is_packed(r, type, bytes, id);
    case SNAPSHOT_LOOSE_OTHER:
        break;
    }
    return r->loose->write(r->loose, id, bytes.ptr, bytes.len, type) == 0 &&
           object_is_there(r, type, bytes, id);
}

bool snapshot_object_make(struct snapshot_repo *r, git_object_t type, struct slice bytes,
                          git_oid *id)
{
    return git_odb_hash(id, bytes.ptr, bytes.len, type) == 0 &&
           snapshot_object_write(r, type, bytes, id);
}
