/* ctl_cache_ask.c: asking the nodes of a cache, one or each. See ctl_cache.h. */
#include "common/base64.h"
#include "master/ctl/cache/ctl_cache.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_value.h"

#include <stdlib.h>

#define ASK_OTHERS 1024 /* bytes of a request that are neither key nor value */

/* What may go later is told apart from what does not go. */
static int ask_status(struct ctl *c, int status)
{
    bool again =
        status == CONTROL_ERROR && strncmp(ctl_client_why(&c->client), "TRYAGAIN ", 9) == 0;
    return again ? CONTROL_TRYAGAIN : status;
}

int ctl_cache_ask_node(struct ctl *c, const char *node, const char *verb, size_t count,
                       const struct slice *more, struct slice *body)
{
    size_t bytes = ASK_OTHERS;
    struct slice *words = calloc(count + 3, sizeof *words);
    if (words == NULL)
        return ctl_fail(CONTROL_ERROR, "not enough memory for the request");
    words[0] = slice_of("cache-node");
    words[1] = slice_of(node);
    words[2] = slice_of(verb);
    for (size_t i = 0; i < count; i++) {
        words[3 + i] = more[i];
        bytes += more[i].len + 5;
    }
    int status = bytes <= CONTROL_REQUEST_MAX
                     ? ask_status(c, ctl_request(c, "ask", count + 3, words, body))
                     : ctl_fail(CONTROL_USAGE,
                                "cache %s: more than a request to a platoon may have (%u bytes): "
                                "use a client of Redis' protocol",
                                verb, CONTROL_REQUEST_MAX - ASK_OTHERS);
    free(words);
    return status;
}

int ctl_cache_ask(struct ctl *c, const char *verb, size_t count, const struct slice *more,
                  struct slice *body)
{
    return ctl_cache_ask_node(c, c->args.argv[0], verb, count, more, body);
}

int ctl_cache_ask_keys(struct ctl *c, const char *node, const char *verb, size_t count,
                       const char *const *names, struct slice *body)
{
    struct slice *words = calloc(count + 1, sizeof *words);
    struct buffer *keys = calloc(count + 1, sizeof *keys);
    bool whole = words != NULL && keys != NULL;
    for (size_t i = 0; whole && i < count; i++) {
        base64_append_named(&keys[i], slice_of(names[i]));
        words[i] = buffer_slice(&keys[i]);
        whole = buffer_ok(&keys[i]);
    }
    int status = whole ? ctl_cache_ask_node(c, node, verb, count, words, body)
                       : ctl_fail(CONTROL_ERROR, "not enough memory for the request");
    for (size_t i = 0; keys != NULL && i < count; i++)
        buffer_fini(&keys[i]);
    free(keys);
    free(words);
    return status;
}

/* ---- each ---- */

int ctl_cache_each(struct ctl *c, json_t **names)
{
    json_t *root = NULL;
    int status = ctl_request_json(c, "tree", 0, NULL, &root);
    if (status != CONTROL_OK)
        return status;
    json_t *nodes = ctl_cache_nodes(root, c->args.argv[0]), *out = json_array();
    bool several = json_array_size(nodes) > 1;
    int rc = nodes == NULL || out == NULL ? -1 : 0;
    for (size_t i = 0; several && i < json_array_size(nodes); i++)
        rc |= json_array_append(out, json_object_get(json_array_get(nodes, i), "node"));
    if (!several)
        rc |= json_array_append_new(out, json_string(c->args.argv[0]));
    json_decref(nodes);
    json_decref(root);
    if (rc == 0) {
        *names = out;
        return CONTROL_OK;
    }
    json_decref(out);
    return ctl_fail(CONTROL_ERROR, "not enough memory for the answer");
}

int ctl_cache_ask_each(struct ctl *c, const char *verb, uint64_t *count)
{
    json_t *names = NULL;
    int status = ctl_cache_each(c, &names);
    *count = 0;
    for (size_t i = 0; status == CONTROL_OK && i < json_array_size(names); i++) {
        json_t *answer = NULL;
        struct slice body;
        status = ctl_cache_ask_node(c, json_string_value(json_array_get(names, i)), verb, 0, NULL,
                                    &body);
        if (status == CONTROL_OK && ctl_value_decode(body, &answer) != 0)
            status = ctl_fail(CONTROL_ERROR, "the node's answer is not well-formed");
        *count += ctl_value_u64(answer, "count");
        json_decref(answer);
    }
    json_decref(names);
    return status;
}
