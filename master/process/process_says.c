/*
 * process_says.c: what a worker says on its link, read without believing it. See process.h.
 *
 * One handler a message; a message that cannot be read, or does not belong here, ends the worker and nobody else.
 * What a worker asks of others than its process goes to who has registered for it (process_register).
 */
#include "master/process/process_private.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/pack.h"
#include "common/utf8.h"
#include "master/supervise/supervisor.h"

#include <inttypes.h>
#include <stdlib.h>

/* Text of a worker's as it may be shown. */
static void process_copy_text(struct slice from, char *to, size_t size)
{
    slice_copy(from, to, size);
    utf8_show(to);
}

/* HELLO must say what we know of it. */
static bool process_believes_hello(struct process *p, const struct link_hello *m)
{
    const struct node *n = p->node;
    if (m->version != CONTRACT_LINK_VERSION) {
        log_error("worker-version",
                  "name=%s version=%" PRIu64
                  " wanted=%d remedy=\"install master and workers together\"",
                  n->name, m->version, CONTRACT_LINK_VERSION);
        return process_blame(p, "it speaks link version %" PRIu64 ", the master %d", m->version,
                             CONTRACT_LINK_VERSION);
    }
    if (m->generation != n->generation)
        return process_blame(p, "it said HELLO as generation %" PRIu64 ", and is %" PRIu64,
                             m->generation, n->generation);
    if (worker_type_record(n->type)->runs != WORKER_RUNS_CUSTOM &&
        !slice_is(m->type, worker_type_name(n->type)))
        return process_blame(p, "it said HELLO as type %s, and is to be %s", log_quote(m->type),
                             worker_type_name(n->type));
    return true;
}

/*
 * What the link understands is no setting of the node: those are compared, and a difference is a restart. So it stands
 * in front of them here.
 */
static void process_pack_settings(struct buffer *out, struct slice settings, uint64_t rest_ms)
{
    struct unpack u = unpack_start(settings);
    uint32_t count = unpack_map(&u);
    pack_map(out, count + 2);
    pack_text(out, CONTRACT_PROOFS);
    pack_text(out, "1");
    pack_text(out, CONTRACT_REST);
    char rest[24];
    snprintf(rest, sizeof rest, "%" PRIu64, rest_ms);
    pack_text(out, rest);
    buffer_append_slice(out, slice_make(u.at, (size_t)(u.end - u.at)));
}

void process_configure(struct process *p)
{
    struct buffer out = BUFFER_EMPTY, settings = BUFFER_EMPTY;
    p->rest_ms = policy_rest(process_context.settings.hang_timeout_ms);
    process_pack_settings(&settings, buffer_slice(&p->node->settings), p->rest_ms);
    struct link_config config = {.settings = buffer_slice(&settings)};
    link_config_pack(&out, &config);
    if (!buffer_ok(&settings) || !buffer_ok(&out) || process_send(p->node, &out) != 0)
        process_untold(p->node);
    buffer_fini(&settings);
    buffer_fini(&out);
}

static bool process_says_hello(struct process *p, struct slice frame)
{
    struct link_hello m;
    if (p->greeted || !link_hello_unpack(frame, &m) || !process_believes_hello(p, &m))
        return false;
    p->greeted = true;
    supervisor_on_hello(p->node);
    if (p->node->state == NODE_DRAINING) {
        /* Told to stop before it could hear anything but a signal, which may have come too early even for that. */
        p->waiting_for = PROCESS_NONE;
        process_stop(p->node);
        return true;
    }
    process_expect(p, PROCESS_READY, p->node->ready_timeout_ms);
    if (!p->configured)
        process_configure(p);
    return true;
}

/*
 * Where its mailbox must be, as text for its peers; not what it says, which they would go to. "" without one.
 */
static bool process_believes_address(struct process *p, struct slice address)
{
    struct node *n = p->node;
    char where[sizeof n->address];
    if (address.len == 0) {
        n->address[0] = '\0';
        return true;
    }
    if (!process_mailbox_address(n, where))
        return process_blame(p, "it has a mailbox, for which runtime_dir is too long a path");
    if (!slice_is(address, where))
        return process_blame(p, "its mailbox must be %s; it said that it is %s", where,
                             log_quote(address));
    memcpy(n->address, where, sizeof n->address);
    return true;
}

static bool process_says_proves(struct process *p, struct slice frame)
{
    struct link_proves m;
    struct node *n = p->node;
    if (!p->greeted || n->proves || !link_proves_unpack(frame, &m) ||
        m.key.len != sizeof n->proof_key)
        return false;
    if (n->state != NODE_STARTING)
        return n->state == NODE_DRAINING; /* told to stop meanwhile, as READY */
    memcpy(n->proof_key, m.key.ptr, sizeof n->proof_key);
    n->proves = true;
    return true;
}

