/*
 * snapshot_runs.c: runs: when they are due, what they are told, what comes back. See snapshot_runs.h.
 *
 * A run is told of its inputs as of one commit, the newest, and asks for their bytes one by one, by blob: what is put
 * meanwhile does not concern it. What it made is written as any version is; its worker's death is no failure, and
 * another one is begun.
 */
#include "workers/snapshot/snapshot_runs.h"

#include "common/clock.h"
#include "common/fault.h"
#include "common/log.h"
#include "common/pack.h"
#include "common/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>

/* The longest the timer waits: the wall clock, by which schedules go, may be set. */
#define RUNS_WAIT_MS 60000

static size_t runs_place(const struct snapshot_store *s, const struct snapshot_resource *r)
{
    return s->runs->place[r - s->resources];
}

enum policy_state snapshot_runs_state(const struct snapshot_store *s,
                                      const struct snapshot_resource *r)
{
    return snapshot_policy_of(s, r)->state;
}

static const struct snapshot_resource *runs_held_by(const struct snapshot_store *s,
                                                    const struct policy_resource *p)
{
    return p->held_by == POLICY_NONE ? NULL : &s->resources[s->runs->order[p->held_by]];
}

void snapshot_runs_why(const struct snapshot_store *s, const struct snapshot_resource *r,
                       char why[SNAPSHOT_ERROR_SIZE])
{
    const struct policy_resource *p = snapshot_policy_of(s, r);
    const struct snapshot_resource *by = runs_held_by(s, p);
    why[0] = '\0';
    if (p->state == POLICY_HELD && by != NULL)
        snprintf(why, SNAPSHOT_ERROR_SIZE, "waits for %s, which failed", by->name);
    else if (p->failures > 0)
        snprintf(why, SNAPSHOT_ERROR_SIZE, "%s", r->make->error);
}

int64_t snapshot_runs_next(const struct snapshot_store *s, const struct snapshot_resource *r)
{
    const struct policy_resource *p = snapshot_policy_of(s, r);
    uint64_t now = clock_mono_ms();
    if (r->make == NULL)
        return 0;
    if (p->state == POLICY_FAILED)
        return (int64_t)((clock_wall_ms() + (p->retry_ms > now ? p->retry_ms - now : 0)) / 1000);
    return r->make->scheduled ? r->make->next_s : 0;
}

bool snapshot_runs_stale(const struct snapshot_store *s, char why[SNAPSHOT_WHY_SIZE])
{
    int64_t now = (int64_t)(clock_wall_ms() / 1000);
    char span[TEXT_NUMBER_SIZE];
    for (size_t i = 0; i < s->count; i++) {
        const struct snapshot_make *m = s->resources[i].make;
        if (m == NULL || m->fresh_s == 0)
            continue;
        int64_t last = m->checked_s > m->since_s ? m->checked_s : m->since_s;
        if (now - last <= (int64_t)m->fresh_s)
            continue;
        snprintf(why, SNAPSHOT_WHY_SIZE, "%s: no successful look for more than %s%s%s",
                 s->resources[i].name, text_format_span(m->fresh_s * 1000, span),
                 m->error[0] != '\0' ? ": " : "", m->error);
        return true;
    }
    return false;
}

/* ---- a start ---- */

/* What its inputs are now: of one commit, for nothing else happens meanwhile. */
static void run_take(const struct snapshot_store *s, struct snapshot_make *m, struct buffer *inputs)
{
    pack_array(inputs, (uint32_t)m->input_count);
    for (size_t k = 0; k < m->input_count; k++) {
        const struct snapshot_resource *in = &s->resources[m->inputs[k]];
        struct snapshot_taken *taken = &m->taken[k];
        memcpy(taken->commit, in->commit, sizeof taken->commit);
        memcpy(taken->blob, in->blob, sizeof taken->blob);
        taken->size = in->size;
        pack_map(inputs, 3);
        pack_text(inputs, "name");
        pack_text(inputs, in->name);
        pack_text(inputs, "header");
        pack_text(inputs, in->header);
        pack_text(inputs, "size");
        pack_u64(inputs, in->size);
    }
}

static void run_start(struct snapshot_store *s, struct snapshot_resource *r)
{
    struct snapshot_make *m = r->make;
    struct worker_peer *peer = worker_peer_find(s->w, m->worker);
    struct buffer inputs = BUFFER_EMPTY;
    char head[SNAPSHOT_ID_SIZE];
    if (peer == NULL) { /* it has gone, and that is told in a moment */
        policy_worker(&s->runs->policy, runs_place(s, r), false);
        return;
    }
    run_take(s, m, &inputs);
    if (!buffer_ok(&inputs))
        worker_exit(s->w, CONTRACT_EXIT_SHORT, "memory is short for a run");
    m->token = ++s->runs->tokens;
    m->starts++;
    snapshot_repo_head(s->repo, head);
    struct buffer *message = worker_compose(s->w);
    message_run_pack(message, &(struct message_run){.token = m->token,
                                                    .resource = slice_of(""),
                                                    .commit = slice_of(head),
                                                    .inputs = buffer_slice(&inputs),
                                                    .etag = slice_of(m->etag),
                                                    .modified = slice_of(m->modified)});
    worker_must_send(s->w, peer, message);
    buffer_fini(&inputs);
    policy_started(&s->runs->policy, runs_place(s, r), clock_mono_ms());
    (void)FAULT_POINT("snapshot.run-started", slice_of(r->name));
}

