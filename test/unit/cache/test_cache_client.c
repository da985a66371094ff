/* test_cache_client.c: connections of a cache node: pipelines, parts of commands, large words, bounds, their end. */
#include "test/unit/short_memory.h"

#include "test/unit/cache/node_fixture.h"
#include "test/unit/suite.h"

#include <stdlib.h>

START_TEST(pipelines)
{
    int fd = node_connect();
    node_expect(fd, "PING\r\n", "+PONG\r\n");
    node_expect(fd, "*1\r\n$4\r\nPING\r\n\r\n*0\r\nECHO \"a b\"\r\n*2\r\n$4\r\necho\r\n$1\r\nx\r\n",
                "+PONG\r\n$3\r\na b\r\n$1\r\nx\r\n");
    node_expect(fd, "nothing\r\nPING\r\n",
                "-ERR unknown command 'nothing', with args beginning with: "
                "\r\n+PONG\r\n");
    close(fd);
}
END_TEST

/* Each command in two parts, at every place. */
START_TEST(parts)
{
    static const char text[] = "*2\r\n$4\r\nECHO\r\n$5\r\na\r\nbc\r\nPING\r\n*1\r\n$4\r\nPING\r\n";
    int fd = node_connect();
    for (size_t cut = 1; cut < sizeof text - 1; cut++) {
        node_send(fd, text, cut);
        size_t before = strlen(node_read(fd));
        node_send(fd, text + cut, sizeof text - 1 - cut);
        ck_assert_uint_eq(before + strlen(node_read(fd)),
                          strlen("$5\r\na\r\nbc\r\n+PONG\r\n+PONG\r\n"));
    }
    ck_assert_ptr_null(node.clients->in.data); /* an idle one has no buffer */
    ck_assert_ptr_null(node.clients->reply.out.data);
    close(fd);
}
END_TEST

START_TEST(protocol_errors)
{
    int fd = node_connect();
    node_expect(fd, "PING\r\n*x\r\nPING\r\n",
                "+PONG\r\n-ERR Protocol error: invalid multibulk length\r\n");
    ck_assert(node_is_closed(fd));
    close(fd);
    fd = node_connect();
    node_expect(fd, "*1\r\n$536870913\r\n", "-ERR Protocol error: invalid bulk length\r\n");
    ck_assert(node_is_closed(fd));
    close(fd);
    ck_assert_uint_eq(node.client_count, 0);
}
END_TEST

/* A page in a browser that posts to us: what its body says is not done (as redis-server 7.0). */
START_TEST(browsers)
{
    static const char *requests[] = {"POST / HTTP/1.1\r\nHost: x\r\n\r\nSET a b\r\n",
                                     "GET / HTTP/1.1\r\nhOST: x\r\n\r\nSET a b\r\n"};
    for (size_t i = 0; i < 2; i++) {
        int fd = node_connect();
        node_send(fd, requests[i], strlen(requests[i]));
        node_read(fd);
        ck_assert(node_is_closed(fd));
        close(fd);
    }
    ck_assert_uint_eq(cache_db_count(node.db), 0);
}
END_TEST

