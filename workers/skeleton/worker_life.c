/*
 * worker_life.c: a worker's phases from CONFIG to exit, and every way out.
 *
 *     GREETING --CONFIG--> STARTING --ready--> READY
 *         \                    \                 \
 *          `-----STOP, SIGTERM, the link's end----`--> DRAINING --finished--> ENDING --> exit 0
 *
 * From STOP on a timer runs that ends the process shortly before the master would have to kill it, so that `fini` is
 * called and the obituary can name what was left undone.
 */
#include "common/clock.h"
#include "common/log.h"
#include "workers/skeleton/worker_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Our own end comes so much before the one that was announced: fini and the last words take time. */
#define WORKER_END_MARGIN_MS 400
#define WORKER_LIMIT_MAX_MS  (24u * 3600 * 1000)
/* Beats that what was settled gets to be heard: what is not is done twice. */
#define WORKER_SETTLE_TICKS 3
/* Time the last frames and BYE get to leave. */
#define WORKER_FLUSH_MS      300
#define WORKER_FLUSH_STEP_MS 5

/* A frame grows to this before it leaves early: FACTS.md 1.1, beyond it nothing is gained. */
#define WORKER_COALESCE_BYTES (64u * 1024)
/* Two of the largest frames; credit keeps the real amount far below. */
#define WORKER_PEER_QUEUE_BYTES (2 * MESSAGE_FRAME_MAX)

uv_loop_t *worker_loop(struct worker *w)
{
    return &w->loop;
}

const char *worker_name(const struct worker *w)
{
    return w->name;
}

uint64_t worker_generation(const struct worker *w)
{
    return w->generation;
}

bool worker_stopping(const struct worker *w)
{
    return w->phase >= WORKER_DRAINING;
}

/* ---- start ---- */

static void worker_on_mailbox(struct slice frame, void *ctx)
{
    struct worker *w = ctx;
    if (w->phase < WORKER_ENDING)
        worker_peers_frame(w, frame);
}

static void worker_put_envelope(struct buffer *out, uint64_t number, uint64_t proof, void *ctx)
{
    const struct worker *w = ctx;
    struct message_envelope e = {.sender = slice_of(w->name),
                                 .generation = w->generation,
                                 .number = number,
                                 .sent_ms = clock_mono_ms(),
                                 .proof = proof};
    message_envelope_pack(out, &e);
}

/*
 * Whoever has missed a message cannot know what it was: a credit, an answer, a claim. Our end is what all sides are
 * prepared for. Asking for it again was rejected: every message would need its own way to be repeated.
 */
static void worker_on_gap(struct worker *w, const struct worker_peer *from, uint64_t missing)
{
    worker_exit(w, CONTRACT_EXIT_TEMPORARY,
                "%s: %" PRIu64 " frames from %s were lost on the way; starting afresh", w->name,
                missing, from->name);
}

/* RUNTIME_DIR/mbox/<id>.<generation>, id being the name with ',' for '/' (PROTOCOL.md, Names). */
static void worker_open_mailbox(struct worker *w)
{
    const char *dir = worker_setting_text(w, "platoon.runtime_dir");
    char mbox[4096], id[CONTRACT_NAME_MAX];
    int n = snprintf(mbox, sizeof mbox, "%s/mbox", dir);
    contract_mailbox_id(w->name, id);
    struct transport_options options = {
        .dir = mbox,
        .id = id,
        .generation = w->generation,
        .frame_max = MESSAGE_FRAME_MAX,
        .coalesce = WORKER_COALESCE_BYTES,
        .queue_max = WORKER_PEER_QUEUE_BYTES,
        .put_envelope = worker_put_envelope,
        .envelope_max = MESSAGE_ENVELOPE_MAX,
        .on_frame = worker_on_mailbox,
        .ctx = w,
    };
    int rc = n < 0 || (size_t)n >= sizeof mbox
                 ? -ENAMETOOLONG
                 : w->ops->mailbox->open(&w->loop, &options, &w->transport);
    w->peers.on_gap = worker_on_gap;
    w->peers.on_lie = worker_link_blame;
    if (rc == -ENAMETOOLONG)
        worker_exit(w, CONTRACT_EXIT_CONFIG,
                    "%s: the mailbox %s/%s.%" PRIu64
                    " is too long for a unix socket (107 bytes); choose a shorter runtime_dir",
                    w->name, mbox, id, w->generation);
    if (rc != 0)
        worker_exit_for(w, -rc, mbox, "%s: cannot open the mailbox %s/%s.%" PRIu64, w->name, mbox,
                        id, w->generation);
}

