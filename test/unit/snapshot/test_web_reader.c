/*
 * test_web_reader.c: what readers of a store are told: from the start, from where they were, too slowly
 * (workers/snapshot/web/web_reader.h, web_data.h).
 */
#include "workers/snapshot/web/web_reader.h"

#include "common/http/websocket.h"
#include "test/unit/suite.h"
#include "workers/snapshot/web/web_splices.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

#define JOURNAL 4096
#define LONG    "a line that nobody changes, and which is longer than what a splice says of it\n"

static struct web_store s;
static uint64_t seq;

static void commit_of(uint64_t number, char commit[WEB_COMMIT_SIZE])
{
    snprintf(commit, WEB_COMMIT_SIZE, "%012x%028d", (unsigned)number, 0);
}

static void take_bytes(size_t resource, struct slice bytes)
{
    struct web_version v = {.seq = ++seq, .time_s = 1764324000};
    struct buffer b = BUFFER_EMPTY;
    commit_of(seq, v.commit);
    commit_of(seq + 1000, v.blob);
    buffer_append_slice(&b, bytes);
    ck_assert(web_store_take(&s, &s.list[resource], &v, &b));
    ck_assert_uint_eq(b.len, 0);
}

static void take(size_t resource, const char *text)
{
    take_bytes(resource, slice_of(text));
}

static void set_up(void)
{
    seq = 0;
    ck_assert(web_splices_open());
    ck_assert(web_store_start(&s, "plan", 2, JOURNAL));
    s.list[0].name = "app";
    s.list[1].name = "raw";
}

static void tear_down(void)
{
    web_store_fini(&s);
    web_splices_close();
}

static struct web_reader *reader(enum web_content content, const char *since)
{
    struct web_id id;
    struct web_reader_options o = {
        .store = &s, .framing = &web_framing_sse, .content = content, .since = NULL};
    if (since != NULL) {
        ck_assert(web_id_read(since, &id));
        o.since = &id;
    }
    struct web_reader *r = web_reader_new(&o);
    ck_assert_ptr_nonnull(r);
    return r;
}

/* At most so many bytes of what there is for it, as a socket with so much room takes them. */
static size_t take_some(struct web_reader *r, char *to, size_t max)
{
    struct iovec parts[WEB_READER_PARTS];
    size_t len = 0;
    for (int count; len < max && (count = web_reader_parts(r, parts)) != 0;) {
        ck_assert_int_gt(count, 0);
        size_t more = parts[0].iov_len < max - len ? parts[0].iov_len : max - len;
        memcpy(to + len, parts[0].iov_base, more);
        web_reader_took(r, more);
        len += more;
    }
    return len;
}

/* All there is for it, `room` bytes at a time. */
static struct buffer hear(struct web_reader *r, size_t room)
{
    struct buffer b = BUFFER_EMPTY;
    char part[8192];
    for (size_t n; (n = take_some(r, part, room)) != 0;)
        buffer_append(&b, part, n);
    return b;
}

#define HEARS(r, want)                                                                             \
    do {                                                                                           \
        struct buffer got = hear(r, 4000);                                                         \
        ck_assert_str_eq(buffer_text(&got), want);                                                 \
        buffer_fini(&got);                                                                         \
    } while (0)

#define COMMIT(n) n "0000000000000000000000000000"
#define HEAD(event, resource, number, id, blob)                                                    \
    "{\"event\":\"" event "\",\"resource\":\"" resource "\",\"seq\":" number                       \
    ",\"commit\":\"" COMMIT(id) "\",\"blob\":\"" COMMIT(                                           \
        blob) "\",\"time\":\"2025-11-28T10:00:00Z\""

