/*
 * worker_report.c: what a worker tells the master about itself: counters, what it does, what troubles it, answers.
 *
 * Beats come from a timer of the real loop on purpose: a loop that hangs falls silent, and the master acts on silence.
 */
#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"
#include "common/utf8.h"
#include "workers/skeleton/worker_private.h"

#include <stdarg.h>
#include <stdio.h>

void worker_count(struct worker *w, enum counter counter, uint64_t more)
{
    w->counters[counter] += more;
    if (more > 0)
        worker_wake(w);
}

void worker_gauge(struct worker *w, enum counter counter, uint64_t value)
{
    const char *warning = counter_warning(counter);
    bool was = w->counters[counter] != 0;
    if (warning != NULL && value != 0 && !was)
        log_warn("warning", "%s", warning);
    else if (warning != NULL && value == 0 && was)
        log_info("warning-over", "was=%s", log_quote_text(warning));
    if (value != w->counters[counter])
        worker_wake(w);
    w->counters[counter] = value;
    w->reported[counter] = true;
}

void worker_declare(struct worker *w, enum counter counter)
{
    size_t cells = counter >= COUNTER_PLAIN ? HISTOGRAM_CELLS : 1;
    for (size_t i = 0; i < cells; i++)
        w->reported[counter + i] = true;
}

void worker_observe(struct worker *w, enum counter histogram, uint64_t ms)
{
    for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++)
        w->counters[histogram + i] += ms <= histogram_bounds[i].ms;
    w->counters[histogram + HISTOGRAM_SUM_MS] += ms;
    worker_count(w, histogram + HISTOGRAM_ALL, 1);
}

uint64_t worker_counted(const struct worker *w, enum counter counter)
{
    return w->counters[counter];
}

void worker_doing(struct worker *w, const char *format, ...)
{
    char was[sizeof w->doing];
    memcpy(was, w->doing, sizeof was);
    va_list args;
    va_start(args, format);
    vsnprintf(w->doing, sizeof w->doing, format, args);
    va_end(args);
    utf8_mend(w->doing);
    if (strcmp(was, w->doing) != 0)
        worker_wake(w);
}

static void __attribute__((format(printf, 3, 0)))
worker_change_trouble(struct worker *w, char trouble[WORKER_TROUBLE_SIZE], const char *format,
                      va_list args)
{
    char text[WORKER_TROUBLE_SIZE];
    vsnprintf(text, sizeof text, format, args);
    utf8_mend(text);
    if (strcmp(text, trouble) == 0)
        return;
    if (text[0] != '\0')
        log_warn("trouble", "%s", text);
    else
        log_info("trouble-over", "was=%s", log_quote_text(trouble));
    memcpy(trouble, text, sizeof text);
    worker_wake(w);
}

void worker_trouble(struct worker *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    worker_change_trouble(w, w->trouble, format, args);
    va_end(args);
}

void worker_peer_trouble(struct worker *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    worker_change_trouble(w, w->peer_trouble, format, args);
    va_end(args);
}

const char *worker_trouble_told(const struct worker *w)
{
    return w->peer_trouble[0] != '\0' ? w->peer_trouble : w->trouble;
}

/* ---- beats ---- */

/*
 * Only what was ever counted, told or declared: a watcher has nothing to say about store transactions. A gauge is there
 * from when it is known, also at 0: who is warned when something is absent, or above a bound, asks for that.
 */
static void worker_pack_counters(struct worker *w, struct buffer *out)
{
    uint32_t count = 0;
    bool first = w->beat_at == 0, declared[COUNTER_COUNT];
    memcpy(declared, w->reported, sizeof declared);
    for (int i = 0; i < COUNTER_COUNT; i++) {
        w->reported[i] = w->reported[i] || w->counters[i] != 0;
        count += w->reported[i];
    }
    pack_map(out, count);
    for (int i = 0; i < COUNTER_COUNT; i++) {
        if (!w->reported[i])
            continue;
        pack_text(out, counter_name((enum counter)i));
        /* A count that was declared begins at 0, by which the master knows it; the next beat says how it stands. */
        bool begins = first && declared[i] && counter_is_monotonic((enum counter)i);
        pack_u64(out, begins ? 0 : w->counters[i]);
    }
}

