/* ctl_cache_store.c: the verbs `cache dump` and `cache wait`. See ctl_cache.h. */
#include "common/clock.h"
#include "common/text.h"
#include "master/ctl/cache/ctl_cache.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/ctl_verbs.h"

#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>

#define STORE_PAUSE_MS 100
#define STORE_LOOK_MS  5000 /* longest that one look waits for its answer */

/* ---- wait ---- */

/* What is not stored yet, and what never will be as it is. */
struct store_left {
    uint64_t dirty, dead;
};

/*
 * One look at what one node has not stored. A node that does not answer, as it is restarted or full, is waited out once
 * all have answered before; `why` lives until the next question.
 */
static int store_look_at(struct ctl *c, const char *node, bool looked, struct store_left *left,
                         const char **why)
{
    struct slice words[] = {slice_of("cache-node"), slice_of(node), slice_of("dirty")};
    uint64_t deadline = clock_mono_ms() + STORE_LOOK_MS;
    json_t *answer = NULL;
    struct slice body;
    int status = ctl_client_ask(&c->client, deadline < c->deadline ? deadline : c->deadline, "ask",
                                3, words, &body);
    if (looked && (status == CONTROL_ERROR || status == CONTROL_TIMEOUT)) {
        *why = ctl_client_why(&c->client);
        return CONTROL_OK;
    }
    if (status != CONTROL_OK)
        return ctl_fail(status, "%s", ctl_client_why(&c->client));
    if (ctl_value_decode(body, &answer) != 0)
        return ctl_fail(CONTROL_ERROR, "the node's answer is not well-formed");
    left->dirty += ctl_value_u64(answer, "dirty");
    left->dead += ctl_value_u64(answer, "dead");
    json_decref(answer);
    return CONTROL_OK;
}

/* At all of the cache's; no further than to one that does not answer: *left stays what it was then. */
static int store_look(struct ctl *c, const json_t *names, bool looked, struct store_left *left,
                      const char **why)
{
    int status = CONTROL_OK;
    struct store_left seen = {0};
    *why = "";
    for (size_t i = 0; i < json_array_size(names) && status == CONTROL_OK && (*why)[0] == '\0'; i++)
        status = store_look_at(c, json_string_value(json_array_get(names, i)), looked, &seen, why);
    if (status == CONTROL_OK && (*why)[0] == '\0')
        *left = seen;
    return status;
}

static int store_late(struct ctl *c, uint64_t dirty, const char *why)
{
    return ctl_fail(CONTROL_TIMEOUT, "cache %s: %" PRIu64 " %s not stored yet%s%s: see 'status'",
                    c->args.argv[0], dirty, dirty == 1 ? "is" : "are", why[0] != '\0' ? "; " : "",
                    why);
}

static void store_print(struct ctl *c, const struct store_left *left)
{
    const char *name = c->args.argv[0];
    if (c->args.json)
        buffer_printf(&c->out, "{\"dirty\": 0, \"dead\": %" PRIu64 "}\n", left->dead);
    else if (left->dead == 0)
        buffer_printf(&c->out, "%s: all is stored\n", name);
    else
        buffer_printf(&c->out,
                      "%s: all is stored but %" PRIu64
                      " dead letter%s, which the store does not take: see 'cache dead %s'\n",
                      name, left->dead, left->dead == 1 ? "" : "s", name);
}

static int store_wait_for(struct ctl *c, const json_t *names)
{
    struct store_left left = {0};
    const char *why = "";
    for (bool looked = false;; looked = true) {
        int status = store_look(c, names, looked, &left, &why);
        if (status != CONTROL_OK)
            return status;
        if (left.dirty == 0 && why[0] == '\0')
            break;
        /* No look in the last moment: that it is not answered would say nothing about the node. */
        if (clock_mono_ms() + 2 * STORE_PAUSE_MS >= c->deadline)
            return store_late(c, left.dirty, why);
        poll(NULL, 0, STORE_PAUSE_MS);
    }
    store_print(c, &left);
    return CONTROL_OK;
}

static int store_wait(struct ctl *c)
{
    json_t *names = NULL;
    int status = ctl_cache_each(c, &names);
    if (status == CONTROL_OK)
        status = store_wait_for(c, names);
    json_decref(names);
    return status;
}

int ctl_cache_wait_run(struct ctl *c)
{
    return store_wait(c);
}

/* ---- dump ---- */

struct store_dump {
    bool all, wait;
    size_t count;
    const char **keys; /* of the command line */
};

static int take_dump(struct ctl *c, struct store_dump *d)
{
    d->keys = calloc((size_t)c->args.argc, sizeof *d->keys);
    if (d->keys == NULL)
        return ctl_fail(CONTROL_ERROR, "not enough memory for the request");
    for (int i = 1; i < c->args.argc; i++) {
        if (strcmp(c->args.argv[i], "--all") == 0)
            d->all = true;
        else if (strcmp(c->args.argv[i], "--wait") == 0)
            d->wait = true;
        else
            d->keys[d->count++] = c->args.argv[i];
    }
    if (d->all == (d->count > 0))
        return ctl_fail_usage(CTL_VERB_CACHE_DUMP, d->all ? "--all, or keys: not both"
                                                          : "the keys are missing, or --all");
    return CONTROL_OK;
}

static int print_dumped(struct ctl *c, uint64_t count, const char *done)
{
    json_t *answer = c->args.json ? json_pack("{s:I}", "count", (json_int_t)count) : NULL;
    if (c->args.json && answer == NULL)
        return ctl_fail(CONTROL_ERROR, "not enough memory for the answer");
    if (c->args.json)
        ctl_print_json(c, answer);
    else
        buffer_printf(&c->out, "%s: %" PRIu64 " %s\n", c->args.argv[0], count, done);
    json_decref(answer);
    return CONTROL_OK;
}

static int dump_keys(struct ctl *c, const struct store_dump *d, uint64_t *count)
{
    json_t *answer = NULL;
    struct slice body;
    int status = ctl_cache_ask_keys(c, c->args.argv[0], d->wait ? "dump-wait" : "dump", d->count,
                                    d->keys, &body);
    if (status == CONTROL_OK && ctl_value_decode(body, &answer) != 0)
        status = ctl_fail(CONTROL_ERROR, "the node's answer is not well-formed");
    *count = ctl_value_u64(answer, "count");
    json_decref(answer);
    return status;
}

int ctl_cache_dump_run(struct ctl *c)
{
    struct store_dump d = {0};
    uint64_t count = 0;
    int status = take_dump(c, &d);
    if (status == CONTROL_OK)
        status = d.all ? ctl_cache_ask_each(c, "dump-all", &count) : dump_keys(c, &d, &count);
    if (status == CONTROL_OK && d.all && d.wait)
        status = store_wait(c);
    else if (status == CONTROL_OK)
        status = print_dumped(c, count, d.wait ? "are stored" : "will be stored now");
    free(d.keys);
    return status;
}
