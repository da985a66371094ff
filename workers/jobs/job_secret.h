/*
 * job_secret.h: what of a setting's value is secret although the setting is not: {"settings": {"password": …}}.
 *
 * Runs in collectors and sanjers. Pure. A member of an object whose name holds password, passwd, secret, token or
 * api_key, however deep, is secret; a list with such a member somewhere in it is so as a whole, because what stands in
 * lists has no name by which it could be put together again (job_secret_join).
 */
#ifndef WORKERS_JOBS_JOB_SECRET_H
#define WORKERS_JOBS_JOB_SECRET_H

#include <jansson.h>
#include <stdbool.h>

#define JOB_SECRET_MASK "***"

bool job_secret_is_name(const char *name);

/* Whether there is one in it. */
bool job_secret_in(const json_t *value);

/* A copy with each of them masked that is not null. NULL: memory is short. */
json_t *job_secret_mask(const json_t *value);

/* What that copy leaves out, in the same objects; empty without any. NULL: it is no object, or memory is short. */
json_t *job_secret_pick(const json_t *object);

/* Puts what was left out back into a masked object. 0, or -1: memory is short. */
int job_secret_join(json_t *masked, const json_t *picked);

#endif
