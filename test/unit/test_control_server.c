/*
 * test_control_server.c: the control server on a real socket, in one process with its clients, over a tree made by hand.
 *
 * Real: the server, the supervisor, the tree, the frames. Fake: processes (a worker is READY or dead when the test says so), and
 * requests to workers, which the test answers. A client never blocks: whoever waits for a byte runs the server's loop meanwhile.
 */
#include "common/clock.h"
#include "common/log.h"
#include "common/stream.h"
#include "master/control_private.h"
#include "master/worker_process.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 20000u
#define LONG_MS     15000u /* deadline of a request that is to be answered */

static uv_loop_t loop;
static struct master master;
static struct node nodes[12];
static size_t node_count;
static struct node *root, *server, *sender, *visits, *watcher, *orders;
static char socket_path[600];

/* ---- what stands in for processes ---- */

static struct {
    struct node *worker;
    char verb[64];
    struct buffer args;
    uint64_t deadline_ms;
    worker_answer_fn fn;
    void *ctx;
    int refuse;     /* what worker_process_request returns */
    size_t cancels; /* of a request that was there */
} asked;

int worker_process_request(struct node *worker, struct slice verb, struct slice args,
                           uint64_t deadline_ms, worker_answer_fn fn, void *ctx)
{
    if (asked.refuse != 0)
        return asked.refuse;
    asked.worker = worker;
    slice_copy(verb, asked.verb, sizeof asked.verb);
    buffer_clear(&asked.args);
    buffer_append_slice(&asked.args, args);
    asked.deadline_ms = deadline_ms;
    asked.fn = fn;
    asked.ctx = ctx;
    return 0;
}

void worker_process_cancel(struct node *worker, const void *ctx)
{
    if (asked.worker == worker && asked.ctx == ctx && asked.fn != NULL) {
        asked.fn = NULL;
        asked.cancels++;
    }
}

pid_t worker_process_pid(const struct worker_process *p)
{
    (void)p;
    return 4711;
}

uint64_t worker_process_rss(const struct worker_process *p)
{
    (void)p;
    return 1 << 20;
}

void master_shutdown(struct master *m)
{
    m->stopping = true;
    supervisor_stop(m->root);
}

static int fake_spawn(struct node *n)
{
    n->process = (struct worker_process *)n;
    n->generation++;
    return 0;
}

static void fake_act(struct node *n)
{
    (void)n;
}

static void fake_down(struct node *n, const char *reason)
{
    (void)n;
    (void)reason;
}

static const struct supervisor_ops fake_ops = {fake_spawn, fake_act, fake_act, fake_act, fake_down};

static uint64_t fake_random(void)
{
    return 59999; /* of 60000 ms: what has died stays in BACKOFF for the length of a test */
}

static void dies(struct node *n, int code, const char *obituary)
{
    n->process = NULL;
    slice_copy(slice_of(obituary), n->last_exit, sizeof n->last_exit);
    supervisor_on_exit(n, code);
}

static void worker_answers(uint64_t status, struct slice body)
{
    worker_answer_fn fn = asked.fn;
    ck_assert_ptr_nonnull(fn);
    asked.fn = NULL;
    fn(status, body, asked.ctx);
}

/* ---- the tree: redis(server, send.1, visits(watcher, get-set)), orders(watcher) ---- */

static struct node *node_add(const char *name, struct node *parent)
{
    struct node *n = &nodes[node_count++];
    *n = (struct node){.kind = NODE_BRANCH, .parent = parent, .state = NODE_STOPPED};
    slice_copy(slice_of(name), n->name, sizeof n->name);
    if (parent != NULL) {
        parent->children =
            realloc(parent->children, (parent->child_count + 1) * sizeof *parent->children);
        parent->children[parent->child_count++] = n;
    }
    return n;
}

static struct node *branch_add(const char *name, struct node *parent)
{
    struct node *n = node_add(name, parent);
    n->window = (struct restart_window){
        .at_ms = calloc(100, sizeof(uint64_t)), .limit = 100, .period_ms = 1000};
    return n;
}

