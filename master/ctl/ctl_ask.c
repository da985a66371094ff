/* ctl_ask.c: the one road every question takes, and what is said when it leads nowhere. See ctl_ask.h. */
#include "master/ctl/ctl_ask.h"

#include "common/standard_fds.h"
#include "common/utf8.h"
#include "master/ctl/ctl_table.h"
#include "master/ctl/ctl_value.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * A follower whose connection was closed asks again: the master may have been upgraded, or have had too many clients.
 */
#define FOLLOW_TRIES    20
#define FOLLOW_PAUSE_MS 50

/* ---- saying what went wrong ---- */

static void say(const char *format, va_list args, const char *more)
{
    struct buffer line = BUFFER_EMPTY;
    char *text = NULL;
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    for (const char *at = text != NULL ? text : "not enough memory"; *at != '\0';) {
        size_t len = strcspn(at, "\n"); /* a configuration's errors have a line each */
        buffer_append_text(&line, "platoonctl: ");
        ctl_append_safe(&line, slice_make(at, len));
        buffer_append_char(&line, '\n');
        at += len + (at[len] == '\n');
    }
    const char *shown = buffer_text(&line);
    fprintf(stderr, "%s%s", shown != NULL ? shown : "platoonctl: not enough memory\n", more);
    buffer_fini(&line);
    free(text);
}

int ctl_fail(int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(format, args, "");
    va_end(args);
    return status;
}

int ctl_fail_usage(enum ctl_verb verb, const char *format, ...)
{
    char usage[300];
    va_list args;
    snprintf(usage, sizeof usage, "usage: platoonctl %s\n", ctl_verb_grammar(verb));
    va_start(args, format);
    say(format, args, usage);
    va_end(args);
    return CONTROL_USAGE;
}

/* ---- asking ---- */

int ctl_request(struct ctl *c, const char *verb, size_t argc, const struct slice *argv,
                struct slice *body)
{
    int status = ctl_client_ask(&c->client, c->deadline, verb, argc, argv, body);
    if (status != CONTROL_OK)
        ctl_fail(status, "%s", ctl_client_why(&c->client));
    return status;
}

static int request_decode(const char *verb, struct slice body, json_t **answer)
{
    int rc = ctl_value_decode(body, answer);
    if (rc == -ENOMEM)
        return ctl_fail(CONTROL_ERROR, "not enough memory for the answer");
    if (rc != 0)
        return ctl_fail(CONTROL_ERROR, "the answer to '%s' is not well-formed", verb);
    return CONTROL_OK;
}

int ctl_request_json(struct ctl *c, const char *verb, size_t argc, const struct slice *argv,
                     json_t **answer)
{
    struct slice body;
    int status = ctl_request(c, verb, argc, argv, &body);
    return status == CONTROL_OK ? request_decode(verb, body, answer) : status;
}

int ctl_follow_json(struct ctl *c, const char *verb, size_t argc, const struct slice *argv,
                    json_t **answer)
{
    struct slice body;
    int status = CONTROL_ERROR;
    for (int tries = 0; tries < FOLLOW_TRIES && status != CONTROL_OK; tries++) {
        if (tries > 0)
            poll(NULL, 0, FOLLOW_PAUSE_MS);
        status = ctl_client_ask(&c->client, c->deadline, verb, argc, argv, &body);
        if (status != CONTROL_ERROR || c->client.fd >= 0)
            break;
    }
    if (status != CONTROL_OK)
        ctl_fail(status, "%s", ctl_client_why(&c->client));
    return status == CONTROL_OK ? request_decode(verb, body, answer) : status;
}

/* ---- writing ---- */

static bool is_color(struct slice at)
{
    size_t i = 2;
    while (i < at.len && (at.ptr[i] == ';' || (at.ptr[i] >= '0' && at.ptr[i] <= '9')))
        i++;
    return i < at.len && at.ptr[1] == '[' && at.ptr[i] == 'm';
}

/* Our own: a line's end, and a colour or a move of the cursor where there are some. */
static bool is_ours(const struct ctl *c, struct slice at)
{
    switch (at.ptr[0]) {
    case '\n':
        return true;
    case '\r':
        return c->draws || (at.len > 1 && at.ptr[1] == '\n');
    case '\x1b':
        return at.len > 1 && at.ptr[1] == '[' && (c->draws || (c->color && is_color(at)));
    default:
        return false;
    }
}

/*
 * The last door to a terminal. Each verb makes what others have said safe where it writes it; what one of them has
 * forgotten does not pass either.
 */
static void make_safe(struct ctl *c)
{
    struct buffer out = BUFFER_EMPTY;
    struct slice text = buffer_slice(&c->out);
    size_t from = 0;
    for (size_t i = 0; i < text.len;) {
        struct slice rest = slice_make(text.ptr + i, text.len - i);
        size_t control = utf8_control(rest), n = utf8_character(rest);
        if (n > 0 && (control == 0 || is_ours(c, rest))) {
            i += n;
            continue;
        }
        n = n > 0 ? n : 1;
        buffer_append(&out, text.ptr + from, i - from);
        ctl_append_safe(&out, slice_make(rest.ptr, n));
        i += n;
        from = i;
    }
    if (from > 0) {
        buffer_append(&out, text.ptr + from, text.len - from);
        buffer_fini(&c->out);
        c->out = out;
    }
}

void ctl_say_lines(const char *text)
{
    struct buffer out = BUFFER_EMPTY;
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        ctl_append_safe(&out, slice_make(text, len));
        buffer_append_char(&out, '\n');
        text += len + (text[len] == '\n');
    }
    const char *shown = buffer_text(&out);
    fputs(shown != NULL ? shown : "platoonctl: not enough memory\n", stderr);
    buffer_fini(&out);
}

/* Nothing is left for the next call, also when it has failed: that has been said. */
int ctl_flush(struct ctl *c)
{
    if (c->terminal && buffer_ok(&c->out))
        make_safe(c);
    bool whole = buffer_ok(&c->out);
    int rc = whole ? standard_fds_print(buffer_slice(&c->out)) : 0;
    buffer_clear(&c->out);
    if (!whole)
        return ctl_fail(CONTROL_ERROR, "not enough memory for the output");
    return rc == 0 ? CONTROL_OK
                   : ctl_fail(CONTROL_ERROR, "cannot write the output: %s", strerror(-rc));
}

void ctl_print_json(struct ctl *c, const json_t *value)
{
    ctl_value_print(value, &c->out);
}
