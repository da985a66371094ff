/* systems_tree.c: see systems_tree.h. */
#include "master/systems_tree.h"

#include "common/slice.h"

bool tree_when_ALWAYS(const struct config *c, const struct config_section *s)
{
    (void)c;
    return s != NULL;
}

/* Asked for each section, and there for all of them: tree_build knows these. */
bool tree_when_ONCE(const struct config *c, const struct config_section *s)
{
    (void)c;
    (void)s;
    return false;
}

/* A builder of the system's own makes it. */
bool tree_when_NEVER(const struct config *c, const struct config_section *s)
{
    (void)c;
    (void)s;
    return false;
}

/* clang-format off */
static const tree_when_fn systems_when[WORKER_TYPE_COUNT] = {
#define X(NAME, type, KIND, WHEN, RUNS, path, key, doc) [WORKER_TYPE_##NAME] = tree_when_##WHEN,
    SYSTEMS(TYPES, X)
#undef X
};

static const tree_extra_fn systems_extra[WORKER_TYPE_COUNT] = {
#define X(TYPE, name) [WORKER_TYPE_##TYPE] = tree_extra_##name,
    SYSTEMS(EXTRAS, X)
#undef X
};

static const tree_builder_fn systems_builders[] = {
#define X(name) tree_build_##name,
    SYSTEMS(BUILDS, X)
#undef X
};

static const struct tree_children *const systems_children[] = {
#define X(name) &tree_children_##name,
    SYSTEMS(CHILDREN, X)
#undef X
    NULL};

static const struct preflight_entry systems_preflights[] = {
#define X(KIND, name) {CONFIG_##KIND, preflight_##name},
    SYSTEMS(PREFLIGHTS, X)
#undef X
};
/* clang-format on */

void systems_tree_register(void)
{
    static bool once[WORKER_TYPE_COUNT];
    static struct tree_hooks hooks = {
        .when = systems_when,
        .once = once,
        .extra = systems_extra,
        .builders = systems_builders,
        .builder_count = sizeof systems_builders / sizeof systems_builders[0],
    };
    hooks.children = systems_children[0];
    for (int type = 0; type < WORKER_TYPE_COUNT; type++)
        once[type] = systems_when[type] == tree_when_ONCE;
    tree_build_register(&hooks);
    preflight_register(systems_preflights,
                       sizeof systems_preflights / sizeof systems_preflights[0]);
}
