/*
 * job_catalog.h: the platforms of a section with what each says of itself, read anew when its file changes.
 *
 * Runs in collectors. Programs are asked one after the other, all classes at once of the interpreter
 * (python/platoon_jobs.py --specs), without blocking; until a file has been read nothing is known
 * of its platform, and whoever needs it waits for that (job_catalog_fn). What does not load, or is there twice, is
 * broken and says why; that harms no other.
 */
#ifndef WORKERS_JOBS_JOB_CATALOG_H
#define WORKERS_JOBS_JOB_CATALOG_H

#include "workers/jobs/job_platform.h"
#include "workers/jobs/job_spec_read.h"
#include "workers/jobs/job_user.h"

struct job_catalog;

/* One more file has been read, or all have. */
typedef void (*job_catalog_fn)(void *ctx);

/* A platform, until the next turn of the loop. */
struct job_catalog_platform {
    const char *id, *file;
    const struct job_platform_spec *spec; /* NULL: it is broken */
    const char *why;                      /* why it is; "" when it is not */
};

/*
 * NULL: memory is short. `folder` must live as long, and so must what classes are read with: `python`, the program, and
 * `path`, folders with colons between them, "" for none.
 */
struct job_catalog *job_catalog_new(uv_loop_t *loop, const char *folder, const char *python,
                                    const char *path, job_catalog_fn fn, void *ctx);
/* From now on they are read as this user; NULL: as we are. It must live as long. */
void job_catalog_set_user(struct job_catalog *c, struct job_user *user);
/* Ends what is being read; the loop must turn once more. NULL is nothing. */
void job_catalog_free(struct job_catalog *c);

/*
 * Looks at the folder, which blocks for as long as that takes. 0; -EBUSY: files are being read, fn tells; another
 * negative errno: the folder cannot be read.
 */
int job_catalog_look(struct job_catalog *c);

/*
 * Finds a platform as of now. 0: *out is it, and it is sound; -EBUSY: its file is being read, fn tells; -ENOENT: there
 * is none such; -EINVAL: it is broken; `why` says more of both.
 */
int job_catalog_find(struct job_catalog *c, struct slice id, struct job_catalog_platform *out,
                     char *why, size_t size);

/* Calls fn for each that has been read, by id; those that are there twice as broken, once. */
void job_catalog_each(struct job_catalog *c,
                      void (*fn)(const struct job_catalog_platform *p, void *ctx), void *ctx);

#endif
