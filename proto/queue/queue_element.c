/* queue_element.c: elements and names. See queue_element.h. */
#include "proto/queue/queue_element.h"

#include "proto/queue/queue_answer.h"

#include <inttypes.h>
#include <stdio.h>

/* Takes digits from the front of *rest; empty when there are none, or more than an id has. */
static struct slice take_digits(struct slice *rest)
{
    size_t len = 0;
    while (len < rest->len && rest->ptr[len] >= '0' && rest->ptr[len] <= '9')
        len++;
    if (len > QUEUE_ID_MAX)
        len = 0;
    struct slice digits = slice_make(rest->ptr, len);
    *rest = slice_make(rest->ptr + len, rest->len - len);
    return digits;
}

static bool take_blank(struct slice *rest)
{
    if (rest->len == 0 || *rest->ptr != ' ')
        return false;
    *rest = slice_make(rest->ptr + 1, rest->len - 1);
    return true;
}

static bool read_envelope(struct slice rest, struct queue_element *e)
{
    struct slice id = take_digits(&rest);
    bool blank = take_blank(&rest);
    struct slice at = take_digits(&rest);
    if (id.len == 0 || !blank || at.len == 0 || !take_blank(&rest))
        return false;
    *e = (struct queue_element){.kind = QUEUE_ENVELOPE, .id = id, .body = rest};
    for (size_t i = 0; i < at.len; i++)
        e->at_ms = e->at_ms * 10 + (uint64_t)(at.ptr[i] - '0');
    return true;
}

struct queue_element queue_element_read(struct slice bytes)
{
    struct queue_element e = {.kind = QUEUE_BARE, .id = slice_of(""), .body = bytes};
    if (bytes.len < 3 || bytes.ptr[0] != '\0')
        return e;
    struct slice rest = slice_make(bytes.ptr + 2, bytes.len - 2);
    if (bytes.ptr[1] == '1') {
        read_envelope(rest, &e);
    } else if (bytes.ptr[1] == 'r') {
        struct slice id = take_digits(&rest);
        if (id.len > 0 && rest.len == 0)
            e = (struct queue_element){.kind = QUEUE_REFERENCE, .id = id, .body = slice_of("")};
    }
    return e;
}

bool queue_envelope_write(struct buffer *out, struct slice id, uint64_t at_ms, struct slice body)
{
    struct slice rest = id;
    struct slice digits = take_digits(&rest);
    char at[24];
    if (digits.len == 0 || rest.len > 0)
        return false;
    buffer_append(out, "\0001", 2);
    buffer_append(out, id.ptr, id.len);
    buffer_append(out, at, (size_t)snprintf(at, sizeof at, " %" PRIu64 " ", at_ms));
    buffer_append(out, body.ptr, body.len);
    return true;
}

static bool is_ours(struct slice facet)
{
    static const char *const keys[] = {"facet_queue", "facet_pool", "active_facets", "length",
                                       "priorities",  "limit",      "inflight"};
    static const char end[] = ":inflight";
    size_t len = sizeof end - 1;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (slice_is(facet, keys[i]))
            return true;
    return (facet.len > 0 && *facet.ptr == '=') ||
           (facet.len >= len && memcmp(facet.ptr + facet.len - len, end, len) == 0);
}

void queue_facet_store(struct buffer *out, struct slice facet)
{
    buffer_append(out, "=", is_ours(facet));
    buffer_append(out, facet.ptr, facet.len);
}

struct slice queue_facet_shown(struct slice stored)
{
    bool marked = stored.len > 0 && *stored.ptr == '=';
    return slice_make(stored.ptr + marked, stored.len - marked);
}
