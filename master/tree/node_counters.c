/* node_counters.c: see node_counters.h. */
#include "master/tree/node_counters.h"

#include <stdlib.h>

static struct node_counter *counters_find(const struct node_counters *c, enum counter counter)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->list[i].counter == counter)
            return &c->list[i];
    return NULL;
}

/* NULL when memory is short. */
static struct node_counter *counters_add(struct node_counters *c, enum counter counter,
                                         bool declared)
{
    struct node_counter *grown = realloc(c->list, (c->count + 1) * sizeof *grown);
    if (grown == NULL)
        return NULL;
    c->list = grown;
    c->list[c->count] = (struct node_counter){.counter = counter, .declared = declared};
    return &c->list[c->count++];
}

void node_counters_take(struct node_counters *c, enum counter counter, uint64_t value,
                        double seconds)
{
    struct node_counter *at = counters_find(c, counter);
    if (at == NULL)
        at = counters_add(c, counter, value == 0);
    if (at == NULL)
        return;
    bool grows = counter_is_monotonic(counter) && seconds > 0 && value >= at->value;
    at->rate = grows ? (double)(value - at->value) / seconds : 0;
    at->value = value;
}

uint64_t node_counters_value(const struct node_counters *c, enum counter counter)
{
    const struct node_counter *at = counters_find(c, counter);
    return at != NULL ? at->value : 0;
}

void node_counters_stop(struct node_counters *c)
{
    for (size_t i = 0; i < c->count; i++)
        c->list[i].rate = 0;
}

void node_counters_clear(struct node_counters *c)
{
    free(c->list);
    *c = (struct node_counters){.list = NULL};
}
