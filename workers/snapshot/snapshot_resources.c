/* snapshot_resources.c: a snapshot's resources, and the newest version of each. See snapshot_store.h. */
#include "workers/snapshot/snapshot_runs.h"

#include "common/log.h"
#include "common/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define RESOURCES_MAX  100000
#define RESOURCES_SAID 10 /* to who asks for one that is not there */

bool snapshot_resources_read(struct snapshot_store *s)
{
    size_t count = 0;
    while (count < RESOURCES_MAX && worker_setting_item(s->w, "resources", count, "name") != NULL)
        count++;
    s->resources = calloc(count + 1, sizeof *s->resources);
    if (s->resources == NULL)
        return false;
    s->count = count;
    for (size_t i = 0; i < count; i++) {
        s->resources[i] = (struct snapshot_resource){
            .name = worker_setting_item(s->w, "resources", i, "name"),
            .path = worker_setting_item(s->w, "resources", i, "path"),
            .size_min = worker_setting_item_u64(s->w, "resources", i, "size_min"),
            .size_max = worker_setting_item_u64(s->w, "resources", i, "size_max")};
        const char *header = worker_setting_item(s->w, "resources", i, "header");
        s->resources[i].header =
            header != NULL && header[0] != '\0' ? header : s->resources[i].name;
    }
    return true;
}

/* ---- a new version ---- */

static bool resource_refuse(struct snapshot_store *s, const struct snapshot_resource *r,
                            enum snapshot_written written, const char *why)
{
    if (written == SNAPSHOT_MOVED) /* which no try can mend: it is trouble */
        snprintf(s->why, sizeof s->why, "%s", why);
    log_warn("snapshot-refused", "resource=%s cause=%s", r->name, log_quote_text(why));
    return false;
}

bool snapshot_resource_commit(struct snapshot_store *s, struct snapshot_resource *r,
                              const struct snapshot_new *version,
                              struct snapshot_accepted *accepted, char *why)
{
    enum snapshot_written written = snapshot_repo_write(s->repo, version, accepted, why);
    return written == SNAPSHOT_ACCEPTED || resource_refuse(s, r, written, why);
}

bool snapshot_resource_accept(struct snapshot_store *s, const struct snapshot_resource *r,
                              char *why)
{
    enum snapshot_written written = snapshot_repo_accept(s->repo, why);
    return written == SNAPSHOT_ACCEPTED || resource_refuse(s, r, written, why);
}

void snapshot_resource_newest(struct snapshot_store *s, struct snapshot_resource *r,
                              const struct snapshot_accepted *accepted, struct slice bytes,
                              int64_t time_s, const char *source)
{
    r->has = true;
    r->seq = accepted->seq;
    memcpy(r->commit, accepted->commit, sizeof r->commit);
    memcpy(r->blob, accepted->blob, sizeof r->blob);
    r->size = bytes.len;
    r->time_s = time_s;
    snprintf(r->source, sizeof r->source, "%s", source);
    worker_count(s->w, COUNTER_SNAPSHOT_COMMITS, 1);
    snapshot_follow_tell(s, r, bytes);
}

bool snapshot_resource_write(struct snapshot_store *s, struct snapshot_resource *r,
                             const struct snapshot_new *version, char *why)
{
    struct snapshot_accepted accepted;
    if (!snapshot_resource_commit(s, r, version, &accepted, why) ||
        !snapshot_resource_accept(s, r, why))
        return false;
    snapshot_resource_newest(s, r, &accepted, version->bytes, version->time_s, version->source);
    return true;
}

/* ---- the newest version of each ---- */

struct resource_search {
    struct snapshot_store *s;
    size_t left; /* that have one, which was not met yet */
};

static bool resource_meets(void *ctx, const struct snapshot_commit *c)
{
    struct resource_search *search = ctx;
    for (size_t i = 0; i < search->s->count; i++) {
        struct snapshot_resource *r = &search->s->resources[i];
        if (r->blob[0] == '\0' || r->has || !slice_is(c->resource, r->name))
            continue;
        r->has = true;
        r->seq = c->seq;
        r->time_s = c->time_s;
        memcpy(r->commit, c->id, sizeof r->commit);
        size_t len = c->source.len < sizeof r->source ? c->source.len : sizeof r->source - 1;
        slice_copy(slice_make(c->source.ptr, len), r->source, sizeof r->source);
        snapshot_made_meets(search->s, r, c->trailers);
        search->left--;
        break;
    }
    return search->left > 0;
}

static bool resource_keep_first(void *ctx, const struct snapshot_commit *c)
{
    memcpy(ctx, c->id, SNAPSHOT_ID_SIZE);
    return false;
}

/*
 * Which of them are in the newest commit's tree at all: those are walked for. One whose file somebody has put there
 * under another name is met at no commit: it counts as never put. One whose bytes are missing has its version all the
 * same: who reads it is told what is wrong, and what is made from it fails.
 */
bool snapshot_resources_find(struct snapshot_store *s)
{
    char head[SNAPSHOT_ID_SIZE] = "", why[SNAPSHOT_WHY_SIZE];
    struct resource_search search = {.s = s};
    if (!snapshot_repo_walk(s->repo, NULL, resource_keep_first, head, s->why) ||
        (head[0] != '\0' && !snapshot_repo_has_folders(s->repo, head, s->why)))
        return false;
    for (size_t i = 0; i < s->count; i++) {
        struct snapshot_resource *r = &s->resources[i];
        r->has = false;
        r->blob[0] = '\0';
        if (head[0] != '\0')
            (void)snapshot_repo_find(s->repo, head, r->path, r->blob, &r->size, why);
        search.left += r->blob[0] != '\0';
    }
    return search.left == 0 || snapshot_repo_walk(s->repo, NULL, resource_meets, &search, s->why);
}

/* ---- by name ---- */

/* Which there are, and which one may be meant. */
static void resource_unknown(struct snapshot_store *s, uint64_t request, struct slice name)
{
    struct text_nearest near = text_nearest_start(name);
    struct buffer names = BUFFER_EMPTY;
    for (size_t i = 0; i < s->count; i++) {
        text_nearest_offer(&near, s->resources[i].name);
        if (i < RESOURCES_SAID)
            buffer_printf(&names, "%s%s", i > 0 ? ", " : "", s->resources[i].name);
    }
    if (s->count > RESOURCES_SAID)
        buffer_printf(&names, " and %zu more", s->count - RESOURCES_SAID);
    const char *known = s->count > 0 ? buffer_text(&names) : "none";
    bool is_near = near.best != NULL;
    worker_reply_text(
        s->w, request, CONTROL_NO_NAME, "no resource named '%.*s'%s%s%s There are: %s",
        (int)(name.len < 100 ? name.len : 100), name.ptr, is_near ? ": did you mean '" : ".",
        is_near ? near.best : "", is_near ? "'?" : "", known != NULL ? known : "");
    buffer_fini(&names);
}

struct snapshot_resource *snapshot_resource_of(struct snapshot_store *s, uint64_t request,
                                               struct slice name)
{
    for (size_t i = 0; i < s->count; i++)
        if (slice_is(name, s->resources[i].name))
            return &s->resources[i];
    resource_unknown(s, request, name);
    return NULL;
}
