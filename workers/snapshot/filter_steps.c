/*
 * filter_steps.c: what a worker makes: the resource it is there for, or, of a what-if's, any of its snapshot. See
 * filter_run.h.
 */
#include "workers/snapshot/filter_run.h"

#include <stdio.h>
#include <stdlib.h>

#define STEPS_LIST "steps"

static void step_read(struct filter_step *step, struct worker *w, size_t i)
{
    char prefix[32];
    snprintf(prefix, sizeof prefix, STEPS_LIST ".%zu", i);
    filter_program_read(&step->program, w, prefix, step->name, true);
    step->limits = (struct filter_limits){
        .size_min = worker_setting_item_u64(w, STEPS_LIST, i, "size_min"),
        .size_max = worker_setting_item_u64(w, STEPS_LIST, i, "size_max"),
        .timeout_ms = worker_setting_item_u64(w, STEPS_LIST, i, "timeout"),
        .stop_ms = worker_setting_item_u64(w, STEPS_LIST, i, "stop_timeout")};
}

static void steps_read_own(struct filter_steps *steps, struct worker *w)
{
    struct filter_step *step = &steps->list[0];
    step->name = worker_setting_text(w, "resource.name");
    filter_program_read(&step->program, w, "command", step->name, false);
    step->limits =
        (struct filter_limits){.size_min = worker_setting_u64(w, "resource.size_min"),
                               .size_max = worker_setting_u64(w, "resource.size_max"),
                               .timeout_ms = worker_setting_u64(w, "resource.timeout"),
                               .stop_ms = worker_setting_u64(w, "resource.stop_timeout")};
}

void filter_steps_read(struct filter_steps *steps, struct worker *w)
{
    size_t count = 0;
    while (worker_setting_item(w, STEPS_LIST, count, "name") != NULL)
        count++;
    steps->whatifs = count > 0;
    steps->count = count > 0 ? count : 1;
    steps->list = worker_must_alloc(w, steps->count * sizeof *steps->list);
    for (size_t i = 0; i < count; i++) {
        steps->list[i].name = worker_setting_item(w, STEPS_LIST, i, "name");
        step_read(&steps->list[i], w, i);
    }
    if (!steps->whatifs)
        steps_read_own(steps, w);
}

void filter_steps_free(struct filter_steps *steps)
{
    for (size_t i = 0; steps->list != NULL && i < steps->count; i++)
        filter_program_free(&steps->list[i].program);
    free(steps->list);
}

struct filter_step *filter_steps_find(const struct filter_steps *steps, struct slice name)
{
    if (!steps->whatifs)
        return name.len == 0 ? &steps->list[0] : NULL;
    for (size_t i = 0; i < steps->count; i++)
        if (slice_is(name, steps->list[i].name))
            return &steps->list[i];
    return NULL;
}
