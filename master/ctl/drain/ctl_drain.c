/* ctl_drain.c: the verbs `drain status` and `drain wait`. See ctl_render.h. */
#include "common/clock.h"
#include "common/text.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_render.h"
#include "master/ctl/drain/ctl_drain.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/ctl_verbs.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>

/* Pause between two looks of `drain wait`. */
#define DRAIN_WAIT_PAUSE_MS 100

/* Most that `drain wait` gives one look: a watcher that hangs is replaced meanwhile. */
#define DRAIN_WAIT_LOOK_MS 5000u

/* Looks over which the rate is taken: 3 s of them. */
#define DRAIN_RATE_LOOKS 30u

/* Room for "  2h04m left" is kept from the start, so that the bar does not change its length with every look. */
#define PROGRESS_LEFT_COLUMNS 12u
#define PROGRESS_BAR_MIN      10u
#define PROGRESS_BAR_MAX      30u

/* ---- drain status ---- */

static void cell_count(struct ctl_table *t, const json_t *drain, const char *key,
                       enum ctl_color color)
{
    char text[TEXT_NUMBER_SIZE];
    uint64_t value = ctl_value_u64(drain, key);
    ctl_table_cell(t, value > 0 ? color : CTL_PLAIN, slice_of(text_format_count(value, text)));
}

void ctl_drain_render(const json_t *drains, size_t width, bool color, struct buffer *out)
{
    static const struct ctl_column columns[] = {
        {"DRAIN", false, true},  {"PENDING", true, false},    {"CLAIMED", true, false},
        {"STORED", true, false}, {"PER SECOND", true, false}, {"REDELIVERED", true, false},
        {"DEAD", true, false},   {"OLDEST", true, false}};
    struct ctl_table t;
    ctl_table_init(&t, columns, sizeof columns / sizeof columns[0]);
    size_t i;
    json_t *drain;
    json_array_foreach(drains, i, drain)
    {
        char span[TEXT_NUMBER_SIZE] = "-";
        ctl_table_cell(&t, CTL_PLAIN, slice_of(ctl_value_text(drain, "name")));
        cell_count(&t, drain, "pending", CTL_PLAIN);
        cell_count(&t, drain, "claimed", CTL_PLAIN);
        cell_count(&t, drain, "stored", CTL_PLAIN);
        ctl_table_printf(&t, CTL_PLAIN, "%.0f", ctl_value_real(drain, "rate_per_s"));
        cell_count(&t, drain, "redelivered", CTL_YELLOW);
        cell_count(&t, drain, "dead", CTL_RED);
        if (ctl_value_u64(drain, "claimed") > 0)
            clock_format_span(ctl_value_u64(drain, "oldest_claim_ms"), span, sizeof span);
        ctl_table_cell(&t, CTL_PLAIN, slice_of(span));
    }
    ctl_table_render(&t, width, color, out);
    ctl_table_fini(&t);
}

static int ask_status(struct ctl *c, struct slice name, json_t **drain)
{
    struct slice words[] = {slice_of("watcher"), name, slice_of("drain-status")};
    return ctl_request_json(c, "ask", 3, words, drain);
}

/* A watcher's name is redis/<drain>/watcher.N: the drain is its second part. */
static struct slice drain_of(const char *watcher)
{
    const char *from = strchr(watcher, '/');
    const char *to = from != NULL ? strchr(from + 1, '/') : NULL;
    return to != NULL ? slice_make(from + 1, (size_t)(to - from - 1)) : slice_of("");
}

/*
 * Asks every watcher at or below the node. A drain that does not answer is named on stderr, and the others are shown.
 */