/* Above object_max: not kept, refused when it is whole, and the connection goes on. */
START_TEST(large_words)
{
    size_t size = (size_t)32 << 20;
    char head[64], *part = calloc(1, 1 << 16);
    int fd = node_connect();
    int len = snprintf(head, sizeof head, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%zu\r\n", size);
    node_send(fd, head, (size_t)len);
    for (size_t sent = 0; sent < size; sent += 1 << 16) {
        node_send(fd, part, 1 << 16);
        ck_assert_uint_lt(node.clients->in.cap, (size_t)4 << 20);
    }
    node_expect(fd, "\r", "");
    node_expect(
        fd, "\nPING\r\n",
        "-ERR a key and its value may have at most 1048576 bytes (object_max)\r\n+PONG\r\n");
    node_expect(fd, "EXISTS k\r\n", ":0\r\n");
    free(part);
    close(fd);
}
END_TEST

static void send_large(int fd)
{
    size_t size = (size_t)2 << 20;
    char head[64], *value = calloc(1, size + 2);
    int len = snprintf(head, sizeof head, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%zu\r\n", size);
    node_send(fd, head, (size_t)len);
    memcpy(value + size, "\r\n", 2);
    node_send(fd, value, size + 2);
    free(value);
}

/* Refused as other commands are: a transaction is none without it, and who wants no replies gets none. */
START_TEST(large_words_are_refused)
{
    static const char refused[] =
        "-ERR a key and its value may have at most 1048576 bytes (object_max)\r\n";
    int fd = node_connect();
    node_expect(fd, "MULTI\r\nSET a 1\r\n", "+OK\r\n+QUEUED\r\n");
    send_large(fd);
    ck_assert_str_eq(node_read(fd), refused);
    node_expect(fd, "EXEC\r\nGET a\r\n",
                "-EXECABORT Transaction discarded because of previous errors.\r\n$-1\r\n");
    node_send(fd, "CLIENT REPLY SKIP\r\n", 19);
    send_large(fd);
    node_expect(fd, "PING\r\n", "+PONG\r\n");
    send_large(fd);
    node_expect(
        fd, "PING\r\n",
        "-ERR a key and its value may have at most 1048576 bytes (object_max)\r\n+PONG\r\n");
    close(fd);
}
END_TEST

/* Someone with very many commands does not keep another waiting until all are done. */
START_TEST(fairness)
{
    struct buffer many = BUFFER_EMPTY;
    int greedy = node_connect(), other = node_connect();
    for (int i = 0; i < 3 * CACHE_TURN_COMMANDS; i++)
        buffer_append_text(&many, "PING\r\n");
    ck_assert_int_eq(send(greedy, many.data, many.len, 0), (ssize_t)many.len);
    ck_assert_int_eq(send(other, "PING\r\n", 6, 0), 6);
    node_turn(1);
    ck_assert_uint_eq(node.counts.commands, CACHE_TURN_COMMANDS + 1);
    ck_assert_str_eq(node_read(other), "+PONG\r\n");
    node_turn(4);
    ck_assert_uint_eq(strlen(node_read(greedy)), 7 * 3 * CACHE_TURN_COMMANDS);
    buffer_fini(&many);
    close(greedy);
    close(other);
}
END_TEST

/* Nor is more read of them than is executed: what has come stays in the kernel, and who sent it waits. */
START_TEST(no_hoard)
{
    struct buffer many = BUFFER_EMPTY;
    int fd = node_connect();
    size_t sent = 0, most = 0;
    for (int i = 0; i < 30000; i++)
        buffer_append_text(&many, "PING\r\n");
    for (int i = 0; i < 1000; i++) {
        char bytes[65536];
        ssize_t part = send(fd, many.data + sent % 6, 120000, MSG_NOSIGNAL);
        sent += part > 0 ? (size_t)part : 0;
        node_turn(1);
        while (recv(fd, bytes, sizeof bytes, 0) > 0)
            ;
        most = node.clients->in.len > most ? node.clients->in.len : most;
    }
    ck_assert_uint_gt(sent, 4 * CACHE_READ_SIZE);
    ck_assert_uint_le(most, 2 * CACHE_READ_SIZE);
    buffer_fini(&many);
    close(fd);
}
END_TEST

/* All that somebody has sent is executed and answered, also when its end of file is there before. */
START_TEST(ends_with_its_file)
{
    struct buffer many = BUFFER_EMPTY;
    int fd = node_connect();
    size_t commands = 6 * CACHE_TURN_COMMANDS, came = 0;
    for (size_t i = 0; i < commands; i++)
        buffer_append_text(&many, "INCR n\r\n");
    buffer_append_text(&many, "GET"); /* no command yet */
    ck_assert_int_eq(send(fd, many.data, many.len, 0), (ssize_t)many.len);
    ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
    for (int i = 0; i < 100 && node.client_count > 0; i++)
        node_turn(1);
    ck_assert_uint_eq(node.client_count, 0);
    for (const char *at = node_read(fd); (at = strchr(at, '\n')) != NULL; at++)
        came++;
    ck_assert_uint_eq(came, commands);
    ck_assert(node_is_closed(fd));
    buffer_fini(&many);
    close(fd);
}
END_TEST

static void node_set_large(int fd)
{
    size_t size = (size_t)1 << 19;
    char head[64], *value = calloc(1, size);
    int len = snprintf(head, sizeof head, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%zu\r\n", size);
    node_send(fd, head, (size_t)len);
    node_send(fd, value, size);
    node_expect(fd, "\r\n", "+OK\r\n");
    free(value);
}

/* Who reads gets all of it, in order; who does not is dropped when 64 MB wait, and the others go on. */
START_TEST(slow_readers)
{
    int fd = node_connect(), other = node_connect();
    node_set_large(fd);
    for (int i = 0; i < 100; i++)
        node_send(fd, "GET k\r\n", 7);
    size_t came = 0;
    for (int i = 0; i < 10000 && came < 100 * (((size_t)1 << 19) + 11); i++) {
        char bytes[65536];
        ssize_t got = recv(fd, bytes, sizeof bytes, 0);
        came += got > 0 ? (size_t)got : 0;
        node_turn(1);
    }
    ck_assert_uint_eq(came, 100 * (((size_t)1 << 19) + 11));
    ck_assert_uint_eq(node.turn.dropped, 0);
    for (int i = 0; i < 200 && node.client_count == 2; i++) {
        ck_assert_int_eq(send(fd, "GET k\r\n", 7, 0), 7);
        node_turn(2);
    }
    ck_assert_uint_eq(node.turn.dropped, 1);
    ck_assert_uint_eq(node.client_count, 1);
    node_expect(other, "PING\r\n", "+PONG\r\n");
    close(fd);
    close(other);
}
END_TEST

/* One answer that is more than 64 MB is none. */
START_TEST(large_answers)
{
    struct buffer many = BUFFER_EMPTY;
    int fd = node_connect();
    node_set_large(fd);
    buffer_append_text(&many, "MGET");
    for (int i = 0; i < 200; i++)
        buffer_append_text(&many, " k");
    buffer_append_text(&many, "\r\n");
    node_send(fd, many.data, many.len);
    node_turn(2);
    ck_assert_uint_eq(node.client_count, 0);
    ck_assert_uint_eq(node.turn.dropped, 1);
    buffer_fini(&many);
    close(fd);
}
END_TEST

/* Nor is one that there is no room for: not even the error that EXEC makes of another. */
START_TEST(no_room_for_an_error)
{
    int fd = node_connect();
    node.clients->reply.max = strlen("+PONG\r\n");
    node_send(fd, "PING\r\nEXEC x\r\n", 14);
    node_turn(2);
    ck_assert_uint_eq(node.client_count, 0);
    close(fd);
}
END_TEST

/*
 * Each allocation that a command needs fails once: what is answered says that it was not done, in the words of a store
 * that is full, which clients know; or there is no answer.
 */
START_TEST(no_room_for_its_words)
{
    const char *oom = "-OOM the system has no more memory for this node\r\n";
    size_t said = 0;
    bool failed = true;
    for (long n = 1; failed; n++) {
        int fd = node_connect();
        ck_assert_int_lt(n, 100);
        ck_assert_int_eq(send(fd, "PING\r\nPING a\r\n", 14, 0), 14);
        short_memory_fail(n, false);
        node_turn(1);
        failed = short_memory_after < 0;
        short_memory_fail(0, false);
        const char *came = node_read(fd);
        if (strcmp(came, oom) == 0)
            said++;
        else
            ck_assert_msg(failed ? strstr(came, "-") == NULL
                                 : strcmp(came, "+PONG\r\n$1\r\na\r\n") == 0,
                          "came: %s", came);
        close(fd);
        node_turn(2);
    }
    ck_assert_uint_gt(said, 0);
}
END_TEST

/* A subcommand is found behind its container only, also when it was the last that was said. */
START_TEST(no_subcommand_alone)
{
    int fd = node_connect();
    node_expect(fd, "CLIENT ID\r\nclient|id x\r\n",
                ":1\r\n-ERR unknown command 'client|id', with args beginning with: 'x' \r\n");
    close(fd);
}
END_TEST

START_TEST(ends)
{
    int fd = node_connect(), other = node_connect();
    node_expect(fd, "QUIT\r\nPING\r\n", "+OK\r\n");
    ck_assert(node_is_closed(fd));
    close(fd);
    node_expect(other, "CLIENT KILL ID 2\r\n", ":0\r\n"); /* itself is skipped */
    node_expect(other, "CLIENT KILL ID 2 SKIPME no\r\nPING\r\n", ":1\r\n");
    ck_assert(node_is_closed(other));
    close(other);
    fd = node_connect();
    other = node_connect();
    node_expect(other, "CLIENT KILL ID 3\r\n", ":1\r\n");
    ck_assert(node_is_closed(fd));
    close(fd);
    close(other);
    node_turn(2);
    ck_assert_uint_eq(node.client_count, 0);
}
END_TEST

/* What clients hold counts as memory, and no more when they are gone. */
START_TEST(accounts)
{
    int fd = node_connect();
    node_expect(fd, "PING\r\n", "+PONG\r\n");
    size_t before = cache_db_bytes(node.db);
    node_send(fd, "*1\r\n$500000\r\nabc", 16);
    node_turn(1);
    ck_assert_uint_gt(cache_db_bytes(node.db), before);
    close(fd);
    node_turn(2);
    ck_assert_uint_eq(cache_db_bytes(node.db), before);
}
END_TEST

START_TEST(silence)
{
    int fd = node_connect();
    node_expect(fd, "CLIENT REPLY OFF\r\nPING\r\nCLIENT REPLY SKIP\r\nCLIENT REPLY ON\r\nPING\r\n",
                "+OK\r\n+PONG\r\n");
    node_expect(fd, "CLIENT REPLY SKIP\r\nPING\r\nECHO a\r\n", "$1\r\na\r\n");
    node_expect(fd, "CLIENT REPLY OFF\r\n*x\r\n", "");
    ck_assert(node_is_closed(fd));
    close(fd);
}
END_TEST

SUITE_MAIN_WITH("cache_client", node_set_up, node_tear_down, pipelines, parts, protocol_errors,
                browsers, large_words, large_words_are_refused, fairness, no_hoard,
                ends_with_its_file, slow_readers, large_answers, no_room_for_an_error,
                no_room_for_its_words, no_subcommand_alone, ends, accounts, silence)
