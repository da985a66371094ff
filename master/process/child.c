/* child.c: see child.h. */
#include "master/process/child.h"

#include "common/clock.h"
#include "common/log.h"
#include "master/build/tree_build.h"
#include "master/supervise/supervisor.h"
#include "master/process/process.h"
#include "proto/link.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Pause between two lines of what an owner was denied. */
#define CHILD_REFUSED_LOG_MS 1000

static struct master *child_master;

/*
 * Of all children there ever were: a name is used again, and late words of the last one must not be
 * taken for the next one's.
 */
static uint64_t child_generation;

void child_setup(struct master *m)
{
    child_master = m;
}

uint64_t child_last_generation(void)
{
    return child_generation;
}

void child_set_last_generation(uint64_t generation)
{
    child_generation = generation;
}

/* A person may have restarted it. */
void child_forget(const struct node *n)
{
    if (n->child && n->generation > child_generation)
        child_generation = n->generation;
}

/* ---- may it ---- */

static uint64_t child_count(const struct node *owner)
{
    uint64_t count = 0;
    for (size_t i = 0; i < owner->parent->child_count; i++) {
        const struct node *n = owner->parent->children[i];
        count += n->child && strcmp(n->owner, owner->name) == 0;
    }
    return count;
}

/* False, with the reason in `error`, when its owner may not have it. */
static bool child_may_start(const struct config *c, const struct node *owner, struct slice program,
                            struct buffer *error)
{
    const struct tree_children *children = tree_build_children();
    if (owner->child)
        buffer_printf(error, "%s is a temporary child itself: it can have none", owner->name);
    else if (owner->state != NODE_READY)
        buffer_printf(error, "%s is not READY: only then it can have children", owner->name);
    else if (!owner->wanted_up || owner->cycle != NULL)
        buffer_printf(error, "%s is to stop: it can have no more children", owner->name);
    else if (children == NULL)
        buffer_printf(error, "%s can have no children: nothing here makes any", owner->name);
    else
        return children->may(c, owner, program, child_count(owner), error);
    return false;
}

static bool child_argument_fits(struct slice argument, struct buffer *error)
{
    if (argument.len <= CONTRACT_ARGUMENT_MAX &&
        (argument.len == 0 || memchr(argument.ptr, '\0', argument.len) == NULL))
        return true;
    buffer_printf(error, "the argument has a NUL in it, or is longer than %d bytes",
                  CONTRACT_ARGUMENT_MAX);
    return false;
}

/* ---- making it ---- */

/* The smallest number that is free: so names, and what is kept of each, stay few. */
static uint64_t child_number(const struct node *owner, struct slice program)
{
    char name[2 * CONTRACT_NAME_MAX + 24];
    for (uint64_t number = 1;; number++) {
        snprintf(name, sizeof name, "%s/%.*s.%llu", owner->name, (int)program.len, program.ptr,
                 (unsigned long long)number);
        if (tree_find(owner->parent, slice_of(name)) == NULL)
            return number;
    }
}

/*
 * The next pass of the supervisor starts it, as generation n->generation + 1. NULL, nothing changed, with one line in
 * `error`.
 */
static struct node *child_start(struct node *owner, struct slice program, struct slice argument,
                                struct buffer *error)
{
    const struct config *c = child_master->config;
    if (!child_may_start(c, owner, program, error) || !child_argument_fits(argument, error))
        return NULL;
    struct node *n = tree_build_children()->make(c, &child_master->paths, owner, program,
                                                 child_number(owner, program), argument, error);
    if (n == NULL)
        return NULL;
    /* Before it runs: its DOWN must not be missed. */
    if (!process_monitor(owner, n->name, PROCESS_ASKED)) {
        builder_take_back(n);
        buffer_printf(error, "%s watches too many others already", owner->name);
        return NULL;
    }
    n->generation = child_generation++;
    log_info("child-start", "name=%s owner=%s", n->name, owner->name);
    supervisor_start(n);
    return n;
}

/* Who asks without end is told each time; the log is not. */
static void child_log_refusal(struct node *owner, struct slice program, struct slice cause)
{
    uint64_t now = clock_mono_ms();
    owner->refused++;
    if (owner->refused_ms != 0 && now - owner->refused_ms < CHILD_REFUSED_LOG_MS)
        return;
    log_warn("child-refused", "owner=%s program=%s cause=%s count=%" PRIu64, owner->name,
             log_quote(program), log_quote(cause), owner->refused);
    owner->refused = 0;
    owner->refused_ms = now;
}

bool child_on_child(struct node *owner, struct slice frame)
{
    struct link_child m;
    struct buffer error = BUFFER_EMPTY, out = BUFFER_EMPTY;
    if (!link_child_unpack(frame, &m))
        return false;
    struct node *n = child_start(owner, m.program, m.argument, &error);
    struct link_started started = {.id = m.id,
                                   .name = slice_of(n != NULL ? n->name : ""),
                                   .generation = n != NULL ? n->generation + 1 : 0,
                                   .error = buffer_slice(&error)};
    if (n == NULL)
        child_log_refusal(owner, m.program, started.error);
    link_started_pack(&out, &started);
    /* An error that cannot be told is as bad as a name that cannot: it would wait. */
    if (!buffer_ok(&error) || !buffer_ok(&out) || process_send(owner, &out) != 0)
        process_untold(owner);
    buffer_fini(&error);
    buffer_fini(&out);
    return true;
}

bool child_on_end(struct node *owner, struct slice frame)
{
    struct link_end m;
    if (!link_end_unpack(frame, &m))
        return false;
    struct node *n = tree_find(owner->parent, m.name);
    if (n != NULL && n->child && strcmp(n->owner, owner->name) == 0)
        supervisor_stop(n);
    return true;
}

struct node *child_adopt(struct master *m, struct slice name, struct slice owner,
                         struct slice program, struct slice argument)
{
    const struct tree_children *children = tree_build_children();
    struct node *above = tree_find(m->root, owner);
    const char *dot = memrchr(name.ptr, '.', name.len);
    if (above == NULL || above->kind != NODE_WORKER || children == NULL || dot == NULL)
        return NULL;
    struct buffer error = BUFFER_EMPTY;
    struct node *n = children->make(m->config, &m->paths, above, program,
                                    strtoull(dot + 1, NULL, 10), argument, &error);
    buffer_fini(&error);
    /* cppcheck-suppress returnDanglingLifetime ; the node does not hold the error */
    return n;
}
