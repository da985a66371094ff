/*
 * cache_node.c: the worker type cache-node: objects in memory and in their log, for clients of Redis' protocol.
 *
 * Puts the parts together: what is in memory (cache_db), its log (cache_log), clients (cache_client, cache_turn,
 * cache_listen), who calls or asks (cache_mail), and, where the cache has a store, who says it what (cache_far), what
 * goes there (cache_behind), and who waits for it (cache_park). It holds its directory by a lock, for two that write
 * one log would spoil it. READY comes when the log is read and clients can connect. It stops when what is acknowledged
 * is on the disk; what clients are in the middle of they ask its successor.
 */
#include "workers/cache/cache_above.h"
#include "workers/cache/cache_behind.h"
#include "workers/cache/cache_far.h"
#include "workers/cache/cache_node_worker.h"
#include "workers/cache/cache_park.h"
#include "workers/cache/cache_reads.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/redis/redis_tls.h"
#include "common/words.h"
#include "workers/cache/cache_tls.h"
#include "workers/cache/command/command.h"
#include "workers/cache/command/command_stats.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#define NODE_SEGMENT_MIN ((size_t)4 << 20) /* of the log; above that a sixteenth of memory */
#define NODE_SEGMENT_MAX ((size_t)64 << 20)
#define NODE_LOADS                                                                                 \
    2 /* for each that the store takes at once: so that it need not wait for the next */
#define NODE_LOAD_RETRY_MS 1000 /* somebody waits for it: the longest pause */

/* ---- memory and log ---- */

static void node_random(struct node *n, void *to, size_t size)
{
    if (getrandom(to, size, 0) != (ssize_t)size)
        worker_exit(n->w, CONTRACT_EXIT_TEMPORARY, "getrandom: %s", strerror(errno));
}

/* What is dirty is in the log, and its successor stores it: here it waits for a store that works, and not long. */
static bool node_is_stored(const struct node *n)
{
    return n->cache.behind == NULL || cache_db_dirt(n->cache.db).keys == 0 ||
           cache_behind_trouble(n->cache.behind)[0] != '\0' ||
           clock_mono_ms() - n->drain_ms > worker_setting_u64(n->w, "cache.timeout");
}

/* Who waits for an answer has it before the end. */
static void node_finish(struct node *n)
{
    if (n->draining && cache_mail_is_empty(&n->mail) && node_is_stored(n) && node_has_left(n)) {
        n->draining = false;
        node_tell_unstored(n);
        worker_finished(n->w);
    }
}

static void node_on_synced(void *ctx)
{
    struct node *n = ctx;
    cache_turn_synced(&n->cache.turn);
    if (n->cache.member != NULL)
        cache_member_synced(n->cache.member);
    node_finish(n);
}

static void node_on_expected(size_t count, void *ctx)
{
    struct node *n = ctx;
    cache_db_expect(count, n->cache.db);
}

static int node_on_records(const struct cache_log_record *r, size_t count, uint32_t segment,
                           void *ctx)
{
    struct node *n = ctx;
    return cache_db_replay(r, count, segment, n->cache.db);
}

static bool node_is_alive(struct cache_log_record *r, uint32_t segment, void *ctx)
{
    struct node *n = ctx;
    return cache_db_is_alive(r, segment, n->cache.db);
}

static void node_on_moved(const struct cache_log_record *r, uint32_t segment, void *ctx)
{
    struct node *n = ctx;
    cache_db_moved(r, segment, n->cache.db);
}

static void node_on_alive(void *ctx)
{
    struct node *n = ctx;
    worker_keepalive(n->w);
}

static void node_open_db(struct node *n)
{
    const struct cache_node_options *o = &n->cache.options;
    uint8_t id[20];
    struct cache_db_options options = {.memory_max = o->memory_max,
                                       .object_max = o->object_max,
                                       .dirty_max = worker_setting_u64(n->w, "cache.dirty_max"),
                                       .evict = o->evict,
                                       .stored = o->stored,
                                       .copied = node_copies(n),
                                       .volatiles = node_setting(n, "cache.volatile")};
    node_random(n, n->hash_key, sizeof n->hash_key);
    node_random(n, id, sizeof id);
    for (size_t i = 0; i < sizeof id; i++)
        snprintf(n->cache.run_id + 2 * i, 3, "%02x", id[i]);
    n->cache.db = cache_db_new(&options, n->hash_key);
    n->cache.read = malloc(CACHE_READ_SIZE);
    n->cache.stats = command_stats_new(n->cache.commands->table);
    if (n->cache.db == NULL || n->cache.read == NULL || n->cache.stats == NULL)
        worker_exit(n->w, CONTRACT_EXIT_TEMPORARY, "out of memory");
}

