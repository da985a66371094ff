/*
 * zone_rule.h: a rule for all years to come, "CET-1CEST,M3.5.0,M10.5.0/3" (POSIX TZ, with the hours of RFC 8536).
 *
 * Runs where zone.h does; only zone.c uses it. Pure.
 */
#ifndef COMMON_TIME_ZONE_RULE_H
#define COMMON_TIME_ZONE_RULE_H

#include "common/slice.h"

#include <stdint.h>

struct zone_rule_day {
    enum { ZONE_RULE_JULIAN, ZONE_RULE_ORDINAL, ZONE_RULE_WEEKDAY } kind;
    int month, week, day; /* the first two of ZONE_RULE_WEEKDAY alone */
    int32_t time;         /* seconds from that day's midnight, may be negative */
};

struct zone_rule {
    int32_t standard, summer; /* offsets from UTC */
    bool changes;             /* twice a year */
    struct zone_rule_day start, end;
};

/* 0 or -EINVAL. */
int zone_rule_parse(struct slice text, struct zone_rule *out);

/* The offset at `utc`. */
int32_t zone_rule_offset(const struct zone_rule *r, int64_t utc);

/* The first change after `utc`; INT64_MAX: none. */
int64_t zone_rule_next(const struct zone_rule *r, int64_t utc);

#endif
