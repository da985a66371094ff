/*
 * redis_login.h: the password file.
 *
 * Runs in Redis workers, under redis_conn.c. The secret is read at every connect and wiped after use: so a rotated password
 * is picked up, and none lies about in memory or in a message.
 */
#ifndef COMMON_REDIS_LOGIN_H
#define COMMON_REDIS_LOGIN_H

#include "common/slice.h"

#define REDIS_LOGIN_SIZE 4096

struct redis_login {
    struct slice user; /* empty: the file does not name one */
    struct slice password;
    char text[REDIS_LOGIN_SIZE]; /* what the slices point into */
};

/*
 * Reads the file: the password, or the user on the first line and the password on the second. 0, or a negative errno with one
 * line in `why` that names file and remedy and shows nothing of its content. Blocks on the file, which must be a regular one.
 */
int redis_login_read(struct redis_login *login, const char *path, char *why, size_t why_size);

void redis_login_wipe(struct redis_login *login);

#endif
