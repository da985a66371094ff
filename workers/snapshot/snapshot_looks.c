/* snapshot_looks.c: what people ask of a snapshot: list, log, get, diff. See snapshot_store.h. */
#include "workers/snapshot/snapshot_runs.h"

#include "common/clock.h"
#include "common/pack.h"
#include "common/text.h"
#include "proto/snapshot/snapshot_limits.h"
#include "workers/snapshot/snapshot_version.h"

#include <stdio.h>

#define LOOKS_LOG_MAX 1000

/* Of a difference; more is asked for by two gets. */
#define LOOKS_DIFF_MAX (8u * 1024 * 1024)

void snapshot_answer(struct snapshot_store *s, uint64_t request, struct buffer *body)
{
    if (buffer_ok(body))
        worker_reply(s->w, request, CONTROL_OK, buffer_slice(body));
    else
        worker_reply_text(s->w, request, CONTROL_ERROR,
                          "memory is short for the answer: try again");
    buffer_fini(body);
}

static void look_text(struct buffer *body, const char *key, struct slice value)
{
    pack_text(body, key);
    pack_str(body, value);
}

static void look_number(struct buffer *body, const char *key, uint64_t value)
{
    pack_text(body, key);
    pack_u64(body, value);
}

static void look_time(struct buffer *body, int64_t time_s)
{
    char text[SNAPSHOT_TIME_SIZE];
    snapshot_time_write(time_s, text);
    look_text(body, "time", slice_of(text));
}

/* ---- list ---- */

static void look_when(struct buffer *body, const char *key, int64_t at_s)
{
    char text[SNAPSHOT_TIME_SIZE];
    pack_text(body, key);
    snapshot_time_write(at_s, text);
    if (at_s > 0)
        pack_text(body, text);
    else
        pack_nil(body);
}

void snapshot_row(struct snapshot_store *s, const struct snapshot_resource *r, uint32_t more,
                  struct buffer *body)
{
    char why[SNAPSHOT_ERROR_SIZE];
    snapshot_runs_why(s, r, why);
    pack_map(body, (r->has ? 13 : 7) + more);
    look_text(body, "store", slice_of(worker_setting(s->w, "snapshot.name")));
    look_text(body, "resource", slice_of(r->name));
    look_text(body, "path", slice_of(r->path));
    look_text(body, "state", slice_of(policy_state_name(snapshot_runs_state(s, r))));
    pack_text(body, "error");
    if (s->repo == NULL || why[0] != '\0')
        pack_text(body, s->repo == NULL ? s->why : why);
    else
        pack_nil(body);
    look_when(body, "checked", r->make != NULL ? r->make->checked_s : 0);
    look_when(body, "next", snapshot_runs_next(s, r));
    if (!r->has)
        return;
    look_text(body, "source", slice_of(r->source));
    look_number(body, "seq", r->seq);
    look_text(body, "commit", slice_of(r->commit));
    look_text(body, "blob", slice_of(r->blob));
    look_number(body, "size", r->size);
    look_time(body, r->time_s);
}

bool snapshot_list(struct snapshot_store *s, uint64_t request, struct unpack *u, uint32_t count)
{
    struct buffer body = BUFFER_EMPTY;
    if (count != 0 || !unpack_end(u))
        return false;
    pack_array(&body, (uint32_t)s->count);
    for (size_t i = 0; i < s->count; i++)
        snapshot_row(s, &s->resources[i], 0, &body);
    snapshot_answer(s, request, &body);
    return true;
}

/* ---- log ---- */

struct look_log {
    struct snapshot_store *s;
    const struct snapshot_resource *r;
    uint64_t limit, before;
    struct buffer rows;
    uint32_t count;
    char why[SNAPSHOT_WHY_SIZE];
};

