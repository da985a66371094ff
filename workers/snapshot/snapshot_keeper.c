/*
 * snapshot_keeper.c: the keeper of a snapshot: when which task is due. See snapshot_keeper.h.
 *
 * It hears of a change from the file of the branch, not from the store: so there is no message that could be lost, and
 * what the store did while no keeper was there is seen at the start. Until a store of our own has the repository it
 * does nothing at all.
 */
#include "workers/snapshot/snapshot_keeper.h"

#include "common/clock.h"
#include "common/crc32c.h"
#include "common/log.h"
#include "common/pack.h"
#include "common/text.h"
#include "workers/snapshot/snapshot_place.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEEPER_LOOK_MS                                                                             \
    1000u /* least time between two measurements, and between two looks for the repository */
#define KEEPER_PUSH_MS  5000u
#define KEEPER_PAUSE_MS (300u * 1000) /* most time until what failed is tried again */
#define KEEPER_CUT_MIN  1000u
#define KEEPER_CUT_MAX  (24u * 3600 * 1000)

#define NEVER UINT64_MAX

static void keeper_turn(struct keeper *k);

/* ---- what is due ---- */

/* What is cut off is at most so much too old, and the packs are not written anew for each commit. */
static uint64_t keeper_cut_every(const struct keeper *k)
{
    uint64_t span =
        k->keep_ms > 0 && (k->daily_ms == 0 || k->keep_ms < k->daily_ms) ? k->keep_ms : k->daily_ms;
    uint64_t every = span / 24;
    return every < KEEPER_CUT_MIN   ? KEEPER_CUT_MIN
           : every > KEEPER_CUT_MAX ? KEEPER_CUT_MAX
                                    : every;
}

static void keeper_soonest(uint64_t *due_ms, uint64_t at_ms)
{
    if (at_ms < *due_ms)
        *due_ms = at_ms;
}

static void keeper_on_timer(uv_timer_t *timer)
{
    keeper_turn(timer->data);
}

static void keeper_wait(struct keeper *k)
{
    uint64_t at = NEVER, now = clock_mono_ms();
    for (int i = 0; i < KEEPER_TASKS; i++)
        keeper_soonest(&at, k->due_ms[i]);
    if (k->has_changed || !k->is_watched)
        keeper_soonest(&at, now + KEEPER_LOOK_MS);
    if (at == NEVER)
        uv_timer_stop(&k->timer);
    else
        uv_timer_start(&k->timer, keeper_on_timer, at > now ? at - now : 0, 0);
}

static void keeper_look(struct keeper *k)
{
    k->has_changed = false;
    keeper_measure(k, &k->disk);
    if (k->disk.loose >= k->pack_after && k->pause_ms[KEEPER_PACK] == 0)
        keeper_soonest(&k->due_ms[KEEPER_PACK], clock_mono_ms());
}

static void keeper_begin(struct keeper *k, enum keeper_task task)
{
    static void (*const begin[KEEPER_TASKS])(struct keeper *) = {keeper_pack, keeper_cut,
                                                                 keeper_push};
    k->task = task;
    k->due_ms[task] = NEVER;
    begin[task](k);
}

/* ---- the end of a task ---- */

static void keeper_answer(struct keeper *k, const char *why)
{
    for (size_t i = 0; i < k->asked_count; i++) {
        struct buffer body = BUFFER_EMPTY;
        pack_map(&body, 3);
        pack_text(&body, "loose");
        pack_u64(&body, k->disk.loose);
        pack_text(&body, "packs");
        pack_u64(&body, k->disk.packs);
        pack_text(&body, "bytes");
        pack_u64(&body, k->disk.bytes);
        if (why == NULL && buffer_ok(&body))
            worker_reply(k->w, k->asked[i], CONTROL_OK, buffer_slice(&body));
        else
            worker_reply_text(k->w, k->asked[i], CONTROL_ERROR, "%s",
                              why != NULL ? why : "memory is short for the answer: try again");
        buffer_fini(&body);
    }
    k->asked_count = 0;
}

static void keeper_ended(struct keeper *k, const char *why)
{
    enum keeper_task task = k->task;
    k->task = KEEPER_TASKS;
    keeper_look(k);
    if (task == KEEPER_PACK)
        keeper_answer(k, why);
    if (task == KEEPER_CUT && why == NULL)
        k->due_ms[KEEPER_CUT] = clock_mono_ms() + keeper_cut_every(k);
    uv_timer_start(&k->timer, keeper_on_timer, 0,
                   0); /* not from here: the run that ended is still being closed */
}

void keeper_done(struct keeper *k)
{
    k->pause_ms[k->task] = 0;
    k->why[k->task][0] = '\0';
    keeper_ended(k, NULL);
}

