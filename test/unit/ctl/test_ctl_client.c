/* test_ctl_client.c: the tool's end of the control socket against a scripted master on a real socket. */
#include "common/clock.h"
#include "common/stream.h"
#include "master/ctl/ctl_client.h"
#include "proto/control.h"
#include "test/unit/suite.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE_MS 40000u

static char dir[] = "/tmp/ctlXXXXXX";
static char path[64];
static int listener = -1;
static pthread_t master;
static bool master_runs;
static struct ctl_client client;
static struct buffer seen; /* the last request the scripted master has read, without its header */

static int bound_socket(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    ck_assert(slice_copy(slice_of(path), address.sun_path, sizeof address.sun_path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void setup(void)
{
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/s", dir);
    ctl_client_init(&client, path, NULL);
}

static void teardown(void)
{
    ctl_client_fini(&client);
    if (master_runs)
        pthread_join(master, NULL);
    if (listener >= 0)
        close(listener);
    buffer_fini(&seen);
    unlink(path);
    rmdir(dir);
}

/* ---- the scripted master: for each connection it reads one request, says its line, and closes or holds on ---- */

struct line {
    const char *bytes; /* as they are; or NULL: the answers below */
    size_t len;
    struct control_answer answers[3];
    size_t count;
    bool hold;   /* keeps the connection open until the client closes it */
    bool own_id; /* the answer bears the request's id */
};

struct script {
    const struct line *lines;
    size_t count;
};

static bool read_all(int fd, char *to, size_t len)
{
    while (len > 0) {
        ssize_t n = read(fd, to, len);
        if (n <= 0)
            return false;
        to += n;
        len -= (size_t)n;
    }
    return true;
}

static bool read_request(int fd)
{
    unsigned char head[STREAM_HEADER_SIZE];
    if (!read_all(fd, (char *)head, sizeof head))
        return false;
    size_t len = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
    buffer_clear(&seen);
    char *to = buffer_reserve(&seen, len);
    if (to == NULL || !read_all(fd, to, len))
        return false;
    seen.len = len;
    return true;
}

static void say_line(int fd, const struct line *l)
{
    struct buffer out = BUFFER_EMPTY;
    struct control_request request = {0};
    if (l->bytes != NULL)
        buffer_append(&out, l->bytes, l->len);
    for (size_t i = 0; i < l->count; i++) {
        struct control_answer answer = l->answers[i];
        struct buffer frame = BUFFER_EMPTY;
        if (l->own_id && control_request_unpack(buffer_slice(&seen), &request))
            answer.id += request.id;
        control_answer_pack(&frame, &answer);
        for (int n = STREAM_HEADER_SIZE - 1; n >= 0; n--)
            buffer_append_char(&out, (char)(unsigned char)(frame.len >> (8 * n)));
        buffer_append_slice(&out, buffer_slice(&frame));
        buffer_fini(&frame);
    }
    if (out.len > 0 && write(fd, out.data, out.len) != (ssize_t)out.len)
        perror("scripted master");
    buffer_fini(&out);
}

static void *run_master(void *arg)
{
    const struct script *s = arg;
    char byte;
    for (size_t i = 0; i < s->count; i++) {
        int fd = accept(listener, NULL, NULL);
        if (fd >= 0 && read_request(fd))
            say_line(fd, &s->lines[i]);
        while (fd >= 0 && s->lines[i].hold && read(fd, &byte, 1) > 0)
            continue;
        if (fd >= 0)
            close(fd);
    }
    return NULL;
}

/* The thread outlives the test's function: its script must, too. */
static void start_master(const struct line *lines, size_t count)
{
    static struct script script;
    script = (struct script){lines, count};
    listener = bound_socket();
    ck_assert_int_eq(listen(listener, 8), 0);
    ck_assert_int_eq(pthread_create(&master, NULL, run_master, &script), 0);
    master_runs = true;
}

#define START(lines) start_master(lines, sizeof(lines) / sizeof((lines)[0]))

static int ask(uint64_t timeout_ms, struct slice *body)
{
    struct slice argv[] = {slice_of("one"), slice_make("\0\xff", 2)};
    return ctl_client_ask(&client, clock_mono_ms() + timeout_ms, "verb", 2, argv, body);
}

static void check_why(const char *part)
{
    ck_assert_msg(strstr(ctl_client_why(&client), part) != NULL, "it says: %s",
                  ctl_client_why(&client));
    ck_assert_ptr_null(strchr(ctl_client_why(&client), '\n'));
}

static const struct slice body_yes = {"\xa3yes", 4};
static const struct slice body_no = {"\xa2no", 3};

/* ---- tests ---- */

START_TEST(nobody_there)
{
    struct slice body;
    ck_assert_int_eq(ask(PATIENCE_MS, &body), CONTROL_NOT_RUNNING);
    check_why(path);
    check_why("platoon -c FILE");
    close(bound_socket()); /* what a master that was killed leaves behind */
    ck_assert_int_eq(ask(PATIENCE_MS, &body), CONTROL_NOT_RUNNING);
    client.config = "my.conf";
    ck_assert_int_eq(ask(PATIENCE_MS, &body), CONTROL_NOT_RUNNING);
    check_why("platoon -c my.conf");
}
END_TEST

START_TEST(path_too_long)
{
    struct slice body;
    char longer[200];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    client.path = longer;
    ck_assert_int_eq(ask(PATIENCE_MS, &body), CONTROL_USAGE);
    check_why("at most 107 bytes");
}
END_TEST

START_TEST(question_and_answer)
{
    /* Answers to something else, and those that announce more, are passed over. */
    static const struct line lines[] = {{
        .answers = {{.id = 7, .body = body_no},
                    {.id = 0, .more = 1, .body = body_no},
                    {.id = 0, .body = body_yes}},
        .count = 3,
        .own_id = true,
        .hold = true,
    }};
    START(lines);
    struct slice body;
    struct control_request r;
    ck_assert_int_eq(ask(PATIENCE_MS, &body), CONTROL_OK);
    ck_assert(slice_equal(body, body_yes));
    ck_assert(control_request_unpack(buffer_slice(&seen), &r));
    ck_assert_uint_eq(r.version, CONTROL_VERSION);
    ck_assert(slice_is(r.verb, "verb"));
    ck_assert_uint_le(r.deadline_ms, PATIENCE_MS);
    ck_assert_uint_gt(r.deadline_ms, PATIENCE_MS / 2);
    ck_assert(slice_equal(r.args, slice_make("\x92\xc4\x03one\xc4\x02\x00\xff", 10)));
}
END_TEST

START_TEST(failures_carry_their_reason)
{
    static const struct line lines[] = {
        {.answers = {{.status = CONTROL_NO_NAME, .body = body_no}}, .count = 1, .own_id = true},
        {.answers = {{.status = CONTROL_DENIED, .body = {"\xc0", 1}}}, .count = 1, .own_id = true},
        {.answers = {{.status = 1000, .body = body_no}}, .count = 1, .own_id = true},
    };
    START(lines);
    struct slice body;
    ck_assert_int_eq(ask(PATIENCE_MS, &body), CONTROL_NO_NAME);
    ck_assert_str_eq(ctl_client_why(&client), "no");
    ctl_client_fini(&client);
    ctl_client_init(&client, path, NULL);
    ck_assert_int_eq(ask(PATIENCE_MS, &body), CONTROL_DENIED);
    ck_assert_str_eq(ctl_client_why(&client), "not permitted");
    ctl_client_fini(&client);
    ctl_client_init(&client, path, NULL);
    ck_assert_int_eq(ask(PATIENCE_MS, &body), CONTROL_ERROR);
}
END_TEST

START_TEST(master_of_another_version)
{
    static const struct line lines[] = {
        {.answers = {{.id = 0, .status = CONTROL_ERROR, .body = body_no}}, .count = 1}};
    START(lines);
    struct slice body;
    ck_assert_int_eq(ask(PATIENCE_MS, &body), CONTROL_ERROR);
    ck_assert_str_eq(ctl_client_why(&client), "no");
    ck_assert_int_eq(client.fd, -1);
}
END_TEST

static const struct {
    struct line line;
    const char *why;
} odd[] = {
    {{.bytes = "", .len = 0}, "closed the connection without an answer"},
    {{.bytes = "\0\0\0\x05hel", .len = 7}, "closed the connection without an answer"},
    {{.bytes = "HTTP/1.1 400", .len = 12}, "no platoon"},
    {{.bytes = "\0\0\0\x05hello", .len = 9, .hold = true}, "makes no sense"},
    {{.bytes = "\0\0\0\0", .len = 4, .hold = true}, "makes no sense"},
};

START_TEST(what_answers_is_odd)
{
    start_master(&odd[_i].line, 1);
    struct slice body;
    ck_assert_int_eq(ask(PATIENCE_MS, &body), CONTROL_ERROR);
    check_why(odd[_i].why);
    ck_assert_int_eq(client.fd, -1);
}
END_TEST

START_TEST(a_lost_connection_is_made_anew)
{
    static const struct line lines[] = {
        {.bytes = "", .len = 0},
        {.answers = {{.body = body_yes}}, .count = 1, .own_id = true},
    };
    START(lines);
    struct slice body;
    ck_assert_int_eq(ask(PATIENCE_MS, &body), CONTROL_ERROR);
    ck_assert_int_eq(ask(PATIENCE_MS, &body), CONTROL_OK);
    ck_assert(slice_equal(body, body_yes));
}
END_TEST

START_TEST(silence_ends_at_the_deadline)
{
    static const struct line lines[] = {{.bytes = "", .len = 0, .hold = true}};
    START(lines);
    struct slice body;
    uint64_t begin = clock_mono_ms();
    ck_assert_int_eq(ask(100, &body), CONTROL_TIMEOUT);
    ck_assert_uint_ge(clock_mono_ms() - begin, 100);
    check_why("'verb'");
    ck_assert_int_eq(client.fd, -1);
}
END_TEST

START_TEST(requests_have_a_limit)
{
    static const struct line lines[] = {{.bytes = "", .len = 0}};
    START(lines);
    struct slice body;
    static char big[CONTROL_REQUEST_MAX];
    struct slice argv = slice_make(big, sizeof big);
    ck_assert_int_eq(
        ctl_client_ask(&client, clock_mono_ms() + PATIENCE_MS, "verb", 1, &argv, &body),
        CONTROL_ERROR);
    check_why("at most 1MB");
    ctl_client_fini(&client); /* the scripted master sees the end */
}
END_TEST

START_TEST(waiting_for_the_end)
{
    static const struct line lines[] = {
        {.answers = {{.body = body_yes}}, .count = 1, .own_id = true},
        {.answers = {{.body = body_yes}}, .count = 1, .own_id = true, .hold = true},
    };
    START(lines);
    struct slice body;
    ck_assert_int_eq(ask(PATIENCE_MS, &body), CONTROL_OK);
    ck_assert_int_eq(ctl_client_wait_end(&client, clock_mono_ms() + PATIENCE_MS), CONTROL_OK);
    ck_assert_int_eq(ask(PATIENCE_MS, &body), CONTROL_OK);
    ck_assert_int_eq(ctl_client_wait_end(&client, clock_mono_ms() + 50), CONTROL_TIMEOUT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ctl_client");
    TCase *tc = tcase_create("ctl_client");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, nobody_there);
    tcase_add_test(tc, path_too_long);
    tcase_add_test(tc, question_and_answer);
    tcase_add_test(tc, failures_carry_their_reason);
    tcase_add_test(tc, master_of_another_version);
    tcase_add_loop_test(tc, what_answers_is_odd, 0, (int)(sizeof odd / sizeof odd[0]));
    tcase_add_test(tc, a_lost_connection_is_made_anew);
    tcase_add_test(tc, silence_ends_at_the_deadline);
    tcase_add_test(tc, requests_have_a_limit);
    tcase_add_test(tc, waiting_for_the_end);
    suite_add_tcase(suite, tc);
    return suite_end(suite);
}
