/*
 * test_queue_redis.c: how the workers of queues reach their Redis (workers/queue/queue_redis.h): library or texts, what
 * is done when the library is gone, errors for people, waiting for a list. The skeleton is played, the server is real.
 */
#include "test/unit/redis/redis_conn_client.h"
#include "workers/queue/queue_redis.h"

#include <stdarg.h>

static struct {
    char url[REDIS_FIXTURE_PATH + 16];
    const char *space, *instance;
    char trouble[512];
    int came, seen, vain;
    struct queue_redis q;
    struct queue_call call;
    int answers, broken;
    char answer[512]; /* of the last call: its text, or its number */
    char why[384];
    bool again; /* queue_redis_failed: it may be sent again */
} t;

/* ---- the skeleton ---- */

uv_loop_t *worker_loop(struct worker *w)
{
    (void)w;
    return &cl.loop;
}

const char *worker_setting(const struct worker *w, const char *name)
{
    (void)w;
    if (strcmp(name, "redis.url") == 0)
        return t.url;
    if (strcmp(name, "backbone.namespace") == 0)
        return t.space;
    if (strcmp(name, "platoon.instance") == 0)
        return t.instance;
    return strcmp(name, "platoon.boot") == 0 ? "boot" : NULL;
}

const char *worker_setting_text(const struct worker *w, const char *name)
{
    return worker_setting(w, name);
}

uint64_t worker_setting_u64(const struct worker *w, const char *name)
{
    (void)w;
    return strcmp(name, "redis.database") == 0 ? 0 : 5000;
}

const char *worker_name(const struct worker *w)
{
    (void)w;
    return "queue/shop/q.1";
}

uint64_t worker_generation(const struct worker *w)
{
    (void)w;
    return 7;
}

_Noreturn void worker_exit_for(struct worker *w, int error, const char *path, const char *format,
                               ...)
{
    (void)w;
    ck_abort_msg("%s: error %d, %s", format, error, path != NULL ? path : "");
    abort();
}

void worker_count(struct worker *w, enum counter counter, uint64_t more)
{
    (void)w;
    (void)counter;
    (void)more;
}

void worker_trouble(struct worker *w, const char *format, ...)
{
    (void)w;
    va_list args;
    va_start(args, format);
    vsnprintf(t.trouble, sizeof t.trouble, format, args);
    va_end(args);
}

void worker_hold_ready(struct worker *w)
{
    (void)w;
}

void worker_ready(struct worker *w)
{
    (void)w;
}

/* ---- the worker's type ---- */

static void type_on_ready(struct worker *w, void *state)
{
    (void)w;
    (void)state;
    t.came++;
}

static void type_on_list(void *state, bool seen)
{
    ck_assert_ptr_eq(state, &t);
    if (seen)
        t.seen++;
    else
        t.vain++;
}

static const struct redis_link_events type = {.on_ready = type_on_ready};

static int open_queue(void)
{
    snprintf(t.url, sizeof t.url, "unix://%s", fx.socket);
    t.q.on_list = type_on_list;
    return queue_redis_open(&t.q, NULL, &t, &type);
}

static void start(void)
{
    memset(&t, 0, sizeof t);
    t.space = "shop";
    t.instance = "here";
    redis_fixture_start(&fx, false, NULL);
    ck_assert_int_eq(open_queue(), 0);
    WAIT_FOR(t.came == 1);
}

static void stop(void)
{
    queue_redis_close(&t.q);
    queue_call_fini(&t.call);
}

static void on_answer(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    (void)c;
    ck_assert_ptr_eq(ctx, &t.call);
    t.again = queue_redis_failed(&t.q, reply, t.why, sizeof t.why);
    t.answers++;
    t.broken += reply == NULL;
    t.answer[0] = '\0';
    if (reply != NULL && reply->type == REDIS_REPLY_INTEGER)
        snprintf(t.answer, sizeof t.answer, "%lld", reply->integer);
    else if (reply != NULL && reply->str != NULL)
        snprintf(t.answer, sizeof t.answer, "%s", reply->str);
}

/* Sends what was put together, and waits for the answer. */
static const char *answered(void)
{
    int before = t.answers;
    ck_assert_int_eq(queue_redis_call(&t.q, &t.call, on_answer, &t.call), 0);
    WAIT_FOR(t.answers > before);
    return t.answer;
}

static const char *registered(void)
{
    const struct queue_settings settings = {.max_attempts = 5, .message_max = 1000};
    queue_call_register(&t.call, slice_of("q"), slice_of("^t"), &settings);
    return answered();
}

static bool server_has(const char *command, const char *text)
{
    char line[REDIS_FIXTURE_PATH + 200];
    snprintf(line, sizeof line, "redis-cli -s %s %s | grep -q '%s'", fx.socket, command, text);
    return system(line) == 0;
}

