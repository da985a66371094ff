/*
 * sanjer_child.h: a child that an interpreter makes of itself for jobs; those that are killed behind their last one.
 *
 * Runs in sanjers, whose children they are (sanjer_python.h says whose else). Nothing here blocks.
 */
#ifndef WORKERS_JOBS_SANJER_CHILD_H
#define WORKERS_JOBS_SANJER_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A child for jobs, one after the other. The descriptors are our ends of its pipes, and its process. */
struct sanjer_child {
    pid_t pid; /* 0: it is gone */
    int pidfd, jobs, out, err, said;
    uint64_t number;
    uint64_t made_of; /* the signature of the folder as its interpreter has it */
    uint64_t served;  /* jobs that it has had */
    /*
     * It has said that nothing of its last job is there any more but itself, and runs nothing of the users' again: when
     * it is killed the next job may begin before it is gone.
     */
    bool alone;
};

/* A child's ends of its pipes, as they are sent: its jobs, its output, its errors, what it says. */
#define CHILD_ENDS 4

/* One that is not made yet, with its pipes; their other ends, the caller's, in `theirs`. NULL: there are none. */
struct sanjer_child *sanjer_child_new(int theirs[CHILD_ENDS]);

/* Kills it, if it is there, and lets go of it. Accepts NULL. */
void sanjer_child_free(struct sanjer_child *child);

/* Whether it is a child of ours that has not ended. */
bool sanjer_child_lives(const struct sanjer_child *child);

/* Children that go while the next job runs, at most: one more, and its end is waited for. */
#define GOING_MAX 4u

struct sanjer_going {
    struct {
        pid_t pid;
        int pidfd;
        uint64_t since_ms; /* clock_mono_ms, when it was killed */
        bool told;
    } all[GOING_MAX];
    size_t count;
};

/* As sanjer_child_free; one that is alone is remembered, if there is room, so that nobody need wait for its end. */
void sanjer_child_go(struct sanjer_child *child, struct sanjer_going *going);

/* Reaps those that have ended, unless a sweep has; says of one that is there for 5 s that it is. */
void sanjer_going_reap(struct sanjer_going *going);

/* Whether that is the number of one of them, and no other process has it by now. */
bool sanjer_going_has(const struct sanjer_going *going, pid_t pid);

/* Forgets all of them. */
void sanjer_going_close(struct sanjer_going *going);

#endif