static void worker_pack_beat(struct worker *w)
{
    struct buffer counters = BUFFER_EMPTY;
    worker_pack_counters(w, &counters);
    struct link_beat beat = {.counters = buffer_slice(&counters),
                             .doing = slice_of(w->doing),
                             .trouble = slice_of(worker_trouble_told(w))};
    buffer_clear(&w->frame);
    if (buffer_ok(&counters))
        link_beat_pack(&w->frame, &beat);
    else
        w->frame.failed = true;
    buffer_fini(&counters);
}

static void worker_send_beat(struct worker *w)
{
    buffer_clear(&w->last_beat);
    if (worker_link_try_send(w)) /* else the next one says it */
        buffer_append_slice(&w->last_beat, buffer_slice(&w->frame));
    w->beat_at = clock_mono_ms();
}

/*
 * A thousand workers with nothing to do would wake the master a thousand times a second to say so. What is new is said
 * with the next beat; the same once more, so that rates fall to nothing; and then every CONTRACT_QUIET_BEATS.
 */
static bool worker_beat_is_due(struct worker *w)
{
    bool same =
        buffer_ok(&w->frame) && slice_equal(buffer_slice(&w->frame), buffer_slice(&w->last_beat));
    w->quiet_beats = same ? w->quiet_beats + 1 : 0;
    return w->rests || w->quiet_beats == 0 || w->quiet_beats % CONTRACT_QUIET_BEATS == 1;
}

/* ---- rest ---- */

void worker_rest(struct worker *w)
{
    w->idle = true;
}

static void worker_on_beat(uv_timer_t *timer);

void worker_wake(struct worker *w)
{
    if (!w->rests)
        return;
    w->rests = false;
    uv_timer_start(&w->beat_timer, worker_on_beat, CONTRACT_BEAT_MS, CONTRACT_BEAT_MS);
}

/*
 * A thousand programs that do nothing would each wake their command worker once a second, which is 3 % of a processor
 * for nothing. One that has told the same twice (rates are nothing then) rests.
 */
static bool worker_may_rest(const struct worker *w)
{
    return w->rest_ms > CONTRACT_QUIET_BEATS * CONTRACT_BEAT_MS && w->phase == WORKER_READY &&
           w->transport == NULL && w->memory_restart == 0 && w->quiet_beats > 1 &&
           (w->ops->on_tick == NULL || w->idle);
}

static void worker_settle(struct worker *w)
{
    bool rests = worker_may_rest(w);
    if (rests && !w->rests)
        uv_timer_start(&w->beat_timer, worker_on_beat, w->rest_ms, w->rest_ms);
    else if (!rests)
        worker_wake(w);
    w->rests = rests;
}

void worker_keepalive(struct worker *w)
{
    /* The socket takes it at once; nothing else of the loop runs. */
    if (clock_mono_ms() - w->beat_at < CONTRACT_BEAT_MS)
        return;
    worker_pack_beat(w);
    worker_send_beat(w);
}

static void worker_on_beat(uv_timer_t *timer)
{
    struct worker *w = timer->data;
    w->idle = false;
    worker_peers_tick(w);
    worker_limits_tick(w);
    if (w->ops->on_tick != NULL && w->phase < WORKER_SETTLING)
        w->ops->on_tick(w, w->state);
    worker_hands_tick(w);
    if (w->phase >= WORKER_ENDING)
        return;
    worker_trim(w);
    worker_pack_beat(w);
    if (worker_beat_is_due(w))
        worker_send_beat(w);
    worker_settle(w);
}

void worker_report_start(struct worker *w)
{
    const char *rest = worker_setting(w, CONTRACT_REST);
    if (rest == NULL || text_parse_u64(slice_of(rest), &w->rest_ms) != 0)
        w->rest_ms = 0;
    uv_timer_start(&w->beat_timer, worker_on_beat, CONTRACT_BEAT_MS, CONTRACT_BEAT_MS);
    worker_on_beat(&w->beat_timer);
}

