/*
 * cache_rates.h: what INFO tells of a cache node that is no count: how much a second, how much at most, which errors.
 *
 * Runs in a cache node; one thread. A tick a second reads the counts that are there anyway, so that no command pays for
 * it; an error is counted where it is written. Errors are told apart by their first word, as Redis does (errorstat_),
 * and no more than CACHE_RATES_ERRORS of them.
 */
#ifndef WORKERS_CACHE_RATES_H
#define WORKERS_CACHE_RATES_H

#include <stddef.h>
#include <stdint.h>

#define CACHE_RATES_ERRORS 24
#define CACHE_RATES_WORD   16

struct cache_node;

struct cache_rates_error {
    char word[CACHE_RATES_WORD]; /* "TRYAGAIN" */
    uint64_t count;
};

/* Zeroed before its first use. */
struct cache_rates {
    uint64_t at_ms, commands_then, in_then,
        out_then;                      /* as the last tick found them; at_ms 0: none has */
    uint64_t ops, in_bytes, out_bytes; /* a second */
    size_t peak;                       /* most bytes of objects */
    struct cache_rates_error errors[CACHE_RATES_ERRORS]; /* in the order of their words */
    size_t error_count;
};

/* Once a second. */
void cache_rates_tick(struct cache_node *n);

/* An error's text behind its dash, of `len` bytes. */
void cache_rates_error(struct cache_rates *r, const char *text, size_t len);

/* The most there has been, now included. */
size_t cache_rates_peak(const struct cache_node *n);

#endif
