/*
 * gate.c: the gate: a snapshot's versions by stacked streams, and its changes, to those who speak no HTTP. See
 * gate_private.h.
 *
 * It has no repository: the store's worker tells it what there is, and does what it is asked. A process of its own,
 * because who reaches a nanomsg socket can abort whoever has it (FACTS.md 1.4).
 */
#include "workers/snapshot/gate/gate_private.h"

#include <stdio.h>
#include <stdlib.h>

static int gate_read_resources(struct gate *g)
{
    while (worker_setting_item(g->w, "resources", g->count, "name") != NULL)
        g->count++;
    g->list = calloc(g->count + 1, sizeof *g->list);
    if (g->list == NULL)
        worker_exit_for(g->w, ENOMEM, NULL, "its resources");
    for (size_t i = 0; i < g->count; i++) {
        const char *header = worker_setting_item(g->w, "resources", i, "header");
        g->list[i].gate = g;
        g->list[i].name = worker_setting_item(g->w, "resources", i, "name");
        g->list[i].header = header != NULL && header[0] != '\0' ? header : g->list[i].name;
    }
    return 0;
}

static int gate_init(struct worker *w, void *state)
{
    struct gate *g = state;
    const char *listen = worker_setting(w, "snapshot.listen");
    g->w = g->asking.w = w;
    g->rep = g->pub = -1;
    g->title = worker_setting_text(w, "snapshot.name");
    g->store = worker_setting_text(w, "gate.store");
    int code = gate_read_resources(g);
    if (code == 0 && listen != NULL && listen[0] != '\0')
        code = gate_door_open(g, listen);
    if (code == 0 && worker_setting_u64(w, "snapshot.nanomsg") != 0)
        code = gate_nanomsg_open(g);
    if (code == 0 && worker_setting(w, "redis.url") != NULL)
        code = gate_notify_open(g);
    if (code == 0)
        worker_monitor(w, slice_of(g->store));
    return code;
}

static void gate_on_up(struct worker *w, void *state, struct worker_peer *peer)
{
    struct gate *g = state;
    (void)w;
    if (strcmp(peer->name, g->store) != 0)
        return;
    g->peer = peer;
    gate_follow_up(g);
}

static void gate_on_down(struct worker *w, void *state, struct worker_peer *peer,
                         struct slice reason)
{
    struct gate *g = state;
    (void)w;
    (void)reason;
    if (g->peer != peer)
        return;
    g->peer = NULL;
    snapshot_asking_down(&g->asking, peer);
}

static bool gate_on_message(struct worker *w, void *state, struct worker_peer *from, uint64_t type,
                            struct unpack *u)
{
    struct gate *g = state;
    (void)w;
    if (type == MESSAGE_SAID)
        return snapshot_asking_message(&g->asking, type, u);
    return from == g->peer && gate_follow_message(g, type, u);
}

static void gate_on_tick(struct worker *w, void *state)
{
    struct gate *g = state;
    gate_door_tick(g);
    gate_notify_tick(g);
    bool follows = g->peer != NULL && g->knows && !g->listing; /* from now on each change is told */
    worker_doing(w, "%s, %zu asking", follows ? "follows its store" : "waits for its store",
                 g->client_count + (g->work != NULL));
}

static void gate_fini(struct worker *w, void *state)
{
    struct gate *g = state;
    (void)w;
    gate_door_close(g);
    gate_nanomsg_close(g);
    gate_notify_close(g);
    snapshot_asking_fini(&g->asking);
    free(g->list);
    g->list = NULL;
    g->count = 0;
}

const struct worker_ops worker_ops = {
    .type = "gate",
    .mailbox = &worker_mailbox,
    .state_size = sizeof(struct gate),
    .init = gate_init,
    .on_up = gate_on_up,
    .on_down = gate_on_down,
    .on_message = gate_on_message,
    .on_tick = gate_on_tick,
    .fini = gate_fini,
};
