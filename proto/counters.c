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
