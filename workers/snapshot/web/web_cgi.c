/* web_cgi.c: see web_cgi.h. */
#include "workers/snapshot/web/web_cgi.h"

#include <strings.h>

static const char *const cgi_types[] = {
    "application/x-git-upload-pack-advertisement",
    "application/x-git-upload-pack-result",
    "text/plain",
};

static const char *cgi_type(struct slice value)
{
    for (size_t i = 0; i < sizeof cgi_types / sizeof cgi_types[0]; i++)
        if (slice_is(value, cgi_types[i]))
            return cgi_types[i];
    return "application/octet-stream";
}

/* Three digits, and words for people behind them. */
static bool cgi_status(struct slice value, unsigned *status)
{
    if (value.len < 3 || (value.len > 3 && value.ptr[3] != ' '))
        return false;
    *status = 0;
    for (size_t i = 0; i < 3; i++) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9')
            return false;
        *status = *status * 10 + (unsigned)(value.ptr[i] - '0');
    }
    return *status >= 200 && *status <= 599;
}

static bool cgi_is_name(struct slice name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.ptr[i] <= ' ' || name.ptr[i] >= 127)
            return false;
    return name.len > 0;
}

static bool cgi_names(struct slice name, const char *is)
{
    return name.len == strlen(is) && strncasecmp(name.ptr, is, name.len) == 0;
}

static bool cgi_line(struct slice line, struct web_cgi_head *h)
{
    const char *colon = memchr(line.ptr, ':', line.len);
    size_t at = colon != NULL ? (size_t)(colon - line.ptr) : line.len;
    struct slice name = slice_make(line.ptr, at);
    if (colon == NULL || !cgi_is_name(name) || memchr(line.ptr, '\0', line.len) != NULL)
        return false;
    for (at++; at < line.len && line.ptr[at] == ' '; at++)
        ;
    struct slice value = slice_make(line.ptr + at, line.len - at);
    if (cgi_names(name, "Status"))
        return cgi_status(value, &h->status);
    if (cgi_names(name, "Content-Type"))
        h->type = cgi_type(value);
    return true;
}

enum web_cgi web_cgi_read(struct slice bytes, struct web_cgi_head *out)
{
    struct web_cgi_head h = {.status = 200, .type = cgi_type(slice_of(""))};
    size_t most = bytes.len < WEB_CGI_HEAD_MAX ? bytes.len : WEB_CGI_HEAD_MAX;
    const char *end;
    while (h.len < most && (end = memchr(bytes.ptr + h.len, '\n', most - h.len)) != NULL) {
        struct slice line = slice_make(bytes.ptr + h.len, (size_t)(end - (bytes.ptr + h.len)));
        h.len += line.len + 1;
        if (line.len > 0 && line.ptr[line.len - 1] == '\r')
            line.len--;
        if (line.len == 0) {
            *out = h;
            return WEB_CGI_READ;
        }
        if (!cgi_line(line, &h))
            return WEB_CGI_WRONG;
    }
    return bytes.len < WEB_CGI_HEAD_MAX ? WEB_CGI_MORE : WEB_CGI_WRONG;
}
