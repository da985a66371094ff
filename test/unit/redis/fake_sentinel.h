/*
 * fake_sentinel.h: Sentinels of a test's own, in its loop, for what real ones do not say on demand.
 *
 * One is a port of 127.0.0.1 and what is said there; the test changes it as it likes. Real ones: test_sentinel.py.
 */
#ifndef TEST_UNIT_REDIS_FAKE_SENTINEL_H
#define TEST_UNIT_REDIS_FAKE_SENTINEL_H

#include "test/unit/redis/redis_conn_client.h"

#define FAKE_CLIENTS_MAX 64

struct fake_sentinel;

struct fake_client {
    uv_tcp_t tcp;
    struct fake_sentinel *of;
    redisReader *reader;
    bool used, listens, welcome;
};

struct fake_sentinel {
    uv_tcp_t server;
    int port;
    char answer[400];      /* to SENTINEL; "": silence */
    const char *greeting;  /* to every other command before AUTH; NULL: what is right */
    const char *password;  /* NULL: none is asked for */
    const char *subscribe; /* NULL: what is right; "": the connection is closed */
    int connections, asked, subscribed;
    char name[64]; /* that was asked for */
    struct fake_client clients[FAKE_CLIENTS_MAX];
};

static inline void fake_on_closed(uv_handle_t *handle)
{
    struct fake_client *c = handle->data;
    redisReaderFree(c->reader);
    *c = (struct fake_client){0};
}

static inline void fake_end(struct fake_client *c)
{
    if (c->used && !uv_is_closing((uv_handle_t *)&c->tcp))
        uv_close((uv_handle_t *)&c->tcp, fake_on_closed);
}

/* Short enough for a socket that is read. */
static inline void fake_say(struct fake_client *c, const char *text)
{
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)text, (unsigned)strlen(text));
    if (!uv_is_closing((uv_handle_t *)&c->tcp))
        uv_try_write((uv_stream_t *)&c->tcp, &buf, 1);
}

static inline bool fake_is(const redisReply *r, size_t i, const char *word)
{
    return i < r->elements && strcasecmp(r->element[i]->str, word) == 0;
}

static inline void fake_subscribe(struct fake_client *c)
{
    struct fake_sentinel *f = c->of;
    f->subscribed++;
    if (f->subscribe == NULL) {
        c->listens = true;
        fake_say(c, "*3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n");
    } else if (f->subscribe[0] == '\0') {
        fake_end(c);
    } else {
        fake_say(c, f->subscribe);
    }
}

static inline void fake_hear(struct fake_client *c, const redisReply *r)
{
    struct fake_sentinel *f = c->of;
    if (fake_is(r, 0, "AUTH")) {
        c->welcome = f->password != NULL && fake_is(r, r->elements - 1, f->password);
        fake_say(c, c->welcome ? "+OK\r\n" : "-WRONGPASS invalid username-password pair\r\n");
    } else if (f->password != NULL && !c->welcome) {
        fake_say(c, "-NOAUTH Authentication required.\r\n");
    } else if (fake_is(r, 0, "SENTINEL")) {
        ck_assert(fake_is(r, 1, "get-master-addr-by-name"));
        snprintf(f->name, sizeof f->name, "%s", r->element[2]->str);
        f->asked++;
        fake_say(c, f->answer);
    } else if (f->greeting != NULL) {
        fake_say(c, f->greeting);
    } else if (fake_is(r, 0, "SUBSCRIBE")) {
        fake_subscribe(c);
    } else {
        ck_assert_msg(fake_is(r, 0, "PING"), "a Sentinel is told %s", r->element[0]->str);
        fake_say(c, "+PONG\r\n");
    }
}

static inline void fake_on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    static char room[4096];
    (void)handle;
    (void)suggested;
    *buf = uv_buf_init(room, sizeof room);
}

static inline void fake_on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct fake_client *c = stream->data;
    if (n < 0) {
        fake_end(c);
        return;
    }
    ck_assert_int_eq(redisReaderFeed(c->reader, buf->base, (size_t)n), REDIS_OK);
    void *r = NULL;
    while (redisReaderGetReply(c->reader, &r) == REDIS_OK && r != NULL) {
        fake_hear(c, r);
        freeReplyObject(r);
    }
}

static inline void fake_on_connection(uv_stream_t *server, int status)
{
    struct fake_sentinel *f = server->data;
    struct fake_client *c = f->clients;
    ck_assert_int_eq(status, 0);
    while (c < f->clients + FAKE_CLIENTS_MAX && c->used)
        c++;
    ck_assert_msg(c < f->clients + FAKE_CLIENTS_MAX, "%d connections", FAKE_CLIENTS_MAX);
    *c = (struct fake_client){.of = f, .used = true, .reader = redisReaderCreate()};
    f->connections++;
    uv_tcp_init(&cl.loop, &c->tcp);
    c->tcp.data = c;
    ck_assert_int_eq(uv_accept(server, (uv_stream_t *)&c->tcp), 0);
    uv_read_start((uv_stream_t *)&c->tcp, fake_on_alloc, fake_on_read);
}

/* Names this port of 127.0.0.1 from now on. */
static inline void fake_names(struct fake_sentinel *f, int port)
{
    char digits[8];
    int len = snprintf(digits, sizeof digits, "%d", port);
    snprintf(f->answer, sizeof f->answer, "*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%s\r\n", len, digits);
}

static inline void fake_start(struct fake_sentinel *f)
{
    struct sockaddr_in address;
    *f = (struct fake_sentinel){.port = redis_fixture_port()};
    uv_tcp_init(&cl.loop, &f->server);
    f->server.data = f;
    uv_ip4_addr("127.0.0.1", f->port, &address);
    ck_assert_int_eq(uv_tcp_bind(&f->server, (struct sockaddr *)&address, 0), 0);
    ck_assert_int_eq(uv_listen((uv_stream_t *)&f->server, 64, fake_on_connection), 0);
}

static inline void fake_close(struct fake_sentinel *f)
{
    if (f->server.data != NULL)
        uv_close((uv_handle_t *)&f->server, NULL);
    f->server.data = NULL;
    for (size_t i = 0; i < FAKE_CLIENTS_MAX; i++)
        fake_end(&f->clients[i]);
}

/* Ends the subscriptions, as a Sentinel does that is restarted. */
static inline void fake_drop_listeners(struct fake_sentinel *f)
{
    for (size_t i = 0; i < FAKE_CLIENTS_MAX; i++)
        if (f->clients[i].listens)
            fake_end(&f->clients[i]);
}

/* +switch-master to all that listen. */
static inline void fake_switch(struct fake_sentinel *f, const char *name, int port)
{
    char payload[160], text[300];
    int len = snprintf(payload, sizeof payload, "%s 127.0.0.1 1 127.0.0.1 %d", name, port);
    snprintf(text, sizeof text, "*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$%d\r\n%s\r\n",
             len, payload);
    for (size_t i = 0; i < FAKE_CLIENTS_MAX; i++)
        if (f->clients[i].listens)
            fake_say(&f->clients[i], text);
}

#endif
