/* login_file.c: reads a password file. See login_file.h. */
#include "common/login_file.h"

#include "common/secret_file.h"

#include <errno.h>
#include <stdio.h>

int login_file_read(struct login_file *login, const char *path, char *why, size_t why_size)
{
    ssize_t len = secret_file_load(path, login->text, sizeof login->text, NULL);
    if (len < 0) {
        snprintf(why, why_size, "cannot read password_file %s: %s", path,
                 secret_file_say((int)len));
        return (int)len;
    }
    struct slice rest = slice_make(login->text, (size_t)len);
    struct slice first = secret_file_line(&rest);
    struct slice second = secret_file_line(&rest);
    login->user = second.len > 0 ? first : slice_of("");
    login->password = second.len > 0 ? second : first;
    if (login->password.len > 0 && rest.len == 0)
        return 0;
    snprintf(why, why_size,
             "password_file %s %s: write the password into it, or user and password on two lines",
             path, rest.len > 0 ? "has more than two lines" : "is empty");
    login_file_wipe(login);
    return -EINVAL;
}

void login_file_wipe(struct login_file *login)
{
    explicit_bzero(login, sizeof *login);
}
