/*
 * text.h: numbers, durations and sizes as people write and read them, and the nearest word to a mistyped one.
 *
 * Runs in every process. Pure functions without locale: strtoul and friends are not used because they take leading
 * blanks, signs and trailing garbage, and saturate instead of failing.
 */
#ifndef COMMON_TEXT_H
#define COMMON_TEXT_H

#include "common/slice.h"

#include <stdint.h>

/* A whole number: digits only, nothing before or after. Returns 0; -EINVAL; -ERANGE above UINT64_MAX. */
int text_parse_u64(struct slice text, uint64_t *out);

/*
 * A duration: digits and one of ms, s, m, h, d ("250ms", "1d"); only "0" may stand without a unit. Returns 0 and
 * milliseconds; -EINVAL; -ERANGE when it does not fit.
 */
int text_parse_span(struct slice text, uint64_t *ms);

/*
 * A number of bytes, or with KB, MB, GB or TB in any case ("64KB"), powers of 1024. Returns 0 and bytes; -EINVAL;
 * -ERANGE when it does not fit.
 */
int text_parse_size(struct slice text, uint64_t *bytes);

#define TEXT_NUMBER_SIZE 32 /* holds the output of any function below */

/* The shortest exact text that the parser above reads back to the same value: "250ms", "90s", "2m"; "64KB", "1000". */
char *text_format_span(uint64_t ms, char text[TEXT_NUMBER_SIZE]);
char *text_format_size(uint64_t bytes, char text[TEXT_NUMBER_SIZE]);

/* Rounded, for people to read at a glance: "999B", "1.5MB", "12GB". */
char *text_format_size_short(uint64_t bytes, char text[TEXT_NUMBER_SIZE]);

/* With a comma between thousands: "1,234,567". */
char *text_format_count(uint64_t count, char text[TEXT_NUMBER_SIZE]);

/* Longest word that takes part in a comparison; a longer one is near to nothing. */
#define TEXT_WORD_MAX 64

/*
 * Edit distance: how many letters must be inserted, deleted, replaced or swapped with their neighbour to turn a into b.
 * SIZE_MAX when one is longer than TEXT_WORD_MAX.
 */
size_t text_distance(struct slice a, struct slice b);

/*
 * Finds the nearest of several words: start, offer each, read `best`. Near means at most a third of its letters wrong.
 */
struct text_nearest {
    struct slice word;
    const char *best; /* NULL while none is near; as offered, not copied */
    size_t distance;
};

struct text_nearest text_nearest_start(struct slice word);
void text_nearest_offer(struct text_nearest *n, const char *candidate);

#endif
