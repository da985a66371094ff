/*
 * test_worker_life.c: a worker's life as the master sees it (proto/contract.h): a real process on the real skeleton
 * with a type of the test's own, and the test at the other end of its link.
 */
int worker_main(int argc, char **argv);
/* A program's file: here its main is called in a child. */
#define main worker_main
#include "workers/skeleton/worker_main.c"
#undef main

#include "test/unit/suite.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* What the type does; set before the child is forked. */
static struct {
    int init_code;
    bool hold_ready;
    bool never_finishes;
    const char *late; /* what it waits for */
    bool hang;
    bool idle;
    struct slice answer; /* to "say" */
    const char *rest;    /* what the master says of it; NULL: nothing */
} plan;

/* How often it ticked: shared with the child. */
static unsigned *ticks;

static int type_init(struct worker *w, void *state)
{
    *(int *)state = 41;
    if (plan.init_code != 0)
        worker_trouble(w, "the plan says so");
    if (plan.hold_ready)
        worker_hold_ready(w);
    worker_doing(w, "testing %s", worker_setting_text(w, "test.word"));
    return plan.init_code;
}

static void type_on_tick(struct worker *w, void *state)
{
    ++*ticks;
    if (plan.rest != NULL)
        worker_rest(w);
    if (plan.idle)
        return;
    worker_count(w, COUNTER_MESSAGES_STALE, 2);
    worker_gauge(w, COUNTER_MAILBOX_WAIT, (uint64_t)++ * (int *)state);
}

static void type_on_request(struct worker *w, void *state, const struct link_request *request)
{
    (void)state;
    if (slice_is(request->verb, "trouble") || slice_is(request->verb, "ready-in-trouble"))
        worker_trouble(w, "no %s", "luck");
    if (slice_is(request->verb, "ready") || slice_is(request->verb, "ready-in-trouble"))
        worker_ready(w);
    if (slice_is(request->verb, "exit"))
        worker_exit(w, CONTRACT_EXIT_TEMPORARY, "asked to");
    if (slice_is(request->verb, "setting"))
        worker_setting_text(w, "test.missing");
    if (slice_is(request->verb, "mute"))
        return;
    if (slice_is(request->verb, "say"))
        worker_reply(w, request->id, CONTROL_OK, plan.answer);
    else
        worker_reply(w, request->id, CONTROL_OK, request->args);
}

static bool type_late(struct worker *w, void *state, char *why, size_t size)
{
    (void)w;
    (void)state;
    if (plan.late != NULL)
        snprintf(why, size, "%s", plan.late);
    return plan.late != NULL;
}

static void type_drain(struct worker *w, void *state)
{
    (void)state;
    if (!plan.never_finishes)
        worker_finished(w);
    while (plan.hang)
        pause();
}

static void type_fini(struct worker *w, void *state)
{
    (void)w;
    (void)state;
    log_info("fini", "pid=%d", (int)getpid());
}

const struct worker_ops worker_ops = {.type = "test",
                                      .state_size = sizeof(int),
                                      .init = type_init,
                                      .on_tick = type_on_tick,
                                      .on_request = type_on_request,
                                      .late = type_late,
                                      .drain = type_drain,
                                      .fini = type_fini};

/* ---- the test as master ---- */

static int link_fd, stderr_fd;
static pid_t child;
static struct buffer in;

