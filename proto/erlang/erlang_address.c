/* erlang_address.c: see erlang_address.h. */
#include "proto/erlang/erlang_address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static bool address_part(const char *from, const char *to, const char *more)
{
    for (const char *at = from; at < to; at++)
        if (!isalnum((unsigned char)*at) && strchr(more, *at) == NULL)
            return false;
    return from < to;
}

bool erlang_node_is_name(const char *text)
{
    const char *at = strchr(text, '@'), *end = text + strlen(text);
    return at != NULL && end - text <= ERLANG_NODE_MAX && address_part(text, at, "_-") &&
           address_part(at + 1, end, "_-.");
}

/* One to five digits. */
static bool address_port(const char *text, in_port_t *port)
{
    size_t len = strlen(text);
    if (len == 0 || len > 5 || !address_part(text, text + len, ""))
        return false;
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    *port = htons((uint16_t)number);
    return *end == '\0' && number >= 1 && number <= 65535;
}

bool erlang_address_parse(const char *text, struct sockaddr_in *address)
{
    char host[INET_ADDRSTRLEN];
    const char *colon = strchr(text, ':');
    size_t len = colon != NULL ? (size_t)(colon - text) : strlen(text);
    *address = (struct sockaddr_in){.sin_family = AF_INET};
    if (len >= sizeof host || (colon != NULL && !address_port(colon + 1, &address->sin_port)))
        return false;
    memcpy(host, text, len);
    host[len] = '\0';
    return inet_pton(AF_INET, host, &address->sin_addr) == 1;
}

bool erlang_address_is_loopback(const struct sockaddr_in *address)
{
    return ntohl(address->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}
