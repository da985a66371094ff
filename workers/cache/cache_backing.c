/*
 * cache_backing.c: the worker type cache-backing: what nodes ask of their cache's store.
 *
 * Makes the store that the section describes (a directory, S3), checks it until it can be used, and hands the nodes'
 * requests to it (backing_queue). It knows no clients, and nothing is lost with it: who has not been answered asks
 * again. It is READY when the store can be used, or when what is wrong is known, which is its trouble then; a store
 * that must not be used as it is configured ends it (78). Requests that fail make it look at the store again, now and
 * then: whether that is away or only does not take this one object, nobody else can say.
 */
#include "workers/cache/cache_backing_answers.h"

#include "common/clock.h"
#include "common/http/s3_credentials.h"
#include "common/log.h"
#include "workers/cache/backing/backing_file.h"
#include "workers/cache/backing/backing_grave.h"
#include "workers/cache/backing/backing_retry.h"
#include "workers/cache/backing/backing_s3.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define BACKING_NODE_TYPE    "cache-node"
#define BACKING_MANAGER_TYPE "cache-manager" /* it stores what a lost node has left */

#define BACKING_CHECK_MS                                                                           \
    10000u /* a check that takes longer is said to fail, so that READY does not wait for it */
#define BACKING_SLOW_MS                                                                            \
    5000u /* a request that takes longer, or a quarter of the store's timeout, is reason to look */
#define BACKING_GIVEN_UP_MS   500u /* … for one that a node has given up */
#define BACKING_WAITING_MAX   65536u
#define BACKING_WAITING_BYTES ((size_t)64 << 20)
#define BACKING_GRAVE_COUNT   65536u
#define BACKING_GRAVE_BYTES   ((size_t)16 << 20)
#define BACKING_ERASES        64u   /* tombstones a second at most */
#define BACKING_DRAIN_MS      5000u /* for what is under way at a stop */
#define BACKING_THREADS_MAX   32u   /* of a directory; each reserves a stack */

struct backing_worker {
    struct worker *w;
    struct backing *store; /* NULL: it could not be made yet */
    struct backing_queue *queue;
    struct backing_grave grave;
    struct backing_call *check; /* under way */
    uv_timer_t check_timer, drain_timer;
    struct cache_backing_answers answers;
    uint64_t timeout_ms, retry_max_ms;
    uint64_t checked_ms; /* when the last check ended; uv_now */
    uint64_t told_stored, told_loaded;
    unsigned failures; /* checks in a row */
    bool ready, draining;
};

/* ---- answers ---- */

static void backing_on_answer(const struct backing_to *to, const struct backing_answer *answer,
                              void *ctx)
{
    cache_backing_answers_give(&((struct backing_worker *)ctx)->answers, to, answer);
}

static bool backing_may_get(void *ctx)
{
    return !cache_backing_answers_wait(&((struct backing_worker *)ctx)->answers);
}

static void backing_finish(struct backing_worker *b)
{
    if (b->draining && backing_queue_running(b->queue) == 0 &&
        !cache_backing_answers_wait(&b->answers))
        worker_finished(b->w);
}

static void backing_on_room(void *ctx)
{
    struct backing_worker *b = ctx;
    backing_queue_go(b->queue);
    backing_finish(b);
}

/* ---- the store ---- */

/* STATE_DIR/cache/NAME/store, where the nodes have their directories. What cannot be made shows when it is written. */
static void backing_remembered(const struct backing_worker *b, char *path, size_t size)
{
    const char *state = worker_setting_text(b->w, "platoon.state_dir");
    const char *name = worker_setting_text(b->w, "cache.name");
    snprintf(path, size, "%s/cache", state);
    mkdir(path, 0700);
    snprintf(path, size, "%s/cache/%s", state, name);
    mkdir(path, 0700);
    snprintf(path, size, "%s/cache/%s/store", state, name);
}

static int backing_make_file(struct backing_worker *b)
{
    char remembered[PATH_MAX];
    backing_remembered(b, remembered, sizeof remembered);
    struct backing_file_options options = {.path = worker_setting_text(b->w, "store.path"),
                                           .remembered = remembered,
                                           .value_max =
                                               worker_setting_u64(b->w, "cache.object_max")};
    return backing_file_new(worker_loop(b->w), &options, &b->store);
}

