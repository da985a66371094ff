/* control_told.c: the verbs that show what has happened: logs, events, crashes. */
#include "master/control/control_private.h"

#include "common/pack.h"
#include "common/text.h"
#include "master/logs/crash.h"
#include "master/logs/events.h"
#include "master/logs/logs.h"

#define VERB_NEWS_MAX 1000 /* log lines or events in one answer: 2 MB at most */

/* ---- what is asked for: the newest now, or with AFTER what comes ---- */

static void verb_news_answer(struct control_pending *p, bool late)
{
    struct buffer body = BUFFER_EMPTY;
    if (p->news(p, &body) == 0 && !late) {
        buffer_fini(&body);
        return;
    }
    control_answer_buffer(p->client, p->id, CONTROL_OK, &body);
    control_pending_free(p);
}

static void verb_news_look(struct control_pending *p)
{
    verb_news_answer(p, false);
}

static void verb_news_late(struct control_pending *p)
{
    verb_news_answer(p, true);
}

static const struct control_pending_ops verb_news_ops = {.look_news = verb_news_look,
                                                         .late = verb_news_late};

/* A name without * or ? must be one of the tree: else a typing error would look like silence. */
static void verb_news(const struct verb_call *v, const char *verb,
                      size_t (*news)(const struct control_pending *p, struct buffer *body))
{
    const struct slice *list = v->args->list;
    struct control_pending wish = {.news = news};
    bool waits = v->args->count == 3;
    bool good =
        (v->args->count == 2 || waits) && slice_copy(list[0], wish.pattern, sizeof wish.pattern) &&
        text_parse_u64(list[1], &wish.limit) == 0 && wish.limit >= 1 &&
        wish.limit <= VERB_NEWS_MAX && (!waits || text_parse_u64(list[2], &wish.after) == 0);
    if (!good) {
        control_answer_text(v->client, v->request->id, CONTROL_USAGE,
                            "%s takes: NAME, a number from 1 to %d, and the number of the last one "
                            "seen",
                            verb, VERB_NEWS_MAX);
        return;
    }
    if (!verb_is_pattern(list[0]) && tree_find(verb_root(), list[0]) == NULL) {
        verb_unknown_name(v, list[0]);
        return;
    }
    if (!waits) {
        struct buffer body = BUFFER_EMPTY;
        news(&wish, &body);
        verb_answer_buffer(v, &body);
        return;
    }
    struct control_pending *p = control_wait(v->client, v->request, &verb_news_ops);
    if (p == NULL)
        return;
    p->news = news;
    p->limit = wish.limit;
    p->after = wish.after;
    memcpy(p->pattern, wish.pattern, sizeof p->pattern);
    verb_news_answer(p, false);
}

/* ---- logs ---- */

static size_t verb_logs_pack(const struct control_pending *p, struct buffer *body)
{
    struct buffer lines = BUFFER_EMPTY;
    uint64_t last;
    size_t count = logs_pack(&lines, slice_of(p->pattern), p->after, p->limit, &last);
    pack_map(body, 2);
    pack_text(body, "last");
    pack_u64(body, last);
    pack_text(body, "lines");
    pack_raw(body, buffer_slice(&lines));
    body->failed = body->failed || lines.failed;
    buffer_fini(&lines);
    return count;
}

void verb_logs(const struct verb_call *v)
{
    verb_news(v, "logs", verb_logs_pack);
}

/* ---- events ---- */

static size_t verb_events_pack(const struct control_pending *p, struct buffer *body)
{
    struct buffer events = BUFFER_EMPTY;
    uint64_t last, lost;
    const char *name = strcmp(p->pattern, verb_root()->name) == 0 ? "" : p->pattern;
    size_t count = events_pack(&events, name, p->after, p->limit, &last, &lost);
    pack_map(body, 3);
    pack_text(body, "last");
    pack_u64(body, last);
    pack_text(body, "lost");
    pack_u64(body, lost);
    pack_text(body, "events");
    pack_raw(body, buffer_slice(&events));
    body->failed = body->failed || events.failed;
    buffer_fini(&events);
    return count;
}

void verb_events(const struct verb_call *v)
{
    verb_news(v, "events", verb_events_pack);
}

/* ---- crash reports ---- */

#define VERB_CRASHES_MAX 200

void verb_crashes(const struct verb_call *v)
{
    if (v->args->count != 1) {
        control_answer_text(v->client, v->request->id, CONTROL_USAGE, "crashes takes: NAME");
        return;
    }
    struct buffer body = BUFFER_EMPTY, text = BUFFER_EMPTY;
    struct slice name = v->args->list[0];
    pack_map(&body, 2);
    pack_text(&body, "reports");
    size_t count = crash_list(&body, name, VERB_CRASHES_MAX);
    if (count == 0 && name.len > 0 && tree_find(verb_root(), name) == NULL) {
        buffer_fini(&body);
        verb_unknown_name(v, name);
        return;
    }
    pack_text(&body, "newest");
    if (name.len == 0 || !crash_show(&text, name))
        buffer_clear(&text);
    pack_str(&body, buffer_slice(&text));
    buffer_fini(&text);
    verb_answer_buffer(v, &body);
}