/* hang_timeout may have become less since the worker was told for how long it may rest. */
static uint64_t process_silence_ms(const struct process *p)
{
    uint64_t least = p->rest_ms + CONTRACT_REST_SPARE_MS;
    uint64_t wanted = process_context.settings.hang_timeout_ms;
    return wanted > least ? wanted : least;
}

static bool process_says_ready(struct process *p, struct slice frame)
{
    struct link_ready m;
    if (!p->greeted || !link_ready_unpack(frame, &m))
        return false;
    if (p->node->state != NODE_STARTING)
        return p->node->state == NODE_DRAINING; /* told to stop meanwhile; twice is garbage */
    if (!process_believes_address(p, m.address))
        return false;
    process_expect(p, PROCESS_BEAT, process_silence_ms(p));
    supervisor_on_ready(p->node);
    process_set_level(p->node); /* changed while it was starting */
    return true;
}

/* Counters by name; unknown names are of a newer worker and are passed over. */
static bool process_read_counters(struct process *p, struct slice map)
{
    struct unpack u = unpack_start(map);
    uint32_t pairs = unpack_map(&u);
    uint64_t now = clock_mono_ms();
    double seconds = p->beat_ms != 0 && now > p->beat_ms ? (double)(now - p->beat_ms) / 1000.0 : 0;
    for (uint32_t i = 0; i < pairs; i++) {
        struct slice name = unpack_str(&u);
        uint64_t value = unpack_u64(&u);
        if (!unpack_ok(&u))
            return false;
        enum counter c = counter_find(name.ptr, name.len);
        if (c == COUNTER_COUNT)
            continue;
        node_counters_take(&p->node->counters, c, value, seconds);
    }
    p->beat_ms = now;
    return unpack_end(&u);
}

static bool process_says_beat(struct process *p, struct slice frame)
{
    struct link_beat m;
    if (!p->greeted || !link_beat_unpack(frame, &m) || !process_read_counters(p, m.counters))
        return false;
    process_copy_text(m.doing, p->node->doing, sizeof p->node->doing);
    bool troubled = p->node->trouble[0] != '\0';
    process_copy_text(m.trouble, p->node->trouble, sizeof p->node->trouble);
    if (troubled != (p->node->trouble[0] != '\0'))
        supervisor_on_trouble();
    /* The timer is not moved with each beat: when it fires early it is set for the rest. */
    if (p->waiting_for == PROCESS_BEAT)
        p->deadline_ms = clock_mono_ms() + process_silence_ms(p);
    return true;
}

static bool process_says_bye(struct process *p, struct slice frame)
{
    struct link_bye m;
    if (!link_bye_unpack(frame, &m))
        return false;
    process_copy_text(m.reason, p->said, sizeof p->said);
    return true;
}

static bool process_says_reply(struct process *p, struct slice frame)
{
    struct link_reply m;
    if (!link_reply_unpack(frame, &m))
        return false;
    process_requests_reply(p, &m);
    return true;
}

/* What is ours to understand. */
static const struct {
    uint64_t type;
    bool (*handle)(struct process *p, struct slice frame);
} process_says_own[] = {
    {LINK_HELLO, process_says_hello}, {LINK_READY, process_says_ready},
    {LINK_BEAT, process_says_beat},   {LINK_BYE, process_says_bye},
    {LINK_REPLY, process_says_reply}, {LINK_PROVES, process_says_proves},
};

/* False: it is nobody's, or whose it is cannot read it. */
static bool process_says_handled(struct process *p, uint64_t type, struct slice frame)
{
    for (size_t i = 0; i < sizeof process_says_own / sizeof process_says_own[0]; i++)
        if (process_says_own[i].type == type)
            return process_says_own[i].handle(p, frame);
    const struct process_readers *readers = process_context.readers;
    const struct process_message *m = readers != NULL ? readers->messages : NULL;
    for (; m != NULL && m->read != NULL; m++)
        if (m->type == type)
            return (p->greeted || !m->after_hello) && m->read(p->node, frame);
    return false;
}

void process_says(struct process *p, struct slice frame)
{
    uint64_t type = link_frame_type(frame);
    if (process_says_handled(p, type, frame) || p->node == NULL)
        return;
    log_error("worker-garbage", "name=%s message=%s bytes=%zu", p->node->name, link_type_name(type),
              frame.len);
    process_blame(
        p, "it sent a message %s of %zu bytes, which cannot be read or does not belong there",
        link_type_name(type), frame.len);
    process_fault(p);
}
