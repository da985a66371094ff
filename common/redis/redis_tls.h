/*
 * redis_tls.h: TLS as a filter over bytes: what the network gave goes in, what the network shall get comes out.
 *
 * Runs in Redis workers, under redis_socket.c, and in workers that are connected to in Redis' protocol. OpenSSL on
 * memory BIOs, because hiredis 0.14 has no TLS and Debian 12 no hiredis_ssl (FACTS.md 2), and because the socket stays
 * libuv's. A client always verifies the server's certificate, chain and name; there is no switch to turn that off. A
 * server asks for a client's where it is told who may sign it. TLS 1.2 or newer.
 */
#ifndef COMMON_REDIS_TLS_H
#define COMMON_REDIS_TLS_H

#include "common/buffer.h"
#include "common/redis/redis_conn.h"

#include <sys/types.h>

struct redis_tls;         /* certificates and rules: one per redis_conn, or per server */
struct redis_tls_session; /* one per connection */

/*
 * Reads CA, certificate and key as `options` names them. NULL with one line in `why` (file and reason) when one of them
 * cannot be used. Blocks on those files only.
 */
struct redis_tls *redis_tls_new(const struct redis_options *options, char *why, size_t why_size);
void redis_tls_free(struct redis_tls *t);

/*
 * The same for a server: its certificate with its chain, and its key. `ca_file`: who may sign the certificate that a
 * client must then show; NULL: none is asked for.
 */
struct redis_tls *redis_tls_server_new(const char *cert_file, const char *key_file,
                                       const char *ca_file, char *why, size_t why_size);

/* A client session, handshake not begun (the first feed begins it). NULL when memory is short. */
struct redis_tls_session *redis_tls_session_new(struct redis_tls *t);
void redis_tls_session_free(struct redis_tls_session *s);

/* A session of a server's, the client's first bytes to be fed. NULL when memory is short. */
struct redis_tls_session *redis_tls_session_accept(struct redis_tls *t);

/*
 * Takes bytes from the network and goes on with the handshake. 0, or -EPROTO: then redis_tls_session_error says why,
 * and an alert for the other side may wait in redis_tls_session_take.
 */
int redis_tls_session_feed(struct redis_tls_session *s, struct slice cipher);

/* True once the handshake is over and the other side's certificate was accepted, where one is wanted. */
bool redis_tls_session_done(const struct redis_tls_session *s);

/*
 * Plain bytes that have come in: their number, 0 when there are none yet, or -EPROTO (also
 * when the other side ended TLS).
 */
ssize_t redis_tls_session_read(struct redis_tls_session *s, char *to, size_t size);

/* Encrypts. Only after the handshake. 0 or -EPROTO. */
int redis_tls_session_write(struct redis_tls_session *s, struct slice plain);

/* Appends what must go to the network to `out`. */
void redis_tls_session_take(struct redis_tls_session *s, struct buffer *out);

/* What went wrong, with OpenSSL's reason and the remedy. */
const char *redis_tls_session_error(const struct redis_tls_session *s);

#endif
