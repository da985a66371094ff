/*
 * snapshot_limits.h: what a snapshot's resources may be at most, for those who check and those who do.
 */
#ifndef PROTO_SNAPSHOT_SNAPSHOT_LIMITS_H
#define PROTO_SNAPSHOT_SNAPSHOT_LIMITS_H

/* Bytes of a path in a repository; git takes more, file systems do not. */
#define SNAPSHOT_PATH_MAX 200

/* Bytes travel in pieces of so many, so that no answer keeps others waiting. */
#define SNAPSHOT_PIECE_MAX (256u * 1024)

/* Resources that one is made from; letters of the command that makes it, all of which its versions name. */
#define SNAPSHOT_INPUTS_MAX  32
#define SNAPSHOT_COMMAND_MAX 1000

/* Resources that a what-if replaces; letters of what it is known by while its bytes travel. */
#define SNAPSHOT_GIVEN_MAX 32
#define SNAPSHOT_ASK_MAX   40

/* What is kept of what a run says on stderr. */
#define SNAPSHOT_SAID_MAX 16384

/* The largest version there may be (size_max). */
#define SNAPSHOT_BYTES_MAX (20u * 1024 * 1024)

/*
 * In the repository: who writes it has it locked, and has written its process' number there. In two parts, for
 * "platoon.NAME" is how settings are called (check-rooms).
 */
/* clang-format off */
#define SNAPSHOT_LOCK "platoon" ".lock"
/* clang-format on */

#endif
