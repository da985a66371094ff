/*
 * snapshot.c: the store worker: the only writer of a snapshot's repository, and who answers for it. See
 * snapshot_store.h.
 *
 * It is READY also while the repository cannot be opened (its disk is away, another platoon has it): then it says so,
 * and tries again each second. What it answers as accepted is on the disk; so its own death loses nothing.
 */
#include "workers/snapshot/snapshot_runs.h"

#include "common/clock.h"
#include "common/log.h"
#include "workers/snapshot/snapshot_place.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- the repository ---- */

static void store_on_long(void *ctx)
{
    const struct snapshot_store *s = ctx;
    worker_keepalive(s->w);
}

static void store_open(struct snapshot_store *s)
{
    char path[PATH_MAX];
    snapshot_place(s->w, path);
    const struct snapshot_repo_options options = {
        .path = path,
        .branch = worker_setting_text(s->w, "snapshot.branch"),
        .fsync = worker_setting_u64(s->w, "snapshot.fsync") != 0,
        .on_long = store_on_long,
        .ctx = s};
    enum snapshot_opened opened = snapshot_repo_open(&options, &s->repo, s->why);
    if (opened == SNAPSHOT_ALIEN)
        worker_exit(s->w, CONTRACT_EXIT_CONFIG, "%s", s->why);
    if (opened != SNAPSHOT_OPEN)
        return;
    if (!snapshot_resources_find(s)) {
        snapshot_repo_close(s->repo);
        s->repo = NULL;
        return;
    }
    s->why[0] = '\0';
    snapshot_made_known(s);
    snapshot_follow_opened(s);
    log_info("snapshot-open", "path=%s seq=%" PRIu64, log_quote_text(path),
             snapshot_repo_seq(s->repo));
}

/* ---- requests ---- */

struct store_verb {
    const char *verb, *words;
    bool (*run)(struct snapshot_store *s, uint64_t request, struct unpack *u, uint32_t count);
};

static const struct store_verb store_verbs[] = {
    {"snapshot-list", "", snapshot_list},
    {"snapshot-log", " RESOURCE LIMIT BEFORE", snapshot_log},
    {"snapshot-get", " RESOURCE VERSION OFFSET", snapshot_get},
    {"snapshot-diff", " RESOURCE FROM TO", snapshot_diff},
    {"snapshot-show", " RESOURCE", snapshot_show},
    {"snapshot-run", " RESOURCE", snapshot_run},
    {"snapshot-wait", "", snapshot_wait},
    {"snapshot-whatif-give", " ID RESOURCE NAME OFFSET SIZE BYTES", snapshot_whatif_give},
    {"snapshot-whatif", " ID RESOURCE VERSION", snapshot_whatif},
    {"snapshot-whatif-more", " ID OFFSET", snapshot_whatif_more},
    {"snapshot-put", " RESOURCE UPLOAD OFFSET SIZE BLOB BY BYTES", snapshot_put},
};
#define STORE_VERBS (sizeof store_verbs / sizeof store_verbs[0])

static void store_usage(struct worker *w, uint64_t request)
{
    struct buffer text = BUFFER_EMPTY;
    buffer_append_text(&text, "a snapshot understands: ");
    for (size_t i = 0; i < STORE_VERBS; i++)
        buffer_printf(&text, "%s%s%s", i > 0 ? ", " : "", store_verbs[i].verb,
                      store_verbs[i].words);
    const char *said = buffer_text(&text);
    worker_reply_text(w, request, CONTROL_USAGE, "%s", said != NULL ? said : "memory is short");
    buffer_fini(&text);
}

static void store_on_request(struct worker *w, void *state, const struct link_request *request)
{
    struct snapshot_store *s = state;
    struct unpack u = unpack_start(request->args);
    uint32_t count = unpack_array(&u);
    const struct store_verb *verb = NULL;
    s->until_ms = clock_mono_ms() + request->deadline_ms;
    for (size_t i = 0; i < STORE_VERBS && verb == NULL; i++)
        if (slice_is(request->verb, store_verbs[i].verb))
            verb = &store_verbs[i];
    if (verb == NULL || verb->run != snapshot_put)
        snapshot_pending_accept(s);
    if (verb == NULL || !unpack_ok(&u))
        store_usage(w, request->id);
    else if (s->repo == NULL && verb->run != snapshot_list)
        worker_reply_text(w, request->id, CONTROL_ERROR, "%s", s->why);
    else if (!verb->run(s, request->id, &u, count))
        store_usage(w, request->id);
}

