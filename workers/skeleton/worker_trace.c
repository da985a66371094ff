/* worker_trace.c: see worker_trace.h. One thread, and the handler of the signal it dies of. */
#include "workers/skeleton/worker_trace.h"

#include "common/clock.h"
#include "common/text.h"
#include "workers/skeleton/worker_private.h"

#include <stdlib.h>
#include <unistd.h>

struct worker_header {
    uint32_t bytes;
    uint16_t type;
    int16_t peer;
    bool out;
};

/* A header of a running trace. */
struct worker_traced {
    struct worker_header header;
    uint64_t wall_ms;
    size_t len;
    char *payload; /* NULL: none kept */
};

static struct {
    char names[WORKER_TRACE_NAMES][CONTRACT_NAME_MAX];
    int name_count;
    struct worker_header last[WORKER_HEADERS_KEPT];
    uint64_t noted;

    struct worker_traced *ring; /* NULL: nobody traces */
    uint64_t first, next, passed;
    uint64_t sample, payload_max, until_ms;
    size_t bytes;
} trace;

int worker_trace_peer(const char *name)
{
    for (int i = 0; i < trace.name_count; i++)
        if (strcmp(trace.names[i], name) == 0)
            return i;
    if (trace.name_count == WORKER_TRACE_NAMES)
        return -1;
    slice_copy(slice_of(name), trace.names[trace.name_count], CONTRACT_NAME_MAX);
    return trace.name_count++;
}

static const char *worker_trace_name(int peer)
{
    return peer >= 0 ? trace.names[peer] : "?";
}

/* ---- while somebody traces ---- */

static struct worker_traced *worker_trace_at(uint64_t number)
{
    return &trace.ring[number % WORKER_TRACE_KEPT];
}

static void worker_trace_drop_first(void)
{
    struct worker_traced *t = worker_trace_at(trace.first++);
    trace.bytes -= t->len;
    free(t->payload);
    *t = (struct worker_traced){.len = 0};
}

static void worker_trace_keep(const struct worker_header *header, struct slice message)
{
    if (trace.passed++ % trace.sample != 0)
        return;
    while (trace.next > trace.first && (trace.next - trace.first == WORKER_TRACE_KEPT ||
                                        trace.bytes + message.len > WORKER_TRACE_BYTES))
        worker_trace_drop_first();
    struct worker_traced *t = worker_trace_at(trace.next++);
    *t = (struct worker_traced){.header = *header, .wall_ms = clock_wall_ms()};
    if (message.len > trace.payload_max || message.len == 0)
        return;
    t->payload = malloc(message.len);
    if (t->payload == NULL)
        return;
    memcpy(t->payload, message.ptr, message.len);
    t->len = message.len;
    trace.bytes += message.len;
}

static void worker_trace_end(void)
{
    while (trace.first < trace.next)
        worker_trace_drop_first();
    free(trace.ring);
    trace.ring = NULL;
}

void worker_trace_tick(void)
{
    if (trace.ring != NULL && clock_mono_ms() > trace.until_ms)
        worker_trace_end();
}

/* ---- noting ---- */

static struct worker_header worker_trace_header(int peer, uint64_t type, bool out, size_t bytes)
{
    return (struct worker_header){
        .bytes = (uint32_t)bytes, .type = (uint16_t)type, .peer = (int16_t)peer, .out = out};
}

uint64_t worker_trace_in(int peer, uint64_t type)
{
    trace.last[trace.noted % WORKER_HEADERS_KEPT] = worker_trace_header(peer, type, false, 0);
    return trace.noted++;
}

void worker_trace_in_read(uint64_t number, int peer, uint64_t type, struct slice message)
{
    struct worker_header header = worker_trace_header(peer, type, false, message.len);
    if (trace.noted - number <= WORKER_HEADERS_KEPT)
        trace.last[number % WORKER_HEADERS_KEPT] = header;
    if (trace.ring != NULL)
        worker_trace_keep(&header, message);
}

void worker_trace_out(int peer, uint64_t type, struct slice message)
{
    struct worker_header header = worker_trace_header(peer, type, true, message.len);
    trace.last[trace.noted++ % WORKER_HEADERS_KEPT] = header;
    if (trace.ring != NULL)
        worker_trace_keep(&header, message);
}

/* ---- in the report of a crash ---- */

static char *worker_trace_put(char *at, const char *end, const char *text)
{
    while (*text != '\0' && at < end)
        *at++ = *text++;
    return at;
}

