/*
 * job_decimal.h: sums of decimal numbers as text, without loss.
 *
 * Runs in job-store. Pure. 0.1 and 0.2 are 0.3 here, and money is not rounded, whatever the number of its digits.
 */
#ifndef WORKERS_JOBS_STORE_JOB_DECIMAL_H
#define WORKERS_JOBS_STORE_JOB_DECIMAL_H

#include "common/slice.h"

/* Digits before and behind the point: all that a double can have, and what a sum may carry. */
#define JOB_DECIMAL_WHOLE 340
#define JOB_DECIMAL_PARTS 360

/* Of a sum's text, with its sign, point and NUL. */
#define JOB_DECIMAL_TEXT (JOB_DECIMAL_WHOLE + JOB_DECIMAL_PARTS + 4)

/*
 * The sum of two numbers: -12, 3.50, .5, 1e-7. It has as many digits behind the point as the one that has more: 1.50
 * and 1.5 are 3.00. False: one of them is no number, or has more digits than the above; `sum` is not written then.
 */
bool job_decimal_add(struct slice a, struct slice b, char sum[JOB_DECIMAL_TEXT]);

#endif
