/*
 * indexer.c: a consumer in C: a worker that takes pages from a queue, and delivers what it has found in them.
 *
 *     program indexer { command = /usr/local/libexec/indexer  worker = true  takes = pages  window = 16 }
 *
 * A page that begins with "bury" is none, one that begins with "again" cannot be had now, and comes again. All others are
 * indexed: who wants the topic "indexed" hears of them.
 */
#include <platoon/common/log.h>
#include <platoon/worker.h>

#include <inttypes.h>

struct indexer {
    uint64_t indexed, refused;
};

static bool begins(struct slice body, const char *word)
{
    return body.len >= strlen(word) && memcmp(body.ptr, word, strlen(word)) == 0;
}

/* What is delivered may come twice, as tasks may. */
static void tell(struct worker *w, const struct worker_task *task)
{
    const struct slice topic = slice_of("indexed");
    const struct worker_delivery d = {.topic = &topic, .facet = &task->facet, .body = task->body};
    uint64_t token;
    int rc = worker_deliver(w, &d, &token);
    if (rc != 0)
        worker_trouble(w, "%s is not told: %s", task->id, uv_strerror(rc));
}

static void indexer_on_task(struct worker *w, void *state, const struct worker_task *task)
{
    struct indexer *i = state;
    if (begins(task->body, "bury")) {
        worker_task_bury(w, task->id, "it is no page");
    } else if (begins(task->body, "again") && task->attempt < 3) {
        worker_task_again(w, task->id, 0, "it cannot be had now");
    } else if (!begins(task->body,
                       "hold")) { /* that one it is still at, until it is asked (below) or dies */
        i->indexed++;
        tell(w, task);
        worker_task_done(w, task->id);
    }
    log_info("task", "id=%s attempt=%" PRIu64 " facet=%s", task->id, task->attempt,
             log_quote(task->facet));
}

static void indexer_on_lost(struct worker *w, void *state, const struct worker_task *task)
{
    (void)w;
    (void)state;
    log_info("lost", "id=%s", task->id);
}

static void indexer_on_delivered(struct worker *w, void *state, const struct worker_delivered *d)
{
    struct indexer *i = state;
    (void)w;
    i->refused += d->error.len > 0;
    log_info("delivered", "id=%s error=%s", log_quote(d->id), log_quote(d->error));
}

/* With `listens`: what anybody has delivered, at most once. */
static bool indexer_on_published(struct worker *w, void *state, struct slice topic,
                                 struct slice body)
{
    (void)w;
    (void)state;
    log_info("published", "topic=%s body=%s", log_quote(topic), log_quote(body));
    return true;
}

/* platoonctl send indexer.1 '"pages/1764201600000001"': it is done with that one. */
static void indexer_on_request(struct worker *w, void *state, const struct link_request *request)
{
    char id[WORKER_TASK_ID_SIZE];
    struct unpack u = unpack_start(request->args);
    (void)state;
    uint32_t count = unpack_array(&u);
    struct slice text = unpack_bytes(&u); /* JSON: a name in quotes */
    bool quoted = count == 1 && unpack_ok(&u) && text.len > 2;
    if (!quoted || !slice_copy(slice_make(text.ptr + 1, text.len - 2), id, sizeof id))
        worker_reply_text(w, request->id, CONTROL_USAGE, "it understands the id of a task");
    else
        worker_reply_text(w, request->id, CONTROL_OK, "%s",
                          worker_task_done(w, id) ? "done" : "not in its hands");
}

static void indexer_on_tick(struct worker *w, void *state)
{
    const struct indexer *i = state;
    worker_doing(w, "%" PRIu64 " indexed, %" PRIu64 " not told", i->indexed, i->refused);
}

const struct worker_ops worker_ops = {.type = "indexer",
                                      .mailbox = &worker_mailbox,
                                      .tasks = &worker_tasks,
                                      .state_size = sizeof(struct indexer),
                                      .on_task = indexer_on_task,
                                      .on_lost = indexer_on_lost,
                                      .on_delivered = indexer_on_delivered,
                                      .on_published = indexer_on_published,
                                      .on_request = indexer_on_request,
                                      .on_tick = indexer_on_tick};
