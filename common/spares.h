/*
 * spares.h: pieces of memory of one size that are used again, for what comes and goes by the thousand.
 *
 * Runs in every process. Pure. malloc keeps but seven freed pieces of a size at hand; with more of them under way at
 * once each costs it a search and a merge. Here what is given back is the next that is taken, up to a bound: what was
 * there once at the same time stays, and no more than that.
 */
#ifndef COMMON_SPARES_H
#define COMMON_SPARES_H

#include <stddef.h>

struct spares {
    size_t size; /* bytes of a piece; at least a pointer's */
    size_t max;  /* most that are kept */
    size_t count;
    void *first;
};

#define SPARES(size_, max_) ((struct spares){.size = (size_), .max = (max_)})

/* Of any content; for spares_give, or free. NULL: memory is short. */
void *spares_take(struct spares *s);

/* Accepts NULL. */
void spares_give(struct spares *s, void *piece);

/* Those that are kept are freed; what was taken is not. */
void spares_fini(struct spares *s);

#endif
