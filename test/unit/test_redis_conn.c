/* test_redis_conn.c: the Redis connection against real servers. */
#include "common/clock.h"
#include "common/redis_conn.h"
#include "test/unit/redis_fixture.h"

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
    int ready, lost, messages;
    char why[700];
    char channel[64], payload[64];
    int replies, unknown; /* answers with a reply, and without */
    int type;             /* of the last reply */
    long long integer;
    char *text;
    size_t len;
};

static struct redis_fixture fx;
static struct client cl;

static void on_ready(struct redis_conn *c, void *ctx)
{
    ck_assert(redis_conn_ready(c));
    ck_assert_str_eq(redis_conn_trouble(c), "");
    ((struct client *)ctx)->ready++;
}

static void on_lost(struct redis_conn *c, const char *why, void *ctx)
{
    struct client *client = ctx;
    ck_assert(!redis_conn_ready(c));
    ck_assert_str_eq(redis_conn_trouble(c), why);
    client->lost++;
    snprintf(client->why, sizeof client->why, "%s", why);
}

static void on_message(struct redis_conn *c, struct slice channel, struct slice payload, void *ctx)
{
    (void)c;
    struct client *client = ctx;
    client->messages++;
    slice_copy(channel, client->channel, sizeof client->channel);
    slice_copy(payload, client->payload, sizeof client->payload);
}

static void on_reply(struct redis_conn *c, const redisReply *reply, void *ctx)
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

static const struct redis_conn_events events = {on_ready, on_lost, on_message};

static void on_limit(uv_timer_t *timer)
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

static void setup(void)
{
    redis_fixture_init(&fx);
    cl = (struct client){.options = REDIS_OPTIONS_DEFAULT};
    ck_assert_int_eq(uv_loop_init(&cl.loop), 0);
    uv_timer_init(&cl.loop, &cl.limit);
    cl.limit.data = &cl;
    cl.options.retry_max_ms = 100;
}

static void teardown(void)
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

static void set_url(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void set_url(const char *format, ...)
{
    char url[300], why[200] = "";
    va_list args;
    va_start(args, format);
    vsnprintf(url, sizeof url, format, args);
    va_end(args);
    ck_assert_msg(redis_options_parse_url(&cl.options, url, why, sizeof why) == 0, "%s", why);
}

static void connect_client(void)
{
    char why[300] = "";
    cl.conn = redis_conn_new(&cl.loop, &cl.options, &events, &cl, why, sizeof why);
    ck_assert_msg(cl.conn != NULL, "%s", why);
    ck_assert_int_eq(cl.ready + cl.lost, 0);
}

static void connect_unix(void)
{
    set_url("unix://%s", fx.socket);
    connect_client();
    WAIT_FOR(cl.ready == 1);
}

/* Queues a command of words. */
static int command(const char *a, const char *b, const char *c, const char *d)
{
    struct slice argv[] = {slice_of(a), slice_of(b), slice_of(c), slice_of(d)};
    size_t argc = b == NULL ? 1 : c == NULL ? 2 : d == NULL ? 3 : 4;
    return redis_conn_command(cl.conn, argc, argv, on_reply, &cl);
}

/* Runs a command and waits for its answer. */
static void ask(const char *a, const char *b, const char *c, const char *d)
{
    int before = cl.replies;
    ck_assert_int_eq(command(a, b, c, d), 0);
    WAIT_FOR(cl.replies > before);
}

/* A server of our own, for what a real one does not say on demand. */
static int socket_listen(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%.100s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(fd, 4), 0);
    return fd;
}

static void ck_why(const char *part)
{
    ck_assert_msg(strstr(cl.why, part) != NULL, "\"%s\" does not say \"%s\"", cl.why, part);
}

/* ---- plain ---- */