static bool look_log_one(void *ctx, const struct snapshot_commit *c)
{
    struct look_log *log = ctx;
    char blob[SNAPSHOT_ID_SIZE];
    uint64_t size;
    if (!slice_is(c->resource, log->r->name) || (log->before > 0 && c->seq >= log->before))
        return true;
    if (!snapshot_repo_find(log->s->repo, c->id, log->r->path, blob, &size, log->why))
        return true; /* its file had another path then */
    pack_map(&log->rows, 7);
    look_number(&log->rows, "seq", c->seq);
    look_text(&log->rows, "commit", slice_of(c->id));
    look_text(&log->rows, "blob", slice_of(blob));
    look_number(&log->rows, "size", size);
    look_time(&log->rows, c->time_s);
    look_text(&log->rows, "source", c->source);
    look_text(&log->rows, "by", c->by);
    return ++log->count < log->limit;
}

bool snapshot_log(struct snapshot_store *s, uint64_t request, struct unpack *u, uint32_t count)
{
    struct look_log log = {.s = s};
    struct buffer body = BUFFER_EMPTY;
    struct slice name = unpack_bytes(u);
    struct slice limit = unpack_bytes(u), before = unpack_bytes(u);
    if (count != 3 || !unpack_end(u))
        return false;
    log.r = snapshot_resource_of(s, request, name);
    if (log.r == NULL)
        return true;
    if (text_parse_u64(limit, &log.limit) != 0 || log.limit == 0 || log.limit > LOOKS_LOG_MAX ||
        text_parse_u64(before, &log.before) != 0) {
        worker_reply_text(s->w, request, CONTROL_USAGE,
                          "%s: limit must be 1 to %d, and before the number of a version (SEQ)",
                          log.r->name, LOOKS_LOG_MAX);
        return true;
    }
    if (log.r->has && !snapshot_repo_walk(s->repo, log.r->commit, look_log_one, &log, log.why)) {
        worker_reply_text(s->w, request, CONTROL_ERROR, "%s", log.why);
    } else {
        pack_array(&body, log.count);
        buffer_append_slice(&body, buffer_slice(&log.rows));
        body.failed = body.failed || log.rows.failed;
        snapshot_answer(s, request, &body);
    }
    buffer_fini(&log.rows);
    return true;
}

/* ---- one version ---- */

struct look_version {
    struct snapshot_repo *repo;
    const struct snapshot_resource *r;
    bool by_time;
    int64_t until_s;
    bool found;
    uint64_t seq;
    int64_t time_s;
    char commit[SNAPSHOT_ID_SIZE], blob[SNAPSHOT_ID_SIZE];
    uint64_t size;
};

static bool look_version_one(void *ctx, const struct snapshot_commit *c)
{
    struct look_version *v = ctx;
    char blob[SNAPSHOT_ID_SIZE], why[SNAPSHOT_WHY_SIZE];
    uint64_t size;
    bool has = slice_is(c->resource, v->r->name) ||
               (c->cut && snapshot_repo_find(v->repo, c->id, v->r->path, blob, &size, why));
    if (!has || (v->by_time && c->time_s > v->until_s))
        return true;
    v->found = true;
    v->seq = c->seq;
    v->time_s = c->time_s;
    memcpy(v->commit, c->id, sizeof v->commit);
    return false;
}

/* Why there is none, where the repository has not said it. */
static const char *look_lack(const struct snapshot_resource *r, const struct look_version *v,
                             const char *why)
{
    if (why[0] != '\0')
        return why;
    if (!r->has)
        return "none has been accepted yet";
    return v->by_time ? "its first one came later" : "it was not there yet in that commit";
}

