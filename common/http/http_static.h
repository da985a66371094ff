/*
 * http_static.h: which file of a folder is meant by a path of HTTP.
 *
 * Runs in workers that answer over HTTP. Opens files, which may wait for the disk. Nothing above the folder is ever
 * opened, also not by links (openat2, RESOLVE_BENEATH), nor what begins with a dot anywhere in the path, nor what is
 * no regular file.
 */
#ifndef COMMON_HTTP_STATIC_H
#define COMMON_HTTP_STATIC_H

#include <stdint.h>

struct http_static {
    int fd; /* open for reading, the caller's */
    uint64_t size;
    const char *type; /* Content-Type, by the name's ending; a constant */
};

/* Content-Type by a name's ending; application/octet-stream for an unknown one. A constant. */
const char *http_static_type(const char *path);

/*
 * Opens what `path` ("/a/b.css", decoded) means in `folder`; a path that ends in a slash means index.html there. 0;
 * -ENOENT: there is none such, or it is not for anybody; another negative errno, as -EMFILE.
 */
int http_static_open(const char *folder, const char *path, struct http_static *out);

#endif
