/*
 * test_cache_mail.c: who called, in which order calls are done, and who is answered nothing more until it has read what
 * it was answered. The skeleton is played: how much a caller has to read the test says.
 */
#include "common/pack.h"
#include "test/unit/cache/backing_fake.h"
#include "test/unit/cache/node_fixture.h"
#include "test/unit/suite.h"
#include "workers/cache/cache_mail.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#define MB      ((size_t)1 << 20)
#define UNREAD  (17 * MB) /* above what one may have to read */
#define LANE(n) ((uint64_t)(n) << 32)

static struct cache_mail mail;
static struct worker_peer callers[] = {{.name = "erlang/gate", .generation = 1},
                                       {.name = "site/web", .generation = 1}};
static size_t queued[2]; /* bytes that each has to read */
static size_t large;     /* so many more with each answer */
static bool gone[2];
static struct buffer composed;
static int send_rc;
static char told[2][4096]; /* "TOKEN:TEXT;" of each answer */
static char replied[512];  /* to a request */

/* ---- the skeleton ---- */

static size_t number(const struct worker_peer *peer)
{
    ck_assert(peer == &callers[0] || peer == &callers[1]);
    return peer == &callers[1];
}

struct worker_peer *worker_peer_find(struct worker *w, const char *name)
{
    (void)w;
    for (size_t i = 0; i < 2; i++)
        if (!gone[i] && strcmp(name, callers[i].name) == 0)
            return &callers[i];
    return NULL;
}

struct worker_peer *worker_peer_next(struct worker *w, struct worker_peer *after)
{
    (void)w;
    for (size_t i = after == NULL ? 0 : number(after) + 1; i < 2; i++)
        if (!gone[i])
            return &callers[i];
    return NULL;
}

struct buffer *worker_compose(struct worker *w)
{
    (void)w;
    buffer_clear(&composed);
    return &composed;
}

int worker_send(struct worker *w, struct worker_peer *to, const struct buffer *message)
{
    struct message_answer m;
    struct unpack u = unpack_start(buffer_slice(message));
    char *text = told[number(to)];
    size_t len = strlen(text);
    (void)w;
    ck_assert(message_answer_unpack(&u, &m));
    if (send_rc != 0)
        return send_rc;
    queued[number(to)] += large;
    snprintf(text + len, sizeof told[0] - len, "%u.%u%s%.*s;", (unsigned)(m.token >> 32),
             (unsigned)m.token, m.failed ? "!" : ":", (int)m.text.len, m.text.ptr);
    return 0;
}

size_t worker_queued(const struct worker *w, const struct worker_peer *to)
{
    (void)w;
    return queued[number(to)];
}

void *worker_must_alloc(struct worker *w, size_t size)
{
    (void)w;
    return calloc(1, size);
}

void worker_reply(struct worker *w, uint64_t id, enum control_status status, struct slice body)
{
    (void)w;
    snprintf(replied, sizeof replied, "%u %d %zu", (unsigned)id, status, body.len);
}

void worker_reply_text(struct worker *w, uint64_t id, enum control_status status,
                       const char *format, ...)
{
    va_list args;
    (void)w;
    int n = snprintf(replied, sizeof replied, "%u %d ", (unsigned)id, status);
    va_start(args, format);
    vsnprintf(replied + n, sizeof replied - (size_t)n, format, args);
    va_end(args);
}

/* ---- callers ---- */

static void call_text(size_t who, uint64_t token, struct slice text)
{
    struct buffer packed = BUFFER_EMPTY;
    struct message_call m = {.token = token, .text = text};
    message_call_pack(&packed, &m);
    struct unpack u = unpack_start(buffer_slice(&packed));
    cache_turn_begin(&node.turn);
    ck_assert(cache_mail_on_message(&mail, &callers[who], MESSAGE_CALL, &u));
    buffer_fini(&packed);
}

static void call(size_t who, uint64_t token, const char *text)
{
    call_text(who, token, slice_of(text));
}

#define SET(value) "{\"set\":\"k\",\"value\":\"" value "\"}"
#define GET        "{\"get\":\"k\"}"
#define OK         "{\"ok\":true}"

/* What was said so far, and is forgotten. */
static void expect(size_t who, const char *answers)
{
    ck_assert_str_eq(told[who], answers);
    told[who][0] = '\0';
}

static bool is_told(size_t who, const char *answers)
{
    return strcmp(told[who], answers) == 0;
}

/* What has come since is looked at. */
static void pass(void)
{
    for (int i = 0; i < 12; i++)
        node_wait();
}

static void set_up(void)
{
    node_set_up();
    mail.node = &node;
}

