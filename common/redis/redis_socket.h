/*
 * redis_socket.h: bytes to and from a Redis server: one connection attempt and, if it succeeds, one connection.
 *
 * Runs in Redis workers, under redis_conn.c and for nobody else. Knows addresses, libuv and (through redis_tls.h)
 * TLS, but nothing of what the bytes mean. Not hiredis' own sockets: those are not close-on-exec, know no connect
 * deadline in 0.14, and its libuv adapter never reports a refused connection (FACTS.md 2). libuv's sockets are
 * non-blocking and close-on-exec.
 *
 * There is no deadline in here: the owner has one for the whole of connect, TLS and AUTH, parts it among the addresses,
 * and calls redis_socket_skip and redis_socket_free.
 */
#ifndef COMMON_REDIS_SOCKET_H
#define COMMON_REDIS_SOCKET_H

#include "common/buffer.h"
#include "common/redis/redis_conn.h"

struct redis_socket;
struct redis_tls;

/* None of these is called before redis_socket_new has returned, nor after redis_socket_free. */
struct redis_socket_events {
    /* Connecting to an address of the name, the first of so many that are left. Do not free the socket here. */
    void (*on_try)(size_t left, void *ctx);
    /* Connected, and the TLS handshake is over: write now. */
    void (*on_open)(void *ctx);
    /* At most 64 KB; they live until the call returns, which may call redis_socket_free. */
    void (*on_bytes)(struct slice bytes, void *ctx);
    /*
     * The attempt or the connection is over; `why` says so in a few words, with the remedy. Once. Free the socket then.
     */
    void (*on_end)(const char *why, void *ctx);
};

/*
 * Starts connecting to where `options` says, trying every address of a name once, from the `turn`th on (any number:
 * modulo how many there are). `options` and `tls` (NULL: plain) must outlive the socket. NULL when memory is short.
 */
struct redis_socket *redis_socket_new(uv_loop_t *loop, const struct redis_options *options,
                                      struct redis_tls *tls, size_t turn,
                                      const struct redis_socket_events *events, void *ctx);

/* Closes. The memory goes when the loop has closed the handles; the loop must run once more. Accepts NULL. */
void redis_socket_free(struct redis_socket *s);

/* Gives up the address that is being tried, for the next. False, and nothing is done, when there is none. */
bool redis_socket_skip(struct redis_socket *s);

/* Which address of the name it is at. */
size_t redis_socket_turn(const struct redis_socket *s);

/*
 * Sends the content of `bytes` in one write and leaves it empty. Failure is reported by on_end, later. False: then
 * surely nothing of it has left, nor will.
 */
bool redis_socket_write(struct redis_socket *s, struct buffer *bytes);

/* True between the connect and the end of the TLS handshake: where one hangs whose server does not speak TLS. */
bool redis_socket_in_handshake(const struct redis_socket *s);

/* Bytes not yet taken by the kernel. */
size_t redis_socket_queued(const struct redis_socket *s);

#endif
