/*
 * test_redis_link.c: when a worker with a connection is READY, and what it has said until then
 * (workers/redis/redis_settings.h). The skeleton is played here, the server is real.
 */
#include "test/unit/redis/redis_conn_client.h"
#include "workers/redis/redis_settings.h"

#include <stdarg.h>

static struct {
    char url[REDIS_FIXTURE_PATH + 16];
    char trouble[512];
    char at_ready[512]; /* the trouble when READY was said */
    int held, ready, came, lost;
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
    return strcmp(name, "redis.url") == 0 ? t.url : NULL;
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
    t.held++;
}

void worker_ready(struct worker *w)
{
    (void)w;
    t.ready++;
    memcpy(t.at_ready, t.trouble, sizeof t.at_ready);
}

/* ---- the worker's type ---- */

static struct redis_link the_link;

static void type_on_ready(struct worker *w, void *state)
{
    (void)w;
    (void)state;
    t.came++;
}

static void type_on_lost(struct worker *w, void *state, const char *why)
{
    (void)w;
    (void)state;
    (void)why;
    t.lost++;
}

static void open_link(bool asks)
{
    const struct redis_link_events type = {
        .on_ready = type_on_ready, .on_lost = type_on_lost, .asks = asks};
    memset(&t, 0, sizeof t);
    snprintf(t.url, sizeof t.url, "unix://%s", fx.socket);
    ck_assert_int_eq(redis_link_open(&the_link, NULL, NULL, REDIS_LINK_PRIMARY, &type), 0);
    ck_assert_int_eq(t.held, 1);
}

static void close_link(void)
{
    redis_link_close(&the_link);
}

/* The server as its worker meets it when it comes back. */
static void server_comes_again(void)
{
    signal(SIGPIPE, SIG_IGN); /* as in every worker */
    redis_fixture_kill(&fx, SIGKILL);
    WAIT_FOR(t.trouble[0] != '\0');
    redis_fixture_start(&fx, false, NULL);
    WAIT_FOR(t.came == 2);
}

START_TEST(test_who_asks_nothing_is_ready_with_the_connection)
{
    redis_fixture_start(&fx, false, NULL);
    open_link(false);
    WAIT_FOR(t.came == 1);
    ck_assert_int_eq(t.ready, 1);
    ck_assert_str_eq(t.at_ready, "");
    server_comes_again();
    ck_assert_str_eq(t.trouble, "");
    ck_assert_int_eq(t.ready, 1);
    close_link();
}
END_TEST

START_TEST(test_who_asks_is_ready_when_it_was_answered)
{
    redis_fixture_start(&fx, false, NULL);
    open_link(true);
    WAIT_FOR(t.came == 1);
    redis_link_tick(&the_link);
    ck_assert_int_eq(t.ready, 0);
    worker_trouble(NULL, "refused");
    redis_link_settle(&the_link);
    ck_assert_int_eq(t.ready, 1);
    ck_assert_str_eq(t.at_ready, "refused");
    server_comes_again();
    ck_assert_ptr_nonnull(strstr(t.trouble, "retrying")); /* until it knows better */
    redis_link_settle(&the_link);
    ck_assert_int_eq(t.ready, 1);
    close_link();
}
END_TEST

/* Of a Redis that is away all is known that there is to know. */
START_TEST(test_a_redis_that_is_away)
{
    for (int asks = 0; asks < 2; asks++) {
        open_link(asks == 1);
        WAIT_FOR(t.lost > 0);
        ck_assert_int_eq(t.ready, 1);
        ck_assert_ptr_nonnull(strstr(t.at_ready, "retrying"));
        close_link();
    }
}
END_TEST

START_TEST(test_answers_that_do_not_come)
{
    redis_fixture_start(&fx, false, NULL);
    open_link(true);
    WAIT_FOR(t.came == 1);
    the_link.ready_ms -= 2000;
    redis_link_tick(&the_link);
    ck_assert_int_eq(t.ready, 0);
    the_link.ready_ms -= 2000;
    redis_link_tick(&the_link);
    ck_assert_int_eq(t.ready, 1);
    ck_assert_ptr_nonnull(strstr(t.at_ready, fx.socket));
    ck_assert_ptr_nonnull(strstr(t.at_ready, "overloaded or stopped?"));
    worker_trouble(NULL, "%s", "");
    redis_link_tick(&the_link);
    ck_assert_str_eq(t.trouble, ""); /* once */
    close_link();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("redis_link");
    ADD_CASE(s, "redis_link", test_who_asks_nothing_is_ready_with_the_connection,
             test_who_asks_is_ready_when_it_was_answered, test_a_redis_that_is_away,
             test_answers_that_do_not_come);
    return suite_end(s);
}