/*
 * What a worker learned since its last beat must not come a second after READY: whoever waits for it has gone on by
 * then. As a beat of its own: a field of READY would be a second place for the same, which workers of the user's own
 * would have to know.
 */
void worker_report_ready(struct worker *w)
{
    worker_pack_beat(w);
    if (buffer_ok(&w->frame) && slice_equal(buffer_slice(&w->frame), buffer_slice(&w->last_beat)))
        return;
    worker_send_beat(w);
}

/* ---- answers ---- */

void worker_reply(struct worker *w, uint64_t request_id, enum control_status status,
                  struct slice body)
{
    /* The frame has to hold the head of the message as well; 64 bytes are more than that takes. */
    if (body.len > CONTRACT_FRAME_MAX - 64) {
        worker_reply_text(w, request_id, CONTROL_ERROR,
                          "the answer has %zu bytes, more than %u: ask for less", body.len,
                          CONTRACT_FRAME_MAX - 64);
        return;
    }
    /* Such a frame would be garbage to the master, which kills who sends it. */
    if (body.len > 0 && !unpack_is_value(body)) {
        worker_reply_text(w, request_id, CONTROL_ERROR,
                          "the answer is no msgpack value, or nested deeper than %d levels",
                          UNPACK_DEPTH_MAX);
        return;
    }
    worker_count(w, COUNTER_REQUESTS, 1);
    if (worker_asked_reply(w, request_id, status, body.len > 0 ? body : slice_make("\xc0", 1))) {
        worker_late_end(w, request_id);
        return;
    }
    struct link_reply reply = {.id = request_id, .status = status, .body = body};
    worker_late_end(w, request_id);
    buffer_reset(&w->frame, 256 * 1024);
    link_reply_pack(&w->frame, &reply);
    worker_link_send(w);
}

void worker_reply_text(struct worker *w, uint64_t request_id, enum control_status status,
                       const char *format, ...)
{
    struct buffer body = BUFFER_EMPTY;
    va_list args;
    va_start(args, format);
    pack_format(&body, format, args);
    va_end(args);
    worker_reply(w, request_id, status, buffer_ok(&body) ? buffer_slice(&body) : slice_of(""));
    buffer_fini(&body);
}

static void worker_skip_space(const char **at)
{
    while (**at == ' ' || **at == '\t' || **at == '\n' || **at == '\r')
        (*at)++;
}

/* `token`, and the white space in front of it. */
static bool worker_skip_token(const char **at, const char *token)
{
    worker_skip_space(at);
    size_t len = strlen(token);
    if (strncmp(*at, token, len) != 0)
        return false;
    *at += len;
    return true;
}

/* Reads exactly {"log_level":"NAME"}. One form of JSON is no reason for a JSON library in every worker. */
static bool worker_parse_log_level(const char *at, char *name, size_t size)
{
    if (!worker_skip_token(&at, "{") || !worker_skip_token(&at, "\"log_level\"") ||
        !worker_skip_token(&at, ":") || !worker_skip_token(&at, "\""))
        return false;
    size_t len = strcspn(at, "\"\\");
    if (!slice_copy(slice_make(at, len), name, size))
        return false;
    at += len;
    if (!worker_skip_token(&at, "\"") || !worker_skip_token(&at, "}"))
        return false;
    worker_skip_space(&at);
    return *at == '\0';
}

bool worker_answer_log_level(struct worker *w, const struct link_request *request)
{
    struct unpack args = unpack_start(request->args);
    if (!slice_is(request->verb, "json") || unpack_array(&args) != 1)
        return false;
    char text[128], name[16];
    if (!slice_copy(unpack_bytes(&args), text, sizeof text) || !unpack_end(&args) ||
        !worker_parse_log_level(text, name, sizeof name))
        return false;
    enum log_level level;
    if (!log_level_parse(name, &level)) {
        worker_reply_text(w, request->id, CONTROL_USAGE,
                          "log_level %s: must be error, warn, info or debug", log_quote_text(name));
        return true;
    }
    log_set_level(level);
    log_info("log-level", "level=%s", name);
    worker_reply_text(w, request->id, CONTROL_OK, "log_level is %s", name);
    return true;
}
