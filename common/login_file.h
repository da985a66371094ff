/*
 * login_file.h: the password file.
 *
 * Runs in Redis workers, under redis_conn.c, and in the master, which tells an embedded server its password. The secret
 * is read whenever it is needed and wiped after use: so a rotated password is picked up, and none lies about in memory
 * or in a message.
 */
#ifndef COMMON_LOGIN_FILE_H
#define COMMON_LOGIN_FILE_H

#include "common/slice.h"

#define LOGIN_FILE_SIZE 4096

struct login_file {
    struct slice user; /* empty: the file does not name one */
    struct slice password;
    char text[LOGIN_FILE_SIZE]; /* what the slices point into */
};

/*
 * Reads the file: the password, or the user on the first line and the password on the second. 0, or a negative
 * errno with one line in `why` that names file and remedy and shows nothing of its content. Blocks on the file,
 * which must be a regular one.
 */
int login_file_read(struct login_file *login, const char *path, char *why, size_t why_size);

void login_file_wipe(struct login_file *login);

#endif
