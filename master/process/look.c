/*
 * look.c: see look.h.
 *
 * The tree is packed anew when it has changed, or when the last picture is old: ten times what it took to make it. So
 * pictures take a tenth of the master's time at most, whoever asks how often; of a small tree they are a millisecond
 * old, of a thousand workers half a second.
 */
#include "master/process/look.h"

#include "common/clock.h"
#include "master/process/tree_picture.h"
#include "master/process/process.h"
#include "master/supervise/supervisor.h"
#include "proto/link.h"

#define LOOK_KEEP 10 /* times what it cost */

static struct {
    struct node *root;
    uint64_t started_ms; /* clock_mono_ms */
    struct buffer node, problems;
    uint64_t packed_ns, keep_ns; /* uv_hrtime; 0: there is none */
    struct supervisor_watch watch;
} look;

static void look_on_change(void *ctx)
{
    (void)ctx;
    look.keep_ns = 0;
}

void look_setup(struct node *root)
{
    look.root = root;
    look.started_ms = clock_mono_ms();
    look.watch.on_change = look_on_change;
    supervisor_watch_add(&look.watch);
}

static bool look_pack(uint64_t now_ms)
{
    uint64_t begin = uv_hrtime();
    if (begin - look.packed_ns < look.keep_ns)
        return true;
    buffer_clear(&look.node);
    buffer_clear(&look.problems);
    node_pack(&look.node, look.root, now_ms, 0);
    node_pack_problems(&look.problems, look.root, now_ms);
    look.packed_ns = uv_hrtime();
    bool good = buffer_ok(&look.node) && buffer_ok(&look.problems);
    look.keep_ns = good ? LOOK_KEEP * (look.packed_ns - begin) : 0;
    return good;
}

/* The answer must not be too large for the link: then the worker hears nothing, and its question times out. */
bool look_on_look(struct node *worker, struct slice frame)
{
    struct link_look m;
    if (!link_look_unpack(frame, &m))
        return false;
    uint64_t now = clock_mono_ms();
    if (!look_pack(now))
        return true;
    struct buffer out = BUFFER_EMPTY;
    struct link_tree tree = {.id = m.id,
                             .uptime_ms = now - look.started_ms,
                             .node = buffer_slice(&look.node),
                             .problems = buffer_slice(&look.problems)};
    link_tree_pack(&out, &tree);
    if (buffer_ok(&out))
        process_send(worker, &out);
    buffer_fini(&out);
    return true;
}