static int ask_all(struct ctl *c, const json_t *node, json_t *drains)
{
    int status = CONTROL_OK;
    if (strcmp(ctl_value_text(node, "type"), "watcher") == 0) {
        json_t *drain = NULL;
        status = ask_status(c, drain_of(ctl_value_text(node, "name")), &drain);
        if (status == CONTROL_OK && json_array_append_new(drains, drain) != 0)
            status = ctl_fail(CONTROL_ERROR, "not enough memory for the answer");
    }
    size_t i;
    json_t *child;
    json_array_foreach(json_object_get(node, "children"), i, child)
    {
        int rc = ask_all(c, child, drains);
        if (status == CONTROL_OK)
            status = rc;
    }
    return status;
}

int ctl_drain_status_run(struct ctl *c)
{
    json_t *drains = json_array();
    json_t *one = NULL;
    int status = CONTROL_OK;
    if (c->args.argc > 0) {
        status = ask_status(c, slice_of(c->args.argv[0]), &one);
        if (status == CONTROL_OK)
            json_array_append(drains, one);
    } else {
        json_t *root = NULL;
        status = ctl_request_json(c, "tree", 0, NULL, &root);
        if (status == CONTROL_OK)
            status = ask_all(c, root, drains);
        json_decref(root);
    }
    if (c->args.json && (one != NULL || (c->args.argc == 0 && status == CONTROL_OK)))
        ctl_print_json(c, one != NULL ? one : drains);
    else if (!c->args.json && json_array_size(drains) > 0)
        ctl_drain_render(drains, c->width, c->color, &c->out);
    json_decref(one);
    json_decref(drains);
    return status;
}

/* ---- drain wait ---- */

void ctl_drain_render_progress(const struct ctl_progress *p, size_t width, struct buffer *out)
{
    char done[TEXT_NUMBER_SIZE], total[TEXT_NUMBER_SIZE], span[TEXT_NUMBER_SIZE] = "";
    char rate[TEXT_NUMBER_SIZE], bar[CTL_BAR_SIZE];
    uint64_t all = p->done + p->left;
    double part = all > 0 ? (double)p->done / (double)all : 1;
    struct buffer tail = BUFFER_EMPTY;
    text_format_count(all, total);
    buffer_printf(&tail, " %3.0f%%  %*s of %s  %s/s", part * 100, (int)strlen(total),
                  text_format_count(p->done, done), total,
                  text_format_count((uint64_t)(p->rate + 0.5), rate));
    size_t used = ctl_text_width(slice_of(p->name)) + 1 + tail.len + PROGRESS_LEFT_COLUMNS;
    if (p->left > 0 && p->rate >= 1) {
        uint64_t seconds = (uint64_t)ceil((double)p->left / p->rate);
        buffer_printf(&tail, "  %s left", clock_format_span(seconds * 1000, span, sizeof span));
    }
    size_t columns = used + PROGRESS_BAR_MIN < width ? width - used : PROGRESS_BAR_MIN;
    columns = columns > PROGRESS_BAR_MAX ? PROGRESS_BAR_MAX : columns;
    ctl_bar(part, 1, columns, bar);
    ctl_append_safe(out, slice_of(p->name));
    buffer_printf(out, " %s", bar);
    for (size_t n = ctl_text_width(slice_of(bar)); n < columns; n++)
        buffer_append_text(out, "░");
    buffer_append_slice(out, buffer_slice(&tail));
    out->failed |= !buffer_ok(&tail);
    buffer_fini(&tail);
}

struct drain_wait {
    const char *name;
    uint64_t start_ms; /* clock_mono_ms */
    bool looked;       /* the rest is valid */
    uint64_t base;     /* stored and dead when it was first looked at */
    uint64_t pending;
    uint64_t claimed;
    uint64_t done; /* since then */
    uint64_t dead;
    uint64_t looks;
    uint64_t at[DRAIN_RATE_LOOKS]; /* ring: when, and how many were done */
    uint64_t was[DRAIN_RATE_LOOKS];
    double rate;
    bool name_checked;     /* there is such a drain */
    struct buffer trouble; /* why the last look failed; "" when it did not */
};

