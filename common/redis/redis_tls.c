/* redis_tls.c: OpenSSL on memory BIOs. See redis_tls.h. */
#include "common/redis/redis_tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

struct redis_tls {
    SSL_CTX *context;
    const struct redis_options *options;
};

struct redis_tls_session {
    SSL *ssl;
    BIO *in;  /* from the network; owned by ssl */
    BIO *out; /* to the network; owned by ssl */
    bool done;
    char error[224];
};

/* OpenSSL's oldest reason, which is the cause; later ones are its consequences. Empties the queue. */
static const char *redis_tls_reason(void)
{
    unsigned long code = ERR_get_error();
    ERR_clear_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    if (reason == NULL && code != 0 && ERR_SYSTEM_ERROR(code))
        reason = strerror(ERR_GET_REASON(code));
    return reason != NULL ? reason : "no reason given";
}

/* ---- the context ---- */

static int redis_tls_load(struct redis_tls *t, char *why, size_t size)
{
    const struct redis_options *o = t->options;
    if (o->tls_ca_file == NULL) {
        if (SSL_CTX_set_default_verify_paths(t->context) != 1) {
            snprintf(why, size, "cannot use the system's certificates: %s", redis_tls_reason());
            return -EINVAL;
        }
    } else if (SSL_CTX_load_verify_file(t->context, o->tls_ca_file) != 1) {
        snprintf(why, size, "tls_ca_file %s: %s", o->tls_ca_file, redis_tls_reason());
        return -EINVAL;
    }
    if (o->tls_cert_file == NULL && o->tls_key_file == NULL)
        return 0;
    if (o->tls_cert_file == NULL || o->tls_key_file == NULL) {
        snprintf(why, size, "tls_cert_file and tls_key_file belong together: set both or none");
        return -EINVAL;
    }
    if (SSL_CTX_use_certificate_chain_file(t->context, o->tls_cert_file) != 1) {
        snprintf(why, size, "tls_cert_file %s: %s", o->tls_cert_file, redis_tls_reason());
        return -EINVAL;
    }
    if (SSL_CTX_use_PrivateKey_file(t->context, o->tls_key_file, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(t->context) != 1) {
        snprintf(why, size, "tls_key_file %s: %s", o->tls_key_file, redis_tls_reason());
        return -EINVAL;
    }
    return 0;
}

/* A key with a pass phrase would make OpenSSL ask on the terminal, and hang a worker. */
static int redis_tls_no_passphrase(char *buf, int size, int writing, void *ctx)
{
    (void)buf;
    (void)size;
    (void)writing;
    (void)ctx;
    return -1;
}

struct redis_tls *redis_tls_new(const struct redis_options *options, char *why, size_t why_size)
{
    ERR_clear_error();
    struct redis_tls *t = calloc(1, sizeof *t);
    if (t == NULL || (t->context = SSL_CTX_new(TLS_client_method())) == NULL) {
        snprintf(why, why_size, "out of memory");
        free(t);
        return NULL;
    }
    t->options = options;
    SSL_CTX_set_default_passwd_cb(t->context, redis_tls_no_passphrase);
    SSL_CTX_set_min_proto_version(t->context, TLS1_2_VERSION);
    SSL_CTX_set_verify(t->context, SSL_VERIFY_PEER, NULL);
    /* Idle connections give their 32 KB of record buffers back. */
    SSL_CTX_set_mode(t->context, SSL_MODE_RELEASE_BUFFERS);
    if (redis_tls_load(t, why, why_size) == 0)
        return t;
    redis_tls_free(t);
    return NULL;
}

void redis_tls_free(struct redis_tls *t)
{
    if (t == NULL)
        return;
    SSL_CTX_free(t->context);
    free(t);
}

/* ---- a session ---- */

/* An IP address is compared with the certificate's addresses and never sent as SNI, which is for names only (RFC 6066). */
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
    struct redis_tls_session *s = calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    const struct redis_options *o = t->options;
    s->ssl = SSL_new(t->context);
    s->in = BIO_new(BIO_s_mem());
    s->out = BIO_new(BIO_s_mem());
    const char *name = o->tls_server_name != NULL ? o->tls_server_name : o->host;
    if (s->ssl == NULL || s->in == NULL || s->out == NULL || !redis_tls_set_name(s->ssl, name)) {
        ERR_clear_error();
        BIO_free(s->in);
        BIO_free(s->out);
        SSL_free(s->ssl);
        free(s);
        return NULL;
    }
    SSL_set_bio(s->ssl, s->in, s->out);
    SSL_set_connect_state(s->ssl);
    return s;
}

