/* tree_picture.c: see tree_picture.h. */
#include "master/process/tree_picture.h"

#include "common/clock.h"
#include "common/pack.h"
#include "master/process/process.h"

#include <stdio.h>
#include <string.h>

static void node_pack_text(struct buffer *out, const char *key, const char *value)
{
    pack_text(out, key);
    pack_text(out, value);
}

static void node_pack_u64(struct buffer *out, const char *key, uint64_t value)
{
    pack_text(out, key);
    pack_u64(out, value);
}

static void node_pack_optional(struct buffer *out, const char *key, bool present, uint64_t value)
{
    pack_text(out, key);
    if (present)
        pack_u64(out, value);
    else
        pack_nil(out);
}

static void node_pack_counters(struct buffer *out, const struct node *n)
{
    const struct node_counter *list = n->counters.list;
    uint32_t counted = 0, rated = 0;
    for (size_t i = 0; i < n->counters.count; i++) {
        counted += list[i].value != 0 || list[i].declared;
        rated += list[i].rate > 0;
    }
    pack_text(out, "counters");
    pack_map(out, counted);
    for (size_t i = 0; i < n->counters.count; i++)
        if (list[i].value != 0 || list[i].declared)
            node_pack_u64(out, counter_name(list[i].counter), list[i].value);
    pack_text(out, "rates");
    pack_map(out, rated);
    for (size_t i = 0; i < n->counters.count; i++) {
        if (list[i].rate > 0) {
            pack_text(out, counter_name(list[i].counter));
            pack_double(out, list[i].rate);
        }
    }
}

static const char *node_pack_type(const struct node *n)
{
    if (n->kind == NODE_WORKER)
        return worker_type_name(n->type);
    static const char *const names[] = {[POLICY_ONE_FOR_ONE] = "one_for_one",
                                        [POLICY_ONE_FOR_ALL] = "one_for_all",
                                        [POLICY_REST_FOR_ONE] = "rest_for_one"};
    return names[n->strategy];
}

/*
 * The temporary children of a worker, or what stands in a branch by itself. The flag first: a worker looks at all of
 * its siblings.
 */
static bool node_shows(const struct node *n, const struct node *below)
{
    if (n->kind == NODE_BRANCH)
        return !below->child;
    return below->child && strcmp(below->owner, n->name) == 0;
}

static void node_pack_children(struct buffer *out, const struct node *n, uint64_t now_ms)
{
    const struct node *in = n->kind == NODE_BRANCH ? n : n->parent;
    bool none = n->kind == NODE_WORKER && (n->child || in == NULL || !in->has_children);
    uint32_t count = 0;
    for (size_t i = 0; !none && i < in->child_count; i++)
        count += node_shows(n, in->children[i]);
    pack_text(out, "children");
    pack_array(out, count);
    for (size_t i = 0; !none && i < in->child_count; i++)
        if (node_shows(n, in->children[i]))
            node_pack(out, in->children[i], now_ms, 0);
}

#define NODE_PAIRS 21 /* as packed below */

void node_pack(struct buffer *out, const struct node *n, uint64_t now_ms, uint32_t extra_pairs)
{
    const struct process *p = n->process;
    pack_map(out, NODE_PAIRS + extra_pairs);
    node_pack_text(out, "name", n->name);
    node_pack_text(out, "kind", n->kind == NODE_WORKER ? "worker" : "branch");
    node_pack_text(out, "type", node_pack_type(n));
    node_pack_text(out, "state", node_state_name(node_state(n)));
    node_pack_text(out, "wanted", n->wanted_up ? "up" : "down");
    node_pack_optional(out, "pid", p != NULL, p != NULL ? (uint64_t)process_pid(p) : 0);
    node_pack_u64(out, "generation", n->generation);
    node_pack_u64(out, "restarts", n->restarts);
    node_pack_u64(out, "deaths", n->deaths);
    pack_text(out, "unstable");
    pack_bool(out, !node_is_stable(n));
    node_pack_optional(out, "uptime_ms", p != NULL, now_ms - n->started_ms);
    /* Whoever shows them looks by himself (common/process_usage.h), and has their place here. */
    node_pack_optional(out, "rss_bytes", false, 0);
    node_pack_optional(out, "cpu_ms", false, 0);
    node_pack_text(out, "group", n->kind == NODE_WORKER ? n->group : "");
    pack_text(out, "last_exit");
    if (n->last_exit[0] != '\0')
        pack_text(out, n->last_exit);
    else
        pack_nil(out);
    node_pack_optional(out, "next_start_ms", n->next_start_ms > now_ms, n->next_start_ms - now_ms);
    node_pack_text(out, "doing", n->doing);
    node_pack_text(out, "trouble", n->trouble);
    node_pack_counters(out, n);
    node_pack_children(out, n, now_ms);
}

