/* tree_after.c: see tree_after.h. */
#include "master/program/tree_after.h"

#include "common/words.h"
#include "master/config/config_check_key.h"
#include "master/program/config_check_program.h"

#include <stdlib.h>

/* More lines help nobody. */
#define AFTER_FINDINGS_MAX 100

struct after {
    struct node *root;
    const struct name_index *names;
    const struct config *c;
    struct buffer *error;
    bool *failed;
    int findings;
    struct name_index told; /* sections whose rings have been told */
    const struct config_section *program;
    struct node **titled; /* processes of programs, and supervisors, by their section's title */
    size_t titled_count;
    struct node **found;
    size_t count, cap;
};

static void after_fail(struct after *a, const struct config_section *s, const char *name,
                       const char *cause, const char *word)
{
    if (a->findings++ < AFTER_FINDINGS_MAX)
        config_say(a->c, s, "after", a->error, "%s: %s%s", name, cause, word);
    *a->failed = true;
}

static void after_no_memory(struct after *a)
{
    if (a->findings++ < AFTER_FINDINGS_MAX)
        config_say(a->c, NULL, NULL, a->error, "memory is short");
    *a->failed = true;
}

/* ---- from words to nodes ---- */

static void after_count(struct node *n, size_t *count)
{
    (*count)++;
    for (size_t i = 0; i < n->child_count; i++)
        after_count(n->children[i], count);
}

static void after_gather(struct after *a, struct node *n)
{
    if ((n->program || n->kind == NODE_BRANCH) && n->section[0] != '\0')
        a->titled[a->titled_count++] = n;
    for (size_t i = 0; i < n->child_count; i++)
        after_gather(a, n->children[i]);
}

static int after_compare(const void *a, const void *b)
{
    const struct node *const *one = a, *const *other = b;
    return strcmp((*one)->section, (*other)->section);
}

/* Sorted once: to walk the tree for each word would grow with the square. */
static bool after_sort(struct after *a)
{
    size_t count = 0;
    after_count(a->root, &count);
    a->titled = calloc(count, sizeof(*a->titled));
    if (a->titled == NULL)
        return false;
    after_gather(a, a->root);
    qsort(a->titled, a->titled_count, sizeof(*a->titled), after_compare);
    return true;
}

static size_t after_first(const struct after *a, const char *word)
{
    size_t low = 0, high = a->titled_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(a->titled[middle]->section, word) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void after_add(struct after *a, struct node *n)
{
    if (a->count == a->cap) {
        size_t cap = a->cap ? 2 * a->cap : 8;
        struct node **grown = realloc(a->found, cap * sizeof(*grown));
        if (grown == NULL) {
            after_no_memory(a);
            return;
        }
        a->found = grown;
        a->cap = cap;
    }
    a->found[a->count++] = n;
}

static void after_find(struct after *a, const char *word)
{
    size_t before = a->count;
    for (size_t i = after_first(a, word);
         i < a->titled_count && strcmp(a->titled[i]->section, word) == 0; i++)
        after_add(a, a->titled[i]);
    struct node *named = a->count == before ? name_index_find(a->names, 0, slice_of(word)) : NULL;
    if (named != NULL)
        after_add(a, named);
    else if (a->count == before)
        after_fail(a, a->program, "after", "there is no program, supervisor or branch named ",
                   word);
}

static void after_give(struct after *a, struct node *n)
{
    n->after = calloc(a->count, sizeof(*n->after));
    if (n->after == NULL) {
        after_no_memory(a);
        return;
    }
    memcpy(n->after, a->found, a->count * sizeof(*n->after));
    n->after_count = a->count;
}

static void after_program(struct after *a)
{
    struct buffer words = BUFFER_EMPTY;
    const char *title = config_title(a->program);
    if (words_split(slice_of(config_get(a->program, "after")), CONFIG_CHILDREN_MAX, &words) < 0)
        after_no_memory(a);
    a->count = 0;
    for (const char *w = words_next(&words, 0, NULL); w != NULL; w = words_next(&words, 0, w))
        after_find(a, w);
    buffer_fini(&words);
    for (size_t i = after_first(a, title);
         a->count > 0 && i < a->titled_count && strcmp(a->titled[i]->section, title) == 0; i++)
        if (a->titled[i]->program)
            after_give(a, a->titled[i]);
}

/*
 * ---- rings: a walk from each worker to whom it waits for, and from a branch to all below it. Who is met again on the
 * way stands in one. `was_ready` (the walk is through with it) and `finished` (it is on the way) are free for that
 * before the first start. Not by recursion: a file can hold a chain of ten thousand. ----
 */

struct after_step {
    struct node *node;
    size_t next;
};

static struct node *after_edge(const struct node *n, size_t i)
{
    return i < n->child_count                    ? n->children[i]
           : i - n->child_count < n->after_count ? n->after[i - n->child_count]
                                                 : NULL;
}

/* The last on the way that waits by its own `after`, and for whom it does. */
static void after_tell_ring(struct after *a, const struct after_step *way, size_t depth)
{
    while (way[depth].node->after_count == 0)
        depth--;
    const struct node *n = way[depth].node;
    const struct config_section *s = config_section_find(a->c, CONFIG_PROGRAM, n->section);
    if (name_index_find(&a->told, 0, slice_of(n->section)) != NULL)
        return; /* one of its processes is enough */
    name_index_add(&a->told, 0, n->section, n);
    after_fail(a, s, n->name, "after: it waits for itself, by way of ",
               after_edge(n, way[depth].next - 1)->name);
}

static void after_walk(struct after *a, struct after_step *way, struct node *from)
{
    size_t depth = 0;
    way[0] = (struct after_step){from, 0};
    from->finished = true;
    for (;;) {
        struct after_step *step = &way[depth];
        struct node *to = after_edge(step->node, step->next);
        step->next++;
        if (to == NULL) {
            step->node->finished = false;
            step->node->was_ready = true;
            if (depth-- == 0)
                return;
        } else if (to->finished) {
            after_tell_ring(a, way, depth);
        } else if (!to->was_ready) {
            to->finished = true;
            way[++depth] = (struct after_step){to, 0};
        }
    }
}

static void after_walk_all(struct after *a, struct after_step *way, struct node *n)
{
    if (n->after_count > 0 && !n->was_ready)
        after_walk(a, way, n);
    for (size_t i = 0; i < n->child_count; i++)
        after_walk_all(a, way, n->children[i]);
}

static void after_forget(struct node *n)
{
    n->was_ready = n->finished = false;
    for (size_t i = 0; i < n->child_count; i++)
        after_forget(n->children[i]);
}

static void after_check_rings(struct after *a)
{
    size_t count = 0;
    after_count(a->root, &count);
    struct after_step *way = calloc(count, sizeof *way);
    if (way == NULL) {
        after_no_memory(a);
        return;
    }
    after_walk_all(a, way, a->root);
    after_forget(a->root);
    free(way);
}

void tree_after_resolve(struct tree_builder *b)
{
    struct after a = {
        .root = b->root, .names = &b->names, .c = b->c, .error = b->error, .failed = &b->failed};
    if (!after_sort(&a))
        after_no_memory(&a);
    for (size_t i = 0; a.titled != NULL && (a.program = config_section_at(a.c, CONFIG_PROGRAM, i));
         i++)
        after_program(&a);
    if (!b->failed)
        after_check_rings(&a);
    name_index_fini(&a.told);
    free(a.titled);
    free(a.found);
}
