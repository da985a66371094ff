/*
 * ctl_queue_several.c: a question about a backbone of several servers: which of them are asked, and one answer of all.
 * See ctl_queue_servers.h.
 */
#include "common/clock.h"
#include "common/text.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/queue/ctl_queue.h"
#include "master/ctl/queue/ctl_queue_servers.h"
#include "proto/delivery.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum several_how {
    SEVERAL_STATUS,
    SEVERAL_FACETS,
    SEVERAL_LIST,  /* of all, one behind the other */
    SEVERAL_EACH,  /* all do it, and all must */
    SEVERAL_FIRST, /* the first, in any order, that has something */
    SEVERAL_ANY,   /* the first, in any order, that takes it */
    SEVERAL_WHOSE, /* the words from `before` on say whose they are */
};

struct several_verb {
    const char *verb;
    enum several_how how;
    size_t before;
};

static const struct several_verb several_verbs[] = {
    {"queue-status", SEVERAL_STATUS, 0},   {"queue-facets", SEVERAL_FACETS, 0},
    {"queue-peek", SEVERAL_LIST, 0},       {"queue-dead-list", SEVERAL_LIST, 0},
    {"queue-register", SEVERAL_EACH, 0},   {"queue-unregister", SEVERAL_EACH, 0},
    {"queue-destroy", SEVERAL_EACH, 0},    {"queue-weight", SEVERAL_EACH, 0},
    {"queue-pause", SEVERAL_EACH, 0},      {"queue-cap", SEVERAL_EACH, 0},
    {"queue-pull", SEVERAL_FIRST, 0},      {"queue-deliver", SEVERAL_ANY, 0},
    {"queue-dead-show", SEVERAL_WHOSE, 1}, {"queue-dead-retry", SEVERAL_WHOSE, 1},
    {"queue-dead-drop", SEVERAL_WHOSE, 1}, {"queue-ack", SEVERAL_WHOSE, 1},
    {"queue-again", SEVERAL_WHOSE, 3},     {"queue-bury", SEVERAL_WHOSE, 2},
    {"queue-renew", SEVERAL_WHOSE, 2},
};

/* What is being asked, and what has come of it. */
struct several {
    struct ctl *c;
    const struct ctl_queue_servers *servers;
    const struct several_verb *how;
    size_t count;
    const struct slice *args;
    json_t *all;
    size_t answered, failed;
    int status;           /* of the first that failed */
    struct buffer why;    /* of the one just asked */
    struct buffer faults; /* a line each */
};

/* False: it has failed, for what s->why says. */
static bool several_ask(struct several *s, size_t i, size_t count, const struct slice *args,
                        json_t **answer)
{
    *answer = NULL;
    buffer_clear(&s->why);
    int status = ctl_queue_server_ask(s->c, &s->servers->list[i], s->c->deadline, s->how->verb,
                                      count, args, answer, &s->why);
    if (status == CONTROL_OK) {
        s->answered++;
        return true;
    }
    if (s->failed++ == 0)
        s->status = status;
    buffer_printf(&s->faults, "%sserver %s: ", s->faults.len > 0 ? "\n" : "",
                  s->servers->list[i].name);
    buffer_append_slice(&s->faults, buffer_slice(&s->why));
    return false;
}

/* ---- an answer of all ---- */

static bool several_merge(struct several *s, json_t *answer, const char *server)
{
    json_t *into = s->all;
    if (s->how->how == SEVERAL_STATUS)
        return ctl_queue_merge_status(into, answer, server);
    if (s->how->how == SEVERAL_FACETS)
        return ctl_queue_merge_sweep(into, answer, server);
    if (json_is_array(answer)) {
        if (json_is_object(into)) { /* the first of a list */
            json_decref(s->all);
            s->all = into = json_array();
        }
        return into != NULL && ctl_queue_merge_mark(answer, server) &&
               json_array_extend(into, answer) == 0;
    }
    if (s->how->how == SEVERAL_WHOSE)
        return ctl_queue_merge_counts(into, answer);
    /* All say the same of what they did; where not, `servers` tells. */
    if (json_object_get(into, "servers") == NULL &&
        (json_object_update(into, answer) != 0 ||
         json_object_set_new(into, "servers", json_array()) != 0))
        return false;
    return json_object_set_new(answer, "server", json_string(server)) == 0 &&
           json_array_append(json_object_get(into, "servers"), answer) == 0;
}

static void several_take(struct several *s, size_t i, size_t count, const struct slice *args)
{
    json_t *answer;
    if (!several_ask(s, i, count, args, &answer))
        return;
    if (!several_merge(s, answer, s->servers->list[i].name)) {
        s->failed++;
        s->status = CONTROL_ERROR;
        buffer_append_text(&s->faults, "not enough memory for the answer");
    }
    json_decref(answer);
}

static void several_all(struct several *s)
{
    for (size_t i = 0; i < s->servers->count; i++)
        several_take(s, i, s->count, s->args);
    uint64_t limit;
    char by[16];
    if (s->how->how == SEVERAL_FACETS && s->answered > 0 && s->count == 3 &&
        text_parse_u64(s->args[1], &limit) == 0 && slice_copy(s->args[2], by, sizeof by) &&
        !ctl_queue_merge_cut(s->all, limit, by))
        s->status = CONTROL_ERROR;
}

/* ---- whose it is ---- */

