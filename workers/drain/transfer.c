/*
 * transfer.c: the transfer worker: takes records in, stores them in batches, says `stored` only when they are durable.
 *
 * The store blocks on its disk, so it has a thread, for one batch at a time: meanwhile the loop reads the next, and a
 * disk that hangs does not make the worker look dead. The two threads share nothing: what the store's thread may touch
 * is handed over and taken back whole.
 *
 * With a key service, a message waits there until every record has its key; then it goes the way all go. Knows nothing
 * of Redis. Holds at most what the senders' windows allow (get_hash.window each): it answers nothing while the store
 * fails, so the senders stop. What it holds is in the ledger too, so it may die at any point.
 */
#include "workers/drain/transfer.h"
#include "workers/drain/transfer_key_service.h"
#include "workers/drain/transfer_store.h"

#include "common/clock.h"
#include "common/fault.h"
#include "common/hold.h"
#include "common/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define TRANSFER_RETRY_MS 50   /* first pause after a failed transaction; doubles */
#define TRANSFER_DRAIN_MS 2000 /* how long a stop goes on trying a store that fails */
#define TRANSFER_REST_MS  300  /* without a record, then the store is put to rest */
#define TRANSFER_SLOW_MS  5000 /* a batch takes milliseconds; beyond this the tree says so */

/* What is owed to a sender: the answer to one RECORDS message. */
struct transfer_owed {
    char name[CONTRACT_NAME_MAX];
    uint64_t generation;
    uint64_t token;
    size_t refused, refused_len; /* in the batch's refusals: packed entries, [seq, reason] */
    uint32_t refused_count;
    size_t rows; /* of the batch: those before this message's */
};

/* What becomes one transaction. */
struct transfer_batch {
    struct transfer_rows rows;
    struct transfer_owed *owed;
    size_t owed_count, owed_cap;
    struct buffer refusals;
};

struct transfer {
    struct worker *w;
    struct transfer_keys keys;
    struct key_service *key_service; /* NULL: the templates */
    struct transfer_batch batches[2];
    struct transfer_batch *filling; /* what comes in goes here */
    struct transfer_batch
        *writing; /* the other one while it is written or tried again, else NULL */
    bool busy;    /* the store's thread has `writing` */
    bool closing;
    uint64_t began_ms;
    uv_timer_t timer; /* linger, or the next try */
    uint64_t batch, linger_ms, retry_max_ms;
    uint64_t retry_ms; /* 0: the last transaction went well */
    bool troubled;
    uint64_t last_stored;
    char holder[HOLD_WHO_MAX]; /* for the store's options */
    uv_timer_t drain_timer;
    uv_timer_t rest_timer;
    /* The store's thread's while `busy`. */
    uv_work_t work;
    struct transfer_store out;
    enum store_result result;
    bool resting; /* of the last store_rest: it is done */
};

/* ---- answers ---- */

static bool transfer_owes_row(const struct transfer_batch *b, const struct transfer_owed *o,
                              uint64_t seq)
{
    size_t end = o + 1 < b->owed + b->owed_count ? o[1].rows : b->rows.count;
    for (size_t i = o->rows; i < end; i++)
        if (b->rows.list[i].seq == seq)
            return true;
    return false;
}

/* The array of what was refused of one message: before it went to the store, and by the store. */
static uint32_t transfer_add_refusals(const struct transfer *t, const struct transfer_batch *b,
                                      const struct transfer_owed *o, struct buffer *out)
{
    struct buffer later = BUFFER_EMPTY;
    uint32_t count = o->refused_count;
    for (size_t i = 0; i < t->out.refusal_count; i++) {
        const struct transfer_refusal *r = &t->out.refusals[i];
        if (transfer_owes_row(b, o, r->seq))
            transfer_refusal_pack(&later, r->seq, r->reason, &count);
    }
    pack_array(out, count);
    buffer_append(out, b->refusals.data + o->refused, o->refused_len);
    buffer_append_slice(out, buffer_slice(&later));
    out->failed = out->failed || later.failed;
    buffer_fini(&later);
    return count;
}

