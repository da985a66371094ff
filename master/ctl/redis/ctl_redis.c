/*
 * ctl_redis.c: the verb `redis`: one command through a send worker, printed as redis-cli prints it.
 *
 * Renders straight from msgpack: a reply may hold any bytes, and JSON could not carry them to the raw form.
 */
#include "common/unpack.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_table.h"
#include "master/ctl/redis/ctl_redis.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/ctl_verbs.h"

#include <inttypes.h>
#include <stdlib.h>

/* ---- raw ---- */

static void render_raw(struct unpack *u, struct buffer *out)
{
    switch (unpack_peek(u)) {
    case UNPACK_NIL:
        unpack_nil(u);
        return;
    case UNPACK_BOOL:
        buffer_append_text(out, unpack_bool(u) ? "true" : "false");
        return;
    case UNPACK_UINT:
        buffer_printf(out, "%" PRIu64, unpack_u64(u));
        return;
    case UNPACK_INT:
        buffer_printf(out, "%" PRId64, unpack_i64(u));
        return;
    case UNPACK_DOUBLE:
        buffer_printf(out, "%.17g", unpack_double(u));
        return;
    case UNPACK_STR:
    case UNPACK_BIN:
        buffer_append_slice(out, unpack_bytes(u));
        return;
    case UNPACK_ARRAY: {
        uint32_t count = unpack_array(u);
        for (uint32_t i = 0; i < count && unpack_ok(u); i++) {
            if (i > 0)
                buffer_append_char(out, '\n');
            render_raw(u, out);
        }
        return;
    }
    case UNPACK_MAP:
    case UNPACK_EXT:
    case UNPACK_INVALID:
        u->failed = true;
        return;
    }
}

/* ---- for people ---- */

static void append_quoted(struct buffer *out, struct slice text)
{
    static const char escapes[256] = {['\\'] = '\\', ['"'] = '"',  ['\n'] = 'n', ['\r'] = 'r',
                                      ['\t'] = 't',  ['\a'] = 'a', ['\b'] = 'b'};
    buffer_append_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (escapes[c] != 0)
            buffer_printf(out, "\\%c", escapes[c]);
        else if (c >= 0x20 && c < 0x7f)
            buffer_append_char(out, (char)c);
        else
            buffer_printf(out, "\\x%02x", c);
    }
    buffer_append_char(out, '"');
}

static int digits(uint32_t number)
{
    int n = 1;
    while (number >= 10) {
        number /= 10;
        n++;
    }
    return n;
}

/* `indent`: columns that stand in front of this value, repeated on the lines of an array behind its first. */
static void render_people(struct unpack *u, size_t indent, struct buffer *out);

static void render_people_array(struct unpack *u, size_t indent, struct buffer *out)
{
    uint32_t count = unpack_array(u);
    int width = digits(count);
    if (count == 0 && unpack_ok(u))
        buffer_append_text(out, "(empty array)\n");
    for (uint32_t i = 0; i < count && unpack_ok(u); i++) {
        for (size_t n = 0; i > 0 && n < indent; n++)
            buffer_append_char(out, ' ');
        buffer_printf(out, "%*" PRIu32 ") ", width, i + 1);
        render_people(u, indent + (size_t)width + 2, out);
    }
}

static void render_people(struct unpack *u, size_t indent, struct buffer *out)
{
    switch (unpack_peek(u)) {
    case UNPACK_NIL:
        unpack_nil(u);
        buffer_append_text(out, "(nil)\n");
        return;
    case UNPACK_BOOL:
        buffer_printf(out, "(%s)\n", unpack_bool(u) ? "true" : "false");
        return;
    case UNPACK_UINT:
        buffer_printf(out, "(integer) %" PRIu64 "\n", unpack_u64(u));
        return;
    case UNPACK_INT:
        buffer_printf(out, "(integer) %" PRId64 "\n", unpack_i64(u));
        return;
    case UNPACK_DOUBLE:
        buffer_printf(out, "(double) %.17g\n", unpack_double(u));
        return;
    case UNPACK_STR: /* a status */
        ctl_append_safe(out, unpack_str(u));
        buffer_append_char(out, '\n');
        return;
    case UNPACK_BIN:
        append_quoted(out, unpack_bin(u));
        buffer_append_char(out, '\n');
        return;
    case UNPACK_ARRAY:
        render_people_array(u, indent, out);
        return;
    case UNPACK_MAP:
    case UNPACK_EXT:
    case UNPACK_INVALID:
        u->failed = true;
        return;
    }
}

