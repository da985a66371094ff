/*
 * tree_build_fixture.h: a configuration's text to the tree that is built of it, for the suites
 * that look at such a tree.
 *
 * Included by one suite each, which is one process; `start` and `finish` stand around each test.
 */
#ifndef TEST_UNIT_BUILD_TREE_BUILD_FIXTURE_H
#define TEST_UNIT_BUILD_TREE_BUILD_FIXTURE_H

#include "master/build/tree_build.h"

#include "common/unpack.h"
#include "test/unit/build/place_fixture.h"

#include <check.h>
#include <stdio.h>

static struct place place;
static struct preflight paths;
static struct config *config;
static struct node *root;
static struct buffer error;

static inline void start(void)
{
    place_make(&place);
    paths = (struct preflight){.instance = "0123456789abcdef", .boot = 7, .lock_fd = -1};
    snprintf(paths.state_dir, sizeof paths.state_dir, "%s", place.dir);
    snprintf(paths.runtime_dir, sizeof paths.runtime_dir, "%s/run", place.dir);
}

static inline void finish(void)
{
    tree_free(root);
    root = NULL;
    config_free(config);
    config = NULL;
    buffer_fini(&error);
    place_remove(&place);
}

static inline void build(const char *text)
{
    config = place_config(&place, text);
    root = tree_build(config, &paths, &error);
}

#define PLATOON "platoon { runtime_dir = run  state_dir = state  intensity = 4  period = 9s }\n"
#define STORE   "store s { path = s.db }\n"

static inline void note_name(struct node *n, void *ctx)
{
    buffer_printf(ctx, "%s ", n->name);
}

static inline void expect_workers(const char *names)
{
    struct buffer all = BUFFER_EMPTY;
    ck_assert_msg(root != NULL, "%s", buffer_text(&error));
    tree_each_worker(root, note_name, &all);
    ck_assert_str_eq(buffer_text(&all), names);
    buffer_fini(&all);
}

static inline struct node *find(const char *name)
{
    struct node *n = tree_find(root, slice_of(name));
    ck_assert_msg(n != NULL, "%s is missing", name);
    return n;
}

/* A branch of the runtime: one for one, with the intensity that stands in PLATOON. */
static inline void expect_outer_branch(const char *name)
{
    const struct node *n = find(name);
    ck_assert_int_eq(n->kind, NODE_BRANCH);
    ck_assert_int_eq(n->strategy, POLICY_ONE_FOR_ONE);
    ck_assert_uint_eq(n->window.limit, 4);
    ck_assert_uint_eq(n->window.period_ms, 9000);
    ck_assert_ptr_nonnull(n->window.at_ms);
}

/* A branch of a section: rest for one, 3 in 5 s. */
static inline void expect_own_branch(const char *name)
{
    const struct node *n = find(name);
    ck_assert_int_eq(n->strategy, POLICY_REST_FOR_ONE);
    ck_assert_uint_eq(n->window.limit, 3);
    ck_assert_uint_eq(n->window.period_ms, 5000);
}

/* A setting of a worker, in memory of its own; NULL when it has none of that name. */
static inline const char *setting(const char *worker, const char *name)
{
    static char value[512];
    struct unpack u = unpack_start(buffer_slice(&find(worker)->settings));
    const char *found = NULL;
    for (uint32_t n = unpack_map(&u); n > 0; n--) {
        struct slice key = unpack_str(&u), text = unpack_str(&u);
        if (slice_is(key, name) && slice_copy(text, value, sizeof value))
            found = value;
    }
    ck_assert(unpack_end(&u));
    return found;
}

#endif
