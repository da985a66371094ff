/*
 * job_setting_value.h: one setting's type, and a value of it.
 *
 * Runs where job_settings.h does, which is for everybody else. Pure.
 */
#ifndef WORKERS_JOBS_JOB_SETTING_VALUE_H
#define WORKERS_JOBS_JOB_SETTING_VALUE_H

#include "common/time/zone.h"

#include <jansson.h>

enum job_setting_type {
    JOB_SETTING_STR,
    JOB_SETTING_INT,
    JOB_SETTING_FLOAT,
    JOB_SETTING_BOOL,
    JOB_SETTING_DATETIME,
    JOB_SETTING_LIST,
    JOB_SETTING_DICT,
    JOB_SETTING_TYPES
};

const char *job_setting_type_name(enum job_setting_type type);

/* JOB_SETTING_TYPES: there is none of that name. */
enum job_setting_type job_setting_type_find(const char *name);

/*
 * The value as one of the type. 0: *out is a new reference; -EINVAL: it is none and does not read as one; -ENOMEM.
 */
int job_setting_value_read(enum job_setting_type type, const json_t *value, const struct zone *zone,
                           int64_t now, json_t **out);

#endif
