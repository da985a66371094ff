/*
 * test_queue_deliveries.c: what a worker delivers to backbones, of several workers each
 * (workers/queue/queue_deliveries.h): to whom it goes, what is heard of it, and that each is answered once.
 *
 * The skeleton, the backbone workers and the clock are played.
 */
#include "common/clock.h"
#include "common/pack.h"
#include "test/unit/suite.h"
#include "workers/queue/queue_deliveries.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

#define TEXT_SIZE 2048

static struct {
    const char *takes, *name;
    struct worker_peer peers[4]; /* that are up; without a name: nobody */
    struct buffer composed;
    struct queue_reach reach;
    struct queue_deliveries *q;
    const char *servers; /* of shop; NULL: one */
    uint64_t now;
    int send_fails;
    bool quiet;          /* what is said is not kept */
    bool delivers_again; /* as soon as one is answered */
    char said[TEXT_SIZE], heard[TEXT_SIZE];
} t;

static void note(char *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void note(char *text, const char *format, ...)
{
    size_t used = strlen(text);
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text + used, TEXT_SIZE - used, format, args);
    va_end(args);
    ck_assert_uint_lt(used + (size_t)len, TEXT_SIZE);
}

/* ---- the skeleton ---- */

uint64_t clock_mono_ms(void)
{
    return t.now;
}

const char *worker_name(const struct worker *w)
{
    (void)w;
    return t.name;
}

const char *worker_setting(const struct worker *w, const char *name)
{
    (void)w;
    ck_assert_str_eq(name, "takes.0.path");
    return t.takes;
}

const char *worker_setting_item(const struct worker *w, const char *list, size_t i,
                                const char *what)
{
    (void)w;
    ck_assert_str_eq(list, "backbones");
    ck_assert_str_eq(what, "name");
    return i == 0 && t.servers != NULL ? "shop" : NULL;
}

uint64_t worker_setting_item_u64(const struct worker *w, const char *list, size_t i,
                                 const char *what)
{
    (void)w;
    (void)list;
    ck_assert_str_eq(what, "servers");
    ck_assert_uint_eq(i, 0);
    return (uint64_t)atoll(t.servers);
}

void worker_monitor(struct worker *w, struct slice name)
{
    (void)w;
    note(t.said, "monitor %.*s\n", (int)name.len, name.ptr);
}

struct worker_peer *worker_peer_find(struct worker *w, const char *name)
{
    (void)w;
    for (size_t i = 0; i < 4; i++)
        if (strcmp(t.peers[i].name, name) == 0)
            return &t.peers[i];
    return NULL;
}

int worker_send(struct worker *w, struct worker_peer *to, const struct buffer *message)
{
    struct message_deliver m;
    struct unpack u = unpack_start(buffer_slice(message));
    (void)w;
    if (t.send_fails != 0)
        return t.send_fails;
    ck_assert(message_deliver_unpack(&u, &m) && unpack_end(&u));
    if (t.quiet)
        return 0;
    note(t.said, "%s: %" PRIu64 " %" PRIu64 " '%.*s' '%.*s' %" PRIu64 " %.*s\n", to->name, m.token,
         m.given, (int)m.topic.len, m.topic.ptr, (int)m.facet.len, m.facet.ptr, m.after_ms,
         (int)m.body.len, m.body.ptr);
    return 0;
}

void *worker_must_alloc(struct worker *w, size_t size)
{
    (void)w;
    void *p = calloc(1, size);
    ck_assert_ptr_nonnull(p);
    return p;
}

_Noreturn void worker_exit_for(struct worker *w, int error, const char *path, const char *format,
                               ...)
{
    (void)w;
    (void)path;
    ck_abort_msg("%s: error %d", format, error);
    abort();
}

/* ---- the type ---- */

static uint64_t deliver(const char *backbone, const char *body)
{
    uint64_t token = 0;
    ck_assert_int_eq(
        queue_deliveries_add(
            t.q, &(struct worker_delivery){.backbone = backbone, .body = slice_of(body)}, &token),
        0);
    return token;
}

static void on_delivered(struct worker *w, const struct worker_delivered *d)
{
    struct unpack names = d->queues;
    (void)w;
    note(t.heard, "%" PRIu64 " %.*s%.*s", d->token, (int)d->error.len, d->error.ptr, (int)d->id.len,
         d->id.ptr);
    for (uint32_t left = unpack_array(&names); left > 0; left--) {
        struct slice name = unpack_str(&names);
        note(t.heard, " %.*s", (int)name.len, name.ptr);
    }
    ck_assert(unpack_ok(&names));
    note(t.heard, "\n");
    if (t.delivers_again) {
        t.delivers_again = false;
        deliver("shop", "again");
    }
}

