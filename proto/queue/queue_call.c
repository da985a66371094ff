/* queue_call.c: the arguments of each script of the queues. See queue_call.h. */
#include "proto/queue/queue_call.h"

#include <inttypes.h>

/* A borrowed one; or, without a pointer, bytes of `text`, which moves as it grows. */
struct queue_arg {
    const char *borrowed;
    size_t at;
    size_t len;
};

void queue_call_fini(struct queue_call *c)
{
    buffer_fini(&c->list);
    buffer_fini(&c->text);
    buffer_fini(&c->words);
    c->count = 0;
}

static void call_begin(struct queue_call *c, enum queue_script script)
{
    c->script = script;
    c->count = 0;
    buffer_clear(&c->list);
    buffer_clear(&c->text);
    buffer_clear(&c->words);
}

static void call_put(struct queue_call *c, struct queue_arg arg)
{
    buffer_append(&c->list, &arg, sizeof arg);
    c->count++;
}

void queue_call_add(struct queue_call *c, struct slice arg)
{
    call_put(c, (struct queue_arg){.borrowed = arg.ptr, .len = arg.len});
}

/* What has been written to `text` since it was `at` long. */
static void call_put_text(struct queue_call *c, size_t at)
{
    call_put(c, (struct queue_arg){.at = at, .len = c->text.len - at});
}

static void call_u64(struct queue_call *c, uint64_t number)
{
    size_t at = c->text.len;
    buffer_printf(&c->text, "%" PRIu64, number);
    call_put_text(c, at);
}

static void call_i64(struct queue_call *c, int64_t number)
{
    size_t at = c->text.len;
    buffer_printf(&c->text, "%" PRId64, number);
    call_put_text(c, at);
}

void queue_call_receipt(struct queue_call *c, struct slice id, uint64_t attempt)
{
    size_t at = c->text.len;
    buffer_append_slice(&c->text, id);
    buffer_printf(&c->text, ".%" PRIu64, attempt);
    call_put_text(c, at);
}

const struct slice *queue_call_args(struct queue_call *c)
{
    const struct queue_arg *args = (const void *)c->list.data;
    if (!buffer_ok(&c->list) || !buffer_ok(&c->text))
        return NULL;
    buffer_clear(&c->words);
    if (buffer_reserve(&c->words, (c->count + 1) * sizeof(struct slice)) == NULL)
        return NULL;
    for (size_t i = 0; i < c->count; i++) {
        const char *from = args[i].borrowed != NULL ? args[i].borrowed : c->text.data + args[i].at;
        struct slice word = slice_make(from, args[i].len);
        buffer_append(&c->words, &word, sizeof word);
    }
    return (const void *)c->words.data;
}

/* ---- messages come in ---- */

void queue_call_deliver(struct queue_call *c, struct slice topic, struct slice facet,
                        struct slice body, uint64_t after_ms)
{
    call_begin(c, QUEUE_SCRIPT_QUEUE_DELIVER);
    queue_call_add(c, topic);
    queue_call_add(c, facet);
    queue_call_add(c, body);
    call_u64(c, after_ms);
}

void queue_call_deliver_many(struct queue_call *c)
{
    call_begin(c, QUEUE_SCRIPT_QUEUE_DELIVER_MANY);
}

void queue_call_message(struct queue_call *c, struct slice topic, struct slice facet,
                        uint64_t after_ms, struct slice body)
{
    queue_call_add(c, topic);
    queue_call_add(c, facet);
    call_u64(c, after_ms);
    queue_call_add(c, body);
}

void queue_call_inbox_look(struct queue_call *c, uint64_t most, uint64_t most_bytes)
{
    call_begin(c, QUEUE_SCRIPT_QUEUE_INBOX_LOOK);
    call_u64(c, most);
    call_u64(c, most_bytes);
}

void queue_call_inbox_take(struct queue_call *c, uint64_t taken)
{
    call_begin(c, QUEUE_SCRIPT_QUEUE_INBOX_TAKE);
    call_u64(c, taken);
}

void queue_call_place(struct queue_call *c, struct slice topic, struct slice facet, uint64_t len,
                      struct slice why)
{
    queue_call_add(c, topic);
    queue_call_add(c, facet);
    call_u64(c, len);
    queue_call_add(c, why);
}

/* ---- and go out ---- */

void queue_call_pull(struct queue_call *c, struct slice owner, uint64_t count, int64_t lease_ms)
{
    call_begin(c, QUEUE_SCRIPT_QUEUE_PULL);
    queue_call_add(c, owner);
    call_u64(c, count);
    call_i64(c, lease_ms);
}

void queue_call_take(struct queue_call *c, struct slice owner, uint64_t count, uint64_t lease_ms,
                     struct slice queue, uint64_t wait)
{
    call_begin(c, QUEUE_SCRIPT_QUEUE_TAKE);
    queue_call_add(c, owner);
    call_u64(c, count);
    call_u64(c, lease_ms);
    queue_call_add(c, queue);
    if (wait > 0)
        call_u64(c, wait);
}

static void call_of_queue(struct queue_call *c, enum queue_script script, struct slice queue)
{
    call_begin(c, script);
    queue_call_add(c, queue);
}

void queue_call_ack(struct queue_call *c, struct slice queue)
{
    call_of_queue(c, QUEUE_SCRIPT_QUEUE_ACK, queue);
}