START_TEST(test_unix_set_get)
{
    redis_fixture_start(&fx, false, NULL);
    set_url("unix://%s", fx.socket);
    connect_client();
    ck_assert_ptr_nonnull(strstr(redis_conn_trouble(cl.conn), "connecting"));
    ck_assert_int_eq(command("PING", NULL, NULL, NULL), -ENOTCONN);
    WAIT_FOR(cl.ready == 1);
    ask("SET", "walrus", "bubbles", NULL);
    ck_assert_int_eq(cl.type, REDIS_REPLY_STATUS);
    ask("GET", "walrus", NULL, NULL);
    ck_assert_str_eq(cl.text, "bubbles");
    ask("INCR", "walrus", NULL, NULL);
    ck_assert_int_eq(cl.type, REDIS_REPLY_ERROR);
    struct redis_conn_stats stats = redis_conn_stats(cl.conn);
    ck_assert_uint_eq(stats.commands, 3);
    ck_assert_uint_eq(stats.errors, 1);
    ck_assert_uint_eq(stats.reconnects, 0);
    ck_assert_uint_eq(redis_conn_in_flight(cl.conn), 0);
}
END_TEST

START_TEST(test_tcp_by_address_and_by_name)
{
    redis_fixture_start(&fx, true, NULL);
    set_url("redis://127.0.0.1:%d", fx.port);
    connect_client();
    WAIT_FOR(cl.ready == 1);
    redis_conn_free(cl.conn);
    /* localhost may stand for ::1 first, where nobody listens: the next address is tried. */
    set_url("redis://localhost:%d/3", fx.port);
    cl.ready = 0;
    connect_client();
    WAIT_FOR(cl.ready == 1);
    ask("SET", "a", "b", NULL);
    ask("SELECT", "0", NULL, NULL);
    ask("EXISTS", "a", NULL, NULL);
    ck_assert_int_eq((int)cl.integer, 0);
    ck_assert_int_eq(cl.lost, 0);
}
END_TEST

/* ---- logging in ---- */

static void set_password_file(const char *content)
{
    free(cl.options.password_file);
    cl.options.password_file = strdup(redis_fixture_write(&fx, "password", content));
}

/* Waits for a failed attempt, and looks for what it must say and for what it must not. */
static void expect_lost(const char *part)
{
    int before = cl.lost;
    WAIT_FOR(cl.lost > before);
    ck_why(part);
    ck_why("redis at ");
    ck_assert_ptr_null(strstr(cl.why, "s3cret"));
    ck_assert_int_eq(cl.ready, 0);
}

static const char *const acl[] = {"--user",  "default", "off", "--user", "drain", "on",
                                  ">s3cret", "~*",      "&*",  "+@all",  "-ping", NULL};

START_TEST(test_password_of_default_user)
{
    static const char *const arguments[] = {"--requirepass", "s3cret", NULL};
    redis_fixture_start(&fx, false, arguments);
    set_password_file("s3cret\n");
    connect_unix();
    ask("GET", "a", NULL, NULL);
    ck_assert_int_eq(cl.type, REDIS_REPLY_NIL);
}
END_TEST

START_TEST(test_user_and_password_file_of_two_lines)
{
    /* May not PING, and is let in all the same. */
    redis_fixture_start(&fx, false, acl);
    set_password_file("drain\r\ns3cret\r\n");
    connect_unix();
    ask("ACL", "WHOAMI", NULL, NULL);
    ck_assert_str_eq(cl.text, "drain");
}
END_TEST

START_TEST(test_user_of_the_url)
{
    redis_fixture_start(&fx, true, acl);
    set_password_file("s3cret");
    set_url("redis://drain@127.0.0.1:%d", fx.port);
    connect_client();
    WAIT_FOR(cl.ready == 1);
    ask("ACL", "WHOAMI", NULL, NULL);
    ck_assert_str_eq(cl.text, "drain");
}
END_TEST

