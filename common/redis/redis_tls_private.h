/*
 * redis_tls_private.h: what both sides of TLS share. For redis_tls.c, redis_tls_client.c and redis_tls_server.c only.
 */
#ifndef COMMON_REDIS_TLS_PRIVATE_H
#define COMMON_REDIS_TLS_PRIVATE_H

#include "common/redis/redis_tls.h"

#include <openssl/ssl.h>

struct redis_tls {
    SSL_CTX *context;
    const struct redis_options *options; /* of a client; NULL: a server */
};

/* A context of that side, TLS 1.2 or newer, which asks for no pass phrase; NULL, "out of memory" in `why`. */
struct redis_tls *redis_tls_context(const SSL_METHOD *method, char *why, size_t why_size);

/* Certificate (with its chain) and key, both or none (NULL). 0 or -EINVAL, with file and reason in `why`. */
int redis_tls_load_own(struct redis_tls *t, const char *cert_file, const char *key_file, char *why,
                       size_t why_size);

/* Who may sign the other side's certificate. 0 or -EINVAL, with file and reason in `why`. */
int redis_tls_load_ca(struct redis_tls *t, const char *ca_file, char *why, size_t why_size);

/* A session of either side, its handshake not begun. NULL when memory is short. */
struct redis_tls_session *redis_tls_session_make(struct redis_tls *t);
SSL *redis_tls_session_ssl(struct redis_tls_session *s);

/* OpenSSL's oldest reason, which is the cause; later ones are its consequences. Empties the queue. */
const char *redis_tls_reason(void);

#endif
