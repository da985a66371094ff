/*
 * snapshot_walk.c: a snapshot's commits are walked along, from one to the first, and over what was cut off between
 * them. See snapshot_repo_private.h and snapshot_cut.h.
 */
#include "workers/snapshot/snapshot_cut.h"
#include "workers/snapshot/snapshot_repo_private.h"
#include "workers/snapshot/snapshot_trailers.h"

#include <stdlib.h>

static void walk_fill(const git_oid *id, const git_commit *commit,
                      const struct snapshot_trailers *t, struct snapshot_commit *c)
{
    *c = (struct snapshot_commit){.seq = t->seq,
                                  .time_s = git_commit_time(commit),
                                  .resource = t->resource,
                                  .source = t->source,
                                  .by = t->by,
                                  .trailers = t};
    git_oid_tostr(c->id, SNAPSHOT_ID_SIZE, id);
}

/* ---- commits, from one on ---- */

struct walk {
    struct snapshot_repo *r;
    bool (*fn)(void *ctx, const struct snapshot_commit *c);
    void *ctx;
    uint64_t seq; /* of the last one that was told */
};

/* A million of them takes longer than a worker may be silent. */
static void walk_count(struct walk *w)
{
    if (++w->r->walked % SNAPSHOT_LONG == 0 && w->r->on_long != NULL)
        w->r->on_long(w->r->ctx);
}

/* True: and the next one is to be told. */
static bool walk_tell(struct walk *w, git_commit *commit, const struct snapshot_trailers *t,
                      bool cut)
{
    struct snapshot_commit c;
    walk_count(w);
    walk_fill(git_commit_id(commit), commit, t, &c);
    c.cut = cut;
    w->seq = t->seq;
    return w->fn(w->ctx, &c);
}

/*
 * Whether what is behind `last` was cut off: there, or, since git forgets what is cut off when it comes to it, at any
 * that leads there.
 */
static bool walk_was_cut(struct walk *w, const git_oid *first, const git_oid *last)
{
    git_commit *commit = NULL, *parent;
    bool was = snapshot_repo_was_cut(w->r, last), more = !was;
    if (more)
        more = git_commit_lookup(&commit, w->r->git, first) == 0;
    while (more && !was) {
        walk_count(w);
        was = snapshot_repo_was_cut(w->r, git_commit_id(commit));
        more = !git_oid_equal(git_commit_id(commit), last) &&
               git_commit_parent(&parent, commit, 0) == 0;
        git_commit_free(commit);
        commit = more ? parent : NULL;
    }
    git_commit_free(commit);
    return was;
}

/*
 * Along the parents. False: told enough, or at the first of all; true: the next one is not there. *commit is freed.
 */
static bool walk_chain(struct walk *w, git_commit *commit, struct snapshot_trailers *t)
{
    bool ours = true, more = true;
    char why[SNAPSHOT_WHY_SIZE];
    const git_oid first = *git_commit_id(commit);
    while (more && ours && git_commit_parentcount(commit) > 0) {
        git_commit *parent;
        struct snapshot_trailers of;
        bool is_ours = snapshot_repo_commit(w->r, git_commit_parent_id(commit, 0), &parent, &of);
        more = walk_tell(w, commit, t, parent == NULL);
        if (parent == NULL && !walk_was_cut(w, &first, git_commit_id(commit)))
            snapshot_repo_lack(w->r, git_commit_parent_id(commit, 0), NULL, why);
        git_commit_free(commit);
        commit = parent;
        *t = of;
        ours = is_ours;
        if (commit == NULL)
            return more;
    }
    if (more && ours)
        walk_tell(w, commit, t, false);
    git_commit_free(commit);
    return false;
}

/* ---- those that were kept beyond ---- */

struct walk_island {
    git_oid id;
    uint64_t seq;
};

struct walk_islands {
    struct walk_island *list;
    size_t count;
};

static bool walk_add_island(struct walk *w, const char *name, struct walk_islands *all)
{
    struct walk_island one;
    git_commit *commit = NULL;
    struct snapshot_trailers t;
    bool ours = git_reference_name_to_id(&one.id, w->r->git, name) == 0 &&
                snapshot_repo_commit(w->r, &one.id, &commit, &t);
    git_commit_free(commit);
    if (!ours || t.seq >= w->seq)
        return true;
    one.seq = t.seq;
    struct walk_island *grown = realloc(all->list, (all->count + 1) * sizeof *grown);
    if (grown == NULL)
        return false;
    all->list = grown;
    all->list[all->count++] = one;
    return true;
}

static bool walk_find_islands(struct walk *w, struct walk_islands *all)
{
    static const char *const globs[] = {SNAPSHOT_CUT_NEWEST "*", SNAPSHOT_CUT_DAILY "*"};
    bool good = true;
    for (size_t i = 0; good && i < sizeof globs / sizeof globs[0]; i++) {
        git_reference_iterator *names = NULL;
        const char *name;
        good = git_reference_iterator_glob_new(&names, w->r->git, globs[i]) == 0;
        while (good && git_reference_next_name(&name, names) == 0)
            good = walk_add_island(w, name, all);
        git_reference_iterator_free(names);
    }
    return good;
}

static int walk_newer(const void *a, const void *b)
{
    const struct walk_island *x = a, *y = b;
    return x->seq < y->seq ? 1 : x->seq > y->seq ? -1 : 0;
}

static bool walk_visit(struct walk *w, const struct walk_islands *all, char *why)
{
    bool more = true;
    for (size_t i = 0; more && i < all->count; i++) {
        git_commit *commit;
        struct snapshot_trailers t;
        if (i > 0 && all->list[i].seq == all->list[i - 1].seq)
            continue; /* kept for two reasons */
        bool ours = snapshot_repo_commit(w->r, &all->list[i].id, &commit, &t);
        if (commit == NULL)
            return snapshot_repo_fail(why, "a version that was kept cannot be read");
        more = !ours || walk_tell(w, commit, &t, true);
        git_commit_free(commit);
    }
    return true;
}

static bool walk_beyond(struct walk *w, char *why)
{
    struct walk_islands all = {0};
    bool good = walk_find_islands(w, &all) ||
                snapshot_repo_fail(why, "the versions that were kept cannot be found");
    if (good && all.count > 0) {
        qsort(all.list, all.count, sizeof all.list[0], walk_newer);
        good = walk_visit(w, &all, why);
    }
    free(all.list);
    return good;
}

bool snapshot_repo_walk(struct snapshot_repo *r, const char *from,
                        bool (*fn)(void *ctx, const struct snapshot_commit *c), void *ctx,
                        char *why)
{
    struct walk w = {.r = r, .fn = fn, .ctx = ctx};
    git_oid id = r->head;
    git_commit *commit;
    struct snapshot_trailers t;
    if (from == NULL && !r->has_head)
        return true;
    if (from != NULL && git_oid_fromstr(&id, from) != 0)
        return snapshot_repo_fail(why, from);
    snapshot_repo_refresh(r);
    bool ours = snapshot_repo_commit(r, &id, &commit, &t);
    if (commit == NULL)
        return snapshot_repo_fail(why, "the commit cannot be read");
    if (!ours) {
        git_commit_free(commit);
        return true;
    }
    return !walk_chain(&w, commit, &t) || walk_beyond(&w, why);
}