/* What its log knows the store by, "" without one: who looks after it there, and with which key, may change. */
static char *node_store(const struct node *n)
{
    bool s3 = n->cache.options.stored && strcmp(worker_setting_text(n->w, "store.type"), "s3") == 0;
    const char *place =
        n->cache.options.stored ? worker_setting_text(n->w, s3 ? "store.url" : "store.path") : "";
    size_t size = strlen(place) + sizeof "file ";
    char *text = malloc(size);
    if (text != NULL)
        snprintf(text, size, "%s%s", place[0] == '\0' ? "" : s3 ? "s3 " : "file ", place);
    else
        worker_exit(n->w, CONTRACT_EXIT_TEMPORARY, "out of memory");
    return text;
}

static void node_open_log(struct node *n)
{
    static const struct cache_log_events events = {.on_expected = node_on_expected,
                                                   .on_records = node_on_records,
                                                   .on_synced = node_on_synced,
                                                   .is_alive = node_is_alive,
                                                   .on_moved = node_on_moved};
    char why[PATH_MAX + 256];
    char *store = node_store(n);
    size_t segment = n->cache.options.memory_max / 16;
    struct cache_log_options options = {.dir = n->dir,
                                        .segment_max = segment < NODE_SEGMENT_MIN ? NODE_SEGMENT_MIN
                                                       : segment > NODE_SEGMENT_MAX
                                                           ? NODE_SEGMENT_MAX
                                                           : segment,
                                        .fsync = n->cache.options.fsync,
                                        .store = store};
    uint64_t began = clock_mono_ms();
    cache_db_begin(n->cache.db, (int64_t)clock_wall_ms() * 1000, began);
    int rc = cache_log_open(n->cache.loop, &options, &events, n, node_on_alive, &n->found,
                            &n->cache.log, why, sizeof why);
    free(store);
    bool foreign =
        rc == -EEXIST || rc == -EPROTONOSUPPORT; /* a start is of no use before it is moved */
    if (rc != 0)
        worker_exit(n->w, foreign ? CONTRACT_EXIT_CONFIG : contract_exit_for(-rc), "%s", why);
    cache_db_attach(n->cache.db, n->cache.log);
    log_info("log-read", "records=%" PRIu64 " objects=%zu ms=%" PRIu64, n->found.records,
             cache_db_count(n->cache.db), clock_mono_ms() - began);
    if (n->found.cut_bytes > 0)
        log_info("log-cut", "bytes=%" PRIu64 " reason=\"it ended in the middle of a record\"",
                 n->found.cut_bytes);
    if (n->found.damaged == 0)
        return;
    snprintf(n->damaged, sizeof n->damaged,
             "%s: %" PRIu64 " place%s of the log (%" PRIu64
             " bytes) could not be read at its start: what stood there "
             "is gone, and older values may be back: look at the disk (smartctl, dmesg), then "
             "restart this node",
             n->dir, n->found.damaged, n->found.damaged == 1 ? "" : "s", n->found.damaged_bytes);
    worker_trouble(n->w, "%s", n->damaged);
}

/* ---- the store ---- */

static void node_on_change(void *ctx)
{
    struct node *n = ctx;
    cache_park_changed(n->cache.park);
    if (n->cache.member != NULL)
        cache_member_changed(n->cache.member);
    node_finish(n);
}

static void node_on_stored(void *ctx, struct slice key, uint64_t version)
{
    struct node *n = ctx;
    cache_park_passed(n->cache.park, key, version);
}

static void node_on_kept(void *ctx, struct slice key, uint64_t version)
{
    struct node *n = ctx;
    if (n->cache.second != NULL)
        cache_second_drop(n->cache.second, key, version);
}

static bool node_may_store(void *ctx)
{
    struct node *n = ctx;
    return (n->cache.member == NULL || cache_member_may_store(n->cache.member)) &&
           (n->cache.second == NULL || !cache_second_is_full(n->cache.second));
}

static enum cache_may_put node_may_put(void *ctx, struct slice key)
{
    struct node *n = ctx;
    return n->cache.member == NULL ? CACHE_MAY_PUT : cache_member_may_put(n->cache.member, key);
}

