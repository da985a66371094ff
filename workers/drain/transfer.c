/*
 * transfer.c: the transfer worker: takes records in, stores them in batches, says `stored` only when they are durable.
 *
 * The store blocks on its disk, so it has a thread, for one batch at a time: meanwhile the loop reads the next, and a disk that hangs does not make
 * the worker look dead. The two threads share nothing: what the store's thread may touch is handed over and taken back whole.
 *
 * With a key service, a message waits there until every record has its key; then it goes the way all go. Knows nothing of Redis. Holds at most what the senders' windows allow (get_hash.window each): it answers nothing while the store fails, so
 * the senders stop. What it holds is in the ledger too, so it may die at any point.
 */
#include "workers/drain/transfer.h"
#include "workers/drain/transfer_key_service.h"

#include "common/clock.h"
#include "common/fault.h"
#include "common/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define TRANSFER_RETRY_MS 50   /* first pause after a failed transaction; doubles */
#define TRANSFER_DRAIN_MS 2000 /* how long a stop goes on trying a store that fails */
#define TRANSFER_SLOW_MS  5000 /* a batch takes milliseconds; beyond this the tree says so */

/* What is owed to a sender: the answer to one RECORDS message. */
struct transfer_owed {
    char name[CONTRACT_NAME_MAX];
    uint64_t generation;
    uint64_t token;
    size_t refused, refused_len; /* in transfer->refusals: the packed array */
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
    uv_timer_t drain_timer;
    /* The store's thread's while `busy`. */
    uv_work_t work;
    struct store *store;
    struct store_options options;
    struct store_record *records;
    size_t record_cap;
    enum store_result result;
    struct store_error error;
};

/* ---- answers ---- */

