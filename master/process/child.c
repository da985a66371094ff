/* child.c: see child.h. */
#include "master/process/child.h"

#include "common/log.h"
#include "common/words.h"
#include "master/program/config_check_program.h"
#include "master/supervise/supervisor.h"
#include "master/build/tree_build.h"
#include "master/process/process.h"

#include <stdio.h>
#include <stdlib.h>

static struct master *child_master;

/* Of all children there ever were: a name is used again, and late words of the last one must not be taken for the next one's. */
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

static bool child_is_named(const struct config_section *owner, struct slice program)
{
    struct buffer words = BUFFER_EMPTY;
    bool named = false;
    if (words_split(slice_of(config_get(owner, "may_start")), CONFIG_CHILDREN_MAX, &words) > 0)
        for (const char *w = words_next(&words, 0, NULL); w != NULL; w = words_next(&words, 0, w))
            named = named || slice_is(program, w);
    buffer_fini(&words);
    return named;
}

static uint64_t child_count(const struct node *owner)
{
    uint64_t count = 0;
    for (size_t i = 0; i < owner->parent->child_count; i++) {
        const struct node *n = owner->parent->children[i];
        count += n->child && strcmp(n->owner, owner->name) == 0;
    }
    return count;
}

/* The section of the child; NULL, with the reason in `error`, when its owner may not have it. */
static const struct config_section *child_section(const struct config *c, const struct node *owner,
                                                  struct slice program, struct buffer *error)
{
    char title[CONTRACT_NAME_MAX];
    const struct config_section *mine =
        owner->program ? config_section_find(c, CONFIG_PROGRAM, owner->section) : NULL;
    if (owner->child)
        buffer_printf(error, "%s is a temporary child itself: it can have none", owner->name);
    else if (owner->state != NODE_READY)
        buffer_printf(error, "%s is not READY: only then it can have children", owner->name);
    else if (!owner->wanted_up || owner->cycle != NULL)
        buffer_printf(error, "%s is to stop: it can have no more children", owner->name);
    else if (mine == NULL || !slice_copy(program, title, sizeof title) ||
             !child_is_named(mine, program))
        buffer_printf(error, "%s may not start '%.*s': name it in may_start of program %s",
                      owner->name, (int)program.len, program.ptr, owner->section);
    else if (child_count(owner) >= config_get_u64(mine, "may_start_max"))
        buffer_printf(error, "%s has %llu children: raise may_start_max of program %s, or wait",
                      owner->name, (unsigned long long)child_count(owner), owner->section);
    else if (config_section_find(c, CONFIG_PROGRAM, title) == NULL)
        buffer_printf(error, "there is no program %s", title);
    else
        return config_section_find(c, CONFIG_PROGRAM, title);
    return NULL;
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
static uint64_t child_number(const struct node *owner, const char *title)
{
    char name[2 * CONTRACT_NAME_MAX + 24];
    for (uint64_t number = 1;; number++) {
        snprintf(name, sizeof name, "%s/%s.%llu", owner->name, title, (unsigned long long)number);
        if (tree_find(owner->parent, slice_of(name)) == NULL)
            return number;
    }
}

struct node *child_start(struct node *owner, struct slice program, struct slice argument,
                         struct buffer *error)
{
    const struct config *c = child_master->config;
    const struct config_section *section = child_section(c, owner, program, error);
    if (section == NULL || !child_argument_fits(argument, error))
        return NULL;
    uint64_t number = child_number(owner, config_title(section));
    struct node *n =
        tree_build_child(c, &child_master->paths, owner, section, number, argument, error);
    if (n == NULL)
        return NULL;
    /* Before it runs: its DOWN must not be missed. */
    if (!worker_process_monitor(owner, n->name)) {
        tree_unbuild_child(n);
        buffer_printf(error, "%s watches too many others already", owner->name);
        return NULL;
    }
    n->generation = child_generation++;
    log_info("child-start", "name=%s owner=%s", n->name, owner->name);
    supervisor_start(n);
    return n;
}

void child_stop(struct node *owner, struct slice name)
{
    struct node *n = tree_find(owner->parent, name);
    if (n != NULL && n->child && strcmp(n->owner, owner->name) == 0)
        supervisor_stop(n);
}

struct node *child_adopt(struct master *m, struct slice name, struct slice owner,
                         struct slice program, struct slice argument)
{
    char title[CONTRACT_NAME_MAX];
    struct node *above = tree_find(m->root, owner);
    const struct config_section *section =
        slice_copy(program, title, sizeof title)
            ? config_section_find(m->config, CONFIG_PROGRAM, title)
            : NULL;
    const char *dot = memrchr(name.ptr, '.', name.len);
    if (above == NULL || above->kind != NODE_WORKER || section == NULL || dot == NULL)
        return NULL;
    struct buffer error = BUFFER_EMPTY;
    struct node *n = tree_build_child(m->config, &m->paths, above, section,
                                      strtoull(dot + 1, NULL, 10), argument, &error);
    buffer_fini(&error);
    return n;
}