static void set_up(void)
{
    static const struct worker_task_events events = {.on_delivered = on_delivered};
    memset(&t, 0, sizeof t);
    t.name = "p.1";
    t.now = 1000;
    t.q = queue_deliveries_new(NULL, &events, &t.reach);
    ck_assert_ptr_nonnull(t.q);
}

static void tear_down(void)
{
    queue_deliveries_free(t.q);
    queue_reach_fini(&t.reach);
}

static void up(size_t i, const char *name)
{
    uint64_t number;
    snprintf(t.peers[i].name, sizeof t.peers[i].name, "%s", name);
    if (queue_reach_up(&t.reach, &t.peers[i], &number) != NULL)
        queue_deliveries_up(t.q);
}

/* As queue_client.c does it. */
static bool gone(const struct worker_peer *peer, const char *reason)
{
    uint64_t number;
    bool absent;
    const struct queue_reach_backbone *b =
        queue_reach_down(&t.reach, peer, slice_of(reason), &number, &absent);
    if (b != NULL)
        queue_deliveries_down(t.q, b, number, absent);
    return absent;
}

static bool down(size_t i, const char *reason)
{
    struct worker_peer peer = t.peers[i];
    t.peers[i].name[0] = '\0';
    return gone(&peer, reason);
}

static bool unknown(const char *name)
{
    struct worker_peer peer = {.generation = 0};
    snprintf(peer.name, sizeof peer.name, "%s", name);
    return gone(&peer, "unknown name");
}

static void answer_with(uint64_t token, const char *error)
{
    struct buffer message = BUFFER_EMPTY, queues = BUFFER_EMPTY;
    pack_array(&queues, error[0] == '\0');
    if (error[0] == '\0')
        pack_text(&queues, "q");
    message_delivered_pack(&message,
                           &(struct message_delivered){.token = token,
                                                       .error = slice_of(error),
                                                       .id = slice_of(error[0] == '\0' ? "17" : ""),
                                                       .queues = buffer_slice(&queues)});
    struct unpack u = unpack_start(buffer_slice(&message));
    ck_assert(queue_deliveries_message(t.q, MESSAGE_DELIVERED, &u));
    buffer_fini(&message);
    buffer_fini(&queues);
}

static void answer(uint64_t token)
{
    answer_with(token, "");
}

static void said(const char *text)
{
    ck_assert_str_eq(t.said, text);
    t.said[0] = '\0';
}

static void heard(const char *text)
{
    ck_assert_str_eq(t.heard, text);
    t.heard[0] = '\0';
}

#define B1 "queue/shop/backbone.1"
#define B2 "queue/shop/backbone.2"
#define B3 "queue/shop/backbone.3"

START_TEST(test_one_waits_for_its_backbone)
{
    uint64_t token = deliver("shop", "x");
    said("monitor " B1 "\n");
    up(0, B1);
    said("monitor " B2 "\n" B1 ": 1 0 '' '' 0 x\n");
    ck_assert(unknown(B2));
    answer(token);
    heard("1 17 q\n");
    answer(token);
    heard("");
    deliver("shop", "y");
    said(B1 ": 2 0 '' '' 0 y\n");
}
END_TEST

START_TEST(test_what_is_said)
{
    const struct slice topic = slice_of("t"), facet = slice_of("");
    uint64_t token;
    t.takes = "queue/shop/google";
    up(0, B1);
    said(""); /* nobody has delivered: it is no affair of ours */
    ck_assert_int_eq(queue_deliveries_add(t.q,
                                          &(struct worker_delivery){.topic = &topic,
                                                                    .facet = &facet,
                                                                    .after_ms = 7,
                                                                    .body = slice_of("b")},
                                          &token),
                     0);
    said("monitor " B1 "\n" B1 ": 1 3 't' '' 7 b\n");
    ck_assert_int_eq(
        queue_deliveries_add(t.q, &(struct worker_delivery){.topic = &topic, .body = slice_of("b")},
                             &token),
        0);
    said(B1 ": 2 1 't' '' 0 b\n");
}
END_TEST