static void transfer_answer(struct transfer *t, const struct transfer_batch *b,
                            const struct transfer_owed *o)
{
    struct worker_peer *to = worker_peer_find(t->w, o->name);
    if (to == NULL || to->generation != o->generation)
        return; /* it died: its claims are somebody else's now */
    struct message_stored m = {.token = o->token};
    if (o->refused_len > 0)
        m.refused = slice_make(b->refusals.data + o->refused, o->refused_len);
    struct buffer *out = worker_compose(t->w);
    message_stored_pack(out, &m);
    worker_must_send(t->w, to, out);
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

static int transfer_by_key(const void *a, const void *b)
{
    const struct store_record *x = a, *y = b;
    const struct slice pairs[2][2] = {{x->bucket, y->bucket}, {x->key, y->key}};
    for (int i = 0; i < 2; i++) {
        size_t n = pairs[i][0].len < pairs[i][1].len ? pairs[i][0].len : pairs[i][1].len;
        int order = n > 0 ? memcmp(pairs[i][0].ptr, pairs[i][1].ptr, n) : 0;
        if (order == 0)
            order = (pairs[i][0].len > pairs[i][1].len) - (pairs[i][0].len < pairs[i][1].len);
        if (order != 0)
            return order;
    }
    return (x->seq > y->seq) - (x->seq < y->seq);
}

/* In key order: neighbours share pages of the tree. Of one key the newest comes last, and stays. */
static bool transfer_lay_out(struct transfer *t, const struct transfer_rows *rows)
{
    if (rows->count > t->record_cap) {
        struct store_record *grown = realloc(t->records, rows->count * sizeof *grown);
        if (grown == NULL)
            return false;
        t->records = grown;
        t->record_cap = rows->count;
    }
    uint64_t now = clock_wall_ms();
    const char *bytes = rows->bytes.data;
    for (size_t i = 0; i < rows->count; i++) {
        const struct transfer_row *r = &rows->list[i];
        t->records[i] =
            (struct store_record){.bucket = slice_make(bytes + r->bucket, r->bucket_len),
                                  .key = slice_make(bytes + r->key, r->key_len),
                                  .data = slice_make(bytes + r->data, r->data_len),
                                  .seq = r->seq,
                                  .updated_at_ms = now};
    }
    qsort(t->records, rows->count, sizeof *t->records, transfer_by_key);
    return true;
}

static enum store_result transfer_write(struct transfer *t, const struct transfer_rows *rows)
{
    if (rows->count == 0)
        return STORE_OK; /* every record was refused */
    snprintf(t->error.text, sizeof t->error.text, "memory is short for a batch of %zu records",
             rows->count);
    enum store_result result = transfer_lay_out(t, rows) ? STORE_OK : STORE_RETRY;
    if (result == STORE_OK && t->store == NULL)
        result = store_open(&t->options, &t->store, &t->error);
    if (FAULT_POINT("transfer.before-store", slice_of("")))
        result = STORE_RETRY;
    /* In key order over all of it, and no transaction above `batch`: when a later one fails, writing the earlier ones again does no harm. */
    for (size_t at = 0; at < rows->count && result == STORE_OK; at += t->batch) {
        size_t n = rows->count - at < t->batch ? rows->count - at : (size_t)t->batch;
        result = store_write(t->store, t->records + at, n, &t->error);
    }
    return result;
}

static void transfer_work(uv_work_t *work)
{
    struct transfer *t = work->data;
    t->result = transfer_write(t, &t->writing->rows);
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

static void transfer_on_timer(uv_timer_t *timer);
static void transfer_on_written(uv_work_t *work, int status);

static void transfer_failed(struct transfer *t)
{
    t->retry_ms = t->retry_ms == 0 ? TRANSFER_RETRY_MS : t->retry_ms * 2;
    if (t->retry_ms > t->retry_max_ms || t->result == STORE_BROKEN)
        t->retry_ms = t->retry_max_ms;
    transfer_trouble(t, t->error.text);
    worker_count(t->w, COUNTER_STORE_ERRORS, 1);
    uv_timer_start(&t->timer, transfer_on_timer, t->retry_ms, 0);
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
    if (t->result != STORE_OK || FAULT_POINT("transfer.after-store", slice_of(""))) {
        transfer_failed(t);
        return;
    }
    if (t->troubled)
        transfer_trouble(t, "");
    t->retry_ms = 0;
    worker_count(t->w, COUNTER_STORED, t->writing->rows.count);
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
    *o = (struct transfer_owed){
        .generation = generation, .token = token, .refused = b->refusals.len};
    slice_copy(slice_of(name), o->name, sizeof o->name);
    return o;
}

/* Its sender would wait for an answer for ever; our death tells it, and blames its claim in case these records are the cause. */
_Noreturn static void transfer_give_up(struct transfer *t, const char *from,
                                       const struct message_records *m, int rc)
{
    worker_exit(t->w, CONTRACT_EXIT_TEMPORARY,
                "cannot take %" PRIu64 " records from %s: %s; starting afresh", m->count, from,
                uv_strerror(rc));
}

/* Puts the array's header in front of the entries that were packed behind `o->refused`. */
static void transfer_note_refusals(struct transfer_batch *b, struct transfer_owed *o,
                                   struct buffer *entries, uint32_t count)
{
    if (count == 0)
        return;
    pack_array(&b->refusals, count);
    buffer_append_slice(&b->refusals, buffer_slice(entries));
    o->refused_len = b->refusals.len - o->refused;
}

static void transfer_on_records(struct transfer *t, const char *from, uint64_t generation,
                                const struct message_records *m)
{
    struct buffer entries = BUFFER_EMPTY;
    uint32_t refused = 0;
    struct transfer_batch *b = t->filling;
    struct transfer_owed *o = transfer_owe(b, from, generation, m->token);
    int rc = o == NULL ? -ENOMEM
                       : transfer_records_read(&b->rows, &t->keys, m->records, m->count, &entries,
                                               &refused);
    if (rc == 0)
        transfer_note_refusals(b, o, &entries, refused);
    bool good = rc == 0 && buffer_ok(&entries) && buffer_ok(&b->refusals);
    buffer_fini(&entries);
    if (!good)
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

static int transfer_init(struct worker *w, void *state)
{
    struct transfer *t = state;
    t->w = w;
    t->filling = &t->batches[0];
    t->batch = worker_setting_u64(w, "drain.transfer.batch");
    t->linger_ms = worker_setting_u64(w, "drain.transfer.linger");
    t->retry_max_ms = worker_setting_u64(w, "store.retry_max");
    t->options = (struct store_options){.type = worker_setting_text(w, "store.type"),
                                        .path = worker_setting(w, "store.path"),
                                        .url = worker_setting(w, "store.url"),
                                        .table = worker_setting(w, "store.table"),
                                        .timeout_ms = worker_setting_u64(w, "store.timeout"),
                                        .cache_bytes = worker_setting_u64(w, "store.cache")};
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
    /* A store that cannot be opened now may be there later: said in the tree, tried again with the first batch. */
    if (store_open(&t->options, &t->store, &t->error) != STORE_OK)
        transfer_trouble(t, t->error.text);
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
    store_close(t->store);
    template_free(t->keys.bucket);
    template_free(t->keys.key);
    for (size_t i = 0; i < 2; i++) {
        transfer_rows_fini(&t->batches[i].rows);
        buffer_fini(&t->batches[i].refusals);
        free(t->batches[i].owed);
    }
    free(t->records);
}

static void transfer_fini(struct worker *w, void *state)
{
    (void)w;
    struct transfer *t = state;
    key_service_free(t->key_service);
    uv_close((uv_handle_t *)&t->timer, NULL);
    uv_close((uv_handle_t *)&t->drain_timer, NULL);
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
