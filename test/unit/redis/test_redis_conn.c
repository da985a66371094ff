/* test_redis_conn.c: the Redis connection against real servers; over TLS: test_redis_tls.c. */
#include "test/unit/redis/redis_conn_client.h"

#include <sys/wait.h>

/* Once it is told, the server runs on for a while on a busy machine, and would answer. */
static void stop_server(void)
{
    ck_assert_int_eq(kill(fx.pid, SIGSTOP), 0);
    ck_assert_int_eq(waitpid(fx.pid, NULL, WUNTRACED), fx.pid);
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
    int replies = cl.replies;
    ck_assert_int_eq(command("GET", "big", NULL, NULL), 0);
    ck_assert_int_eq(command("PING", NULL, NULL, NULL), 0);
    WAIT_FOR(cl.lost == 1);
    ck_why("reply_max");
    ck_assert_int_eq(cl.replies,
                     replies + 1); /* who is the cause is told so, the other is not to blame */
    ck_assert_int_eq(cl.unknown, 1);
    ck_assert_int_eq(strncmp(cl.text, REDIS_CONN_TOO_LARGE " ", sizeof REDIS_CONN_TOO_LARGE), 0);
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
    stop_server();
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
    cl.options.timeout_ms = 1500;
    cl.options.connect_timeout_ms = 1500;
    connect_unix();
    stop_server();
    uint64_t start = clock_mono_ms();
    ck_assert_int_eq(command("GET", "a", NULL, NULL), 0);
    WAIT_FOR(cl.lost == 1);
    ck_why("no answer to a command within 1500 ms");
    ck_assert_int_eq(cl.unknown, 1);
    ck_assert_uint_ge(clock_mono_ms() - start, 1490);
    WAIT_FOR(cl.lost == 2); /* a stopped server still lets clients connect */
    ck_why("not ready within 1500 ms");
    kill(fx.pid, SIGCONT);
    WAIT_FOR(cl.ready == 2);
    ask("PING", NULL, NULL, NULL);
}
END_TEST

/* Somebody listens there and says this: the connection is given up, for this reason. */
static void expect_lost_after(const char *greeting, const char *why)
{
    redis_fixture_start(&fx, false, NULL);
    char socket[REDIS_FIXTURE_PATH + 16];
    snprintf(socket, sizeof socket, "%s/other.sock", fx.dir);
    int listener = socket_listen(socket);
    set_url("unix://%s", socket);
    connect_client();
    uv_run(&cl.loop, UV_RUN_NOWAIT);
    uv_run(&cl.loop, UV_RUN_NOWAIT);
    int fd = accept(listener, NULL, NULL);
    ck_assert_int_eq((int)write(fd, greeting, strlen(greeting)), (int)strlen(greeting));
    expect_lost(why);
    close(fd);
    close(listener);
}

START_TEST(test_not_a_redis_server)
{
    expect_lost_after("HTTP/1.1 400 Bad Request\r\n\r\n", "is it a Redis server?");
}
END_TEST

START_TEST(test_loading_is_not_ready)
{
    expect_lost_after("-LOADING Redis is loading the dataset in memory\r\n", "LOADING");
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

/* A message comes once for each pattern; one more pattern may come at any time, and all are there again afterwards. */
START_TEST(test_patterns)
{
    redis_fixture_start(&fx, false, NULL);
    set_url("unix://%s", fx.socket);
    connect_client();
    ck_assert_int_eq(redis_conn_psubscribe(cl.conn, "shop:page:*"), 0);
    WAIT_FOR(cl.ready == 1);
    ck_assert_int_eq(command("PING", NULL, NULL, NULL), -EBUSY);
    char publish[REDIS_FIXTURE_PATH + 80];
    snprintf(publish, sizeof publish, "redis-cli -s %s PUBLISH shop:page:1 body", fx.socket);
    redis_fixture_shell(&fx, publish);
    WAIT_FOR(cl.matched == 1);
    ck_assert_str_eq(cl.pattern, "shop:page:*");
    ck_assert_str_eq(cl.channel, "shop:page:1");
    ck_assert_str_eq(cl.payload, "body");
    ck_assert_int_eq(redis_conn_psubscribe(cl.conn, "*:1"), 0);
    while (cl.matched < 3) { /* until the server has heard of the second */
        redis_fixture_shell(&fx, publish);
        uv_run(&cl.loop, UV_RUN_NOWAIT);
    }
    redis_fixture_kill(&fx, SIGKILL);
    redis_fixture_start(&fx, false, NULL);
    WAIT_FOR(cl.ready == 2);
    int before = cl.matched;
    redis_fixture_shell(&fx, publish);
    WAIT_FOR(cl.matched == before + 2);
    ck_assert_int_eq(cl.messages, 0);
}
END_TEST

START_TEST(test_a_pattern_for_a_connection_that_takes_commands)
{
    redis_fixture_start(&fx, false, NULL);
    set_url("unix://%s", fx.socket);
    connect_client();
    WAIT_FOR(cl.ready == 1);
    ck_assert_int_eq(redis_conn_psubscribe(cl.conn, "*"), -EBUSY);
}
END_TEST

static Suite *redis_conn_suite(void)
{
    Suite *s = suite_create("redis_conn");
    ADD_CASE(s, "plain", test_unix_set_get, test_tcp_by_address_and_by_name);
    ADD_CASE(s, "login", test_password_of_default_user, test_user_and_password_file_of_two_lines,
             test_user_of_the_url, test_wrong_password_then_rotated,
             test_password_missing_here_and_there, test_unreadable_password_files, test_database);
    ADD_CASE(s, "commands", test_binary_values, test_ten_thousand_pipelined,
             test_reply_above_reply_max, test_scripts_survive_flush_and_restart, test_close_on_exec,
             test_freed_with_commands_pending, test_freed_in_a_callback, test_keyspace_messages,
             test_patterns, test_a_pattern_for_a_connection_that_takes_commands);
    ADD_CASE(s, "lost", test_refused_missing_and_unresolvable, test_killed_and_restarted,
             test_deadline_on_a_stopped_server, test_not_a_redis_server, test_loading_is_not_ready);
    return s;
}

int main(void)
{
    return suite_end(redis_conn_suite());
}
