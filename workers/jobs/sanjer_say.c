/*
 * sanjer_say.c: what a job says: lines that are ours, and output. See sanjer.h.
 *
 * A program says its lines on its stdout, between its output. A class has a stream for them, on which it also says what
 * only its child may: what it raised, why it cannot run, that it is over.
 */
#include "workers/jobs/sanjer.h"

#include "common/json/json_short.h"
#include "common/log.h"
#include "common/utf8.h"

#include <stdlib.h>

static void say_keep(struct sanjer_run *run, struct slice bytes)
{
    size_t keep = run->s->output_keep;
    buffer_append_slice(&run->output, bytes);
    if (!buffer_ok(&run->output))
        buffer_clear(&run->output); /* memory is short: the last of it is what counts */
    job_mask_text(run->mask, &run->output, bytes.len); /* two streams may make one of halves */
    if (run->output.len > 2 * keep) { /* not for each line: that moves what is kept */
        run->output_gone += run->output.len - keep;
        buffer_consume(&run->output, run->output.len - keep);
    }
    run->fresh = true;
}

/*
 * A secret that comes in pieces may have bytes of the other stream between them, so each is looked through by itself; a
 * piece with which one may begin waits for what follows.
 */
void sanjer_say_output(struct sanjer_run *run, enum sanjer_stream from, struct slice bytes)
{
    struct buffer *held = &run->held[from];
    if (run->mask == NULL) {
        say_keep(run, bytes);
        return;
    }
    buffer_append_slice(held, bytes);
    if (!buffer_ok(held))
        buffer_clear(held);
    job_mask_text(run->mask, held, bytes.len);
    size_t ready = held->len - job_mask_tail(run->mask, buffer_slice(held));
    if (ready == 0)
        return;
    say_keep(run, slice_make(held->data, ready));
    buffer_consume(held, ready);
}

void sanjer_say_no_more(struct sanjer_run *run)
{
    for (size_t i = 0; i < 2; i++) {
        if (run->held[i].len > 0)
            say_keep(run, buffer_slice(&run->held[i]));
        buffer_clear(&run->held[i]);
    }
}

struct slice sanjer_say_kept(const struct sanjer_run *run)
{
    size_t keep = run->s->output_keep, len = run->output.len;
    return len <= keep ? buffer_slice(&run->output)
                       : slice_make(run->output.data + (len - keep), keep);
}

void sanjer_say_set(struct sanjer_run *run, const char *name, const json_t *set)
{
    json_t *shown = job_mask_json(run->mask, set);
    struct slice text = slice_make(json_string_value(shown), json_string_length(shown));
    if (text.len > run->s->dataset_max) {
        json_t *cut = json_stringn(text.ptr, utf8_cut(text, run->s->dataset_max));
        json_decref(shown);
        shown = cut;
    }
    json_object_set_new(run->meta, name, shown);
}

/* As JSON, which is what Redis has of it. */
static size_t say_size(const json_t *value)
{
    return value != NULL ? json_dumpb(value, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY) : 0;
}

/*
 * Stages and their messages. A job may go on for ever, and each beat tells all of them: what would make them more than
 * dataset_max is left out, and the log says so once.
 */
static void say_update(struct sanjer_run *run, const json_t *update)
{
    const char *stage;
    json_t *message, *shown = job_mask_json(run->mask, update);
    json_object_foreach(shown, stage, message)
    {
        size_t before = say_size(json_object_get(run->meta, stage)), size = say_size(message);
        before += before > 0 ? strlen(stage) : 0;
        size += strlen(stage);
        if (run->meta_size - before + size > run->s->dataset_max) {
            if (!run->meta_full)
                log_warn("meta-full", "job=%s stage=%s most=%zu", log_quote(slice_of(run->id)),
                         log_quote(slice_of(stage)), run->s->dataset_max);
            run->meta_full = true;
            continue;
        }
        if (json_object_set(run->meta, stage, message) == 0)
            run->meta_size += size - before;
    }
    json_decref(shown);
}

