/* websocket.c: see websocket.h. */
#include "common/http/websocket.h"

#include "common/base64.h"

#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <wslay/wslay.h>

#define WEBSOCKET_GUID      "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* RFC 6455, 1.3 */
#define WEBSOCKET_KEY_BYTES 16

#define WEBSOCKET_WRONG "\x88\x02\x03\xea" /* the end, 1002 */

struct websocket {
    wslay_event_context_ptr event;
    struct slice in; /* of the call */
    struct buffer *out;
    bool wrong;            /* it is, though libwslay takes it */
    uint64_t given, whole; /* bytes that have come; those of frames that have come whole */
    uint64_t frame;        /* bytes of the one that is coming */
    bool within;           /* a message in several frames has begun */
};

static ssize_t websocket_on_recv(wslay_event_context_ptr event, uint8_t *to, size_t max, int flags,
                                 void *ctx)
{
    struct websocket *w = ctx;
    size_t len = w->in.len < max ? w->in.len : max;
    (void)flags;
    if (len == 0) {
        wslay_event_set_error(event, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    memcpy(to, w->in.ptr, len);
    w->in = slice_make(w->in.ptr + len, w->in.len - len);
    return (ssize_t)len;
}

static ssize_t websocket_on_send(wslay_event_context_ptr event, const uint8_t *data, size_t len,
                                 int flags, void *ctx)
{
    struct websocket *w = ctx;
    (void)event;
    (void)flags;
    buffer_append(w->out, data, len);
    return (ssize_t)len;
}

/* Of a client: what it says is masked, and no head is longer than it must be. */
static uint64_t websocket_frame_size(uint64_t payload)
{
    return 2 + (payload < 126 ? 0 : payload <= 0xffff ? 2 : 8) + 4 + payload;
}

/* An end has no content, or one that begins with two bytes of a code. */
static void websocket_on_frame(wslay_event_context_ptr event,
                               const struct wslay_event_on_frame_recv_start_arg *frame, void *ctx)
{
    struct websocket *w = ctx;
    (void)event;
    w->wrong = w->wrong || (frame->opcode == WSLAY_CONNECTION_CLOSE && frame->payload_length == 1);
    w->frame = websocket_frame_size(frame->payload_length);
    if (!wslay_is_ctrl_frame(frame->opcode))
        w->within = !frame->fin;
}

static void websocket_on_frame_end(wslay_event_context_ptr event, void *ctx)
{
    struct websocket *w = ctx;
    (void)event;
    w->whole += w->frame;
}

struct websocket *websocket_new(void)
{
    static const struct wslay_event_callbacks callbacks = {
        .recv_callback = websocket_on_recv,
        .send_callback = websocket_on_send,
        .on_frame_recv_start_callback = websocket_on_frame,
        .on_frame_recv_end_callback = websocket_on_frame_end};
    struct websocket *w = calloc(1, sizeof *w);
    if (w == NULL || wslay_event_context_server_init(&w->event, &callbacks, w) != 0) {
        free(w);
        return NULL;
    }
    wslay_event_config_set_max_recv_msg_length(w->event, WEBSOCKET_IN_MAX);
    return w;
}

void websocket_free(struct websocket *w)
{
    if (w == NULL)
        return;
    wslay_event_context_free(w->event);
    free(w);
}

/* What libwslay finds wrong with a frame's head it ends without a code. */
static bool websocket_fail(int rc, struct buffer *out)
{
    if (rc != WSLAY_ERR_NOMEM)
        buffer_append(out, WEBSOCKET_WRONG, 4);
    return false;
}

bool websocket_take(struct websocket *w, struct slice bytes, struct buffer *out)
{
    w->in = bytes;
    w->given += bytes.len;
    w->out = out;
    int rc = wslay_event_recv(w->event);
    bool good = rc == 0 && !w->wrong ? wslay_event_send(w->event) == 0 : websocket_fail(rc, out);
    w->in = slice_make("", 0);
    w->out = NULL;
    return good && buffer_ok(out) && wslay_event_want_read(w->event) &&
           !wslay_event_get_close_sent(w->event);
}

bool websocket_is_between(const struct websocket *w)
{
    return w->given == w->whole && !w->within;
}

size_t websocket_head(size_t len, char head[WEBSOCKET_HEAD_MAX])
{
    size_t bytes = len < 126 ? 0 : len <= 0xffff ? 2 : 8;
    head[0] = (char)(0x80 | WSLAY_TEXT_FRAME);
    head[1] = (char)(bytes == 0 ? len : bytes == 2 ? 126 : 127);
    for (size_t i = 0; i < bytes; i++)
        head[2 + i] = (char)((uint64_t)len >> (8 * (bytes - 1 - i)));
    return 2 + bytes;
}

static bool websocket_is_key(const char *key)
{
    struct buffer bytes = BUFFER_EMPTY;
    bool is = key != NULL && base64_append_bytes(&bytes, slice_of(key)) && buffer_ok(&bytes) &&
              bytes.len == WEBSOCKET_KEY_BYTES;
    buffer_fini(&bytes);
    return is;
}

bool websocket_accept(const char *key, char accept[WEBSOCKET_ACCEPT_SIZE])
{
    unsigned char hash[SHA_DIGEST_LENGTH];
    struct buffer text = BUFFER_EMPTY;
    if (!websocket_is_key(key))
        return false;
    buffer_append_text(&text, key);
    buffer_append_text(&text, WEBSOCKET_GUID);
    bool good = buffer_ok(&text) && SHA1((unsigned char *)text.data, text.len, hash) != NULL;
    buffer_clear(&text);
    base64_append(&text, slice_make(hash, sizeof hash));
    good =
        good && buffer_ok(&text) && slice_copy(buffer_slice(&text), accept, WEBSOCKET_ACCEPT_SIZE);
    buffer_fini(&text);
    return good;
}

bool websocket_lists(const char *header, const char *word)
{
    size_t len = strlen(word);
    while (header != NULL && *header != '\0') {
        header += strspn(header, ", \t");
        size_t one = strcspn(header, ", \t");
        if (one == len && strncasecmp(header, word, len) == 0)
            return true;
        header += one;
    }
    return false;
}
