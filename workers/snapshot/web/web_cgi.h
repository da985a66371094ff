/*
 * web_cgi.h: the head of what a program of CGI says (RFC 3875, 6): its status and type; then comes the body.
 *
 * Runs in the web worker. Pure. The program is git's http-backend, so its types are known: no other is shown to
 * anybody.
 */
#ifndef WORKERS_SNAPSHOT_WEB_CGI_H
#define WORKERS_SNAPSHOT_WEB_CGI_H

#include "common/slice.h"

/* A longer head is none. */
#define WEB_CGI_HEAD_MAX 8192u

enum web_cgi {
    WEB_CGI_MORE,  /* it is not whole yet */
    WEB_CGI_WRONG, /* it never will be */
    WEB_CGI_READ,
};

struct web_cgi_head {
    unsigned status;  /* of HTTP, 200 to 599 */
    const char *type; /* a constant; application/octet-stream for what is not known */
    size_t len;       /* with the empty line behind it */
};

/* `out` only with WEB_CGI_READ. Lines end with \r\n or \n. */
enum web_cgi web_cgi_read(struct slice bytes, struct web_cgi_head *out);

#endif