/* ---- tests ---- */

START_TEST(test_names)
{
    start();
    ck_assert_str_eq(t.q.space, "shop:");
    ck_assert_str_eq(t.q.owner, "here:queue/shop/q.1:boot:7");
    ck_assert_str_eq(t.q.owners, "here:queue/shop/q.1:");
    stop();
    t.space = "";
    ck_assert_int_eq(open_queue(), 0);
    ck_assert_str_eq(t.q.space, "");
    stop();
}
END_TEST

START_TEST(test_names_that_are_too_long)
{
    char longest[400];
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    memset(&t, 0, sizeof t);
    t.instance = "here";
    t.space = longest;
    ck_assert_int_eq(open_queue(), CONTRACT_EXIT_CONFIG);
    ck_assert_ptr_nonnull(strstr(t.trouble, "too long"));
    queue_redis_close(&t.q);
    t.space = NULL;
    t.instance = longest;
    ck_assert_int_eq(open_queue(), CONTRACT_EXIT_CONFIG);
    queue_redis_close(&t.q);
}
END_TEST

/* Without the library the texts do it; once it is there, it. */
START_TEST(test_by_text_and_by_function)
{
    start();
    ck_assert_str_eq(registered(), "1");
    ck_assert(!t.q.library && !server_has("INFO commandstats", "cmdstat_fcall:"));
    queue_redis_load(&t.q);
    WAIT_FOR(t.q.library);
    ck_assert_str_eq(registered(), "0");
    ck_assert(server_has("INFO commandstats", "cmdstat_fcall:"));
    ck_assert_str_eq(t.why, "");
    ck_assert(server_has("HGETALL shop:registered_queues", "\\^t"));
    stop();
}
END_TEST

/* The server has forgotten it: who has asked may ask again at once, and is answered. */
START_TEST(test_the_library_is_gone)
{
    start();
    queue_redis_load(&t.q);
    WAIT_FOR(t.q.library);
    ask_shell("FUNCTION FLUSH");
    registered();
    ck_assert(t.again && !t.q.library);
    ck_assert_ptr_nonnull(strstr(t.why, "library platoon"));
    ck_assert_str_eq(registered(), "1");
    ck_assert(!t.again && t.q.library);
    ask_shell("SCRIPT FLUSH");
    ck_assert_str_eq(registered(), "0");
    stop();
}
END_TEST

/* A server that does not take it: the texts do. */
START_TEST(test_a_library_that_is_refused)
{
    start();
    ask_shell("ACL SETUSER default -function");
    queue_redis_load(&t.q);
    ck_assert_str_eq(registered(), "1");
    ck_assert(!t.q.library);
    ck_assert_str_eq(t.why, "");
    stop();
}
END_TEST

START_TEST(test_errors)
{
    start();
    queue_call_ack(&t.call, slice_of("none"));
    queue_call_receipt(&t.call, slice_of("1"), 1);
    answered();
    ck_assert(!t.again);
    ck_assert_ptr_nonnull(strstr(t.why, "there is no queue none"));
    ask_shell("ACL SETUSER default -hget");
    registered();
    ck_assert_ptr_nonnull(strstr(t.why, "HGET"));
    stop();
}
END_TEST

/* What was under way when the connection broke, or was closed, is answered by nobody. */
START_TEST(test_a_connection_that_breaks)
{
    start();
    signal(SIGPIPE, SIG_IGN); /* as in every worker */
    ask_shell("CLIENT PAUSE 60000");
    queue_call_vouch(&t.call);
    ck_assert_int_eq(queue_redis_call(&t.q, &t.call, on_answer, &t.call), 0);
    redis_fixture_kill(&fx, SIGKILL);
    WAIT_FOR(t.broken == 1);
    ck_assert(!t.again);
    ck_assert_msg(strstr(t.why, "redis at ") == t.why, "%s",
                  t.why); /* which one, and what is wrong */
    redis_fixture_start(&fx, false, NULL);
    WAIT_FOR(t.came == 2);
    ask_shell("CLIENT PAUSE 60000");
    queue_call_vouch(&t.call);
    ck_assert_int_eq(queue_redis_call(&t.q, &t.call, on_answer, &t.call), 0);
    stop();
    ck_assert_int_eq(t.broken, 2);
    ck_assert_str_eq(t.why,
                     "the connection to Redis broke"); /* ours is gone, and can say nothing */
    ck_assert_int_eq(queue_redis_call(&t.q, &t.call, on_answer, &t.call), -ENOTCONN);
}
END_TEST