START_TEST(test_wrong_password_then_rotated)
{
    redis_fixture_start(&fx, false, acl);
    set_password_file("drain\ns3cret-not\n");
    set_url("unix://%s", fx.socket);
    connect_client();
    expect_lost("WRONGPASS");
    set_password_file("drain\ns3cret\n"); /* read anew at each attempt */
    WAIT_FOR(cl.ready == 1);
}
END_TEST

START_TEST(test_password_missing_here_and_there)
{
    static const char *const arguments[] = {"--requirepass", "s3cret", NULL};
    redis_fixture_start(&fx, false, arguments);
    set_url("unix://%s", fx.socket);
    connect_client();
    expect_lost("NOAUTH");
    redis_conn_free(cl.conn);
    redis_fixture_kill(&fx, SIGKILL);
    redis_fixture_start(&fx, false, NULL);
    set_password_file("s3cret");
    cl.lost = 0;
    connect_client();
    expect_lost("none on the server");
}
END_TEST

START_TEST(test_unreadable_password_files)
{
    redis_fixture_start(&fx, false, NULL);
    set_url("unix://%s", fx.socket);
    cl.options.password_file = strdup(redis_fixture_path(&fx, "nowhere"));
    connect_client();
    expect_lost("/nowhere: No such file");
    redis_conn_free(cl.conn);
    cl.lost = 0;
    set_password_file("s3cret\ns3cret\ns3cret\n");
    connect_client();
    expect_lost("more than two lines");
    set_password_file("");
    int before = cl.lost;
    WAIT_FOR(cl.lost > before + 1);
    ck_why("is empty");
}
END_TEST

START_TEST(test_database)
{
    redis_fixture_start(&fx, false, NULL);
    set_url("unix://%s?db=5", fx.socket);
    connect_client();
    WAIT_FOR(cl.ready == 1);
    ask("SET", "a", "b", NULL);
    redis_conn_free(cl.conn);
    cl.ready = 0;
    set_url("unix://%s?db=99", fx.socket);
    connect_client();
    expect_lost("no database of that number");
    redis_conn_free(cl.conn);
    cl.lost = 0;
    set_url("unix://%s?db=5", fx.socket);
    connect_client();
    WAIT_FOR(cl.ready == 1);
    ask("GET", "a", NULL, NULL);
    ck_assert_str_eq(cl.text, "b");
}
END_TEST

/* ---- commands ---- */

START_TEST(test_binary_values)
{
    redis_fixture_start(&fx, false, NULL);
    connect_unix();
    size_t size = 1024 * 1024;
    char *value = malloc(size);
    for (size_t i = 0; i < size; i++)
        value[i] = (char)(i * 7);
    struct slice set[] = {slice_of("SET"), slice_make("k\0\r\n", 4), slice_make(value, size)};
    ck_assert_int_eq(redis_conn_command(cl.conn, 3, set, on_reply, &cl), 0);
    struct slice get[] = {slice_of("GET"), slice_make("k\0\r\n", 4)};
    ck_assert_int_eq(redis_conn_command(cl.conn, 2, get, on_reply, &cl), 0);
    WAIT_FOR(cl.replies == 2);
    ck_assert_uint_eq(cl.len, size);
    ck_assert_int_eq(memcmp(cl.text, value, size), 0);
    free(value);
    struct slice empty[] = {slice_of("SET"), slice_of(""), slice_make(NULL, 0)};
    ck_assert_int_eq(redis_conn_command(cl.conn, 3, empty, on_reply, &cl), 0);
    ask("STRLEN", "", NULL, NULL);
    ck_assert_int_eq((int)cl.integer, 0);
    ck_assert_int_eq(redis_conn_command(cl.conn, 0, empty, on_reply, &cl), -EINVAL);
}
END_TEST

struct expected {
    long long next;
};

static void on_counted(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    (void)c;
    struct expected *e = ctx;
    ck_assert_ptr_nonnull(reply);
    ck_assert_int_eq((int)reply->integer, (int)++e->next);
}