/* ---- when ---- */

static void runs_on_timer(uv_timer_t *timer)
{
    snapshot_runs_go(timer->data);
}

/* Those whose time has come. The least wait until the next such, in ms. */
static uint64_t runs_schedule(struct snapshot_store *s)
{
    uint64_t wait = RUNS_WAIT_MS;
    int64_t now_ms = (int64_t)clock_wall_ms(), now = now_ms / 1000;
    for (size_t i = 0; i < s->count; i++) {
        struct snapshot_make *m = s->resources[i].make;
        if (m == NULL || !m->scheduled)
            continue;
        if (m->next_s <= now) {
            if (m->token == 0) /* one that is under way is as good */
                policy_due(&s->runs->policy, s->runs->place[i]);
            m->next_s = schedule_next(&m->schedule, s->runs->zone, now);
        }
        int64_t left = m->next_s - now < RUNS_WAIT_MS ? m->next_s * 1000 - now_ms : RUNS_WAIT_MS;
        if (left < (int64_t)wait)
            wait = left > 0 ? (uint64_t)left : 1;
    }
    return wait;
}

void snapshot_runs_go(struct snapshot_store *s)
{
    struct policy *p = &s->runs->policy;
    uint64_t wake = UINT64_MAX, now = clock_mono_ms();
    if (s->repo == NULL || worker_stopping(s->w))
        return;
    uint64_t wait = runs_schedule(s);
    policy_settle(p);
    for (size_t at; (at = policy_next(p, now, &wake)) != POLICY_NONE;) {
        run_start(s, &s->resources[s->runs->order[at]]);
        policy_settle(p);
    }
    if (wake != UINT64_MAX && (wake <= now || wake - now < wait))
        wait = wake > now ? wake - now : 1;
    uv_timer_start(&s->runs->timer, runs_on_timer, wait, 0);
    s->runs->on_news(s);
}

void snapshot_runs_changed(struct snapshot_store *s, const struct snapshot_resource *r)
{
    policy_changed(&s->runs->policy, runs_place(s, r), snapshot_content(r));
    snapshot_runs_go(s);
}

/* ---- its worker ---- */

static struct snapshot_resource *runs_of(struct snapshot_store *s, const char *worker)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->resources[i].make != NULL && strcmp(s->resources[i].make->worker, worker) == 0)
            return &s->resources[i];
    return NULL;
}

void snapshot_runs_peer(struct snapshot_store *s, const struct worker_peer *peer, bool there)
{
    struct snapshot_resource *r = runs_of(s, peer->name);
    if (r == NULL)
        return;
    r->make->token = 0;
    policy_worker(&s->runs->policy, runs_place(s, r), there);
    snapshot_runs_go(s);
}

/* ---- what comes back ---- */

static bool runs_on_want(struct snapshot_store *s, struct worker_peer *from,
                         const struct message_want *m)
{
    struct snapshot_resource *r = runs_of(s, from->name);
    struct buffer bytes = BUFFER_EMPTY;
    char why[SNAPSHOT_WHY_SIZE] = "";
    if (r == NULL || m->token != r->make->token || m->number >= r->make->input_count)
        return true; /* of a run that is over */
    const struct snapshot_taken *taken = &r->make->taken[m->number];
    if (s->repo == NULL)
        snprintf(why, sizeof why, "%s", s->why);
    else if (snapshot_repo_read(s->repo, taken->blob, 0, SNAPSHOT_BYTES_MAX, &bytes, why) &&
             !buffer_ok(&bytes))
        snprintf(why, sizeof why, "memory is short for its input");
    if (why[0] != '\0')
        buffer_clear(&bytes);
    struct buffer *message = worker_compose(s->w);
    message_input_pack(message, &(struct message_input){.token = m->token,
                                                        .number = m->number,
                                                        .error = slice_of(why),
                                                        .bytes = buffer_slice(&bytes)});
    worker_must_send(s->w, from, message);
    buffer_fini(&bytes);
    return true;
}

