/* redis_tls_server.c: the side that is connected to. See redis_tls.h. */
#include "common/redis/redis_tls_private.h"

#include <errno.h>

struct redis_tls *redis_tls_server_new(const char *cert_file, const char *key_file,
                                       const char *ca_file, char *why, size_t why_size)
{
    struct redis_tls *t = redis_tls_context(TLS_server_method(), why, why_size);
    if (t == NULL)
        return NULL;
    int rc = redis_tls_load_own(t, cert_file, key_file, why, why_size);
    if (rc == 0 && ca_file != NULL)
        rc = redis_tls_load_ca(t, ca_file, why, why_size);
    if (rc != 0) {
        redis_tls_free(t);
        return NULL;
    }
    SSL_CTX_set_verify(t->context,
                       ca_file != NULL ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
                                       : SSL_VERIFY_NONE,
                       NULL);
    /* Tickets are of no use to connections that stay, and each would be a write of its own. */
    SSL_CTX_set_num_tickets(t->context, 0);
    SSL_CTX_set_session_cache_mode(t->context, SSL_SESS_CACHE_OFF);
    return t;
}

struct redis_tls_session *redis_tls_session_accept(struct redis_tls *t)
{
    struct redis_tls_session *s = redis_tls_session_make(t);
    if (s != NULL)
        SSL_set_accept_state(redis_tls_session_ssl(s));
    return s;
}