static void wait_note(struct drain_wait *w, const json_t *drain)
{
    uint64_t ended = ctl_value_u64(drain, "stored") + ctl_value_u64(drain, "dead");
    uint64_t now = clock_mono_ms();
    w->pending = ctl_value_u64(drain, "pending");
    w->claimed = ctl_value_u64(drain, "claimed");
    w->dead = ctl_value_u64(drain, "dead");
    if (!w->looked)
        w->base = ended;
    w->looked = true;
    w->name_checked = true;
    /* Dead letters that are retried or dropped make `ended` smaller: then there is nothing to boast of. */
    w->done = ended > w->base ? ended - w->base : 0;
    size_t slot = w->looks++ % DRAIN_RATE_LOOKS;
    size_t oldest = w->looks > DRAIN_RATE_LOOKS ? slot : 0;
    uint64_t span = w->looks > 1 ? now - w->at[oldest] : 0;
    if (span > 0 && w->done >= w->was[oldest])
        w->rate = (double)(w->done - w->was[oldest]) * 1000 / (double)span;
    w->at[slot] = now;
    w->was[slot] = w->done;
}

/* Looks for a drain's watcher in the tree; keeps the name nearest to it. */
struct drain_search {
    struct slice name;
    bool found;
    size_t distance;
    char nearest[TEXT_WORD_MAX + 1];
};

static void search_drain(struct drain_search *s, const json_t *node)
{
    char name[TEXT_WORD_MAX + 1];
    struct slice drain = drain_of(ctl_value_text(node, "name"));
    if (strcmp(ctl_value_text(node, "type"), "watcher") == 0 &&
        slice_copy(drain, name, sizeof name)) {
        struct text_nearest nearest = text_nearest_start(s->name);
        text_nearest_offer(&nearest, name);
        s->found |= slice_equal(drain, s->name);
        if (nearest.best != NULL && nearest.distance < s->distance) {
            s->distance = nearest.distance;
            strcpy(s->nearest, name);
        }
    }
    size_t i;
    json_t *child;
    json_array_foreach(json_object_get(node, "children"), i, child)
    {
        search_drain(s, child);
    }
}

/* Before a failure is waited out: a drain that does not exist would be waited for in vain. */
static int wait_check_name(struct ctl *c, struct drain_wait *w)
{
    struct slice body;
    json_t *root = NULL;
    struct drain_search s = {.name = slice_of(w->name), .distance = SIZE_MAX};
    int status = ctl_client_ask(&c->client, c->deadline, "tree", 0, NULL, &body);
    if (status == CONTROL_NOT_RUNNING)
        return ctl_fail(status, "%s", ctl_client_why(&c->client));
    if (status != CONTROL_OK || ctl_value_decode(body, &root) != 0)
        return CONTROL_OK; /* nothing is known: waiting goes on until the deadline */
    search_drain(&s, root);
    json_decref(root);
    w->name_checked = true;
    if (s.found)
        return CONTROL_OK;
    return ctl_fail(CONTROL_NO_NAME, "no drain named '%s'%s%s%s", w->name,
                    s.nearest[0] != '\0' ? ": did you mean '" : "", s.nearest,
                    s.nearest[0] != '\0' ? "'?" : ": platoonctl drain status lists them");
}

/*
 * One look. CONTROL_OK also when the watcher could not answer just now: its workers come and go,
 * and that is waited out too.
 */
static int wait_look(struct ctl *c, struct drain_wait *w, json_t **drain)
{
    struct slice words[] = {slice_of("watcher"), slice_of(w->name), slice_of("drain-status")};
    uint64_t deadline = clock_mono_ms() + DRAIN_WAIT_LOOK_MS;
    struct slice body;
    int status = ctl_client_ask(&c->client, deadline < c->deadline ? deadline : c->deadline, "ask",
                                3, words, &body);
    buffer_clear(&w->trouble);
    /*
     * The last look is cut off by our own deadline: that says nothing of the watcher, and what it said before counts.
     */
    if (status == CONTROL_TIMEOUT && w->looked && clock_mono_ms() >= c->deadline)
        return CONTROL_OK;
    if (status == CONTROL_ERROR || status == CONTROL_TIMEOUT) {
        buffer_append_text(&w->trouble, ctl_client_why(&c->client));
        return w->name_checked ? CONTROL_OK : wait_check_name(c, w);
    }
    if (status != CONTROL_OK)
        return ctl_fail(status, "%s", ctl_client_why(&c->client));
    json_t *value = NULL;
    int rc = ctl_value_decode(body, &value);
    if (rc != 0)
        return ctl_fail(CONTROL_ERROR, "the watcher's answer: %s",
                        rc == -ENOMEM ? "not enough memory" : "not well-formed");
    json_decref(*drain);
    *drain = value;
    wait_note(w, value);
    return CONTROL_OK;
}

