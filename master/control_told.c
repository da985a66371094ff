/* control_told.c: the verbs that show what workers have said: logs, crashes. */
#include "master/control_private.h"

#include "common/pack.h"
#include "common/text.h"
#include "master/crash.h"
#include "master/logs.h"

/* ---- logs ---- */

#define VERB_LOGS_MAX 1000 /* lines in one answer: 2 MB at most */

/* Packs the answer; how many lines it has. */
static size_t verb_logs_pack(struct buffer *body, struct slice name, uint64_t limit, uint64_t after)
{
    struct buffer lines = BUFFER_EMPTY;
    uint64_t last;
    size_t count = logs_pack(&lines, name, after, limit, &last);
    pack_map(body, 2);
    pack_text(body, "last");
    pack_u64(body, last);
    pack_text(body, "lines");
    pack_raw(body, buffer_slice(&lines));
    body->failed = body->failed || lines.failed;
    buffer_fini(&lines);
    return count;
}

void verb_logs_answer(struct control_pending *p, bool late)
{
    struct buffer body = BUFFER_EMPTY;
    if (verb_logs_pack(&body, slice_of(p->logs_name), p->logs_limit, p->logs_after) == 0 && !late) {
        buffer_fini(&body);
        return;
    }
    control_answer_buffer(p->client, p->id, CONTROL_OK, &body);
    control_pending_free(p);
}

void control_pending_look_logs(struct control_pending *p)
{
    if (p->logs)
        verb_logs_answer(p, false);
}

/* A name without * or ? must be one of the tree: else a typing error would look like silence. */
void verb_logs(const struct verb_call *v)
{
    const struct slice *list = v->args->list;
    uint64_t limit = 0, after = 0;
    bool good = (v->args->count == 2 || v->args->count == 3) && list[0].len < CONTRACT_NAME_MAX &&
                text_parse_u64(list[1], &limit) == 0 && limit >= 1 && limit <= VERB_LOGS_MAX &&
                (v->args->count == 2 || text_parse_u64(list[2], &after) == 0);
    if (!good) {
        control_answer_text(
            v->client, v->request->id, CONTROL_USAGE,
            "logs takes: NAME, a number of lines from 1 to %d, and the number of a line",
            VERB_LOGS_MAX);
        return;
    }
    if (!verb_is_pattern(list[0]) && tree_find(verb_root(), list[0]) == NULL) {
        verb_unknown_name(v, list[0]);
        return;
    }
    if (v->args->count == 2) {
        struct buffer body = BUFFER_EMPTY;
        verb_logs_pack(&body, list[0], limit, 0);
        verb_answer_buffer(v, &body);
        return;
    }
    struct control_pending *p = control_wait(v->client, v->request);
    if (p == NULL)
        return;
    p->logs = true;
    p->logs_limit = limit;
    p->logs_after = after;
    slice_copy(list[0], p->logs_name, sizeof p->logs_name);
    verb_logs_answer(p, false);
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
    pack_bin(&body, buffer_slice(&text));
    buffer_fini(&text);
    verb_answer_buffer(v, &body);
}
