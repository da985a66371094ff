/*
 * crash.h: what is known of a worker's abnormal end, kept as one file each: STATE_DIR/crashes/<id>.<time>.<generation>.
 *
 * Runs in the master, at a death. Writes a file of some KB without syncing it: a few milliseconds at worst, and never
 * twice for one death; when the loop runs, behind the start of the successor, which shall not wait for it. The newest
 * `keep` of each worker stay. A disk that takes nothing costs the report and a warning, nothing else.
 */
#ifndef MASTER_CRASH_H
#define MASTER_CRASH_H

#include "master/logs/collect.h"
#include "master/tree/death.h"

#include <uv.h>

/*
 * From now on reports wait for the loop's next idle moment; before that, and after crash_stop, each is written at once.
 */
void crash_start(uv_loop_t *loop);
void crash_stop(void);

/* Writes what waits. */
void crash_flush(void);

/* `state_dir` must live as long as the master. keep = 0: no reports are written. */
void crash_setup(const char *state_dir, uint64_t keep);

/*
 * Writes the report of a death that was not orderly, with its last lines, a backtrace among them. A death_reader;
 * reads the worker as it died.
 */
void crash_on_death(const struct death *d);

/*
 * Appends an array of maps {name, generation, time_ms, cause, file}, newest first, of the reports of `name`
 * (as in logs.h; "" for all), at most `limit`. Reads the files' heads: blocks on the disk for some
 * milliseconds. Returns how many.
 */
size_t crash_list(struct buffer *out, struct slice name, size_t limit);

/* Appends the text of the newest report of `name`. False when there is none that can be read. */
bool crash_show(struct buffer *out, struct slice name);

#endif
