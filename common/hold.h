/*
 * hold.h: a file or directory that belongs to one process, or to the processes of one platoon.
 *
 * Runs in the master (runtime_dir, state_dir, its log), in command workers (the embedded server's data, log files) and
 * in transfer workers (stores). flock(2), or fcntl(2) with F_OFD_SETLK: they belong to the open file, so they
 * survive exec and are shared with a child that inherits the descriptor, and end with the last of them, however they
 * die. Advisory: it
 * keeps out who asks, which is every platoon.
 */
#ifndef COMMON_HOLD_H
#define COMMON_HOLD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Takes the lock of the file at `path`, which is made (0600), and writes our pid into it. Never waits longer than
 * `within_ms`; 0: not at all. Returns the descriptor (close-on-exec), which holds it until it is closed everywhere;
 * -EWOULDBLOCK when another process has it, its pid in *holder (0: not known); or another negative errno. A link is
 * -ELOOP, what is no plain file -EINVAL, what has a second name -EMLINK.
 */
int hold_take(const char *path, uint64_t within_ms, pid_t *holder);

/*
 * As hold_take, of the file that `fd` is open on for writing, and nothing is written into it. 0, -EWOULDBLOCK: another
 * that may write it, too; or another negative errno: a file system without locks. Others may be able to read this one:
 * they hold nothing, whatever they lock.
 */
int hold_lock(int fd, uint64_t within_ms);

/* A copy of the descriptor by which this process itself holds the file that `fd` is open on; -1: it does not. */
int hold_ours(int fd);

/* The process that has locked the file that `fd` is open on; 0: not known. Reads /proc. */
pid_t hold_holder(int fd);

#define HOLD_WHO_MAX 1024

/* The lock file in a directory that belongs to one process. */
#define HOLD_DIR_NAME "platoon.lock"

/*
 * What hold_share takes for all workers of the platoon whose state directory that is. Its inode is in it as well: two
 * containers may call theirs the same. Blocks for stat. 0; or a negative errno: of the directory nothing is known, and
 * its name alone is in it.
 */
int hold_who(const char *state_dir, char who[HOLD_WHO_MAX]);

/*
 * Shares the lock file at `path` (made with `mode`) with whoever names the same `who`, and with nobody else: the first
 * writes it there. `who` is a line for people and, if there is one, on a second the path of a lock of hold_take's:
 * while somebody has that, it stays theirs, although just now none of them may have it open. Does not wait. Callers for
 * one path must call one after the other. Returns the descriptor, which holds it; -EWOULDBLOCK when others have it,
 * their line in `other`; or another negative errno, as hold_take.
 */
int hold_share(const char *path, mode_t mode, const char *who, char other[HOLD_WHO_MAX]);

/* True while `fd` is the file that stands at `path`: nobody has removed or replaced it. */
bool hold_is_at(int fd, const char *path);

/* The descriptor of the file at `path` that this process has open already, as after exec; -1: none. */
int hold_find(const char *path);

#endif