static void node_open_behind(struct node *n)
{
    struct worker *w = n->w;
    struct cache_behind_options options = {
        .write_delay_ms = worker_setting_u64(w, "cache.write_delay"),
        .idle_ms = worker_setting_u64(w, "cache.idle"),
        .retry_max_ms = worker_setting_u64(w, "store.retry_max"),
        .timeout_ms = worker_setting_u64(w, "store.timeout"),
        .parallel = (unsigned)worker_setting_u64(w, "cache.backing.parallel"),
        .may = node_may_store,
        .may_put = node_may_put,
        .on_change = node_on_change,
        .on_stored = node_on_stored,
        .on_kept = node_on_kept,
        .ctx = n};
    n->cache.behind = cache_behind_new(n->cache.loop, n->cache.db, n->store, &options);
}

static void node_open_park(struct node *n)
{
    struct worker *w = n->w;
    uint64_t retry_max = worker_setting_u64(w, "store.retry_max");
    struct cache_park_options options = {
        .node = &n->cache,
        .backing = n->store,
        .hash_key = n->hash_key,
        .timeout_ms = worker_setting_u64(w, "cache.timeout"),
        .retry_max_ms = retry_max < NODE_LOAD_RETRY_MS ? retry_max : NODE_LOAD_RETRY_MS,
        .parallel = (unsigned)worker_setting_u64(w, "cache.backing.parallel") * NODE_LOADS};
    n->cache.park = cache_park_new(&options);
}

static bool node_owns(void *ctx, struct slice key)
{
    struct node *n = ctx;
    return cache_member_owns(n->cache.member, key);
}

static void node_begin_turn(void *ctx)
{
    struct node *n = ctx;
    cache_turn_begin(&n->cache.turn);
}

/* Its loads are of their own: what the store has of another node's objects. */
static void node_open_reads(struct node *n)
{
    struct worker *w = n->w;
    uint64_t retry_max = worker_setting_u64(w, "store.retry_max");
    struct cache_reads_options options = {
        .node = &n->cache,
        .backing = n->store,
        .hash_key = n->hash_key,
        .timeout_ms = worker_setting_u64(w, "cache.timeout"),
        .retry_max_ms = retry_max < NODE_LOAD_RETRY_MS ? retry_max : NODE_LOAD_RETRY_MS,
        .parallel = (unsigned)worker_setting_u64(w, "cache.backing.parallel") * NODE_LOADS,
        .owns = node_owns,
        .on_answer = node_begin_turn,
        .ctx = n};
    if (n->cache.member == NULL)
        return;
    n->cache.reads = cache_reads_new(&options);
    if (n->cache.reads == NULL)
        worker_exit(w, CONTRACT_EXIT_TEMPORARY, "out of memory");
}

static void node_open_store(struct node *n)
{
    struct cache_far_options options = {
        .workers = n->workers, .parallel = worker_setting_u64(n->w, "cache.backing.parallel")};
    if (!n->cache.options.stored)
        return;
    snprintf(n->workers, sizeof n->workers, "cache/%s/backing",
             worker_setting_text(n->w, "cache.name"));
    n->store = cache_far_new(n->w, &options);
    if (n->store != NULL)
        node_open_park(n);
    if (n->cache.park != NULL)
        node_open_behind(n);
    if (n->cache.behind == NULL)
        worker_exit(n->w, CONTRACT_EXIT_TEMPORARY, "out of memory");
    node_open_reads(n);
}

/* Cancelled is what is under way; all of it is in the log. */
static void node_close_store(struct node *n)
{
    cache_behind_free(n->cache.behind);
    cache_park_free(n->cache.park);
    cache_reads_free(n->cache.reads);
    n->cache.behind = NULL;
    n->cache.park = NULL;
    n->cache.reads = NULL;
    if (n->store != NULL)
        n->store->ops->free(n->store);
    n->store = NULL;
}

static void node_on_up(struct worker *w, void *state, struct worker_peer *peer)
{
    (void)w;
    struct node *n = state;
    if (n->store != NULL)
        cache_far_on_up(n->store, peer);
    node_ring_on_up(n, peer);
}

static void node_on_down(struct worker *w, void *state, struct worker_peer *peer,
                         struct slice reason)
{
    (void)w;
    struct node *n = state;
    if (n->store != NULL)
        cache_far_on_down(n->store, peer, reason);
    node_ring_on_down(n, peer);
    cache_mail_on_down(peer);
}

/* ---- life ---- */

