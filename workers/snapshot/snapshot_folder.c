/*
 * snapshot_folder.c: a folder with one file changed: git's trees, from that of the file to the first. See
 * snapshot_repo_private.h.
 *
 * An entry is "MODE NAME", NUL and the 20 bytes of an id; they stand in the order of their names, where that of a
 * folder counts as if it ended with a slash (git's base_name_compare).
 */
#include "workers/snapshot/snapshot_repo_private.h"

#include <string.h>

#define FOLDER_FILE   "100644"
#define FOLDER_FOLDER "40000"

struct folder_entry {
    struct slice all; /* as it stands there */
    struct slice mode, name;
    const unsigned char *id;
};

/* The next one, of which *rest begins. False: there is none, or what is there is no tree. */
static bool folder_next(struct slice *rest, struct folder_entry *e)
{
    const char *blank = rest->len > 0 ? memchr(rest->ptr, ' ', rest->len) : NULL;
    const char *end =
        blank != NULL ? memchr(blank, '\0', rest->len - (size_t)(blank - rest->ptr)) : NULL;
    if (end == NULL || rest->len - (size_t)(end - rest->ptr) <= GIT_OID_RAWSZ)
        return false;
    e->mode = slice_make(rest->ptr, (size_t)(blank - rest->ptr));
    e->name = slice_make(blank + 1, (size_t)(end - blank) - 1);
    e->id = (const unsigned char *)end + 1;
    e->all = slice_make(rest->ptr, (size_t)(end - rest->ptr) + 1 + GIT_OID_RAWSZ);
    *rest = slice_make(rest->ptr + e->all.len, rest->len - e->all.len);
    return true;
}

static int folder_compare(struct slice a, bool a_folder, struct slice b, bool b_folder)
{
    size_t least = a.len < b.len ? a.len : b.len;
    int order = memcmp(a.ptr, b.ptr, least);
    if (order != 0)
        return order;
    unsigned char x = a.len > least ? (unsigned char)a.ptr[least] : a_folder ? '/' : '\0';
    unsigned char y = b.len > least ? (unsigned char)b.ptr[least] : b_folder ? '/' : '\0';
    return (x > y) - (x < y);
}

static bool folder_is(const struct folder_entry *e)
{
    return slice_is(e->mode, FOLDER_FOLDER);
}

/* What has that name. False: nothing. */
static bool folder_find(struct slice tree, struct slice name, struct folder_entry *e)
{
    while (folder_next(&tree, e))
        if (slice_equal(e->name, name))
            return true;
    return false;
}

static void folder_append(struct buffer *out, bool folder, struct slice name, const git_oid *id)
{
    buffer_append_text(out, folder ? FOLDER_FOLDER " " : FOLDER_FILE " ");
    buffer_append_slice(out, name);
    buffer_append_char(out, '\0');
    buffer_append(out, id->id, GIT_OID_RAWSZ);
}

/* The same folder with that entry, which takes the place of one of its name. */
static void folder_with(struct slice tree, bool folder, struct slice name, const git_oid *id,
                        struct buffer *out)
{
    struct folder_entry e;
    bool done = false;
    while (folder_next(&tree, &e)) {
        int order = folder_compare(e.name, folder_is(&e), name, folder);
        if (order >= 0 && !done) {
            folder_append(out, folder, name, id);
            done = true;
        }
        if (order != 0)
            buffer_append_slice(out, e.all);
    }
    if (!done)
        folder_append(out, folder, name, id);
}

bool snapshot_folder_read(struct snapshot_repo *r, const git_oid *id, struct buffer *out)
{
    git_odb *odb = NULL;
    git_odb_object *object = NULL;
    bool good = git_repository_odb(&odb, r->git) == 0 && git_odb_read(&object, odb, id) == 0 &&
                git_odb_object_type(object) == GIT_OBJECT_TREE;
    if (good)
        buffer_append(out, git_odb_object_data(object), git_odb_object_size(object));
    git_odb_object_free(object);
    git_odb_free(odb);
    return good && buffer_ok(out);
}

static bool folder_refuse(const char *why)
{
    git_error_set_str(GIT_ERROR_TREE, why);
    return false;
}

/* The folder within it, or an empty one. */
static bool folder_enter(struct snapshot_repo *r, struct slice tree, struct slice name,
                         struct buffer *inner)
{
    struct folder_entry e;
    git_oid id;
    if (!folder_find(tree, name, &e))
        return true;
    if (!folder_is(&e))
        return folder_refuse("a file has the name of one of its folders");
    git_oid_fromraw(&id, e.id);
    return snapshot_folder_read(r, &id, inner);
}

bool snapshot_folder_write(struct snapshot_repo *r, struct slice tree, const char *path,
                           const git_oid *blob, git_oid *id, struct buffer *out)
{
    const char *slash = strchr(path, '/');
    struct slice name = slash != NULL ? slice_make(path, (size_t)(slash - path)) : slice_of(path);
    struct buffer inner = BUFFER_EMPTY, changed = BUFFER_EMPTY;
    struct folder_entry e;
    git_oid entry = *blob;
    bool good = true;
    if (slash != NULL)
        good = folder_enter(r, tree, name, &inner) &&
               snapshot_folder_write(r, buffer_slice(&inner), slash + 1, blob, &entry, &changed);
    else if (folder_find(tree, name, &e) && folder_is(&e))
        good = folder_refuse("a folder has its name");
    if (good)
        folder_with(tree, slash != NULL, name, &entry, out);
    buffer_fini(&inner);
    buffer_fini(&changed);
    return good && buffer_ok(out) &&
           snapshot_object_make(r, GIT_OBJECT_TREE, buffer_slice(out), id);
}
