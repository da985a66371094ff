/* cache_guest.c: see cache_guest.h. */
#include "workers/cache/cache_guest.h"

#include "workers/cache/cache_client.h"
#include "workers/cache/cache_member.h"
#include "workers/cache/cache_node.h"
#include "workers/cache/command/command_transaction.h"

#include <stdlib.h>

#define GUEST_LANES 256

struct cache_guest {
    struct cache_client client;      /* the first */
    struct cache_guest *next, *prev; /* of its connection's, or of those that have none any more */
    struct cache_guest *behind;      /* in the same slot of `lanes` */
    struct command_queued *command;  /* as it came; NULL: it has been begun */
    size_t owes;                     /* bytes of its answer */
    bool ran;                        /* its answer waits for the end of its turn */
    bool stalled;                    /* it may run when the other node has read */
};

/* Of a connection. */
struct cache_guests {
    struct cache_guest *first;
    struct cache_guest *lanes[GUEST_LANES]; /* by lane, those that have not run, in their order */
    size_t count, owed, stalled;
};

/* ---- lists ---- */

static void guest_link(struct cache_guest **first, struct cache_guest *g)
{
    g->prev = NULL;
    g->next = *first;
    if (g->next != NULL)
        g->next->prev = g;
    *first = g;
}

static void guest_unlink(struct cache_guest **first, struct cache_guest *g)
{
    *(g->prev != NULL ? &g->prev->next : first) = g->next;
    if (g->next != NULL)
        g->next->prev = g->prev;
}

/* The first of a lane; NULL: it has none. */
static struct cache_guest *guest_of_lane(const struct cache_guests *all, uint64_t lane)
{
    struct cache_guest *g = lane != 0 ? all->lanes[lane % GUEST_LANES] : NULL;
    while (g != NULL && g->client.lane != lane)
        g = g->behind;
    return g;
}

static void guest_enter_lane(struct cache_guests *all, struct cache_guest *g)
{
    struct cache_guest **at = &all->lanes[g->client.lane % GUEST_LANES];
    while (g->client.lane != 0 && *at != NULL)
        at = &(*at)->behind;
    if (g->client.lane != 0)
        *at = g;
}

static void guest_leave_lane(struct cache_guests *all, struct cache_guest *g)
{
    struct cache_guest **at = &all->lanes[g->client.lane % GUEST_LANES];
    while (g->client.lane != 0 && *at != g)
        at = &(*at)->behind;
    if (g->client.lane != 0)
        *at = g->behind;
}

/* ---- one ---- */

/* NULL: there are too many, or memory is short. It is the last of its lane. */
static struct cache_guest *guest_new(struct cache_client *link)
{
    if (link->guests == NULL)
        link->guests = calloc(1, sizeof *link->guests);
    struct cache_guests *all = link->guests;
    bool may = all != NULL && all->count < CACHE_GUESTS_MAX;
    struct cache_guest *g = may ? calloc(1, sizeof *g) : NULL;
    if (g == NULL)
        return NULL;
    struct cache_client *c = &g->client;
    c->node = link->node;
    c->link = link;
    c->guest = c->linked = true;
    c->trusted = link->trusted;
    c->reply = (struct resp_reply){.version = link->reply.version, .max = link->reply.max};
    c->last = link->last;
    c->from = link->from;
    c->again = link->again;
    c->number = link->number;
    c->lane = link->lane;
    c->until_ms = link->until_ms;
    c->late = link->late;
    all->count++;
    guest_link(&all->first, g);
    guest_enter_lane(all, g);
    return g;
}

static void guest_forget_command(struct cache_guest *g)
{
    if (g->command != NULL)
        g->client.node->waiting -= g->command->bytes;
    free(g->command);
    g->command = NULL;
}

/* It is in no list of guests any more. */
static void guest_free(struct cache_guest *g)
{
    struct cache_client *c = &g->client;
    cache_turn_remove(c);
    c->node->commands->forget(c);
    cache_turn_return(&c->node->turn, &c->reply.out);
    free(c->name);
    free(c->lib_name);
    free(c->lib_ver);
    guest_forget_command(g);
    free(g);
}

/* ---- running ---- */

static bool guest_may_run(const struct cache_client *link)
{
    return cache_client_unsent(link) + link->guests->owed <= CACHE_CLIENT_LINK_MAX;
}

static void guest_ran(struct cache_guest *g)
{
    struct cache_client *c = &g->client;
    struct cache_guests *all = c->link->guests;
    g->ran = true;
    g->owes = c->reply.out.len;
    all->owed += g->owes;
    guest_leave_lane(all, g);
    cache_turn_ready(c);
}

