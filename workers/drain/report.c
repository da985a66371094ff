/*
 * report.c: the report worker: answers questions about what is stored.
 *
 * A process of its own, so that a long question holds up no transfer; it opens the store read-only for each question
 * and knows drains only by name. Requests: DRAIN.md, What the workers of a drain answer.
 */
#include "common/clock.h"
#include "common/store/store.h"
#include "common/text.h"
#include "workers/skeleton/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define REPORT_ARGS      6
#define REPORT_FIELD_MAX 256
/* Kept back from the client's deadline for the answer's way home. */
#define REPORT_MARGIN_MS 200

_Static_assert(STORE_REPORT_BYTES_MAX >= CONTRACT_FRAME_MAX, "what ends early must be refused");

struct report_question {
    char name[CONTRACT_NAME_MAX];
    char by[REPORT_FIELD_MAX];
    char time_field[REPORT_FIELD_MAX];
    uint64_t since_ms, every_ms, top;
};

struct report_rows {
    struct buffer values, times; /* packed */
    uint32_t value_count, time_count;
};

/* ---- the question ---- */

static bool report_number(struct slice text, uint64_t otherwise, uint64_t *out)
{
    *out = otherwise;
    return text.len == 0 || text_parse_u64(text, out) == 0;
}

static bool report_read(struct slice args, struct report_question *q)
{
    struct unpack u = unpack_start(args);
    if (unpack_array(&u) != REPORT_ARGS)
        return false;
    struct slice arg[REPORT_ARGS];
    for (int i = 0; i < REPORT_ARGS; i++)
        arg[i] = unpack_bytes(&u);
    return unpack_end(&u) && slice_copy(arg[0], q->name, sizeof q->name) &&
           slice_copy(arg[1], q->by, sizeof q->by) && report_number(arg[2], 0, &q->since_ms) &&
           report_number(arg[3], 0, &q->every_ms) && report_number(arg[4], 10, &q->top) &&
           slice_copy(arg[5], q->time_field, sizeof q->time_field);
}

/* ---- which store ---- */

static const char *report_setting(struct worker *w, const char *kind, const char *name,
                                  const char *key)
{
    char full[CONTRACT_NAME_MAX + 64];
    snprintf(full, sizeof full, "%s/%s.%s", kind, name, key);
    return worker_setting(w, full);
}

static void report_add_name(const char *name, const char *value, void *ctx)
{
    (void)value;
    struct buffer *names = ctx;
    const char *dot = strrchr(name, '.');
    if (dot == NULL || strcmp(dot, ".set") != 0)
        return;
    const char *title = name + strlen("drain/");
    buffer_printf(names, "%s%.*s", names->len > 0 ? ", " : "", (int)(dot - title), title);
}

static void report_unknown(struct worker *w, uint64_t id, const char *name)
{
    struct buffer names = BUFFER_EMPTY;
    worker_setting_each(w, "drain/", report_add_name, &names);
    const char *known = buffer_text(&names);
    worker_reply_text(w, id, CONTROL_NO_NAME, "no drain or store named '%s'; there is: %s", name,
                      known != NULL ? known : "");
    buffer_fini(&names);
}

/* ---- the answer ---- */

static void report_on_row(const struct store_report_row *row, bool over_time, void *ctx)
{
    struct report_rows *rows = ctx;
    struct buffer *out = over_time ? &rows->times : &rows->values;
    pack_array(out, 2);
    if (over_time)
        pack_u64(out, row->time_ms);
    else if (row->is_null)
        pack_nil(out);
    else
        pack_str(out, row->value);
    pack_u64(out, row->count);
    if (over_time)
        rows->time_count++;
    else
        rows->value_count++;
}

