/*
 * program_build.c: programs and their supervisors as nodes of the tree, and the temporary children of workers.
 *
 * Runs in the master, when the tree is built, and when a worker asks for a child (BUILDS and CHILDREN in
 * proto/systems.h).
 */
#include "common/words.h"
#include "master/program/config_check_program.h"
#include "master/program/log_files.h"
#include "master/program/program_settings.h"
#include "master/program/tree_after.h"
#include "master/systems_tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* The program's own time where it has one. */
static void build_override(const struct config_section *program, const char *key, uint64_t *value)
{
    if (config_get(program, key)[0] != '\0')
        *value = config_get_u64(program, key);
}

static void build_program_policy(struct node *n, const struct config_section *program)
{
    const char *restart = config_get(program, "restart");
    n->restart = strcmp(restart, "transient") == 0   ? POLICY_TRANSIENT
                 : strcmp(restart, "temporary") == 0 ? POLICY_TEMPORARY
                                                     : POLICY_PERMANENT;
    build_override(program, "backoff_min", &n->limits.backoff_min_ms);
    build_override(program, "backoff_max", &n->limits.backoff_max_ms);
    build_override(program, "stable_after", &n->limits.stable_after_ms);
    build_override(program, "ready_timeout", &n->ready_timeout_ms);
    build_override(program, "stop_timeout", &n->stop_timeout_ms);
    if (n->limits.backoff_max_ms < n->limits.backoff_min_ms)
        n->limits.backoff_max_ms = n->limits.backoff_min_ms; /* one of the two is platoon's */
}

static enum worker_type build_program_type(const struct config_section *program)
{
    if (config_get_u64(program, "worker") != 0)
        return WORKER_TYPE_CUSTOM;
    return strcmp(config_get(program, "port"), "none") != 0 ? WORKER_TYPE_PORT
                                                            : WORKER_TYPE_COMMAND;
}

static int build_program_settings(struct tree_builder *b, struct node *n,
                                  const struct config_section *program, uint64_t number)
{
    struct program_child child = {n->owner, n->argument};
    struct config_identity identity = builder_identity(b);
    struct config_extras extras = CONFIG_EXTRAS_EMPTY;
    int rc = program_settings_make(&extras, b->c, program, number, n->child ? &child : NULL);
    if (rc == 0)
        rc = tree_build_extras(b, n->type, program, &extras);
    if (rc == 0)
        rc = config_settings_pack(&n->settings, b->c, NULL, &identity, &extras);
    config_extras_fini(&extras);
    return rc;
}

/* Checked to be one path (config_check_program.c). */
static int build_program_executable(struct tree_builder *b, struct node *n,
                                    const struct config_section *program, uint64_t number)
{
    struct buffer words = BUFFER_EMPTY;
    int rc = config_program_command(b->c, program, number, &words);
    n->executable = rc > 0 ? strdup(words.data) : NULL;
    n->enters = config_get(program, "user")[0] != '\0' || config_get(program, "group")[0] != '\0';
    buffer_fini(&words);
    return rc < 0 ? rc : n->executable != NULL ? 0 : -ENOMEM;
}

/* `owner` NULL: none of anybody's. */
static struct node *build_process(struct tree_builder *b, const struct config_section *program,
                                  struct node *parent, const char *name, uint64_t number,
                                  const struct node *owner, struct slice argument)
{
    b->at = program;
    struct node *n = builder_leaf(b, name, build_program_type(program), parent, program);
    if (n == NULL)
        return NULL;
    n->program = true;
    build_program_policy(n, program);
    int rc = 0;
    if (owner != NULL) {
        n->child = parent->has_children = true;
        memcpy(n->owner, owner->name, sizeof n->owner);
        n->argument = strndup(argument.len > 0 ? argument.ptr : "", argument.len);
        rc = n->argument != NULL ? 0 : -ENOMEM;
    }
    if (rc == 0 && n->type == WORKER_TYPE_CUSTOM)
        rc = build_program_executable(b, n, program, number);
    if (rc == 0)
        rc = build_program_settings(b, n, program, number);
    if (rc != 0)
        builder_fail(b, name, strerror(-rc));
    return n;
}

/* ---- temporary children ---- */

static const struct config_section *child_section(const struct config *c, struct slice program)
{
    char title[CONTRACT_NAME_MAX];
    return slice_copy(program, title, sizeof title) ? config_section_find(c, CONFIG_PROGRAM, title)
                                                    : NULL;
}

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