/* True when it was one of ours. */
static bool say_take(struct sanjer_run *run, const json_t *said)
{
    static const char *const sets[] = {"original", "processed"};
    json_t *progress = json_object_get(said, "progress"), *update = json_object_get(said, "update"),
           *result = json_object_get(said, "result"), *store = json_object_get(said, "store");
    bool ours = json_is_number(progress) || json_is_object(update) || result != NULL;
    if (json_is_number(progress)) {
        double value = json_number_value(progress);
        run->progress = value < 0 ? 0 : value > 1 ? 1 : value;
    }
    if (json_is_object(update))
        say_update(run, update);
    if (result != NULL) {
        json_decref(run->result);
        run->result = json_incref(result);
    }
    if (json_is_object(store)) {
        sanjer_store_take(run, store);
        ours = true;
    }
    for (size_t i = 0; i < 2; i++) {
        json_t *set = json_object_get(said, sets[i]);
        if (!json_is_string(set))
            continue;
        sanjer_say_set(run, sets[i], set);
        ours = true;
    }
    run->fresh = run->fresh || ours;
    return ours;
}

/* NULL: it is none. What memory is too short to read is not taken for output: the job is lost, and handed on. */
static json_t *say_read(const struct sanjer_run *run, struct slice line)
{
    json_short_begin();
    json_t *said = json_loadb(line.ptr, line.len, 0, NULL);
    if (json_short_end())
        worker_exit(run->s->w, CONTRACT_EXIT_SHORT, "memory is short for what a job says");
    return said;
}

static void say_line(struct sanjer_run *run, struct slice line, bool ended)
{
    json_t *said = NULL;
    if (line.len > 0 && line.ptr[0] == '{')
        said = say_read(run, line);
    if (said == NULL || !say_take(run, said)) {
        sanjer_say_output(run, SANJER_OUT, line);
        if (ended)
            sanjer_say_output(run, SANJER_OUT, slice_of("\n"));
    }
    json_decref(said);
}

static void say_text(const json_t *from, const char *name, char *text)
{
    const char *value = json_string_value(json_object_get(from, name));
    snprintf(text, SANJER_TEXT_MAX, "%s", value != NULL ? value : "");
}

static void say_raised(struct sanjer_run *run, const json_t *said)
{
    json_t *raised = job_mask_json(run->mask, said);
    const char *traceback = json_string_value(json_object_get(raised, "traceback"));
    say_text(raised, "reason", run->raised);
    run->memory = json_is_true(json_object_get(raised, "memory"));
    free(run->traceback);
    run->traceback = traceback != NULL ? strdup(traceback) : NULL;
    json_decref(raised);
}

/* What is no JSON of ours there was written by who knows whom, and is nothing. */
static void say_child_line(struct sanjer_run *run, struct slice line)
{
    json_t *said = say_read(run, line);
    const json_t *raised = json_object_get(said, "exception"), *end = json_object_get(said, "end");
    say_take(run, said);
    sanjer_function_say(run, said);
    if (raised != NULL)
        say_raised(run, raised);
    if (json_object_get(said, "fault") != NULL)
        say_text(said, "fault", run->fault);
    if (end != NULL)
        sanjer_run_over(run, end);
    json_decref(said);
}

/* Whole lines to whom they are for; what is too long for one is output. */
static void say_lines(struct sanjer_run *run, struct slice bytes, bool child)
{
    buffer_append_slice(&run->line, bytes);
    if (!buffer_ok(&run->line))
        worker_exit(run->s->w, CONTRACT_EXIT_SHORT, "memory is short for what a job says");
    size_t from = 0;
    const char *end;
    while ((end = memchr(run->line.data + from, '\n', run->line.len - from)) != NULL) {
        struct slice line =
            slice_make(run->line.data + from, (size_t)(end - run->line.data) - from);
        from += line.len + 1;
        if (child)
            say_child_line(run, line);
        else
            say_line(run, line, true);
    }
    if (run->line.len - from > SANJER_LINE_MAX + run->s->dataset_max) {
        sanjer_say_output(run, SANJER_OUT, slice_make(run->line.data + from, run->line.len - from));
        from = run->line.len;
    }
    buffer_consume(&run->line, from);
}

void sanjer_say_out(struct sanjer_run *run, struct slice bytes)
{
    say_lines(run, bytes, false);
}

void sanjer_say_child(struct sanjer_run *run, struct slice bytes)
{
    say_lines(run, bytes, true);
}

void sanjer_say_ended(struct sanjer_run *run)
{
    if (run->line.len > 0 && run->said_fd < 0)
        say_line(run, buffer_slice(&run->line), false);
    buffer_clear(&run->line);
}