static struct node *worker_add(const char *name, struct node *parent, enum worker_type type,
                               const char *section)
{
    struct node *n = node_add(name, parent);
    n->kind = NODE_WORKER;
    n->type = type;
    slice_copy(slice_of(section), n->section, sizeof n->section);
    return n;
}

static void build_tree(void)
{
    node_count = 0;
    root = branch_add("platoon", NULL);
    struct node *redis = branch_add("redis", root);
    server = worker_add("redis/server", redis, WORKER_TYPE_COMMAND, "main");
    sender = worker_add("redis/send.1", redis, WORKER_TYPE_SEND, "main");
    visits = branch_add("redis/visits", redis);
    watcher = worker_add("redis/visits/watcher", visits, WORKER_TYPE_WATCHER, "visits");
    worker_add("redis/visits/get-set", visits, WORKER_TYPE_GET_SET, "visits");
    struct node *drain = branch_add("redis/orders", redis);
    orders = worker_add("redis/orders/watcher", drain, WORKER_TYPE_WATCHER, "orders");
}

static void quiet(enum log_level level, struct slice line, void *ctx)
{
    (void)level;
    (void)line;
    (void)ctx;
}

static void setup(void)
{
    log_set_sink(quiet, NULL);
    memset(&asked, 0, sizeof asked);
    memset(&master, 0, sizeof master);
    char dir[] = "/tmp/control-serverXXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(dir));
    build_tree();
    uv_loop_init(&loop);
    master.loop = &loop;
    master.root = root;
    master.started_ms = clock_mono_ms();
    snprintf(master.paths.runtime_dir, sizeof master.paths.runtime_dir, "%s", dir);
    snprintf(socket_path, sizeof socket_path, "%s/" CONTROL_SOCKET_NAME, dir);
    struct supervisor_settings settings = {
        .limits = {.backoff_min_ms = 60000, .backoff_max_ms = 60000, .stable_after_ms = 10000},
        .now_ms = clock_mono_ms,
        .random = fake_random,
    };
    ck_assert_int_eq(supervisor_init(&loop, root, &fake_ops, &settings), 0);
    ck_assert_int_eq(control_start(&master), 0);
}

static void teardown(void)
{
    control_stop(&master);
    supervisor_fini();
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    ck_assert_int_eq(access(socket_path, F_OK), -1); /* the server has removed it */
    ck_assert_int_eq(rmdir(master.paths.runtime_dir), 0);
    for (size_t i = 0; i < node_count; i++) {
        free(nodes[i].window.at_ms);
        free(nodes[i].children);
    }
    buffer_fini(&asked.args);
}

static void all_ready(void)
{
    supervisor_start(root);
    for (size_t turn = 0; turn < node_count; turn++) {
        supervisor_step();
        for (size_t i = 0; i < node_count; i++)
            if (nodes[i].kind == NODE_WORKER && nodes[i].process != NULL &&
                nodes[i].state == NODE_STARTING)
                supervisor_on_ready(&nodes[i]);
    }
    ck_assert(node_is_ready(root));
}

/* ---- clients ---- */

/* Runs the server until something happens to it or to `fd`. */
static void turn_for(int fd, short events)
{
    uv_run(&loop, UV_RUN_NOWAIT);
    int wait = uv_backend_timeout(&loop);
    struct pollfd p[] = {{.fd = fd, .events = events},
                         {.fd = uv_backend_fd(&loop), .events = POLLIN}};
    poll(p, 2, wait < 0 || wait > 100 ? 100 : wait);
}

