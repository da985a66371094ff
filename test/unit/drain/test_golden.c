/*
 * test_golden.c: what stands on the wire, byte by byte, is what revision 06119dc put there, and what
 * it put there can be read.
 *
 * Every message of a worker's link, between workers and of the control socket, and every record of an upgrade's state
 * is packed with fixed values and compared with test/golden/frames.txt, which the same program wrote from that
 * revision's sources (test/golden/record; `test_golden --print`). The values are named, so that the order of lists and
 * structs does not matter. A message that came later is not in there.
 */
#include "proto/upgrade_state.h"
#include "proto/contract.h"
#include "proto/control.h"
#include "proto/link.h"
#include "proto/message.h"
#include "test/unit/suite.h"

#include <stdlib.h>

#define FRAMES "test/golden/frames.txt"

#define S(text)                                                                                    \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }
#define MAP   S("\x82\xa3one\x01\xa3two\xa5value")
#define ARRAY S("\x93\xc4\x03\x61\x00\xff\xc0\xcd\x01\x00")

/* X(family, name, values) */
/* clang-format off */
#define GOLDEN_LIST(X)                                                                             \
    X(link, hello, .version = CONTRACT_LINK_VERSION, .type = S("get-hash"), .pid = 4711,           \
      .generation = 300)                                                                           \
    X(link, config, .settings = MAP)                                                               \
    X(link, ready, .address = S("ipc:///run/platoon/mbox/redis,send.1.3"))                         \
    X(link, beat, .counters = MAP, .doing = S("idle"), .trouble = S("the disk is full"))           \
    X(link, stop, .deadline_ms = 10000)                                                            \
    X(link, bye, .reason = S("told to stop"))                                                      \
    X(link, up, .name = S("redis/send.1"), .type = S("send"), .generation = 2,                     \
      .address = S("ipc:///run/platoon/mbox/redis,send.1.2"))                                      \
    X(link, down, .name = S("redis/send.1"), .generation = 70000, .reason = S("SIGKILL"),          \
      .orderly = 1)                                                                                \
    X(link, monitor, .name = S("site/web.1"))                                                      \
    X(link, request, .id = 5, .deadline_ms = 4999, .verb = S("status"), .args = ARRAY)             \
    X(link, reply, .id = 5, .status = 124, .body = S("\xc0"))                                      \
    X(link, look, .id = 6)                                                                         \
    X(link, tree, .id = 6, .uptime_ms = 1ull << 40, .node = MAP, .problems = ARRAY)                \
    X(link, child, .id = 7, .program = S("thumb"), .argument = S("a\xff" "b c"))                   \
    X(link, started, .id = 7, .name = S("boss.1/thumb.1"), .generation = 9, .error = S("none"))    \
    X(link, end, .name = S("boss.1/thumb.1"))                                                      \
    X(message, envelope, .sender = S("redis/visits/get-hash.2"), .generation = 3, .number = 1000,  \
      .sent_ms = 123456789)                                                                        \
    X(message, work, .claims_total = 64, .pending = 100000)                                        \
    X(message, claimed, .claims_total = 65, .pending = 200, .in_flight = 12, .idle = 1)            \
    X(message, credit, .claims_total = 16)                                                         \
    X(message, claim, .id = S("claim-1"), .attempt = 2, .members = S("\x91\x93\x01\xc4\x01v\x00")) \
    X(message, done, .id = S("claim-1"), .stored = 499, .dead = 1, .given_back = 0)                \
    X(message, records, .token = 8, .count = 1, .records = S("\x93\x01\xc4\x01v\x00"))             \
    X(message, stored, .token = 8, .refused = S("\x91\x92\x01\xa3why"))                            \
    X(message, reply, .command = S("PING"), .is_error = 0, .reply = S("\xa4PONG"))                 \
    X(message, json, .text = S("{\"a\":[1,null]}"))                                                \
    X(message, call, .token = 9, .text = S("\"why\""))                                             \
    X(message, answer, .token = 9, .failed = 1, .text = S("\"because\""))                          \
    X(message, linked, .since_ms = 987654321)                                                      \
    X(control, request, .version = CONTROL_VERSION, .id = 1, .deadline_ms = 5000,                  \
      .verb = S("status"), .args = ARRAY)                                                          \
    X(control, answer, .id = 1, .status = 78, .more = 1, .body = MAP)                              \
    X(upgrade, master, .version = UPGRADE_VERSION, .text = S("0.1.0"), .instance = S("abcdef"),    \
      .boot = 7, .started_ms = 1000, .upgrades = 1, .lock_fd = 5, .listener_fd = 9,                \
      .request_id = 11, .children = 12, .nodes = 13, .last_line = 14, .lines = ARRAY,              \
      .last_event = 15, .events = ARRAY)                                                           \
    X(upgrade, branch, .name = S("redis/visits"), .wanted = 1, .restarts = 2, .failures = 3,       \
      .state_since_ms = 4000, .next_start_ms = 5000)                                               \
    X(upgrade, worker, .name = S("boss.1/thumb.1"), .type = S("command"), .settings = MAP,         \
      .state = 1, .wanted = 1, .finished = 0, .was_ready = 1, .ready_at_ms = 1001,                 \
      .generation = 2, .restarts = 3, .failures = 4, .state_since_ms = 1002, .started_ms = 1003,   \
      .next_start_ms = 1004, .address = S("ipc:///mbox"), .last_exit = S("exit 1"),                \
      .doing = S("runs"), .trouble = S("is hot"), .log_level = 6, .owner = S("boss.1"),            \
      .program = S("thumb"), .argument = S("a b"), .pid = 4712, .pidfd = 21, .link_fd = 22,        \
      .output_fd = 23, .told_level = 7, .greeted = 1, .waiting_for = 3, .deadline_ms = 1005,       \
      .said = S("bye"), .monitors = ARRAY, .link_in = S("\x00\x00"), .output_in = S("half a "),    \
      .lines = ARRAY)
