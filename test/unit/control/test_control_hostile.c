/*
 * test_control_hostile.c: the control server and clients that mean no good, or are too many
 * (master/control/control_server.c).
 */
#include "test/unit/suite.h"
#include "test/unit/control/control_fixture.h"

/* ---- hostile clients ---- */

START_TEST(test_garbage)
{
    static const struct slice garbage[] = {
        {"", 0},
        {"\xc1", 1},
        {"GET / HTTP/1.1\r\n", 16},
        {"\x97\x01\x01\x01\x01\xa4tree\x90\x90", 12}, /* a field too many */
        {"\x96\x01\x01\x01\x01\xa4tree\x90\x90", 12}, /* a byte too many */
        {"\x96\x01\x01\x01\x01\xa4tree\x01", 11},     /* arguments that are none */
        {"\x96\x01\x01\x01\x01\xa4tree\x91\x01", 12}, /* an argument that is none */
        {"\x96\x01\x01\x01\x01\xa4tree\xdd\xff\xff\xff\xff", 15},
        {"\x96\x02\x01\x01\x01\xa4tree\x90", 11}, /* no REQUEST */
        {"\x92\x01\x01", 3},
    };
    for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
        int fd = dial();
        ck_assert(say_frame(fd, garbage[i]));
        expect_ended(fd);
    }
    int fd = dial();
    say_bytes(fd, slice_of("GET / HTTP/1.1\r\n\r\n")); /* not even a frame */
    expect_ended(fd);
    expect_served();
}
END_TEST

START_TEST(test_oversize)
{
    struct buffer head = BUFFER_EMPTY;
    put_length(&head, CONTROL_REQUEST_MAX + 1);
    int fd = dial();
    say_bytes(fd, buffer_slice(&head));
    expect_ended(fd);
    expect_served();
    buffer_fini(&head);
}
END_TEST

START_TEST(test_largest_request_is_taken)
{
    all_ready();
    char *word = malloc(CONTROL_REQUEST_MAX);
    memset(word, 'x', CONTROL_REQUEST_MAX);
    word[CONTROL_REQUEST_MAX - 128] = '\0'; /* room for the rest of the request */
    int fd = dial();
    ck_assert(say(fd, 1, LONG_MS, "ask", "send", "", "redis", word, NULL));
    until(asked.fn != NULL);
    ck_assert_uint_gt(asked.args.len, CONTROL_REQUEST_MAX - 128);
    worker_answers(CONTROL_OK, slice_of("\xc3"));
    ck_assert_uint_eq(hear(fd).status, CONTROL_OK);
    close(fd);
    free(word);
}
END_TEST

START_TEST(test_too_many_arguments)
{
    struct buffer args = BUFFER_EMPTY;
    pack_array(&args, CONTROL_ARGS_MAX + 1);
    for (size_t i = 0; i <= CONTROL_ARGS_MAX; i++)
        pack_bin(&args, slice_of("x"));
    int fd = dial();
    ck_assert(say_request(fd, (struct control_request){.version = CONTROL_VERSION,
                                                       .id = 3,
                                                       .deadline_ms = LONG_MS,
                                                       .verb = slice_of("ask"),
                                                       .args = buffer_slice(&args)}));
    expect_part(fd, 3, CONTROL_USAGE, "at most 8192 arguments");
    buffer_fini(&args);
    close(fd);
}
END_TEST

START_TEST(test_wrong_version)
{
    int fd = dial();
    /* Laid out as no version we know: only its first two values are where ours are. */
    ck_assert(say_frame(fd, slice_make("\x94\x01\x63\xc0\xc3", 5)));
    expect(fd, 0, CONTROL_ERROR,
           "the master speaks version 1 of the control protocol, this client version 99: install "
           "platoon and platoonctl together");
    expect_ended(fd);
    expect_served();
}
END_TEST

static bool hung_up(int fd)
{
    struct pollfd p = {.fd = fd};
    return poll(&p, 1, 0) == 1 && (p.revents & POLLHUP) != 0;
}

START_TEST(test_a_client_that_never_reads)
{
    all_ready();
    struct buffer body = BUFFER_EMPTY;
    size_t len = 9u << 20;
    char *bytes = calloc(1, len);
    pack_bin(&body, slice_make(bytes, len));
    int fd = dial();
    for (int i = 0; i < 3; i++) { /* the fourth would be above CONTROL_QUEUE_MAX */
        ck_assert(say(fd, 1, LONG_MS, "ask", "send", "", "redis", NULL));
        until(asked.fn != NULL);
        worker_answers(CONTROL_OK, buffer_slice(&body));
        expect_served();
        ck_assert(!hung_up(fd));
    }
    ck_assert(say(fd, 1, LONG_MS, "ask", "send", "", "redis", NULL));
    until(asked.fn != NULL);
    worker_answers(CONTROL_OK, buffer_slice(&body));
    until(hung_up(fd));
    expect_served();
    close(fd);
    buffer_fini(&body);
    free(bytes);
}
END_TEST

