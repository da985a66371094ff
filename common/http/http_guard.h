/*
 * http_guard.h: who may ask: tokens, and pages of elsewhere that a browser lets ask us.
 *
 * Runs in workers that answer over HTTP. Pure. A browser sends what a foreign page wants sent, also to a server
 * that only this machine reaches: its Origin tells, and so does Host when the page's own name has been led here
 * (DNS rebinding).
 */
#ifndef COMMON_HTTP_GUARD_H
#define COMMON_HTTP_GUARD_H

#include "common/slice.h"

/*
 * Whether the header Authorization (NULL: none) is `Bearer TOKEN`. What it takes depends on what was sent, not on how
 * much of it is right. An empty token fits nobody.
 */
bool http_guard_token(const char *authorization, struct slice token);

/* Whether the header Host (NULL: none) is this machine: localhost, 127.0.0.0/8, [::1], with any port or none. */
bool http_guard_host_is_local(const char *host);

/*
 * Whether a page of the header Origin (NULL: no page asks) may: it is of this server (`host`, the header Host), or
 * `cors` names it, or is "*". "null" (a sandbox, a file) never is ours.
 */
bool http_guard_origin(const char *origin, const char *host, const char *cors);

/* Whether the header Content-Type (NULL: none) is `type`, parameters aside. */
bool http_guard_type(const char *content_type, const char *type);

#endif