START_TEST(test_ten_thousand_pipelined)
{
    redis_fixture_start(&fx, false, NULL);
    connect_unix();
    struct expected e = {0};
    struct slice argv[] = {slice_of("INCR"), slice_of("n")};
    for (int i = 0; i < 10000; i++)
        ck_assert_int_eq(redis_conn_command(cl.conn, 2, argv, on_counted, &e), 0);
    ck_assert_uint_eq(redis_conn_in_flight(cl.conn), 10000);
    WAIT_FOR(e.next == 10000);
    ck_assert_uint_eq(redis_conn_in_flight(cl.conn), 0);
    /* One write a turn: the server has read all of it in a few reads, not in 10,000. */
    ask("INFO", "stats", NULL, NULL);
    const char *reads = strstr(cl.text, "total_reads_processed:");
    ck_assert_ptr_nonnull(reads);
    ck_assert_int_lt(atoi(strchr(reads, ':') + 1), 200);
}
END_TEST

START_TEST(test_reply_above_reply_max)
{
    redis_fixture_start(&fx, false, NULL);
    cl.options.reply_max = 1024 * 1024;
    connect_unix();
    ask("SETRANGE", "big", "1000000", "x");
    ask("GET", "big", NULL, NULL);
    ck_assert_uint_eq(cl.len, 1000001);
    ask("SETRANGE", "big", "3000000", "x");
    ck_assert_int_eq(command("GET", "big", NULL, NULL), 0);
    WAIT_FOR(cl.lost == 1);
    ck_why("reply_max");
    ck_assert_int_eq(cl.unknown, 1);
    WAIT_FOR(cl.ready == 2);
}
END_TEST

static const char add_script[] = "return redis.call('INCRBY', KEYS[1], ARGV[1])";

/* Runs the script with the key "n" and the argument "2". */
static void run_script(int number)
{
    struct slice key = slice_of("n"), arg = slice_of("2");
    ck_assert_int_eq(redis_conn_script(cl.conn, number, 1, &key, 1, &arg, on_reply, &cl), 0);
}

START_TEST(test_scripts_survive_flush_and_restart)
{
    redis_fixture_start(&fx, false, NULL);
    set_url("unix://%s", fx.socket);
    connect_client();
    int number = redis_conn_add_script(cl.conn, add_script);
    ck_assert_int_eq(number, 0);
    WAIT_FOR(cl.ready == 1);
    run_script(number);
    WAIT_FOR(cl.replies == 1);
    ck_assert_int_eq((int)cl.integer, 2);
    ask("SCRIPT", "FLUSH", NULL, NULL);
    for (int i = 0; i < 3; i++)
        run_script(number);
    WAIT_FOR(cl.replies == 5);
    ck_assert_int_eq((int)cl.integer, 8);
    ck_assert_uint_eq(redis_conn_stats(cl.conn).errors, 0); /* NOSCRIPT is not seen by anybody */
    redis_fixture_kill(&fx, SIGKILL);
    WAIT_FOR(cl.lost >= 1);
    redis_fixture_start(&fx, false, NULL);
    WAIT_FOR(cl.ready == 2);
    run_script(number);
    WAIT_FOR(cl.replies == 6);
    ck_assert_int_eq((int)cl.integer, 2);
    ask("INFO", "commandstats", NULL, NULL);
    ck_assert_ptr_nonnull(strstr(cl.text, "cmdstat_evalsha:calls=1"));
    ck_assert_ptr_null(strstr(cl.text, "cmdstat_eval:")); /* loaded at the connect */
    /* Added while READY: works at once, and is loaded. */
    int second = redis_conn_add_script(cl.conn, "return 42");
    run_script(second);
    WAIT_FOR(cl.replies == 8);
    ck_assert_int_eq((int)cl.integer, 42);
}
END_TEST

/* ---- lost and found ---- */

