/*
 * job_timetable.h: the schedules of a section: what is due is made, once.
 *
 * Runs in the keeper. The truth is in Redis (jobs_schedule.lua); it keeps nothing but what it has just asked the
 * collector to make. A job's id is its schedule's name and due time, so that nobody makes one twice: not two keepers,
 * nor one that has died before it could tell, nor one whose clock was set back.
 */
#ifndef WORKERS_JOBS_JOB_TIMETABLE_H
#define WORKERS_JOBS_JOB_TIMETABLE_H

#include "workers/jobs/job_redis.h"
#include "workers/jobs/job_schedule.h"

struct job_timetable {
    struct worker *w;
    struct job_redis *redis;
    struct zone *zone;
    bool synced;  /* those of the file are in Redis */
    bool looking; /* an answer of `look` is due */
    uint64_t token, asked_ms;
    char name[JOB_SCHEDULE_NAME_MAX +
              1]; /* whose job the collector has been asked for; "": nobody's */
    int64_t due;
};

/* Reads the zone. 0 or an exit code, after worker_trouble. */
int job_timetable_open(struct job_timetable *t, struct worker *w, struct job_redis *redis);
void job_timetable_close(struct job_timetable *t);

/* Redis is there, again. */
void job_timetable_on_redis(struct job_timetable *t);
/* Once a second. */
void job_timetable_tick(struct job_timetable *t);
/* The collector's answer, a message SAID. False: it cannot be read. */
bool job_timetable_said(struct job_timetable *t, struct unpack *u);

#endif