static void transfer_answer(struct transfer *t, const struct transfer_batch *b,
                            const struct transfer_owed *o)
{
    struct worker_peer *to = worker_peer_find(t->w, o->name);
    if (to == NULL || to->generation != o->generation)
        return; /* it died: its claims are somebody else's now */
    struct buffer refused = BUFFER_EMPTY;
    uint32_t count = transfer_add_refusals(t, b, o, &refused);
    struct message_stored m = {.token = o->token};
    if (count > 0)
        m.refused = buffer_slice(&refused);
    struct buffer *out = worker_compose(t->w);
    message_stored_pack(out, &m);
    if (!buffer_ok(&refused))
        worker_exit(t->w, CONTRACT_EXIT_TEMPORARY, "memory is short; starting afresh");
    worker_must_send(t->w, to, out);
    buffer_fini(&refused);
}

static void transfer_settle(struct transfer *t, struct transfer_batch *b)
{
    for (size_t i = 0; i < b->owed_count; i++)
        transfer_answer(t, b, &b->owed[i]);
    b->owed_count = 0;
    transfer_rows_clear(&b->rows);
    buffer_clear(&b->refusals);
}

/* ---- the store's thread: touches what struct transfer says is its own, and nothing else ---- */

static void transfer_work(uv_work_t *work)
{
    struct transfer *t = work->data;
    t->result = transfer_store_write(&t->out, &t->writing->rows);
}

/* ---- one transaction after the other ---- */

static size_t transfer_waiting(const struct transfer *t)
{
    return t->batches[0].rows.count + t->batches[1].rows.count;
}

static bool transfer_is_empty(const struct transfer *t)
{
    return t->writing == NULL && t->filling->owed_count == 0 &&
           key_service_waiting(t->key_service) == 0;
}

static void transfer_trouble(struct transfer *t, const char *what)
{
    t->troubled = what[0] != '\0';
    if (t->troubled)
        worker_trouble(t->w, "%s; %zu records wait, nothing is lost", what, transfer_waiting(t));
    else
        worker_trouble(t->w, "%s", "");
}

/* Records are taken: what there is to say nevertheless. */
static void transfer_well(struct transfer *t)
{
    const char *ails = t->out.store != NULL ? store_ails(t->out.store) : "";
    if (t->troubled || ails[0] != '\0')
        worker_trouble(t->w, "%s%s", ails, ails[0] != '\0' ? "; nothing is lost" : "");
    t->troubled = ails[0] != '\0';
}

static void transfer_on_timer(uv_timer_t *timer);
static void transfer_on_rest_due(uv_timer_t *timer);
static void transfer_on_written(uv_work_t *work, int status);

/* Adds all of `from` to `to`; leaves both as they are when memory is short. */
static void transfer_join(struct transfer_batch *to, struct transfer_batch *from)
{
    size_t owed = to->owed_count + from->owed_count;
    struct transfer_owed *grown =
        owed > to->owed_cap ? realloc(to->owed, owed * sizeof *grown) : to->owed;
    if (from->owed_count == 0 || grown == NULL)
        return;
    to->owed = grown;
    to->owed_cap = owed > to->owed_cap ? owed : to->owed_cap;
    size_t rows = to->rows.count, refusals = to->refusals.len;
    buffer_append_slice(&to->refusals, buffer_slice(&from->refusals));
    if (!buffer_ok(&to->refusals) || !transfer_rows_join(&to->rows, &from->rows)) {
        to->refusals.len = refusals;
        to->refusals.failed = false;
        return;
    }
    for (size_t i = 0; i < from->owed_count; i++) {
        struct transfer_owed *o = &to->owed[to->owed_count++];
        *o = from->owed[i];
        o->rows += rows;
        o->refused += refusals;
    }
    from->owed_count = 0;
    transfer_rows_clear(&from->rows);
    buffer_clear(&from->refusals);
}

static void transfer_failed(struct transfer *t)
{
    t->retry_ms = t->retry_ms == 0 ? TRANSFER_RETRY_MS : t->retry_ms * 2;
    if (t->retry_ms > t->retry_max_ms || t->result == STORE_BROKEN || t->result == STORE_REFUSED)
        t->retry_ms = t->retry_max_ms;
    transfer_trouble(t, t->out.error.text);
    /* What came in meanwhile may be what the store takes: it shows then whether the others are at fault. */
    if (t->result == STORE_REFUSED)
        transfer_join(t->writing, t->filling);
    worker_count(t->w, COUNTER_STORE_ERRORS, 1);
    uv_timer_start(&t->timer, transfer_on_timer, t->retry_ms, 0);
}

