/* ctl_cache_object.c: the verbs `cache get`, `cache set` and `cache del`. See ctl_cache.h. */
#include "common/base64.h"
#include "common/text.h"
#include "common/unpack.h"
#include "master/ctl/cache/ctl_cache.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/ctl_verbs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define OBJECT_READ_SIZE ((size_t)64 << 10)

int ctl_cache_print_json(struct ctl *c, struct slice body)
{
    json_t *answer = NULL;
    if (ctl_value_decode(body, &answer) != 0)
        return ctl_fail(CONTROL_ERROR, "the node's answer cannot be shown as JSON");
    ctl_print_json(c, answer);
    json_decref(answer);
    return CONTROL_OK;
}

/* ---- get ---- */

bool ctl_cache_render_value(struct slice answer, bool people, bool *found, struct buffer *out)
{
    struct unpack u = unpack_start(answer);
    bool one = unpack_map(&u) == 1;
    *found = slice_is(unpack_bytes(&u), "ok");
    if (!*found) {
        unpack_raw(&u);
        buffer_append_text(out, "ko");
    } else if (people) {
        ctl_append_safe(out, unpack_bytes(&u));
    } else {
        buffer_append_slice(out, unpack_bytes(&u));
    }
    buffer_append_char(out, '\n');
    return one && unpack_end(&u);
}

/* That there is none is 1, and nothing else is. */
static int get_status(int status, bool found)
{
    if (status == CONTROL_ERROR)
        return CONTROL_TRYAGAIN;
    return status == CONTROL_OK && !found ? CONTROL_ERROR : status;
}

struct object_get {
    const char *key;
    bool eventual;
    char span[TEXT_NUMBER_SIZE]; /* --bounded, in milliseconds; "": it is not */
};

static int take_bounded(const char *value, struct object_get *g)
{
    uint64_t ms = 0;
    if (text_parse_span(slice_of(value), &ms) != 0)
        return ctl_fail_usage(CTL_VERB_CACHE_GET,
                              "--bounded %s: not a duration: write 500ms, 60s, 10m or 1h", value);
    snprintf(g->span, sizeof g->span, "%" PRIu64, ms);
    return CONTROL_OK;
}

static int take_get(const struct ctl_args *a, struct object_get *g)
{
    int status = CONTROL_OK;
    for (int i = 1; i < a->argc && status == CONTROL_OK; i++) {
        const char *word = a->argv[i], *value = NULL;
        int taken = ctl_args_take(a->argv, a->argc, &i, "--bounded", &value);
        if (taken < 0)
            status = ctl_fail_usage(CTL_VERB_CACHE_GET, "%s needs a value", word);
        else if (taken > 0)
            status = take_bounded(value, g);
        else if (strcmp(word, "--eventual") == 0)
            g->eventual = true;
        else if (g->key != NULL)
            status = ctl_fail_usage(CTL_VERB_CACHE_GET, "'%s': one word too many", word);
        else
            g->key = word;
    }
    if (status == CONTROL_OK && g->key == NULL)
        status = ctl_fail_usage(CTL_VERB_CACHE_GET, "the key is missing");
    if (status == CONTROL_OK && g->eventual && g->span[0] != '\0')
        status = ctl_fail_usage(CTL_VERB_CACHE_GET, "--eventual, or --bounded: not both");
    return status;
}

static int send_get(struct ctl *c, const struct object_get *g, struct buffer *key,
                    struct slice *body)
{
    bool bounded = g->span[0] != '\0';
    struct slice words[] = {buffer_slice(key), slice_of(bounded ? "bounded" : "eventual"),
                            slice_of(g->span)};
    if (!buffer_ok(key))
        return ctl_fail(CONTROL_ERROR, "not enough memory for the request");
    return ctl_cache_ask(c, "get", bounded ? 3 : g->eventual ? 2 : 1, words, body);
}

static int print_got(struct ctl *c, struct slice body, bool *found)
{
    struct buffer shown = BUFFER_EMPTY;
    int status = CONTROL_OK;
    if (!ctl_cache_render_value(body, c->terminal, found, &shown))
        status = ctl_fail(CONTROL_ERROR, "the node's answer is not well-formed");
    else if (c->args.json)
        status = ctl_cache_print_json(c, body);
    else
        buffer_append_slice(&c->out, buffer_slice(&shown));
    c->out.failed |= !buffer_ok(&shown);
    buffer_fini(&shown);
    return status;
}

int ctl_cache_get_run(struct ctl *c)
{
    struct object_get g = {.key = NULL};
    struct buffer key = BUFFER_EMPTY;
    struct slice body;
    bool found = false;
    int status = take_get(&c->args, &g);
    if (status != CONTROL_OK)
        return status;
    base64_append_named(&key, slice_of(g.key));
    status = send_get(c, &g, &key, &body);
    if (status == CONTROL_OK)
        status = print_got(c, body, &found);
    buffer_fini(&key);
    return get_status(status, found);
}

