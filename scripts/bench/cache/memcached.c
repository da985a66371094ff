/*
 * memcached.c: asks a memcached as redis-benchmark asks a redis-server: connections that each send so many commands at
 * once, and the next ones when all of those are answered. redis-benchmark does not speak its protocol.
 *
 * Usage: memcached SOCKET get|set PIPELINE BYTES REQUESTS CLIENTS NAMES. Names are key:NUMBER, at random. Prints
 * requests a second.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define BENCH_COMMAND_MAX 64 /* bytes of a command but for its value */
#define BENCH_READ_SIZE   65536

struct bench {
    const char *path;
    bool set;
    long pipeline, bytes, left, under_way, clients, names;
    char *text; /* of one connection's commands */
    char *value;
    uint64_t seed;
    int poll;
};

struct bench_client {
    int fd;
    long wanted; /* answers */
    char last;   /* byte that was read */
};

static void bench_fail(const char *what)
{
    perror(what);
    exit(1);
}

static double bench_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static long bench_random(struct bench *b)
{
    b->seed ^= b->seed << 13;
    b->seed ^= b->seed >> 7;
    b->seed ^= b->seed << 17;
    return (long)(b->seed % (uint64_t)b->names);
}

/* False: nothing is left to be asked. */
static bool bench_ask(struct bench *b, struct bench_client *c)
{
    size_t len = 0;
    for (c->wanted = 0; c->wanted < b->pipeline && b->left > 0; c->wanted++, b->left--) {
        if (b->set) {
            len += (size_t)sprintf(b->text + len, "set key:%012ld 0 0 %ld\r\n", bench_random(b),
                                   b->bytes);
            memcpy(b->text + len, b->value, (size_t)b->bytes + 2);
            len += (size_t)b->bytes + 2;
        } else {
            len += (size_t)sprintf(b->text + len, "get key:%012ld\r\n", bench_random(b));
        }
    }
    for (size_t sent = 0; sent < len;) {
        ssize_t n = write(c->fd, b->text + sent, len - sent);
        if (n <= 0)
            bench_fail("write");
        sent += (size_t)n;
    }
    return c->wanted > 0;
}

/*
 * Answers end in a line that begins so: "END", "STORED". Values hold neither a line feed nor such a letter, so one that
 * stands behind a line feed, or at the beginning, is of that line.
 */
static void bench_hear(struct bench *b, struct bench_client *c)
{
    static char data[BENCH_READ_SIZE];
    ssize_t n = read(c->fd, data, sizeof data);
    if (n <= 0)
        bench_fail("read");
    for (ssize_t i = 0; i < n; i++) {
        c->wanted -= c->last == '\n' && data[i] == (b->set ? 'S' : 'E');
        c->last = data[i];
    }
    if (c->wanted == 0 && !bench_ask(b, c)) {
        close(c->fd);
        b->under_way--;
    }
}

static void bench_connect(struct bench *b, struct bench_client *c)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    snprintf(to.sun_path, sizeof to.sun_path, "%s", b->path);
    c->fd = socket(AF_UNIX, SOCK_STREAM, 0);
    c->last = '\n';
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0 ||
        epoll_ctl(b->poll, EPOLL_CTL_ADD, c->fd, &e) != 0)
        bench_fail(b->path);
    if (bench_ask(b, c))
        b->under_way++;
}

static void bench_run(struct bench *b)
{
    struct epoll_event events[64];
    struct bench_client *clients = calloc((size_t)b->clients, sizeof *clients);
    if (clients == NULL)
        bench_fail("calloc");
    for (long i = 0; i < b->clients; i++)
        bench_connect(b, &clients[i]);
    while (b->under_way > 0) {
        int n = epoll_wait(b->poll, events, 64, 60000);
        if (n <= 0)
            bench_fail("epoll_wait");
        for (int i = 0; i < n; i++)
            bench_hear(b, events[i].data.ptr);
    }
    free(clients);
}

int main(int argc, char **argv)
{
    if (argc != 8) {
        fprintf(stderr, "usage: memcached SOCKET get|set PIPELINE BYTES REQUESTS CLIENTS NAMES\n");
        return 2;
    }
    struct bench b = {.path = argv[1],
                      .set = strcmp(argv[2], "set") == 0,
                      .pipeline = atol(argv[3]),
                      .bytes = atol(argv[4]),
                      .left = atol(argv[5]),
                      .clients = atol(argv[6]),
                      .names = atol(argv[7]),
                      .seed = UINT64_C(88172645463325252),
                      .poll = epoll_create1(0)};
    long requests = b.left;
    if (b.pipeline < 1 || b.bytes < 1 || b.clients < 1 || b.names < 1 || b.poll < 0)
        return 2;
    b.text = malloc((size_t)b.pipeline * ((size_t)b.bytes + BENCH_COMMAND_MAX));
    b.value = malloc((size_t)b.bytes + 2);
    if (b.text == NULL || b.value == NULL)
        return 1;
    memset(b.value, 'x', (size_t)b.bytes);
    memcpy(b.value + b.bytes, "\r\n", 2);
    double began = bench_now();
    bench_run(&b);
    printf("%.0f\n", (double)requests / (bench_now() - began));
    free(b.text);
    free(b.value);
    return 0;
}