static void worker_read_settings(struct worker *w, struct slice settings)
{
    int rc = worker_settings_read(&w->settings, settings);
    if (rc == -ENOMEM)
        worker_exit_for(w, ENOMEM, NULL, "%s: cannot read the settings", w->name);
    if (rc != 0)
        worker_exit(w, CONTRACT_EXIT_INCONSISTENT,
                    "%s: cannot read the settings from the master: %s", w->name, uv_strerror(rc));
}

void worker_configure(struct worker *w, struct slice settings)
{
    w->phase = WORKER_STARTING;
    uv_timer_stop(&w->end_timer);
    worker_read_settings(w, settings);
    worker_limits_enter(w);
    w->state = calloc(1, w->ops->state_size + 1);
    if (w->state == NULL)
        worker_exit_for(w, ENOMEM, NULL, "%s: cannot start", w->name);
    w->initialised = true;
    int code = w->ops->prepare != NULL ? w->ops->prepare(w, w->state) : 0;
    if (code == 0 && w->ops->mailbox != NULL)
        worker_open_mailbox(w);
    if (code == 0 && w->ops->init != NULL)
        code = w->ops->init(w, w->state);
    if (code != 0)
        worker_exit(w, (enum contract_exit)code, "%s: %s", w->name,
                    w->trouble[0] ? w->trouble : "cannot start");
    worker_hands_open(w);
    worker_report_start(w);
    if (!w->hold_ready)
        worker_ready(w);
}

void worker_hold_ready(struct worker *w)
{
    w->hold_ready = true;
}

void worker_ready(struct worker *w)
{
    if (w->phase != WORKER_STARTING)
        return;
    w->phase = WORKER_READY;
    worker_report_ready(w);
    if (w->transport != NULL && worker_setting(w, CONTRACT_PROOFS) != NULL)
        worker_link_prove(w);
    struct link_ready ready = {
        .address = slice_of(w->transport != NULL ? w->ops->mailbox->address(w->transport) : "")};
    buffer_clear(&w->frame);
    link_ready_pack(&w->frame, &ready);
    worker_link_send(w);
}

/* ---- stop ---- */

static void worker_ended(struct worker *w)
{
    w->phase = WORKER_ENDING;
    uv_stop(&w->loop); /* main goes on with worker_close */
}

static void worker_on_end(uv_timer_t *timer)
{
    struct worker *w = timer->data;
    if (w->phase == WORKER_GREETING)
        worker_exit(w, CONTRACT_EXIT_TEMPORARY, "%s: the master sent no settings within %d ms",
                    w->name, CONTRACT_READY_MS);
    if (w->phase == WORKER_SETTLING) {
        worker_ended(w);
        return;
    }
    worker_exit(w, CONTRACT_EXIT_TEMPORARY, "%s: did not finish in time what was in flight%s%s",
                w->name, w->trouble[0] ? ": " : "", w->trouble);
}

void worker_end_within(struct worker *w, uint64_t limit_ms)
{
    uv_update_time(&w->loop);
    uint64_t at = uv_now(&w->loop) + limit_ms;
    if (w->end_at != 0 && w->end_at <= at)
        return;
    w->end_at = at;
    uv_timer_start(&w->end_timer, worker_on_end, limit_ms, 0);
}

uint64_t worker_stop_left_ms(const struct worker *w)
{
    uint64_t now = uv_now(&w->loop);
    return worker_stopping(w) && w->end_at > now ? w->end_at - now : 0;
}

static uint64_t worker_own_limit(uint64_t limit_ms)
{
    if (limit_ms > WORKER_LIMIT_MAX_MS)
        limit_ms = WORKER_LIMIT_MAX_MS;
    return limit_ms > 2 * WORKER_END_MARGIN_MS ? limit_ms - WORKER_END_MARGIN_MS : limit_ms / 2;
}

void worker_stop(struct worker *w, uint64_t limit_ms, const char *why)
{
    if (w->phase == WORKER_ENDING)
        return;
    worker_end_within(w, worker_own_limit(limit_ms));
    if (w->phase >= WORKER_DRAINING)
        return;
    bool drains = w->initialised && w->ops->drain != NULL;
    log_debug("stop", "why=%s", log_quote_text(why));
    w->phase = WORKER_DRAINING;
    worker_hands_stop(w);
    if (drains)
        w->ops->drain(w, w->state);
    else
        worker_finished(w);
}

