/*
 * s3_credentials.h: AWS' credentials file.
 *
 * Runs in workers that keep objects in S3. The form of ~/.aws/credentials: sections in brackets, of which [default] is
 * read (or what stands before the first), `name = value` lines, comments with # or ;. Others must not be able to read
 * it. The secret is read when it is needed anew (a rotated one is picked up) and wiped at the end.
 * Source: https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-files.html
 */
#ifndef COMMON_S3_CREDENTIALS_H
#define COMMON_S3_CREDENTIALS_H

#include "common/slice.h"

#define S3_CREDENTIALS_SIZE 8192

struct s3_credentials_file {
    struct slice access_key, secret_key; /* neither is empty */
    struct slice token;                  /* aws_session_token; empty: none */
    char text[S3_CREDENTIALS_SIZE];      /* what the slices point into */
};

/*
 * Reads it. 0, or a negative errno with one line in `why` that names file and remedy and shows nothing of its content
 * (-EPERM: others may read it; -EINVAL: a key is missing). Blocks on the file, which must be a regular one.
 */
int s3_credentials_read(struct s3_credentials_file *file, const char *path, char *why,
                        size_t why_size);

void s3_credentials_wipe(struct s3_credentials_file *file);

#endif
