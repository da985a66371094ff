/*
 * test_snapshot_write.c: versions that are written, and the branch that is moved to them: the folders are those that
 * libgit2 makes, and nobody sees what is not accepted (workers/snapshot/snapshot_repo.h).
 */
#include "workers/snapshot/snapshot_repo.h"

#include "test/unit/suite.h"

#include <ftw.h>
#include <git2.h>
#include <inttypes.h>
#include <stdlib.h>

static char folder[64], why[SNAPSHOT_WHY_SIZE];
static struct snapshot_repo *repo;
static git_repository *git; /* the same, for who looks at it */

static void on_long(void *ctx)
{
    (*(unsigned *)ctx)++;
}

static unsigned beats;

static void set_up(void)
{
    char path[96];
    snprintf(folder, sizeof folder, "/tmp/snapshot-write-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/plan.git", folder);
    beats = 0;
    const struct snapshot_repo_options o = {
        .path = path, .branch = "main", .on_long = on_long, .ctx = &beats};
    ck_assert_msg(snapshot_repo_open(&o, &repo, why) == SNAPSHOT_OPEN, "%s", why);
    ck_assert_int_eq(git_repository_open_bare(&git, path), 0);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static void tear_down(void)
{
    git_repository_free(git);
    snapshot_repo_close(repo);
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static enum snapshot_written write_version(const char *path, const char *text,
                                           struct snapshot_accepted *a)
{
    const struct snapshot_new n = {.resource = "some",
                                   .path = path,
                                   .source = "put",
                                   .by = "test",
                                   .bytes = slice_of(text),
                                   .time_s = 1764324000};
    return snapshot_repo_write(repo, &n, a, why);
}

static struct snapshot_accepted written(const char *path, const char *text)
{
    struct snapshot_accepted a;
    ck_assert_msg(write_version(path, text, &a) == SNAPSHOT_ACCEPTED, "%s: %s", path, why);
    return a;
}

static void accepted(void)
{
    ck_assert_msg(snapshot_repo_accept(repo, why) == SNAPSHOT_ACCEPTED, "%s", why);
}

static void expect_branch(const char *commit)
{
    git_oid id;
    char text[SNAPSHOT_ID_SIZE] = "", head[SNAPSHOT_ID_SIZE];
    if (git_reference_name_to_id(&id, git, "refs/heads/main") == 0)
        git_oid_tostr(text, sizeof text, &id);
    ck_assert_str_eq(text, commit);
    snapshot_repo_head(repo, head);
    ck_assert_str_eq(head, commit);
}

static git_tree *tree_of(const char *commit)
{
    git_oid id;
    git_commit *c;
    git_tree *tree;
    ck_assert_int_eq(git_oid_fromstr(&id, commit), 0);
    ck_assert_int_eq(git_commit_lookup(&c, git, &id), 0);
    ck_assert_int_eq(git_commit_tree(&tree, c), 0);
    git_commit_free(c);
    return tree;
}

/* What stands before and behind a slash, in git's order and in that of bytes. */
static const char *const paths[] = {
    "a/b/c", "a/b-d", "a/b.e/f", "a/b0",        "a-b",     "a.b/c",        "a0", "a",
    "z",     "z/y",   "b",       "a/b/d/e/f/g", "a-b/not", "\xc3\xa4.tsv", "a/b"};
#define PATHS (sizeof paths / sizeof paths[0])

START_TEST(folders_are_as_libgit2_makes_them)
{
    git_tree *tree = NULL;
    size_t refused = 0;
    srand(5);
    for (int i = 0; i < 300; i++) {
        const char *path = paths[(size_t)rand() % PATHS];
        char text[32];
        struct snapshot_accepted a;
        git_oid id;
        snprintf(text, sizeof text, "%d\n", rand() % 50);
        bool good = write_version(path, text, &a) == SNAPSHOT_ACCEPTED;
        git_tree_update update = {
            .action = GIT_TREE_UPDATE_UPSERT, .filemode = GIT_FILEMODE_BLOB, .path = path};
        ck_assert_int_eq(git_blob_create_from_buffer(&update.id, git, text, strlen(text)), 0);
        if (tree == NULL) { /* of nothing libgit2 makes none */
            ck_assert(good);
        } else {
            bool theirs = git_tree_create_updated(&id, git, tree, 1, &update) == 0;
            ck_assert_msg(theirs == good, "%s: %s", path, good ? "taken" : why);
        }
        refused += !good;
        if (!good)
            continue;
        git_tree *next = tree_of(a.commit);
        if (tree != NULL)
            ck_assert(git_oid_equal(git_tree_id(next), &id));
        git_tree_free(tree);
        tree = next;
        if (rand() % 3 == 0)
            accepted();
    }
    ck_assert_uint_gt(refused, 10); /* a file and a folder of one name */
    ck_assert_uint_lt(refused, 200);
    git_tree_free(tree);
}
END_TEST

START_TEST(nobody_sees_what_is_not_accepted)
{
    struct snapshot_accepted one = written("a", "1\n"), two = written("b/c", "2\n");
    expect_branch("");
    ck_assert_uint_eq(snapshot_repo_seq(repo), 0);
    accepted();
    expect_branch(two.commit);
    ck_assert_uint_eq(one.seq, 1);
    ck_assert_uint_eq(two.seq, 2);
    ck_assert_uint_eq(snapshot_repo_seq(repo), 2);
    struct snapshot_accepted three = written("a", "3\n");
    expect_branch(two.commit);
    accepted();
    expect_branch(three.commit);
    accepted(); /* nothing is there to be */
    expect_branch(three.commit);
}
END_TEST

static bool tell_seq(void *ctx, const struct snapshot_commit *c)
{
    buffer_printf(ctx, "%" PRIu64 " ", c->seq);
    return true;
}

START_TEST(each_is_a_commit_upon_the_last)
{
    struct buffer seqs = BUFFER_EMPTY;
    for (int i = 0; i < 5; i++) {
        written("a", i % 2 == 0 ? "even\n" : "odd\n");
        if (i == 2)
            accepted();
    }
    accepted();
    ck_assert_msg(snapshot_repo_walk(repo, NULL, tell_seq, &seqs, why), "%s", why);
    ck_assert_str_eq(buffer_text(&seqs), "5 4 3 2 1 ");
    buffer_fini(&seqs);
}
END_TEST

/* By somebody else, while two were written: neither is accepted, nor any other. */
START_TEST(a_branch_that_was_moved)
{
    struct snapshot_accepted one = written("a", "1\n"), two;
    git_oid id;
    git_reference *ref;
    accepted();
    two = written("a", "2\n");
    accepted();
    written("a", "3\n");
    written("b", "4\n");
    ck_assert_int_eq(git_oid_fromstr(&id, one.commit), 0);
    ck_assert_int_eq(git_reference_create(&ref, git, "refs/heads/main", &id, 1, NULL), 0);
    git_reference_free(ref);
    ck_assert_int_eq(snapshot_repo_accept(repo, why), SNAPSHOT_MOVED);
    ck_assert_ptr_nonnull(strstr(why, "somebody else has moved the branch"));
    ck_assert_uint_eq(snapshot_repo_seq(repo), two.seq);
    ck_assert_int_eq(write_version("a", "5\n", &two), SNAPSHOT_MOVED);
    ck_assert_int_eq(snapshot_repo_accept(repo, why), SNAPSHOT_ACCEPTED);
    ck_assert_int_eq(git_reference_name_to_id(&id, git, "refs/heads/main"), 0);
    ck_assert_int_eq(git_oid_strcmp(&id, one.commit), 0);
}
END_TEST

/* Small ones are not compressed, others are: libgit2 reads both, and so does who is not given their id. */
START_TEST(of_each_size)
{
    static const size_t sizes[] = {0, 1, 2, 5552, 5553, 65000, 65523, 65524, 65535, 65536, 1000000};
    static char bytes[1000000];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 7 + i / 300);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct snapshot_accepted a;
        struct snapshot_new n = {.resource = "some",
                                 .path = "some",
                                 .source = "put",
                                 .by = "test",
                                 .bytes = slice_make(bytes, sizes[i])};
        git_oid id;
        git_blob *blob;
        char known[SNAPSHOT_ID_SIZE];
        ck_assert(snapshot_repo_hash(n.bytes, known));
        n.blob = i % 2 == 0 ? known : NULL;
        ck_assert_msg(snapshot_repo_write(repo, &n, &a, why) == SNAPSHOT_ACCEPTED, "%s", why);
        accepted();
        ck_assert_str_eq(a.blob, known);
        ck_assert_int_eq(git_oid_fromstr(&id, a.blob), 0);
        ck_assert_int_eq(git_blob_lookup(&blob, git, &id), 0);
        ck_assert_uint_eq((uint64_t)git_blob_rawsize(blob), sizes[i]);
        ck_assert_int_eq(memcmp(git_blob_rawcontent(blob), bytes, sizes[i]), 0);
        git_blob_free(blob);
        struct buffer whole = BUFFER_EMPTY; /* in pieces, and each once more */
        for (size_t at = 0; at < sizes[i]; at += 300000) {
            struct buffer piece = BUFFER_EMPTY, again = BUFFER_EMPTY;
            ck_assert_msg(snapshot_repo_read(repo, a.blob, at, 300000, &piece, why), "%s", why);
            ck_assert_msg(snapshot_repo_read(repo, a.blob, at, 300000, &again, why), "%s", why);
            ck_assert(slice_equal(buffer_slice(&piece), buffer_slice(&again)));
            buffer_append_slice(&whole, buffer_slice(&piece));
            buffer_fini(&piece);
            buffer_fini(&again);
        }
        ck_assert(slice_equal(buffer_slice(&whole), n.bytes));
        buffer_fini(&whole);
    }
}
END_TEST

static bool on_commit(void *ctx, const struct snapshot_commit *c)
{
    uint64_t *next = ctx;
    ck_assert_uint_eq(c->seq, (*next)--);
    return true;
}

START_TEST(a_long_walk_says_that_it_goes_on)
{
    uint64_t next = SNAPSHOT_LONG + 1;
    for (unsigned i = 0; i < SNAPSHOT_LONG; i++)
        written("some", i % 2 == 0 ? "a" : "b");
    accepted();
    written("some", "c");
    accepted();
    ck_assert_uint_eq(beats, 0);
    ck_assert_msg(snapshot_repo_walk(repo, NULL, on_commit, &next, why), "%s", why);
    ck_assert_uint_eq(next, 0);
    ck_assert_uint_eq(beats, 1);
}
END_TEST

SUITE_MAIN_WITH("snapshot-write", set_up, tear_down, folders_are_as_libgit2_makes_them,
                nobody_sees_what_is_not_accepted, each_is_a_commit_upon_the_last,
                a_branch_that_was_moved, of_each_size, a_long_walk_says_that_it_goes_on)