bool ctl_redis_render(struct slice reply, bool people, struct buffer *out)
{
    struct unpack u = unpack_start(reply);
    if (people) {
        render_people(&u, 0, out);
    } else {
        render_raw(&u, out);
        buffer_append_char(out, '\n');
    }
    return unpack_end(&u);
}

/* ---- the verb ---- */

struct redis_words {
    const char *on;       /* "" for the first section */
    const char *reply_to; /* NULL: the reply comes back */
    int first;            /* the command's place in argv */
};

static int take_words(const struct ctl_args *a, struct redis_words *w)
{
    *w = (struct redis_words){.on = ""};
    int i = 0;
    for (; i < a->argc && strncmp(a->argv[i], "--", 2) == 0; i++) {
        int on = ctl_args_take(a->argv, a->argc, &i, "--on", &w->on);
        int to = on != 0 ? 0 : ctl_args_take(a->argv, a->argc, &i, "--reply-to", &w->reply_to);
        if (on < 0 || to < 0)
            return ctl_fail_usage(CTL_VERB_REDIS, "%s needs a value", a->argv[i]);
        if (on == 0 && to == 0)
            return ctl_fail_usage(
                CTL_VERB_REDIS,
                "unknown option %s: options of the tool itself stand before 'redis'", a->argv[i]);
    }
    w->first = i;
    if (i == a->argc)
        return ctl_fail_usage(CTL_VERB_REDIS, "the Redis command is missing");
    return CONTROL_OK;
}

/* Reads map {error, reply}; *reply stays msgpack. */
static bool read_answer(struct slice body, bool *error, struct slice *reply)
{
    struct unpack u = unpack_start(body);
    bool found = false;
    uint32_t count = unpack_map(&u);
    for (uint32_t i = 0; i < count && unpack_ok(&u); i++) {
        struct slice key = unpack_bytes(&u);
        if (slice_is(key, "error")) {
            *error = unpack_bool(&u);
        } else if (slice_is(key, "reply")) {
            *reply = unpack_raw(&u);
            found = true;
        } else {
            unpack_raw(&u);
        }
    }
    return unpack_end(&u) && found;
}

static int print_error(struct slice reply)
{
    struct unpack u = unpack_start(reply);
    struct slice text = unpack_bytes(&u);
    return ctl_fail(CONTROL_ERROR, "Redis: %.*s", (int)text.len, text.ptr);
}

static int print_answer(struct ctl *c, struct slice body)
{
    bool error = false;
    struct slice reply = {0};
    if (!read_answer(body, &error, &reply))
        return ctl_fail(CONTROL_ERROR, "the send worker's answer is not well-formed");
    if (c->args.json) {
        json_t *value = NULL;
        if (ctl_value_decode(body, &value) != 0)
            return ctl_fail(CONTROL_ERROR, "the send worker's answer cannot be shown as JSON");
        ctl_print_json(c, value);
        json_decref(value);
    } else if (!error && !ctl_redis_render(reply, c->terminal, &c->out)) {
        return ctl_fail(CONTROL_ERROR, "the send worker's answer is not well-formed");
    }
    return error ? print_error(reply) : CONTROL_OK;
}

static int run_command(struct ctl *c, const struct redis_words *w, struct slice *words)
{
    size_t n = 0;
    words[n++] = slice_of("send");
    words[n++] = slice_of(w->on);
    words[n++] = slice_of(w->reply_to != NULL ? "redis-to" : "redis");
    if (w->reply_to != NULL)
        words[n++] = slice_of(w->reply_to);
    for (int i = w->first; i < c->args.argc; i++)
        words[n++] = slice_of(c->args.argv[i]);
    struct slice body;
    int status = ctl_request(c, "ask", n, words, &body);
    if (status != CONTROL_OK)
        return status;
    if (w->reply_to == NULL)
        return print_answer(c, body);
    json_t *answer = NULL;
    if (ctl_value_decode(body, &answer) != 0)
        return ctl_fail(CONTROL_ERROR, "the send worker's answer is not well-formed");
    if (c->args.json)
        ctl_print_json(c, answer);
    else
        buffer_printf(&c->out, "the reply went to %s\n", w->reply_to);
    json_decref(answer);
    return CONTROL_OK;
}

int ctl_redis_run(struct ctl *c)
{
    struct redis_words w;
    int status = take_words(&c->args, &w);
    if (status != CONTROL_OK)
        return status;
    struct slice *words = calloc((size_t)c->args.argc + 4, sizeof *words);
    if (words == NULL)
        return ctl_fail(CONTROL_ERROR, "not enough memory for the request");
    status = run_command(c, &w, words);
    free(words);
    return status;
}
