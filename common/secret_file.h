/*
 * secret_file.h: a small file with a secret, read whole, whenever it is needed.
 *
 * Runs in the master and in workers. What is done with it is its readers' (login_file.h, s3_credentials.h).
 */
#ifndef COMMON_SECRET_FILE_H
#define COMMON_SECRET_FILE_H

#include "common/slice.h"

#include <sys/stat.h>
#include <sys/types.h>

/*
 * The whole file into `text`. Its length, or a negative errno: -EINVAL: it is not a regular file; -EFBIG: it does not
 * fit (one byte stays free). *st, when it is not NULL: whose it is. Blocks on the disk, and never on a fifo in its
 * place.
 */
ssize_t secret_file_load(const char *path, char *text, size_t size, struct stat *st);

/* Why secret_file_load did not: a few words, without path or remedy. */
const char *secret_file_say(int rc);

/* Takes one line off *rest, without its end (\n, or \r\n). */
struct slice secret_file_line(struct slice *rest);

/*
 * A file that holds one line and nothing else, into `text` with a NUL behind it. 0; or a negative errno (-EBADMSG: it
 * holds none, several, or a NUL), `why` says it in one line: path, cause, remedy. Blocks as secret_file_load.
 */
int secret_file_read(const char *path, char *text, size_t size, char *why, size_t why_size);

/*
 * The same of a file that nobody but its owner may read or write (-EPERM, when others may), and that holds a `what`
 * ("cookie").
 */
int secret_file_read_private(const char *path, const char *what, char *text, size_t size, char *why,
                             size_t why_size);

#endif