/* From the beginning, or from where it waited. */
static void guest_run(struct cache_guest *g)
{
    struct cache_client *c = &g->client;
    const struct cache_node *n = c->node;
    struct command_queued *q = g->command;
    cache_turn_begin(&c->node->turn);
    cache_turn_lend(&c->node->turn, &c->reply.out);
    cache_member_now(n->member);
    if (q != NULL)
        n->commands->execute(c, q->words, q->count);
    else
        n->commands->resume(c);
    guest_forget_command(g);
    if (c->parked > 0)
        cache_turn_return(&c->node->turn, &c->reply.out);
    else
        guest_ran(g);
}

/* It, and those of its lane, as far as they need not wait. */
static void guest_go(struct cache_guest *g)
{
    struct cache_client *link = g->client.link;
    uint64_t lane = g->client.lane;
    for (; g != NULL; g = guest_of_lane(link->guests, lane)) {
        bool may = guest_may_run(link);
        link->guests->stalled += (size_t)!may - (size_t)g->stalled;
        g->stalled = !may;
        if (!may)
            return;
        guest_run(g);
        if (!g->ran)
            return;
    }
}

void cache_guest_go_on(struct cache_client *c)
{
    struct cache_guest *g = (struct cache_guest *)c;
    if (!g->ran && c->parked == 0)
        guest_go(g);
}

void cache_guest_look(struct cache_client *c)
{
    struct cache_guest *g = cache_guest_stalls(c) ? c->guests->first : NULL;
    for (; g != NULL && guest_may_run(c); g = g->next)
        if (g->stalled)
            guest_go(g);
}

/* ---- coming ---- */

bool cache_guest_is_behind(const struct cache_client *c)
{
    return c->guests != NULL && guest_of_lane(c->guests, c->lane) != NULL;
}

bool cache_guest_queue(struct cache_client *c, const struct slice *words, size_t count)
{
    struct command_queued *q = command_queued_new(NULL, words, count);
    bool may = q != NULL && cache_node_may_wait(c->node, q->bytes);
    struct cache_guest *g = may ? guest_new(c) : NULL;
    if (g == NULL) {
        free(q);
        return false;
    }
    c->node->waiting += q->bytes;
    g->command = q;
    return true;
}

struct cache_client *cache_guest_begin(struct cache_client *c)
{
    struct cache_guest *g = guest_new(c);
    return g != NULL ? &g->client : NULL;
}

/* ---- what there is ---- */

bool cache_guest_stalls(const struct cache_client *c)
{
    return c->guests != NULL && c->guests->stalled > 0;
}

size_t cache_guest_count(const struct cache_client *c)
{
    return c->guests != NULL ? c->guests->count : 0;
}

size_t cache_guest_owed(const struct cache_client *c)
{
    return c->guests != NULL ? c->guests->owed : 0;
}

/* ---- the end ---- */

/* Each command has one answer, or the connection none any more: without memory for this one it ends. */
static void guest_tell(struct cache_client *c, struct cache_client *link)
{
    if (c->gone || !buffer_ok(&c->reply.out)) {
        cache_turn_end(link, true);
        return;
    }
    cache_turn_lend(&c->node->turn, &link->reply.out);
    buffer_append_slice(&link->reply.out, buffer_slice(&c->reply.out));
    cache_turn_ready(link);
    if (link->in.len > 0)
        cache_turn_more(link); /* it may have waited for that */
}

void cache_guest_write(struct cache_client *c)
{
    struct cache_guest *g = (struct cache_guest *)c;
    struct cache_client *link = c->link;
    if (link != NULL) {
        link->guests->owed -= g->owes;
        link->guests->count--;
        guest_unlink(&link->guests->first, g);
        guest_tell(c, link);
    } else {
        guest_unlink(&c->node->orphans, g);
    }
    guest_free(g);
}

void cache_guest_forget(struct cache_client *c)
{
    struct cache_guests *all = c->guests;
    for (struct cache_guest *g; all != NULL && (g = all->first) != NULL;) {
        guest_unlink(&all->first, g);
        g->client.link = NULL;
        if (g->ran)
            guest_link(&c->node->orphans, g);
        else
            guest_free(g);
    }
    free(all);
    c->guests = NULL;
}

void cache_guest_end_all(struct cache_node *n)
{
    for (struct cache_guest *g; (g = n->orphans) != NULL;) {
        guest_unlink(&n->orphans, g);
        guest_free(g);
    }
}
