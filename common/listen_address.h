/*
 * listen_address.h: "127.0.0.1:9100", "[::1]:9100" or "unix:/run/platoon/health.sock" as a socket to listen on.
 *
 * Runs in the master, which checks the text, and in workers, which listen. No names are looked up; nothing waits.
 */
#ifndef COMMON_LISTEN_ADDRESS_H
#define COMMON_LISTEN_ADDRESS_H

#include "common/buffer.h"

#include <stdbool.h>
#include <sys/socket.h>

struct listen_address {
    struct sockaddr_storage address;
    socklen_t len;
    bool loopback; /* only this machine can connect */
};

/*
 * 0; -EINVAL: another form, a port that is none; -ENAMETOOLONG: a unix path of more than 107 bytes, or
 * a relative one (-EINVAL).
 */
int listen_address_parse(const char *text, struct listen_address *a);

/*
 * Whether two cannot listen at once: the same path, or the same port, where the addresses are the same or one of them
 * is any. [::] takes IPv4's connections too.
 */
bool listen_address_meets(const struct listen_address *a, const struct listen_address *b);

/*
 * Whether a unix socket may stand there: 0; -EPERM, -EMLINK: others may change a directory above it, or have put a link
 * there, `why` says who, in words as trust_say's. Anything else is for listen_address_open to say.
 */
int listen_address_place(const struct listen_address *a, struct buffer *why);

/*
 * A listening, non-blocking, close-on-exec socket, or a negative errno, `why` as above. A unix socket that nobody
 * answers on is taken away first, and the new one is for owner and group (0660).
 */
int listen_address_open(const struct listen_address *a, struct buffer *why);

/* What helps: words for the end of a line that says where nobody could listen, and why. `error`: positive. */
const char *listen_address_remedy(int error);

#endif