static void transfer_tell_news(struct transfer *t)
{
    struct store_error news;
    if (t->out.store != NULL && store_take_news(t->out.store, &news))
        log_warn("store-file", "cause=%s", log_quote_text(news.text));
}

/* Gives the store's thread what is there: the batch that failed, else what has come in. */
static void transfer_store(struct transfer *t)
{
    if (t->busy || (t->writing == NULL && t->filling->owed_count == 0))
        return;
    if (t->writing == NULL) {
        t->writing = t->filling;
        t->filling = &t->batches[t->writing == &t->batches[0]];
    }
    uv_timer_stop(&t->timer);
    t->began_ms = clock_mono_ms();
    t->busy = true;
    t->work.data = t;
    uv_queue_work(worker_loop(t->w), &t->work, transfer_work, transfer_on_written);
}

static void transfer_free(struct transfer *t);

/* While one batch was written the next has come in: under load it leaves at once, so batches grow with the load. */
static void transfer_on_written(uv_work_t *work, int status)
{
    (void)status; /* it is never cancelled */
    struct transfer *t = work->data;
    t->busy = false;
    if (t->closing) {
        transfer_free(t);
        return;
    }
    transfer_tell_news(t);
    if (t->result != STORE_OK || FAULT_POINT("transfer.after-store", slice_of(""))) {
        transfer_failed(t);
        return;
    }
    transfer_well(t);
    t->retry_ms = 0;
    uv_timer_start(&t->rest_timer, transfer_on_rest_due, TRANSFER_REST_MS, TRANSFER_REST_MS);
    worker_count(t->w, COUNTER_STORED, t->writing->rows.count - t->out.refusal_count);
    worker_count(t->w, COUNTER_BYTES, t->writing->rows.bytes.len);
    worker_count(t->w, COUNTER_BATCHES, (t->writing->rows.count + t->batch - 1) / t->batch);
    transfer_settle(t, t->writing);
    t->writing = NULL;
    transfer_store(t);
    if (worker_stopping(t->w) && transfer_is_empty(t))
        worker_finished(t->w);
}

static void transfer_on_timer(uv_timer_t *timer)
{
    transfer_store(timer->data);
}

/* ---- rest ---- */

static void transfer_rest_work(uv_work_t *work)
{
    struct transfer *t = work->data;
    t->out.error.text[0] = '\0';
    if (t->out.store == NULL)
        store_open(&t->out.options, &t->out.store, &t->out.error);
    t->resting = t->out.store != NULL && store_rest(t->out.store, &t->out.error);
}

static void transfer_on_rested(uv_work_t *work, int status)
{
    (void)status;
    struct transfer *t = work->data;
    t->busy = false;
    if (t->closing) {
        transfer_free(t);
        return;
    }
    transfer_tell_news(t);
    if (t->out.error.text[0] != '\0')
        transfer_trouble(t, t->out.error.text);
    else
        transfer_well(t);
    if (t->resting)
        uv_timer_stop(&t->rest_timer);
    if (t->resting && t->troubled) /* it looks then whether that is over */
        uv_timer_start(&t->rest_timer, transfer_on_rest_due, t->retry_max_ms, TRANSFER_REST_MS);
    transfer_store(t); /* what has come in meanwhile */
}

/* Only when there is nothing to do: what fails and is tried again goes on holding the store as it is. */
static void transfer_on_rest_due(uv_timer_t *timer)
{
    struct transfer *t = timer->data;
    if (t->busy || t->writing != NULL || t->filling->owed_count > 0)
        return;
    t->busy = true;
    t->began_ms = clock_mono_ms();
    t->work.data = t;
    uv_queue_work(worker_loop(t->w), &t->work, transfer_rest_work, transfer_on_rested);
}

/* ---- messages ---- */

/* Room for the answer before the records are read: so that a record can never be stored and the answer forgotten. */
static struct transfer_owed *transfer_owe(struct transfer_batch *b, const char *name,
                                          uint64_t generation, uint64_t token)
{
    if (b->owed_count == b->owed_cap) {
        size_t cap = b->owed_cap ? 2 * b->owed_cap : 64;
        struct transfer_owed *grown = realloc(b->owed, cap * sizeof *grown);
        if (grown == NULL)
            return NULL;
        b->owed = grown;
        b->owed_cap = cap;
    }
    struct transfer_owed *o = &b->owed[b->owed_count];
    *o = (struct transfer_owed){.generation = generation,
                                .token = token,
                                .refused = b->refusals.len,
                                .rows = b->rows.count};
    slice_copy(slice_of(name), o->name, sizeof o->name);
    return o;
}