void keeper_later(struct keeper *k)
{
    keeper_soonest(&k->due_ms[k->task], k->push_ms);
    keeper_ended(k, NULL);
}

void keeper_fail(struct keeper *k, const char *format, ...)
{
    static const char *const failed[KEEPER_TASKS] = {
        "the repository cannot be packed", "old versions cannot be cut off",
        "the mirror does not take what is pushed; it is never forced: see who else writes there, "
        "and whether it can be "
        "reached"};
    char reason[KEEPER_WHY_SIZE / 2];
    va_list args;
    enum keeper_task task = k->task;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    snprintf(k->why[task], sizeof k->why[task], "%s: %s", failed[task], reason);
    uint64_t pause = k->pause_ms[task] > 0 ? 2 * k->pause_ms[task] : KEEPER_PUSH_MS;
    k->pause_ms[task] = pause < KEEPER_PAUSE_MS ? pause : KEEPER_PAUSE_MS;
    k->due_ms[task] = clock_mono_ms() + k->pause_ms[task];
    if (task == KEEPER_PUSH)
        k->push_ms = k->due_ms[task];
    keeper_ended(k, k->why[task]);
}

/* ---- a turn ---- */

static void keeper_on_change(uv_fs_event_t *event, const char *name, int events, int status)
{
    struct keeper *k = event->data;
    (void)name;
    (void)events;
    (void)status;
    k->has_changed = true;
    if (k->mirror[0] != '\0')
        keeper_soonest(&k->due_ms[KEEPER_PUSH], k->looked_ms + KEEPER_PUSH_MS);
    if (k->task == KEEPER_TASKS)
        keeper_wait(k);
}

static void keeper_watch(struct keeper *k)
{
    k->blind = 0;
    if (!keeper_is_ours(k))
        return;
    int rc = keeper_watch_start(k, keeper_on_change);
    if (rc != 0) {
        k->blind = rc != UV_ENOENT ? rc : 0; /* its folder has gone in between: soon again */
        return;
    }
    if (!k->is_swept) {
        k->is_swept = true;
        keeper_sweep(k);
        if (k->keep_ms > 0 || k->daily_ms > 0)
            k->due_ms[KEEPER_CUT] = clock_mono_ms();
    }
    keeper_on_change(&k->event, NULL, 0, 0);
}

/*
 * The store may have gone, and another platoon may have come: then all begins anew. Where only the branch's folder is
 * another nothing is swept: who has removed it is git, which somebody else runs, and its files may be those.
 */
static bool keeper_may_work(struct keeper *k)
{
    if (k->is_swept && !keeper_is_ours(k)) {
        keeper_watch_stop(k);
        k->is_swept = false;
        for (int i = 0; i < KEEPER_TASKS; i++)
            k->due_ms[i] = NEVER;
        keeper_answer(k, "the repository's store is away: try again");
    }
    if (k->is_watched && !keeper_watch_is_right(k))
        keeper_watch_stop(k);
    if (!k->is_watched)
        keeper_watch(k);
    return k->is_watched;
}

/* Why nothing is done, while it is not watched. */
static const char *keeper_idle_why(const struct keeper *k, char why[KEEPER_WHY_SIZE])
{
    if (k->blind == 0)
        return "the repository's store is away: try again";
    snprintf(why, KEEPER_WHY_SIZE,
             "nothing is packed, cut off or mirrored: %s cannot be watched: %s%s", k->path,
             uv_strerror(k->blind),
             k->blind == UV_EMFILE || k->blind == UV_ENOSPC
                 ? ": raise fs.inotify.max_user_instances and fs.inotify.max_user_watches (sysctl)"
                 : "");
    return why;
}

static void keeper_tell(struct keeper *k)
{
    char bytes[TEXT_NUMBER_SIZE], blind[KEEPER_WHY_SIZE];
    const char *why = k->blind != 0 ? keeper_idle_why(k, blind) : "";
    for (int i = 0; i < KEEPER_TASKS && why[0] == '\0'; i++)
        why = k->why[i];
    uint64_t lag = k->mirrored.seq < k->head.seq ? k->head.seq - k->mirrored.seq : 0;
    worker_gauge(k->w, COUNTER_SNAPSHOT_STORE_BYTES, k->disk.bytes);
    worker_gauge(k->w, COUNTER_SNAPSHOT_LOOSE, k->disk.loose);
    worker_gauge(k->w, COUNTER_SNAPSHOT_PACKS, k->disk.packs);
    worker_gauge(k->w, COUNTER_SNAPSHOT_MIRROR_LAG, lag);
    worker_trouble(k->w, "%s", why);
    if (!k->is_watched)
        worker_doing(k->w, "%s", k->blind != 0 ? "cannot watch" : "waits for the store");
    else
        worker_doing(k->w, "%s: %" PRIu64 " packs, %" PRIu64 " loose objects%s%s",
                     text_format_size_short(k->disk.bytes, bytes), k->disk.packs, k->disk.loose,
                     k->task == KEEPER_TASKS ? "" : "; git ",
                     k->task == KEEPER_TASKS ? "" : k->program);
}

