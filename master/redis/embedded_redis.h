/*
 * embedded_redis.h: the private redis-server of a redis section with url = embedded: where it listens, how it is run.
 *
 * Runs in the master, which knows Redis only as a program with arguments.
 */
#ifndef MASTER_REDIS_EMBEDDED_REDIS_H
#define MASTER_REDIS_EMBEDDED_REDIS_H

#include "common/buffer.h"
#include "master/config/config.h"

/* True for a redis section whose url is "embedded". */
bool embedded_redis_is(const struct config_section *redis);

/*
 * Appends the path of the embedded server's unix socket: RUNTIME_DIR/redis.sock for the first redis section,
 * RUNTIME_DIR/redis-<name>.sock for any other.
 */
void embedded_redis_socket(const struct config *c, const struct config_section *redis,
                           struct buffer *out);

/*
 * Appends the directory of the server's data: STATE_DIR/redis for the first redis section, STATE_DIR/redis-<name> for
 * any other.
 */
void embedded_redis_dir(const struct config *c, const struct config_section *redis,
                        struct buffer *out);

/*
 * Appends the file that holds the server's password; nothing when it has none. It has one when password_file names it,
 * and when it listens at a port, which anybody on the host may use: then platoon makes one, in the server's directory.
 */
void embedded_redis_password_file(const struct config *c, const struct config_section *redis,
                                  struct buffer *out);

/*
 * embedded_login.c: writes what makes the server ask for its password into `to`, a configuration file of the server's,
 * mode 0600: not its command line, which everybody may read. `make`: the password file is platoon's own, and made when
 * it is missing or empty. 0, or a negative errno with a line in `why` that names file and remedy, or none when it is
 * the writing that failed. Blocks on the files.
 */
int embedded_login_write(const char *password_file, bool make, const char *to, char *why,
                         size_t why_size);

#endif
