/* tree_build.c: from configuration sections to nodes. See tree_build.h. */
#include "master/build/tree_build.h"

#include "master/config/config_key.h"

#include <errno.h>
#include <stdio.h>

static const struct tree_hooks *build_hooks;

void tree_build_register(const struct tree_hooks *hooks)
{
    build_hooks = hooks;
}

const struct tree_children *tree_build_children(void)
{
    return build_hooks->children;
}

int tree_build_extras(const struct tree_builder *b, enum worker_type type,
                      const struct config_section *section, struct config_extras *extras)
{
    tree_extra_fn extra = build_hooks->extra[type];
    /* A program's command worker is of the type that an embedded server is run by, and of another kind of section. */
    bool own = worker_type_record(type)->kind == config_section_kind(section);
    return extra != NULL && own ? extra(b->c, section, b->p, extras) : 0;
}

/* ---- one worker ---- */

static int build_settings(struct tree_builder *b, struct node *n,
                          const struct config_section *section)
{
    struct config_identity identity = builder_identity(b);
    struct config_extras extras = CONFIG_EXTRAS_EMPTY;
    int rc = tree_build_extras(b, n->type, section, &extras);
    if (rc == 0 && build_hooks->once[n->type])
        rc = config_settings_pack_all(&n->settings, b->c, config_section_kind(section), &identity,
                                      &extras);
    else if (rc == 0)
        rc = config_settings_pack(&n->settings, b->c, section, &identity, &extras);
    config_extras_fini(&extras);
    return rc;
}

static void build_worker(struct tree_builder *b, enum worker_type type,
                         const struct config_section *section, const char *name)
{
    /* Who is there once is of all of them, and so of none. */
    const struct config_section *of = build_hooks->once[type] ? config_platoon(b->c) : section;
    struct node *n = builder_leaf(b, name, type, builder_parent(b, name, of), of);
    if (n == NULL)
        return;
    if (config_kind_heads(n->section_kind) == CONFIG_GROUP)
        memcpy(n->group, n->section, sizeof n->group);
    int rc = build_settings(b, n, section);
    if (rc != 0)
        builder_fail(b, name, strerror(-rc));
}

/* ---- all of a type that one section wants ---- */

/*
 * Where nothing says which section it is, those of the first have the plain names; a further one's title
 * stands before the last part.
 */
static void build_path(const struct tree_builder *b, enum worker_type type,
                       const struct config_section *section, char *path, size_t size)
{
    const struct worker_type_record *record = worker_type_record(type);
    const char *title = config_title(section), *hole = strstr(record->path, "%s");
    bool further = section != config_section_at(b->c, record->kind, 0);
    if (hole != NULL) {
        snprintf(path, size, "%.*s%s%s", (int)(hole - record->path), record->path, title, hole + 2);
    } else if (further) {
        const char *slash = strrchr(record->path, '/');
        const char *last = slash != NULL ? slash + 1 : record->path;
        snprintf(path, size, "%.*s%s-%s", (int)(last - record->path), record->path, title, last);
    } else {
        snprintf(path, size, "%s", record->path);
    }
}

static void build_type(struct tree_builder *b, enum worker_type type,
                       const struct config_section *section)
{
    char path[CONTRACT_NAME_MAX * 2], name[CONTRACT_NAME_MAX * 2 + 24];
    const char *key = worker_type_record(type)->workers_key;
    b->at = section;
    build_path(b, type, section, path, sizeof path);
    if (key[0] == '\0') {
        build_worker(b, type, section, path);
        return;
    }
    uint64_t count = strcmp(key, "1") == 0 ? 1 : config_get_u64(section, key);
    builder_pool_begin(b);
    for (uint64_t i = 1; i <= count && !b->failed; i++) {
        snprintf(name, sizeof name, "%s.%llu", path, (unsigned long long)i);
        build_worker(b, type, section, name);
    }
    builder_pool_end(b);
}

/* ---- all sections ---- */

static void build_section(struct tree_builder *b, const struct config_section *section)
{
    for (int type = 0; type < WORKER_TYPE_COUNT && !b->failed; type++)
        if (worker_type_record((enum worker_type)type)->kind == config_section_kind(section) &&
            build_hooks->when[type] != NULL && build_hooks->when[type](b->c, section))
            build_type(b, (enum worker_type)type, section);
}

/* Once for all sections of its kind, after all of theirs. */
static void build_once(struct tree_builder *b, enum config_kind kind)
{
    const struct config_section *first = config_section_at(b->c, kind, 0);
    for (int type = 0; first != NULL && type < WORKER_TYPE_COUNT && !b->failed; type++)
        if (worker_type_record((enum worker_type)type)->kind == kind && build_hooks->once[type])
            build_type(b, (enum worker_type)type, first);
}

struct node *tree_build(const struct config *c, const struct preflight *p, struct buffer *error)
{
    struct tree_builder b = {.c = c, .p = p, .error = error};
    b.root = builder_branch(&b, "platoon", NULL, config_platoon(c));
    for (enum config_kind kind = 0; kind < CONFIG_KIND_COUNT; kind++) {
        const struct config_section *s;
        for (size_t i = 0; !b.failed && (s = config_section_at(c, kind, i)) != NULL; i++)
            build_section(&b, s);
        build_once(&b, kind);
    }
    for (size_t i = 0; i < build_hooks->builder_count && !b.failed; i++)
        build_hooks->builders[i](&b);
    name_index_fini(&b.names);
    if (!b.failed)
        return b.root;
    tree_free(b.root);
    return NULL;
}