START_TEST(test_no_such_backbone)
{
    uint64_t token;
    const struct worker_delivery nameless = {.body = slice_of("b")},
                                 deep = {.backbone = "a/b", .body = slice_of("b")};
    ck_assert_int_eq(queue_deliveries_add(t.q, &nameless, &token), -EINVAL);
    ck_assert_int_eq(queue_deliveries_add(t.q, &deep, &token), -EINVAL);
    deliver("shop", "x");
    deliver("shop", "y");
    t.said[0] = '\0';
    ck_assert(unknown(B1));
    heard("1 the message is not queued: there is no such backbone\n"
          "2 the message is not queued: there is no such backbone\n");
    ck_assert(!unknown(B1)); /* nobody of us has asked */
    ck_assert(!unknown("somebody.1"));
    deliver("shop", "z"); /* it may be there now */
    said("monitor " B1 "\n");
}
END_TEST

/* Each worker process begins with another, and stays with it while it is up. */
START_TEST(test_several_workers)
{
    deliver("shop", "x");
    up(0, B1);
    up(1, B2);
    up(2, B3);
    ck_assert(unknown("queue/shop/backbone.4"));
    said("monitor " B1 "\nmonitor " B2 "\n" B1 ": 1 0 '' '' 0 x\nmonitor " B3
         "\nmonitor queue/shop/backbone.4\n");
    deliver("shop", "a");
    deliver("shop", "b");
    char first[32];
    snprintf(first, sizeof first, "%.*s", (int)strcspn(t.said, ":"), t.said);
    ck_assert(strstr(strchr(t.said, '\n'), first) != NULL);
    size_t at = (size_t)(first[strlen(first) - 1] - '1');
    t.said[0] = '\0';
    ck_assert(!down(at, "killed"));
    ck_assert_msg(strstr(t.heard, "2 its backbone worker is gone: whether the message is queued is "
                                  "unknown\n3 its") != NULL,
                  "%s", t.heard);
    deliver("shop", "c");
    ck_assert(strncmp(t.said, "queue/shop/backbone.", 20) == 0 && strstr(t.said, first) == NULL);
}
END_TEST

START_TEST(test_processes_choose_different_ones)
{
    char chosen[3][32];
    for (size_t p = 0; p < 3; p++) {
        char name[8];
        tear_down();
        set_up();
        snprintf(name, sizeof name, "p.%zu", p + 1);
        t.name = name;
        deliver("shop", "x");
        up(0, B1);
        up(1, B2);
        up(2, B3);
        unknown("queue/shop/backbone.4");
        t.said[0] = '\0';
        deliver("shop", "y");
        snprintf(chosen[p], sizeof chosen[p], "%.*s", (int)strcspn(t.said, ":"), t.said);
    }
    ck_assert(strcmp(chosen[0], chosen[1]) != 0 && strcmp(chosen[1], chosen[2]) != 0 &&
              strcmp(chosen[0], chosen[2]) != 0);
}
END_TEST

/* Nobody is up: it waits for the successor, and what was sent to the dead one is not sent again. */
START_TEST(test_a_successor)
{
    deliver("shop", "x");
    up(0, B1);
    ck_assert(unknown(B2) && !down(0, "killed"));
    heard("1 its backbone worker is gone: whether the message is queued is unknown\n");
    deliver("shop", "y");
    t.said[0] = '\0';
    up(0, B1);
    ck_assert_msg(strstr(t.said, B1 ": 2 0 '' '' 0 y\n") != NULL, "%s", t.said);
    ck_assert_ptr_null(strstr(t.said, ": 1 "));
}
END_TEST

START_TEST(test_time_is_up)
{
    deliver("shop", "waits");
    up(0, B1);
    unknown(B2);
    down(0, "killed");
    t.heard[0] = '\0';
    deliver("shop", "waits");
    t.now += 29999;
    queue_deliveries_tick(t.q);
    heard("");
    t.now += 1;
    t.delivers_again = true;
    queue_deliveries_tick(t.q);
    heard("2 the message is not queued: it was not answered within 30 s\n");
    up(0, B1);
    t.now += 30000;
    queue_deliveries_tick(t.q);
    heard("3 it was not answered within 30 s: whether the message is queued is unknown\n");
    answer(3); /* late */
    heard("");
}
END_TEST

/* A worker that does not keep up: what waits is bounded, and goes when there is room. */
START_TEST(test_who_does_not_keep_up)
{
    static char big[16 * 1024 * 1024];
    const struct worker_delivery d = {.backbone = "shop", .body = slice_make(big, sizeof big)};
    uint64_t token;
    deliver("shop", "x");
    up(0, B1);
    unknown(B2);
    answer(1);
    t.said[0] = t.heard[0] = '\0';
    t.send_fails = -ENOBUFS;
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(queue_deliveries_add(t.q, &d, &token), i < 4 ? 0 : -ENOBUFS);
    t.send_fails = -ENOTCONN;
    queue_deliveries_tick(t.q);
    heard("");
    down(0, "killed"); /* none of them was sent */
    heard("");
    const struct worker_delivery huge = {.backbone = "shop",
                                         .body = slice_make(big, MESSAGE_FRAME_MAX + 1)};
    t.now += 30000;
    queue_deliveries_tick(t.q);
    ck_assert_ptr_nonnull(strstr(t.heard, "5 the message is not queued"));
    ck_assert_int_eq(queue_deliveries_add(t.q, &huge, &token), -EMSGSIZE);
}
END_TEST

