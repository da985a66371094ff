/*
 * control_fixture.h: a control server on a tree of workers that are only pretended, and clients that
 * talk to it byte by byte.
 *
 * For test_control_server.c and test_control_hostile.c. Everything that goes wrong in here fails the test that called.
 */
#ifndef TEST_UNIT_CONTROL_FIXTURE_H
#define TEST_UNIT_CONTROL_FIXTURE_H

#include "common/clock.h"
#include "common/hold.h"
#include "common/log.h"
#include "common/stream.h"
#include "master/control/control_private.h"
#include "master/logs/events.h"
#include "master/reload.h"
#include "master/shutdown.h"
#include "master/upgrade/upgrade.h"
#include "master/process/process.h"

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
static struct node *root, *server, *sender, *visits, *mailer, *orders;
static char socket_path[600];
static char lock_path[600];

/* ---- what stands in for processes ---- */

static struct {
    struct node *worker;
    char verb[64];
    struct buffer args;
    uint64_t deadline_ms;
    process_answer_fn fn;
    void *ctx;
    int refuse;     /* what process_request returns */
    size_t cancels; /* of a request that was there */
} asked;

int process_request(struct node *worker, struct slice verb, struct slice args, uint64_t deadline_ms,
                    process_answer_fn fn, void *ctx)
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

void process_cancel(struct node *worker, const void *ctx)
{
    if (asked.worker == worker && asked.ctx == ctx && asked.fn != NULL) {
        asked.fn = NULL;
        asked.cancels++;
    }
}

pid_t process_pid(const struct process *p)
{
    (void)p;
    return 4711;
}

void process_set_level(struct node *worker)
{
    (void)worker;
}

/* Upgrades themselves: test/e2e/core/test_upgrade.py. */
int upgrade_begin(struct master *m, upgrade_answer_fn fn, void *ctx, struct buffer *error)
{
    (void)m;
    (void)fn;
    (void)ctx;
    buffer_append_text(error, "not in this test");
    return CONTROL_ERROR;
}

void upgrade_forget(const void *ctx)
{
    (void)ctx;
}

/* Reloads themselves: test_tree_merge.c and test/e2e/core/test_reload.py. */
int reload_file(struct master *m, bool dry_run, struct buffer *changes, struct buffer *errors)
{
    (void)m;
    (void)dry_run;
    (void)errors;
    pack_array(changes, 0);
    return 0;
}

int reload_scale(struct master *m, struct slice name, uint64_t count, bool dry_run,
                 struct buffer *changes, struct buffer *errors)
{
    (void)name;
    (void)count;
    return reload_file(m, dry_run, changes, errors);
}

void master_shutdown(struct master *m)
{
    m->stopping = true;
    supervisor_stop(m->root);
}

static inline int fake_spawn(struct node *n)
{
    n->process = (struct process *)n;
    n->generation++;
    return 0;
}

static inline void fake_act(struct node *n)
{
    (void)n;
}

static inline void fake_down(struct node *n, const char *reason)
{
    (void)n;
    (void)reason;
}

static const struct supervisor_ops fake_ops = {fake_spawn, fake_act, fake_act,   fake_act,
                                               fake_down,  NULL,     events_add, NULL};

static inline uint64_t fake_random(void)
{
    return 59999; /* of 60000 ms: what has died stays in BACKOFF for the length of a test */
}

static inline void dies(struct node *n, int code, const char *obituary)
{
    n->process = NULL;
    slice_copy(slice_of(obituary), n->last_exit, sizeof n->last_exit);
    supervisor_on_death(&(struct death){.worker = n, .code = code});
}

static inline void worker_answers(uint64_t status, struct slice body)
{
    process_answer_fn fn = asked.fn;
    ck_assert_ptr_nonnull(fn);
    asked.fn = NULL;
    fn(status, body, asked.ctx);
}

/* ---- the tree: redis(server, send.1, visits(custom, port), orders(custom)) ---- */

static inline struct node *node_add(const char *name, struct node *parent)
{
    struct node *n = &nodes[node_count++];
    *n = (struct node){.kind = NODE_BRANCH,
                       .parent = parent,
                       .state = NODE_STOPPED,
                       .limits = {.backoff_min_ms = 60000,
                                  .backoff_max_ms = 60000,
                                  .backoff_factor = 2,
                                  .stable_after_ms = 10000}};
    slice_copy(slice_of(name), n->name, sizeof n->name);
    if (parent != NULL) {
        parent->children =
            realloc(parent->children, (parent->child_count + 1) * sizeof *parent->children);
        parent->children[parent->child_count++] = n;
    }
    return n;
}

static inline struct node *branch_add(const char *name, struct node *parent)
{
    struct node *n = node_add(name, parent);
    n->window = (struct restart_window){
        .at_ms = calloc(100, sizeof(uint64_t)), .limit = 100, .period_ms = 1000};
    return n;
}

static inline struct node *worker_add(const char *name, struct node *parent, enum worker_type type,
                                      const char *section)
{
    struct node *n = node_add(name, parent);
    n->kind = NODE_WORKER;
    n->type = type;
    slice_copy(slice_of(section), n->section, sizeof n->section);
    return n;
}