static char *worker_trace_put_number(char *at, const char *end, uint32_t number)
{
    char digits[12];
    size_t i = sizeof digits;
    digits[--i] = '\0';
    do
        digits[--i] = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    return worker_trace_put(at, end, digits + i);
}

void worker_trace_crash(void)
{
    uint64_t count = trace.noted < WORKER_HEADERS_KEPT ? trace.noted : WORKER_HEADERS_KEPT;
    for (uint64_t i = trace.noted - count; i < trace.noted; i++) {
        const struct worker_header *h = &trace.last[i % WORKER_HEADERS_KEPT];
        char line[CONTRACT_NAME_MAX + 96], *at = line;
        const char *end = line + sizeof line - 1;
        at = worker_trace_put(at, end, h->out ? "<3>crash-message out " : "<3>crash-message in ");
        at = worker_trace_put(at, end, message_type_name(h->type));
        at = worker_trace_put(at, end, h->out ? " to=" : " from=");
        at = worker_trace_put(at, end, worker_trace_name(h->peer));
        at = worker_trace_put(at, end, h->bytes == 0 ? " unread" : " bytes=");
        if (h->bytes != 0)
            at = worker_trace_put_number(at, end, h->bytes);
        *at++ = '\n';
        ssize_t written = write(STDERR_FILENO, line, (size_t)(at - line));
        (void)written; /* nobody is left to be told */
    }
}

/* ---- the request ---- */

static bool worker_trace_read(struct slice args, uint64_t *after, uint64_t *sample,
                              uint64_t *payload)
{
    struct unpack u = unpack_start(args);
    if (unpack_array(&u) != 3)
        return false;
    struct slice words[3];
    for (int i = 0; i < 3; i++)
        words[i] = unpack_bytes(&u);
    return unpack_end(&u) && text_parse_u64(words[0], after) == 0 &&
           text_parse_u64(words[1], sample) == 0 && *sample > 0 &&
           text_parse_u64(words[2], payload) == 0;
}

static void worker_trace_pack(struct buffer *out, uint64_t after)
{
    uint64_t from = after + 1 > trace.first ? after + 1 : trace.first;
    pack_map(out, 3);
    pack_text(out, "last");
    pack_u64(out, trace.next - 1);
    pack_text(out, "lost");
    pack_u64(out, after > 0 && trace.first > after + 1 ? trace.first - after - 1 : 0);
    pack_text(out, "headers");
    pack_array(out, (uint32_t)(trace.next > from ? trace.next - from : 0));
    for (uint64_t i = from; i < trace.next; i++) {
        const struct worker_traced *t = worker_trace_at(i);
        pack_array(out, 6);
        pack_u64(out, t->wall_ms);
        pack_text(out, t->header.out ? "out" : "in");
        pack_text(out, worker_trace_name(t->header.peer));
        pack_text(out, message_type_name(t->header.type));
        pack_u64(out, t->header.bytes);
        pack_bin(out, slice_make(t->payload, t->len));
    }
}

bool worker_trace_answer(struct worker *w, const struct link_request *request)
{
    uint64_t after, sample, payload;
    if (!slice_is(request->verb, "trace"))
        return false;
    if (!worker_trace_read(request->args, &after, &sample, &payload)) {
        worker_reply_text(w, request->id, CONTROL_USAGE,
                          "trace takes: the number of the last header seen, a sample (1: every "
                          "message) and bytes of payload");
        return true;
    }
    if (!w->ops->mailbox) {
        worker_reply_text(w, request->id, CONTROL_ERROR, "%s has no mailbox: nothing to trace",
                          w->name);
        return true;
    }
    if (trace.ring == NULL) {
        trace.ring = calloc(WORKER_TRACE_KEPT, sizeof *trace.ring);
        trace.first = trace.next = 2; /* so that no number is 0 */
        trace.bytes = 0;
    }
    if (after == 0)
        after =
            trace.next - 1; /* who begins to look sees what comes, not what another has asked for */
    struct buffer body = BUFFER_EMPTY;
    if (trace.ring != NULL)
        worker_trace_pack(&body, after);
    trace.sample = sample;
    trace.payload_max = payload;
    trace.until_ms = clock_mono_ms() + WORKER_TRACE_MS;
    if (trace.ring != NULL && buffer_ok(&body))
        worker_reply(w, request->id, CONTROL_OK, buffer_slice(&body));
    else
        worker_reply_text(w, request->id, CONTROL_ERROR, "memory is short for a trace");
    buffer_fini(&body);
    return true;
}
