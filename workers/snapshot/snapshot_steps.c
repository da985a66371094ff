/* snapshot_steps.c: see snapshot_steps.h. Each resource stands behind its inputs: one pass each way is enough. */
#include "workers/snapshot/snapshot_steps.h"

static void steps_mark_wanted(const struct policy *p, size_t wanted, struct snapshot_mark *marks)
{
    marks[wanted].wanted = marks[wanted].needed = true;
    for (size_t i = wanted + 1; i-- > 0;)
        for (size_t k = 0; marks[i].wanted && k < p->list[i].input_count; k++) {
            struct snapshot_mark *in = &marks[p->list[i].inputs[k]];
            in->wanted = true;
            in->needed = in->needed || (marks[i].needed && !marks[i].given);
        }
}

static void steps_mark_step(const struct policy *p, size_t i, struct snapshot_mark *marks)
{
    const struct policy_resource *r = &p->list[i];
    for (size_t k = 0; k < r->input_count; k++)
        marks[i].step = marks[i].step || marks[r->inputs[k]].given || marks[r->inputs[k]].step;
    for (size_t k = 0; marks[i].step && k < r->input_count; k++) {
        struct snapshot_mark *in = &marks[r->inputs[k]];
        in->read = !in->given && !in->step;
    }
}

bool snapshot_steps_find(const struct policy *p, size_t wanted, struct snapshot_mark *marks,
                         size_t *idle)
{
    steps_mark_wanted(p, wanted, marks);
    for (*idle = 0; *idle < p->count; ++*idle)
        if (marks[*idle].given && (!marks[*idle].wanted || *idle == wanted))
            return false;
    for (size_t i = 0; i <= wanted; i++)
        if (marks[i].needed && !marks[i].given)
            steps_mark_step(p, i, marks);
    return true;
}
