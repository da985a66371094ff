/* tree.c: look-ups in the tree and its picture for the tool. See tree.h. */
#include "master/tree/tree.h"

#include "common/clock.h"
#include "common/pack.h"
#include "common/text.h"
#include "master/process/process.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const node_type_names[] = {
#define X(NAME, type, PLACE, path, key, doc) [WORKER_TYPE_##NAME] = type,
    WORKER_TYPE_LIST(X)
#undef X
};

const char *node_state_name(enum node_state state)
{
    static const char *const names[] = {
#define X(NAME, doc) [NODE_##NAME] = #NAME,
        NODE_STATE_LIST(X)
#undef X
    };
    return names[state];
}

enum node_state node_state(const struct node *n)
{
    if (n->kind == NODE_WORKER)
        return n->state;
    enum node_state worst = NODE_READY;
    for (size_t i = 0; i < n->child_count; i++) {
        enum node_state state = node_state(n->children[i]);
        if (state > worst && !n->children[i]->finished && !n->children[i]->child)
            worst = state;
    }
    return worst;
}

bool node_is_ready(const struct node *n)
{
    return n->finished || node_state(n) == NODE_READY;
}

bool node_is_stopped(const struct node *n)
{
    if (n->kind == NODE_WORKER)
        return n->process == NULL && (n->state == NODE_STOPPED || n->state == NODE_FATAL);
    for (size_t i = 0; i < n->child_count; i++)
        if (!node_is_stopped(n->children[i]))
            return false;
    return true;
}

/* The last byte and the end first: numbered workers differ there, and a tree of a thousand is searched a thousand times while it is built. */
static bool tree_is_called(const struct node *n, struct slice name)
{
    return name.len < sizeof n->name && n->name[name.len] == '\0' &&
           n->name[name.len - 1] == name.ptr[name.len - 1] && slice_is(name, n->name);
}

struct node *tree_find(struct node *root, struct slice name)
{
    if (name.len == 0 || tree_is_called(root, name))
        return root;
    for (size_t i = 0; i < root->child_count; i++) {
        struct node *found = tree_find(root->children[i], name);
        if (found != NULL)
            return found;
    }
    return NULL;
}

bool tree_name_matches(const char *worker, const char *name)
{
    size_t len = strlen(name);
    return len == 0 ||
           (strncmp(worker, name, len) == 0 && (worker[len] == '\0' || worker[len] == '/')) ||
           (strpbrk(name, "*?") != NULL && fnmatch(name, worker, 0) == 0);
}

static void tree_offer(struct node *n, struct text_nearest *nearest)
{
    text_nearest_offer(nearest, n->name);
    for (size_t i = 0; i < n->child_count; i++)
        tree_offer(n->children[i], nearest);
}

const char *tree_nearest(struct node *root, struct slice name)
{
    struct text_nearest nearest = text_nearest_start(name);
    tree_offer(root, &nearest);
    return nearest.best;
}

static struct node *tree_first_in(struct node *root, struct slice type, struct slice section,
                                  bool ready)
{
    if (root->kind == NODE_WORKER) {
        bool fits = (!ready || root->state == NODE_READY) &&
                    slice_is(type, node_type_names[root->type]) &&
                    (section.len == 0 || slice_is(section, root->section));
        return fits ? root : NULL;
    }
    for (size_t i = 0; i < root->child_count; i++) {
        struct node *found = tree_first_in(root->children[i], type, section, ready);
        if (found != NULL)
            return found;
    }
    return NULL;
}

struct node *tree_first_ready(struct node *root, struct slice type, struct slice section)
{
    return tree_first_in(root, type, section, true);
}

struct node *tree_first(struct node *root, struct slice type, struct slice section)
{
    return tree_first_in(root, type, section, false);
}

