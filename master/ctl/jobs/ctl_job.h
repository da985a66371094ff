/*
 * ctl_job.h: what the files of the verbs of jobs share: whom they ask, with which words.
 *
 * Runs in platoonctl.
 */
#ifndef MASTER_CTL_JOBS_CTL_JOB_H
#define MASTER_CTL_JOBS_CTL_JOB_H

#include "master/ctl/ctl.h"
#include "master/ctl/ctl_table.h"
#include "proto/contract.h"

#define CTL_JOB_WORDS_MAX 256

struct ctl_job_words {
    const char *on; /* NULL: the only section there is */
    const char *list[CTL_JOB_WORDS_MAX];
    int count;
    char section[CONTRACT_NAME_MAX];
};

/*
 * Takes `--on` out, of each option of `options` (NULL at its end, and NULL for none) its value into `values`; there
 * must be `min` to `max` other words; and the section is found. 0, or the exit code, the reason printed.
 */
int ctl_job_begin(struct ctl *c, struct ctl_job_words *words, int min, int max,
                  const char *const *options, const char **values);

/* Asks the collector of the section. On 0 *answer is the caller's, for json_decref; else the reason is printed. */
int ctl_job_ask(struct ctl *c, const char *section, const char *verb, size_t count,
                const struct slice *args, json_t **answer);

/* --settings: a JSON object, or @FILE that holds one. NULL: the reason is printed. */
json_t *ctl_job_settings(struct ctl *c, const char *given);

/* A cell of what a member of an object is. */
void ctl_job_cell(struct ctl_table *t, const json_t *object, const char *key);

/* Whether a job of that status has ended. */
bool ctl_job_is_over(const char *status);

/* Until the job has ended: its exit code (0 finished, 1 ended otherwise), with the job in *job. */
int ctl_job_wait(struct ctl *c, const char *section, const char *job, json_t **last);

#endif