START_TEST(test_an_answer_too_large_is_refused)
{
    all_ready();
    struct buffer body = BUFFER_EMPTY;
    char *bytes = calloc(1, CONTROL_FRAME_MAX);
    pack_bin(&body, slice_make(bytes, CONTROL_FRAME_MAX));
    int fd = dial();
    ck_assert(say(fd, 1, LONG_MS, "ask", "send", "", "redis", NULL));
    until(asked.fn != NULL);
    worker_answers(CONTROL_OK, buffer_slice(&body));
    expect_part(fd, 1, CONTROL_ERROR, "more than the control socket carries");
    close(fd);
    buffer_fini(&body);
    free(bytes);
}
END_TEST

START_TEST(test_too_many_clients)
{
    int fds[CONTROL_CLIENTS_MAX];
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        fds[i] = dial();
        ck_assert(say(fds[i], i, LONG_MS, "version", NULL));
        ck_assert_uint_eq(hear(fds[i]).status, CONTROL_OK);
    }
    int more = dial();
    expect(more, 0, CONTROL_ERROR, "64 clients are connected already: end some of them");
    expect_ended(more);
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        ck_assert(say(fds[i], i, LONG_MS, "version", NULL));
        ck_assert_uint_eq(hear(fds[i]).status, CONTROL_OK);
        close(fds[i]);
    }
    for (int i = 0; i < 3; i++) /* the server sees the ends in the next turns */
        uv_run(&loop, UV_RUN_NOWAIT);
    expect_served();
}
END_TEST

START_TEST(test_idle_clients_leave_a_place)
{
    int fds[CONTROL_CLIENTS_MAX];
    fds[0] = dial();
    ck_assert(say(fds[0], 1, LONG_MS, "wait", "ready", NULL));
    for (size_t i = 1; i < CONTROL_CLIENTS_MAX; i++)
        fds[i] = dial();
    uint64_t start = clock_mono_ms();
    until(clock_mono_ms() - start > 1200);
    int more = dial();
    ck_assert(say(more, 1, LONG_MS, "version", NULL));
    ck_assert_uint_eq(hear(more).status, CONTROL_OK);
    close(more);
    ck_assert(!hung_up(fds[0]));
    all_ready();
    ck_assert_uint_eq(hear(fds[0]).status, CONTROL_OK);
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
        close(fds[i]);
}
END_TEST

START_TEST(test_too_many_requests)
{
    int fd = dial();
    for (uint64_t i = 0; i < CONTROL_PENDING_MAX; i++)
        ck_assert(say(fd, i, LONG_MS, "wait", "ready", NULL));
    ck_assert(say(fd, 99, LONG_MS, "wait", "ready", NULL));
    expect_part(fd, 99, CONTROL_ERROR, "32 requests of this client wait already");
    all_ready();
    for (uint64_t i = 0; i < CONTROL_PENDING_MAX; i++)
        ck_assert_uint_eq(hear(fd).status, CONTROL_OK);
    close(fd);
}
END_TEST

START_TEST(test_idle_clients)
{
    uint64_t start = clock_mono_ms();
    int silent = dial(), half = dial(), waiting = dial();
    ck_assert(say_bytes(half, slice_make("\0\0\0", 3)));
    ck_assert(say(waiting, 1, LONG_MS, "wait", "ready", NULL));
    ck_assert(say(waiting, 2, LONG_MS, "version", NULL)); /* by its answer the former is known */
    ck_assert_uint_eq(hear(waiting).id, 2);
    control_idle_ms = 200;
    expect_ended(silent);
    expect_ended(half);
    uint64_t ended = clock_mono_ms();
    ck_assert_uint_ge(ended - start, 200);
    until(clock_mono_ms() - ended > 600);
    ck_assert(!hung_up(waiting));
    all_ready();
    ck_assert_uint_eq(hear(waiting).status, CONTROL_OK);
    close(waiting);
}
END_TEST

/* Only root can become another user: anybody else cannot run this one. */
static void other_user_reads_refusal(void)
{
    char answer[256];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    slice_copy(slice_of(socket_path), address.sun_path, sizeof address.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool may = setuid(65534) == 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    ssize_t n = may ? recv(fd, answer, sizeof answer, 0) : 0;
    _exit(n > 0 && memmem(answer, (size_t)n, "run platoonctl as that user", 27) != NULL ? 0 : 1);
}

START_TEST(test_other_users_are_refused)
{
    /* As if somebody had opened the directory and the socket: the modes are the first lock, this is the second. */
    ck_assert_int_eq(chmod(master.paths.runtime_dir, 0711), 0);
    ck_assert_int_eq(chmod(socket_path, 0666), 0);
    pid_t child = suite_fork();
    if (child == 0)
        other_user_reads_refusal();
    int status = -1;
    until(waitpid(child, &status, WNOHANG) == child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    expect_served();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("control_hostile");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_garbage);
    tcase_add_test(t, test_oversize);
    tcase_add_test(t, test_largest_request_is_taken);
    tcase_add_test(t, test_too_many_arguments);
    tcase_add_test(t, test_wrong_version);
    tcase_add_test(t, test_a_client_that_never_reads);
    tcase_add_test(t, test_an_answer_too_large_is_refused);
    tcase_add_test(t, test_too_many_clients);
    tcase_add_test(t, test_idle_clients_leave_a_place);
    tcase_add_test(t, test_too_many_requests);
    tcase_add_test(t, test_idle_clients);
    if (geteuid() == 0)
        tcase_add_test(t, test_other_users_are_refused);
    suite_add_tcase(s, t);
    return suite_end(s);
}