/* Apart, because a person may mend it meanwhile, and the rest of what can be wrong is the configuration. */
static bool backing_has_credentials(const char *path, char why[BACKING_WHY_SIZE])
{
    struct s3_credentials_file file;
    int rc = s3_credentials_read(&file, path, why, BACKING_WHY_SIZE);
    s3_credentials_wipe(&file);
    return rc == 0;
}

static int backing_make_s3(struct backing_worker *b, char why[BACKING_WHY_SIZE])
{
    struct worker *w = b->w;
    struct backing_s3_options options = {
        .s3 = {.url = worker_setting_text(w, "store.url"),
               .region = worker_setting_text(w, "store.region"),
               .credentials_file = worker_setting_text(w, "store.credentials_file"),
               .host_style = strcmp(worker_setting_text(w, "store.style"), "host") == 0,
               .http = {.parallel = (unsigned)worker_setting_u64(w, "cache.backing.parallel"),
                        .timeout_ms = b->timeout_ms,
                        .answer_max = worker_setting_u64(w, "cache.object_max")}},
        .conditional = worker_setting_u64(w, "store.conditional") != 0,
        .known_max = BACKING_S3_KNOWN,
        .known_ms = BACKING_S3_KNOWN_MS,
        .doubt_ms = BACKING_S3_DOUBT_MS};
    if (!backing_has_credentials(options.s3.credentials_file, why))
        return -EAGAIN;
    return backing_s3_new(worker_loop(w), &options, &b->store, why, BACKING_WHY_SIZE);
}

/* 0; -EAGAIN: a person must mend something. */
static int backing_make(struct backing_worker *b, char why[BACKING_WHY_SIZE])
{
    if (b->store != NULL)
        return 0;
    snprintf(why, BACKING_WHY_SIZE, "memory is short");
    bool s3 = strcmp(worker_setting_text(b->w, "store.type"), "s3") == 0;
    int rc = s3 ? backing_make_s3(b, why) : backing_make_file(b);
    if (rc != 0 && rc != -EAGAIN)
        worker_exit(b->w, rc == -ENOMEM ? CONTRACT_EXIT_TEMPORARY : CONTRACT_EXIT_CONFIG,
                    "store %s: %s", worker_setting_text(b->w, "store.name"), why);
    return rc;
}

/* ---- its check ---- */

static void backing_on_check_due(uv_timer_t *timer);

static void backing_check_in(struct backing_worker *b, uint64_t ms)
{
    uv_timer_start(&b->check_timer, backing_on_check_due, ms, 0);
}

static void backing_is_known(struct backing_worker *b)
{
    if (!b->ready)
        worker_ready(b->w);
    b->ready = true;
}

static void backing_is_well(struct backing_worker *b)
{
    b->failures = 0;
    worker_trouble(b->w, "%s", "");
    if (!b->draining)
        backing_queue_open(b->queue, b->store);
    backing_is_known(b);
}

static void backing_is_ill(struct backing_worker *b, enum backing_result result, const char *why,
                           uint64_t asked_ms)
{
    uint32_t random = 0;
    uv_random(NULL, NULL, &random, sizeof random, 0, NULL); /* when it fails: no jitter */
    char text[BACKING_WHY_SIZE];
    int len = snprintf(text, sizeof text, "%.600s", why);
    if (asked_ms > 0)
        snprintf(text + len, sizeof text - (size_t)len, " (asks for %" PRIu64 " s)",
                 asked_ms / 1000);
    worker_trouble(b->w, "store %s: %s", worker_setting_text(b->w, "store.name"), text);
    if (!b->draining)
        backing_queue_close(b->queue, result, text);
    backing_is_known(b);
    backing_check_in(b, backing_retry_pause(++b->failures, asked_ms, b->retry_max_ms, random));
}

static void backing_on_checked(const struct backing_answer *answer, void *ctx)
{
    struct backing_worker *b = ctx;
    b->check = NULL;
    b->checked_ms = uv_now(worker_loop(b->w));
    if (answer->result == BACKING_REFUSED)
        worker_exit(b->w, CONTRACT_EXIT_CONFIG, "store %s: %s",
                    worker_setting_text(b->w, "store.name"), answer->why);
    if (answer->result == BACKING_DONE)
        backing_is_well(b);
    else
        backing_is_ill(b, answer->result, answer->why, answer->retry_after_ms);
}

