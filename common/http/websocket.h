/*
 * websocket.h: the server's side of a WebSocket (RFC 6455): what a client says is checked and answered, not kept.
 *
 * Runs in workers that answer over HTTP (http_upgrade.h). Pure: bytes come and go, bound to no socket. libwslay reads
 * what comes; it is bounded (WEBSOCKET_IN_MAX), and a message is read over: who listens has nothing to say. What is
 * told to clients is whole frames, whose heads are made here: so nothing is copied for each of many readers.
 */
#ifndef COMMON_HTTP_WEBSOCKET_H
#define COMMON_HTTP_WEBSOCKET_H

#include "common/buffer.h"

/* A larger message ends it (1009). */
#define WEBSOCKET_IN_MAX 65536u

#define WEBSOCKET_HEAD_MAX    10
#define WEBSOCKET_ACCEPT_SIZE 29

/* A frame that says nothing; its client answers. */
#define WEBSOCKET_PING     "\x89\x00"
#define WEBSOCKET_PING_LEN 2u

/* The end, 1001: the server goes. */
#define WEBSOCKET_AWAY "\x88\x02\x03\xe9"

struct websocket;

/* The caller's; NULL: memory is short. websocket_free accepts NULL. */
struct websocket *websocket_new(void);
void websocket_free(struct websocket *w);

/*
 * Takes what has come, and appends what has to be answered to it: a pong, the end. False: it is over when that has been
 * sent, and nothing more is read; also when memory is short. What is appended is never more than what has come, and
 * 150 bytes.
 */
bool websocket_take(struct websocket *w, struct slice bytes, struct buffer *out);

/*
 * Whether nothing is under way: then it may be freed, and made again for what comes next. libwslay holds 8 KB for each,
 * which is too much for 10,000 who answer a ping now and then.
 */
bool websocket_is_between(const struct websocket *w);

/* The head of a text message of so many bytes, in one frame. Returns its length. */
size_t websocket_head(size_t len, char head[WEBSOCKET_HEAD_MAX]);

/* What answers the header Sec-WebSocket-Key (NULL: none). False: it is no such key. */
bool websocket_accept(const char *key, char accept[WEBSOCKET_ACCEPT_SIZE]);

/* Whether a header that is a list (NULL: none), as Connection or Upgrade, has that word, in any case. */
bool websocket_lists(const char *header, const char *word);

#endif