static void spawn(bool with_environment)
{
    int link[2], err[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, link), 0);
    ck_assert_int_eq(pipe(err), 0);
    struct timeval patience = {.tv_sec = 30};
    setsockopt(link[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ticks = mmap(NULL, sizeof *ticks, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(ticks, MAP_FAILED);
    child = suite_fork();
    if (child == 0) {
        setpgid(0, 0);
        close(link[0]);
        dup2(err[1], STDERR_FILENO);
        if (with_environment) {
            setenv(CONTRACT_ENV_NAME, "branch/test.1", 1);
            setenv(CONTRACT_ENV_GENERATION, "7", 1);
            int moved = fcntl(link[1], F_DUPFD, 100);
            dup2(moved, CONTRACT_LINK_FD);
            close(moved);
        }
        exit(worker_main(0, NULL));
    }
    close(link[1]);
    close(err[1]);
    link_fd = link[0];
    stderr_fd = err[0];
}

/* Exit code, or 1000 + signal. What it wrote to stderr is in `said`. */
static char said[4096];
static int exit_code(void)
{
    int status;
    size_t len = 0;
    ssize_t n;
    while ((n = read(stderr_fd, said + len, sizeof said - 1 - len)) > 0)
        len += (size_t)n;
    said[len] = '\0';
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    buffer_fini(&in);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* At once: an empty frame is whole with its head, and who cannot read it is gone before a second send. */
static void tell(const struct buffer *frame)
{
    unsigned char head[4] = {0, 0, (unsigned char)(frame->len >> 8), (unsigned char)frame->len};
    struct buffer whole = BUFFER_EMPTY;
    buffer_append(&whole, head, sizeof head);
    buffer_append_slice(&whole, buffer_slice(frame));
    ck_assert_int_eq(send(link_fd, whole.data, whole.len, MSG_NOSIGNAL), (ssize_t)whole.len);
    buffer_fini(&whole);
}

#define TELL(name, ...)                                                                            \
    do {                                                                                           \
        struct buffer b = BUFFER_EMPTY;                                                            \
        link_##name##_pack(&b, &(struct link_##name){__VA_ARGS__});                                \
        tell(&b);                                                                                  \
        buffer_fini(&b);                                                                           \
    } while (0)

static void read_exactly(char *to, size_t len)
{
    ck_assert_int_eq(recv(link_fd, to, len, MSG_WAITALL), (ssize_t)len);
}

/* The next frame; its bytes live until the next. */
static struct slice next_frame(void)
{
    unsigned char head[4];
    read_exactly((char *)head, 4);
    size_t len = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
    buffer_clear(&in);
    read_exactly(buffer_reserve(&in, len), len);
    in.len = len;
    return buffer_slice(&in);
}

/* The next frame of that type; beats before it are passed over. */
static struct slice expect(uint64_t type)
{
    struct slice frame = next_frame();
    while (link_frame_type(frame) == LINK_BEAT && type != LINK_BEAT)
        frame = next_frame();
    ck_assert_msg(link_frame_type(frame) == type, "%s instead of %s",
                  link_type_name(link_frame_type(frame)), link_type_name(type));
    return frame;
}

static void greet(void)
{
    struct link_hello hello;
    ck_assert(link_hello_unpack(expect(LINK_HELLO), &hello));
    ck_assert_uint_eq(hello.version, CONTRACT_LINK_VERSION);
    ck_assert_uint_eq(hello.generation, 7);
    ck_assert_uint_eq(hello.pid, (uint64_t)child);
    ck_assert(slice_is(hello.type, "test"));
}

static void configure(void)
{
    struct buffer map = BUFFER_EMPTY;
    pack_map(&map, plan.rest != NULL ? 2 : 1);
    pack_text(&map, "test.word");
    pack_text(&map, "words");
    if (plan.rest != NULL) {
        pack_text(&map, CONTRACT_REST);
        pack_text(&map, plan.rest);
    }
    TELL(config, .settings = buffer_slice(&map));
    buffer_fini(&map);
}

static void start(void)
{
    spawn(true);
    greet();
    configure();
    struct link_ready ready;
    if (plan.hold_ready || plan.init_code != 0)
        return;
    /* Who sees it ready can see what it does. */
    ck_assert_uint_eq(link_frame_type(next_frame()), LINK_BEAT);
    ck_assert(link_ready_unpack(next_frame(), &ready));
    ck_assert_uint_eq(ready.address.len, 0); /* no mailbox */
}

static struct link_reply ask(const char *verb, const char *args)
{
    struct link_reply reply;
    TELL(request, .id = 9, .deadline_ms = 1000, .verb = slice_of(verb), .args = slice_of(args));
    ck_assert(link_reply_unpack(expect(LINK_REPLY), &reply));
    ck_assert_uint_eq(reply.id, 9);
    return reply;
}

static void expect_bye(const char *reason)
{
    struct link_bye bye;
    ck_assert(link_bye_unpack(expect(LINK_BYE), &bye));
    ck_assert_msg(memmem(bye.reason.ptr, bye.reason.len, reason, strlen(reason)) != NULL, "%.*s",
                  (int)bye.reason.len, bye.reason.ptr);
}

START_TEST(started_by_hand)
{
    unsetenv(CONTRACT_ENV_NAME);
    spawn(false);
    ck_assert_int_eq(exit_code(), WORKER_BY_HAND);
    ck_assert_ptr_nonnull(strstr(said, "start `platoon -c FILE` instead"));
}
END_TEST

START_TEST(whole_life)
{
    start();
    TELL(stop, .deadline_ms = 5000);
    expect_bye("stopped");
    ck_assert_int_eq(exit_code(), CONTRACT_EXIT_DONE);
    ck_assert_ptr_nonnull(strstr(said, "fini"));
}
END_TEST

START_TEST(beats_tell_what_it_does)
{
    start();
    struct link_beat beat;
    for (unsigned i = 2; i <= 4; i++) {
        ck_assert(link_beat_unpack(expect(LINK_BEAT), &beat));
        ck_assert(slice_is(beat.doing, "testing words"));
        ck_assert_uint_eq(beat.trouble.len, 0);
        struct unpack u = unpack_start(beat.counters);
        uint64_t stale = 0, wait = 0;
        for (uint32_t n = unpack_map(&u); n > 0; n--) {
            struct slice name = unpack_str(&u);
            uint64_t value = unpack_u64(&u);
            stale = slice_is(name, "messages_stale_total") ? value : stale;
            wait = slice_is(name, "mailbox_wait") ? value : wait;
        }
        ck_assert(unpack_end(&u));
        ck_assert_uint_eq(stale, 2 * i);
        ck_assert_uint_eq(wait, 41 + i);
    }
    ask("trouble", "\x90");
    ck_assert(link_beat_unpack(expect(LINK_BEAT), &beat));
    ck_assert_msg(slice_is(beat.trouble, "no luck"), "%.*s", (int)beat.trouble.len,
                  beat.trouble.ptr);
    close(link_fd);
    exit_code();
}
END_TEST

START_TEST(beats_become_rare_with_nothing_to_say)
{
    plan.idle = true;
    start();
    for (unsigned i = 0; i < 3; i++) {
        expect(LINK_BEAT);
        ck_assert_uint_ge(*ticks, 2 + i * CONTRACT_QUIET_BEATS);
    }
    ask("trouble", "\x90");
    struct link_beat beat;
    ck_assert(link_beat_unpack(expect(LINK_BEAT), &beat));
    ck_assert(slice_is(beat.trouble, "no luck"));
    close(link_fd);
    exit_code();
}
END_TEST

/* Each beat is one tick then; what happens is told with the next second's. */
START_TEST(who_has_nothing_to_do_rests)
{
    plan.idle = true;
    plan.rest = "3100";
    start();
    expect(LINK_BEAT); /* the same as with READY, once more */
    expect(LINK_BEAT);
    unsigned before = *ticks;
    expect(LINK_BEAT);
    ck_assert_uint_eq(*ticks, before + 1);
    ask("trouble", "\x90");
    struct link_beat beat;
    ck_assert(link_beat_unpack(expect(LINK_BEAT), &beat));
    ck_assert(slice_is(beat.trouble, "no luck"));
    ck_assert_uint_eq(*ticks, before + 2);
    expect(LINK_BEAT);
    ck_assert_uint_eq(*ticks, before + 3);
    close(link_fd);
    ck_assert_int_eq(exit_code(), CONTRACT_EXIT_DONE);
}
END_TEST

/* Whoever hears no word of it from its master, an older one, is heard as often as that expects it. */
START_TEST(nobody_rests_for_less_than_quiet_beats_have)
{
    plan.idle = true;
    plan.rest = "3000";
    start();
    for (unsigned i = 0; i < 3; i++) {
        expect(LINK_BEAT);
        ck_assert_uint_ge(*ticks, 2 + i * CONTRACT_QUIET_BEATS);
    }
    close(link_fd);
    exit_code();
}
END_TEST

START_TEST(requests)
{
    start();
    struct link_reply reply = ask("echo", "\x91\xa1x");
    ck_assert_uint_eq(reply.status, CONTROL_OK);
    ck_assert(slice_is(reply.body, "\x91\xa1x"));
    reply = ask("json", "\x91\xb5{\"log_level\":\"debug\"}");
    ck_assert_uint_eq(reply.status, CONTROL_OK);
    reply = ask("json", "\x91\xb4{\"log_level\":\"loud\"}");
    ck_assert_uint_eq(reply.status, CONTROL_USAGE);
    reply = ask("json", "\x91\xa2{}"); /* not the skeleton's: the type's */
    ck_assert(slice_is(reply.body, "\x91\xa2{}"));
    close(link_fd);
    ck_assert_int_eq(exit_code(), CONTRACT_EXIT_DONE);
}
END_TEST

/* Of two that it does not answer the later one's client gives up first; one that was answered is nobody's business. */
START_TEST(says_why_it_is_late)
{
    struct link_reply reply;
    plan.late = "the cat has it";
    start();
    TELL(request, .id = 3, .deadline_ms = 700, .verb = slice_of("echo"), .args = slice_of("\xc0"));
    TELL(request, .id = 1, .deadline_ms = 4500, .verb = slice_of("mute"), .args = slice_of("\xc0"));
    TELL(request, .id = 2, .deadline_ms = 1000, .verb = slice_of("mute"), .args = slice_of("\xc0"));
    const uint64_t ids[] = {3, 2, 1};
    for (size_t i = 0; i < 3; i++) {
        ck_assert(link_reply_unpack(expect(LINK_REPLY), &reply));
        ck_assert_uint_eq(reply.id, ids[i]);
        ck_assert_uint_eq(reply.status, i == 0 ? CONTROL_OK : CONTROL_TIMEOUT);
        ck_assert(slice_is(reply.body, i == 0 ? "\xc0" : "\xaethe cat has it"));
    }
    TELL(request, .id = 4, .deadline_ms = 60000, .verb = slice_of("mute"),
         .args = slice_of("\xc0"));
    close(link_fd);
    ck_assert_int_eq(exit_code(), CONTRACT_EXIT_DONE);
}
END_TEST

/* Each of these frames would be garbage to the master, which kills who sends it. */
START_TEST(an_answer_that_nobody_could_read)
{
    static const char too_deep[] =
        "\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x01";
    const struct slice answers[] = {slice_of(too_deep), slice_of("\x92\x01"), slice_of("\x01\x01")};
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        plan.answer = answers[i];
        start();
        struct link_reply reply = ask("say", "\x90");
        ck_assert_uint_eq(reply.status, CONTROL_ERROR);
        ck_assert_ptr_nonnull(memmem(reply.body.ptr, reply.body.len, "nested deeper", 13));
        close(link_fd);
        exit_code();
    }
    plan.answer = slice_make(too_deep + 1, sizeof too_deep - 2);
    start();
    ck_assert_uint_eq(ask("say", "\x90").status, CONTROL_OK);
    close(link_fd);
    exit_code();
}
END_TEST

START_TEST(ready_may_come_later)
{
    plan.hold_ready = true;
    start();
    struct slice frame = expect(LINK_BEAT); /* it beats, and is not ready */
    ck_assert_uint_gt(frame.len, 0);
    TELL(request, .id = 9, .verb = slice_of("ready"), .args = slice_of("\x90"));
    expect(LINK_READY);
    expect(LINK_REPLY);
    close(link_fd);
    exit_code();
}
END_TEST

/* Whoever waits for READY goes on with it: what is wrong is not to come with a later beat. */
START_TEST(ready_says_what_is_wrong)
{
    plan.hold_ready = plan.idle = true;
    start();
    expect(LINK_BEAT);
    TELL(request, .id = 9, .verb = slice_of("ready-in-trouble"), .args = slice_of("\x90"));
    struct link_beat beat;
    char trouble[64] = "";
    struct slice frame = next_frame();
    for (; link_frame_type(frame) == LINK_BEAT; frame = next_frame()) {
        ck_assert(link_beat_unpack(frame, &beat));
        ck_assert(slice_copy(beat.trouble, trouble, sizeof trouble));
    }
    ck_assert_uint_eq(link_frame_type(frame), LINK_READY);
    ck_assert_str_eq(trouble, "no luck");
    close(link_fd);
    exit_code();
}
END_TEST

START_TEST(cannot_start)
{
    plan.init_code = CONTRACT_EXIT_CONFIG;
    start();
    expect_bye("branch/test.1: the plan says so");
    ck_assert_int_eq(exit_code(), CONTRACT_EXIT_CONFIG);
}
END_TEST

START_TEST(missing_setting)
{
    start();
    TELL(request, .id = 9, .verb = slice_of("setting"), .args = slice_of("\x90"));
    expect_bye("test.missing is missing");
    ck_assert_int_eq(exit_code(), CONTRACT_EXIT_CONFIG);
}
END_TEST

START_TEST(ends_by_itself)
{
    start();
    TELL(request, .id = 9, .verb = slice_of("exit"), .args = slice_of("\x90"));
    expect_bye("asked to");
    ck_assert_int_eq(exit_code(), CONTRACT_EXIT_TEMPORARY);
    ck_assert_ptr_nonnull(strstr(said, "fini"));
}
END_TEST

START_TEST(stopped_before_it_was_configured)
{
    spawn(true);
    greet();
    TELL(stop, .deadline_ms = 1000);
    expect_bye("stopped");
    ck_assert_int_eq(exit_code(), CONTRACT_EXIT_DONE);
    ck_assert_ptr_null(strstr(said, "fini"));
}
END_TEST

START_TEST(the_masters_end_is_ours)
{
    start();
    close(link_fd);
    ck_assert_int_eq(exit_code(), CONTRACT_EXIT_DONE);
    ck_assert_ptr_nonnull(strstr(said, "fini"));
}
END_TEST

/* Work that never ends, a master that is gone: over within CONTRACT_ORPHAN_MS, and said. */
START_TEST(abandons_what_does_not_end)
{
    plan.never_finishes = true;
    start();
    close(link_fd);
    ck_assert_int_eq(exit_code(), CONTRACT_EXIT_TEMPORARY);
    ck_assert_ptr_nonnull(strstr(said, "did not finish in time"));
}
END_TEST

START_TEST(sigterm_is_a_stop)
{
    start();
    kill(child, SIGTERM);
    expect_bye("stopped");
    ck_assert_int_eq(exit_code(), CONTRACT_EXIT_DONE);
}
END_TEST

START_TEST(sigabrt_leaves_a_backtrace)
{
    start();
    kill(child, SIGABRT);
    ck_assert_int_eq(exit_code(), 1000 + SIGABRT);
    ck_assert_ptr_nonnull(strstr(said, "crash signal=SIGABRT backtrace follows"));
}
END_TEST

START_TEST(messages_it_cannot_read)
{
    static const struct slice frames[] = {
        {"", 0}, {"\x90", 1}, {"\x91\x63", 2}, {"\x91\x01", 2}, {"hello", 5}};
    start();
    struct buffer b = BUFFER_EMPTY;
    buffer_append_slice(&b, frames[(size_t)_i]);
    tell(&b);
    buffer_fini(&b);
    expect_bye("do both come from one build?");
    ck_assert_int_eq(exit_code(), CONTRACT_EXIT_INCONSISTENT);
}
END_TEST

START_TEST(config_twice)
{
    start();
    configure();
    expect_bye("CONFIG");
    ck_assert_int_eq(exit_code(), CONTRACT_EXIT_INCONSISTENT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("worker_life");
    TCase *tc = tcase_create("worker_life");
    tcase_set_timeout(tc, SUITE_TIMEOUT_S);
    const TTest *const tests[] = {started_by_hand,
                                  whole_life,
                                  beats_tell_what_it_does,
                                  beats_become_rare_with_nothing_to_say,
                                  who_has_nothing_to_do_rests,
                                  nobody_rests_for_less_than_quiet_beats_have,
                                  requests,
                                  says_why_it_is_late,
                                  an_answer_that_nobody_could_read,

                                  ready_may_come_later,
                                  ready_says_what_is_wrong,
                                  cannot_start,
                                  missing_setting,
                                  ends_by_itself,
                                  stopped_before_it_was_configured,
                                  the_masters_end_is_ours,
                                  abandons_what_does_not_end,
                                  sigterm_is_a_stop,
                                  sigabrt_leaves_a_backtrace,
                                  config_twice};
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        tcase_add_test(tc, tests[i]);
    tcase_add_loop_test(tc, messages_it_cannot_read, 0, 5);
    suite_add_tcase(suite, tc);
    return suite_end(suite);
}
