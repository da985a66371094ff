/*
 * log_files.h: whether two programs would write one log file: each rotates its own, and would move it away under the
 * other's hands.
 *
 * Runs in the master and in the tool, when the tree stands. Compares names; touches no file.
 */
#ifndef MASTER_PROGRAM_LOG_FILES_H
#define MASTER_PROGRAM_LOG_FILES_H

#include "master/build/builder.h"

/* A failure of the builder's, "file:line: log_file: …", for each that stands there a further time. */
void log_files_check(struct tree_builder *b);

#endif
