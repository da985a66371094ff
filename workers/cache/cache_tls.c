/* cache_tls.c: see cache_tls.h. */
#include "workers/cache/cache_tls.h"

#include "common/log.h"
#include "common/redis/redis_tls.h"
#include "workers/cache/cache_node.h"

#include <errno.h>
#include <sys/socket.h>

#define TLS_CIPHER_SIZE                                                                            \
    ((size_t)32 << 10) /* and what is left of a record: together less than CACHE_TLS_ROOM */

/* What TLS itself has to say: handshakes, alerts. */
static void tls_answer(struct cache_client *c)
{
    size_t before = c->unsent.len;
    redis_tls_session_take(c->tls, &c->unsent);
    if (c->unsent.len > before)
        cache_turn_ready(c);
}

/* As a read that failed. Said at debug only: anybody who can connect could fill the log. */
static ssize_t tls_fail(struct cache_client *c)
{
    char address[CACHE_CLIENT_ADDRESS_SIZE];
    cache_client_address(c, false, address);
    log_debug("tls-failed", "client=%s reason=%s", log_quote_text(address),
              log_quote_text(redis_tls_session_error(c->tls)));
    errno = EPROTO;
    return -1;
}

ssize_t cache_tls_recv(struct cache_client *c, char *to, size_t size)
{
    char cipher[TLS_CIPHER_SIZE];
    if (c->tls == NULL)
        return recv(c->fd, to, size, 0);
    ssize_t got = recv(c->fd, cipher, sizeof cipher, 0);
    if (got <= 0)
        return got;
    int rc = redis_tls_session_feed(c->tls, slice_make(cipher, (size_t)got));
    size_t len = 0;
    ssize_t more = 0;
    while (rc == 0 && len < size &&
           (more = redis_tls_session_read(c->tls, to + len, size - len)) > 0)
        len += (size_t)more;
    tls_answer(c);
    bool over = rc != 0 || more < 0;
    c->ended = over; /* the socket's own end may come much later: theirs waits for ours */
    if (len > 0)
        return (ssize_t)len;
    if (over)
        return tls_fail(c);
    errno = EAGAIN;
    return -1;
}

void cache_tls_tick(struct cache_node *n)
{
    uint64_t now = uv_now(n->loop);
    for (struct cache_client *c = n->tls != NULL ? n->clients : NULL; c != NULL; c = c->next)
        if (c->tls != NULL && !redis_tls_session_done(c->tls) &&
            now >= c->born_ms + CACHE_TLS_HANDSHAKE_MS)
            cache_turn_end(c, true);
}

bool cache_tls_seal(struct cache_client *c)
{
    if (c->tls == NULL || c->reply.out.len == 0)
        return true;
    if (redis_tls_session_write(c->tls, buffer_slice(&c->reply.out)) != 0)
        return false;
    buffer_clear(&c->reply.out);
    redis_tls_session_take(c->tls, &c->unsent);
    return buffer_ok(&c->unsent);
}