/* The words of this server, without what names it. False: a word names none of them. */
static bool several_words_of(const struct several *s, const char *server, struct slice *words,
                             size_t *count)
{
    *count = s->how->before;
    for (size_t i = 0; i < s->count; i++) {
        const char *at = i < s->how->before ? NULL : memchr(s->args[i].ptr, '@', s->args[i].len);
        size_t len = at != NULL ? (size_t)(at - s->args[i].ptr) : s->args[i].len;
        if (i < s->how->before)
            words[i] = s->args[i];
        else if (at == NULL || slice_is(slice_make(at + 1, s->args[i].len - len - 1), server))
            words[(*count)++] = slice_make(s->args[i].ptr, len);
    }
    return *count > s->how->before;
}

/* Each must say it, and one that there is. "all" is everybody's. */
static int several_check(struct several *s)
{
    for (size_t i = s->how->before; i < s->count; i++) {
        const char *at = memchr(s->args[i].ptr, '@', s->args[i].len);
        bool known = slice_is(s->args[i], "all");
        for (size_t k = 0; at != NULL && k < s->servers->count; k++)
            known = known ||
                    slice_is(slice_make(at + 1, s->args[i].len - (size_t)(at - s->args[i].ptr) - 1),
                             s->servers->list[k].name);
        if (!known)
            return ctl_fail_usage(s->c->args.verb,
                                  "'%.*s' does not say of which server it is: the backbone has "
                                  "several, and it is written %.*s@SERVER",
                                  (int)s->args[i].len, s->args[i].ptr, (int)s->args[i].len,
                                  s->args[i].ptr);
    }
    return CONTROL_OK;
}

static void several_whose(struct several *s)
{
    struct slice *words = calloc(s->count + 1, sizeof *words);
    size_t count;
    s->status = words == NULL ? CONTROL_ERROR : several_check(s);
    if (s->status != CONTROL_OK) {
        free(words);
        return;
    }
    for (size_t i = 0; i < s->servers->count; i++)
        if (several_words_of(s, s->servers->list[i].name, words, &count))
            several_take(s, i, count, words);
    free(words);
}

/* ---- one of them ---- */

/* Whether the answer is the one. */
static bool several_is_it(struct several *s, bool good, const json_t *answer)
{
    const char *why = buffer_text(&s->why);
    if (s->how->how == SEVERAL_FIRST)
        return good && json_array_size(answer) > 0;
    /* What may be queued there is not given to another. */
    return good || why == NULL ||
           strncmp(why, DELIVERY_NOT_QUEUED, strlen(DELIVERY_NOT_QUEUED)) != 0;
}

static void several_one(struct several *s)
{
    uint32_t from = 0;
    if (getrandom(&from, sizeof from, GRND_NONBLOCK) != (ssize_t)sizeof from)
        from = (uint32_t)clock_mono_ms();
    for (size_t n = 0; n < s->servers->count; n++) {
        size_t i = (from + n) % s->servers->count;
        json_t *answer;
        if (s->how->how == SEVERAL_ANY && s->servers->list[i].worker[0] == '\0')
            continue;
        bool good = several_ask(s, i, s->count, s->args, &answer);
        if (good && s->how->how == SEVERAL_FIRST &&
            !ctl_queue_merge_mark(answer, s->servers->list[i].name))
            s->status = CONTROL_ERROR;
        if (good) {
            json_decref(s->all);
            s->all = answer;
        }
        if (several_is_it(s, good, answer))
            break;
    }
}

/* ---- all together ---- */

static const struct several_verb *several_verb_of(const char *verb)
{
    for (size_t i = 0; i < sizeof several_verbs / sizeof several_verbs[0]; i++)
        if (strcmp(several_verbs[i].verb, verb) == 0)
            return &several_verbs[i];
    return NULL;
}

static bool several_must_all(const struct several *s)
{
    return s->how->how == SEVERAL_EACH || s->how->how == SEVERAL_WHOSE;
}

/* What came of it: the answer, or why not. Who looks is told who has not answered. */
static int several_end(struct several *s)
{
    const char *faults = buffer_text(&s->faults);
    bool one = s->how->how == SEVERAL_ANY && s->answered > 0;
    if (s->status == CONTROL_OK && s->answered == 0)
        return ctl_fail(CONTROL_ERROR, DELIVERY_NOT_QUEUED ": no backbone worker is ready: see "
                                                           "platoonctl status");
    if (s->faults.len > 0 && !one)
        ctl_fail(s->status, "%s", faults != NULL ? faults : "not enough memory");
    if (s->answered > 0 && (one || !several_must_all(s)))
        return CONTROL_OK;
    return s->status;
}

int ctl_queue_servers_ask(struct ctl *c, const struct ctl_queue_servers *servers, const char *verb,
                          size_t count, const struct slice *args, json_t **answer)
{
    struct several s = {.c = c,
                        .servers = servers,
                        .how = several_verb_of(verb),
                        .count = count,
                        .args = args,
                        .why = BUFFER_EMPTY,
                        .faults = BUFFER_EMPTY};
    if (s.how == NULL)
        return ctl_fail(CONTROL_USAGE, "%s is asked of one server", verb);
    bool list = s.how->how == SEVERAL_STATUS || s.how->how == SEVERAL_LIST;
    s.all = list ? json_array() : json_object();
    if (s.how->how == SEVERAL_WHOSE)
        several_whose(&s);
    else if (s.how->how == SEVERAL_FIRST || s.how->how == SEVERAL_ANY)
        several_one(&s);
    else
        several_all(&s);
    int status = s.status != CONTROL_OK && s.faults.len == 0 ? s.status : several_end(&s);
    if (status == CONTROL_OK)
        *answer = s.all;
    else
        json_decref(s.all);
    buffer_fini(&s.why);
    buffer_fini(&s.faults);
    return status;
}
