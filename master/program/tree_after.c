/* tree_after.c: see tree_after.h. */
#include "master/program/tree_after.h"

#include "common/words.h"
#include "master/program/config_check_program.h"

#include <stdlib.h>

struct after {
    struct node *root;
    struct buffer *error;
    bool *failed;
    const struct config_section *program;
    const char *word; /* being looked for */
    struct node **found;
    size_t count, cap;
};

static void after_fail(struct after *a, const char *name, const char *cause, const char *word)
{
    if (!*a->failed)
        buffer_printf(a->error, "%s: %s%s\n", name, cause, word);
    *a->failed = true;
}

static void after_add(struct after *a, struct node *n)
{
    if (a->count == a->cap) {
        size_t cap = a->cap ? 2 * a->cap : 8;
        struct node **grown = realloc(a->found, cap * sizeof(*grown));
        if (grown == NULL) {
            after_fail(a, config_title(a->program), "memory is short", "");
            return;
        }
        a->found = grown;
        a->cap = cap;
    }
    a->found[a->count++] = n;
}

/* Processes of a program, and supervisors, by their section's title. */
static void after_add_titled(struct after *a, struct node *n)
{
    if ((n->program || n->kind == NODE_BRANCH) && strcmp(n->section, a->word) == 0)
        after_add(a, n);
    for (size_t i = 0; i < n->child_count; i++)
        after_add_titled(a, n->children[i]);
}

static void after_find(struct after *a, const char *word)
{
    size_t before = a->count;
    a->word = word;
    after_add_titled(a, a->root);
    struct node *named = a->count == before ? tree_find(a->root, slice_of(word)) : NULL;
    if (named != NULL)
        after_add(a, named);
    else if (a->count == before)
        after_fail(a, config_title(a->program),
                   "after: there is no program, supervisor or branch named ", word);
}

static void after_give(struct node *n, void *ctx)
{
    struct after *a = ctx;
    if (!n->program || strcmp(n->section, config_title(a->program)) != 0)
        return;
    n->after = calloc(a->count, sizeof(*n->after));
    if (n->after == NULL) {
        after_fail(a, n->name, "memory is short", "");
        return;
    }
    memcpy(n->after, a->found, a->count * sizeof(*n->after));
    n->after_count = a->count;
}

static void after_program(struct after *a)
{
    struct buffer words = BUFFER_EMPTY;
    if (words_split(slice_of(config_get(a->program, "after")), CONFIG_CHILDREN_MAX, &words) < 0)
        after_fail(a, config_title(a->program), "memory is short", "");
    a->count = 0;
    for (const char *w = words_next(&words, 0, NULL); w != NULL && !*a->failed;
         w = words_next(&words, 0, w))
        after_find(a, w);
    buffer_fini(&words);
    if (a->count > 0 && !*a->failed)
        tree_each_worker(a->root, after_give, a);
}

/* ---- rings: workers get ready one after the other on paper; who cannot is in one. `was_ready` is free for that before the first start. ---- */

static bool after_is_ready(const struct node *n)
{
    if (n->kind == NODE_WORKER)
        return n->was_ready;
    for (size_t i = 0; i < n->child_count; i++)
        if (!after_is_ready(n->children[i]))
            return false;
    return true;
}

struct after_round {
    bool moved;
    struct node *stuck;
};

static void after_advance(struct node *n, void *ctx)
{
    struct after_round *r = ctx;
    bool waits = false;
    for (size_t i = 0; i < n->after_count; i++)
        waits = waits || !after_is_ready(n->after[i]);
    if (n->was_ready)
        return;
    n->was_ready = !waits;
    r->moved = r->moved || n->was_ready;
    if (waits)
        r->stuck = n;
}

static void after_forget(struct node *n, void *ctx)
{
    (void)ctx;
    n->was_ready = false;
}

static void after_check_rings(struct after *a)
{
    struct after_round r;
    do {
        r = (struct after_round){0};
        tree_each_worker(a->root, after_advance, &r);
    } while (r.moved);
    tree_each_worker(a->root, after_forget, NULL);
    if (r.stuck != NULL)
        after_fail(a, r.stuck->name, "after: it waits for itself, by way of ",
                   r.stuck->after[0]->name);
}

void tree_after_resolve(struct node *root, const struct config *c, struct buffer *error,
                        bool *failed)
{
    struct after a = {.root = root, .error = error, .failed = failed};
    for (size_t i = 0; !*failed && (a.program = config_section_at(c, CONFIG_PROGRAM, i)) != NULL;
         i++)
        after_program(&a);
    if (!*failed)
        after_check_rings(&a);
    free(a.found);
}
