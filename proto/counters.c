/* counters.c: names of the counters, expanded from the lists of all systems. */
#include "proto/counters.h"

#include <string.h>

static const struct {
    const char *name;
    bool monotonic;
} counters[] = {
#define COUNTER                   true
#define GAUGE                     false
#define X(NAME, name, kind, help) [COUNTER_##NAME] = {name, kind},
    SYSTEMS(COUNTERS, X)
#undef X
#undef COUNTER
#undef GAUGE
#define CELL(NAME, i, text) [COUNTER_##NAME + (i)] = {text, true}
#define X(NAME, name, help)                                                                        \
    CELL(NAME, 0, name "_bucket{le=\"0.001\"}"), CELL(NAME, 1, name "_bucket{le=\"0.005\"}"),      \
        CELL(NAME, 2, name "_bucket{le=\"0.01\"}"), CELL(NAME, 3, name "_bucket{le=\"0.05\"}"),    \
        CELL(NAME, 4, name "_bucket{le=\"0.1\"}"), CELL(NAME, 5, name "_bucket{le=\"0.5\"}"),      \
        CELL(NAME, 6, name "_bucket{le=\"1\"}"), CELL(NAME, 7, name "_bucket{le=\"5\"}"),          \
        CELL(NAME, 8, name "_bucket{le=\"10\"}"), CELL(NAME, 9, name "_bucket{le=\"60\"}"),        \
        CELL(NAME, 10, name "_bucket{le=\"300\"}"), CELL(NAME, 11, name "_bucket{le=\"1800\"}"),   \
        CELL(NAME, 12, name "_bucket{le=\"3600\"}"), CELL(NAME, HISTOGRAM_ALL, name "_count"),     \
        CELL(NAME, HISTOGRAM_SUM_MS, name "_sum_ms"),
        SYSTEMS(HISTOGRAMS, X)
#undef X
#undef CELL
};

const struct histogram_bound histogram_bounds[HISTOGRAM_BOUNDS] = {
    {1, "0.001"},    {5, "0.005"},      {10, "0.01"},     {50, "0.05"},  {100, "0.1"},
    {500, "0.5"},    {1000, "1"},       {5000, "5"},      {10000, "10"}, {60000, "60"},
    {300000, "300"}, {1800000, "1800"}, {3600000, "3600"}};

static const struct {
    enum counter first;
    const char *name, *help;
} histograms[] = {
#define X(NAME, name, help) {COUNTER_##NAME, name, help},
    SYSTEMS(HISTOGRAMS, X)
#undef X
        {COUNTER_COUNT, NULL, NULL}, /* there may be none */
};

static const char *const warnings[COUNTER_COUNT] = {
#define X(NAME, sentence) [COUNTER_##NAME] = sentence,
    SYSTEMS(WARNINGS, X)
#undef X
};

const char *counter_warning(enum counter counter)
{
    return warnings[counter];
}

const char *counter_name(enum counter counter)
{
    return counters[counter].name;
}

bool counter_is_monotonic(enum counter counter)
{
    return counters[counter].monotonic;
}

enum counter counter_find(const char *name, size_t len)
{
    for (int i = 0; i < COUNTER_COUNT; i++)
        if (strlen(counters[i].name) == len && memcmp(counters[i].name, name, len) == 0)
            return (enum counter)i;
    return COUNTER_COUNT;
}

bool counter_histogram(size_t i, enum counter *first, const char **name, const char **help)
{
    if (i >= sizeof histograms / sizeof histograms[0] - 1)
        return false;
    *first = histograms[i].first;
    *name = histograms[i].name;
    *help = histograms[i].help;
    return true;
}
