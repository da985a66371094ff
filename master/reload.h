/*
 * reload.h: from the running tree to what the file says now, or to another number of a pool.
 *
 * Runs in the master; SIGHUP, `platoonctl reload` and `platoonctl scale` come here. A configuration with any error
 * changes nothing. What changes is listed first; a dry run ends there. Nothing here waits: the supervisor brings the
 * changes about (supervisor_merged).
 */
#ifndef MASTER_RELOAD_H
#define MASTER_RELOAD_H

#include "master/master.h"

/*
 * Reads the master's file again. Returns 0 with a packed array of [action, name, why] in `changes` (tree_merge.h;
 * "update" "platoon" names keys of the platoon section); or an exit code of control.h with one line for each error in
 * `errors`, and nothing has changed.
 */
int reload_file(struct master *m, bool dry_run, struct buffer *changes, struct buffer *errors);

/* The same by SIGHUP: systemd is told, errors go to the log. While the master stops it does nothing. */
void reload_on_signal(struct master *m);

/*
 * Gives a pool another number of workers, as if it stood in the file: "site/web/api", "redis/visits/get-hash". Those
 * that stay keep their processes. Holds until the next reload_file. Returns as above; CONTROL_NO_NAME with `errors`
 * empty when there is no such pool.
 */
int reload_scale(struct master *m, struct slice name, uint64_t count, bool dry_run,
                 struct buffer *changes, struct buffer *errors);

/*
 * Sends log lines where the configuration wants them. 0, or a negative errno, with an error in the log, which
 * goes where it went before.
 */
int reload_log(struct master *m);

/* After an upgrade, before reload_log: the log's file as the last master has left it open. */
void reload_log_resume(struct master *m);

/* Lines of preflight_check_tree's `warnings` to the log. */
void reload_log_warnings(struct buffer *warnings);

/*
 * Takes over the keys of the platoon section that the master itself uses and that may change while it
 * runs. Also at the start.
 */
void reload_settings(struct master *m);

#endif