static void tear_down(void)
{
    cache_mail_fini(&mail);
    for (size_t i = 0; i < 2; i++)
        free(callers[i].user);
    if (mail.timer_open)
        uv_close((uv_handle_t *)&mail.timer, NULL);
    node_tear_down();
    buffer_fini(&composed);
}

/* ---- calls ---- */

START_TEST(each_has_its_answer)
{
    struct message_call m = {.text = slice_of("")};
    struct buffer packed = BUFFER_EMPTY;
    call(0, 1, SET("v"));
    call(1, 1, GET);
    call(0, 2, "{\"get\":\"nobody\"}");
    call(0, 3, "garbage");
    node_turn(2);
    expect(1, "0.1:{\"ok\":\"v\"};");
    ck_assert(strstr(told[0], "0.1:" OK ";") != NULL);
    ck_assert(strstr(told[0], "0.2:{\"ko\":true};") != NULL);
    ck_assert(strstr(told[0], "0.3!") != NULL);
    ck_assert(cache_mail_is_empty(&mail));
    message_call_pack(&packed, &m);
    struct unpack u = unpack_start(buffer_slice(&packed));
    ck_assert(!cache_mail_on_message(&mail, &callers[0], MESSAGE_ANSWER, &u));
    buffer_fini(&packed);
}
END_TEST

/* What a caller does not take is lost, and counted; nothing else comes of it. */
START_TEST(answers_that_are_lost)
{
    send_rc = -ENOBUFS;
    call(0, 1, GET);
    ck_assert_uint_eq(mail.lost, 1);
    cache_mail_tick(&mail);
    ck_assert_uint_eq(mail.logged, 1);
    send_rc = 0;
    call(0, 2, GET);
    expect(0, "0.2:{\"ko\":true};");
    gone[0] = true; /* it is not waited for, nor is that a loss */
    call(0, 3, GET);
    ck_assert_uint_eq(mail.lost, 1);
}
END_TEST

/* One lane waits for the store, and what is behind it; another does not. */
START_TEST(lanes)
{
    node_store(60000);
    call(0, LANE(1) | 1, "{\"get\":\"a\"}");
    call(0, LANE(1) | 2, "{\"set\":\"b\",\"value\":\"1\"}");
    call(0, LANE(1) | 3, "{\"get\":\"b\"}");
    call(0, LANE(65) | 4, "{\"get\":\"b\"}"); /* lanes are 64 */
    call(0, LANE(2) | 5, "{\"set\":\"c\",\"value\":\"1\"}");
    call(0, LANE(2) | 6, "{\"get\":\"c\"}");
    node_turn(2);
    ck_assert(strstr(told[0], "2.6:{\"ok\":\"1\"};") != NULL && strstr(told[0], "1.") == NULL);
    told[0][0] = '\0';
    ck_assert_uint_eq(mail.held_count, 4);
    fake_have("a", "x", 7);
    node_turn(2);
    ck_assert(strstr(told[0], "1.1:{\"ok\":\"x\"};") == told[0]);
    ck_assert(strstr(told[0], "1.2:" OK) != NULL && strstr(told[0], "1.3:{\"ok\":\"1\"};") != NULL);
    ck_assert(strstr(told[0], "65.4:{\"ok\":\"1\"};") != NULL);
    ck_assert(cache_mail_is_empty(&mail));
}
END_TEST

/* ---- who has not read ---- */

static void held_until_it_has_read(void)
{
    call(0, 1, SET("old"));
    node_turn(2);
    expect(0, "0.1:" OK ";");
    queued[0] = UNREAD;
    call(0, 2, GET);
    call(0, 3, SET("new"));
    call(0, 4, GET);
    call(0, LANE(1) | 5, "{\"get\":\"nobody\"}");
    pass();
    expect(0, "");
    ck_assert_uint_eq(mail.held_count, 4);
    ck_assert_uint_gt(node.waiting, 0);
    call(1, 1, GET); /* others are served; what is held has not been done */
    expect(1, "0.1:{\"ok\":\"old\"};");
    queued[0] = 0;
    node_until(mail.held_count == 0);
    node_turn(2);
    const char *first = strstr(told[0], "0.2:{\"ok\":\"old\"};");
    const char *second = strstr(told[0], "0.4:{\"ok\":\"new\"};");
    ck_assert(first != NULL && second > first);
    ck_assert(strstr(told[0], "0.3:" OK ";") != NULL && strstr(told[0], "1.5:") != NULL);
    ck_assert(cache_mail_is_empty(&mail) && mail.held == 0 && node.waiting == 0);
}

START_TEST(who_has_not_read)
{
    held_until_it_has_read();
}
END_TEST