static void report_answer(struct worker *w, uint64_t id, const struct report_question *q,
                          const struct report_rows *rows, uint64_t total)
{
    struct buffer body = BUFFER_EMPTY;
    pack_map(&body, 5);
    pack_text(&body, "total");
    pack_u64(&body, total);
    pack_text(&body, "by");
    pack_text(&body, q->by);
    pack_text(&body, "values");
    pack_array(&body, rows->value_count);
    buffer_append_slice(&body, buffer_slice(&rows->values));
    pack_text(&body, "every_ms");
    pack_u64(&body, q->every_ms);
    pack_text(&body, "times");
    pack_array(&body, rows->time_count);
    buffer_append_slice(&body, buffer_slice(&rows->times));
    if (buffer_ok(&body) && buffer_ok(&rows->values) && buffer_ok(&rows->times))
        worker_reply(w, id, CONTROL_OK, buffer_slice(&body));
    else
        worker_reply_text(w, id, CONTROL_ERROR,
                          "memory is short for this report: ask for fewer rows with --top");
    buffer_fini(&body);
}

/* Milliseconds that the store may take. */
static uint64_t report_time(const struct link_request *request)
{
    return request->deadline_ms > REPORT_MARGIN_MS ? request->deadline_ms - REPORT_MARGIN_MS : 1;
}

static void report_run(struct worker *w, const struct link_request *request,
                       const struct report_question *q, const struct store_options *options)
{
    struct store_query query = {
        .by = q->by[0] != '\0' ? q->by : NULL,
        .time_field = q->time_field[0] != '\0' ? q->time_field : NULL,
        .since_ms = q->since_ms,
        .every_ms = q->every_ms,
        .top = q->top,
        .now_ms = clock_wall_ms(),
        .deadline_mono_ms = clock_mono_ms() + report_time(request),
    };
    struct report_rows rows = {0};
    struct store *store = NULL;
    struct store_error error;
    uint64_t total = 0;
    enum store_result result = store_open(options, &store, &error);
    if (result == STORE_OK)
        result = store_report(store, &query, report_on_row, &rows, &total, &error);
    if (result == STORE_OK)
        report_answer(w, request->id, q, &rows, total);
    else
        worker_reply_text(w, request->id, CONTROL_ERROR, "%s", error.text);
    store_close(store);
    buffer_fini(&rows.values);
    buffer_fini(&rows.times);
}

static void report_on_request(struct worker *w, void *state, const struct link_request *request)
{
    (void)state;
    struct report_question q = {0};
    if (!slice_is(request->verb, "report")) {
        worker_reply_text(w, request->id, CONTROL_USAGE, "report understands only: report");
        return;
    }
    if (!report_read(request->args, &q)) {
        worker_reply_text(
            w, request->id, CONTROL_USAGE,
            "report takes: DRAIN by since_ms every_ms top time_field, each at most %d bytes",
            REPORT_FIELD_MAX - 1);
        return;
    }
    const char *store = report_setting(w, "drain", q.name, "store");
    struct store_options options = {
        .type = report_setting(w, "store", store != NULL ? store : q.name, "type"),
        .path = report_setting(w, "store", store != NULL ? store : q.name, "path"),
        .url = report_setting(w, "store", store != NULL ? store : q.name, "url"),
        .table = report_setting(w, "store", store != NULL ? store : q.name, "table"),
        .read_only = true,
        /*
         * The store waits for half as long again before it gives a silent server up, and nobody waits for us by then.
         */
        .timeout_ms = report_time(request) * 2 / 3 + 1,
    };
    if (options.path == NULL || options.type == NULL) {
        report_unknown(w, request->id, q.name);
        return;
    }
    if (strcmp(options.type, "sqlite") == 0 && access(options.path, F_OK) != 0) {
        struct report_rows none = {0};
        report_answer(w, request->id, &q, &none, 0); /* nothing was ever stored */
        return;
    }
    report_run(w, request, &q, &options);
}

const struct worker_ops worker_ops = {
    .type = "report",
    .state_size = 0,
    .on_request = report_on_request,
};
