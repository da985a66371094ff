/*
 * job_field.h: fields of ours in the hash of a job, which RQ keeps. What each says: JOBS.md.
 *
 * Used by the workers of jobs.
 */
#ifndef PROTO_JOBS_JOB_FIELD_H
#define PROTO_JOBS_JOB_FIELD_H

/* JOB_FIELD("cause"): its name in Redis. */
#define JOB_FIELD_PREFIX "platoon."
#define JOB_FIELD(name)  JOB_FIELD_PREFIX name

#endif