static inline void build_tree(void)
{
    node_count = 0;
    root = branch_add("platoon", NULL);
    struct node *redis = branch_add("redis", root);
    server = worker_add("redis/server", redis, WORKER_TYPE_COMMAND, "main");
    sender = worker_add("redis/send.1", redis, WORKER_TYPE_SEND, "main");
    visits = branch_add("redis/visits", redis);
    mailer = worker_add("redis/visits/custom", visits, WORKER_TYPE_CUSTOM, "visits");
    worker_add("redis/visits/port", visits, WORKER_TYPE_PORT, "visits");
    struct node *branch = branch_add("redis/orders", redis);
    orders = worker_add("redis/orders/custom", branch, WORKER_TYPE_CUSTOM, "orders");
}

static inline void quiet(enum log_level level, struct slice line, void *ctx)
{
    (void)level;
    (void)line;
    (void)ctx;
}

static inline void setup(void)
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
    pid_t holder;
    snprintf(lock_path, sizeof lock_path, "%s/platoon.lock", dir);
    master.paths.state_lock_fd = -1;
    master.paths.lock_fd = hold_take(lock_path, 0, &holder);
    struct supervisor_settings settings = {
        .limits = {.backoff_min_ms = 60000,
                   .backoff_max_ms = 60000,
                   .backoff_factor = 2,
                   .stable_after_ms = 10000},
        .now_ms = clock_mono_ms,
        .random = fake_random,
    };
    ck_assert_int_eq(supervisor_init(&loop, root, &fake_ops, &settings), 0);
    ck_assert_int_eq(control_start(&master, -1), 0);
}

static inline void teardown(void)
{
    control_stop(&master);
    supervisor_fini();
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    ck_assert_int_eq(access(socket_path, F_OK), -1); /* the server has removed it */
    preflight_release(&master.paths);
    ck_assert_int_eq(unlink(lock_path), 0);
    ck_assert_int_eq(rmdir(master.paths.runtime_dir), 0);
    for (size_t i = 0; i < node_count; i++) {
        free(nodes[i].window.at_ms);
        free(nodes[i].children);
    }
    buffer_fini(&asked.args);
}

static inline void all_ready(void)
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
static inline void turn_for(int fd, short events)
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

static inline int dial(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    ck_assert(slice_copy(slice_of(socket_path), address.sun_path, sizeof address.sun_path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* False when the server has closed the connection. */
static inline bool say_bytes(int fd, struct slice bytes)
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

static inline void put_length(struct buffer *out, size_t len)
{
    for (int i = STREAM_HEADER_SIZE - 1; i >= 0; i--)
        buffer_append_char(out, (char)(unsigned char)(len >> (8 * i)));
}

static inline bool say_frame(int fd, struct slice frame)
{
    struct buffer out = BUFFER_EMPTY;
    put_length(&out, frame.len);
    buffer_append_slice(&out, frame);
    bool said = say_bytes(fd, buffer_slice(&out));
    buffer_fini(&out);
    return said;
}

static inline bool say_request(int fd, struct control_request request)
{
    struct buffer frame = BUFFER_EMPTY;
    control_request_pack(&frame, &request);
    bool said = say_frame(fd, buffer_slice(&frame));
    buffer_fini(&frame);
    return said;
}

/* One request; its arguments are texts, NULL ends them. */
static inline bool say(int fd, uint64_t id, uint64_t deadline_ms, const char *verb, ...)
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
static inline bool hear_bytes(int fd, char *to, size_t len)
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

static inline struct control_answer hear(int fd)
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
static inline uint64_t hear_status(int fd, uint64_t id, char *text, size_t size)
{
    struct control_answer answer = hear(fd);
    ck_assert_uint_eq(answer.id, id);
    struct unpack u = unpack_start(answer.body);
    text[0] = '\0';
    if (unpack_peek(&u) == UNPACK_STR)
        slice_copy(unpack_str(&u), text, size);
    return answer.status;
}

static inline void expect(int fd, uint64_t id, enum control_status status, const char *text)
{
    char heard[2048];
    uint64_t got = hear_status(fd, id, heard, sizeof heard);
    ck_assert_str_eq(heard, text);
    ck_assert_uint_eq(got, (uint64_t)status);
}

static inline void expect_part(int fd, uint64_t id, enum control_status status, const char *part)
{
    char heard[2048];
    uint64_t got = hear_status(fd, id, heard, sizeof heard);
    ck_assert_uint_eq(got, (uint64_t)status);
    ck_assert_msg(strstr(heard, part) != NULL, "'%s' is not in '%s'", part, heard);
}

/* The value of a key in a map; the empty slice when there is none. */
static inline struct slice map_get(struct slice map, const char *key)
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

static inline struct slice map_str(struct slice map, const char *key)
{
    struct unpack u = unpack_start(map_get(map, key));
    return unpack_str(&u);
}

static inline bool map_bool(struct slice map, const char *key)
{
    struct unpack u = unpack_start(map_get(map, key));
    return unpack_bool(&u);
}

static inline void expect_ended(int fd)
{
    char byte;
    ck_assert_msg(!hear_bytes(fd, &byte, 1), "the connection is open, and says something");
    close(fd);
}

/* Somebody else is served as ever. */
static inline void expect_served(void)
{
    int fd = dial();
    ck_assert(say(fd, 77, LONG_MS, "version", NULL));
    struct control_answer answer = hear(fd);
    ck_assert_uint_eq(answer.status, CONTROL_OK);
    ck_assert_uint_eq(answer.id, 77);
    close(fd);
}

#endif