START_TEST(from_the_start)
{
    take(0, "a\n");
    web_store_know(&s);
    struct web_reader *r = reader(WEB_CONTENT_DELTA, NULL);
    HEARS(r, "event: hello\ndata: {\"event\":\"hello\",\"store\":\"plan\",\"seq\":1,\"commit\":"
             "\"000000000001\",\"resources\":[\"app\",\"raw\"],\"versions\":[{\"resource\":\"app\","
             "\"seq\":1,\"commit\":\"" COMMIT("000000000001") "\",\"blob\":\"" COMMIT(
                 "0000000003e9") "\"}]}\n\n"
                                 "event: snapshot\nid: 1-000000000001\ndata: " HEAD(
                                     "snapshot", "app", "1", "000000000001",
                                     "0000000003e9") ","
                                                     "\"reason\":\"start\",\"id\":\"1-"
                                                     "000000000001\",\"text\":\"a\\n\"}\n\n");
    HEARS(r, "");
    take(1, LONG "x\n");
    HEARS(r, "event: snapshot\nid: 2-000000000002\ndata: " HEAD(
                 "snapshot", "raw", "2", "000000000002",
                 "0000000003ea") ",\"reason\":\"first\",\"id\":\"2-000000000002\",\"text\":\""
                                 "a line that nobody changes, and which is longer than what a "
                                 "splice says of it\\n"
                                 "x\\n\"}\n\n");
    take(1, LONG "y\n");
    HEARS(r, "event: change\nid: 3-000000000003\ndata: " HEAD(
                 "change", "raw", "3", "000000000003",
                 "0000000003eb") ",\"prev\":2,\"id\":\"3-000000000003\",\"splices\":[[1,1,\"y\\n\"]"
                                 "]}\n\n");
    take_bytes(1, slice_make("\xff\0", 2));
    HEARS(r, "event: snapshot\nid: 4-000000000004\ndata: " HEAD(
                 "snapshot", "raw", "4", "000000000004",
                 "0000000003ec") ",\"reason\":\"binary\",\"id\":\"4-000000000004\",\"base64\":\"/"
                                 "wA=\"}\n\n");
    web_reader_ping(r);
    HEARS(r, ": ping\n\n");
    ck_assert_uint_eq(web_reader_events(r), 5);
    ck_assert_uint_eq(web_reader_resyncs(r), 0);
    web_reader_free(r);
}
END_TEST

START_TEST(as_much_as_is_wanted)
{
    take(0, LONG);
    web_store_know(&s);
    struct web_reader *full = reader(WEB_CONTENT_FULL, "1-000000000001");
    struct web_reader *none = reader(WEB_CONTENT_NONE, "1-000000000001");
    struct buffer hello = hear(full, 100);
    buffer_fini(&hello);
    hello = hear(none, 100);
    buffer_fini(&hello);
    take(0, "b\n");
    HEARS(full, "event: change\nid: 2-000000000002\ndata: " HEAD(
                    "change", "app", "2", "000000000002",
                    "0000000003ea") ",\"prev\":1,\"id\":\"2-000000000002\",\"text\":\"b\\n\"}\n\n");
    HEARS(none, "event: change\nid: 2-000000000002\ndata: " HEAD(
                    "change", "app", "2", "000000000002",
                    "0000000003ea") ",\"prev\":1,\"id\":\"2-000000000002\"}\n\n");
    web_reader_free(full);
    web_reader_free(none);
}
END_TEST

/* Versions that nobody has any more but who was about to be told one, and who is in the midst of one. */
START_TEST(who_keeps_what_is_old_lets_go_of_it)
{
    static char old[2000];
    struct iovec parts[WEB_READER_PARTS];
    char some[300];
    memset(old, 'x', sizeof old - 1);
    take(0, old);
    web_store_know(&s);
    struct web_reader *within = reader(WEB_CONTENT_DELTA, NULL);
    struct web_reader *about = reader(WEB_CONTENT_DELTA, NULL);
    struct buffer hello = BUFFER_EMPTY;
    ck_assert_uint_eq(take_some(within, some, sizeof some), sizeof some);
    while (!web_reader_has(within, s.list[0].text))
        ck_assert_uint_eq(take_some(within, some, 20), 20);
    while (web_reader_parts(about, parts) > 0 && !web_reader_has(about, s.list[0].text)) {
        buffer_append(&hello, parts[0].iov_base, parts[0].iov_len);
        web_reader_took(about, parts[0].iov_len);
    }
    buffer_fini(&hello);
    ck_assert_uint_eq(s.texts->left, 0);
    const struct web_text *text = s.list[0].text;
    take(0, "new\n");
    ck_assert_ptr_eq(s.texts->first, text);
    ck_assert_uint_eq(s.texts->left, text->len);
    uint64_t events = web_reader_events(about);
    ck_assert(web_reader_fall(about));
    ck_assert(!web_reader_has(about, text));
    ck_assert_uint_eq(web_reader_events(about), events - 1);
    ck_assert_uint_eq(web_reader_resyncs(about), 1);
    HEARS(about, "event: snapshot\nid: 2-000000000002\ndata: " HEAD(
                     "snapshot", "app", "2", "000000000002",
                     "0000000003ea") ",\"reason\":\"slow\",\"id\":\"2-000000000002\",\"text\":"
                                     "\"new\\n\"}\n\n");
    ck_assert_uint_gt(s.texts->left, 0);
    ck_assert(!web_reader_fall(within));
    web_reader_free(within);
    ck_assert_uint_eq(s.texts->left, 0);
    web_reader_free(about);
}
END_TEST

