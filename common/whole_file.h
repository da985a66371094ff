/*
 * whole_file.h: a small file that is there whole or as it was before, also after a power failure.
 *
 * Runs in the master, and in a worker that starts. For what the next start depends on: a file that is written in its
 * place may be found empty.
 */
#ifndef COMMON_WHOLE_FILE_H
#define COMMON_WHOLE_FILE_H

#include "common/slice.h"

/*
 * Writes `text` to `path` (0600) by a file beside it, PATH.new, that takes its place. A link there is replaced, and not
 * followed; the directory must be one where nobody else may write. 0 or a negative errno, and what was there is as it
 * was. Blocks on the disk.
 */
int whole_file_write(const char *path, struct slice text);

#endif
