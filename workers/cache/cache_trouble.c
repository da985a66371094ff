/* cache_trouble.c: see cache_trouble.h. */
#include "workers/cache/cache_trouble.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool trouble_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Where the cause begins: behind the path of one object, which differs from the next one's. */
static const char *trouble_cause(const char *why)
{
    const char *end = why[0] == '/' ? strstr(why, ": ") : NULL;
    return end != NULL ? end : why;
}

/* Behind a number of milliseconds: how long something took is no cause. */
static const char *trouble_behind_ms(const char *at)
{
    size_t digits = strspn(at, "0123456789");
    return digits > 0 && strncmp(at + digits, " ms", 3) == 0 ? at + digits : at;
}

/* Never 0. */
static uint64_t trouble_hash(const char *what, const char *why)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (; *what != '\0'; what++)
        hash = (hash ^ (unsigned char)*what) * UINT64_C(1099511628211);
    const char *cause = trouble_cause(why);
    for (const char *at = cause; *at != '\0'; at++) {
        if (trouble_is_digit(*at) && (at == cause || !trouble_is_digit(at[-1])))
            at = trouble_behind_ms(at);
        hash = (hash ^ (unsigned char)*at) * UINT64_C(1099511628211);
    }
    return hash | 1;
}

static bool trouble_is_told(const struct cache_trouble *t, uint64_t cause, uint64_t now_ms)
{
    for (unsigned i = 0; i < CACHE_TROUBLE_CAUSES; i++)
        if (t->told[i].cause == cause && now_ms - t->told[i].at_ms < CACHE_TROUBLE_PERIOD_MS)
            return true;
    return false;
}

const char *cache_trouble_of(struct cache_trouble *t, const char *what, const char *why,
                             uint64_t now_ms)
{
    if (why[0] == '\0') {
        *t = (struct cache_trouble){0};
        return t->text;
    }
    uint64_t cause = trouble_hash(what, why);
    if (trouble_is_told(t, cause, now_ms))
        return t->text;
    t->told[t->next].cause = cause;
    t->told[t->next].at_ms = now_ms;
    t->next = (t->next + 1) % CACHE_TROUBLE_CAUSES;
    snprintf(t->text, sizeof t->text, "%s%s", what, why);
    return t->text;
}