/* ---- life ---- */

static int store_init(struct worker *w, void *state)
{
    struct snapshot_store *s = state;
    s->w = w;
    if (!snapshot_resources_read(s) || !snapshot_made_read(s) || !snapshot_pending_start(s)) {
        worker_trouble(w, "memory is short");
        return CONTRACT_EXIT_SHORT;
    }
    s->runs->on_news = snapshot_asks_look;
    store_open(s);
    snapshot_runs_go(s);
    worker_trouble(w, "%s", s->why);
    return 0;
}

static void store_on_up(struct worker *w, void *state, struct worker_peer *peer)
{
    (void)w;
    snapshot_runs_peer(state, peer, true);
    snapshot_whatif_peer(state, peer, true);
}

static void store_on_down(struct worker *w, void *state, struct worker_peer *peer,
                          struct slice reason)
{
    (void)w;
    (void)reason;
    snapshot_runs_peer(state, peer, false);
    snapshot_whatif_peer(state, peer, false);
}

static bool store_on_message(struct worker *w, void *state, struct worker_peer *from, uint64_t type,
                             struct unpack *u)
{
    (void)w;
    if (type == MESSAGE_RESULT) /* it comes behind them */
        snapshot_pending_accept(state);
    return snapshot_whatif_message(state, from, type, u) ||
           snapshot_runs_message(state, from, type, u) || snapshot_follow(state, from, type, u);
}

static void store_say_trouble(struct snapshot_store *s)
{
    char why[SNAPSHOT_WHY_SIZE];
    bool worse = s->why[0] != '\0';
    bool any = worse || (s->repo != NULL && snapshot_repo_lacks(s->repo, why)) ||
               snapshot_runs_stale(s, why);
    worker_trouble(s->w, "%s", worse ? s->why : any ? why : "");
}

static void store_on_tick(struct worker *w, void *state)
{
    struct snapshot_store *s = state;
    size_t has = 0, held = 0;
    if (s->repo == NULL)
        store_open(s);
    if (s->repo != NULL)
        snapshot_repo_sign(s->repo);
    snapshot_runs_go(s);
    snapshot_puts_tick(s);
    snapshot_whatif_tick(s);
    snapshot_follow_tick(s);
    for (size_t i = 0; i < s->count; i++) {
        has += s->resources[i].has;
        held += snapshot_runs_state(s, &s->resources[i]) == POLICY_HELD;
    }
    worker_gauge(w, COUNTER_SNAPSHOT_HELD, held);
    worker_gauge(w, COUNTER_SNAPSHOT_SEQ, s->repo != NULL ? snapshot_repo_seq(s->repo) : 0);
    worker_doing(w, "%zu of %zu resources, seq %" PRIu64, has, s->count,
                 s->repo != NULL ? snapshot_repo_seq(s->repo) : 0);
    store_say_trouble(s);
    worker_rest(w);
}

static void store_drain(struct worker *w, void *state)
{
    snapshot_pending_accept(state);
    worker_finished(w);
}

static void store_fini(struct worker *w, void *state)
{
    struct snapshot_store *s = state;
    (void)w;
    snapshot_pending_free(s);
    snapshot_puts_fini(s);
    snapshot_whatif_fini(s);
    snapshot_asks_free(s);
    snapshot_made_free(s);
    snapshot_repo_close(s->repo);
    free(s->resources);
}

const struct worker_ops worker_ops = {
    .type = "snapshot",
    .mailbox = &worker_mailbox,
    .state_size = sizeof(struct snapshot_store),
    .init = store_init,
    .on_up = store_on_up,
    .on_down = store_on_down,
    .on_message = store_on_message,
    .on_request = store_on_request,
    .late = snapshot_late,
    .on_tick = store_on_tick,
    .drain = store_drain,
    .fini = store_fini,
};
