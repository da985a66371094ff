/*
 * test_cache_mail_ring.c: a call of another node's object that its owner sends back at once, again and again: how often
 * it is asked (workers/cache/cache_mail.c). The skeleton is played.
 */
#include "test/unit/cache/forward_fixture.h"

#include "common/pack.h"
#include "test/unit/suite.h"
#include "workers/cache/cache_mail.h"

#include <stdlib.h>

static struct cache_mail mail;
static struct worker_peer caller = {.name = "site/web", .generation = 1};
static struct buffer composed;
static char told[1024];

/* ---- the skeleton ---- */

struct worker_peer *worker_peer_find(struct worker *w, const char *name)
{
    (void)w;
    return strcmp(name, caller.name) == 0 ? &caller : NULL;
}

struct worker_peer *worker_peer_next(struct worker *w, struct worker_peer *after)
{
    (void)w;
    return after == NULL ? &caller : NULL;
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
    (void)w;
    ck_assert_ptr_eq(to, &caller);
    ck_assert(message_answer_unpack(&u, &m));
    snprintf(told, sizeof told, "%.*s", (int)m.text.len, m.text.ptr);
    return 0;
}

size_t worker_queued(const struct worker *w, const struct worker_peer *to)
{
    (void)w;
    (void)to;
    return 0;
}

void *worker_must_alloc(struct worker *w, size_t size)
{
    (void)w;
    return calloc(1, size);
}

void worker_reply(struct worker *w, uint64_t id, enum control_status status, struct slice body)
{
    (void)w;
    (void)id;
    (void)status;
    (void)body;
}

void worker_reply_text(struct worker *w, uint64_t id, enum control_status status,
                       const char *format, ...)
{
    (void)w;
    (void)id;
    (void)status;
    (void)format;
}

/* ---- calls ---- */

static void set_up(void)
{
    far_set_up();
    told[0] = '\0';
    mail = (struct cache_mail){.node = &node};
}

static void tear_down(void)
{
    cache_mail_fini(&mail);
    free(caller.user);
    caller.user = NULL;
    far_tear_down();
    buffer_fini(&composed);
}

static void call(const char *text)
{
    struct buffer packed = BUFFER_EMPTY;
    struct message_call m = {.token = 1, .text = slice_of(text)};
    message_call_pack(&packed, &m);
    struct unpack u = unpack_start(buffer_slice(&packed));
    cache_turn_begin(&node.turn);
    ck_assert(cache_mail_on_message(&mail, &caller, MESSAGE_CALL, &u));
    buffer_fini(&packed);
}

/* Its owner answers as fast as it is asked; until the caller is told. How often that was. */
static int asked_until_told(const char *says, int most)
{
    int asked = 0;
    for (int i = 0; i < 100000 && told[0] == '\0' && asked < most; i++) {
        if (!far_takes(2)) {
            node_wait();
            continue;
        }
        far_say(2, says);
        asked++;
    }
    return asked;
}

/* Pauses of 10 to 100 ms: however long the machine takes, not more often than that. */
START_TEST(sent_back_for_all_its_time)
{
    far_begin(500);
    play_owner("k2", 2);
    call("{\"persist\":\"k2\"}");
    int asked = asked_until_told("-PLATOONMOVED WAITS it is given up\r\n", 1000);
    ck_assert_int_gt(asked, 1);
    ck_assert_int_lt(asked, 20);
    ck_says(told, "TRYAGAIN ");
}
END_TEST

/* And it goes on when there is an end to it. */
START_TEST(sent_back_and_then_done)
{
    play_owner("k2", 2);
    call("{\"persist\":\"k2\"}");
    ck_assert_int_eq(asked_until_told("-PLATOONMOVED WAITS it is given up\r\n", 4), 4);
    far_heard(2);
    far_say(2, ":1\r\n");
    node_until(told[0] != '\0');
    ck_assert_str_eq(told, "{\"ok\":true}");
    ck_assert(cache_mail_is_empty(&mail));
}
END_TEST

SUITE_MAIN_WITH("cache_mail_ring", set_up, tear_down, sent_back_for_all_its_time,
                sent_back_and_then_done)
