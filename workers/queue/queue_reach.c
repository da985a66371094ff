/* queue_reach.c: which workers of backbones are there. See queue_reach.h. */
#include "workers/queue/queue_reach.h"

#include "common/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define REACH_WORKERS_MAX (64u * QUEUE_REACH_SERVERS_MAX)

void queue_reach_fini(struct queue_reach *r)
{
    while (r->first != NULL) {
        struct queue_reach_backbone *b = r->first;
        r->first = b->next;
        free(b);
    }
}

static void reach_ask(struct queue_reach *r, struct queue_reach_backbone *b)
{
    char name[CONTRACT_NAME_MAX];
    if (b->asking || b->known == REACH_WORKERS_MAX)
        return;
    b->asking = true;
    b->known++; /* until the answer says that there is none */
    snprintf(name, sizeof name, "%s.%" PRIu64, b->path, b->known);
    worker_monitor(r->w, slice_of(name));
}

/* What is not in the settings has one server. */
static uint64_t reach_servers(const struct queue_reach *r, struct slice title)
{
    const char *name;
    for (size_t i = 0; (name = worker_setting_item(r->w, "backbones", i, "name")) != NULL; i++)
        if (slice_is(title, name)) {
            uint64_t servers = worker_setting_item_u64(r->w, "backbones", i, "servers");
            return servers >= 1 && servers <= QUEUE_REACH_SERVERS_MAX ? servers : 1;
        }
    return 1;
}

struct queue_reach_backbone *queue_reach_find(struct queue_reach *r, const char *title, size_t len)
{
    char path[sizeof r->first->path];
    int used = snprintf(path, sizeof path, "queue/%.*s/backbone", (int)len, title);
    if (len == 0 || memchr(title, '/', len) != NULL || used >= (int)sizeof path)
        return NULL;
    struct queue_reach_backbone *b = r->first;
    while (b != NULL && strcmp(b->path, path) != 0)
        b = b->next;
    if (b == NULL) {
        b = worker_must_alloc(r->w, sizeof *b);
        memcpy(b->path, path, sizeof path);
        b->servers = reach_servers(r, slice_make(title, len));
        b->next = r->first;
        r->first = b;
    }
    if (b->known == 0)
        reach_ask(r, b);
    return b;
}

static struct queue_reach_backbone *reach_of(struct queue_reach *r, const char *name,
                                             uint64_t *number)
{
    for (struct queue_reach_backbone *b = r->first; b != NULL; b = b->next) {
        size_t len = strlen(b->path);
        if (strncmp(name, b->path, len) == 0 && name[len] == '.' &&
            text_parse_u64(slice_of(name + len + 1), number) == 0 && *number > 0)
            return b;
    }
    return NULL;
}

struct queue_reach_backbone *queue_reach_up(struct queue_reach *r, const struct worker_peer *peer,
                                            uint64_t *number)
{
    struct queue_reach_backbone *b = reach_of(r, peer->name, number);
    if (b == NULL)
        return NULL;
    if (*number == b->known)
        b->asking = false;
    if (*number > b->known) /* somebody else has asked, or it was scaled up */
        b->known = *number < REACH_WORKERS_MAX ? *number : REACH_WORKERS_MAX;
    reach_ask(r, b);
    return b;
}

struct queue_reach_backbone *queue_reach_down(struct queue_reach *r, const struct worker_peer *peer,
                                              struct slice reason, uint64_t *number, bool *absent)
{
    struct queue_reach_backbone *b = reach_of(r, peer->name, number);
    *absent = false;
    if (b == NULL || !slice_is(reason, "unknown name"))
        return b;
    if (!b->asking || *number != b->known)
        return NULL;
    b->asking = false;
    b->known--;
    *absent = true;
    return b;
}

struct worker_peer *queue_reach_worker(struct queue_reach *r, const struct queue_reach_backbone *b,
                                       uint64_t server, uint64_t from, uint64_t *number)
{
    char name[CONTRACT_NAME_MAX];
    uint64_t round = (b->known + b->servers - 1) / b->servers;
    for (uint64_t i = 0; i < round; i++) {
        *number = server + 1 + (from + i) % round * b->servers;
        snprintf(name, sizeof name, "%s.%" PRIu64, b->path, *number);
        struct worker_peer *peer = worker_peer_find(r->w, name);
        if (peer != NULL)
            return peer;
    }
    return NULL;
}
