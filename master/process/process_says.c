/*
 * worker_says.c: what a worker says on its link, read without believing it. See worker_process.h.
 *
 * One handler a message; a message that cannot be read, or does not belong here, ends the worker and nobody else.
 */
#include "master/process/process_private.h"

#include "common/clock.h"
#include "common/log.h"
#include "master/process/announce.h"
#include "master/process/child.h"
#include "master/supervise/supervisor.h"

#include <inttypes.h>
#include <stdlib.h>

/* Text of a worker's as it may be shown: control bytes become '?'. */
static void worker_copy_text(struct slice from, char *to, size_t size)
{
    slice_copy(from, to, size);
    for (unsigned char *c = (unsigned char *)to; *c != '\0'; c++)
        if (*c < ' ' || *c == 0x7f)
            *c = '?';
}

static bool worker_says_hello(struct worker_process *p, struct slice frame)
{
    struct link_hello m;
    if (p->greeted || !link_hello_unpack(frame, &m))
        return false;
    if (m.version != CONTRACT_LINK_VERSION)
        log_error("worker-version",
                  "name=%s version=%" PRIu64
                  " wanted=%d remedy=\"install master and workers together\"",
                  p->node->name, m.version, CONTRACT_LINK_VERSION);
    if (m.version != CONTRACT_LINK_VERSION || m.generation != p->node->generation ||
        (p->node->type != WORKER_TYPE_CUSTOM && !slice_is(m.type, worker_type_name(p->node->type))))
        return false;
    p->greeted = true;
    struct link_config config = {.settings = buffer_slice(&p->node->settings)};
    struct buffer out = BUFFER_EMPTY;
    link_config_pack(&out, &config);
    bool sent = buffer_ok(&out) && worker_process_send(p->node, &out) == 0;
    buffer_fini(&out);
    worker_expect(p, WORKER_READY, p->node->ready_timeout_ms);
    if (!sent)
        worker_process_untold(p->node);
    return true;
}

static bool worker_says_ready(struct worker_process *p, struct slice frame)
{
    struct link_ready m;
    if (!p->greeted || !link_ready_unpack(frame, &m))
        return false;
    if (p->node->state != NODE_STARTING)
        return p->node->state == NODE_DRAINING; /* told to stop meanwhile; twice is garbage */
    if (!slice_copy(m.address, p->node->address, sizeof p->node->address))
        return false;
    worker_expect(p, WORKER_BEAT, worker_context.settings.hang_timeout_ms);
    supervisor_on_ready(p->node);
    worker_process_set_level(p->node); /* changed while it was starting */
    return true;
}

/* Counters by name; unknown names are of a newer worker and are passed over. */
static bool worker_read_counters(struct worker_process *p, struct slice map)
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
        uint64_t before = p->node->counters[c];
        bool grows = counter_is_monotonic(c) && seconds > 0 && value >= before;
        p->node->rates[c] = grows ? (double)(value - before) / seconds : 0;
        p->node->counters[c] = value;
    }
    p->beat_ms = now;
    return unpack_end(&u);
}

static bool worker_says_beat(struct worker_process *p, struct slice frame)
{
    struct link_beat m;
    if (!p->greeted || !link_beat_unpack(frame, &m) || !worker_read_counters(p, m.counters))
        return false;
    worker_copy_text(m.doing, p->node->doing, sizeof p->node->doing);
    worker_copy_text(m.trouble, p->node->trouble, sizeof p->node->trouble);
    /* The timer is not moved with each beat: when it fires early it is set for the rest. */
    if (p->waiting_for == WORKER_BEAT)
        p->deadline_ms = clock_mono_ms() + worker_context.settings.hang_timeout_ms;
    return true;
}

static bool worker_says_bye(struct worker_process *p, struct slice frame)
{
    struct link_bye m;
    if (!link_bye_unpack(frame, &m))
        return false;
    worker_copy_text(m.reason, p->said, sizeof p->said);
    return true;
}

