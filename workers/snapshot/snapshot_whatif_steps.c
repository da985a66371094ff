/*
 * snapshot_whatif_steps.c: a what-if's steps, one after the other, on a worker that is there for nothing else. See
 * snapshot_whatif.h.
 *
 * The worker is a filter's, which is told with each RUN which resource it is to make. When it dies the what-if is over,
 * and who asked is told so: what is missing is an answer, and to ask again costs him nothing.
 */
#include "workers/snapshot/snapshot_whatif.h"

#include "common/fault.h"
#include "common/log.h"
#include "common/pack.h"

#include <inttypes.h>
#include <stdio.h>

static const struct snapshot_resource *steps_resource(const struct snapshot_store *s, size_t place)
{
    return &s->resources[s->runs->order[place]];
}

/* ---- workers ---- */

static bool steps_is_worker(const struct snapshot_store *s, const char *name)
{
    char prefix[2 * CONTRACT_NAME_MAX];
    int len = snprintf(prefix, sizeof prefix, "snapshot/%s/whatif.",
                       worker_setting_text(s->w, "snapshot.name"));
    return strncmp(name, prefix, (size_t)len) == 0;
}

/* The what-if whose steps it makes. */
static struct snapshot_whatif *steps_of(const struct snapshot_store *s, const char *worker)
{
    for (struct snapshot_whatif *q = s->whatifs.list; q != NULL; q = q->next)
        if (q->state == WHATIF_RUNNING && strcmp(q->worker, worker) == 0)
            return q;
    return NULL;
}

static struct worker_peer *steps_idle_worker(struct snapshot_store *s)
{
    for (struct worker_peer *p = worker_peer_next(s->w, NULL); p != NULL;
         p = worker_peer_next(s->w, p))
        if (steps_is_worker(s, p->name) && steps_of(s, p->name) == NULL)
            return p;
    return NULL;
}

/* ---- a step ---- */

static void step_inputs(const struct snapshot_store *s, const struct snapshot_whatif *q,
                        struct buffer *inputs)
{
    const struct policy_resource *p = &s->runs->policy.list[q->step];
    pack_array(inputs, (uint32_t)p->input_count);
    for (size_t k = 0; k < p->input_count; k++) {
        const struct snapshot_resource *in = steps_resource(s, p->inputs[k]);
        const struct whatif_part *part = &q->parts[p->inputs[k]];
        pack_map(inputs, 3);
        pack_text(inputs, "name");
        pack_text(inputs, in->name);
        pack_text(inputs, "header");
        pack_text(inputs, in->header);
        pack_text(inputs, "size");
        pack_u64(inputs, q->marks[p->inputs[k]].read ? part->taken.size : part->bytes.len);
    }
}

static void step_start(struct snapshot_store *s, struct snapshot_whatif *q, struct worker_peer *on)
{
    struct buffer inputs = BUFFER_EMPTY;
    step_inputs(s, q, &inputs);
    if (!buffer_ok(&inputs))
        worker_exit(s->w, CONTRACT_EXIT_SHORT, "memory is short for a what-if");
    q->token = ++s->runs->tokens;
    struct buffer *message = worker_compose(s->w);
    message_run_pack(message,
                     &(struct message_run){.token = q->token,
                                           .resource = slice_of(steps_resource(s, q->step)->name),
                                           .commit = slice_of(q->base),
                                           .inputs = buffer_slice(&inputs),
                                           .etag = slice_of(""),
                                           .modified = slice_of("")});
    worker_must_send(s->w, on, message);
    buffer_fini(&inputs);
    (void)FAULT_POINT("snapshot.whatif-step", slice_of(steps_resource(s, q->step)->name));
}

/* The first that has not been run; what it is made from stands before it. */
static void step_next(const struct snapshot_store *s, struct snapshot_whatif *q)
{
    const struct policy *p = &s->runs->policy;
    for (q->step = 0; q->step < p->count; q->step++)
        if (q->marks[q->step].step && !q->parts[q->step].made)
            return;
}

/* What no further step reads is not kept. */
static void step_release(struct snapshot_store *s, struct snapshot_whatif *q)
{
    const struct policy_resource *p = &s->runs->policy.list[q->step];
    for (size_t k = 0; k < p->input_count; k++) {
        struct whatif_part *part = &q->parts[p->inputs[k]];
        if (q->marks[p->inputs[k]].read || --part->readers > 0)
            continue;
        q->bytes -= part->bytes.len;
        s->whatifs.bytes -= part->bytes.len;
        buffer_fini(&part->bytes);
    }
}

/* ---- which, and when ---- */

static struct snapshot_whatif *steps_waiting(const struct snapshot_store *s)
{
    for (struct snapshot_whatif *q = s->whatifs.list; q != NULL; q = q->next)
        if (q->state == WHATIF_WAITING)
            return q;
    return NULL;
}

