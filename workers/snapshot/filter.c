/*
 * filter.c: the worker that makes a resource's versions, or, of a what-if's, what any of them would be: what the store
 * says, and is told. See filter_run.h.
 *
 * It decides nothing and keeps nothing: the store says when (RUN), hands it its inputs one by one as its command reads
 * them (WANT, INPUT), and hears what came of it (RESULT). When the store is gone, so is whoever wanted the version: the
 * run is ended. It knows no git.
 */
#include "workers/snapshot/filter_run.h"

#include "common/clock.h"
#include "common/log.h"
#include "workers/snapshot/snapshot_stacked.h"

#include <stdio.h>
#include <stdlib.h>

struct filter {
    struct worker *w;
    char store[2 * CONTRACT_NAME_MAX];
    struct filter_steps steps;
    struct filter_run *run; /* NULL: none */
    uint64_t token;         /* of the RUN; 0: nobody wants what comes of the run */
    struct buffer inputs;   /* of the RUN: its raw list */
    uint64_t count, next;
    uint64_t started_ms;
    bool has_next;         /* one that came while an old run was being ended: */
    struct buffer pending; /* that RUN, packed */
};

static struct worker_peer *filter_store(const struct filter *f)
{
    return worker_peer_find(f->w, f->store);
}

/* ---- a run ---- */

/* The header of that input; "" where the list does not say. */
static struct slice filter_header(const struct filter *f, uint64_t number)
{
    struct unpack u = unpack_start(buffer_slice(&f->inputs));
    uint32_t count = unpack_array(&u);
    struct slice header = slice_of("");
    for (uint32_t i = 0; i < count && unpack_ok(&u); i++)
        for (uint32_t left = unpack_map(&u); left > 0 && unpack_ok(&u); left--) {
            struct slice key = unpack_str(&u);
            if (i == number && slice_is(key, "header"))
                header = unpack_str(&u);
            else
                unpack_raw(&u);
        }
    return header;
}

static void filter_on_want(void *ctx)
{
    struct filter *f = ctx;
    struct worker_peer *store = filter_store(f);
    if (f->token == 0 || store == NULL)
        return;
    if (f->next == f->count) {
        filter_run_fed(f->run);
        return;
    }
    struct buffer *message = worker_compose(f->w);
    message_want_pack(message, &(struct message_want){.token = f->token, .number = f->next});
    worker_must_send(f->w, store, message);
}

static void filter_begin(struct filter *f, const struct message_run *m);

static void filter_begin_pending(struct filter *f)
{
    struct unpack u = unpack_start(buffer_slice(&f->pending));
    struct message_run m;
    if (!f->has_next || worker_stopping(f->w))
        return;
    f->has_next = false;
    if (message_run_unpack(&u, &m))
        filter_begin(f, &m);
}

static void filter_tell(struct filter *f, const struct message_result *m)
{
    struct worker_peer *store = filter_store(f);
    if (m->token == 0 || store == NULL || worker_stopping(f->w))
        return;
    struct buffer *message = worker_compose(f->w);
    message_result_pack(message, m);
    worker_must_send(f->w, store, message);
}

static void filter_on_end(void *ctx, enum filter_outcome outcome, const char *error,
                          struct slice bytes, struct slice said, uint64_t duration_ms)
{
    struct filter *f = ctx;
    uint64_t token = f->token;
    f->run = NULL;
    f->token = 0;
    filter_tell(f, &(struct message_result){.token = token,
                                            .outcome = outcome,
                                            .error = slice_of(error),
                                            .bytes = bytes,
                                            .duration_ms = duration_ms,
                                            .said = said,
                                            .etag = slice_of(""),
                                            .modified = slice_of("")});
    if (worker_stopping(f->w))
        worker_finished(f->w);
    else
        filter_begin_pending(f);
}

static void filter_begin(struct filter *f, const struct message_run *m)
{
    const struct filter_events events = {
        .on_want = filter_on_want, .on_end = filter_on_end, .ctx = f};
    char commit[64];
    struct unpack u = unpack_start(m->inputs);
    struct filter_step *step = filter_steps_find(&f->steps, m->resource);
    if (step == NULL) { /* the store has other settings than we, for a moment */
        filter_tell(f, &(struct message_result){.token = m->token,
                                                .outcome = FILTER_FAILED,
                                                .error = slice_of("nothing makes it here"),
                                                .bytes = slice_of(""),
                                                .said = slice_of(""),
                                                .etag = slice_of(""),
                                                .modified = slice_of("")});
        return;
    }
    if (!slice_copy(m->commit, commit, sizeof commit))
        commit[0] = '\0';
    buffer_clear(&f->inputs);
    buffer_append_slice(&f->inputs, m->inputs);
    if (!buffer_ok(&f->inputs))
        worker_exit(f->w, CONTRACT_EXIT_SHORT, "memory is short for a run");
    f->token = m->token;
    f->count = unpack_array(&u);
    f->next = 0;
    f->started_ms = clock_mono_ms();
    f->run = filter_run_new(f->w, &step->program, commit, &step->limits, &events);
}