/* A WebSocket's messages, taken some bytes at a time, as a socket takes them: whole frames, a ping only between. */
START_TEST(in_frames)
{
    static char line[70001];
    memset(line, 'x', sizeof line - 1);
    static const size_t steps[] = {1, 7, 100000};
    take(0, line);
    web_store_know(&s);
    for (size_t i = 0; i < 3; i++) {
        struct web_reader_options o = {
            .store = &s, .framing = &web_framing_websocket, .content = WEB_CONTENT_FULL};
        struct web_reader *r = web_reader_new(&o);
        struct iovec parts[WEB_READER_PARTS];
        struct buffer got = BUFFER_EMPTY;
        size_t pings = 0, messages = 0;
        ck_assert(!web_reader_is_within(r));
        while (web_reader_parts(r, parts) > 0) {
            size_t len = parts[0].iov_len < steps[i] ? parts[0].iov_len : steps[i];
            buffer_append(&got, parts[0].iov_base, len);
            web_reader_took(r, len);
            web_reader_ping(r); /* within one it says nothing */
        }
        ck_assert(!web_reader_is_within(r));
        web_reader_ping(r);
        ck_assert_int_eq(web_reader_parts(r, parts), 1);
        ck_assert_uint_eq(parts[0].iov_len, WEBSOCKET_PING_LEN);
        buffer_append(&got, parts[0].iov_base, parts[0].iov_len);
        for (size_t at = 0; at < got.len;) {
            const unsigned char *head = (unsigned char *)got.data + at;
            size_t len = head[1], bytes = len < 126 ? 0 : len == 126 ? 2 : 8;
            for (size_t k = 0, all = 0; k < bytes; k++)
                len = all = all << 8 | head[2 + k];
            pings += head[0] == 0x89;
            messages += head[0] == 0x81;
            ck_assert(head[0] != 0x81 || (head[2 + bytes] == '{' && head[1 + bytes + len] == '}'));
            at += 2 + bytes + len;
            ck_assert_uint_le(at, got.len);
        }
        ck_assert_uint_eq(pings, 1);
        ck_assert_uint_eq(messages, 2); /* hello, and one that takes eight bytes to count */
        buffer_fini(&got);
        web_reader_free(r);
    }
}
END_TEST

static struct web_reader *reader_framed(const struct web_framing *framing, enum web_content content)
{
    struct web_reader_options o = {.store = &s, .framing = framing, .content = content};
    struct web_reader *r = web_reader_new(&o);
    ck_assert_ptr_nonnull(r);
    return r;
}

/* What stands in chunks: each a whole message. */
static struct buffer unchunk(const struct buffer *b)
{
    struct buffer out = BUFFER_EMPTY;
    for (size_t at = 0; at < b->len;) {
        char *end;
        size_t len = strtoul(b->data + at, &end, 16);
        ck_assert_int_eq(memcmp(end, "\r\n", 2), 0);
        ck_assert_int_eq(memcmp(end + 2 + len - 2, "\n\n\r\n", 4), 0);
        buffer_append(&out, end + 2, len);
        at = (size_t)(end - b->data) + 2 + len + 2;
    }
    return out;
}

