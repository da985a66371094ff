/*
 * snapshots_git.c: versions by bare libgit2, as one would write them without a store: scripts/bench/snapshots measures
 * it beside platoon.
 *
 *   snapshots_git REPOSITORY CONTENT COUNT FSYNC
 *
 * COUNT commits, each of one of three files, of CONTENT with a number at its beginning. Prints how many a second.
 */
#include <git2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FILES       3
#define CONTENT_MAX 1048576

static char content[CONTENT_MAX];

static void check(int rc, const char *what)
{
    if (rc == 0)
        return;
    const git_error *error = git_error_last();
    fprintf(stderr, "snapshots_git: %s: %s\n", what, error != NULL ? error->message : "failed");
    exit(1);
}

static size_t read_content(const char *path)
{
    FILE *file = fopen(path, "rb");
    size_t len = file != NULL ? fread(content, 1, sizeof content, file) : 0;
    check(len > 16 ? 0 : -1, path);
    fclose(file);
    return len;
}

/* A version on top of *parent, which it becomes. */
static void commit(git_repository *repo, git_commit **parent, size_t len, int n)
{
    char name[16], message[64], number[17];
    git_oid blob, tree_id, id;
    git_tree *base = NULL, *tree;
    git_signature *who;
    const git_commit *parents[] = {*parent};
    snprintf(number, sizeof number, "%016d", n);
    memcpy(content, number, 16);
    snprintf(name, sizeof name, "file%d", n % FILES);
    snprintf(message, sizeof message, "%s\n\nSeq: %d\n", name, n);
    check(git_blob_create_from_buffer(&blob, repo, content, len), "blob");
    git_tree_update update = {
        .action = GIT_TREE_UPDATE_UPSERT, .id = blob, .filemode = GIT_FILEMODE_BLOB, .path = name};
    if (*parent != NULL)
        check(git_commit_tree(&base, *parent), "base");
    check(git_tree_create_updated(&tree_id, repo, base, 1, &update), "tree");
    check(git_tree_lookup(&tree, repo, &tree_id), "tree");
    check(git_signature_now(&who, "bench", "bench@localhost"), "signature");
    check(git_commit_create(&id, repo, "refs/heads/main", who, who, "UTF-8", message, tree,
                            *parent != NULL, parents),
          "commit");
    git_commit_free(*parent);
    check(git_commit_lookup(parent, repo, &id), "commit");
    git_signature_free(who);
    git_tree_free(tree);
    git_tree_free(base);
}

int main(int argc, char **argv)
{
    git_repository *repo;
    git_commit *parent = NULL;
    struct timespec from, to;
    if (argc != 5) {
        fputs("snapshots_git REPOSITORY CONTENT COUNT FSYNC\n", stderr);
        return 2;
    }
    int count = atoi(argv[3]);
    size_t len = read_content(argv[2]);
    git_libgit2_init();
    git_libgit2_opts(GIT_OPT_ENABLE_FSYNC_GITDIR, atoi(argv[4]));
    check(git_repository_init(&repo, argv[1], 1), "repository");
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (int n = 1; n <= count; n++)
        commit(repo, &parent, len, n);
    clock_gettime(CLOCK_MONOTONIC, &to);
    printf("%.2f\n", count / ((double)(to.tv_sec - from.tv_sec) +
                              (double)(to.tv_nsec - from.tv_nsec) / 1e9));
    git_commit_free(parent);
    git_repository_free(repo);
    git_libgit2_shutdown();
    return 0;
}
