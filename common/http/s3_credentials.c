/* s3_credentials.c: see s3_credentials.h. */
#include "common/http/s3_credentials.h"

#include "common/secret_file.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

static struct slice s3_trim(struct slice s)
{
    while (s.len > 0 && isspace((unsigned char)s.ptr[0]))
        s = slice_make(s.ptr + 1, s.len - 1);
    while (s.len > 0 && isspace((unsigned char)s.ptr[s.len - 1]))
        s.len--;
    return s;
}

/* One line; *in: whether it stands in the section that counts. */
static void s3_credentials_line(struct s3_credentials_file *file, struct slice line, bool *in)
{
    line = s3_trim(line);
    if (line.len == 0 || line.ptr[0] == '#' || line.ptr[0] == ';')
        return;
    if (line.ptr[0] == '[') {
        *in = slice_is(line, "[default]");
        return;
    }
    const char *equals = memchr(line.ptr, '=', line.len);
    if (equals == NULL || !*in)
        return;
    struct slice name = s3_trim(slice_make(line.ptr, (size_t)(equals - line.ptr)));
    struct slice value =
        s3_trim(slice_make(equals + 1, (size_t)(line.ptr + line.len - equals - 1)));
    if (slice_is(name, "aws_access_key_id"))
        file->access_key = value;
    else if (slice_is(name, "aws_secret_access_key"))
        file->secret_key = value;
    else if (slice_is(name, "aws_session_token"))
        file->token = value;
}

int s3_credentials_read(struct s3_credentials_file *file, const char *path, char *why,
                        size_t why_size)
{
    struct stat st;
    ssize_t len = secret_file_load(path, file->text, sizeof file->text, &st);
    file->access_key = file->secret_key = file->token = slice_of("");
    int rc = len < 0 ? (int)len : (st.st_mode & 077) != 0 ? -EPERM : 0;
    if (len < 0)
        snprintf(why, why_size, "cannot read credentials_file %s: %s", path,
                 secret_file_say((int)len));
    else if (rc != 0)
        snprintf(why, why_size, "credentials_file %s can be read by others: chmod 600 %s", path,
                 path);
    struct slice rest = slice_make(file->text, rc == 0 ? (size_t)len : 0);
    for (bool in = true; rest.len > 0;)
        s3_credentials_line(file, secret_file_line(&rest), &in);
    if (rc == 0 && (file->access_key.len == 0 || file->secret_key.len == 0)) {
        rc = -EINVAL;
        snprintf(why, why_size,
                 "credentials_file %s has no %s in [default]: write aws_access_key_id = … and "
                 "aws_secret_access_key = … into it",
                 path, file->access_key.len == 0 ? "aws_access_key_id" : "aws_secret_access_key");
    }
    if (rc != 0)
        s3_credentials_wipe(file);
    return rc;
}

void s3_credentials_wipe(struct s3_credentials_file *file)
{
    explicit_bzero(file, sizeof *file);
}