/* Some of them are told a change when another one has come already: what they hear is the same, however it is told. */
START_TEST(all_hear_the_same)
{
    take(0, "a\n");
    web_store_know(&s);
    for (int content = 0; content < WEB_CONTENT_COUNT; content++) {
        struct web_reader *at_once = reader_framed(&web_framing_sse, content);
        struct web_reader *later = reader_framed(&web_framing_sse, content);
        struct web_reader *chunks = reader_framed(&web_framing_chunks, content);
        struct buffer all = BUFFER_EMPTY, some = BUFFER_EMPTY;
        for (int i = 0; i < 12; i++) {
            char line[32];
            snprintf(line, sizeof line, "%d %d\n", content, i);
            struct buffer got = hear(at_once, 50), text = BUFFER_EMPTY;
            buffer_append_slice(&all, buffer_slice(&got));
            buffer_fini(&got);
            got = hear(chunks, 50);
            buffer_append_slice(&some, buffer_slice(&got));
            buffer_fini(&got);
            buffer_append_text(&text, LONG);
            buffer_append_text(&text, line);
            take_bytes((size_t)i % 2, i == 7 ? slice_make("\xff", 1) : buffer_slice(&text));
            buffer_fini(&text);
            if (i % 3 == 0) {
                got = hear(later, 50);
                buffer_fini(&got);
            }
        }
        struct buffer got = hear(at_once, 50);
        buffer_append_slice(&all, buffer_slice(&got));
        buffer_fini(&got);
        got = hear(chunks, 50);
        buffer_append_slice(&some, buffer_slice(&got));
        buffer_fini(&got);
        struct buffer same = unchunk(&some), last = hear(later, 50);
        ck_assert(slice_equal(buffer_slice(&same), buffer_slice(&all)));
        ck_assert_int_eq(memcmp(last.data, all.data + all.len - last.len, last.len), 0);
        ck_assert_uint_gt(last.len, 0);
        buffer_fini(&same);
        buffer_fini(&last);
        buffer_fini(&all);
        buffer_fini(&some);
        web_reader_free(at_once);
        web_reader_free(later);
        web_reader_free(chunks);
    }
}
END_TEST

/* ---- whatever happens, what a reader has made of it is what there is ---- */

struct client {
    struct web_reader *r;
    struct buffer got; /* the message it is in the midst of */
    struct buffer text[2];
    uint64_t held[2];
    char id[WEB_ID_SIZE]; /* the last it was told */
    size_t slow, gaps, deltas;
};

static void client_apply(struct buffer *text, const json_t *splices)
{
    for (size_t i = json_array_size(splices); i-- > 0;) {
        const json_t *one = json_array_get(splices, i), *put = json_array_get(one, 2);
        size_t from = (size_t)json_integer_value(json_array_get(one, 0)), at = 0, end;
        for (size_t line = 0; line < from; line++)
            at = (size_t)((char *)memchr(text->data + at, '\n', text->len - at) - text->data) + 1;
        end = at;
        for (json_int_t n = json_integer_value(json_array_get(one, 1)); n > 0; n--) {
            const char *lf = memchr(text->data + end, '\n', text->len - end);
            end = lf != NULL ? (size_t)(lf - text->data) + 1 : text->len;
        }
        struct buffer next = BUFFER_EMPTY;
        buffer_append(&next, text->data, at);
        buffer_append(&next, json_string_value(put), json_string_length(put));
        buffer_append(&next, text->data + end, text->len - end);
        buffer_fini(text);
        *text = next;
    }
}

static void client_event(struct client *c, const char *event, const char *id, const json_t *data)
{
    if (strcmp(event, "hello") == 0)
        return;
    size_t i = strcmp(json_string_value(json_object_get(data, "resource")), "raw") == 0;
    uint64_t number = (uint64_t)json_integer_value(json_object_get(data, "seq"));
    if (id[0] != '\0')
        snprintf(c->id, sizeof c->id, "%s", id);
    if (strcmp(event, "snapshot") == 0) {
        const char *reason = json_string_value(json_object_get(data, "reason"));
        c->slow += strcmp(reason, "slow") == 0;
        c->gaps += strcmp(reason, "gap") == 0;
        const json_t *text = json_object_get(data, "text");
        buffer_clear(&c->text[i]);
        buffer_append(&c->text[i], json_string_value(text), json_string_length(text));
    } else if (number > c->held[i]) { /* else it knows that already */
        ck_assert_uint_eq((uint64_t)json_integer_value(json_object_get(data, "prev")), c->held[i]);
        client_apply(&c->text[i], json_object_get(data, "splices"));
        c->deltas++;
    }
    c->held[i] = number > c->held[i] ? number : c->held[i];
}

