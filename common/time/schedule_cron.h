/*
 * schedule_cron.h: the five fields of cron, read.
 *
 * Runs where schedule.h does; only schedule.c uses it. Pure.
 */
#ifndef COMMON_TIME_SCHEDULE_CRON_H
#define COMMON_TIME_SCHEDULE_CRON_H

#include "common/time/schedule.h"

/* 0; -EINVAL and why, which has room for SCHEDULE_WHY_SIZE bytes. */
int schedule_cron_read(const char *text, struct schedule *out, char *why);

#endif