/*
 * Its sender would wait for an answer for ever; our death tells it, and blames its claim in case
 * these records are the cause.
 */
_Noreturn static void transfer_give_up(struct transfer *t, const char *from,
                                       const struct message_records *m, int rc)
{
    worker_exit(t->w, CONTRACT_EXIT_TEMPORARY,
                "cannot take %" PRIu64 " records from %s: %s; starting afresh", m->count, from,
                uv_strerror(rc));
}

static void transfer_on_records(struct transfer *t, const char *from, uint64_t generation,
                                const struct message_records *m)
{
    struct transfer_batch *b = t->filling;
    struct transfer_owed *o = transfer_owe(b, from, generation, m->token);
    int rc = o == NULL ? -ENOMEM
                       : transfer_records_read(&b->rows, &t->keys, m->records, m->count,
                                               &b->refusals, &o->refused_count);
    if (rc == 0)
        o->refused_len = b->refusals.len - o->refused;
    if (rc != 0 || !buffer_ok(&b->refusals))
        transfer_give_up(t, from, m, rc != 0 ? rc : -ENOMEM);
    b->owed_count++;
    if (t->writing != NULL)
        return; /* its turn comes after that */
    if (b->rows.count >= t->batch)
        transfer_store(t);
    else if (!uv_is_active((uv_handle_t *)&t->timer))
        uv_timer_start(&t->timer, transfer_on_timer, t->linger_ms, 0);
}

static void transfer_on_keyed(const struct key_service_done *done, void *ctx)
{
    struct transfer *t = ctx;
    t->keys.answers = done->keys;
    transfer_on_records(t, done->peer, done->generation, &done->message);
    t->keys.answers = NULL;
}

static bool transfer_on_message(struct worker *w, void *state, struct worker_peer *from,
                                uint64_t type, struct unpack *u)
{
    (void)w;
    struct transfer *t = state;
    struct message_records m;
    if (type != MESSAGE_RECORDS || !message_records_unpack(u, &m))
        return false;
    int rc = 0;
    if (t->key_service == NULL || m.count == 0)
        transfer_on_records(t, from->name, from->generation, &m);
    else
        rc = key_service_add(t->key_service, from, &m);
    if (rc != 0)
        transfer_give_up(t, from->name, &m, rc);
    return true;
}

static void transfer_on_down(struct worker *w, void *state, struct worker_peer *peer,
                             struct slice reason)
{
    (void)w;
    (void)reason;
    struct transfer *t = state;
    if (t->key_service != NULL)
        key_service_forget(t->key_service, peer);
}

/* ---- life ---- */

static struct template *transfer_template(struct worker *w, const char *what, const char *text)
{
    struct template *t = NULL;
    char why[256];
    if (template_compile(text, &t, why, sizeof why) != 0)
        worker_exit(w, CONTRACT_EXIT_CONFIG, "drain %s: %s = %s: %s",
                    worker_setting_text(w, "drain.name"), what, text, why);
    return t;
}

static void transfer_tell_holder(struct transfer *t)
{
    const char *dir = worker_setting_text(t->w, "platoon.state_dir");
    int rc = hold_who(dir, t->holder);
    if (rc != 0)
        log_debug("state-dir", "path=%s cause=%s", log_quote_text(dir), strerror(-rc));
    t->out.options.holder = t->holder;
}

