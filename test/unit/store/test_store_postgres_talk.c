/*
 * test_store_postgres_talk.c: a server that says nothing, or stops in the middle of its answer
 * (common/store/store_postgres.h). Those that talk: test_store_postgres.c.
 */
#include "common/clock.h"
#include "common/store/store_postgres.h"
#include "test/unit/suite.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A server of ours: it lets everybody in, answers so many questions, and then does nothing more. */
static struct server {
    int fd, client;
    int answers;
    const char *last; /* said instead of a whole answer when they are used up; NULL: nothing */
    size_t last_len;
    pthread_t thread;
} server;

static const char greeting[] = "R\0\0\0\10\0\0\0\0"
                               "S\0\0\0\30server_version\00015.0\0"
                               "S\0\0\0\31client_encoding\0UTF8\0"
                               "Z\0\0\0\5I";
static const char done[] = "C\0\0\0\10SET\0"
                           "Z\0\0\0\5I";

static void serve(int client)
{
    char in[4096];
    /* The first is libpq's question for TLS, the second its greeting. */
    for (int i = 0; i < 2 && read(client, in, sizeof in) > 0; i++)
        if (i == 0 && in[4] == 4 && in[5] == (char)0xd2)
            ck_assert_int_eq(write(client, "N", 1), 1);
        else
            break;
    ck_assert_int_eq(write(client, greeting, sizeof greeting - 1), sizeof greeting - 1);
    for (int i = 0; i < server.answers && read(client, in, sizeof in) > 0; i++)
        ck_assert_int_eq(write(client, done, sizeof done - 1), sizeof done - 1);
    if (server.last != NULL && read(client, in, sizeof in) > 0)
        ck_assert_int_eq(write(client, server.last, server.last_len), (ssize_t)server.last_len);
}

static void *serve_one(void *ctx)
{
    (void)ctx;
    server.client = accept(server.fd, NULL, NULL);
    serve(server.client);
    return NULL;
}

static struct store_postgres *connected(int answers, const char *last, size_t last_len)
{
    static struct store_postgres s;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    char url[128];
    server = (struct server){.fd = socket(AF_INET, SOCK_STREAM, 0),
                             .client = -1,
                             .answers = answers,
                             .last = last,
                             .last_len = last_len};
    ck_assert_int_eq(bind(server.fd, (struct sockaddr *)&at, sizeof at), 0);
    ck_assert_int_eq(listen(server.fd, 1), 0);
    getsockname(server.fd, (struct sockaddr *)&at, &len);
    ck_assert_int_eq(pthread_create(&server.thread, NULL, serve_one, NULL), 0);
    snprintf(url, sizeof url,
             "postgresql://x@127.0.0.1:%d/x?sslmode=disable&gssencmode=disable&connect_timeout=5",
             ntohs(at.sin_port));
    s = (struct store_postgres){.db = PQconnectdb(url), .timeout_ms = 20000, .url = (char[]){"x"}};
    ck_assert_msg(PQstatus(s.db) == CONNECTION_OK, "%s", PQerrorMessage(s.db));
    PQsetnonblocking(s.db, 1);
    return &s;
}

static void close_all(struct store_postgres *s)
{
    PQfinish(s->db);
    shutdown(server.client, SHUT_RDWR);
    pthread_join(server.thread, NULL);
    close(server.client);
    close(server.fd);
}

START_TEST(test_an_answer)
{
    struct store_postgres *s = connected(2, NULL, 0);
    for (int i = 0; i < 2; i++) {
        PGresult *r = store_postgres_ask(s, "SET x = 1", 0, NULL);
        ck_assert_int_eq(PQresultStatus(r), PGRES_COMMAND_OK);
        ck_assert(!s->late);
        PQclear(r);
    }
    close_all(s);
}
END_TEST

static void silence(const char *said, size_t len)
{
    struct store_postgres *s = connected(1, said, len);
    PQclear(store_postgres_ask(s, "SET x = 1", 0, NULL));
    s->timeout_ms = 200;
    uint64_t begin = clock_mono_ms();
    ck_assert_ptr_null(store_postgres_ask(s, "SET x = 2", 0, NULL));
    ck_assert(s->late);
    ck_assert_uint_ge(clock_mono_ms() - begin, 300); /* its time and half of it again */
    struct store_error error;
    s->base.ops = &store_postgres_ops;
    ck_assert_int_eq(store_postgres_fail(s, NULL, &error), STORE_RETRY);
    ck_assert_msg(strstr(error.text, "no answer for") != NULL, "%s", error.text);
    ck_assert_ptr_null(s->db);
    ck_assert(!s->late);
    close_all(s);
}

START_TEST(test_no_answer)
{
    silence(NULL, 0);
}
END_TEST

START_TEST(test_half_an_answer)
{
    silence(done, 9);
}
END_TEST

START_TEST(test_the_end_instead_of_an_answer)
{
    struct store_postgres *s = connected(0, NULL, 0);
    pthread_join(server.thread, NULL);
    shutdown(server.client, SHUT_RDWR);
    PGresult *r = store_postgres_ask(s, "SET x = 1", 0, NULL);
    ck_assert(!s->late);
    ck_assert_int_ne(PQresultStatus(r), PGRES_COMMAND_OK);
    ck_assert(r != NULL || PQerrorMessage(s->db)[0] != '\0');
    PQclear(r);
    PQfinish(s->db);
    close(server.client);
    close(server.fd);
}
END_TEST

SUITE_MAIN("store_postgres_talk", test_an_answer, test_no_answer, test_half_an_answer,
           test_the_end_instead_of_an_answer)
