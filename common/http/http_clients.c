/* http_clients.c: see http_clients.h. */
#include "common/http/http_clients.h"

#include "common/clock.h"

#include <stdlib.h>
#include <sys/socket.h>

/* From a connection's begin, or its last answer, to its next question; and to read an answer. */
#define HTTP_CLIENT_MS 10000

/*
 * So long it keeps its place while there is a reserve: to say what it wants, and to read the answer. No longer: who are
 * closed may be at once there again, and all together be younger than that for ever.
 */
#define HTTP_CLIENT_GRACE_MS 1000

/* Behind that many it goes without grace. The rest of the reserve is for those whom MHD has yet to close. */
#define HTTP_CLIENTS_FULL (HTTP_CLIENTS_MAX + HTTP_CLIENTS_RESERVE / 2)

struct http_peer {
    struct http_peer *prev, *next;
    int fd;
    uint64_t turn;        /* MHD's, in which it came or got its answer */
    uint64_t since_ms;    /* clock_mono_ms */
    uint64_t answered_ms; /* when it got its answer to read; 0: it has none */
    bool asked;           /* it waits for its answer */
    bool gone;            /* told to go; MHD closes it */
    bool streams;         /* in no list, and not counted */
};

static void http_peer_append(struct http_clients *clients, struct http_peer *c)
{
    c->since_ms = clock_mono_ms();
    c->turn = clients->turn;
    c->next = NULL;
    c->prev = clients->last;
    if (clients->last != NULL)
        clients->last->next = c;
    else
        clients->first = c;
    clients->last = c;
}

static void http_peer_unlink(struct http_clients *clients, struct http_peer *c)
{
    if (c->prev != NULL)
        c->prev->next = c->next;
    else
        clients->first = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    else
        clients->last = c->prev;
}

/* MHD sees the end of it as the client's own. */
static void http_peer_go(struct http_clients *clients, struct http_peer *c)
{
    c->gone = true;
    clients->count--;
    shutdown(c->fd, SHUT_RDWR);
}

/* Not who has just come, or just got its answer: MHD takes many in before it reads the first. */
static bool http_peer_may_go(const struct http_clients *clients, const struct http_peer *c,
                             uint64_t now_ms)
{
    uint64_t since = c->answered_ms != 0 ? c->answered_ms : c->since_ms;
    if (c->gone || c->asked)
        return false;
    return now_ms - since >= HTTP_CLIENT_GRACE_MS ||
           (clients->count > HTTP_CLIENTS_FULL && clients->turn - c->turn > 1);
}

static void http_clients_make_room(struct http_clients *clients)
{
    uint64_t now = clock_mono_ms();
    struct http_peer *c = clients->first;
    for (; c != NULL && clients->count > HTTP_CLIENTS_MAX; c = c->next)
        if (http_peer_may_go(clients, c, now))
            http_peer_go(clients, c);
}

static struct http_peer *http_peer_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

static int http_peer_fd(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info != NULL ? info->connect_fd : -1;
}

void http_clients_notify(void *ctx, struct MHD_Connection *connection, void **place,
                         enum MHD_ConnectionNotificationCode how)
{
    struct http_clients *clients = ctx;
    struct http_peer *c = *place;
    if (how == MHD_CONNECTION_NOTIFY_STARTED) {
        *place = c = calloc(1, sizeof *c);
        if (c == NULL) {
            shutdown(http_peer_fd(connection), SHUT_RDWR);
            return;
        }
        c->fd = http_peer_fd(connection);
        http_peer_append(clients, c);
        clients->count++;
        http_clients_make_room(clients);
    } else if (c != NULL) {
        clients->closed = true;
        if (!c->streams) {
            clients->count -= !c->gone;
            http_peer_unlink(clients, c);
        }
        free(c);
        *place = NULL;
    }
}

/* Its time goes on: the deadline is the answer's. */
void http_peer_asked(struct MHD_Connection *connection)
{
    struct http_peer *c = http_peer_of(connection);
    if (c != NULL)
        c->asked = true;
}

void http_peer_reads(const struct http_clients *clients, struct MHD_Connection *connection)
{
    struct http_peer *c = http_peer_of(connection);
    if (c == NULL)
        return;
    c->asked = false;
    c->turn = clients->turn;
    c->answered_ms = clock_mono_ms();
}

void http_peer_answered(struct http_clients *clients, struct MHD_Connection *connection)
{
    struct http_peer *c = http_peer_of(connection);
    if (c == NULL)
        return;
    c->asked = false;
    c->answered_ms = 0;
    if (!c->streams)
        http_peer_unlink(clients, c);
    else if (!c->gone)
        clients->count++;
    c->streams = false;
    http_peer_append(clients, c);
}

void http_peer_streams(struct http_clients *clients, struct MHD_Connection *connection)
{
    struct http_peer *c = http_peer_of(connection);
    if (c == NULL || c->streams)
        return;
    c->streams = true;
    clients->count -= !c->gone;
    http_peer_unlink(clients, c);
}

uint64_t http_clients_expire(struct http_clients *clients)
{
    uint64_t now = clock_mono_ms();
    http_clients_make_room(clients);
    uint64_t due = UINT64_MAX;
    for (struct http_peer *c = clients->first; c != NULL; c = c->next) {
        /* Who waits for an answer has the server's own time for that; who reads it, as long again. */
        uint64_t from = c->answered_ms != 0 ? c->answered_ms : c->since_ms;
        uint64_t rest = now - from >= HTTP_CLIENT_MS ? 0 : from + HTTP_CLIENT_MS - now;
        if (c->gone || c->asked)
            continue;
        if (rest == 0)
            http_peer_go(clients, c);
        else if (rest < due)
            due = rest;
        if (now - c->since_ms < HTTP_CLIENT_MS)
            break; /* and so are all behind it */
    }
    bool closed = clients->closed;
    clients->closed = false;
    if (closed)
        return 0;
    return clients->count > HTTP_CLIENTS_MAX && due > 100 ? 100 : due;
}
