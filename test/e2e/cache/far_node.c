/*
 * far_node.c: stands in for a cache node where test_cache_backing.py asks a real backing worker by cache_far: what it
 * is asked for it asks the store, and it keeps nothing.
 *
 * get KEY, set KEY VALUE, del KEY as a node's; what is sent as JSON: "check"; a number: so many objects many/1 … with
 * 100 bytes each, 64 at a time, each put again until it is stored; "large": FAR_NODE_LARGE objects of object_max, which
 * are put and then loaded, all at once. Of these two the answer is a text: how often a put was done again.
 */
#include "common/clock.h"
#include "common/pack.h"
#include "workers/cache/cache_far.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define FAR_NODE_TIMEOUT_MS 3000u
#define FAR_NODE_AT_ONCE    64u
#define FAR_NODE_LARGE      8u
#define FAR_NODE_LARGE_MS   60000u

struct far_node {
    struct worker *w;
    struct backing *far;
    uint64_t last_version;
    /* Many at a time. */
    uint64_t many_id, many_left, many_under_way, many_again;
    struct buffer large;
};

struct far_ask {
    struct far_node *node;
    uint64_t id;
    char key[64]; /* of one of many */
    uint64_t version;
    bool is_get, is_delete;
    struct buffer value;
};

static const char many_value[100] = "many";

static uint64_t far_node_version(struct far_node *n)
{
    uint64_t now = clock_wall_ms() * 1000;
    n->last_version = now > n->last_version ? now : n->last_version + 1;
    return n->last_version;
}

/* ---- one ---- */

static void far_node_on_answer(const struct backing_answer *answer, void *ctx)
{
    struct far_ask *a = ctx;
    struct worker *w = a->node->w;
    struct buffer out = BUFFER_EMPTY;
    bool absent = a->is_get && answer->result == BACKING_ABSENT;
    if (answer->result == BACKING_DONE || absent) {
        pack_map(&out, 1);
        pack_text(&out, a->is_delete ? "count" : absent ? "ko" : "ok");
        if (a->is_delete)
            pack_u64(&out, 1);
        else if (a->is_get && !absent)
            pack_bin(&out, answer->value);
        else
            pack_bool(&out, true);
        worker_reply(w, a->id, CONTROL_OK, buffer_slice(&out));
    } else {
        worker_reply_text(w, a->id, CONTROL_ERROR, "result %d: %s", (int)answer->result,
                          answer->why);
    }
    buffer_fini(&out);
    buffer_fini(&a->value);
    free(a);
}

/* ---- many ---- */

static void far_node_tell_again(struct far_node *n)
{
    char text[32];
    struct buffer out = BUFFER_EMPTY;
    snprintf(text, sizeof text, "again %" PRIu64, n->many_again);
    pack_text(&out, text);
    worker_reply(n->w, n->many_id, CONTROL_OK, buffer_slice(&out));
    buffer_fini(&out);
}

static void far_node_more(struct far_node *n);

static void far_node_on_many(const struct backing_answer *answer, void *ctx);

static void far_node_put_many(struct far_ask *a)
{
    struct backing_meta meta = {.version = a->version, .expiry_ms = BACKING_NEVER};
    struct backing_call *call;
    if (a->node->far->ops->put(a->node->far, slice_of(a->key),
                               slice_make(many_value, sizeof many_value), &meta,
                               FAR_NODE_TIMEOUT_MS, far_node_on_many, a, &call) != 0)
        exit(1);
}

static void far_node_on_many(const struct backing_answer *answer, void *ctx)
{
    struct far_ask *a = ctx;
    struct far_node *n = a->node;
    if (answer->result == BACKING_AWAY) {
        n->many_again++;
        far_node_put_many(a);
        return;
    }
    if (answer->result != BACKING_DONE)
        exit(1);
    free(a);
    n->many_under_way--;
    far_node_more(n);
}

static void far_node_more(struct far_node *n)
{
    while (n->many_left > 0 && n->many_under_way < FAR_NODE_AT_ONCE) {
        struct far_ask *a = calloc(1, sizeof *a);
        *a = (struct far_ask){.node = n, .version = far_node_version(n)};
        snprintf(a->key, sizeof a->key, "many/%" PRIu64, n->many_left--);
        n->many_under_way++;
        far_node_put_many(a);
    }
    if (n->many_under_way > 0)
        return;
    far_node_tell_again(n);
}

/* ---- large ones ---- */

static void far_node_large(struct far_node *n, bool load);

static void far_node_on_large(const struct backing_answer *answer, void *ctx)
{
    struct far_ask *a = ctx;
    struct far_node *n = a->node;
    bool load = a->is_get;
    if (answer->result != BACKING_DONE ||
        (load && !slice_equal(answer->value, buffer_slice(&n->large)))) {
        fprintf(stderr, "large: result %d: %s\n", (int)answer->result, answer->why);
        exit(1);
    }
    free(a);
    if (--n->many_under_way > 0)
        return;
    if (load)
        far_node_tell_again(n);
    else
        far_node_large(n, true);
}