static int node_listen(struct node *n)
{
    struct buffer text = BUFFER_EMPTY;
    char why[512];
    words_expand_number(worker_setting_text(n->w, "cache.listen"), node_number(n), &text);
    const char *addresses = buffer_text(&text);
    if (addresses == NULL)
        worker_exit(n->w, CONTRACT_EXIT_TEMPORARY, "out of memory");
    int rc = cache_listen_start(&n->cache, addresses, why, sizeof why);
    if (rc != 0)
        worker_trouble(n->w, "%s", why);
    buffer_fini(&text);
    return rc == 0 ? 0 : CONTRACT_EXIT_TEMPORARY;
}

static int node_init(struct worker *w, void *state)
{
    struct node *n = state;
    n->w = w;
    n->finish = node_finish;
    n->hold = -1;
    n->cache.loop = worker_loop(w);
    n->cache.commands = command_all();
    n->cache.born_ms = clock_mono_ms();
    n->mail = (struct cache_mail){.w = w, .node = &n->cache};
    node_read_settings(n);
    node_take_dir(n);
    node_open_db(n);
    if (cache_turn_start(&n->cache.turn, &n->cache) != 0)
        return CONTRACT_EXIT_TEMPORARY;
    node_open_ring(n);
    node_open_log(n);
    node_open_store(n);
    return node_listen(n);
}

static void node_on_tick(struct worker *w, void *state)
{
    struct node *n = state;
    (void)w;
    cache_log_tick(n->cache.log);
    cache_listen_tick(&n->cache);
    cache_above_tick(&n->cache);
    cache_rates_tick(&n->cache);
    cache_input_tick(&n->cache);
    cache_tls_tick(&n->cache);
    cache_turn_tick(&n->cache.turn);
    cache_mail_tick(&n->mail);
    cache_trim(&n->trim, cache_db_bytes(n->cache.db));
    if (n->cache.behind != NULL)
        cache_behind_tick(n->cache.behind);
    if (n->cache.member != NULL)
        cache_member_tick(n->cache.member);
    node_tell(n);
    node_finish(n);
}

static bool node_on_message(struct worker *w, void *state, struct worker_peer *from, uint64_t type,
                            struct unpack *u)
{
    (void)w;
    struct node *n = state;
    if (n->store != NULL && cache_far_on_message(n->store, from, type, u))
        return true;
    if (node_ring_on_message(n, from, type, u))
        return true;
    return cache_mail_on_message(&n->mail, from, type, u);
}

static void node_on_request(struct worker *w, void *state, const struct link_request *request)
{
    (void)w;
    struct node *n = state;
    cache_mail_on_request(&n->mail, request);
}

/*
 * What has been acknowledged is in the log; nothing is in flight but what was called for and waits for it. Who waits
 * for the store is told that it is in vain, and that is sent before the connections end.
 */
static void node_drain(struct worker *w, void *state)
{
    (void)w;
    struct node *n = state;
    cache_listen_stop(&n->cache);
    if (n->store != NULL) {
        cache_park_stop(n->cache.park);
        cache_turn_finish(&n->cache.turn);
        cache_behind_hurry(n->cache.behind, true);
    }
    cache_client_end_all(&n->cache);
    n->drain_ms = clock_mono_ms();
    n->draining = true;
    node_finish(n);
}

static void node_fini(struct worker *w, void *state)
{
    struct node *n = state;
    cache_listen_stop(&n->cache);
    cache_client_end_all(&n->cache);
    cache_mail_fini(&n->mail);
    node_close_ring(n);
    node_close_store(n);
    if (n->cache.turn.node != NULL)
        cache_turn_stop(&n->cache.turn);
    cache_turn_free(&n->cache.turn);
    if (cache_log_close(n->cache.log) != 0)
        worker_add_last_words(w, "the log's end could not be written");
    cache_db_free(n->cache.db);
    redis_tls_free(n->cache.tls);
    command_stats_free(n->cache.stats);
    free(n->cache.read);
    if (n->hold >= 0)
        close(n->hold);
}

const struct worker_ops worker_ops = {
    .type = "cache-node",
    .mailbox = &worker_mailbox,
    .state_size = sizeof(struct node),
    .init = node_init,
    .on_up = node_on_up,
    .on_down = node_on_down,
    .on_message = node_on_message,
    .on_request = node_on_request,
    .on_tick = node_on_tick,
    .drain = node_drain,
    .fini = node_fini,
};
