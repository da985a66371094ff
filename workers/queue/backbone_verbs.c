/* backbone_verbs.c: what people ask of a backbone: which verb it is, and its end. See backbone_verbs.h. */
#include "workers/queue/backbone_verbs.h"

#include "common/pack.h"
#include "common/text.h"

#include <stdio.h>
#include <stdlib.h>

/* So many names are said to who asks for a queue that is not there. */
#define VERBS_NAMES_SAID 10

static const struct verbs_row *const verbs_tables[] = {backbone_verbs_show, backbone_verbs_dead,
                                                       backbone_verbs_act};
#define VERBS_TABLES (sizeof verbs_tables / sizeof verbs_tables[0])

static void verbs_end(struct verbs_call *call)
{
    struct backbone *b = call->b;
    free(call->own);
    free(call);
    b->asked--;
    if (worker_stopping(b->w) && b->asked == 0 && backbone_deliver_is_idle(b))
        worker_finished(b->w);
}

/* ---- what is refused ---- */

static void verbs_name(struct buffer *text, const redisReply *reply)
{
    struct queue_list names;
    struct slice name;
    if (reply == NULL || reply->type != REDIS_REPLY_STRING ||
        !queue_read_names(queue_reply_bytes(reply), &names))
        return;
    uint32_t count = names.left;
    if (count == 0)
        buffer_append_text(text, ": there is none at all");
    for (uint32_t i = 0; i < count && i < VERBS_NAMES_SAID && queue_next_name(&names, &name); i++) {
        buffer_append_text(text, i == 0 ? "; there are " : ", ");
        buffer_append_slice(text, name);
    }
    if (count > VERBS_NAMES_SAID)
        buffer_printf(text, " and %u more", (unsigned)(count - VERBS_NAMES_SAID));
}

/* There is no such queue: the names there are. */
static void verbs_on_names(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    struct verbs_call *call = ctx;
    struct buffer text = BUFFER_EMPTY;
    (void)c;
    buffer_append_text(&text, call->why);
    verbs_name(&text, reply);
    worker_reply_text(call->b->w, call->id, CONTROL_NO_NAME, "%s",
                      buffer_ok(&text) ? buffer_text(&text) : call->why);
    buffer_fini(&text);
    verbs_end(call);
}

static bool verbs_ask_names(struct verbs_call *call, const char *why)
{
    snprintf(call->why, sizeof call->why, "%s", why);
    queue_call_status(&call->b->call);
    return queue_redis_call(&call->b->redis, &call->b->call, verbs_on_names, call) == 0;
}

/* Of a call that was not answered. */
static const char *verbs_unknown(const struct verbs_call *call)
{
    return call->row->acts ? "; whether it was done is unknown" : "";
}