START_TEST(test_refused_missing_and_unresolvable)
{
    set_url("redis://127.0.0.1:%d", fx.port);
    connect_client();
    expect_lost("connection refused: is the server running?");
    ck_why("redis at 127.0.0.1:");
    redis_conn_free(cl.conn);
    cl.lost = 0;
    set_url("unix://%s/no.sock", fx.dir);
    connect_client();
    expect_lost("no such socket");
    ck_why("redis at unix:/");
    redis_conn_free(cl.conn);
    cl.lost = 0;
    set_url("redis://no-such-host.invalid");
    connect_client();
    expect_lost("cannot resolve");
    redis_conn_free(cl.conn);
    cl.lost = 0;
    set_url("unix:///%0200d", 7);
    connect_client();
    expect_lost("shorten it");
}
END_TEST

START_TEST(test_killed_and_restarted)
{
    redis_fixture_start(&fx, false, NULL);
    connect_unix();
    kill(fx.pid, SIGSTOP);
    ck_assert_int_eq(command("INCR", "a", NULL, NULL), 0);
    ck_assert_int_eq(command("INCR", "a", NULL, NULL), 0);
    uv_run(&cl.loop, UV_RUN_NOWAIT);
    redis_fixture_kill(&fx, SIGKILL);
    WAIT_FOR(cl.lost >= 1);
    ck_assert_int_eq(cl.unknown, 2);
    ck_assert_int_eq(command("PING", NULL, NULL, NULL), -ENOTCONN);
    WAIT_FOR(cl.lost >= 4); /* it keeps trying */
    ck_assert_int_eq(cl.unknown, 2);
    redis_fixture_start(&fx, false, NULL);
    WAIT_FOR(cl.ready == 2);
    ask("SET", "a", "b", NULL);
    ck_assert_uint_ge(redis_conn_stats(cl.conn).reconnects, 4);
}
END_TEST

START_TEST(test_deadline_on_a_stopped_server)
{
    redis_fixture_start(&fx, false, NULL);
    cl.options.timeout_ms = 300;
    cl.options.connect_timeout_ms = 300;
    connect_unix();
    kill(fx.pid, SIGSTOP);
    uint64_t start = clock_mono_ms();
    ck_assert_int_eq(command("GET", "a", NULL, NULL), 0);
    WAIT_FOR(cl.lost == 1);
    ck_why("no answer to a command within 300 ms");
    ck_assert_int_eq(cl.unknown, 1);
    ck_assert_uint_ge(clock_mono_ms() - start, 290);
    WAIT_FOR(cl.lost == 2); /* a stopped server still lets clients connect */
    ck_why("not ready within 300 ms");
    kill(fx.pid, SIGCONT);
    WAIT_FOR(cl.ready == 2);
    ask("PING", NULL, NULL, NULL);
}
END_TEST