static void far_node_large(struct far_node *n, bool load)
{
    const struct backing_ops *ops = n->far->ops;
    struct backing_call *call;
    for (unsigned i = 0; i < FAR_NODE_LARGE; i++) {
        struct far_ask *a = calloc(1, sizeof *a);
        *a = (struct far_ask){.node = n, .version = far_node_version(n), .is_get = load};
        struct backing_meta meta = {.version = a->version, .expiry_ms = BACKING_NEVER};
        snprintf(a->key, sizeof a->key, "large%u", i);
        n->many_under_way++;
        int rc = load ? ops->get(n->far, slice_of(a->key), FAR_NODE_LARGE_MS, far_node_on_large, a,
                                 &call)
                      : ops->put(n->far, slice_of(a->key), buffer_slice(&n->large), &meta,
                                 FAR_NODE_LARGE_MS, far_node_on_large, a, &call);
        if (rc != 0)
            exit(1);
    }
}

static void far_node_begin_large(struct far_node *n, uint64_t id)
{
    size_t size = worker_setting_u64(n->w, "cache.object_max") - sizeof "large0" + 1;
    buffer_clear(&n->large);
    for (size_t i = 0; i < size; i++)
        buffer_append_char(&n->large, (char)(i * 2654435761u >> 24));
    n->many_id = id;
    n->many_again = 0;
    far_node_large(n, false);
}

/* ---- asking ---- */

static int far_node_ask(struct far_ask *a, struct slice verb, struct unpack *u)
{
    struct backing *far = a->node->far;
    struct backing_call *call;
    struct slice key = unpack_bytes(u);
    struct backing_meta meta = {.version = far_node_version(a->node), .expiry_ms = BACKING_NEVER};
    if (slice_is(verb, "json"))
        return far->ops->check(far, FAR_NODE_TIMEOUT_MS, far_node_on_answer, a, &call);
    a->is_get = slice_is(verb, "get");
    a->is_delete = meta.deleted = slice_is(verb, "del");
    if (a->is_get)
        return far->ops->get(far, key, FAR_NODE_TIMEOUT_MS, far_node_on_answer, a, &call);
    if (!a->is_delete)
        buffer_append_slice(&a->value, unpack_bytes(u));
    return far->ops->put(far, key, buffer_slice(&a->value), &meta, FAR_NODE_TIMEOUT_MS,
                         far_node_on_answer, a, &call);
}

static void far_node_on_request(struct worker *w, void *state, const struct link_request *request)
{
    (void)w;
    struct far_node *n = state;
    struct unpack u = unpack_start(request->args);
    struct far_ask *a = calloc(1, sizeof *a);
    unpack_array(&u);
    struct unpack first = u;
    struct slice json = slice_is(request->verb, "json") ? unpack_bytes(&first) : slice_of("");
    char text[32];
    slice_copy(json, text, sizeof text);
    uint64_t many = strtoull(text, NULL, 10);
    if (slice_is(json, "\"large\"")) {
        free(a);
        far_node_begin_large(n, request->id);
        return;
    }
    if (many > 0) {
        free(a);
        n->many_id = request->id;
        n->many_left = many;
        n->many_again = 0;
        far_node_more(n);
        return;
    }
    *a = (struct far_ask){.node = n, .id = request->id};
    if (far_node_ask(a, request->verb, &u) != 0)
        exit(1);
}

/* ---- life ---- */

static int far_node_init(struct worker *w, void *state)
{
    struct far_node *n = state;
    char workers[CONTRACT_NAME_MAX];
    snprintf(workers, sizeof workers, "cache/%s/backing", worker_setting_text(w, "cache.name"));
    struct cache_far_options options = {
        .workers = workers, .parallel = worker_setting_u64(w, "cache.backing.parallel")};
    n->w = w;
    n->far = cache_far_new(w, &options);
    return n->far != NULL ? 0 : CONTRACT_EXIT_TEMPORARY;
}

static void far_node_on_up(struct worker *w, void *state, struct worker_peer *peer)
{
    (void)w;
    cache_far_on_up(((struct far_node *)state)->far, peer);
}

static void far_node_on_down(struct worker *w, void *state, struct worker_peer *peer,
                             struct slice reason)
{
    (void)w;
    cache_far_on_down(((struct far_node *)state)->far, peer, reason);
}

static bool far_node_on_message(struct worker *w, void *state, struct worker_peer *from,
                                uint64_t type, struct unpack *u)
{
    (void)w;
    return cache_far_on_message(((struct far_node *)state)->far, from, type, u);
}

static void far_node_fini(struct worker *w, void *state)
{
    (void)w;
    struct far_node *n = state;
    n->far->ops->free(n->far);
    buffer_fini(&n->large);
}

const struct worker_ops worker_ops = {
    .type = "cache-node",
    .mailbox = &worker_mailbox,
    .state_size = sizeof(struct far_node),
    .init = far_node_init,
    .on_up = far_node_on_up,
    .on_down = far_node_on_down,
    .on_message = far_node_on_message,
    .on_request = far_node_on_request,
    .fini = far_node_fini,
};
