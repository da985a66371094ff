/*
 * fuzz_websocket.c: bytes of a WebSocket's client (common/http/websocket.h). While they are right they are answered
 * the same in one piece and byte for byte; what is answered is whole frames that are not masked, never more than was
 * said; and the end is the last of them.
 */
#include "common/http/websocket.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

/* False: it is over. */
static bool take(struct slice bytes, size_t step, struct buffer *out)
{
    struct websocket *w = websocket_new();
    bool on = true;
    if (w == NULL)
        abort();
    for (size_t at = 0; on && at < bytes.len; at += step)
        on = websocket_take(
            w, slice_make(bytes.ptr + at, bytes.len - at < step ? bytes.len - at : step), out);
    websocket_free(w);
    return on;
}

/* Control frames alone. True: the last is the end. */
static bool check_frames(struct slice all)
{
    bool end = false;
    while (all.len > 0) {
        const unsigned char *head = (const unsigned char *)all.ptr;
        if (all.len < 2 || end || (head[0] != 0x88 && head[0] != 0x8a) || head[1] > 125 ||
            all.len - 2 < head[1])
            abort();
        end = head[0] == 0x88;
        if (end && head[1] == 1)
            abort();
        all = slice_make(all.ptr + 2 + head[1], all.len - 2 - head[1]);
    }
    return end;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct slice bytes = slice_make(data, size);
    struct buffer whole = BUFFER_EMPTY, pieces = BUFFER_EMPTY, text = BUFFER_EMPTY;
    bool on = take(bytes, size + 1, &whole), slow = take(bytes, 1, &pieces);
    if (whole.len > size + 150 || pieces.len > size + 150)
        abort();
    if (check_frames(buffer_slice(&whole)) == on || check_frames(buffer_slice(&pieces)) == slow)
        abort();
    /* libwslay 1.1.1 looks for UTF-8 in the reason of an end by the pieces in which that comes. */
    if (on && slow && !slice_equal(buffer_slice(&whole), buffer_slice(&pieces)))
        abort();
    buffer_append_slice(&text, bytes);
    const char *header = buffer_text(&text);
    char accept[WEBSOCKET_ACCEPT_SIZE];
    if (header != NULL) {
        websocket_lists(header, "upgrade");
        if (websocket_accept(header, accept) && strlen(accept) != WEBSOCKET_ACCEPT_SIZE - 1)
            abort();
    }
    buffer_fini(&whole);
    buffer_fini(&pieces);
    buffer_fini(&text);
    return 0;
}
