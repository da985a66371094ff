/* web_asks.c: what the web worker asks stores, and their answers. See web_private.h. */
#include "workers/snapshot/web/web_private.h"

#include "common/pack.h"

#include <stdlib.h>

struct web_ask {
    struct web_ask *next;
    uint64_t token;
    const struct web_served *of;
    web_ask_fn fn;
    const void *ctx;
};

static bool ask_within(struct web_served *s, uint64_t ms, const char *verb, size_t count,
                       const struct slice *words, web_ask_fn fn, const void *ctx)
{
    struct web *web = s->web;
    struct web_ask *a = s->peer != NULL ? calloc(1, sizeof *a) : NULL;
    if (a == NULL)
        return false;
    *a = (struct web_ask){
        .next = web->asks, .token = ++web->tokens_given, .of = s, .fn = fn, .ctx = ctx};
    if (worker_ask(web->w, s->peer, a->token, ms, verb, count, words) != 0) {
        free(a);
        return false;
    }
    web->asks = a;
    return true;
}

bool web_ask(struct web_served *s, const char *verb, size_t count, const struct slice *words,
             web_ask_fn fn, void *ctx)
{
    return ask_within(s, WEB_ASK_MS, verb, count, words, fn, ctx);
}

bool web_ask_long(struct web_served *s, const char *verb, size_t count, const struct slice *words,
                  web_ask_fn fn, void *ctx)
{
    return ask_within(s, WEB_ANSWER_MS, verb, count, words, fn, ctx);
}

/* Takes it off the list, and answers it. */
static void ask_end(struct web *web, struct web_ask **at, enum control_status status,
                    struct slice body)
{
    struct web_ask *a = *at;
    (void)web;
    *at = a->next;
    if (a->fn != NULL)
        a->fn((void *)(uintptr_t)a->ctx, status, body);
    free(a);
}

void web_ask_forget(struct web *web, const void *ctx)
{
    for (struct web_ask *a = web->asks; a != NULL; a = a->next)
        if (a->ctx == ctx)
            a->fn = NULL;
}

bool web_asks_message(struct web *web, uint64_t type, struct unpack *u)
{
    struct message_said m;
    if (type != MESSAGE_SAID || !message_said_unpack(u, &m))
        return false;
    for (struct web_ask **at = &web->asks; *at != NULL; at = &(*at)->next)
        if ((*at)->token == m.token) {
            ask_end(web, at, (enum control_status)m.status, m.body);
            break;
        }
    return true;
}

/* Who is told may ask again: from the begin each time. */
void web_asks_down(struct web *web, const struct web_served *s)
{
    struct buffer body = BUFFER_EMPTY;
    pack_text(&body, "the store is away: its answer will not come");
    for (struct web_ask **at = &web->asks; *at != NULL;) {
        if ((*at)->of != s) {
            at = &(*at)->next;
            continue;
        }
        ask_end(web, at, CONTROL_TRYAGAIN, buffer_slice(&body));
        at = &web->asks;
    }
    buffer_fini(&body);
}

void web_asks_fini(struct web *web)
{
    while (web->asks != NULL) {
        struct web_ask *next = web->asks->next;
        free(web->asks);
        web->asks = next;
    }
}
