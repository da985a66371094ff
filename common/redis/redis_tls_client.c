/* redis_tls_client.c: the side that connects: it verifies the server's certificate, chain and name. See redis_tls.h. */
#include "common/redis/redis_tls_private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>

static int redis_tls_load(struct redis_tls *t, char *why, size_t size)
{
    const struct redis_options *o = t->options;
    int rc = 0;
    if (o->tls_ca_file != NULL) {
        rc = redis_tls_load_ca(t, o->tls_ca_file, why, size);
    } else if (SSL_CTX_set_default_verify_paths(t->context) != 1) {
        snprintf(why, size, "cannot use the system's certificates: %s", redis_tls_reason());
        rc = -EINVAL;
    }
    return rc == 0 ? redis_tls_load_own(t, o->tls_cert_file, o->tls_key_file, why, size) : rc;
}

struct redis_tls *redis_tls_new(const struct redis_options *options, char *why, size_t why_size)
{
    struct redis_tls *t = redis_tls_context(TLS_client_method(), why, why_size);
    if (t == NULL)
        return NULL;
    t->options = options;
    SSL_CTX_set_verify(t->context, SSL_VERIFY_PEER, NULL);
    if (redis_tls_load(t, why, why_size) == 0)
        return t;
    redis_tls_free(t);
    return NULL;
}

/*
 * An IP address is compared with the certificate's addresses and never sent as SNI, which is for names only (RFC 6066).
 */
static bool redis_tls_set_name(SSL *ssl, const char *name)
{
    unsigned char address[sizeof(struct in6_addr)];
    if (inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

struct redis_tls_session *redis_tls_session_new(struct redis_tls *t)
{
    const struct redis_options *o = t->options;
    struct redis_tls_session *s = redis_tls_session_make(t);
    const char *name = o->tls_server_name != NULL ? o->tls_server_name : o->host;
    if (s != NULL && !redis_tls_set_name(redis_tls_session_ssl(s), name)) {
        ERR_clear_error();
        redis_tls_session_free(s);
        s = NULL;
    }
    if (s != NULL)
        SSL_set_connect_state(redis_tls_session_ssl(s));
    return s;
}