START_TEST(test_waiting_for_a_list)
{
    start();
    ck_assert(!queue_redis_wait(&t.q, slice_of("shop:list"), NULL,
                                NULL)); /* its connection is being made */
    WAIT_FOR(t.vain == 1);
    ck_assert(queue_redis_wait(&t.q, slice_of("shop:list"), NULL, NULL));
    ck_assert(
        !queue_redis_wait(&t.q, slice_of("shop:list"), NULL, NULL)); /* somebody does already */
    ck_assert_str_eq(registered(), "1");                             /* other calls go on */
    ck_assert_int_eq(t.seen, 0);
    ask_shell("LPUSH shop:list a b");
    WAIT_FOR(t.seen == 1);
    ck_assert(!t.q.waiting);
    ck_assert(queue_redis_wait(&t.q, slice_of("shop:list"), NULL, NULL));
    WAIT_FOR(t.seen == 2);
    ask_shell("DEL shop:list");
    ck_assert(queue_redis_wait(&t.q, slice_of("shop:list"), NULL, NULL));
    WAIT_FOR(t.vain == 2); /* it waits for a while only */
    ck_assert(queue_redis_wait(&t.q, slice_of("shop:list"), NULL, NULL));
    stop(); /* nobody hears of it any more */
    ck_assert_int_eq(t.vain, 2);
}
END_TEST

static void on_followed(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    ck_assert_ptr_eq(ctx, &t);
    ck_assert(!t.q.waiting && !t.q.followed);
    on_answer(c, reply, &t.call);
}

static void wait_and_register(const char *pattern)
{
    const struct queue_settings settings = {.max_attempts = 5, .message_max = 1000};
    queue_call_register(&t.call, slice_of("q"), slice_of(pattern), &settings);
    ck_assert(queue_redis_wait(&t.q, slice_of("shop:list"), &t.call, on_followed));
    ck_assert(t.q.waiting && t.q.followed);
}

/* By text and by function; it is run once the wait is over, whether there was something or not. */
START_TEST(test_a_call_behind_the_wait)
{
    start();
    signal(SIGPIPE, SIG_IGN); /* as in every worker */
    queue_call_register(&t.call, slice_of("q"), slice_of("^t"), &(struct queue_settings){0});
    ck_assert(!queue_redis_wait(&t.q, slice_of("shop:list"), &t.call, on_followed));
    WAIT_FOR(t.vain == 1);
    wait_and_register("^a");
    ck_assert_str_eq(registered(), "1"); /* it has not run yet */
    ck_assert_int_eq(t.seen, 0);
    int before = t.answers;
    ask_shell("LPUSH shop:list a");
    WAIT_FOR(t.answers > before);
    ck_assert_str_eq(t.answer, "2");
    ck_assert(t.seen == 1 && !t.q.waiting);
    ask_shell("DEL shop:list");
    queue_redis_load(&t.q);
    WAIT_FOR(t.q.library);
    before = t.answers;
    wait_and_register("^b");
    WAIT_FOR(t.answers > before);
    ck_assert_str_eq(t.answer, "2");
    ck_assert(t.vain == 2 && t.seen == 1);
    ask_shell("FUNCTION FLUSH");
    ask_shell("LPUSH shop:list a");
    before = t.answers;
    wait_and_register("^c");
    WAIT_FOR(t.answers > before);
    ck_assert(t.again && t.seen == 2); /* it has surely not run */
    ask_shell("DEL shop:list");
    wait_and_register("^d");
    redis_fixture_kill(&fx, SIGKILL);
    WAIT_FOR(t.broken == 1);
    redis_fixture_start(&fx, false, NULL);
    int came = t.vain;
    WAIT_FOR(t.vain > came);
    wait_and_register("^e");
    stop(); /* nobody hears of it any more */
    ck_assert_int_eq(t.broken, 1);
}
END_TEST

/* The list is as it was. */
START_TEST(test_waiting_changes_nothing)
{
    start();
    ask_shell("RPUSH shop:list a b c");
    queue_redis_wait(&t.q, slice_of("shop:list"), NULL, NULL);
    WAIT_FOR(t.vain == 1);
    ck_assert(queue_redis_wait(&t.q, slice_of("shop:list"), NULL, NULL));
    WAIT_FOR(t.seen == 1);
    ck_assert(server_has("--raw LRANGE shop:list 0 -1 | tr '\\n' ' '", "a b c"));
    stop();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("queue_redis");
    ADD_CASE(s, "queue_redis", test_names, test_names_that_are_too_long,
             test_by_text_and_by_function, test_the_library_is_gone, test_a_library_that_is_refused,
             test_errors, test_a_connection_that_breaks, test_waiting_for_a_list,
             test_a_call_behind_the_wait, test_waiting_changes_nothing);
    return suite_end(s);
}