/* ---- problems ---- */

struct problems {
    struct buffer lines; /* packed strs */
    uint32_t count;
    uint64_t now_ms;
};

/* It dies again and again, and whether it runs at this moment says nothing. */
static void node_unstable_problem(const struct node *n, uint64_t now_ms, char *text, size_t size)
{
    char wait[32] = "", span[32];
    if (n->state == NODE_BACKOFF)
        snprintf(wait, sizeof wait, ", next try in %s",
                 clock_format_span(n->next_start_ms > now_ms ? n->next_start_ms - now_ms : 0, span,
                                   sizeof span));
    snprintf(text, size,
             "%s is unstable: it has ended %llu times in a row%s, last: %s; mend the cause: "
             "platoonctl logs %s",
             n->name, (unsigned long long)n->deaths, wait, n->last_exit, n->name);
}

bool node_problem(const struct node *n, uint64_t now_ms, char *text, size_t size)
{
    char wait[32];
    const char *said = n->last_exit[0] != '\0' ? n->last_exit : "it has not said READY yet";
    if (node_is_ready(n))
        return false;
    if (n->is_short && n->state == NODE_BACKOFF) {
        snprintf(text, size, "%s waits for room on this machine: %s", n->name, said);
        return true;
    }
    if (n->unstable) {
        node_unstable_problem(n, now_ms, text, size);
        return true;
    }
    switch (n->state) {
    case NODE_READY:
        snprintf(text, size, "%s: %s", n->name, n->trouble);
        return true;
    case NODE_STOPPED:
        if (n->wanted_up)
            snprintf(text, size, "%s waits to be started: %s", n->name, said);
        else if (n->ended)
            snprintf(text, size, "%s has ended, and is not restarted: %s; platoonctl start %s",
                     n->name, said, n->name);
        else
            snprintf(text, size, "%s is stopped: platoonctl start %s", n->name, n->name);
        return true;
    case NODE_DRAINING:
        snprintf(text, size, "%s is stopping", n->name);
        return true;
    case NODE_STARTING:
        snprintf(text, size, "%s is starting: %s", n->name,
                 n->trouble[0] != '\0' ? n->trouble : said);
        return true;
    case NODE_BACKOFF:
        clock_format_span(n->next_start_ms > now_ms ? n->next_start_ms - now_ms : 0, wait,
                          sizeof wait);
        snprintf(text, size, "%s died, next try in %s: %s", n->name, wait, said);
        return true;
    case NODE_FATAL:
        snprintf(text, size, "%s cannot work: %s; mend it, then: platoonctl start %s", n->name,
                 said, n->name);
        return true;
    }
    return false;
}

static void node_add_problem(struct node *worker, void *ctx)
{
    struct problems *p = ctx;
    char text[768];
    if (node_is_passing(worker) || !node_problem(worker, p->now_ms, text, sizeof text))
        return;
    pack_text(&p->lines, text);
    p->count++;
}

void node_pack_problems(struct buffer *out, struct node *n, uint64_t now_ms)
{
    struct problems p = {.now_ms = now_ms};
    tree_each_worker(n, node_add_problem, &p);
    pack_array(out, p.count);
    buffer_append_slice(out, buffer_slice(&p.lines));
    if (!buffer_ok(&p.lines))
        out->failed = true;
    buffer_fini(&p.lines);
}