START_TEST(who_has_not_read_with_a_store)
{
    node_store(60000);
    cache_turn_begin(&node.turn);
    cache_db_learn_absent(node.db, slice_of("nobody"), 1);
    cache_db_learn_absent(node.db, slice_of("k"), 1);
    held_until_it_has_read();
}
END_TEST

/* So much is let through: an answer may be as large as a frame. */
START_TEST(who_has_little_to_read)
{
    queued[0] = 16 * MB;
    call(0, 1, GET);
    expect(0, "0.1:{\"ko\":true};");
}
END_TEST

/* Its load is done, and it has not read meanwhile: it is told when it has. */
START_TEST(it_stops_reading_while_it_waits)
{
    node_store(60000);
    call(0, 1, "{\"get\":\"a\"}");
    call(0, 2, "{\"get\":\"a\"}");
    queued[0] = UNREAD;
    fake_have("a", "x", 7);
    pass();
    expect(0, "");
    ck_assert_uint_eq(mail.held_count, 2);
    queued[0] = 0;
    node_until(is_told(0, "0.1:{\"ok\":\"x\"};0.2:{\"ok\":\"x\"};"));
    ck_assert(cache_mail_is_empty(&mail));
}
END_TEST

/* It has read, one is answered, and again it has much to read: the others wait on. */
START_TEST(one_at_a_time)
{
    queued[0] = UNREAD;
    large = UNREAD;
    for (unsigned i = 1; i <= 3; i++)
        call(0, i, GET);
    queued[0] = 0;
    node_until(told[0][0] != '\0');
    pass();
    expect(0, "0.1:{\"ko\":true};");
    queued[0] = 0;
    node_until(told[0][0] != '\0');
    pass();
    expect(0, "0.2:{\"ko\":true};");
    call(0, 4, GET);
    queued[0] = large = 0;
    node_until(is_told(0, "0.3:{\"ko\":true};0.4:{\"ko\":true};"));
}
END_TEST

/* Nothing is done of it, and nobody is told. */
START_TEST(it_dies)
{
    queued[0] = UNREAD;
    call(0, 1, SET("v"));
    call(0, LANE(3) | 2, SET("v"));
    gone[0] = true;
    cache_mail_on_down(&callers[0]);
    ck_assert(mail.held_count == 0 && mail.held == 0 && node.waiting == 0);
    queued[0] = 0;
    pass();
    call(1, 1, GET);
    expect(0, "");
    expect(1, "0.1:{\"ko\":true};");
}
END_TEST

/* The node ends: what is held goes with it. */
START_TEST(the_node_ends)
{
    queued[0] = UNREAD;
    call(0, 1, SET("v"));
    cache_mail_fini(&mail);
    ck_assert(cache_mail_is_empty(&mail));
    queued[0] = 0;
    pass();
    expect(0, "");
}
END_TEST

/* What all of it may have: then it is refused at once, whether that is read or not. */
START_TEST(so_much_is_held)
{
    size_t len = 15 * MB;
    char *text = malloc(len);
    ck_assert_ptr_nonnull(text);
    memset(text, ' ', len);
    memcpy(text + len - strlen(GET), GET, strlen(GET));
    queued[0] = UNREAD;
    for (unsigned i = 1; i <= 5; i++)
        call_text(0, LANE(i) | i, slice_make(text, len));
    free(text);
    ck_assert_uint_eq(mail.held_count, 4);
    expect(0, "5.5!\"TRYAGAIN too much that was called for waits already\";");
    call(1, 1, GET); /* who waits for nothing is served */
    expect(1, "0.1:{\"ko\":true};");
}
END_TEST

/* What was asked through the master is a tool's own: nobody's reading stops it. */
START_TEST(requests)
{
    struct buffer args = BUFFER_EMPTY;
    struct link_request request = {.id = 9, .verb = slice_of("get")};
    pack_array(&args, 1);
    pack_text(&args, "k");
    request.args = buffer_slice(&args);
    queued[0] = queued[1] = UNREAD;
    cache_turn_begin(&node.turn);
    cache_mail_on_request(&mail, &request);
    ck_assert(strncmp(replied, "9 0 ", 4) == 0);
    ck_assert_uint_eq(mail.held_count, 0);
    request.verb = slice_of("nonsense");
    cache_mail_on_request(&mail, &request);
    ck_assert(strncmp(replied, "9 ", 2) == 0 && strncmp(replied, "9 0 ", 4) != 0);
    buffer_fini(&args);
}
END_TEST

SUITE_MAIN_WITH("cache_mail", set_up, tear_down, each_has_its_answer, answers_that_are_lost, lanes,
                who_has_not_read, who_has_not_read_with_a_store, who_has_little_to_read,
                it_stops_reading_while_it_waits, one_at_a_time, it_dies, the_node_ends,
                so_much_is_held, requests)