/* ---- what the store says ---- */

static bool filter_on_run(struct filter *f, const struct message_run *m)
{
    if (worker_stopping(f->w))
        return true;
    if (f->run == NULL) {
        filter_begin(f, m);
        return true;
    }
    buffer_clear(&f->pending);
    message_run_pack(&f->pending, m);
    if (!buffer_ok(&f->pending))
        worker_exit(f->w, CONTRACT_EXIT_SHORT, "memory is short for a run");
    f->has_next = true;
    f->token = 0;
    filter_run_stop(f->run, "nobody wants it any more");
    return true;
}

static bool filter_on_input(struct filter *f, const struct message_input *m)
{
    struct buffer bytes = BUFFER_EMPTY;
    char why[600];
    if (f->run == NULL || m->token != f->token || m->number != f->next)
        return true; /* of a run that is over */
    if (m->error.len > 0) {
        snprintf(why, sizeof why, "its input cannot be read: %.*s", (int)m->error.len,
                 m->error.ptr);
        filter_run_stop(f->run, why);
        return true;
    }
    if (f->count > 1)
        snapshot_stacked_write(filter_header(f, f->next), m->bytes, &bytes);
    else
        buffer_append_slice(&bytes, m->bytes);
    if (!buffer_ok(&bytes))
        worker_exit(f->w, CONTRACT_EXIT_SHORT, "memory is short for an input");
    f->next++;
    filter_run_feed(f->run, &bytes);
    return true;
}

static bool filter_on_message(struct worker *w, void *state, struct worker_peer *from,
                              uint64_t type, struct unpack *u)
{
    struct filter *f = state;
    struct message_run run;
    struct message_input input;
    (void)w;
    if (strcmp(from->name, f->store) != 0)
        return false;
    if (type == MESSAGE_RUN)
        return message_run_unpack(u, &run) && filter_on_run(f, &run);
    if (type == MESSAGE_INPUT)
        return message_input_unpack(u, &input) && filter_on_input(f, &input);
    return false;
}

static void filter_on_down(struct worker *w, void *state, struct worker_peer *peer,
                           struct slice reason)
{
    struct filter *f = state;
    (void)w;
    (void)reason;
    if (strcmp(peer->name, f->store) != 0)
        return;
    f->token = 0;
    f->has_next = false;
    if (f->run != NULL)
        filter_run_stop(f->run, "the store is gone");
}

/* ---- life ---- */

static int filter_init(struct worker *w, void *state)
{
    struct filter *f = state;
    f->w = w;
    snprintf(f->store, sizeof f->store, "snapshot/%s/store",
             worker_setting_text(w, "snapshot.name"));
    filter_steps_read(&f->steps, w);
    int rc = child_process_adopt();
    if (rc != 0)
        worker_exit_for(w, -rc, NULL, "descendants of the command cannot be adopted");
    worker_monitor(w, slice_of(f->store));
    return 0;
}

static void filter_on_tick(struct worker *w, void *state)
{
    const struct filter *f = state;
    if (f->run == NULL)
        worker_doing(w, "idle");
    else
        worker_doing(w, "runs for %.1fs", (double)(clock_mono_ms() - f->started_ms) / 1000);
}

/* What the run would make is nobody's any more: its successor begins it anew. */
static void filter_drain(struct worker *w, void *state)
{
    struct filter *f = state;
    if (f->run == NULL)
        worker_finished(w);
    else
        filter_run_stop(f->run, "its worker is stopped");
}

static void filter_fini(struct worker *w, void *state)
{
    struct filter *f = state;
    (void)w;
    if (f->run != NULL)
        filter_run_kill(f->run);
    filter_steps_free(&f->steps);
    buffer_fini(&f->inputs);
    buffer_fini(&f->pending);
}

const struct worker_ops worker_ops = {
    .type = "filter",
    .mailbox = &worker_mailbox,
    .state_size = sizeof(struct filter),
    .init = filter_init,
    .on_down = filter_on_down,
    .on_message = filter_on_message,
    .on_tick = filter_on_tick,
    .drain = filter_drain,
    .fini = filter_fini,
};