/* Its version: true when it is one, or is there already. */
static bool run_write(struct snapshot_store *s, struct snapshot_resource *r,
                      const struct message_result *m, char *why)
{
    struct snapshot_make *make = r->make;
    struct snapshot_trailers t = {.input_count = make->input_count,
                                  .command = slice_of(make->command),
                                  .url = slice_of(make->url != NULL ? make->url : ""),
                                  .etag = m->etag,
                                  .modified = m->modified,
                                  .timed = true,
                                  .duration_ms = m->duration_ms};
    char blob[SNAPSHOT_ID_SIZE];
    bool known = snapshot_repo_hash(m->bytes, blob);
    if (r->has && known && strcmp(blob, r->blob) == 0) {
        make->result = SNAPSHOT_UNCHANGED;
        snapshot_repo_mend(s->repo, m->bytes);
        return true;
    }
    for (size_t k = 0; k < make->input_count; k++)
        t.inputs[k] =
            (struct snapshot_trailer_input){.name = slice_of(s->resources[make->inputs[k]].name),
                                            .commit = slice_of(make->taken[k].commit)};
    const struct snapshot_new version = {.resource = r->name,
                                         .path = r->path,
                                         .source = make->input_count > 0 ? "filter" : "pull",
                                         .by = make->worker,
                                         .made = &t,
                                         .bytes = m->bytes,
                                         .blob = known ? blob : NULL,
                                         .time_s = (int64_t)(clock_wall_ms() / 1000)};
    if (!snapshot_resource_write(s, r, &version, why))
        return false;
    make->result = SNAPSHOT_CHANGED;
    memcpy(make->from, make->taken, make->input_count * sizeof *make->from);
    return true;
}

static void run_note(struct snapshot_store *s, struct snapshot_resource *r, bool good,
                     const struct message_result *m)
{
    struct snapshot_make *make = r->make;
    make->last_s = (int64_t)(clock_wall_ms() / 1000);
    make->duration_ms = m->duration_ms;
    buffer_clear(&make->said);
    buffer_append_slice(&make->said, m->said);
    if (good) {
        make->checked_s = make->last_s;
        make->error[0] = '\0';
        if (make->result == SNAPSHOT_UNCHANGED)
            worker_count(s->w, COUNTER_SNAPSHOT_UNCHANGED, 1);
        log_info("snapshot-run", "resource=%s result=%s duration_ms=%" PRIu64, r->name,
                 make->result == SNAPSHOT_CHANGED ? "changed" : "unchanged", m->duration_ms);
        return;
    }
    make->result = SNAPSHOT_RUN_FAILED;
    worker_count(s->w, COUNTER_SNAPSHOT_FAILED_RUNS, 1);
    log_warn("snapshot-run", "resource=%s result=failed cause=%s duration_ms=%" PRIu64, r->name,
             log_quote_text(make->error), m->duration_ms);
}

/* What its server shall be asked next: whether there is another than this one. */
static void run_marks(struct snapshot_make *make, const struct message_result *m)
{
    if (!slice_copy(m->etag, make->etag, sizeof make->etag))
        make->etag[0] = '\0';
    if (!slice_copy(m->modified, make->modified, sizeof make->modified))
        make->modified[0] = '\0';
}

static bool runs_on_result(struct snapshot_store *s, const struct worker_peer *from,
                           const struct message_result *m)
{
    struct snapshot_resource *r = runs_of(s, from->name);
    char why[SNAPSHOT_WHY_SIZE];
    uint64_t jitter = 0, now = clock_mono_ms();
    if (r == NULL || m->token != r->make->token)
        return true;
    (void)FAULT_POINT("snapshot.run-result", slice_of(r->name));
    struct snapshot_make *make = r->make;
    bool good = m->outcome == 1 && r->has, told = m->outcome == 0;
    make->token = 0;
    make->ended = make->starts;
    if (good)
        make->result = SNAPSHOT_UNCHANGED;
    else if (m->outcome != 0)
        snprintf(make->error, sizeof make->error, "%.*s", (int)m->error.len, m->error.ptr);
    else if (s->repo == NULL)
        snprintf(make->error, sizeof make->error, "%s", s->why);
    else if (!(good = run_write(s, r, m, why)))
        snprintf(make->error, sizeof make->error, "%.*s", (int)sizeof make->error - 1, why);
    if (good && told)
        run_marks(make, m);
    run_note(s, r, good, m);
    if (getrandom(&jitter, sizeof jitter, 0) != sizeof jitter)
        jitter = now * 0x9e3779b97f4a7c15u;
    policy_ended(&s->runs->policy, runs_place(s, r), good, now, jitter);
    if (!good && m->retry_ms > 0)
        policy_later(&s->runs->policy, runs_place(s, r), now + m->retry_ms);
    (void)FAULT_POINT("snapshot.run-over", slice_of(r->name));
    snapshot_runs_changed(s, r);
    return true;
}

bool snapshot_runs_message(struct snapshot_store *s, struct worker_peer *from, uint64_t type,
                           struct unpack *u)
{
    struct message_want want;
    struct message_result result;
    if (type == MESSAGE_WANT)
        return message_want_unpack(u, &want) && runs_on_want(s, from, &want);
    if (type == MESSAGE_RESULT)
        return message_result_unpack(u, &result) && runs_on_result(s, from, &result);
    return false;
}
