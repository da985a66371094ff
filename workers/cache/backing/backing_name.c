/* backing_name.c: see backing_name.h. */
#include "workers/cache/backing/backing_name.h"

#include "common/http/s3_sign.h"

#include <stdio.h>

static bool backing_is_plain(enum backing_kind kind, char c, bool first)
{
    if (c == '.' || c == '/')
        return !first && (c == '.' || kind == BACKING_S3);
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '~' || c == ':';
}

/* Its length, or 0: it does not fit into `max`. */
static size_t backing_encode(enum backing_kind kind, struct slice key, char *to, size_t max)
{
    size_t len = 0;
    bool first = true;
    for (size_t i = 0; i < key.len; i++) {
        char c = key.ptr[i];
        bool plain = backing_is_plain(kind, c, first);
        if (len + (plain ? 1 : 3) > max)
            return 0;
        if (plain)
            to[len++] = c;
        else
            len += (size_t)snprintf(to + len, 4, "%%%02X", (unsigned char)c);
        first = plain && c == '/';
    }
    to[len] = '\0';
    return len;
}

bool backing_name(enum backing_kind kind, struct slice key, char name[BACKING_NAME_SIZE])
{
    char hex[S3_SIGN_HASH_SIZE];
    bool file = kind == BACKING_FILE;
    if (s3_sign_hash(key, hex) != 0)
        return false;
    size_t before = file ? (size_t)snprintf(name, 4, "%.2s/", hex) : 0;
    if (backing_encode(kind, key, name + before,
                       file ? BACKING_NAME_FILE_MAX : BACKING_NAME_S3_MAX) == 0)
        snprintf(name + before, S3_SIGN_HASH_SIZE + 2, "%%-%s", hex);
    return true;
}