/* OpenSSL whose beginning has failed fails for ever: a worker that has not worked yet begins anew, whole. */
static void backing_is_short(struct backing_worker *b)
{
    if (!b->ready)
        worker_exit(b->w, CONTRACT_EXIT_SHORT, "store %s: memory is short",
                    worker_setting_text(b->w, "store.name"));
    backing_is_ill(b, BACKING_AWAY, "memory is short", 0);
}

static void backing_begin_check(struct backing_worker *b)
{
    char why[BACKING_WHY_SIZE];
    uint64_t ms = b->timeout_ms < BACKING_CHECK_MS ? b->timeout_ms : BACKING_CHECK_MS;
    if (backing_make(b, why) != 0)
        backing_is_ill(b, BACKING_FORBIDDEN, why, 0);
    else if (b->store->ops->check(b->store, ms, backing_on_checked, b, &b->check) != 0)
        backing_is_short(b);
}

static void backing_on_check_due(uv_timer_t *timer)
{
    backing_begin_check(timer->data);
}

/* ---- what came of requests ---- */

/* Is the store at fault, or this object? Not more often than a store that is ill is looked at. */
static void backing_suspect(struct backing_worker *b)
{
    uint64_t now = uv_now(worker_loop(b->w)), next = b->checked_ms + b->retry_max_ms;
    if (b->check == NULL && !uv_is_active((uv_handle_t *)&b->check_timer))
        backing_check_in(b, next > now ? next - now : 0);
}

/* A store that says nothing at all is known before the first request's time is over, which may be an hour. */
static void backing_suspect_slow(struct backing_worker *b, uint64_t slow_ms)
{
    uint64_t slow = b->timeout_ms / 4 < slow_ms ? b->timeout_ms / 4 : slow_ms;
    if (!b->draining && b->failures == 0 && backing_queue_oldest_ms(b->queue) > slow)
        backing_suspect(b);
}

static void backing_count(struct backing_worker *b, const struct backing_ask *ask,
                          const struct backing_answer *answer)
{
    static const enum counter counters[] = {[BACKING_ASKED_PUT] = COUNTER_CACHE_BACKING_STORED,
                                            [BACKING_ASKED_GET] = COUNTER_CACHE_BACKING_LOADED,
                                            [BACKING_ASKED_ERASE] = COUNTER_CACHE_BACKING_ERASED};
    bool absent = answer->result == BACKING_ABSENT && ask->what == BACKING_ASKED_GET;
    if (answer->result == BACKING_DONE || absent)
        worker_count(b->w, counters[ask->what], 1);
    else if (answer->result != BACKING_NEWER)
        worker_count(b->w, COUNTER_CACHE_BACKING_ERRORS, 1);
    if (answer->result == BACKING_DONE)
        worker_count(b->w, COUNTER_CACHE_BACKING_BYTES, ask->value.len + answer->value.len);
}

static void backing_on_result(const struct backing_ask *ask, const struct backing_answer *answer,
                              void *ctx)
{
    struct backing_worker *b = ctx;
    backing_count(b, ask, answer);
    bool buried = ask->what == BACKING_ASKED_PUT && ask->meta.deleted;
    if (answer->result == BACKING_AWAY || answer->result == BACKING_FORBIDDEN)
        backing_suspect(b);
    else if (answer->result == BACKING_DONE && buried && b->store->erases)
        backing_grave_add(&b->grave, ask->key, ask->meta.version,
                          clock_mono_ms() + BACKING_GRAVE_MS);
}

static void backing_on_idle(void *ctx)
{
    backing_finish(ctx);
}

/* ---- messages ---- */

static bool backing_read_put(struct unpack *u, struct backing_ask *ask)
{
    struct message_object_put m;
    if (!message_object_put_unpack(u, &m) || m.version == 0 || m.form > 2 || m.deleted > 1)
        return false;
    ask->what = BACKING_ASKED_PUT;
    ask->to.token = m.token;
    ask->timeout_ms = m.timeout_ms;
    ask->key = m.key;
    ask->value = m.value;
    ask->meta = (struct backing_meta){.version = m.version,
                                      .expiry_ms = m.expiry_ms,
                                      .form = (unsigned)m.form,
                                      .deleted = m.deleted != 0};
    return true;
}