/* What a script itself refuses begins with a word (BACKBONE.md, Calls). */
static void verbs_refuse(struct verbs_call *call, const redisReply *reply, const char *why)
{
    static const char *const words[] = {"RAW ", "NAME ", "PATTERN "};
    if (reply != NULL && redis_error_says(reply->str, reply->len, "NOQUEUE ")) {
        if (verbs_ask_names(call, reply->str + strlen("NOQUEUE ")))
            return;
        worker_reply_text(call->b->w, call->id, CONTROL_NO_NAME, "%s",
                          reply->str + strlen("NOQUEUE "));
        verbs_end(call);
        return;
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (reply != NULL && redis_error_says(reply->str, reply->len, words[i])) {
            worker_reply_text(call->b->w, call->id, CONTROL_USAGE, "%s",
                              reply->str + strlen(words[i]));
            verbs_end(call);
            return;
        }
    worker_reply_text(call->b->w, call->id, CONTROL_ERROR, "%s%s", why,
                      reply == NULL ? verbs_unknown(call) : "");
    verbs_end(call);
}

/* ---- answers ---- */

static void verbs_on_reply(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    struct verbs_call *call = ctx;
    struct backbone *b = call->b;
    struct buffer body = BUFFER_EMPTY;
    char why[384];
    (void)c;
    queue_redis_failed(&b->redis, reply, why, sizeof why);
    if (why[0] != '\0') {
        verbs_refuse(call, reply, why);
        return;
    }
    call->step++;
    if (call->row->answer(call, reply, &body)) {
        buffer_fini(&body);
        return;
    }
    if (buffer_ok(&body))
        worker_reply(b->w, call->id, CONTROL_OK, buffer_slice(&body));
    else
        worker_reply_text(b->w, call->id, CONTROL_ERROR,
                          "memory is short for this answer, or Redis gave none: ask for less");
    buffer_fini(&body);
    verbs_end(call);
}

static bool verbs_send(struct verbs_call *call)
{
    return queue_redis_call(&call->b->redis, &call->b->call, verbs_on_reply, call) == 0;
}

/* ---- questions ---- */

/* GIVEN TOPIC FACET AFTER_MS BODY */
static bool verbs_deliver(struct backbone *b, const struct link_request *request, struct unpack *u,
                          uint32_t count)
{
    struct message_deliver m = {.token = 0};
    if (count != 5 || text_parse_u64(unpack_bytes(u), &m.given) != 0)
        return false;
    m.topic = unpack_bytes(u);
    m.facet = unpack_bytes(u);
    if (text_parse_u64(unpack_bytes(u), &m.after_ms) != 0)
        return false;
    m.body = unpack_bytes(u);
    if (!unpack_end(u))
        return false;
    backbone_deliver_request(b, request->id, &m);
    return true;
}

/* GLOB SESSION */
static bool verbs_listen(struct backbone *b, const struct link_request *request, struct unpack *u,
                         uint32_t count)
{
    struct slice glob = unpack_bytes(u), session = unpack_bytes(u);
    if (count != 2 || !unpack_end(u))
        return false;
    backbone_session_ask(b, request, glob, session);
    return true;
}

/* Of its backbone; workers take turns on them, .1 on the first. */
static bool verbs_servers(struct backbone *b, const struct link_request *request, struct unpack *u,
                          uint32_t count)
{
    struct buffer names = BUFFER_EMPTY, body = BUFFER_EMPTY;
    const char *at = worker_setting_text(b->w, "backbone.redis");
    if (count != 0 || !unpack_end(u))
        return false;
    for (count = 0; *(at += strspn(at, " \t")) != '\0'; at += strcspn(at, " \t"), count++)
        pack_str(&names, slice_make(at, strcspn(at, " \t")));
    pack_array(&body, count);
    pack_raw(&body, buffer_slice(&names));
    if (buffer_ok(&names) && buffer_ok(&body))
        worker_reply(b->w, request->id, CONTROL_OK, buffer_slice(&body));
    else
        worker_reply_text(b->w, request->id, CONTROL_ERROR, "memory is short: try again");
    buffer_fini(&names);
    buffer_fini(&body);
    return true;
}

/* What is not one script, and one answer of it. */
static const struct verbs_own {
    const char *verb;
    bool (*run)(struct backbone *b, const struct link_request *request, struct unpack *u,
                uint32_t count);
} verbs_own[] = {{"queue-deliver", verbs_deliver},
                 {"queue-listen", verbs_listen},
                 {"queue-servers", verbs_servers}};

static void verbs_usage(struct worker *w, uint64_t id)
{
    struct buffer text = BUFFER_EMPTY;
    buffer_append_text(&text,
                       "a backbone understands: queue-deliver GIVEN TOPIC FACET AFTER_MS BODY, "
                       "queue-listen GLOB SESSION, queue-servers");
    for (size_t i = 0; i < VERBS_TABLES; i++)
        for (const struct verbs_row *row = verbs_tables[i]; row->verb != NULL; row++)
            buffer_printf(&text, ", %s %s", row->verb, row->words);
    worker_reply_text(w, id, CONTROL_USAGE, "%s",
                      buffer_ok(&text) ? buffer_text(&text) : "memory is short: try again");
    buffer_fini(&text);
}

static const struct verbs_row *verbs_row_of(struct slice verb)
{
    for (size_t i = 0; i < VERBS_TABLES; i++)
        for (const struct verbs_row *row = verbs_tables[i]; row->verb != NULL; row++)
            if (slice_is(verb, row->verb))
                return row;
    return NULL;
}

static void verbs_start(struct verbs_call *call, struct unpack *u, uint32_t count)
{
    struct backbone *b = call->b;
    b->asked++;
    if (!call->row->ask(b, u, count, call) || !unpack_end(u)) {
        if (call->why[0] != '\0')
            worker_reply_text(b->w, call->id, CONTROL_USAGE, "%s", call->why);
        else
            verbs_usage(b->w, call->id);
        verbs_end(call);
        return;
    }
    if (verbs_send(call))
        return;
    const char *why = redis_conn_trouble(b->redis.conn);
    worker_reply_text(b->w, call->id, CONTROL_ERROR, "%s",
                      why[0] != '\0' ? why : "not connected to Redis");
    verbs_end(call);
}

void backbone_on_request(struct worker *w, void *state, const struct link_request *request)
{
    struct backbone *b = state;
    struct unpack u = unpack_start(request->args);
    uint32_t count = unpack_array(&u);
    for (size_t i = 0; i < sizeof verbs_own / sizeof verbs_own[0] && unpack_ok(&u); i++) {
        if (!slice_is(request->verb, verbs_own[i].verb))
            continue;
        if (!verbs_own[i].run(b, request, &u, count))
            verbs_usage(w, request->id);
        return;
    }
    const struct verbs_row *row = verbs_row_of(request->verb);
    if (row == NULL || !unpack_ok(&u)) {
        verbs_usage(w, request->id);
        return;
    }
    struct verbs_call *call = calloc(1, sizeof *call + request->args.len + 1);
    if (call == NULL) {
        worker_reply_text(w, request->id, CONTROL_ERROR, "memory is short: try again");
        return;
    }
    *call = (struct verbs_call){.b = b, .id = request->id, .row = row, .send = verbs_send};
    verbs_start(call, &u, count);
}
