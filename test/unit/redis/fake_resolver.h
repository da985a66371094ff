/*
 * fake_resolver.h: one name that has several addresses, in the order that the test says.
 *
 * In the place of libc's getaddrinfo, also under libuv: the addresses of "several.test" are ports of 127.0.0.1,
 * whatever port is asked for. Every other name is libc's.
 */
#ifndef TEST_UNIT_REDIS_FAKE_RESOLVER_H
#define TEST_UNIT_REDIS_FAKE_RESOLVER_H

#include "test/unit/redis/redis_conn_client.h"

#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>

#define FAKE_NAME "several.test"

static int fake_ports[4];
static size_t fake_port_count;

/* One block, as freeaddrinfo wants it. */
static inline struct addrinfo *fake_address(int port, struct addrinfo *next)
{
    struct {
        struct addrinfo info;
        struct sockaddr_in address;
    } *block = calloc(1, sizeof *block);
    ck_assert_ptr_nonnull(block);
    block->address = (struct sockaddr_in){.sin_family = AF_INET,
                                          .sin_port = htons((uint16_t)port),
                                          .sin_addr = {htonl(INADDR_LOOPBACK)}};
    block->info = (struct addrinfo){.ai_family = AF_INET,
                                    .ai_socktype = SOCK_STREAM,
                                    .ai_addrlen = sizeof block->address,
                                    .ai_addr = (struct sockaddr *)&block->address,
                                    .ai_next = next};
    return &block->info;
}

int getaddrinfo(const char *restrict node, const char *restrict service,
                const struct addrinfo *restrict hints, struct addrinfo **restrict list)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    if (node == NULL || strcmp(node, FAKE_NAME) != 0) {
        *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
        return real(node, service, hints, list);
    }
    *list = NULL;
    for (size_t i = fake_port_count; i > 0; i--)
        *list = fake_address(fake_ports[i - 1], *list);
    return 0;
}

/* A host that does not answer: a port whose queue is full, so that the kernel drops what comes. Closed by the exit. */
static inline int fake_port_unanswered(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(fd, 0), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    for (int i = 0; i < 4; i++) {
        int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        ck_assert_int_ge(client, 0);
        (void)connect(client, (struct sockaddr *)&address, sizeof address);
    }
    return ntohs(address.sin_port);
}

/* The name has these addresses from now on; 0: not that many. */
static inline void fake_resolve(int a, int b, int c)
{
    int all[] = {a, b, c};
    fake_port_count = 0;
    for (size_t i = 0; i < 3; i++)
        if (all[i] != 0)
            fake_ports[fake_port_count++] = all[i];
}

#endif
