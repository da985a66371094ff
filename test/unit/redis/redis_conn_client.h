/*
 * redis_conn_client.h: one connection to a real server, and what it told the test. For
 * test_redis_conn.c and test_redis_tls.c.
 */
#ifndef TEST_UNIT_REDIS_CONN_CLIENT_H
#define TEST_UNIT_REDIS_CONN_CLIENT_H

#include "common/clock.h"
#include "common/redis/redis_conn.h"
#include "test/unit/redis/redis_fixture.h"
#include "test/unit/suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Everything a test waits for comes within this, or the test fails. */
#define WAIT_MS 20000

/* One connection, and what it told us. */
struct client {
    uv_loop_t loop;
    uv_timer_t limit;
    struct redis_options options;
    struct redis_conn *conn;
    int ready, lost, messages, matched;
    char why[700];
    char pattern[64], channel[64], payload[64];
    int replies, unknown; /* answers with a reply, and without */
    int type;             /* of the last reply */
    long long integer;
    char *text;
    size_t len;
};

static struct redis_fixture fx;
static struct client cl;

static inline void on_ready(struct redis_conn *c, void *ctx)
{
    ck_assert(redis_conn_ready(c));
    ck_assert_str_eq(redis_conn_trouble(c), "");
    ((struct client *)ctx)->ready++;
}

static inline void on_lost(struct redis_conn *c, const char *why, void *ctx)
{
    struct client *client = ctx;
    ck_assert(!redis_conn_ready(c));
    ck_assert_str_eq(redis_conn_trouble(c), why);
    client->lost++;
    snprintf(client->why, sizeof client->why, "%s", why);
}

static inline void on_message(struct redis_conn *c, struct slice channel, struct slice payload,
                              void *ctx)
{
    (void)c;
    struct client *client = ctx;
    client->messages++;
    slice_copy(channel, client->channel, sizeof client->channel);
    slice_copy(payload, client->payload, sizeof client->payload);
}

static inline void on_matched(struct redis_conn *c, struct slice pattern, struct slice channel,
                              struct slice payload, void *ctx)
{
    struct client *client = ctx;
    (void)c;
    client->matched++;
    slice_copy(pattern, client->pattern, sizeof client->pattern);
    slice_copy(channel, client->channel, sizeof client->channel);
    slice_copy(payload, client->payload, sizeof client->payload);
}

static inline void on_reply(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    (void)c;
    struct client *client = ctx;
    if (reply == NULL) {
        client->unknown++;
        return;
    }
    client->replies++;
    client->type = reply->type;
    client->integer = reply->integer;
    free(client->text);
    client->text = reply->str != NULL ? slice_dup(slice_make(reply->str, reply->len)) : NULL;
    client->len = reply->len;
}

static const struct redis_conn_events events = {on_ready, on_lost, on_message, on_matched};

static inline void on_limit(uv_timer_t *timer)
{
    struct client *client = timer->data;
    ck_abort_msg("waited %d ms: ready %d, lost %d, replies %d, unknown %d; trouble: %s", WAIT_MS,
                 client->ready, client->lost, client->replies, client->unknown,
                 client->conn != NULL ? redis_conn_trouble(client->conn) : "no connection");
}

/* Runs the loop until `condition` holds, or fails the test. */
#define WAIT_FOR(condition)                                                                        \
    do {                                                                                           \
        uv_timer_start(&cl.limit, on_limit, WAIT_MS, 0);                                           \
        while (!(condition))                                                                       \
            uv_run(&cl.loop, UV_RUN_ONCE);                                                         \
        uv_timer_stop(&cl.limit);                                                                  \
    } while (0)

static inline void setup(void)
{
    redis_fixture_init(&fx);
    cl = (struct client){.options = REDIS_OPTIONS_DEFAULT};
    ck_assert_int_eq(uv_loop_init(&cl.loop), 0);
    uv_timer_init(&cl.loop, &cl.limit);
    cl.limit.data = &cl;
    cl.options.retry_max_ms = 100;
}

static inline void teardown(void)
{
    redis_conn_free(cl.conn);
    cl.conn = NULL;
    uv_close((uv_handle_t *)&cl.limit, NULL);
    uv_run(&cl.loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&cl.loop), 0);
    redis_options_fini(&cl.options);
    free(cl.text);
    redis_fixture_fini(&fx);
}

static inline void set_url(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline void set_url(const char *format, ...)
{
    char url[300], why[200] = "";
    va_list args;
    va_start(args, format);
    vsnprintf(url, sizeof url, format, args);
    va_end(args);
    ck_assert_msg(redis_options_parse_url(&cl.options, url, why, sizeof why) == 0, "%s", why);
}

static inline void connect_client(void)
{
    char why[300] = "";
    cl.conn = redis_conn_new(&cl.loop, &cl.options, &events, &cl, why, sizeof why);
    ck_assert_msg(cl.conn != NULL, "%s", why);
    ck_assert_int_eq(cl.ready + cl.lost, 0);
}

static inline void connect_unix(void)
{
    set_url("unix://%s", fx.socket);
    connect_client();
    WAIT_FOR(cl.ready == 1);
}

/* Queues a command of words. */
static inline int command(const char *a, const char *b, const char *c, const char *d)
{
    struct slice argv[] = {slice_of(a), slice_of(b), slice_of(c), slice_of(d)};
    size_t argc = b == NULL ? 1 : c == NULL ? 2 : d == NULL ? 3 : 4;
    return redis_conn_command(cl.conn, argc, argv, on_reply, &cl);
}

/* Runs a command and waits for its answer. */
static inline void ask(const char *a, const char *b, const char *c, const char *d)
{
    int before = cl.replies;
    ck_assert_int_eq(command(a, b, c, d), 0);
    WAIT_FOR(cl.replies > before);
}

/* The same, of somebody else's connection. */
static inline void ask_shell(const char *words)
{
    char line[REDIS_FIXTURE_PATH + 200];
    snprintf(line, sizeof line, "redis-cli -s %s %s", fx.socket, words);
    redis_fixture_shell(&fx, line);
}

/* A server of our own, for what a real one does not say on demand. */
static inline int socket_listen(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%.100s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(fd, 4), 0);
    return fd;
}

static inline void ck_why(const char *part)
{
    ck_assert_msg(strstr(cl.why, part) != NULL, "\"%s\" does not say \"%s\"", cl.why, part);
}

/* Waits for a failed attempt, and looks for what it must say and for what it must not. */
static inline void expect_lost(const char *part)
{
    int before = cl.lost;
    WAIT_FOR(cl.lost > before);
    ck_why(part);
    ck_why("redis at ");
    ck_assert_ptr_null(strstr(cl.why, "s3cret"));
    ck_assert_int_eq(cl.ready, 0);
}

static inline void add_case(Suite *s, const char *name, const TTest *const *tests, size_t count)
{
    TCase *tc = tcase_create(name);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 90);
    for (size_t i = 0; i < count; i++)
        tcase_add_test(tc, tests[i]);
    suite_add_tcase(s, tc);
}

#define ADD_CASE(suite, name, ...)                                                                 \
    do {                                                                                           \
        const TTest *const tests[] = {__VA_ARGS__};                                                \
        add_case(suite, name, tests, sizeof tests / sizeof tests[0]);                              \
    } while (0)

#endif