static int wait_draw(struct ctl *c, struct drain_wait *w)
{
    struct ctl_progress p = {w->name, w->done, w->pending + w->claimed, w->rate};
    c->draws = true;
    buffer_append_text(&c->out, "\r");
    if (w->trouble.len > 0) {
        size_t most = c->width > 1 ? c->width - 1 : 1;
        struct slice text = buffer_slice(&w->trouble);
        ctl_append_safe(&c->out, slice_make(text.ptr, text.len < most ? text.len : most));
    } else {
        ctl_drain_render_progress(&p, c->width - 1, &c->out);
    }
    buffer_append_text(&c->out, "\x1b[K");
    return ctl_flush(c);
}

static int wait_late(struct ctl *c, struct drain_wait *w)
{
    char span[TEXT_NUMBER_SIZE];
    const char *trouble = buffer_text(&w->trouble);
    text_format_span(c->timeout_ms, span);
    if (w->trouble.len > 0)
        return ctl_fail(CONTROL_TIMEOUT, "drain %s: not done after %s: %s", w->name, span,
                        trouble != NULL ? trouble : "");
    return ctl_fail(CONTROL_TIMEOUT,
                    "drain %s: not done after %s: %" PRIu64 " pending, %" PRIu64
                    " claimed; platoonctl status says what it waits for",
                    w->name, span, w->pending, w->claimed);
}

static void wait_done(struct ctl *c, struct drain_wait *w, const json_t *drain)
{
    char count[TEXT_NUMBER_SIZE], span[TEXT_NUMBER_SIZE], dead[TEXT_NUMBER_SIZE];
    if (c->args.json) {
        ctl_print_json(c, drain);
        return;
    }
    clock_format_span(clock_mono_ms() - w->start_ms, span, sizeof span);
    buffer_printf(&c->out, "%s: nothing pending or claimed; %s done in %s, %s dead letters\n",
                  w->name, text_format_count(w->done, count), span,
                  text_format_count(w->dead, dead));
}

int ctl_drain_wait_run(struct ctl *c)
{
    struct drain_wait w = {.name = c->args.argv[0], .start_ms = clock_mono_ms()};
    bool draw = c->terminal && !c->args.json;
    json_t *drain = NULL;
    int status = CONTROL_OK;
    for (;;) {
        status = wait_look(c, &w, &drain);
        if (status != CONTROL_OK)
            break;
        if (draw)
            status = wait_draw(c, &w);
        if (status != CONTROL_OK ||
            (w.looked && w.trouble.len == 0 && w.pending == 0 && w.claimed == 0))
            break;
        uint64_t now = clock_mono_ms();
        if (now >= c->deadline) {
            status = CONTROL_TIMEOUT;
            break;
        }
        uint64_t left = c->deadline - now;
        poll(NULL, 0, left < DRAIN_WAIT_PAUSE_MS ? (int)left : DRAIN_WAIT_PAUSE_MS);
    }
    if (draw && w.looks > 0)
        buffer_append_char(&c->out, '\n');
    if (status == CONTROL_OK)
        wait_done(c, &w, drain);
    else if (status == CONTROL_TIMEOUT)
        wait_late(c, &w);
    json_decref(drain);
    buffer_fini(&w.trouble);
    return status;
}
