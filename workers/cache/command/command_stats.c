/* command_stats.c: see command_stats.h. */
#include "workers/cache/command/command_stats.h"

#include "common/clock.h"
#include "workers/cache/cache_node.h"

#include <inttypes.h>
#include <stdlib.h>

/*
 * A histogram of nanoseconds up to 1 s, with Redis' precision (two digits): values below 256 each have a place, and
 * each doubling from there on 128.
 */
#define STATS_NS_MAX   UINT64_C(1000000000)
#define STATS_EXACT    256u
#define STATS_DOUBLING 128u
#define STATS_PLACES   (STATS_EXACT + 22 * STATS_DOUBLING) /* 256 << 22 is above a second */

struct stats_of {
    uint64_t calls, ns, rejected, failed;
    uint32_t *places; /* from its first call on; NULL also when memory was short */
};

struct command_stats {
    const struct command_table *table;
    struct stats_of of[]; /* of the commands, then of the subcommands */
};

struct command_stats *command_stats_new(const struct command_table *table)
{
    struct command_stats *s =
        calloc(1, sizeof *s + (table->count + table->sub_count) * sizeof s->of[0]);
    if (s != NULL)
        s->table = table;
    return s;
}

void command_stats_free(struct command_stats *s)
{
    for (size_t i = 0; s != NULL && i < s->table->count + s->table->sub_count; i++)
        free(s->of[i].places);
    free(s);
}

static struct stats_of *stats_find(struct command_stats *s, const struct cache_command *command)
{
    const struct command_table *t = s->table;
    return (command->flags & COMMAND_SUB) != 0 ? &s->of[t->count + (size_t)(command - t->subs)]
                                               : &s->of[command - t->list];
}

/* ---- counting ---- */

/* Doublings between the places of values below STATS_EXACT and the value's. */
static unsigned stats_doublings(uint64_t ns)
{
    unsigned doublings = 0;
    while (ns >> doublings >= STATS_EXACT)
        doublings++;
    return doublings;
}

static size_t stats_place(uint64_t ns)
{
    uint64_t bounded = ns < STATS_NS_MAX ? ns : STATS_NS_MAX;
    unsigned doublings = stats_doublings(bounded);
    return (size_t)(bounded >> doublings) + doublings * STATS_DOUBLING;
}

/* The largest value that has this place. */
static uint64_t stats_value(size_t place)
{
    if (place < STATS_EXACT)
        return place;
    size_t doublings = (place - STATS_DOUBLING) / STATS_DOUBLING;
    return ((uint64_t)(place - doublings * STATS_DOUBLING + 1) << doublings) - 1;
}

/* How many calls this one stands for, which is timed for them; 0: it is not timed. */
static uint32_t stats_weight(const struct cache_command *command, uint64_t calls)
{
    bool each = (command->flags & COMMAND_FAST) == 0 && command->first == 0;
    if (each || calls < COMMAND_STATS_EACH)
        return 1;
    return calls % COMMAND_STATS_EACH == 0 ? COMMAND_STATS_EACH : 0;
}

static void stats_time(struct stats_of *of, uint64_t ns, uint32_t weight)
{
    of->ns += ns * weight;
    if (of->places == NULL)
        of->places = calloc(STATS_PLACES, sizeof *of->places);
    if (of->places != NULL)
        of->places[stats_place(ns)] += weight;
}

static bool stats_has_failed(const struct cache_client *c, size_t from)
{
    const struct buffer *out = &c->reply.out;
    return buffer_ok(out) && out->len > from && out->data[from] == '-';
}

void command_call(struct cache_client *c, const struct cache_command *command,
                  const struct slice *words, size_t count)
{
    if (c->node->stats == NULL) {
        command->run(c, words, count);
        return;
    }
    struct stats_of *of = stats_find(c->node->stats, command);
    size_t from = c->reply.out.len;
    uint32_t weight = stats_weight(command, of->calls);
    uint64_t began = weight > 0 ? clock_mono_ns() : 0;
    command->run(c, words, count);
    if (weight > 0)
        stats_time(of, clock_mono_ns() - began, weight);
    of->calls++;
    of->failed += stats_has_failed(c, from);
}

void command_stats_reject(struct cache_client *c, const struct cache_command *command)
{
    if (c->node->stats != NULL)
        stats_find(c->node->stats, command)->rejected++;
}

/* ---- telling ---- */

/* The next command after that one, the first after NULL; subcommands come behind all others. */
static const struct cache_command *stats_next(const struct command_stats *s,
                                              const struct cache_command *after)
{
    const struct command_table *t = s->table;
    size_t i = after == NULL                       ? 0
               : (after->flags & COMMAND_SUB) != 0 ? t->count + (size_t)(after - t->subs) + 1
                                                   : (size_t)(after - t->list) + 1;
    return i < t->count ? &t->list[i] : i < t->count + t->sub_count ? &t->subs[i - t->count] : NULL;
}

void command_stats_calls(const struct cache_node *n, struct buffer *out)
{
    struct command_stats *s = n->stats;
    if (s == NULL)
        return;
    for (const struct cache_command *e = NULL; (e = stats_next(s, e)) != NULL;) {
        const struct stats_of *of = stats_find(s, e);
        uint64_t us = of->ns / 1000;
        if (of->calls == 0 && of->failed == 0 && of->rejected == 0)
            continue;
        buffer_printf(out,
                      "cmdstat_%s:calls=%" PRIu64 ",usec=%" PRIu64
                      ",usec_per_call=%.2f,rejected_calls=%" PRIu64 ",failed_calls=%" PRIu64 "\r\n",
                      e->name, of->calls, us, of->calls > 0 ? (double)us / (double)of->calls : 0.0,
                      of->rejected, of->failed);
    }
}

/* So many thousandths of the calls took at most that long. */
static uint64_t stats_percentile(const struct stats_of *of, uint64_t thousandths)
{
    uint64_t all = 0, seen = 0;
    for (size_t i = 0; i < STATS_PLACES; i++)
        all += of->places[i];
    uint64_t wanted = (all * thousandths + 500) / 1000;
    for (size_t i = 0; i < STATS_PLACES; i++) {
        seen += of->places[i];
        if (seen > 0 && seen >= wanted)
            return stats_value(i);
    }
    return stats_value(STATS_PLACES - 1);
}

void command_stats_latencies(const struct cache_node *n, struct buffer *out)
{
    struct command_stats *s = n->stats;
    if (s == NULL)
        return;
    for (const struct cache_command *e = NULL; (e = stats_next(s, e)) != NULL;) {
        const struct stats_of *of = stats_find(s, e);
        if (of->places == NULL)
            continue;
        buffer_printf(out, "latency_percentiles_usec_%s:p50=%.3f,p99=%.3f,p99.9=%.3f\r\n", e->name,
                      (double)stats_percentile(of, 500) / 1000,
                      (double)stats_percentile(of, 990) / 1000,
                      (double)stats_percentile(of, 999) / 1000);
    }
}
