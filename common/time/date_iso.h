/*
 * date_iso.h: ISO 8601's own form of a date and time, as it is exchanged between programs.
 *
 * Runs where date_words.h does, which is for everybody else. Pure.
 */
#ifndef COMMON_TIME_DATE_ISO_H
#define COMMON_TIME_DATE_ISO_H

#include "common/slice.h"
#include "common/time/civil.h"

struct date_iso {
    struct civil local;
    int32_t micro;
    bool absolute;  /* an offset, or Z, has been said */
    int32_t offset; /* seconds east of UTC */
};

/*
 * YYYY-MM-DD, behind it T, t or blanks and HH:MM[:SS[.F…]], behind that Z, z or ±HH[[:]MM]. Digits after the sixth
 * of a fraction are cut off. False: it is none, or there is no such day or time.
 */
bool date_iso_read(struct slice text, struct date_iso *out);

#endif
