/* http_guard.c: see http_guard.h. */
#include "common/http/http_guard.h"

#include <arpa/inet.h>
#include <strings.h>

bool http_guard_token(const char *authorization, struct slice token)
{
    static const char scheme[] = "Bearer ";
    if (authorization == NULL || strncasecmp(authorization, scheme, sizeof scheme - 1) != 0)
        return false;
    const char *given = authorization + sizeof scheme - 1;
    given += strspn(given, " ");
    size_t len = strlen(given);
    unsigned differs = len != token.len || len == 0;
    for (size_t i = 0; i < len; i++) /* beyond the token's end it is compared with its begin */
        differs |= (unsigned)(unsigned char)given[i] ^
                   (token.len > 0 ? (unsigned char)token.ptr[i % token.len] : 0U);
    return differs == 0;
}

static bool is_port(const char *text)
{
    return text[0] == '\0' ||
           (text[0] == ':' && text[1] != '\0' && text[1 + strspn(text + 1, "0123456789")] == '\0');
}

bool http_guard_host_is_local(const char *host)
{
    static const char *const names[] = {"localhost", "[::1]"};
    char number[INET_ADDRSTRLEN];
    struct in_addr address;
    for (size_t i = 0; host != NULL && i < sizeof names / sizeof names[0]; i++) {
        size_t len = strlen(names[i]);
        if (strncasecmp(host, names[i], len) == 0 && is_port(host + len))
            return true;
    }
    size_t len = host != NULL ? strcspn(host, ":") : 0;
    return len > 0 && is_port(host + len) &&
           slice_copy(slice_make(host, len), number, sizeof number) &&
           inet_pton(AF_INET, number, &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

bool http_guard_origin(const char *origin, const char *host, const char *cors)
{
    if (origin == NULL || strcmp(cors, "*") == 0 || (cors[0] != '\0' && strcmp(origin, cors) == 0))
        return true;
    const char *name = strstr(origin, "://");
    return host != NULL && name != NULL && strcasecmp(name + 3, host) == 0;
}

bool http_guard_type(const char *content_type, const char *type)
{
    size_t len = strlen(type);
    if (content_type == NULL || strncasecmp(content_type, type, len) != 0)
        return false;
    content_type += len;
    content_type += strspn(content_type, " \t");
    return content_type[0] == '\0' || content_type[0] == ';';
}
