/* cache_client_address.c: where a client comes from. See cache_client.h. */
#include "workers/cache/cache_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

void cache_client_address(const struct cache_client *c, bool local,
                          char text[CACHE_CLIENT_ADDRESS_SIZE])
{
    struct sockaddr_storage name = {.ss_family = AF_UNSPEC};
    struct sockaddr *any = (struct sockaddr *)&name;
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&name;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&name;
    socklen_t len = sizeof name;
    char host[INET6_ADDRSTRLEN] = "?";
    if (c->path != NULL) {
        snprintf(text, CACHE_CLIENT_ADDRESS_SIZE, "%s:0", c->path);
        return;
    }
    if ((local ? getsockname(c->fd, any, &len) : getpeername(c->fd, any, &len)) != 0)
        name.ss_family = AF_UNSPEC;
    if (name.ss_family == AF_INET6) {
        inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
        snprintf(text, CACHE_CLIENT_ADDRESS_SIZE, "[%s]:%d", host, ntohs(v6->sin6_port));
        return;
    }
    if (name.ss_family == AF_INET)
        inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
    snprintf(text, CACHE_CLIENT_ADDRESS_SIZE, "%s:%d", host,
             name.ss_family == AF_INET ? ntohs(v4->sin_port) : 0);
}
