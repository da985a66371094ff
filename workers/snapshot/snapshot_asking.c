/* snapshot_asking.c: see snapshot_asking.h. */
#include "workers/snapshot/snapshot_asking.h"

#include "common/pack.h"

#include <stdlib.h>

struct snapshot_ask {
    struct snapshot_ask *next;
    uint64_t token;
    const struct worker_peer *store;
    snapshot_ask_fn fn;
    const void *ctx;
};

bool snapshot_ask_within(struct snapshot_asking *a, uint64_t ms, struct worker_peer *store,
                         const char *verb, size_t count, const struct slice *words,
                         snapshot_ask_fn fn, void *ctx)
{
    struct snapshot_ask *ask = store != NULL ? calloc(1, sizeof *ask) : NULL;
    if (ask == NULL)
        return false;
    *ask = (struct snapshot_ask){
        .next = a->first, .token = ++a->given, .store = store, .fn = fn, .ctx = ctx};
    if (worker_ask(a->w, store, ask->token, ms, verb, count, words) != 0) {
        free(ask);
        return false;
    }
    a->first = ask;
    return true;
}

bool snapshot_ask(struct snapshot_asking *a, struct worker_peer *store, const char *verb,
                  size_t count, const struct slice *words, snapshot_ask_fn fn, void *ctx)
{
    return snapshot_ask_within(a, SNAPSHOT_ASK_MS, store, verb, count, words, fn, ctx);
}

/* Takes it off the list, and answers it. */
static void ask_end(struct snapshot_ask **at, enum control_status status, struct slice body)
{
    struct snapshot_ask *ask = *at;
    *at = ask->next;
    if (ask->fn != NULL)
        ask->fn((void *)(uintptr_t)ask->ctx, status, body);
    free(ask);
}

void snapshot_ask_forget(struct snapshot_asking *a, const void *ctx)
{
    for (struct snapshot_ask *ask = a->first; ask != NULL; ask = ask->next)
        if (ask->ctx == ctx)
            ask->fn = NULL;
}

bool snapshot_asking_message(struct snapshot_asking *a, uint64_t type, struct unpack *u)
{
    struct message_said m;
    if (type != MESSAGE_SAID || !message_said_unpack(u, &m))
        return false;
    for (struct snapshot_ask **at = &a->first; *at != NULL; at = &(*at)->next)
        if ((*at)->token == m.token) {
            ask_end(at, (enum control_status)m.status, m.body);
            break;
        }
    return true;
}

/* Who is told may ask again: from the begin each time. */
void snapshot_asking_down(struct snapshot_asking *a, const struct worker_peer *store)
{
    struct buffer body = BUFFER_EMPTY;
    pack_text(&body, "the store is away: its answer will not come");
    for (struct snapshot_ask **at = &a->first; *at != NULL;) {
        if ((*at)->store != store) {
            at = &(*at)->next;
            continue;
        }
        ask_end(at, CONTROL_TRYAGAIN, buffer_slice(&body));
        at = &a->first;
    }
    buffer_fini(&body);
}

void snapshot_asking_fini(struct snapshot_asking *a)
{
    while (a->first != NULL) {
        struct snapshot_ask *next = a->first->next;
        free(a->first);
        a->first = next;
    }
}
