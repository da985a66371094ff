/* health_clients.c: see health_clients.h. */
#include "workers/health/health_clients.h"

#include "common/clock.h"

#include <stdlib.h>
#include <sys/socket.h>

/* From a connection's begin, or its last answer, to its next answer. */
#define HEALTH_CLIENT_MS 10000

/*
 * So long it keeps its place while there is a reserve: to say what it wants, and to read the answer. No longer: who are
 * closed may be at once there again, and all together be younger than that for ever.
 */
#define HEALTH_CLIENT_GRACE_MS 1000

/* Behind that many it goes without grace. The rest of the reserve is for those whom MHD has yet to close. */
#define HEALTH_CLIENTS_FULL (HEALTH_CLIENTS_MAX + HEALTH_CLIENTS_RESERVE / 2)

struct health_client {
    struct health_client *prev, *next;
    int fd;
    uint64_t turn;        /* MHD's, in which it came or got its answer */
    uint64_t since_ms;    /* clock_mono_ms */
    uint64_t answered_ms; /* when it got its answer to read; 0: it has none */
    bool asked;           /* it waits for the master */
    bool gone;            /* told to go; MHD closes it */
};

static void health_client_append(struct health_clients *clients, struct health_client *c)
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

static void health_client_unlink(struct health_clients *clients, struct health_client *c)
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
static void health_client_go(struct health_clients *clients, struct health_client *c)
{
    c->gone = true;
    clients->count--;
    shutdown(c->fd, SHUT_RDWR);
}

/* Not who has just come, or just got its answer: MHD takes many in before it reads the first. */
static bool health_client_may_go(const struct health_clients *clients,
                                 const struct health_client *c, uint64_t now_ms)
{
    uint64_t since = c->answered_ms != 0 ? c->answered_ms : c->since_ms;
    if (c->gone || c->asked)
        return false;
    return now_ms - since >= HEALTH_CLIENT_GRACE_MS ||
           (clients->count > HEALTH_CLIENTS_FULL && clients->turn - c->turn > 1);
}

static void health_clients_make_room(struct health_clients *clients)
{
    uint64_t now = clock_mono_ms();
    struct health_client *c = clients->first;
    for (; c != NULL && clients->count > HEALTH_CLIENTS_MAX; c = c->next)
        if (health_client_may_go(clients, c, now))
            health_client_go(clients, c);
}

static struct health_client *health_client_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

static int health_client_fd(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info != NULL ? info->connect_fd : -1;
}

void health_clients_notify(void *ctx, struct MHD_Connection *connection, void **place,
                           enum MHD_ConnectionNotificationCode how)
{
    struct health_clients *clients = ctx;
    struct health_client *c = *place;
    if (how == MHD_CONNECTION_NOTIFY_STARTED) {
        *place = c = calloc(1, sizeof *c);
        if (c == NULL) {
            shutdown(health_client_fd(connection), SHUT_RDWR);
            return;
        }
        c->fd = health_client_fd(connection);
        health_client_append(clients, c);
        clients->count++;
        health_clients_make_room(clients);
    } else if (c != NULL) {
        clients->closed = true;
        clients->count -= !c->gone;
        health_client_unlink(clients, c);
        free(c);
        *place = NULL;
    }
}

/* Its time goes on: the deadline is the answer's. */
void health_client_asked(struct MHD_Connection *connection)
{
    struct health_client *c = health_client_of(connection);
    if (c != NULL)
        c->asked = true;
}

void health_client_reads(const struct health_clients *clients, struct MHD_Connection *connection)
{
    struct health_client *c = health_client_of(connection);
    if (c == NULL)
        return;
    c->asked = false;
    c->turn = clients->turn;
    c->answered_ms = clock_mono_ms();
}

void health_client_answered(struct health_clients *clients, struct MHD_Connection *connection)
{
    struct health_client *c = health_client_of(connection);
    if (c == NULL)
        return;
    c->asked = false;
    c->answered_ms = 0;
    health_client_unlink(clients, c);
    health_client_append(clients, c);
}

uint64_t health_clients_expire(struct health_clients *clients)
{
    uint64_t now = clock_mono_ms();
    health_clients_make_room(clients);
    struct health_client *c = clients->first;
    for (; c != NULL && now - c->since_ms >= HEALTH_CLIENT_MS; c = c->next)
        if (!c->gone)
            health_client_go(clients, c);
    bool closed = clients->closed;
    clients->closed = false;
    if (closed)
        return 0;
    if (c == NULL)
        return UINT64_MAX;
    return clients->count > HEALTH_CLIENTS_MAX ? 100 : c->since_ms + HEALTH_CLIENT_MS - now;
}
