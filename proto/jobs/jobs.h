/*
 * jobs.h: the lists of the jobs in RQ's keys: their scripts.
 *
 * What the columns of each list mean: proto/systems.h. What is in Redis, what each script is for, and what is promised:
 * JOBS.md.
 */
#ifndef PROTO_JOBS_JOBS_H
#define PROTO_JOBS_JOBS_H

/* clang-format off */
/* What each script begins with; what takes a job. */
#define JOBS_PARTS_LIB  "redis/call.lua queue/queue_turns.lua jobs/jobs_lib.lua"
#define JOBS_PARTS_TAKE JOBS_PARTS_LIB " jobs/jobs_take.lua"

#define JOBS_SCRIPTS(X) \
    X(JOBS_ENQUEUE, jobs_enqueue, "jobs/jobs_enqueue.lua", JOBS_PARTS_LIB) \
    X(JOBS_CLAIM, jobs_claim, "jobs/jobs_claim.lua", JOBS_PARTS_TAKE) \
    X(JOBS_BEAT, jobs_beat, "jobs/jobs_beat.lua", JOBS_PARTS_LIB) \
    X(JOBS_FINISH, jobs_finish, "jobs/jobs_finish.lua", JOBS_PARTS_TAKE) \
    X(JOBS_ORPHANS, jobs_orphans, "jobs/jobs_orphans.lua", JOBS_PARTS_LIB) \
    X(JOBS_DUE, jobs_due, "jobs/jobs_due.lua", JOBS_PARTS_LIB) \
    X(JOBS_CANCEL, jobs_cancel, "jobs/jobs_cancel.lua", JOBS_PARTS_LIB) \
    X(JOBS_RETRY, jobs_retry, "jobs/jobs_retry.lua", JOBS_PARTS_LIB) \
    X(JOBS_EXPIRE, jobs_expire, "jobs/jobs_expire.lua", JOBS_PARTS_LIB)
/* clang-format on */

#endif