/* clang-format on */

/* Unpackers of the families where a frame holds one message, and of those where several follow each other. */
#define READ_link(name, frame, m)    link_##name##_unpack(frame, m)
#define READ_control(name, frame, m) control_##name##_unpack(frame, m)
#define READ_message(name, frame, m) (u = unpack_start(frame), message_##name##_unpack(&u, m))
#define READ_upgrade(name, frame, m) (u = unpack_start(frame), upgrade_##name##_unpack(&u, m))

#define GOLDEN_CODEC(family, name, ...)                                                            \
    static void family##_##name##_write(struct buffer *out)                                        \
    {                                                                                              \
        family##_##name##_pack(out, &(struct family##_##name){__VA_ARGS__});                       \
    }                                                                                              \
    static bool family##_##name##_again(struct slice frame, struct buffer *out)                    \
    {                                                                                              \
        struct family##_##name m;                                                                  \
        struct unpack u = unpack_start(slice_of(""));                                              \
        bool good = READ_##family(name, frame, &m) && unpack_end(&u);                              \
        if (good)                                                                                  \
            family##_##name##_pack(out, &m);                                                       \
        return good;                                                                               \
    }
GOLDEN_LIST(GOLDEN_CODEC)

static const struct golden {
    const char *name;
    void (*write)(struct buffer *out);
    /* Reads a frame and packs what it has read. */
    bool (*again)(struct slice frame, struct buffer *out);
} goldens[] = {
#define X(family, name, ...) {#family "." #name, family##_##name##_write, family##_##name##_again},
    GOLDEN_LIST(X)
#undef X
};

#define GOLDEN_COUNT (sizeof goldens / sizeof goldens[0])

static void golden_hex(struct slice bytes, struct buffer *out)
{
    for (size_t i = 0; i < bytes.len; i++)
        buffer_printf(out, "%02x", (unsigned char)bytes.ptr[i]);
}

/* A line of the recording: "link.hello 9501…". */
static void golden_line(const struct golden *g, struct buffer *line)
{
    struct buffer frame = BUFFER_EMPTY;
    g->write(&frame);
    buffer_printf(line, "%s ", g->name);
    golden_hex(buffer_slice(&frame), line);
    buffer_fini(&frame);
}

static char *recorded[GOLDEN_COUNT + 1];
static size_t recorded_count;

static void golden_read(void)
{
    FILE *file = fopen(FRAMES, "r");
    size_t size = 0;
    char *line = NULL;
    ck_assert_msg(file != NULL, FRAMES ": not there: run this in the top of the tree");
    while (getline(&line, &size, file) > 0) {
        ck_assert_uint_lt(recorded_count, GOLDEN_COUNT);
        line[strcspn(line, "\n")] = '\0';
        recorded[recorded_count++] = line;
        line = NULL;
    }
    free(line);
    fclose(file);
}

static void golden_free(void)
{
    while (recorded_count > 0)
        free(recorded[--recorded_count]);
}

/* The recorded line of that message; a message may be added here, none may go. */
static const char *golden_find(const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < recorded_count; i++)
        if (strncmp(recorded[i], name, len) == 0 && recorded[i][len] == ' ')
            return recorded[i];
    ck_abort_msg("%s: is not in " FRAMES, name);
    return NULL;
}

START_TEST(every_recorded_message_is_here)
{
    ck_assert_uint_eq(recorded_count, GOLDEN_COUNT);
}
END_TEST

START_TEST(the_same_bytes)
{
    const struct golden *g = &goldens[_i];
    struct buffer line = BUFFER_EMPTY;
    golden_line(g, &line);
    const char *now = buffer_text(&line), *then = golden_find(g->name);
    ck_assert_msg(strcmp(now, then) == 0, "%s has other bytes:\n- %s\n+ %s", g->name, then, now);
    buffer_fini(&line);
}
END_TEST

/* What 06119dc has packed, from its recording, not from what we pack. */
START_TEST(old_bytes_are_read)
{
    const struct golden *g = &goldens[_i];
    const char *hex = golden_find(g->name) + strlen(g->name) + 1;
    struct buffer frame = BUFFER_EMPTY, again = BUFFER_EMPTY, text = BUFFER_EMPTY;
    for (const char *c = hex; c[0] != '\0' && c[1] != '\0'; c += 2)
        buffer_append_char(&frame, (char)strtol((char[]){c[0], c[1], '\0'}, NULL, 16));
    ck_assert_msg(g->again(buffer_slice(&frame), &again), "%s: the old frame is refused", g->name);
    golden_hex(buffer_slice(&again), &text);
    ck_assert_str_eq(buffer_text(&text), hex);
    buffer_fini(&frame);
    buffer_fini(&again);
    buffer_fini(&text);
}
END_TEST

static int golden_print(void)
{
    for (size_t i = 0; i < GOLDEN_COUNT; i++) {
        struct buffer line = BUFFER_EMPTY;
        golden_line(&goldens[i], &line);
        puts(buffer_text(&line));
        buffer_fini(&line);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--print") == 0)
        return golden_print();
    Suite *suite = suite_create("golden");
    TCase *tc = tcase_create("golden");
    tcase_add_checked_fixture(tc, golden_read, golden_free);
    tcase_add_test(tc, every_recorded_message_is_here);
    tcase_add_loop_test(tc, the_same_bytes, 0, (int)GOLDEN_COUNT);
    tcase_add_loop_test(tc, old_bytes_are_read, 0, (int)GOLDEN_COUNT);
    suite_add_tcase(suite, tc);
    return suite_end(suite);
}