START_TEST(test_not_a_redis_server)
{
    redis_fixture_start(&fx, false, NULL);
    char socket[REDIS_FIXTURE_PATH + 16];
    snprintf(socket, sizeof socket, "%s/http.sock", fx.dir);
    int listener = socket_listen(socket);
    set_url("unix://%s", socket);
    connect_client();
    uv_run(&cl.loop, UV_RUN_NOWAIT);
    uv_run(&cl.loop, UV_RUN_NOWAIT);
    int fd = accept(listener, NULL, NULL);
    static const char greeting[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    ck_assert_int_eq((int)write(fd, greeting, sizeof greeting - 1), (int)sizeof greeting - 1);
    expect_lost("is it a Redis server?");
    close(fd);
    close(listener);
}
END_TEST

START_TEST(test_loading_is_not_ready)
{
    redis_fixture_start(&fx, false, NULL);
    char socket[REDIS_FIXTURE_PATH + 16];
    snprintf(socket, sizeof socket, "%s/loading.sock", fx.dir);
    int listener = socket_listen(socket);
    set_url("unix://%s", socket);
    connect_client();
    uv_run(&cl.loop, UV_RUN_NOWAIT);
    uv_run(&cl.loop, UV_RUN_NOWAIT);
    int fd = accept(listener, NULL, NULL);
    static const char loading[] = "-LOADING Redis is loading the dataset in memory\r\n";
    ck_assert_int_eq((int)write(fd, loading, sizeof loading - 1), (int)sizeof loading - 1);
    expect_lost("LOADING");
    close(fd);
    close(listener);
}
END_TEST

/* Counts this process' sockets, and fails for one that a worker's children would inherit. */
static int sockets_close_on_exec(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    ck_assert_ptr_nonnull(dir);
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        int fd = atoi(e->d_name);
        struct stat st;
        if (fd <= 2 || fstat(fd, &st) != 0 || !S_ISSOCK(st.st_mode))
            continue;
        count++;
        ck_assert_msg((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0, "fd %d is inherited", fd);
        ck_assert_msg((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0, "fd %d blocks", fd);
    }
    closedir(dir);
    return count;
}

START_TEST(test_close_on_exec)
{
    redis_fixture_start(&fx, true, NULL);
    connect_unix();
    int with_unix = sockets_close_on_exec();
    ck_assert_int_ge(with_unix, 1);
    redis_conn_free(cl.conn);
    set_url("redis://127.0.0.1:%d", fx.port);
    cl.ready = 0;
    connect_client();
    WAIT_FOR(cl.ready == 1);
    ck_assert_int_eq(sockets_close_on_exec(), with_unix);
}
END_TEST

START_TEST(test_freed_with_commands_pending)
{
    redis_fixture_start(&fx, false, NULL);
    connect_unix();
    ck_assert_int_eq(command("PING", NULL, NULL, NULL), 0);
    redis_conn_free(cl.conn);
    cl.conn = NULL;
    ck_assert_int_eq(cl.unknown, 1);
    ck_assert_int_eq(cl.lost, 0);
}
END_TEST

static void free_in_reply(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    on_reply(c, reply, ctx);
    redis_conn_free(c);
    cl.conn = NULL;
}

START_TEST(test_freed_in_a_callback)
{
    redis_fixture_start(&fx, false, NULL);
    connect_unix();
    struct slice ping = slice_of("PING");
    ck_assert_int_eq(redis_conn_command(cl.conn, 1, &ping, free_in_reply, &cl), 0);
    ck_assert_int_eq(redis_conn_command(cl.conn, 1, &ping, on_reply, &cl), 0);
    WAIT_FOR(cl.conn == NULL);
    ck_assert_int_eq(cl.replies, 1);
    ck_assert_int_eq(cl.unknown, 1);
}
END_TEST

START_TEST(test_keyspace_messages)
{
    static const char *const arguments[] = {"--notify-keyspace-events", "Ks", NULL};
    redis_fixture_start(&fx, false, arguments);
    set_url("unix://%s", fx.socket);
    connect_client();
    ck_assert_int_eq(redis_conn_subscribe(cl.conn, "__keyspace@0__:tracking:pending"), 0);
    WAIT_FOR(cl.ready == 1);
    ck_assert_int_eq(command("PING", NULL, NULL, NULL), -EBUSY);
    ck_assert_int_eq(redis_conn_subscribe(cl.conn, "late"), -EBUSY);
    char sadd[REDIS_FIXTURE_PATH + 80];
    snprintf(sadd, sizeof sadd, "redis-cli -s %s SADD tracking:pending a", fx.socket);
    redis_fixture_shell(&fx, sadd);
    WAIT_FOR(cl.messages == 1);
    ck_assert_str_eq(cl.channel, "__keyspace@0__:tracking:pending");
    ck_assert_str_eq(cl.payload, "sadd");
    redis_fixture_kill(&fx, SIGKILL);
    redis_fixture_start(&fx, false, arguments);
    WAIT_FOR(cl.ready == 2); /* subscribed again */
    redis_fixture_shell(&fx, sadd);
    WAIT_FOR(cl.messages == 2);
}
END_TEST

/* ---- TLS ---- */

/* A CA and a server's certificate for localhost and 127.0.0.1, a CA that signed nothing, a client's certificate. */
static void make_certificates(void)
{
    redis_fixture_write(&fx, "san", "subjectAltName=DNS:redis.test,DNS:localhost,IP:127.0.0.1\n");
    redis_fixture_shell(
        &fx, "for ca in ca other; do openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
             "-nodes -days 2 -subj /CN=$ca -keyout $ca.key -out $ca.crt; done");
    redis_fixture_shell(
        &fx,
        "for who in server client; do openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
        "-nodes -subj /CN=$who -keyout $who.key -out $who.csr && openssl x509 -req -in $who.csr "
        "-CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile san -out $who.crt; done");
}

static void start_tls(const char *auth_clients)
{
    char port[16];
    snprintf(port, sizeof port, "%d", fx.tls_port);
    make_certificates();
    const char *arguments[] = {"--tls-port",
                               port,
                               "--tls-cert-file",
                               redis_fixture_path(&fx, "server.crt"),
                               "--tls-key-file",
                               redis_fixture_path(&fx, "server.key"),
                               "--tls-ca-cert-file",
                               redis_fixture_path(&fx, "ca.crt"),
                               "--tls-auth-clients",
                               auth_clients,
                               NULL};
    redis_fixture_start(&fx, true, arguments);
    cl.options.tls_ca_file = strdup(redis_fixture_path(&fx, "ca.crt"));
}

static void replace(char **text, const char *value)
{
    free(*text);
    *text = value != NULL ? strdup(value) : NULL;
}

START_TEST(test_tls_by_name_and_by_address)
{
    start_tls("no");
    static const char *const hosts[] = {"127.0.0.1", "localhost"};
    for (size_t i = 0; i < 2; i++) {
        set_url("rediss://%s:%d", hosts[i], fx.tls_port);
        cl.ready = 0;
        connect_client();
        WAIT_FOR(cl.ready == 1);
        ask("SETRANGE", "big", "3000000", "x"); /* many records either way */
        ask("GET", "big", NULL, NULL);
        ck_assert_uint_eq(cl.len, 3000001);
        size_t size = 2000000;
        char *value = calloc(1, size);
        struct slice argv[] = {slice_of("SET"), slice_of("b"), slice_make(value, size)};
        int before = cl.replies;
        ck_assert_int_eq(redis_conn_command(cl.conn, 3, argv, on_reply, &cl), 0);
        WAIT_FOR(cl.replies > before);
        free(value);
        ask("STRLEN", "b", NULL, NULL);
        ck_assert_int_eq((int)cl.integer, (int)size);
        redis_conn_free(cl.conn);
        cl.conn = NULL;
        ck_assert_int_eq(cl.lost, 0);
    }
}
END_TEST

START_TEST(test_tls_certificate_not_accepted)
{
    start_tls("no");
    set_url("rediss://127.0.0.1:%d", fx.tls_port);
    replace(&cl.options.tls_ca_file, redis_fixture_path(&fx, "other.crt"));
    connect_client();
    expect_lost("certificate is not accepted");
    redis_conn_free(cl.conn);
    cl.lost = 0;
    replace(&cl.options.tls_ca_file, NULL); /* the system's, which did not sign it either */
    connect_client();
    expect_lost("certificate is not accepted");
    redis_conn_free(cl.conn);
    cl.lost = 0;
    replace(&cl.options.tls_ca_file, redis_fixture_path(&fx, "ca.crt"));
    replace(&cl.options.tls_server_name, "elsewhere.test");
    connect_client();
    expect_lost("ostname mismatch");
    redis_conn_free(cl.conn);
    cl.lost = 0;
    replace(&cl.options.tls_server_name, "127.0.0.2");
    connect_client();
    expect_lost("IP address mismatch");
    redis_conn_free(cl.conn);
    cl.lost = 0;
    replace(&cl.options.tls_server_name, "redis.test");
    connect_client();
    WAIT_FOR(cl.ready == 1);
}
END_TEST

START_TEST(test_tls_client_certificate)
{
    start_tls("yes");
    set_url("rediss://127.0.0.1:%d", fx.tls_port);
    connect_client();
    expect_lost("client certificate");
    redis_conn_free(cl.conn);
    cl.lost = 0;
    cl.options.tls_cert_file = strdup(redis_fixture_path(&fx, "client.crt"));
    cl.options.tls_key_file = strdup(redis_fixture_path(&fx, "client.key"));
    connect_client();
    WAIT_FOR(cl.ready == 1);
}
END_TEST

START_TEST(test_tls_and_plain_mixed_up)
{
    start_tls("no");
    set_url("rediss://127.0.0.1:%d", fx.port);
    cl.options.connect_timeout_ms =
        1000; /* plain Redis takes the hello for an unfinished line, and waits */
    connect_client();
    expect_lost("does this port speak TLS?");
    redis_conn_free(cl.conn);
    cl.lost = 0;
    set_url("redis://127.0.0.1:%d", fx.tls_port);
    connect_client();
    expect_lost("rediss://");
}
END_TEST

START_TEST(test_tls_files_that_cannot_be_read)
{
    make_certificates();
    char why[300];
    set_url("rediss://127.0.0.1:%d", fx.tls_port);
    cl.options.tls_ca_file = strdup(redis_fixture_path(&fx, "nowhere.crt"));
    ck_assert_ptr_null(redis_conn_new(&cl.loop, &cl.options, &events, &cl, why, sizeof why));
    ck_assert_msg(strstr(why, "tls_ca_file") && strstr(why, "nowhere.crt"), "%s", why);
    replace(&cl.options.tls_ca_file, redis_fixture_path(&fx, "ca.crt"));
    cl.options.tls_cert_file = strdup(redis_fixture_path(&fx, "client.crt"));
    ck_assert_ptr_null(redis_conn_new(&cl.loop, &cl.options, &events, &cl, why, sizeof why));
    ck_assert_msg(strstr(why, "belong together") != NULL, "%s", why);
    cl.options.tls_key_file = strdup(redis_fixture_path(&fx, "server.key"));
    ck_assert_ptr_null(redis_conn_new(&cl.loop, &cl.options, &events, &cl, why, sizeof why));
    ck_assert_msg(strstr(why, "tls_key_file") != NULL, "%s", why);
}
END_TEST

static void add_case(Suite *s, const char *name, const TTest *const *tests, size_t count)
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

static Suite *redis_conn_suite(void)
{
    Suite *s = suite_create("redis_conn");
    ADD_CASE(s, "plain", test_unix_set_get, test_tcp_by_address_and_by_name);
    ADD_CASE(s, "login", test_password_of_default_user, test_user_and_password_file_of_two_lines,
             test_user_of_the_url, test_wrong_password_then_rotated,
             test_password_missing_here_and_there, test_unreadable_password_files, test_database);
    ADD_CASE(s, "commands", test_binary_values, test_ten_thousand_pipelined,
             test_reply_above_reply_max, test_scripts_survive_flush_and_restart, test_close_on_exec,
             test_freed_with_commands_pending, test_freed_in_a_callback, test_keyspace_messages);
    ADD_CASE(s, "lost", test_refused_missing_and_unresolvable, test_killed_and_restarted,
             test_deadline_on_a_stopped_server, test_not_a_redis_server, test_loading_is_not_ready);
    ADD_CASE(s, "tls", test_tls_by_name_and_by_address, test_tls_certificate_not_accepted,
             test_tls_client_certificate, test_tls_and_plain_mixed_up,
             test_tls_files_that_cannot_be_read);
    return s;
}

int main(void)
{
    SRunner *sr = srunner_create(redis_conn_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
