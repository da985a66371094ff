/* snapshot_history.c: a snapshot's commits, files, bytes and differences are read. See snapshot_repo_private.h. */
#include "workers/snapshot/snapshot_lines.h"
#include "workers/snapshot/snapshot_repo_private.h"

#include <stdio.h>
#include <string.h>

#define HISTORY_CONTEXT 3       /* lines around a difference, as diff -u has them */
#define HISTORY_LINES   500000u /* so many others take about a second, whatever they are */

static bool history_id(const char *text, git_oid *id, char *why)
{
    return git_oid_fromstr(id, text) == 0 || snapshot_repo_fail(why, text);
}

void snapshot_repo_head(const struct snapshot_repo *r, char id[SNAPSHOT_ID_SIZE])
{
    id[0] = '\0';
    if (r->has_head)
        git_oid_tostr(id, SNAPSHOT_ID_SIZE, &r->head);
}

bool snapshot_repo_resolve(struct snapshot_repo *r, const char *digits, char id[SNAPSHOT_ID_SIZE],
                           char *why)
{
    git_oid prefix;
    git_commit *commit = NULL;
    size_t len = strlen(digits);
    int rc = git_oid_fromstrn(&prefix, digits, len);
    if (rc == 0)
        rc = git_commit_lookup_prefix(&commit, r->git, &prefix, len);
    if (rc == GIT_EAMBIGUOUS)
        snprintf(why, SNAPSHOT_WHY_SIZE, "%s: is the beginning of several: give more digits",
                 digits);
    else if (rc != 0)
        snprintf(why, SNAPSHOT_WHY_SIZE, "%s: there is no such commit", digits);
    else
        git_oid_tostr(id, SNAPSHOT_ID_SIZE, git_commit_id(commit));
    git_commit_free(commit);
    return rc == 0;
}

/* *deepest: the last of commit, tree and blob that was gone to. */
static bool history_find(struct snapshot_repo *r, const git_oid *id, const char *path,
                         char blob[SNAPSHOT_ID_SIZE], uint64_t *size, git_oid *deepest, char *why)
{
    git_commit *found = NULL;
    git_tree *tree = NULL;
    git_tree_entry *entry = NULL;
    git_odb *odb = NULL;
    size_t bytes = 0;
    git_object_t type;
    blob[0] = '\0';
    *deepest = *id;
    bool good = git_commit_lookup(&found, r->git, id) == 0;
    if (good)
        *deepest = *git_commit_tree_id(found);
    good = good && git_commit_tree(&tree, found) == 0 &&
           git_tree_entry_bypath(&entry, tree, path) == 0;
    if (good) {
        *deepest = *git_tree_entry_id(entry);
        git_oid_tostr(blob, SNAPSHOT_ID_SIZE, deepest);
    }
    good = good && git_repository_odb(&odb, r->git) == 0 &&
           git_odb_read_header(&bytes, &type, odb, deepest) == 0;
    if (!good)
        snapshot_repo_fail(why, path);
    *size = bytes;
    git_odb_free(odb);
    git_tree_entry_free(entry);
    git_tree_free(tree);
    git_commit_free(found);
    return good;
}

bool snapshot_repo_find(struct snapshot_repo *r, const char *commit, const char *path,
                        char blob[SNAPSHOT_ID_SIZE], uint64_t *size, char *why)
{
    git_oid id, deepest;
    int tries = 0;
    blob[0] = '\0';
    if (!history_id(commit, &id, why))
        return false;
    while (!history_find(r, &id, path, blob, size, &deepest, why)) {
        bool none = git_error_last() != NULL && git_error_last()->klass == GIT_ERROR_TREE;
        if (snapshot_repo_missed(r, &tries))
            continue;
        if (none || git_oid_equal(&deepest, &id))
            return false; /* no such file, or no such commit */
        return snapshot_repo_lack(r, &deepest, &id, why);
    }
    return true;
}

static int history_on_entry(const char *root, const git_tree_entry *entry, void *payload)
{
    (void)root;
    (void)entry;
    (void)payload;
    return 0;
}

/* git_tree_walk reads each folder, and no file. */
static bool history_walk(struct snapshot_repo *r, const git_oid *id, git_oid *deepest)
{
    git_commit *commit = NULL;
    git_tree *tree = NULL;
    *deepest = *id;
    bool good = git_commit_lookup(&commit, r->git, id) == 0;
    if (good)
        *deepest = *git_commit_tree_id(commit);
    good = good && git_commit_tree(&tree, commit) == 0 &&
           git_tree_walk(tree, GIT_TREEWALK_PRE, history_on_entry, NULL) == 0;
    git_tree_free(tree);
    git_commit_free(commit);
    return good;
}