static bool worker_says_monitor(struct worker_process *p, struct slice frame)
{
    struct link_monitor m;
    char name[CONTRACT_NAME_MAX];
    if (!link_monitor_unpack(frame, &m) || !slice_copy(m.name, name, sizeof name))
        return false;
    if (!worker_process_monitor(p->node, name))
        worker_process_untold(p->node); /* it would wait for an UP that never comes */
    else
        announce_monitored(p->node, name);
    return true;
}

static bool worker_says_reply(struct worker_process *p, struct slice frame)
{
    struct link_reply m;
    if (!link_reply_unpack(frame, &m))
        return false;
    worker_requests_reply(p, &m);
    return true;
}

/* The answer must not be too large for the link: then the worker hears nothing, and its question times out. */
static bool worker_says_look(struct worker_process *p, struct slice frame)
{
    struct link_look m;
    if (!p->greeted || !link_look_unpack(frame, &m))
        return false;
    struct buffer node = BUFFER_EMPTY, problems = BUFFER_EMPTY, out = BUFFER_EMPTY;
    uint64_t now = clock_mono_ms();
    node_pack(&node, worker_context.root, now, 0);
    node_pack_problems(&problems, worker_context.root, now);
    struct link_tree tree = {.id = m.id,
                             .uptime_ms = now - worker_context.started_ms,
                             .node = buffer_slice(&node),
                             .problems = buffer_slice(&problems)};
    link_tree_pack(&out, &tree);
    if (buffer_ok(&node) && buffer_ok(&problems) && buffer_ok(&out))
        worker_process_send(p->node, &out);
    buffer_fini(&node);
    buffer_fini(&problems);
    buffer_fini(&out);
    return true;
}

static bool worker_says_child(struct worker_process *p, struct slice frame)
{
    struct link_child m;
    struct buffer error = BUFFER_EMPTY, out = BUFFER_EMPTY;
    if (!p->greeted || !link_child_unpack(frame, &m))
        return false;
    struct node *owner = p->node, *n = child_start(owner, m.program, m.argument, &error);
    struct link_started started = {.id = m.id,
                                   .name = slice_of(n != NULL ? n->name : ""),
                                   .generation = n != NULL ? n->generation + 1 : 0,
                                   .error = buffer_slice(&error)};
    if (n == NULL)
        log_warn("child-refused", "owner=%s program=%s cause=%s", owner->name, log_quote(m.program),
                 log_quote(started.error));
    link_started_pack(&out, &started);
    /* An error that cannot be told is as bad as a name that cannot: it would wait. */
    if (!buffer_ok(&error) || !buffer_ok(&out) || worker_process_send(owner, &out) != 0)
        worker_process_untold(owner);
    buffer_fini(&error);
    buffer_fini(&out);
    return true;
}

static bool worker_says_end(struct worker_process *p, struct slice frame)
{
    struct link_end m;
    if (!link_end_unpack(frame, &m))
        return false;
    child_stop(p->node, m.name);
    return true;
}

void worker_says(struct worker_process *p, struct slice frame)
{
    static const struct {
        uint64_t type;
        bool (*handle)(struct worker_process *p, struct slice frame);
    } handlers[] = {
        {LINK_HELLO, worker_says_hello},     {LINK_READY, worker_says_ready},
        {LINK_BEAT, worker_says_beat},       {LINK_BYE, worker_says_bye},
        {LINK_MONITOR, worker_says_monitor}, {LINK_REPLY, worker_says_reply},
        {LINK_LOOK, worker_says_look},       {LINK_CHILD, worker_says_child},
        {LINK_END, worker_says_end},
    };
    uint64_t type = link_frame_type(frame);
    for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++) {
        if (handlers[i].type != type)
            continue;
        if (handlers[i].handle(p, frame))
            return;
        break;
    }
    if (p->node == NULL)
        return;
    log_error("worker-garbage", "name=%s message=%s bytes=%zu", p->node->name, link_type_name(type),
              frame.len);
    worker_fault(p, SUPERVISOR_GARBAGE);
}