static int transfer_init(struct worker *w, void *state)
{
    struct transfer *t = state;
    t->w = w;
    t->filling = &t->batches[0];
    t->batch = t->out.batch = worker_setting_u64(w, "drain.transfer.batch");
    t->linger_ms = worker_setting_u64(w, "drain.transfer.linger");
    t->retry_max_ms = worker_setting_u64(w, "store.retry_max");
    t->out.options = (struct store_options){.type = worker_setting_text(w, "store.type"),
                                            .path = worker_setting(w, "store.path"),
                                            .url = worker_setting(w, "store.url"),
                                            .table = worker_setting(w, "store.table"),
                                            .timeout_ms = worker_setting_u64(w, "store.timeout"),
                                            .cache_bytes = worker_setting_u64(w, "store.cache")};
    transfer_tell_holder(t);
    const char *bucket = worker_setting(w, "drain.bucket");
    t->keys.bucket_text =
        bucket != NULL && bucket[0] != '\0' ? bucket : worker_setting_text(w, "drain.name");
    t->keys.key_text = worker_setting_text(w, "drain.key");
    t->keys.bucket = transfer_template(w, "bucket", t->keys.bucket_text);
    t->keys.key = transfer_template(w, "key", t->keys.key_text);
    const char *service = worker_setting(w, "drain.key_service");
    if (service != NULL && service[0] != '\0')
        t->key_service = key_service_new(w, transfer_on_keyed, t);
    uv_timer_init(worker_loop(w), &t->timer);
    uv_timer_init(worker_loop(w), &t->drain_timer);
    t->timer.data = t;
    t->drain_timer.data = t;
    uv_timer_init(worker_loop(w), &t->rest_timer);
    t->rest_timer.data = t;
    uv_timer_start(&t->rest_timer, transfer_on_rest_due, TRANSFER_REST_MS, TRANSFER_REST_MS);
    /* A store that cannot be opened now may be there later: said in the tree, tried again. */
    if (store_open(&t->out.options, &t->out.store, &t->out.error) != STORE_OK) {
        transfer_trouble(t, t->out.error.text);
        uv_timer_set_repeat(&t->rest_timer, t->retry_max_ms);
    }
    return 0;
}

static void transfer_on_tick(struct worker *w, void *state)
{
    struct transfer *t = state;
    uint64_t stored = worker_counted(w, COUNTER_STORED);
    worker_gauge(w, COUNTER_IN_FLIGHT, transfer_waiting(t) + key_service_waiting(t->key_service));
    if (stored != t->last_stored)
        worker_doing(w, "%" PRIu64 " rows/s", stored - t->last_stored);
    else if (key_service_waiting(t->key_service) > 0)
        worker_doing(w, "%zu records wait for their keys", key_service_waiting(t->key_service));
    else if (transfer_waiting(t) > 0)
        worker_doing(w, "%zu records wait for the store", transfer_waiting(t));
    else
        worker_doing(w, "idle");
    t->last_stored = stored;
    if (t->busy && clock_mono_ms() - t->began_ms > TRANSFER_SLOW_MS) {
        char text[160];
        snprintf(text, sizeof text,
                 "the store has been writing one batch for %" PRIu64 " s: is its disk slow?",
                 (clock_mono_ms() - t->began_ms) / 1000);
        transfer_trouble(t, text);
    }
}

static void transfer_on_drain_over(uv_timer_t *timer)
{
    struct transfer *t = timer->data;
    log_warn("left-unstored",
             "records=%zu cause=\"store or key service fails; the ledger has them\"",
             transfer_waiting(t) + key_service_waiting(t->key_service));
    worker_finished(t->w);
}

static void transfer_drain(struct worker *w, void *state)
{
    struct transfer *t = state;
    if (transfer_is_empty(t)) {
        worker_finished(w);
        return;
    }
    uv_timer_start(&t->drain_timer, transfer_on_drain_over, TRANSFER_DRAIN_MS, 0);
    transfer_store(t);
}

static void transfer_free(struct transfer *t)
{
    transfer_store_fini(&t->out);
    template_free(t->keys.bucket);
    template_free(t->keys.key);
    for (size_t i = 0; i < 2; i++) {
        transfer_rows_fini(&t->batches[i].rows);
        buffer_fini(&t->batches[i].refusals);
        free(t->batches[i].owed);
    }
}

static void transfer_fini(struct worker *w, void *state)
{
    (void)w;
    struct transfer *t = state;
    key_service_free(t->key_service);
    uv_close((uv_handle_t *)&t->timer, NULL);
    uv_close((uv_handle_t *)&t->drain_timer, NULL);
    uv_close((uv_handle_t *)&t->rest_timer, NULL);
    t->closing = true;
    if (!t->busy)
        transfer_free(t); /* else when the thread is done: the skeleton runs the loop until then */
}

const struct worker_ops worker_ops = {
    .type = "transfer",
    .mailbox = &worker_mailbox,
    .state_size = sizeof(struct transfer),
    .init = transfer_init,
    .on_down = transfer_on_down,
    .on_message = transfer_on_message,
    .on_tick = transfer_on_tick,
    .drain = transfer_drain,
    .fini = transfer_fini,
};