static void steps_count_readers(const struct snapshot_store *s, struct snapshot_whatif *q)
{
    const struct policy *p = &s->runs->policy;
    for (size_t i = 0; i < p->count; i++)
        for (size_t k = 0; q->marks[i].step && k < p->list[i].input_count; k++)
            q->parts[p->list[i].inputs[k]].readers++;
}

void whatif_go(struct snapshot_store *s)
{
    struct snapshot_whatif *q;
    struct worker_peer *on;
    while (!worker_stopping(s->w) && (q = steps_waiting(s)) != NULL &&
           (on = steps_idle_worker(s)) != NULL) {
        q->state = WHATIF_RUNNING;
        q->worker = on->name;
        worker_count(s->w, COUNTER_SNAPSHOT_WHATIFS, 1);
        steps_count_readers(s, q);
        step_next(s, q);
        step_start(s, q, on);
    }
}

void snapshot_whatif_peer(struct snapshot_store *s, const struct worker_peer *peer, bool there)
{
    struct snapshot_whatif *q = there ? NULL : steps_of(s, peer->name);
    if (q != NULL)
        whatif_refuse(s, q, CONTROL_TRYAGAIN,
                      "%s: the worker that made %s of the what-if has ended: ask again",
                      q->wanted->name, steps_resource(s, q->step)->name);
    whatif_go(s);
}

/* ---- what comes back ---- */

static void step_on_want(struct snapshot_store *s, struct snapshot_whatif *q,
                         struct worker_peer *from, const struct message_want *m)
{
    const struct policy_resource *p = &s->runs->policy.list[q->step];
    struct buffer read = BUFFER_EMPTY;
    char why[SNAPSHOT_WHY_SIZE] = "";
    if (m->token != q->token || m->number >= p->input_count)
        return;
    const struct whatif_part *part = &q->parts[p->inputs[m->number]];
    struct slice bytes = buffer_slice(&part->bytes);
    if (q->marks[p->inputs[m->number]].read) {
        if (s->repo == NULL)
            snprintf(why, sizeof why, "%s", s->why);
        else if (snapshot_repo_read(s->repo, part->taken.blob, 0, SNAPSHOT_BYTES_MAX, &read, why) &&
                 !buffer_ok(&read))
            snprintf(why, sizeof why, "memory is short for it");
        bytes = why[0] == '\0' ? buffer_slice(&read) : slice_of("");
    }
    struct buffer *message = worker_compose(s->w);
    message_input_pack(message, &(struct message_input){.token = m->token,
                                                        .number = m->number,
                                                        .error = slice_of(why),
                                                        .bytes = bytes});
    worker_must_send(s->w, from, message);
    buffer_fini(&read);
}

static void step_fail(struct snapshot_store *s, struct snapshot_whatif *q,
                      const struct message_result *m)
{
    struct buffer body = BUFFER_EMPTY;
    pack_map(&body, 4);
    pack_text(&body, "base");
    pack_text(&body, q->base);
    pack_text(&body, "step");
    pack_text(&body, steps_resource(s, q->step)->name);
    pack_text(&body, "error");
    pack_str(&body, m->error);
    pack_text(&body, "stderr");
    pack_bin(&body, m->said);
    snapshot_answer(s, q->request, &body);
    whatif_end(s, q);
}

static void step_on_result(struct snapshot_store *s, struct snapshot_whatif *q,
                           struct worker_peer *from, const struct message_result *m)
{
    struct whatif_part *part = &q->parts[q->step];
    if (m->token != q->token)
        return;
    log_info("snapshot-whatif", "resource=%s step=%s failed=%d duration_ms=%" PRIu64,
             q->wanted->name, steps_resource(s, q->step)->name, m->outcome != 0, m->duration_ms);
    if (m->outcome != 0) {
        step_fail(s, q, m);
        return;
    }
    if (!whatif_keep(s, q, m->bytes.len))
        return;
    buffer_append_slice(&part->bytes, m->bytes);
    if (!buffer_ok(&part->bytes)) {
        whatif_refuse(s, q, CONTROL_TRYAGAIN, "memory is short for what %s would be: try again",
                      steps_resource(s, q->step)->name);
        return;
    }
    part->made = true;
    step_release(s, q);
    if (steps_resource(s, q->step) == q->wanted) {
        whatif_answer(s, q);
        return;
    }
    step_next(s, q);
    step_start(s, q, from);
}

bool snapshot_whatif_message(struct snapshot_store *s, struct worker_peer *from, uint64_t type,
                             struct unpack *u)
{
    struct snapshot_whatif *q = steps_of(s, from->name);
    struct message_want want;
    struct message_result result;
    if (!steps_is_worker(s, from->name) || (type != MESSAGE_WANT && type != MESSAGE_RESULT))
        return false;
    if (type == MESSAGE_WANT) {
        if (!message_want_unpack(u, &want))
            return false;
        if (q != NULL) /* else of one that is over */
            step_on_want(s, q, from, &want);
        return true;
    }
    if (!message_result_unpack(u, &result))
        return false;
    if (q != NULL)
        step_on_result(s, q, from, &result);
    whatif_go(s);
    return true;
}