static bool program_may_have_child(const struct config *c, const struct node *owner,
                                   struct slice program, uint64_t count, struct buffer *error)
{
    const struct config_section *mine =
        owner->program ? config_section_find(c, CONFIG_PROGRAM, owner->section) : NULL;
    if (mine == NULL || !child_is_named(mine, program))
        buffer_printf(error, "%s may not start '%.*s': name it in may_start of program %s",
                      owner->name, (int)program.len, program.ptr, owner->section);
    else if (count >= config_get_u64(mine, "may_start_max"))
        buffer_printf(error, "%s has %llu children: raise may_start_max of program %s, or wait",
                      owner->name, (unsigned long long)count, owner->section);
    else if (child_section(c, program) == NULL)
        buffer_printf(error, "there is no program %.*s", (int)program.len, program.ptr);
    else
        return true;
    return false;
}

static struct node *program_make_child(const struct config *c, const struct preflight *p,
                                       struct node *owner, struct slice program, uint64_t number,
                                       struct slice argument, struct buffer *error)
{
    struct node *parent = owner->parent;
    struct tree_builder b = {.c = c, .p = p, .root = parent, .error = error};
    const struct config_section *section = child_section(c, program);
    char name[3 * CONTRACT_NAME_MAX];
    if (section == NULL)
        return NULL;
    snprintf(name, sizeof name, "%s/%s.%llu", owner->name, config_title(section),
             (unsigned long long)number);
    struct node *n = build_process(&b, section, parent, name, number, owner, argument);
    if (n == NULL || !b.failed)
        return n;
    builder_take_back(n);
    return NULL;
}

const struct tree_children tree_children_program = {.may = program_may_have_child,
                                                    .make = program_make_child};

/* ---- programs and supervisors ---- */

/* "site" and "mailer" make "site/mailer"; below the root, "mailer". */
static void build_join(const struct tree_builder *b, const struct node *parent, const char *title,
                       char *name, size_t size)
{
    bool top = parent == b->root;
    snprintf(name, size, "%s%s%s", top ? "" : parent->name, top ? "" : "/", title);
}

static void build_program(struct tree_builder *b, const struct config_section *program,
                          struct node *parent)
{
    char path[CONTRACT_NAME_MAX * 2], name[CONTRACT_NAME_MAX * 2 + 24];
    build_join(b, parent, config_title(program), path, sizeof path);
    uint64_t count = config_get_u64(program, "processes");
    builder_pool_begin(b);
    for (uint64_t i = 1; i <= count && !b->failed; i++) {
        snprintf(name, sizeof name, "%s.%llu", path, (unsigned long long)i);
        build_process(b, program, parent, name, i, NULL, slice_make(NULL, 0));
    }
    builder_pool_end(b);
}

/* config_check has seen to it that children are there, have one parent, and make no ring. */
static void build_supervisor(struct tree_builder *b, const struct config_section *section,
                             struct node *parent)
{
    char name[CONTRACT_NAME_MAX * 2];
    build_join(b, parent, config_title(section), name, sizeof name);
    b->at = section;
    struct node *n = builder_branch(b, name, parent, section);
    struct buffer words = BUFFER_EMPTY;
    if (n != NULL)
        slice_copy(slice_of(config_title(section)), n->section, sizeof n->section);
    if (n != NULL &&
        words_split(slice_of(config_get(section, "children")), CONFIG_CHILDREN_MAX, &words) < 0)
        builder_fail(b, name, "memory is short");
    for (const char *w = b->failed ? NULL : words_next(&words, 0, NULL); w != NULL && !b->failed;
         w = words_next(&words, 0, w)) {
        const struct config_section *program = config_section_find(b->c, CONFIG_PROGRAM, w);
        if (program != NULL)
            build_program(b, program, n);
        else
            build_supervisor(b, config_section_find(b->c, CONFIG_SUPERVISOR, w), n);
    }
    buffer_fini(&words);
}

/* Those that are nobody's children stand below the root. Last: `after` looks for everybody else's branches too. */
void tree_build_programs(struct tree_builder *b)
{
    const struct config_section *s;
    for (size_t i = 0; !b->failed && (s = config_section_at(b->c, CONFIG_SUPERVISOR, i)) != NULL;
         i++)
        if (config_supervisor_of(b->c, config_title(s)) == NULL)
            build_supervisor(b, s, b->root);
    for (size_t i = 0; !b->failed && (s = config_section_at(b->c, CONFIG_PROGRAM, i)) != NULL; i++)
        if (config_supervisor_of(b->c, config_title(s)) == NULL)
            build_program(b, s, b->root);
    if (!b->failed)
        log_files_check(b);
    if (!b->failed)
        tree_after_resolve(b);
}