bool snapshot_repo_has_folders(struct snapshot_repo *r, const char *commit, char *why)
{
    git_oid id, deepest;
    int tries = 0;
    if (!history_id(commit, &id, why))
        return false;
    while (!history_walk(r, &id, &deepest))
        if (!snapshot_repo_missed(r, &tries))
            return snapshot_repo_lack(r, &deepest, NULL, why);
    return true;
}

/* True: it is not the last one. */
static bool history_piece(struct slice all, uint64_t offset, size_t most, struct buffer *out)
{
    size_t at = offset < all.len ? (size_t)offset : all.len, left = all.len - at;
    buffer_append(out, all.ptr + at, left < most ? left : most);
    return left > most;
}

/* To inflate and check all of it for each piece of 20 MB takes eighty times as long. Without memory it does. */
static void history_keep(struct snapshot_repo *r, const git_oid *id, const git_blob *blob)
{
    buffer_fini(&r->kept);
    r->kept_id = *id;
    buffer_append(&r->kept, git_blob_rawcontent(blob), (size_t)git_blob_rawsize(blob));
    if (!buffer_ok(&r->kept))
        buffer_fini(&r->kept);
}

bool snapshot_repo_read(struct snapshot_repo *r, const char *blob, uint64_t offset, size_t most,
                        struct buffer *out, char *why)
{
    git_oid id;
    git_blob *found = NULL;
    int tries = 0;
    if (!history_id(blob, &id, why))
        return false;
    if (offset > 0 && r->kept.len > 0 && git_oid_equal(&r->kept_id, &id)) {
        if (!history_piece(buffer_slice(&r->kept), offset, most, out))
            buffer_fini(&r->kept);
        return true;
    }
    while (git_blob_lookup(&found, r->git, &id) != 0)
        if (!snapshot_repo_missed(r, &tries))
            return snapshot_repo_lack(r, &id, NULL, why);
    if (history_piece(slice_make(git_blob_rawcontent(found), (size_t)git_blob_rawsize(found)),
                      offset, most, out))
        history_keep(r, &id, found);
    git_blob_free(found);
    return true;
}

static int history_on_line(const git_diff_delta *delta, const git_diff_hunk *hunk,
                           const git_diff_line *line, void *payload)
{
    struct buffer *out = payload;
    (void)delta;
    (void)hunk;
    if (line->origin == GIT_DIFF_LINE_CONTEXT || line->origin == GIT_DIFF_LINE_ADDITION ||
        line->origin == GIT_DIFF_LINE_DELETION)
        buffer_append_char(out, line->origin);
    buffer_append(out, line->content, line->content_len);
    return buffer_ok(out) ? 0 : -1;
}

static struct slice history_bytes(const git_blob *blob)
{
    return slice_make(git_blob_rawcontent(blob), (size_t)git_blob_rawsize(blob));
}

/* Nobody else is answered meanwhile. */
static bool history_may_compare(git_blob *const blobs[2], char *why)
{
    if (snapshot_lines_between(history_bytes(blobs[0]), history_bytes(blobs[1]), HISTORY_LINES) <=
        HISTORY_LINES)
        return true;
    snprintf(why, SNAPSHOT_WHY_SIZE,
             "the difference has more than %u lines, or may have: get both versions, and compare "
             "them yourself",
             HISTORY_LINES);
    return false;
}

static bool history_diff(struct snapshot_repo *r, const char *name, const git_oid ids[2],
                         struct buffer *out, char *why)
{
    git_blob *blobs[2] = {NULL, NULL};
    git_patch *patch = NULL;
    git_diff_options options;
    git_diff_options_init(&options, GIT_DIFF_OPTIONS_VERSION);
    options.context_lines = HISTORY_CONTEXT;
    git_error_clear();
    bool found = git_blob_lookup(&blobs[0], r->git, &ids[0]) == 0 &&
                 git_blob_lookup(&blobs[1], r->git, &ids[1]) == 0;
    bool small = !found || history_may_compare(blobs, why);
    bool good = found && small &&
                git_patch_from_blobs(&patch, blobs[0], name, blobs[1], name, &options) == 0 &&
                (patch == NULL || git_patch_print(patch, history_on_line, out) == 0);
    git_patch_free(patch);
    git_blob_free(blobs[0]);
    git_blob_free(blobs[1]);
    return good || (small && snapshot_repo_fail(why, "the difference cannot be made"));
}

bool snapshot_repo_diff(struct snapshot_repo *r, const char *name, const char *from, const char *to,
                        struct buffer *out, char *why)
{
    git_oid ids[2];
    int tries = 0;
    size_t begin = out->len;
    if (!history_id(from, &ids[0], why) || !history_id(to, &ids[1], why))
        return false;
    while (!history_diff(r, name, ids, out, why)) {
        if (!snapshot_repo_missed(r, &tries))
            return false;
        out->len = begin;
    }
    return true;
}