void redis_tls_session_free(struct redis_tls_session *s)
{
    if (s == NULL)
        return;
    SSL_free(s->ssl);
    free(s);
}

/* Puts what failed into words: a certificate that was not accepted has its own reason, apart from the error queue. */
static int redis_tls_fail(struct redis_tls_session *s)
{
    long verify = SSL_get_verify_result(s->ssl);
    unsigned long code = ERR_peek_error();
    const char *reason = redis_tls_reason();
    if (!s->done && verify != X509_V_OK)
        snprintf(s->error, sizeof s->error,
                 "TLS: the server's certificate is not accepted: %s: check tls_ca_file and "
                 "tls_server_name",
                 X509_verify_cert_error_string(verify));
    else if (!s->done && ERR_GET_REASON(code) == SSL_R_WRONG_VERSION_NUMBER)
        snprintf(s->error, sizeof s->error,
                 "TLS: %s: this port does not seem to speak TLS: use its TLS port, or redis://",
                 reason);
    else if (code == 0)
        snprintf(s->error, sizeof s->error, "TLS: the server ended the connection");
    else if (strstr(reason, "alert") != NULL)
        snprintf(s->error, sizeof s->error,
                 "TLS: the server refused: %s: does it want a client certificate (tls_cert_file)?",
                 reason);
    else
        snprintf(s->error, sizeof s->error, "TLS: %s", reason);
    return -EPROTO;
}

/* 0 when OpenSSL only waits for the network. */
static int redis_tls_check(struct redis_tls_session *s, int rc)
{
    int error = SSL_get_error(s->ssl, rc);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : redis_tls_fail(s);
}

int redis_tls_session_feed(struct redis_tls_session *s, struct slice cipher)
{
    ERR_clear_error();
    if (cipher.len > 0 && BIO_write(s->in, cipher.ptr, (int)cipher.len) != (int)cipher.len) {
        snprintf(s->error, sizeof s->error, "out of memory");
        return -EPROTO;
    }
    if (s->done)
        return 0;
    int rc = SSL_do_handshake(s->ssl);
    s->done = rc == 1;
    return s->done ? 0 : redis_tls_check(s, rc);
}

bool redis_tls_session_done(const struct redis_tls_session *s)
{
    return s->done;
}

ssize_t redis_tls_session_read(struct redis_tls_session *s, char *to, size_t size)
{
    if (!s->done)
        return 0;
    ERR_clear_error();
    int n = SSL_read(s->ssl, to, (int)size);
    return n > 0 ? n : redis_tls_check(s, n);
}

int redis_tls_session_write(struct redis_tls_session *s, struct slice plain)
{
    ERR_clear_error();
    size_t written = 0;
    /* A memory BIO takes everything, so a write is never partial. */
    if (plain.len == 0 || SSL_write_ex(s->ssl, plain.ptr, plain.len, &written) == 1)
        return 0;
    return redis_tls_fail(s);
}

void redis_tls_session_take(struct redis_tls_session *s, struct buffer *out)
{
    char *bytes = NULL;
    long len = BIO_get_mem_data(s->out, &bytes);
    if (len > 0)
        buffer_append(out, bytes, (size_t)len);
    BIO_reset(s->out);
}

const char *redis_tls_session_error(const struct redis_tls_session *s)
{
    return s->error;
}
