/*
 * test_cache_input.c: many clients that send large commands at once: what they hold together is bounded, and each comes
 * to its end (workers/cache/cache_input.h, workers/cache/cache_client.c).
 */
#include "test/unit/cache/node_fixture.h"
#include "test/unit/suite.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS 24
#define WORD    ((size_t)1 << 20) /* object_max is that, with the key */

/* One command, of which so much has been sent. */
static struct {
    int fd;
    size_t sent;
} senders[CLIENTS];

static char *text;
static size_t text_len;

static void set_up(void)
{
    node_set_up();
    node.options.memory_max = (size_t)32 << 20; /* the bound is four objects */
    size_t value = WORD - 64;                   /* all of it is in a buffer of WORD */
    text = calloc(1, WORD + 64);
    text_len = (size_t)sprintf(text, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%zu\r\n", value);
    memset(text + text_len, 'v', value);
    text_len += value;
    memcpy(text + text_len, "\r\n", 2);
    text_len += 2;
    for (size_t i = 0; i < CLIENTS; i++) {
        senders[i].fd = node_connect();
        senders[i].sent = 0;
    }
}

static void tear_down(void)
{
    for (size_t i = 0; i < CLIENTS; i++)
        close(senders[i].fd);
    free(text);
    node_tear_down();
    ck_assert_uint_eq(node.input.bytes, 0);
    ck_assert(node.input.first == NULL && node.input.last == NULL && node.input.one == NULL);
}

static size_t held(void)
{
    size_t bytes = 0;
    for (const struct cache_client *c = node.clients; c != NULL; c = c->next)
        bytes += c->in.cap;
    return bytes;
}

/* What its socket takes, up to there. */
static bool more(size_t i, size_t end)
{
    size_t part = end - senders[i].sent < 65536 ? end - senders[i].sent : 65536;
    ssize_t sent = part > 0 ? send(senders[i].fd, text + senders[i].sent, part, MSG_NOSIGNAL) : 0;
    ck_assert(sent >= 0 || errno == EAGAIN || errno == EPIPE);
    senders[i].sent += sent > 0 ? (size_t)sent : 0;
    node_turn(1);
    return sent > 0;
}

/* All that the node takes of these, up to there. The most that was held meanwhile. */
static size_t send_all(size_t first, size_t behind, size_t end)
{
    size_t most = 0, idle = 0;
    while (idle < 20) {
        bool any = false;
        for (size_t i = first; i < behind; i++) {
            any = more(i, end) || any;
            most = held() > most ? held() : most;
        }
        idle = any ? 0 : idle + 1;
    }
    return most;
}

static size_t waiting(void)
{
    size_t count = 0;
    for (const struct cache_client *c = node.input.first; c != NULL; c = c->input.next)
        count++;
    return count;
}

/* So much can be more than the bound: what one step grows by, the one that may always, and what is small. */
static size_t bound(void)
{
    return cache_input_max(&node) + 3 * WORD + CLIENTS * CACHE_INPUT_SMALL;
}

START_TEST(what_it_is)
{
    ck_assert_uint_eq(cache_input_max(&node), 4 * WORD);
    node.options.memory_max = 1 << 20;
    ck_assert_uint_eq(cache_input_max(&node), CACHE_INPUT_LEAST);
    node.options.memory_max = (size_t)1 << 30;
    ck_assert_uint_eq(cache_input_max(&node), (size_t)128 << 20);
}
END_TEST

/* All at once: those who find no room are not read, and all are answered. */
START_TEST(all_come_to_their_end)
{
    ck_assert_uint_le(send_all(0, CLIENTS, text_len - 1), bound());
    ck_assert_uint_gt(waiting(), 0);
    ck_assert_uint_le(send_all(0, CLIENTS, text_len), bound());
    for (size_t i = 0; i < CLIENTS; i++) {
        ck_assert_uint_eq(senders[i].sent, text_len);
        ck_assert_str_eq(node_read(senders[i].fd), "+OK\r\n");
    }
    ck_assert_uint_eq(node.input.bytes, 0);
    ck_assert_ptr_null(node.input.first);
    ck_assert_uint_eq(node.client_count, CLIENTS);
}
END_TEST

static void one_is_slow(void)
{
    node.input.one_ms -= CACHE_INPUT_SLOW_MS;
    cache_input_tick(&node);
    node_turn(2);
}

/* Those who hold all of it send nothing more: one after the other the rest are done all the same. */
START_TEST(who_stops_is_in_nobodys_way)
{
    send_all(0, 4, text_len - 1);
    ck_assert_uint_ge(node.input.bytes, cache_input_max(&node));
    ck_assert_uint_le(send_all(4, CLIENTS, text_len), bound());
    for (size_t i = 4; i < CLIENTS; i++)
        ck_assert_str_eq(node_read(senders[i].fd), "+OK\r\n");
    ck_assert_uint_eq(node.client_count, CLIENTS);
}
END_TEST

/* One that could go on does not, and others wait: it is ended, and they go on. */
START_TEST(who_stops_as_the_one_is_ended)
{
    send_all(0, 4, text_len - 1);
    send_all(4, 5, text_len - 1);
    send_all(5, CLIENTS, text_len);
    ck_assert_uint_eq(waiting(), CLIENTS - 5);
    one_is_slow();
    ck_assert(node_is_closed(senders[4].fd));
    ck_assert_uint_eq(node.client_count, CLIENTS - 1);
    ck_assert_uint_eq(node.counts.dropped, 1);
    send_all(5, CLIENTS, text_len);
    for (size_t i = 5; i < CLIENTS; i++)
        ck_assert_str_eq(node_read(senders[i].fd), "+OK\r\n");
}
END_TEST

/* What is small does not wait, whatever is held. */
START_TEST(small_ones_go_on)
{
    send_all(0, 8, text_len - 1);
    ck_assert_uint_gt(waiting(), 0);
    int fd = node_connect();
    node_expect(fd, "SET small 1\r\nGET small\r\n", "+OK\r\n$1\r\n1\r\n");
    for (size_t at = 0; at < 20; at++) /* in parts, too */
        node_send(fd, "*2\r\n$4\r\nECHO\r\n$2\r\nab\r\n" + at, 1);
    node_expect(fd, "*2\r\n$4\r\nECHO\r\n$2\r\nab\r\n" + 20, "$2\r\nab\r\n");
    close(fd);
}
END_TEST

/* Nobody is too slow while nobody waits; it counts from then on. */
START_TEST(slow_ones)
{
    send_all(0, 5, text_len - 1);
    ck_assert_ptr_nonnull(node.input.one);
    one_is_slow();
    ck_assert_uint_eq(node.client_count, CLIENTS);
    send_all(5, 6, text_len - 1);
    ck_assert_uint_eq(waiting(), 1);
    cache_input_tick(&node);
    node_turn(2);
    ck_assert_uint_eq(node.client_count, CLIENTS);
    one_is_slow();
    ck_assert_uint_eq(node.client_count, CLIENTS - 1);
    ck_assert(node_is_closed(senders[4].fd));
}
END_TEST

/* The longest first; one whose command is done begins anew, behind the others. */
START_TEST(in_order)
{
    send_all(0, 5, text_len - 1);
    for (size_t i = 5; i < 8; i++)
        send_all(i, i + 1, text_len - 1);
    ck_assert_uint_eq(waiting(), 3);
    struct cache_client *next = node.input.first;
    send_all(4, 5, text_len); /* the one */
    ck_assert_str_eq(node_read(senders[4].fd), "+OK\r\n");
    ck_assert(node.input.one == next);
    senders[4].sent = 0;
    send_all(4, 5, text_len - 1);
    ck_assert_uint_eq(waiting(), 3);
    ck_assert_uint_gt(node.input.last->input.ticket, node.input.last->input.prev->input.ticket);
    ck_assert_uint_gt(node.input.last->input.prev->input.ticket, node.input.first->input.ticket);
}
END_TEST

/* Who waits may go, and who holds. */
START_TEST(who_goes)
{
    send_all(0, CLIENTS, text_len - 1);
    size_t before = waiting();
    ck_assert_uint_gt(before, 2);
    cache_turn_end(node.input.first, true);
    cache_turn_end(node.input.last, true);
    node_turn(2);
    ck_assert_uint_eq(node.client_count, CLIENTS - 2);
    cache_turn_end(node.input.one, true);
    node_turn(2);
    ck_assert_uint_eq(node.client_count, CLIENTS - 3);
    ck_assert_ptr_nonnull(node.input.one);
    cache_client_end_all(&node);
    ck_assert_uint_eq(node.input.bytes, 0);
}
END_TEST

/* Behind a large command little is kept. */
START_TEST(what_is_left_is_small)
{
    send_all(0, 1, text_len - 1);
    struct cache_client *c = node.clients;
    while (c->next != NULL)
        c = c->next;
    ck_assert_uint_gt(c->in.cap, CACHE_INPUT_SMALL);
    static const char rest[] = "\n*1\r\n$4\r\nPI";
    node_send(senders[0].fd, rest, sizeof rest - 1);
    ck_assert_str_eq(node_read(senders[0].fd), "+OK\r\n");
    ck_assert_uint_le(c->in.cap, CACHE_INPUT_SMALL);
    node_expect(senders[0].fd, "NG\r\n", "+PONG\r\n");
}
END_TEST

SUITE_MAIN_WITH("cache_input", set_up, tear_down, what_it_is, all_come_to_their_end,
                who_stops_is_in_nobodys_way, who_stops_as_the_one_is_ended, small_ones_go_on,
                slow_ones, in_order, who_goes, what_is_left_is_small)