/* The version that these words name. False: there is none, which the request has been told. */
static bool look_find(struct snapshot_store *s, uint64_t request, const struct snapshot_resource *r,
                      struct slice words, struct look_version *v)
{
    char why[SNAPSHOT_WHY_SIZE] = "", from[SNAPSHOT_ID_SIZE] = "";
    struct snapshot_version said;
    *v = (struct look_version){.repo = s->repo, .r = r};
    if (!snapshot_version_read(words, (int64_t)(clock_wall_ms() / 1000), &said)) {
        worker_reply_text(s->w, request, CONTROL_USAGE,
                          "'%.*s' is no version: 7 to 40 hex digits of a commit, a time such as "
                          "2026-11-28T10:00, an age such as 2h",
                          (int)(words.len < 60 ? words.len : 60), words.ptr);
        return false;
    }
    v->by_time = said.kind == SNAPSHOT_TIME;
    v->until_s = said.time_s;
    memcpy(from, r->commit, sizeof from);
    bool good = r->has;
    if (good && said.kind == SNAPSHOT_COMMIT)
        good = snapshot_repo_resolve(s->repo, said.commit, from, why);
    good = good && snapshot_repo_walk(s->repo, from, look_version_one, v, why) && v->found;
    good = good && snapshot_repo_find(s->repo, v->commit, r->path, v->blob, &v->size, why);
    if (!good && v->found && v->blob[0] != '\0') /* its bytes are not there */
        worker_reply_text(s->w, request, CONTROL_ERROR, "%s: %s", r->name, why);
    else if (!good)
        worker_reply_text(s->w, request, CONTROL_ERROR,
                          "%s: has no such version: %s: its log says which there are", r->name,
                          look_lack(r, v, why));
    return good;
}

/* ---- get, diff ---- */

bool snapshot_get(struct snapshot_store *s, uint64_t request, struct unpack *u, uint32_t count)
{
    struct buffer body = BUFFER_EMPTY, bytes = BUFFER_EMPTY;
    struct look_version v;
    char why[SNAPSHOT_WHY_SIZE];
    uint64_t offset;
    struct slice name = unpack_bytes(u), version = unpack_bytes(u);
    if (count != 3 || text_parse_u64(unpack_bytes(u), &offset) != 0 || !unpack_end(u))
        return false;
    const struct snapshot_resource *r = snapshot_resource_of(s, request, name);
    if (r == NULL || !look_find(s, request, r, version, &v))
        return true;
    if (!snapshot_repo_read(s->repo, v.blob, offset, SNAPSHOT_PIECE_MAX, &bytes, why)) {
        worker_reply_text(s->w, request, CONTROL_ERROR, "%s: %s", r->name, why);
        return true;
    }
    pack_map(&body, 7);
    look_number(&body, "seq", v.seq);
    look_text(&body, "commit", slice_of(v.commit));
    look_text(&body, "blob", slice_of(v.blob));
    look_number(&body, "size", v.size);
    look_time(&body, v.time_s);
    pack_text(&body, "time_s");
    pack_i64(&body, v.time_s);
    pack_text(&body, "bytes");
    pack_bin(&body, buffer_slice(&bytes));
    body.failed = body.failed || bytes.failed;
    buffer_fini(&bytes);
    snapshot_answer(s, request, &body);
    return true;
}

bool snapshot_diff(struct snapshot_store *s, uint64_t request, struct unpack *u, uint32_t count)
{
    struct buffer body = BUFFER_EMPTY, text = BUFFER_EMPTY;
    struct look_version from, to;
    char why[SNAPSHOT_WHY_SIZE];
    struct slice name = unpack_bytes(u), first = unpack_bytes(u), second = unpack_bytes(u);
    if (count != 3 || !unpack_end(u))
        return false;
    const struct snapshot_resource *r = snapshot_resource_of(s, request, name);
    if (r == NULL || !look_find(s, request, r, first, &from) ||
        !look_find(s, request, r, second, &to))
        return true;
    bool good = snapshot_repo_diff(s->repo, r->path, from.blob, to.blob, &text, why);
    if (good && text.len > LOOKS_DIFF_MAX) {
        snprintf(why, sizeof why, "the difference has more than %u MB: get both versions",
                 LOOKS_DIFF_MAX >> 20);
        good = false;
    }
    if (!good) {
        worker_reply_text(s->w, request, CONTROL_ERROR, "%s: %s", r->name, why);
    } else {
        pack_bin(&body, buffer_slice(&text));
        body.failed = body.failed || text.failed;
        snapshot_answer(s, request, &body);
    }
    buffer_fini(&text);
    return true;
}
