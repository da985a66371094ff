/* redis_tls.c: OpenSSL on memory BIOs: contexts and sessions of both sides. See redis_tls.h. */
#include "common/redis/redis_tls_private.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <stdlib.h>

#define REDIS_TLS_OUT_KEEP 65536 /* bytes of what goes out for which room may stay */

struct redis_tls_session {
    SSL *ssl;
    BIO *in;  /* from the network; owned by ssl */
    BIO *out; /* to the network; owned by ssl */
    bool done;
    bool serves; /* the other side is a client */
    char error[224];
};

const char *redis_tls_reason(void)
{
    unsigned long code = ERR_get_error();
    ERR_clear_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    if (reason == NULL && code != 0 && ERR_SYSTEM_ERROR(code))
        reason = strerror(ERR_GET_REASON(code));
    return reason != NULL ? reason : "no reason given";
}

/* ---- the context ---- */

int redis_tls_load_ca(struct redis_tls *t, const char *ca_file, char *why, size_t why_size)
{
    if (SSL_CTX_load_verify_file(t->context, ca_file) == 1)
        return 0;
    snprintf(why, why_size, "tls_ca_file %s: %s", ca_file, redis_tls_reason());
    return -EINVAL;
}

int redis_tls_load_own(struct redis_tls *t, const char *cert_file, const char *key_file, char *why,
                       size_t why_size)
{
    if (cert_file == NULL && key_file == NULL)
        return 0;
    if (cert_file == NULL || key_file == NULL) {
        snprintf(why, why_size, "tls_cert_file and tls_key_file belong together: set both or none");
        return -EINVAL;
    }
    if (SSL_CTX_use_certificate_chain_file(t->context, cert_file) != 1) {
        snprintf(why, why_size, "tls_cert_file %s: %s", cert_file, redis_tls_reason());
        return -EINVAL;
    }
    if (SSL_CTX_use_PrivateKey_file(t->context, key_file, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(t->context) != 1) {
        snprintf(why, why_size, "tls_key_file %s: %s", key_file, redis_tls_reason());
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

struct redis_tls *redis_tls_context(const SSL_METHOD *method, char *why, size_t why_size)
{
    ERR_clear_error();
    struct redis_tls *t = calloc(1, sizeof *t);
    if (t == NULL || (t->context = SSL_CTX_new(method)) == NULL) {
        snprintf(why, why_size, "out of memory");
        free(t);
        return NULL;
    }
    SSL_CTX_set_default_passwd_cb(t->context, redis_tls_no_passphrase);
    SSL_CTX_set_min_proto_version(t->context, TLS1_2_VERSION);
    /* Idle connections give their 32 KB of record buffers back. */
    SSL_CTX_set_mode(t->context, SSL_MODE_RELEASE_BUFFERS);
    return t;
}

void redis_tls_free(struct redis_tls *t)
{
    if (t == NULL)
        return;
    SSL_CTX_free(t->context);
    free(t);
}

/* ---- a session ---- */

struct redis_tls_session *redis_tls_session_make(struct redis_tls *t)
{
    struct redis_tls_session *s = calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    s->serves = t->options == NULL;
    s->ssl = SSL_new(t->context);
    s->in = BIO_new(BIO_s_mem());
    s->out = BIO_new(BIO_s_mem());
    if (s->ssl == NULL || s->in == NULL || s->out == NULL) {
        ERR_clear_error();
        BIO_free(s->in);
        BIO_free(s->out);
        SSL_free(s->ssl);
        free(s);
        return NULL;
    }
    SSL_set_bio(s->ssl, s->in, s->out);
    return s;
}

SSL *redis_tls_session_ssl(struct redis_tls_session *s)
{
    return s->ssl;
}

void redis_tls_session_free(struct redis_tls_session *s)
{
    if (s == NULL)
        return;
    SSL_free(s->ssl);
    free(s);
}

/* Of a client, which only its address tells apart: who logs it says that. */
static void redis_tls_fail_serving(struct redis_tls_session *s, long verify, unsigned long code,
                                   const char *reason)
{
    if (!s->done && verify != X509_V_OK)
        snprintf(s->error, sizeof s->error, "TLS: the client's certificate is not accepted: %s",
                 X509_verify_cert_error_string(verify));
    else if (code == 0)
        snprintf(s->error, sizeof s->error, "TLS: the client ended the connection");
    else
        snprintf(s->error, sizeof s->error, "TLS: %s", reason);
}

/* Puts what failed into words: a certificate that was not accepted has its own reason, apart from the error queue. */
static int redis_tls_fail(struct redis_tls_session *s)
{
    long verify = SSL_get_verify_result(s->ssl);
    unsigned long code = ERR_peek_error();
    const char *reason = redis_tls_reason();
    if (s->serves)
        redis_tls_fail_serving(s, verify, code, reason);
    else if (!s->done && verify != X509_V_OK)
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

/* Resetting keeps all its memory, and clears it: behind one large reply each small one would pay for that. */
static void redis_tls_empty(struct redis_tls_session *s, long len)
{
    BIO *fresh = len > REDIS_TLS_OUT_KEEP ? BIO_new(BIO_s_mem()) : NULL;
    if (fresh == NULL) {
        BIO_reset(s->out);
        return;
    }
    SSL_set0_wbio(s->ssl, fresh); /* frees the other */
    s->out = fresh;
}

void redis_tls_session_take(struct redis_tls_session *s, struct buffer *out)
{
    char *bytes = NULL;
    long len = BIO_get_mem_data(s->out, &bytes);
    if (len > 0)
        buffer_append(out, bytes, (size_t)len);
    redis_tls_empty(s, len);
}

const char *redis_tls_session_error(const struct redis_tls_session *s)
{
    return s->error;
}