void worker_finished(struct worker *w)
{
    if (w->phase >= WORKER_SETTLING)
        return;
    w->phase = WORKER_SETTLING;
    worker_settled(w);
}

void worker_settled(struct worker *w)
{
    if (w->phase == WORKER_SETTLING &&
        (!worker_hands_owe(w) || w->settling >= WORKER_SETTLE_TICKS || w->orphan))
        worker_ended(w);
}

/* ---- the ways out ---- */

static void worker_fini_type(struct worker *w)
{
    bool owed = w->initialised;
    w->initialised = false; /* a fini that calls worker_exit is not called again */
    if (owed && w->ops->fini != NULL)
        w->ops->fini(w, w->state);
}

static void worker_on_flush_over(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

static bool worker_all_sent(struct worker *w)
{
    return (w->transport == NULL || w->ops->mailbox->queued(w->transport) == 0) &&
           (w->orphan || stream_queued(&w->link) == 0);
}

/* A message of the last turn, such as an answer to what was in flight, should leave with us; nobody may rely on it. */
static void worker_flush(struct worker *w)
{
    uv_update_time(&w->loop);
    uint64_t give_up_at = uv_now(&w->loop) + WORKER_FLUSH_MS;
    do {
        uv_timer_start(&w->end_timer, worker_on_flush_over, WORKER_FLUSH_STEP_MS, 0);
        uv_run(&w->loop, UV_RUN_DEFAULT);
    } while (!worker_all_sent(w) && uv_now(&w->loop) < give_up_at);
}

static void worker_close_handle(uv_handle_t *handle, void *ctx)
{
    (void)ctx;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

void worker_close(struct worker *w)
{
    snprintf(w->last_words, sizeof w->last_words, "stopped");
    w->late_count = 0;
    uv_timer_stop(&w->late_timer);
    worker_fini_type(w);
    worker_hands_close(w);
    worker_link_bye(w, w->last_words);
    uv_timer_stop(&w->beat_timer);
    worker_flush(w);
    worker_peers_fini(w);
    worker_asked_fini(w);
    if (w->transport != NULL)
        w->ops->mailbox->close(w->transport);
    stream_close(&w->link);
    uv_walk(&w->loop, worker_close_handle, NULL);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    uv_loop_close(&w->loop);
    worker_settings_fini(&w->settings);
    buffer_fini(&w->message);
    buffer_fini(&w->frame);
    buffer_fini(&w->last_beat);
    free(w->late);
    free(w->state);
}

void worker_add_last_words(struct worker *w, const char *format, ...)
{
    char text[512];
    size_t len = strlen(w->last_words);
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    log_warn("last-words", "cause=%s", log_quote_text(text));
    snprintf(w->last_words + len, sizeof w->last_words - len, "%s%s", len > 0 ? "; " : "", text);
    if (w->said_bye) /* the last one counts */
        worker_link_bye(w, w->last_words);
}

void worker_exit(struct worker *w, enum contract_exit code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(w->last_words, sizeof w->last_words, format, args);
    va_end(args);
    w->phase = WORKER_ENDING;
    log_write(code == CONTRACT_EXIT_DONE ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "exit",
              "code=%d reason=%s", code, log_quote_text(w->last_words));
    worker_link_bye(w, w->last_words);
    w->said_bye = true;
    /* After an inconsistency the type's state is the last thing to be touched. */
    if (code != CONTRACT_EXIT_INCONSISTENT)
        worker_fini_type(w);
    exit(code);
}

void worker_exit_for(struct worker *w, int error, const char *path, const char *format, ...)
{
    char what[512], room[512];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    const char *remedy = path != NULL ? contract_shortage_remedy_at(error, path, room, sizeof room)
                                      : contract_shortage_remedy(error);
    bool own = error == ENOMEM && worker_limits_own_memory(w); /* nobody's shortage but its own */
    worker_exit(w, own ? CONTRACT_EXIT_TEMPORARY : contract_exit_for(error), "%s: %s%s%s", what,
                strerror(error), remedy[0] != '\0' ? ": " : "",
                own ? "raise its memory_max" : remedy);
}

void *worker_must_alloc(struct worker *w, size_t size)
{
    void *memory = calloc(1, size);
    if (memory == NULL)
        worker_exit_for(w, ENOMEM, NULL, "%s: no %zu bytes", w->name, size);
    return memory;
}
