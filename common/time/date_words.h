/*
 * date_words.h: dates as people write them: "yesterday", "next friday 2pm", "20 Nov 2026", ISO 8601.
 *
 * Runs where zone.h does. Pure: the zone and the time that it is are parameters. The grammar, in any case, blanks and
 * commas between words:
 *
 *   DAY [at] TIME | TIME DAY | DAY | now | N second(s)|minute(s)|hour(s) ago …
 *   DAY   today yesterday tomorrow midnight noon
 *         N UNIT ago|back · in N UNIT · N UNIT from now     N: a number, a, an, one … twelve; UNIT: second to year(s)
 *         [last|next] WEEKDAY                               never today; without a word: next; "mon" or "monday"
 *         last|next week|month|year                         its Monday, its 1st, 1 January
 *         2026-11-20 · 20 Nov 2026 · Nov 20 2026 · 11/20/2026
 *   TIME  HH:MM[:SS] · 2pm · 2:30pm
 *   ISO   2026-11-20T10:00[:00[.123456]][Z|+01:00|+0100|+01] · the same with a blank for the T
 *
 * Midnight unless a time is said; who counts hours, minutes or seconds has said one, as `now` has. A time that a
 * change of clocks skips is the first after the gap, one that comes twice the first (zone_utc).
 */
#ifndef COMMON_TIME_DATE_WORDS_H
#define COMMON_TIME_DATE_WORDS_H

#include "common/time/civil.h"
#include "common/time/zone.h"

#define DATE_WORDS_MAX 80 /* bytes of a text */

struct date_time {
    int64_t utc; /* seconds since 1970 */
    int32_t micro;
    int32_t offset;     /* of the zone's clocks then */
    struct civil local; /* what they show */
};

/*
 * Reads `text` as of `now` (seconds since 1970). 0; -EINVAL: no such date, longer than DATE_WORDS_MAX; -ERANGE: not
 * in the years 1 to 9999. `out` is as before then.
 */
int date_words_read(struct slice text, const struct zone *zone, int64_t now, struct date_time *out);

#define DATE_TEXT_SIZE 40

/*
 * ISO 8601 as Python's isoformat writes it: microseconds only when there are some; with the offset, or (`naive`)
 * without. Returns `text`.
 */
char *date_format(const struct date_time *date, bool naive, char text[DATE_TEXT_SIZE]);

#endif