static bool backing_read_get(struct unpack *u, struct backing_ask *ask)
{
    struct message_object_get m;
    if (!message_object_get_unpack(u, &m))
        return false;
    ask->what = BACKING_ASKED_GET;
    ask->to.token = m.token;
    ask->timeout_ms = m.timeout_ms;
    ask->key = m.key;
    return true;
}

static bool backing_read_check(struct unpack *u, struct backing_ask *ask)
{
    struct message_object_check m;
    if (!message_object_check_unpack(u, &m))
        return false;
    ask->what = BACKING_ASKED_CHECK;
    ask->to.token = m.token;
    ask->timeout_ms = m.timeout_ms;
    return true;
}

static bool backing_read_cancel(struct backing_worker *b, struct unpack *u, struct backing_to *to)
{
    struct message_object_cancel m;
    if (!message_object_cancel_unpack(u, &m))
        return false;
    to->token = m.token;
    backing_suspect_slow(
        b,
        BACKING_GIVEN_UP_MS); /* a get goes with it, and nobody else would see how long it took */
    backing_queue_cancel(b->queue, to);
    return true;
}

static bool backing_on_message(struct worker *w, void *state, struct worker_peer *from,
                               uint64_t type, struct unpack *u)
{
    (void)w;
    struct backing_worker *b = state;
    if (strcmp(from->type, BACKING_NODE_TYPE) != 0 && strcmp(from->type, BACKING_MANAGER_TYPE) != 0)
        return false; /* what others write there the nodes would take for their own */
    struct backing_ask ask = {.to = {.generation = from->generation},
                              .key = slice_of(""),
                              .value = slice_of(""),
                              .meta = BACKING_META_NONE};
    slice_copy(slice_of(from->name), ask.to.name, sizeof ask.to.name);
    if (type == MESSAGE_OBJECT_CANCEL)
        return backing_read_cancel(b, u, &ask.to);
    bool read = type == MESSAGE_OBJECT_PUT     ? backing_read_put(u, &ask)
                : type == MESSAGE_OBJECT_GET   ? backing_read_get(u, &ask)
                : type == MESSAGE_OBJECT_CHECK ? backing_read_check(u, &ask)
                                               : false;
    if (read)
        backing_queue_add(b->queue, &ask);
    return read;
}

static void backing_on_down(struct worker *w, void *state, struct worker_peer *peer,
                            struct slice reason)
{
    (void)w;
    (void)reason;
    struct backing_worker *b = state;
    backing_queue_forget(b->queue, peer->name, peer->generation);
}

/* ---- life ---- */

/* A request at a directory blocks a thread of libuv's, of which there are 4 unless it is told before the first. */
static void backing_set_threads(uint64_t parallel)
{
    char text[16];
    snprintf(text, sizeof text, "%" PRIu64,
             parallel < BACKING_THREADS_MAX ? parallel : BACKING_THREADS_MAX);
    setenv("UV_THREADPOOL_SIZE", text, 0);
}

static void backing_open_timer(struct backing_worker *b, uv_timer_t *timer)
{
    uv_timer_init(worker_loop(b->w), timer);
    timer->data = b;
}

static int backing_init(struct worker *w, void *state)
{
    static const struct backing_queue_events events = {.on_answer = backing_on_answer,
                                                       .on_result = backing_on_result,
                                                       .may_get = backing_may_get,
                                                       .on_idle = backing_on_idle};
    struct backing_worker *b = state;
    uint64_t parallel = worker_setting_u64(w, "cache.backing.parallel");
    b->w = w;
    b->timeout_ms = worker_setting_u64(w, "store.timeout");
    b->retry_max_ms = worker_setting_u64(w, "store.retry_max");
    b->grave =
        (struct backing_grave){.count_max = BACKING_GRAVE_COUNT, .bytes_max = BACKING_GRAVE_BYTES};
    struct backing_queue_options options = {.parallel = parallel,
                                            .waiting_max = BACKING_WAITING_MAX,
                                            .bytes_max = BACKING_WAITING_BYTES,
                                            .timeout_max = b->timeout_ms};
    backing_set_threads(parallel);
    b->queue = backing_queue_new(worker_loop(w), &options, &events, b);
    if (b->queue == NULL)
        worker_exit(w, CONTRACT_EXIT_TEMPORARY, "out of memory");
    backing_open_timer(b, &b->check_timer);
    cache_backing_answers_open(&b->answers, w, backing_on_room, b);
    backing_open_timer(b, &b->drain_timer);
    worker_hold_ready(w);
    backing_check_in(b, 0); /* not from within init: READY may come of it at once */
    return 0;
}

