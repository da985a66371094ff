/* cache_rates.c: see cache_rates.h. */
#include "workers/cache/cache_rates.h"

#include "common/clock.h"
#include "workers/cache/cache_node.h"

#include <string.h>

static uint64_t rates_of(uint64_t now, uint64_t then, uint64_t ms)
{
    return (now - then) * 1000 / ms;
}

size_t cache_rates_peak(const struct cache_node *n)
{
    size_t now = cache_db_bytes(n->db);
    return now > n->rates.peak ? now : n->rates.peak;
}

void cache_rates_tick(struct cache_node *n)
{
    struct cache_rates *r = &n->rates;
    const struct cache_node_counts *c = &n->counts;
    uint64_t now_ms = clock_mono_ms(), ms = now_ms - r->at_ms;
    r->peak = cache_rates_peak(n);
    if (ms == 0)
        return;
    if (r->at_ms != 0) {
        r->ops = rates_of(c->commands, r->commands_then, ms);
        r->in_bytes = rates_of(c->in_bytes, r->in_then, ms);
        r->out_bytes = rates_of(c->out_bytes, r->out_then, ms);
    }
    r->at_ms = now_ms;
    r->commands_then = c->commands;
    r->in_then = c->in_bytes;
    r->out_then = c->out_bytes;
}

void cache_rates_error(struct cache_rates *r, const char *text, size_t len)
{
    size_t word = 0, at = 0;
    while (word < len && text[word] != ' ' && text[word] != '\r')
        word++;
    if (word == 0 || word >= CACHE_RATES_WORD)
        return;
    char name[CACHE_RATES_WORD] = "";
    memcpy(name, text, word);
    while (at < r->error_count && strcmp(r->errors[at].word, name) < 0)
        at++;
    if (at == r->error_count || strcmp(r->errors[at].word, name) != 0) {
        if (r->error_count == CACHE_RATES_ERRORS)
            return;
        memmove(&r->errors[at + 1], &r->errors[at], (r->error_count - at) * sizeof r->errors[0]);
        memcpy(r->errors[at].word, name, sizeof name);
        r->errors[at].count = 0;
        r->error_count++;
    }
    r->errors[at].count++;
}
