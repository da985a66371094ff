/* peer_address.c: see peer_address.h. */
#include "common/peer_address.h"

#include "common/text.h"
#include "common/words.h"

#include <arpa/inet.h>
#include <errno.h>

/* The C library's would depend on the locale. */
static bool peer_is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
}

static int peer_parse_path(struct slice path, struct peer_address *a)
{
    if (path.len < 2 || path.ptr[0] != '/' || !slice_copy(path, a->path, sizeof a->path))
        return -EINVAL;
    for (size_t i = 0; i < path.len; i++)
        if ((unsigned char)path.ptr[i] < ' ' || path.ptr[i] == 0x7f)
            return -EINVAL;
    return 0;
}

static int peer_parse_v6(struct slice host, struct peer_address *a)
{
    unsigned char address[sizeof(struct in6_addr)];
    if (!slice_copy(host, a->host, sizeof a->host))
        return -EINVAL;
    return inet_pton(AF_INET6, a->host, address) == 1 ? 0 : -EINVAL;
}

/* An IPv4 address is such a name as well. */
static int peer_parse_name(struct slice host, struct peer_address *a)
{
    if (host.len == 0 || host.ptr[0] == '-' || !slice_copy(host, a->host, sizeof a->host))
        return -EINVAL;
    for (size_t i = 0; i < host.len; i++)
        if (!peer_is_name(host.ptr[i]))
            return -EINVAL;
    return 0;
}

int peer_address_parse(struct slice text, struct peer_address *a)
{
    static const char local[] = "unix:";
    const size_t skip = sizeof local - 1;
    *a = (struct peer_address){.port = 0};
    if (text.len > skip && memcmp(text.ptr, local, skip) == 0)
        return peer_parse_path(slice_make(text.ptr + skip, text.len - skip), a);
    const char *colon = text.len > 0 ? memrchr(text.ptr, ':', text.len) : NULL;
    if (colon == NULL || text.len > PEER_ADDRESS_MAX)
        return -EINVAL;
    struct slice host = slice_make(text.ptr, (size_t)(colon - text.ptr));
    struct slice digits = slice_make(colon + 1, text.len - host.len - 1);
    uint64_t port;
    if (text_parse_u64(digits, &port) != 0 || port == 0 || port > 65535)
        return -EINVAL;
    a->port = (int)port;
    bool v6 = host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';
    return v6 ? peer_parse_v6(slice_make(host.ptr + 1, host.len - 2), a) : peer_parse_name(host, a);
}

static bool peer_is_local(const char *address)
{
    return strncmp(address, "unix:", 5) == 0;
}

const char *peer_address_choose(const struct buffer *words)
{
    const char *first = NULL;
    for (const char *word = NULL; (word = words_next(words, 0, word)) != NULL;)
        if (first == NULL || (peer_is_local(first) && !peer_is_local(word)))
            first = word;
    return first;
}