/* Some each second: they have time, and those who wait have not. */
static void backing_erase_some(struct backing_worker *b)
{
    struct backing_tomb *t;
    for (unsigned i = 0; i < BACKING_ERASES && !b->draining && b->failures == 0; i++) {
        t = backing_grave_take(&b->grave, clock_mono_ms());
        if (t == NULL)
            return;
        struct backing_ask ask = {.what = BACKING_ASKED_ERASE,
                                  .key = backing_tomb_key(t),
                                  .value = slice_of(""),
                                  .meta = {.version = t->version},
                                  .timeout_ms = b->timeout_ms};
        backing_queue_add(b->queue, &ask);
        free(t);
    }
}

static void backing_on_tick(struct worker *w, void *state)
{
    struct backing_worker *b = state;
    size_t waiting = backing_queue_waiting(b->queue), running = backing_queue_running(b->queue);
    uint64_t stored = worker_counted(w, COUNTER_CACHE_BACKING_STORED);
    uint64_t loaded = worker_counted(w, COUNTER_CACHE_BACKING_LOADED);
    worker_gauge(w, COUNTER_CACHE_BACKING_WAITING, waiting);
    worker_gauge(w, COUNTER_CACHE_BACKING_RUNNING, running);
    if (stored != b->told_stored || loaded != b->told_loaded)
        worker_doing(w, "%" PRIu64 " stores/s, %" PRIu64 " loads/s", stored - b->told_stored,
                     loaded - b->told_loaded);
    else if (waiting + running > 0)
        worker_doing(w, "%zu requests wait for the store", waiting + running);
    else
        worker_doing(w, "idle");
    b->told_stored = stored;
    b->told_loaded = loaded;
    backing_erase_some(b);
    backing_suspect_slow(b, BACKING_SLOW_MS);
}

static void backing_on_drain_over(uv_timer_t *timer)
{
    struct backing_worker *b = timer->data;
    log_warn("left-unanswered", "requests=%zu cause=\"the store is slow; the nodes ask again\"",
             backing_queue_running(b->queue));
    worker_finished(b->w);
}

static void backing_drain(struct worker *w, void *state)
{
    struct backing_worker *b = state;
    char why[BACKING_WHY_SIZE];
    b->draining = true;
    uv_timer_stop(&b->check_timer);
    snprintf(why, sizeof why, "%s is being stopped: platoonctl start %s", worker_name(w),
             worker_name(w));
    backing_queue_close(b->queue, BACKING_AWAY, why);
    uv_timer_start(&b->drain_timer, backing_on_drain_over, BACKING_DRAIN_MS, 0);
    backing_finish(b);
}

static void backing_fini(struct worker *w, void *state)
{
    (void)w;
    struct backing_worker *b = state;
    if (b->queue == NULL)
        return;
    backing_queue_free(b->queue);
    if (b->store != NULL)
        b->store->ops->free(b->store);
    backing_grave_fini(&b->grave);
    uv_close((uv_handle_t *)&b->check_timer, NULL);
    cache_backing_answers_close(&b->answers);
    uv_close((uv_handle_t *)&b->drain_timer, NULL);
}

const struct worker_ops worker_ops = {
    .type = "cache-backing",
    .mailbox = &worker_mailbox,
    .state_size = sizeof(struct backing_worker),
    .init = backing_init,
    .on_down = backing_on_down,
    .on_message = backing_on_message,
    .on_tick = backing_on_tick,
    .drain = backing_drain,
    .fini = backing_fini,
};