static void client_hear(struct client *c, size_t most)
{
    static char part[JOURNAL * 64];
    size_t len = 0;
    for (size_t n; len < most; len += n) {
        n = take_some(c->r, part, most - len < 300 ? most - len : 300);
        if (n == 0)
            break;
        buffer_append(&c->got, part, n);
    }
    for (const char *text; (text = buffer_text(&c->got)) != NULL;) {
        const char *end = strstr(text, "\n\n"), *id = strstr(text, "\nid: ");
        char event[16] = "", said[WEB_ID_SIZE] = "";
        if (end == NULL)
            break;
        sscanf(text, "event: %15s", event);
        if (id != NULL && id < end)
            sscanf(id, "\nid: %39s", said);
        const char *data = strstr(text, "\ndata: ") + 7;
        json_t *json = json_loadb(data, (size_t)(end - data), 0, NULL);
        ck_assert_msg(json != NULL, "%s", text);
        client_event(c, event, said, json);
        json_decref(json);
        buffer_consume(&c->got, (size_t)(end + 2 - text));
    }
}

static void random_version(void)
{
    size_t resource = (size_t)(rand() % 2);
    struct buffer b = BUFFER_EMPTY;
    for (int i = rand() % 8 + 1; i > 0; i--)
        buffer_append_text(&b, rand() % 3 == 0 ? "short\n" : rand() % 2 == 0 ? LONG : "\n");
    take_bytes(resource, buffer_slice(&b));
    buffer_fini(&b);
}

START_TEST(nobody_misses_silently)
{
    struct client c = {.id = ""};
    srand(7);
    random_version();
    web_store_know(&s);
    c.r = reader(WEB_CONTENT_DELTA, NULL);
    for (int i = 0; i < 3000; i++) {
        for (int k = rand() % 40 == 0 ? 60 : rand() % 3; k > 0; k--)
            random_version();
        if (rand() % 20 == 0) {
            buffer_fini(&c.got); /* its connection breaks, and it comes again */
            web_reader_free(c.r);
            for (int k = rand() % 3; k > 0; k--)
                random_version();
            c.r = reader(WEB_CONTENT_DELTA, c.id);
        }
        client_hear(&c, rand() % 4 == 0 ? SIZE_MAX : (size_t)(rand() % 600));
    }
    client_hear(&c, SIZE_MAX);
    for (size_t i = 0; i < 2; i++) {
        ck_assert_uint_eq(c.held[i], s.list[i].v.seq);
        ck_assert(slice_equal(buffer_slice(&c.text[i]), buffer_slice(&s.list[i].bytes)));
        buffer_fini(&c.text[i]);
    }
    ck_assert_uint_gt(c.slow, 10);
    ck_assert_uint_gt(c.deltas, 1000);
    buffer_fini(&c.got);
    web_reader_free(c.r);
}
END_TEST

START_TEST(another_history)
{
    take(0, LONG);
    web_store_know(&s);
    struct web_reader *r = reader(WEB_CONTENT_NONE, "7-0000000000ff");
    struct buffer got = hear(r, 8000);
    ck_assert_ptr_nonnull(strstr(buffer_text(&got), "\"reason\":\"gap\""));
    buffer_fini(&got);
    web_store_forget(&s);
    got = hear(r, 8000);
    ck_assert_uint_eq(got.len, 0); /* until all is known */
    seq = 0;
    take(0, "other\n");
    web_store_know(&s);
    got = hear(r, 8000);
    ck_assert_ptr_nonnull(strstr(buffer_text(&got), "\"reason\":\"gap\""));
    ck_assert_ptr_nonnull(strstr(buffer_text(&got), "id: 1-000000000001"));
    buffer_fini(&got);
    ck_assert_uint_eq(web_reader_resyncs(r), 1);
    web_reader_free(r);
}
END_TEST

SUITE_MAIN_WITH("web-reader", set_up, tear_down, from_the_start, as_much_as_is_wanted, in_frames,
                all_hear_the_same, who_keeps_what_is_old_lets_go_of_it, nobody_misses_silently,
                another_history)