/* ---- set ---- */

struct object_set {
    const char *key;
    const char *value;           /* NULL: from stdin */
    char span[TEXT_NUMBER_SIZE]; /* --expire, in milliseconds; "": it does not */
};

static int take_expire(const char *value, struct object_set *s)
{
    uint64_t ms = 0;
    if (text_parse_span(slice_of(value), &ms) != 0 || ms == 0)
        return ctl_fail_usage(CTL_VERB_CACHE_SET,
                              "--expire %s: not a duration: write 500ms, 60s, 10m or 1h", value);
    snprintf(s->span, sizeof s->span, "%" PRIu64, ms);
    return CONTROL_OK;
}

static int take_set(const struct ctl_args *a, struct object_set *s)
{
    int count = 0, status = CONTROL_OK;
    for (int i = 1; i < a->argc && status == CONTROL_OK; i++) {
        const char *word = a->argv[i], *value = NULL;
        int taken = ctl_args_take(a->argv, a->argc, &i, "--expire", &value);
        if (taken < 0)
            status = ctl_fail_usage(CTL_VERB_CACHE_SET, "%s needs a value", word);
        else if (taken > 0)
            status = take_expire(value, s);
        else if (count == 2)
            status = ctl_fail_usage(CTL_VERB_CACHE_SET, "'%s': one word too many", word);
        else if (count++ == 0)
            s->key = word;
        else
            s->value = word;
    }
    if (status == CONTROL_OK && s->key == NULL)
        status = ctl_fail_usage(CTL_VERB_CACHE_SET, "the key is missing");
    return status;
}

/* Until its end, or until it is too much: ctl_cache_ask says so. */
static int read_stdin(struct buffer *out)
{
    for (;;) {
        char *to = out->len <= CONTROL_REQUEST_MAX ? buffer_reserve(out, OBJECT_READ_SIZE) : NULL;
        if (to == NULL)
            return CONTROL_OK;
        ssize_t n = read(STDIN_FILENO, to, OBJECT_READ_SIZE);
        if (n == 0)
            return CONTROL_OK;
        if (n < 0 && errno != EINTR)
            return ctl_fail(CONTROL_ERROR, "cannot read the value from stdin: %s", strerror(errno));
        if (n > 0)
            out->len += (size_t)n;
    }
}

static int send_set(struct ctl *c, const struct object_set *s, struct buffer *key,
                    struct buffer *value)
{
    struct slice words[] = {buffer_slice(key), buffer_slice(value), slice_of(s->span)};
    struct slice body;
    if (!buffer_ok(key) || !buffer_ok(value))
        return ctl_fail(CONTROL_ERROR, "not enough memory for the request");
    int status = ctl_cache_ask(c, "set", s->span[0] != '\0' ? 3 : 2, words, &body);
    if (status == CONTROL_OK && c->args.json)
        return ctl_cache_print_json(c, body);
    if (status == CONTROL_OK)
        buffer_append_text(&c->out, "ok\n");
    return status;
}

int ctl_cache_set_run(struct ctl *c)
{
    struct object_set s = {.key = NULL};
    struct buffer key = BUFFER_EMPTY, value = BUFFER_EMPTY;
    int status = take_set(&c->args, &s);
    if (status == CONTROL_OK && s.value != NULL)
        buffer_append_text(&value, s.value);
    else if (status == CONTROL_OK)
        status = read_stdin(&value);
    if (status == CONTROL_OK) {
        base64_append_named(&key, slice_of(s.key));
        status = send_set(c, &s, &key, &value);
    }
    buffer_fini(&key);
    buffer_fini(&value);
    return status;
}

/* ---- del ---- */

static int print_deleted(struct ctl *c, struct slice body)
{
    json_t *answer = NULL;
    if (c->args.json)
        return ctl_cache_print_json(c, body);
    if (ctl_value_decode(body, &answer) != 0)
        return ctl_fail(CONTROL_ERROR, "the node's answer is not well-formed");
    buffer_printf(&c->out, "%s: %" PRIu64 " deleted\n", c->args.argv[0],
                  ctl_value_u64(answer, "count"));
    json_decref(answer);
    return CONTROL_OK;
}

int ctl_cache_del_run(struct ctl *c)
{
    struct slice body;
    int status = ctl_cache_ask_keys(c, c->args.argv[0], "del", (size_t)c->args.argc - 1,
                                    &c->args.argv[1], &body);
    return status == CONTROL_OK ? print_deleted(c, body) : status;
}
