/* snapshot_whatif_base.c: what a what-if reads that is not given: one commit, its files. See snapshot_whatif.h. */
#include "workers/snapshot/snapshot_whatif.h"

#include "common/clock.h"
#include "workers/snapshot/snapshot_version.h"

/* The newest commit that was there then. */
struct base_search {
    int64_t until_s;
    char *commit;
};

static bool base_meets(void *ctx, const struct snapshot_commit *c)
{
    struct base_search *search = ctx;
    if (c->time_s > search->until_s)
        return true;
    memcpy(search->commit, c->id, SNAPSHOT_ID_SIZE);
    return false;
}

/* False, with `why`: there is none such. */
static bool base_commit(struct snapshot_store *s, const struct snapshot_version *said, char *commit,
                        char *why)
{
    struct base_search search = {.until_s = said->time_s, .commit = commit};
    commit[0] = why[0] = '\0';
    if (said->kind == SNAPSHOT_NEWEST)
        snapshot_repo_head(s->repo, commit);
    else if (said->kind == SNAPSHOT_COMMIT)
        return snapshot_repo_resolve(s->repo, said->commit, commit, why);
    else if (!snapshot_repo_walk(s->repo, NULL, base_meets, &search, why))
        return false;
    return said->kind == SNAPSHOT_NEWEST || commit[0] != '\0';
}

/* Of each that is read as it is, its version there. NULL: all have one; else the first that has none. */
static const char *base_lacks(struct snapshot_store *s, struct snapshot_whatif *q)
{
    char why[SNAPSHOT_WHY_SIZE];
    for (size_t i = 0; i < s->runs->policy.count; i++) {
        const struct snapshot_resource *r = &s->resources[s->runs->order[i]];
        struct snapshot_taken *taken = &q->parts[i].taken;
        if (q->marks[i].read &&
            (q->base[0] == '\0' ||
             !snapshot_repo_find(s->repo, q->base, r->path, taken->blob, &taken->size, why)))
            return r->name;
    }
    return NULL;
}

bool whatif_base(struct snapshot_store *s, struct snapshot_whatif *q, struct slice version)
{
    char why[SNAPSHOT_WHY_SIZE];
    struct snapshot_version said;
    const char *lacks;
    if (!snapshot_version_read(version, (int64_t)(clock_wall_ms() / 1000), &said))
        whatif_refuse(s, q, CONTROL_USAGE,
                      "'%.*s' is no version: 7 to 40 hex digits of a commit, a time such as "
                      "2026-11-28T10:00, an age such as 2h",
                      (int)(version.len < 60 ? version.len : 60), version.ptr);
    else if (!base_commit(s, &said, q->base, why))
        whatif_refuse(s, q, CONTROL_ERROR, "%s: has no such version%s%s", q->wanted->name,
                      why[0] != '\0' ? ": " : "", why);
    else if ((lacks = base_lacks(s, q)) != NULL)
        whatif_refuse(
            s, q, CONTROL_ERROR,
            "%s: has no such version to be made from: there is no %s%s%.12s: give it, too",
            q->wanted->name, lacks, q->base[0] != '\0' ? " in " : "", q->base);
    else
        return true;
    return false;
}