static void keeper_turn(struct keeper *k)
{
    if (k->task != KEEPER_TASKS)
        return;
    char blind[KEEPER_WHY_SIZE];
    uint64_t now = clock_mono_ms();
    if (keeper_may_work(k)) {
        if (k->has_changed)
            keeper_look(k);
        for (int i = 0; i < KEEPER_TASKS && k->task == KEEPER_TASKS; i++)
            if (k->due_ms[i] <= now)
                keeper_begin(k, (enum keeper_task)i);
    } else if (k->blind != 0) {
        keeper_answer(k, keeper_idle_why(k, blind));
    }
    if (k->task == KEEPER_TASKS)
        keeper_wait(k);
    keeper_tell(k);
}

/* ---- requests ---- */

static void keeper_on_request(struct worker *w, void *state, const struct link_request *request)
{
    struct keeper *k = state;
    struct unpack u = unpack_start(request->args);
    uint32_t count = unpack_array(&u);
    if (!slice_is(request->verb, "snapshot-pack") || count != 0 || !unpack_ok(&u) ||
        !unpack_end(&u)) {
        worker_reply_text(w, request->id, CONTROL_USAGE, "a keeper understands: snapshot-pack");
        return;
    }
    char idle[KEEPER_WHY_SIZE];
    if (!k->is_watched || k->asked_count == KEEPER_ASKED) {
        worker_reply_text(w, request->id, CONTROL_ERROR, "%s",
                          k->is_watched ? "too many wait for it already: try again"
                                        : keeper_idle_why(k, idle));
        return;
    }
    k->asked[k->asked_count++] = request->id;
    k->due_ms[KEEPER_PACK] = 0;
    uv_timer_start(&k->timer, keeper_on_timer, 0, 0);
}

/* ---- life ---- */

static int keeper_init(struct worker *w, void *state)
{
    struct keeper *k = state;
    k->w = w;
    k->task = KEEPER_TASKS;
    k->mirror = worker_setting(w, "snapshot.mirror");
    k->mirror = k->mirror != NULL ? k->mirror : "";
    snprintf(k->mirror_ref, sizeof k->mirror_ref, KEEPER_MIRRORED "%08" PRIx32,
             crc32c(0, slice_of(k->mirror)));
    k->pack_after = worker_setting_u64(w, "snapshot.pack_after");
    k->keep_ms = worker_setting_u64(w, "snapshot.keep");
    k->daily_ms = worker_setting_u64(w, "snapshot.keep_daily");
    snapshot_place(w, k->path);
    snprintf(k->branch, sizeof k->branch, "refs/heads/%s",
             worker_setting_text(w, "snapshot.branch"));
    for (int i = 0; i < KEEPER_TASKS; i++)
        k->due_ms[i] = NEVER;
    keeper_git_prepare();
    int rc = child_process_adopt();
    if (rc == 0)
        rc = uv_fs_event_init(worker_loop(w), &k->event);
    if (rc != 0) {
        worker_trouble(w, "the repository cannot be watched: %s", strerror(-rc));
        return CONTRACT_EXIT_SHORT;
    }
    k->event.data = k;
    uv_timer_init(worker_loop(w), &k->timer);
    k->timer.data = k;
    keeper_turn(k);
    return 0;
}

static void keeper_on_tick(struct worker *w, void *state)
{
    struct keeper *k = state;
    if (k->is_watched && !keeper_watch_is_right(k))
        keeper_turn(k);
    keeper_tell(k);
    worker_rest(w);
}

static void keeper_fini(struct worker *w, void *state)
{
    struct keeper *k = state;
    (void)w;
    if (k->run != NULL)
        child_run_abandon(k->run);
    keeper_watch_stop(k);
    uv_close((uv_handle_t *)&k->event, NULL);
    uv_close((uv_handle_t *)&k->timer, NULL);
    snapshot_cut_free(k->cut);
    buffer_fini(&k->line);
    buffer_fini(&k->heard);
    buffer_fini(&k->shallow);
}

const struct worker_ops worker_ops = {
    .type = "snapshot-keeper",
    .state_size = sizeof(struct keeper),
    .init = keeper_init,
    .on_request = keeper_on_request,
    .on_tick = keeper_on_tick,
    .fini = keeper_fini,
};