void tree_each_worker(struct node *n, void (*fn)(struct node *worker, void *ctx), void *ctx)
{
    if (n->kind == NODE_WORKER)
        fn(n, ctx);
    for (size_t i = 0; i < n->child_count; i++)
        tree_each_worker(n->children[i], fn, ctx);
}

/* ---- the picture ---- */

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
    uint32_t counted = 0;
    uint32_t rated = 0;
    for (int i = 0; i < COUNTER_COUNT; i++) {
        counted += n->counters[i] != 0;
        rated += n->rates[i] > 0;
    }
    pack_text(out, "counters");
    pack_map(out, counted);
    for (int i = 0; i < COUNTER_COUNT; i++)
        if (n->counters[i] != 0)
            node_pack_u64(out, counter_name((enum counter)i), n->counters[i]);
    pack_text(out, "rates");
    pack_map(out, rated);
    for (int i = 0; i < COUNTER_COUNT; i++) {
        if (n->rates[i] > 0) {
            pack_text(out, counter_name((enum counter)i));
            pack_double(out, n->rates[i]);
        }
    }
}

static const char *node_type_name(const struct node *n)
{
    if (n->kind == NODE_WORKER)
        return node_type_names[n->type];
    static const char *const names[] = {[POLICY_ONE_FOR_ONE] = "one_for_one",
                                        [POLICY_ONE_FOR_ALL] = "one_for_all",
                                        [POLICY_REST_FOR_ONE] = "rest_for_one"};
    return names[n->strategy];
}

/* The temporary children of a worker, or what stands in a branch by itself. The flag first: a worker looks at all of its siblings. */
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

#define NODE_PAIRS 19 /* as packed below */

void node_pack(struct buffer *out, const struct node *n, uint64_t now_ms, uint32_t extra_pairs)
{
    const struct worker_process *p = n->process;
    struct process_usage usage = {0};
    if (p != NULL)
        worker_process_usage(p, n->type == WORKER_TYPE_COMMAND || n->type == WORKER_TYPE_PORT,
                             &usage);
    pack_map(out, NODE_PAIRS + extra_pairs);
    node_pack_text(out, "name", n->name);
    node_pack_text(out, "kind", n->kind == NODE_WORKER ? "worker" : "branch");
    node_pack_text(out, "type", node_type_name(n));
    node_pack_text(out, "state", node_state_name(node_state(n)));
    node_pack_text(out, "wanted", n->wanted_up ? "up" : "down");
    node_pack_optional(out, "pid", p != NULL, p != NULL ? (uint64_t)worker_process_pid(p) : 0);
    node_pack_u64(out, "generation", n->generation);
    node_pack_u64(out, "restarts", n->restarts);
    node_pack_optional(out, "uptime_ms", p != NULL, now_ms - n->started_ms);
    node_pack_optional(out, "rss_bytes", usage.rss_bytes != 0, usage.rss_bytes);
    node_pack_optional(out, "cpu_ms", p != NULL, usage.cpu_ms);
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

static bool node_problem(const struct node *n, uint64_t now_ms, char *text, size_t size)
{
    char wait[32];
    const char *said = n->last_exit[0] != '\0' ? n->last_exit : "it has not said READY yet";
    switch (n->state) {
    case NODE_READY:
        snprintf(text, size, "%s: %s", n->name, n->trouble);
        return n->trouble[0] != '\0';
    case NODE_STOPPED:
        if (n->wanted_up)
            snprintf(text, size, "%s waits to be started: %s", n->name, said);
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
    if (worker->child && worker->state != NODE_READY)
        return;
    if (!node_problem(worker, p->now_ms, text, sizeof text))
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

void tree_free(struct node *n)
{
    if (n == NULL)
        return;
    for (size_t i = 0; i < n->child_count; i++)
        tree_free(n->children[i]);
    free(n->children);
    free(n->window.at_ms);
    free(n->after);
    free(n->executable);
    free(n->argument);
    buffer_fini(&n->settings);
    free(n);
}