/* Runs the server until a condition holds. */
#define until(condition)                                                                           \
    do {                                                                                           \
        uint64_t end_ = clock_mono_ms() + PATIENCE_MS;                                             \
        while (!(condition)) {                                                                     \
            ck_assert_msg(clock_mono_ms() < end_, "never: %s", #condition);                        \
            turn_for(-1, 0);                                                                       \
        }                                                                                          \
    } while (0)

static int dial(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    ck_assert(slice_copy(slice_of(socket_path), address.sun_path, sizeof address.sun_path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* False when the server has closed the connection. */
static bool say_bytes(int fd, struct slice bytes)
{
    uint64_t end = clock_mono_ms() + PATIENCE_MS;
    while (bytes.len > 0) {
        ssize_t n = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            return false;
        ck_assert_msg(clock_mono_ms() < end, "the server does not read");
        if (n > 0)
            bytes = slice_make(bytes.ptr + n, bytes.len - (size_t)n);
        else
            turn_for(fd, POLLOUT);
    }
    return true;
}

static void put_length(struct buffer *out, size_t len)
{
    for (int i = STREAM_HEADER_SIZE - 1; i >= 0; i--)
        buffer_append_char(out, (char)(unsigned char)(len >> (8 * i)));
}

static bool say_frame(int fd, struct slice frame)
{
    struct buffer out = BUFFER_EMPTY;
    put_length(&out, frame.len);
    buffer_append_slice(&out, frame);
    bool said = say_bytes(fd, buffer_slice(&out));
    buffer_fini(&out);
    return said;
}

static bool say_request(int fd, struct control_request request)
{
    struct buffer frame = BUFFER_EMPTY;
    control_request_pack(&frame, &request);
    bool said = say_frame(fd, buffer_slice(&frame));
    buffer_fini(&frame);
    return said;
}

/* One request; its arguments are texts, NULL ends them. */
static bool say(int fd, uint64_t id, uint64_t deadline_ms, const char *verb, ...)
{
    struct buffer words = BUFFER_EMPTY, args = BUFFER_EMPTY;
    uint32_t count = 0;
    va_list list;
    va_start(list, verb);
    for (const char *word; (word = va_arg(list, const char *)) != NULL; count++)
        pack_bin(&words, slice_of(word));
    va_end(list);
    pack_array(&args, count);
    buffer_append_slice(&args, buffer_slice(&words));
    bool said = say_request(fd, (struct control_request){.version = CONTROL_VERSION,
                                                         .id = id,
                                                         .deadline_ms = deadline_ms,
                                                         .verb = slice_of(verb),
                                                         .args = buffer_slice(&args)});
    buffer_fini(&args);
    buffer_fini(&words);
    return said;
}

/* The bytes of an answer live until the next call. */
static bool hear_bytes(int fd, char *to, size_t len)
{
    uint64_t end = clock_mono_ms() + PATIENCE_MS;
    while (len > 0) {
        ssize_t n = recv(fd, to, len, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            return false;
        ck_assert_msg(clock_mono_ms() < end, "the server does not answer");
        if (n > 0) {
            to += n;
            len -= (size_t)n;
        } else {
            turn_for(fd, POLLIN);
        }
    }
    return true;
}

static struct control_answer hear(int fd)
{
    static char frame[1 << 20];
    unsigned char head[STREAM_HEADER_SIZE];
    struct control_answer answer;
    ck_assert_msg(hear_bytes(fd, (char *)head, sizeof head), "closed without an answer");
    size_t len = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
    ck_assert_uint_le(len, sizeof frame);
    ck_assert(hear_bytes(fd, frame, len));
    ck_assert(control_answer_unpack(slice_make(frame, len), &answer));
    ck_assert_uint_eq(answer.more, 0);
    return answer;
}

/* The answer's status; its text, when it is one. */
static uint64_t hear_status(int fd, uint64_t id, char *text, size_t size)
{
    struct control_answer answer = hear(fd);
    ck_assert_uint_eq(answer.id, id);
    struct unpack u = unpack_start(answer.body);
    text[0] = '\0';
    if (unpack_peek(&u) == UNPACK_STR)
        slice_copy(unpack_str(&u), text, size);
    return answer.status;
}

static void expect(int fd, uint64_t id, enum control_status status, const char *text)
{
    char heard[2048];
    uint64_t got = hear_status(fd, id, heard, sizeof heard);
    ck_assert_str_eq(heard, text);
    ck_assert_uint_eq(got, (uint64_t)status);
}

static void expect_part(int fd, uint64_t id, enum control_status status, const char *part)
{
    char heard[2048];
    uint64_t got = hear_status(fd, id, heard, sizeof heard);
    ck_assert_uint_eq(got, (uint64_t)status);
    ck_assert_msg(strstr(heard, part) != NULL, "'%s' is not in '%s'", part, heard);
}

/* The value of a key in a map; the empty slice when there is none. */
static struct slice map_get(struct slice map, const char *key)
{
    struct unpack u = unpack_start(map);
    for (uint32_t pairs = unpack_map(&u); pairs > 0 && unpack_ok(&u); pairs--) {
        bool here = slice_is(unpack_str(&u), key);
        struct slice value = unpack_raw(&u);
        if (here && unpack_ok(&u))
            return value;
    }
    return slice_make(NULL, 0);
}

static struct slice map_str(struct slice map, const char *key)
{
    struct unpack u = unpack_start(map_get(map, key));
    return unpack_str(&u);
}

static bool map_bool(struct slice map, const char *key)
{
    struct unpack u = unpack_start(map_get(map, key));
    return unpack_bool(&u);
}

static void expect_ended(int fd)
{
    char byte;
    ck_assert_msg(!hear_bytes(fd, &byte, 1), "the connection is open, and says something");
    close(fd);
}

/* Somebody else is served as ever. */
static void expect_served(void)
{
    int fd = dial();
    ck_assert(say(fd, 77, LONG_MS, "version", NULL));
    struct control_answer answer = hear(fd);
    ck_assert_uint_eq(answer.status, CONTROL_OK);
    ck_assert_uint_eq(answer.id, 77);
    close(fd);
}

/* ---- looking ---- */

START_TEST(test_socket_is_for_its_owner)
{
    struct stat st;
    ck_assert_int_eq(stat(socket_path, &st), 0);
    ck_assert(S_ISSOCK(st.st_mode));
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
}
END_TEST

START_TEST(test_version)
{
    int fd = dial();
    ck_assert(say(fd, 1, LONG_MS, "version", NULL));
    struct control_answer answer = hear(fd);
    struct unpack u = unpack_start(map_get(answer.body, "pid"));
    ck_assert_uint_eq(unpack_u64(&u), (uint64_t)getpid());
    ck_assert(slice_is(map_str(answer.body, "version"), PLATOON_VERSION));
    close(fd);
}
END_TEST

START_TEST(test_tree_and_status)
{
    all_ready();
    int fd = dial();
    ck_assert(say(fd, 1, LONG_MS, "tree", NULL));
    struct control_answer answer = hear(fd);
    ck_assert(slice_is(map_str(answer.body, "name"), "platoon"));
    struct unpack u = unpack_start(map_get(answer.body, "children"));
    ck_assert_uint_eq(unpack_array(&u), 1);

    ck_assert(say(fd, 2, LONG_MS, "status", NULL));
    ck_assert(map_bool(hear(fd).body, "ready"));

    dies(orders, 1, "died of old age");
    ck_assert(say(fd, 3, LONG_MS, "status", "redis/orders/watcher", NULL));
    answer = hear(fd);
    ck_assert(slice_is(map_str(answer.body, "state"), "BACKOFF"));
    ck_assert(!map_bool(answer.body, "ready"));
    u = unpack_start(map_get(answer.body, "problems"));
    ck_assert_uint_eq(unpack_array(&u), 1);
    ck_assert_ptr_nonnull(memmem(answer.body.ptr, answer.body.len, "died of old age", 15));
    close(fd);
}
END_TEST

START_TEST(test_unknown_names)
{
    int fd = dial();
    ck_assert(say(fd, 1, LONG_MS, "status", "redis/visits/watchr", NULL));
    expect(fd, 1, CONTROL_NO_NAME,
           "no worker or branch named 'redis/visits/watchr': did you mean 'redis/visits/watcher'? "
           "See: platoonctl tree");
    ck_assert(say(fd, 2, LONG_MS, "start", "\033[2Jx", NULL));
    expect(fd, 2, CONTROL_NO_NAME, "no worker or branch named '?[2Jx'. See: platoonctl tree");
    char longest[2000];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    ck_assert(say(fd, 3, LONG_MS, "stop", longest, NULL));
    expect_part(fd, 3, CONTROL_NO_NAME, "xxx...'. See: platoonctl tree");
    ck_assert(say(fd, 4, LONG_MS, "dance", NULL));
    expect(fd, 4, CONTROL_USAGE,
           "the master does not know the verb 'dance': see platoonctl --help");
    ck_assert(say(fd, 5, LONG_MS, "restart", NULL));
    expect(fd, 5, CONTROL_USAGE, "restart needs the name of a worker or branch");
    close(fd);
}
END_TEST

/* ---- acting, and waiting for it ---- */

START_TEST(test_start_is_answered_when_ready)
{
    int fd = dial();
    ck_assert(say(fd, 1, LONG_MS, "start", "redis/server", NULL));
    until(server->state == NODE_STARTING);
    ck_assert(say(fd, 2, LONG_MS, "version", NULL));
    ck_assert_uint_eq(hear(fd).id, 2); /* the first is not answered yet */
    supervisor_on_ready(server);
    struct control_answer answer = hear(fd);
    ck_assert_uint_eq(answer.id, 1);
    ck_assert_uint_eq(answer.status, CONTROL_OK);
    ck_assert(slice_is(map_str(answer.body, "name"), "redis/server"));
    close(fd);
}
END_TEST

START_TEST(test_stop_is_answered_when_stopped)
{
    all_ready();
    int fd = dial();
    ck_assert(say(fd, 1, LONG_MS, "stop", "redis/orders", NULL));
    until(orders->state == NODE_DRAINING);
    dies(orders, 0, "stopped");
    ck_assert_uint_eq(hear(fd).status, CONTROL_OK);
    ck_assert_int_eq(orders->state, NODE_STOPPED);
    close(fd);
}
END_TEST

START_TEST(test_restart_is_answered_when_ready_again)
{
    all_ready();
    int fd = dial();
    ck_assert(say(fd, 1, LONG_MS, "restart", "redis/orders", NULL));
    until(orders->state == NODE_DRAINING);
    dies(orders, 0, "stopped");
    until(orders->state == NODE_STARTING);
    supervisor_on_ready(orders);
    ck_assert_uint_eq(hear(fd).status, CONTROL_OK);
    ck_assert_uint_eq(orders->generation, 2);
    close(fd);
}
END_TEST

START_TEST(test_late_names_who_holds_it_up)
{
    all_ready();
    int fd = dial();
    ck_assert(say(fd, 1, 100, "stop", "redis/visits", NULL));
    expect_part(fd, 1, CONTROL_TIMEOUT, "redis/visits/get-set is DRAINING");
    dies(orders, 1, "died of old age");
    ck_assert(say(fd, 2, 100, "wait", "ready", NULL));
    expect_part(fd, 2, CONTROL_TIMEOUT, "redis/orders/watcher is BACKOFF (died of old age)");
    ck_assert(say(fd, 3, UINT64_MAX, "wait", "ready", NULL)); /* no overflow into the past */
    ck_assert(say(fd, 4, 100, "start", "redis/orders/watcher", NULL));
    until(orders->state == NODE_STARTING);
    snprintf(orders->trouble, sizeof orders->trouble, "no route to redis");
    expect_part(fd, 4, CONTROL_TIMEOUT, "redis/orders/watcher is STARTING (no route to redis)");
    close(fd);
}
END_TEST

START_TEST(test_wait_ready)
{
    int fd = dial();
    ck_assert(say(fd, 1, LONG_MS, "wait", "ready", NULL));
    ck_assert(say(fd, 2, LONG_MS, "wait", "christmas", NULL));
    expect(fd, 2, CONTROL_USAGE, "wait takes: ready");
    all_ready();
    struct control_answer answer = hear(fd);
    ck_assert_uint_eq(answer.id, 1);
    ck_assert(map_bool(answer.body, "ready"));
    close(fd);
}
END_TEST

START_TEST(test_shutdown)
{
    all_ready();
    int fd = dial(), other = dial();
    ck_assert(say(fd, 1, LONG_MS, "shutdown", NULL));
    until(master.stopping);
    ck_assert(say(other, 1, LONG_MS, "start", "redis/orders", NULL));
    expect(other, 1, CONTROL_ERROR, "the master is stopping: it starts nothing any more");
    ck_assert(say(other, 2, LONG_MS, "restart", "platoon", NULL));
    expect(other, 2, CONTROL_ERROR, "the master is stopping: it starts nothing any more");
    for (size_t i = node_count; i > 0; i--)
        if (nodes[i - 1].kind == NODE_WORKER) {
            until(nodes[i - 1].state == NODE_DRAINING);
            dies(&nodes[i - 1], 0, "stopped");
        }
    ck_assert_uint_eq(hear(fd).status, CONTROL_OK);
    control_stop(&master);
    expect_ended(fd);
    expect_ended(other);
}
END_TEST

START_TEST(test_end_of_a_client_that_waits)
{
    all_ready();
    int fd = dial();
    ck_assert(say(fd, 1, LONG_MS, "stop", "redis/orders", NULL));
    until(orders->state == NODE_DRAINING);
    close(fd);
    expect_served();
    dies(orders, 0, "stopped");
    expect_served();
}
END_TEST

/* ---- handing on ---- */

START_TEST(test_ask_is_handed_on)
{
    all_ready();
    int fd = dial();
    ck_assert(say(fd, 1, 1234, "ask", "send", "", "redis", "GET", "key", NULL));
    until(asked.fn != NULL);
    ck_assert_ptr_eq(asked.worker, sender);
    ck_assert_str_eq(asked.verb, "redis");
    ck_assert_uint_eq(asked.deadline_ms, 1234);
    struct unpack u = unpack_start(buffer_slice(&asked.args));
    ck_assert_uint_eq(unpack_array(&u), 2);
    ck_assert(slice_is(unpack_bin(&u), "GET"));
    ck_assert(slice_is(unpack_bin(&u), "key"));
    ck_assert(unpack_end(&u));
    worker_answers(CONTROL_OK, slice_of("\x93\x01\x02\x03"));
    struct control_answer answer = hear(fd);
    ck_assert_uint_eq(answer.status, CONTROL_OK);
    ck_assert(slice_is(answer.body, "\x93\x01\x02\x03"));

    ck_assert(say(fd, 2, LONG_MS, "ask", "watcher", "orders", "drain-status", NULL));
    until(asked.fn != NULL);
    ck_assert_ptr_eq(asked.worker, orders);
    worker_answers(CONTROL_TIMEOUT, slice_of("\xa4late"));
    expect(fd, 2, CONTROL_TIMEOUT, "late");
    close(fd);
}
END_TEST

START_TEST(test_send_is_handed_on)
{
    all_ready();
    int fd = dial();
    ck_assert(
        say(fd, 1, LONG_MS, "send", "redis/orders/watcher", "{\"log_level\":\"debug\"}", NULL));
    until(asked.fn != NULL);
    ck_assert_ptr_eq(asked.worker, orders);
    ck_assert_str_eq(asked.verb, "json");
    worker_answers(CONTROL_OK, slice_make(NULL, 0));
    struct control_answer answer = hear(fd);
    ck_assert_uint_eq(answer.status, CONTROL_OK);
    ck_assert(slice_is(answer.body, "\xc0"));
    ck_assert(say(fd, 2, LONG_MS, "send", "redis", "{}", NULL));
    expect(fd, 2, CONTROL_USAGE, "send takes: the name of a worker, and one JSON value");
    close(fd);
}
END_TEST

START_TEST(test_a_worker_is_not_believed)
{
    static const struct {
        uint64_t status;
        const char *body;
        const char *text;
    } answers[] = {
        {CONTROL_OK, "\x93\x01", "the answer of redis/send.1 cannot be read"}, /* cut short */
        {CONTROL_OK, "\x01\x01", "the answer of redis/send.1 cannot be read"}, /* one too many */
        {CONTROL_OK, "\xc1", "the answer of redis/send.1 cannot be read"},     /* no msgpack */
        {CONTROL_ERROR, "\x81\xa1x\x01", "the answer of redis/send.1 cannot be read"},
        {256, "\xa4what", "what"}, /* would be exit code 0 */
    };
    all_ready();
    int fd = dial();
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        ck_assert(say(fd, i, LONG_MS, "ask", "send", "", "redis", NULL));
        until(asked.fn != NULL);
        worker_answers(answers[i].status, slice_of(answers[i].body));
        expect_part(fd, i, CONTROL_ERROR, answers[i].text);
    }
    close(fd);
}
END_TEST

START_TEST(test_nobody_to_ask)
{
    all_ready();
    int fd = dial();
    ck_assert(say(fd, 1, LONG_MS, "ask", "watcher", "visit", "drain-status", NULL));
    expect(fd, 1, CONTROL_NO_NAME,
           "no drain named 'visit': did you mean 'visits'? There are: visits, orders");
    ck_assert(say(fd, 2, LONG_MS, "ask", "send", "elsewhere", "redis", NULL));
    expect(fd, 2, CONTROL_NO_NAME, "no redis section named 'elsewhere'. There is: main");
    ck_assert(say(fd, 3, LONG_MS, "ask", "report", "", "report", NULL));
    expect(fd, 3, CONTROL_NO_NAME,
           "the configuration makes no report worker. See: platoonctl tree");
    ck_assert(say(fd, 4, LONG_MS, "ask", "cook", "visits", "soup", NULL));
    expect(fd, 4, CONTROL_NO_NAME, "the configuration makes no cook worker. See: platoonctl tree");
    ck_assert(say(fd, 5, LONG_MS, "ask", "watcher", NULL));
    expect(fd, 5, CONTROL_USAGE, "ask takes: TYPE DRAIN VERB [ARG...]");
    dies(watcher, 1, "died of old age");
    ck_assert(say(fd, 6, LONG_MS, "ask", "watcher", "visits", "drain-status", NULL));
    expect(fd, 6, CONTROL_ERROR,
           "redis/visits/watcher is BACKOFF: died of old age. See: platoonctl status "
           "redis/visits/watcher");
    asked.refuse = -ENOBUFS;
    ck_assert(say(fd, 7, LONG_MS, "ask", "watcher", "orders", "drain-status", NULL));
    expect(fd, 7, CONTROL_ERROR,
           "redis/orders/watcher cannot take the request: it has too many waiting already: try "
           "again");
    close(fd);
}
END_TEST

START_TEST(test_a_client_that_goes_away_cancels)
{
    all_ready();
    int fd = dial();
    ck_assert(say(fd, 1, LONG_MS, "ask", "send", "", "redis", "BLPOP", NULL));
    until(asked.fn != NULL);
    close(fd);
    until(asked.cancels == 1);
    expect_served();
}
END_TEST

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
    control_idle_ms = 200;
    int silent = dial(), half = dial(), waiting = dial();
    ck_assert(say_bytes(half, slice_make("\0\0\0", 3)));
    ck_assert(say(waiting, 1, LONG_MS, "wait", "ready", NULL));
    uint64_t start = clock_mono_ms();
    expect_ended(silent);
    expect_ended(half);
    ck_assert_uint_ge(clock_mono_ms() - start, 200);
    until(clock_mono_ms() - start > 600);
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
    pid_t child = fork();
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
    Suite *s = suite_create("control_server");
    TCase *t = tcase_create("verbs");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_socket_is_for_its_owner);
    tcase_add_test(t, test_version);
    tcase_add_test(t, test_tree_and_status);
    tcase_add_test(t, test_unknown_names);
    tcase_add_test(t, test_start_is_answered_when_ready);
    tcase_add_test(t, test_stop_is_answered_when_stopped);
    tcase_add_test(t, test_restart_is_answered_when_ready_again);
    tcase_add_test(t, test_late_names_who_holds_it_up);
    tcase_add_test(t, test_wait_ready);
    tcase_add_test(t, test_shutdown);
    tcase_add_test(t, test_end_of_a_client_that_waits);
    tcase_add_test(t, test_ask_is_handed_on);
    tcase_add_test(t, test_send_is_handed_on);
    tcase_add_test(t, test_a_worker_is_not_believed);
    tcase_add_test(t, test_nobody_to_ask);
    tcase_add_test(t, test_a_client_that_goes_away_cancels);
    suite_add_tcase(s, t);
    t = tcase_create("hostile");
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
    tcase_add_test(t, test_too_many_requests);
    tcase_add_test(t, test_idle_clients);
    if (geteuid() == 0)
        tcase_add_test(t, test_other_users_are_refused);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