void queue_call_again(struct queue_call *c, struct slice queue, int64_t after_ms,
                      struct slice reason)
{
    call_of_queue(c, QUEUE_SCRIPT_QUEUE_AGAIN, queue);
    call_i64(c, after_ms);
    queue_call_add(c, reason);
}

void queue_call_bury(struct queue_call *c, struct slice queue, struct slice reason)
{
    call_of_queue(c, QUEUE_SCRIPT_QUEUE_BURY, queue);
    queue_call_add(c, reason);
}

void queue_call_back(struct queue_call *c, struct slice queue, bool blame, struct slice reason)
{
    call_of_queue(c, QUEUE_SCRIPT_QUEUE_BACK, queue);
    call_u64(c, blame);
    queue_call_add(c, reason);
}

void queue_call_renew(struct queue_call *c, struct slice queue, uint64_t lease_ms)
{
    call_of_queue(c, QUEUE_SCRIPT_QUEUE_RENEW, queue);
    call_u64(c, lease_ms);
}

void queue_call_adopt(struct queue_call *c, struct slice queue, struct slice owner,
                      uint64_t lease_ms)
{
    call_of_queue(c, QUEUE_SCRIPT_QUEUE_ADOPT, queue);
    queue_call_add(c, owner);
    call_u64(c, lease_ms);
}

void queue_call_disown(struct queue_call *c, struct slice queue, struct slice owner,
                       struct slice except, bool blame, struct slice reason, struct slice cursor)
{
    call_of_queue(c, QUEUE_SCRIPT_QUEUE_DISOWN, queue);
    queue_call_add(c, owner);
    queue_call_add(c, except);
    call_u64(c, blame);
    queue_call_add(c, reason);
    queue_call_add(c, cursor);
}

void queue_call_clock(struct queue_call *c, struct slice queue)
{
    call_of_queue(c, QUEUE_SCRIPT_QUEUE_CLOCK, queue);
}

/* ---- queues ---- */

void queue_call_register(struct queue_call *c, struct slice queue, struct slice pattern,
                         const struct queue_settings *settings)
{
    call_of_queue(c, QUEUE_SCRIPT_QUEUE_REGISTER, queue);
    queue_call_add(c, pattern);
    call_u64(c, settings->raw);
    call_u64(c, settings->max_attempts);
    call_u64(c, settings->retry_min_ms);
    call_u64(c, settings->retry_max_ms);
    call_u64(c, settings->message_max);
}

void queue_call_vouch(struct queue_call *c)
{
    call_begin(c, QUEUE_SCRIPT_QUEUE_VOUCH);
}

void queue_call_unregister(struct queue_call *c, struct slice queue)
{
    call_of_queue(c, QUEUE_SCRIPT_QUEUE_UNREGISTER, queue);
}

void queue_call_destroy(struct queue_call *c, struct slice queue)
{
    call_of_queue(c, QUEUE_SCRIPT_QUEUE_DESTROY, queue);
}

void queue_call_weight(struct queue_call *c, struct slice queue, struct slice facet,
                       uint64_t weight)
{
    call_of_queue(c, QUEUE_SCRIPT_QUEUE_WEIGHT, queue);
    queue_call_add(c, facet);
    call_u64(c, weight);
}

void queue_call_cap(struct queue_call *c, struct slice queue, uint64_t most)
{
    call_of_queue(c, QUEUE_SCRIPT_QUEUE_CAP, queue);
    call_u64(c, most);
}

void queue_call_pause(struct queue_call *c, struct slice queue, bool paused, struct slice facet)
{
    call_of_queue(c, QUEUE_SCRIPT_QUEUE_PAUSE, queue);
    call_u64(c, paused);
    if (facet.len > 0)
        queue_call_add(c, facet);
}

/* ---- what people ask ---- */

void queue_call_status(struct queue_call *c)
{
    call_begin(c, QUEUE_SCRIPT_QUEUE_STATUS);
}

void queue_call_facets(struct queue_call *c, struct slice queue, struct slice cursor,
                       uint64_t count)
{
    call_of_queue(c, QUEUE_SCRIPT_QUEUE_FACETS, queue);
    queue_call_add(c, cursor);
    call_u64(c, count);
}

void queue_call_peek(struct queue_call *c, struct slice queue, struct slice facet, uint64_t count)
{
    call_of_queue(c, QUEUE_SCRIPT_QUEUE_PEEK, queue);
    queue_call_add(c, facet);
    call_u64(c, count);
}

void queue_call_dead_list(struct queue_call *c, struct slice queue, uint64_t limit)
{
    call_of_queue(c, QUEUE_SCRIPT_QUEUE_DEAD_LIST, queue);
    call_u64(c, limit);
}

void queue_call_dead_show(struct queue_call *c, struct slice queue)
{
    call_of_queue(c, QUEUE_SCRIPT_QUEUE_DEAD_SHOW, queue);
}

void queue_call_dead_retry(struct queue_call *c, struct slice queue, uint64_t limit)
{
    call_of_queue(c, QUEUE_SCRIPT_QUEUE_DEAD_RETRY, queue);
    call_u64(c, limit);
}

void queue_call_dead_drop(struct queue_call *c, struct slice queue, uint64_t limit)
{
    call_of_queue(c, QUEUE_SCRIPT_QUEUE_DEAD_DROP, queue);
    call_u64(c, limit);
}