/* ---- several servers: .1 and .3 are of the first of two, .2 and .4 of the second ---- */

static void two_servers(void)
{
    t.servers = "2";
    deliver("shop", "first");
    up(0, B1);
    up(1, B2);
    up(2, B3);
    unknown("queue/shop/backbone.4");
    answer(1);
    t.said[0] = t.heard[0] = '\0';
}

/* Whom the last was sent to. */
static int sent_to(void)
{
    const char *at = strstr(t.said, ": ");
    ck_assert_ptr_nonnull(at);
    int number = at[-1] - '0';
    t.said[0] = '\0';
    return number;
}

/* Any of the servers, and of each the same worker as long as it is up. */
START_TEST(test_any_server)
{
    int count[4] = {0};
    two_servers();
    for (int i = 0; i < 200; i++) {
        uint64_t token = deliver("shop", "x");
        count[sent_to()]++;
        answer(token);
        t.heard[0] = '\0';
    }
    ck_assert_msg(count[2] > 20 && count[2] < 180 && (count[1] == 0) != (count[3] == 0), "%d %d %d",
                  count[1], count[2], count[3]);
}
END_TEST

/* What is surely not queued goes to another server; what may be queued does not, nor what all have refused. */
START_TEST(test_refused_by_a_server)
{
    two_servers();
    uint64_t token = deliver("shop", "x");
    int first = sent_to();
    answer_with(token, "the message is not queued: Redis is away");
    heard("");
    ck_assert_int_ne(first % 2, sent_to() % 2);
    answer(token);
    heard("2 17 q\n");
    token = deliver("shop", "y");
    sent_to();
    answer_with(token, "whether the message is queued is unknown: it broke");
    heard("3 whether the message is queued is unknown: it broke\n");
    token = deliver("shop", "z");
    answer_with(token, "the message is not queued: full");
    answer_with(token, "the message is not queued: away");
    heard("4 the message is not queued: away\n");
    token = deliver("shop", "w"); /* each time anew */
    sent_to();
    answer(token);
    heard("5 17 q\n");
}
END_TEST

/* Nobody of a server is up: the other has it; a worker that dies with it leaves it unknown. */
START_TEST(test_a_server_without_workers)
{
    two_servers();
    down(1, "killed");
    for (int i = 0; i < 20; i++) {
        uint64_t token = deliver("shop", "x");
        ck_assert_int_ne(sent_to(), 2);
        answer(token);
    }
    t.heard[0] = '\0';
    uint64_t token = deliver("shop", "y");
    answer_with(token, "the message is not queued: full");
    ck_assert_ptr_nonnull(strstr(t.heard, "the message is not queued: full"));
    t.said[0] = t.heard[0] = '\0';
    deliver("shop", "z");
    down(sent_to() == 1 ? 0 : 2, "killed");
    ck_assert_ptr_nonnull(strstr(t.heard, "is unknown"));
}
END_TEST

/* What is kept for another server is bounded too. */
START_TEST(test_what_is_kept_for_another_server)
{
    static char big[16 * 1024 * 1024];
    const struct worker_delivery d = {.backbone = "shop", .body = slice_make(big, sizeof big - 99)};
    uint64_t token[6];
    two_servers();
    t.quiet = true;
    for (int i = 0; i < 6; i++)
        ck_assert_int_eq(queue_deliveries_add(t.q, &d, &token[i]), i < 5 ? 0 : -ENOBUFS);
    answer(token[0]);
    answer(token[1]);
    ck_assert_int_eq(queue_deliveries_add(t.q, &d, &token[5]), 0);
}
END_TEST

SUITE_MAIN_WITH("queue_deliveries", set_up, tear_down, test_one_waits_for_its_backbone,
                test_what_is_said, test_no_such_backbone, test_several_workers,
                test_processes_choose_different_ones, test_a_successor, test_time_is_up,
                test_who_does_not_keep_up, test_any_server, test_refused_by_a_server,
                test_a_server_without_workers, test_what_is_kept_for_another_server)
