/*
 * test_get_hash.c: claims and frames of a get-hash (workers/drain/get_hash_claim.c, get_hash_frames.c) between a Redis
 * and transfers that answer when the test says so.
 *
 * Redis (workers/drain/drain_ledger.h), the skeleton and get_hash.c are played here; nothing ticks, so that a machine
 * which only goes on because somebody asks it again once a second stands still.
 */
#include "common/log.h"
#include "common/pack.h"
#include "test/unit/suite.h"
#include "workers/drain/get_hash.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#define KB        1024u
#define TRANSFERS 2
#define NO_SCRIPT (-1)

/* More than GET_HASH_DEPTH: else all of a claim are asked for before anything stops it. */
#define MEMBERS_MAX 160

/* Of all claims of one drain: more takes too long. */
#define DRAIN_BYTES (24u * 1024 * KB)

/* What get-hash has asked Redis. */
struct call {
    struct call *next;
    int script; /* NO_SCRIPT: a plain command */
    redis_reply_fn fn;
    void *ctx;
};

/* A frame at a transfer. */
struct parcel {
    struct parcel *next;
    uint64_t token;
    struct worker_peer *at;
};

static struct {
    struct get_hash g;
    bool connected;
    int held; /* what take answers */
    size_t size;
    struct call *calls;
    struct parcel *parcels;
    struct worker_peer transfers[TRANSFERS];
    size_t transfer_count;
    size_t over, given_back;
    uint64_t counted[COUNTER_COUNT];
    uint64_t last_id;
    struct buffer composed;
} t;

/* ---- Redis ---- */

bool redis_conn_ready(const struct redis_conn *c)
{
    (void)c;
    return t.connected;
}

static int ask(int script, redis_reply_fn fn, void *ctx)
{
    struct call *c = malloc(sizeof *c), **at = &t.calls;
    if (!t.connected) {
        free(c);
        return -ENOTCONN;
    }
    *c = (struct call){.script = script, .fn = fn, .ctx = ctx};
    while (*at != NULL)
        at = &(*at)->next;
    *at = c;
    return 0;
}

int drain_ledger_begin(struct drain_ledger *l, size_t max)
{
    (void)l;
    (void)max;
    return 0;
}

void drain_ledger_add(struct drain_ledger *l, struct slice arg)
{
    (void)l;
    (void)arg;
}

void drain_ledger_add_u64(struct drain_ledger *l, uint64_t arg)
{
    (void)l;
    (void)arg;
}

int drain_ledger_send(struct drain_ledger *l, enum ledger_script script, redis_reply_fn fn,
                      void *ctx)
{
    (void)l;
    return ask((int)script, fn, ctx);
}

int drain_ledger_command(struct drain_ledger *l, redis_reply_fn fn, void *ctx)
{
    (void)l;
    return ask(NO_SCRIPT, fn, ctx);
}

void drain_ledger_explain_command(const redisReply *reply, const char *command, struct slice key,
                                  char *text, size_t size)
{
    (void)reply;
    (void)key;
    snprintf(text, size, "%s was refused", command);
}

bool drain_ledger_explain(const redisReply *reply, char *text, size_t size)
{
    (void)reply;
    snprintf(text, size, "an error");
    return true;
}

/* Answers what has been asked first: a hash of one field, or a number. */
static void answer_one(void)
{
    static char value[256 * KB], name[] = "f";
    redisReply field = {.type = REDIS_REPLY_STRING, .str = name, .len = 1};
    redisReply content = {.type = REDIS_REPLY_STRING, .str = value, .len = t.size};
    redisReply *pair[] = {&field, &content};
    redisReply hash = {.type = REDIS_REPLY_ARRAY, .elements = 2, .element = pair};
    redisReply number = {.type = REDIS_REPLY_INTEGER, .integer = 1};
    struct call *c = t.calls;
    t.calls = c->next;
    if (c->script == LEDGER_TAKE)
        number.integer = t.held;
    c->fn(NULL, c->script == NO_SCRIPT ? &hash : &number, c->ctx);
    free(c);
}

static void answer(size_t count)
{
    for (; count > 0 && t.calls != NULL; count--)
        answer_one();
}

static void each_claim(void (*fn)(struct get_hash_claim *c))
{
    struct get_hash_claim *next;
    for (struct get_hash_claim *c = t.g.claims; c != NULL; c = next) {
        next = c->next;
        fn(c);
    }
}

static void break_connection(void)
{
    t.connected = false;
    while (t.calls != NULL) {
        struct call *c = t.calls;
        t.calls = c->next;
        c->fn(NULL, NULL, c->ctx);
        free(c);
    }
}

static void mend_connection(void)
{
    t.connected = true;
    each_claim(get_hash_claim_retry);
}

/* ---- the skeleton, the transfers ---- */

void worker_count(struct worker *w, enum counter counter, uint64_t more)
{
    (void)w;
    t.counted[counter] += more;
}

_Noreturn void worker_exit(struct worker *w, enum contract_exit code, const char *format, ...)
{
    (void)w;
    ck_abort_msg("it ended with %d: %s", (int)code, format);
    abort();
}

struct worker_peer *worker_peer_next(struct worker *w, struct worker_peer *after)
{
    (void)w;
    size_t next = after == NULL ? 0 : (size_t)(after - t.transfers) + 1;
    return next < t.transfer_count ? &t.transfers[next] : NULL;
}

struct buffer *worker_compose(struct worker *w)
{
    (void)w;
    buffer_clear(&t.composed);
    return &t.composed;
}

int worker_send(struct worker *w, struct worker_peer *to, const struct buffer *message)
{
    (void)w;
    struct unpack u = unpack_start(buffer_slice(message));
    struct message_records m;
    ck_assert(message_records_unpack(&u, &m));
    ck_assert_uint_gt(m.count, 0);
    struct parcel *p = malloc(sizeof *p), **at = &t.parcels;
    *p = (struct parcel){.token = m.token, .at = to};
    while (*at != NULL)
        at = &(*at)->next;
    *at = p;
    return 0;
}

static void store_one(void)
{
    struct parcel *p = t.parcels;
    struct message_stored m = {.token = p->token};
    t.parcels = p->next;
    free(p);
    ck_assert(get_hash_frames_stored(&t.g, &m));
    each_claim(get_hash_claim_go);
}

static void kill_transfers(void)
{
    size_t count = t.transfer_count;
    t.transfer_count = 0;
    for (size_t i = 0; i < count; i++)
        get_hash_frames_down(&t.g, &t.transfers[i], "the transfer died");
    while (t.parcels != NULL) {
        struct parcel *p = t.parcels;
        t.parcels = p->next;
        free(p);
    }
}

/* ---- get_hash.c ---- */

void get_hash_claim_over(struct get_hash *g, struct get_hash_claim *c)
{
    struct get_hash_claim **at = &g->claims;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    t.over++;
    t.given_back += c->given_back;
}

static void claim(size_t count)
{
    static const struct worker_peer get_set = {.name = "get-set.1", .generation = 1};
    struct buffer members = BUFFER_EMPTY;
    pack_array(&members, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        pack_array(&members, 3);
        pack_u64(&members, ++t.last_id);
        pack_bin(&members, slice_of("m"));
        pack_u64(&members, LEDGER_ASIDE);
    }
    struct message_claim m = {.id = slice_of("1"), .attempt = 1, .members = buffer_slice(&members)};
    struct get_hash_claim *c = get_hash_claim_new(&t.g, &m, &get_set);
    buffer_fini(&members);
    ck_assert_ptr_nonnull(c);
    c->next = t.g.claims;
    t.g.claims = c;
    get_hash_claim_go(c);
}

static void no_log(enum log_level level, struct slice line, void *ctx)
{
    (void)level;
    (void)line;
    (void)ctx;
}

static void begin(size_t window, size_t size, size_t transfers)
{
    log_set_sink(no_log, NULL);
    memset(&t, 0, sizeof t);
    t.g.window = window;
    t.g.record_max = t.g.reply_max = 16 * KB * KB;
    t.size = size;
    t.connected = true;
    t.held = 1;
    t.transfer_count = transfers;
    for (size_t i = 0; i < TRANSFERS; i++)
        t.transfers[i] = (struct worker_peer){.type = "transfer", .generation = 1};
}

/* Nothing is left of anything. */
static void end(void)
{
    ck_assert_ptr_null(t.g.claims);
    ck_assert_ptr_null(t.g.frames);
    ck_assert_uint_eq(t.g.bytes, 0);
    ck_assert_ptr_null(t.calls);
    ck_assert_ptr_null(t.parcels);
    buffer_fini(&t.composed);
}

/* ---- the window ---- */

/* Redis answers all it was asked before the store answers for a frame, or both take turns. */
static void drain(size_t claims, size_t size, size_t window, size_t transfers, size_t turn)
{
    size_t fits = DRAIN_BYTES / (claims * size);
    size_t members = fits < MEMBERS_MAX ? fits : MEMBERS_MAX;
    begin(window, size, transfers);
    for (size_t i = 0; i < claims; i++)
        claim(members);
    while (t.calls != NULL || t.parcels != NULL) {
        answer(turn);
        if (t.parcels != NULL)
            store_one();
    }
    ck_assert_msg(t.over == claims && t.given_back == 0,
                  "%zu claims of %zu records of %zu bytes, window %zu, %zu transfers, turn %zu: it "
                  "stands still after %zu claims, %zu bytes on the way",
                  claims, members, size, window, transfers, turn, t.over, t.g.bytes);
    ck_assert_uint_eq(t.counted[COUNTER_STORED], claims * members);
    end();
}

START_TEST(no_window_stands_still)
{
    static const size_t windows[] = {64 * KB, 512 * KB, 2048 * KB, 8192 * KB};
    static const size_t claims[] = {1, 2, 16, 64};
    static const size_t sizes[] = {100, 8 * KB, 200 * KB};
    static const size_t turns[] = {SIZE_MAX, 7};
    for (size_t w = 0; w < sizeof windows / sizeof *windows; w++)
        for (size_t c = 0; c < sizeof claims / sizeof *claims; c++)
            for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
                for (size_t n = 0; n < TRANSFERS; n++)
                    drain(claims[c], sizes[s], windows[w], 1 + n, turns[n]);
}
END_TEST

/* What is on its way into a frame must not make it leave before it is full. */
START_TEST(frames_are_filled)
{
    begin(8192 * KB, 1 * KB, 1);
    claim(1000);
    answer(SIZE_MAX);
    size_t frames = 0;
    for (const struct parcel *p = t.parcels; p != NULL; p = p->next)
        frames++;
    ck_assert_uint_le(frames,
                      1000 / 126 + 1); /* 126 of them with what stands around them are 128 KB */
    while (t.parcels != NULL)
        store_one();
    answer(SIZE_MAX);
    ck_assert_uint_eq(t.over, 1);
    end();
}
END_TEST

/* Its bytes are nobody's any more: others need the room while Redis does not take it back. */
START_TEST(a_claim_that_goes_back_leaves_its_room)
{
    begin(512 * KB, 8 * KB, 1);
    claim(MEMBERS_MAX);
    answer(8); /* take, and seven hashes that wait for their frame to fill */
    ck_assert_uint_gt(t.g.bytes, 0);
    get_hash_claim_release(t.g.claims, "test", false);
    ck_assert_uint_eq(t.g.bytes, 0);
    get_hash_claim_go(t.g.claims);
    answer(SIZE_MAX);
    ck_assert_uint_eq(t.given_back, 1);
    end();
}
END_TEST

/* ---- claims that are over ---- */

/* A claim with frames at a store that does not answer, its connection broken before all of it was read. */
static void begin_broken(void)
{
    begin(8192 * KB, 8 * KB, 1);
    claim(MEMBERS_MAX);
    answer(101);
    ck_assert_ptr_nonnull(t.parcels);
    break_connection();
}

/* Redis came back without its data. */
static void come_back_empty(void)
{
    t.held = 0;
    mend_connection();
    answer(SIZE_MAX);
    ck_assert_uint_eq(t.over, 1);
    ck_assert_uint_eq(t.given_back, 1);
}

START_TEST(stored_for_a_claim_that_is_over)
{
    begin_broken();
    come_back_empty();
    while (t.parcels != NULL)
        store_one();
    ck_assert_uint_eq(t.counted[COUNTER_STORED], 0);
    end();
}
END_TEST

START_TEST(a_transfer_that_dies_after_its_claim)
{
    begin_broken();
    come_back_empty();
    kill_transfers();
    end();
}
END_TEST

/* Over, and not yet freed: replies are still to come. */
START_TEST(a_transfer_that_dies_while_its_claim_ends)
{
    begin(8192 * KB, 8 * KB, 1);
    claim(MEMBERS_MAX);
    answer(101);
    get_hash_claim_lost(t.g.claims);
    get_hash_claim_go(t.g.claims);
    ck_assert_uint_eq(t.over, 0);
    kill_transfers();
    answer(SIZE_MAX);
    ck_assert_uint_eq(t.over, 1);
    end();
}
END_TEST

/* Redis came back with its data: what was sent before is not read again. */
START_TEST(stored_while_the_claim_is_taken_again)
{
    begin_broken();
    store_one();
    mend_connection();
    while (t.calls != NULL || t.parcels != NULL) {
        answer(SIZE_MAX);
        if (t.parcels != NULL)
            store_one();
    }
    ck_assert_uint_eq(t.counted[COUNTER_STORED], MEMBERS_MAX);
    ck_assert_uint_eq(t.counted[COUNTER_FETCHED], MEMBERS_MAX);
    ck_assert_uint_eq(t.given_back, 0);
    end();
}
END_TEST

SUITE_MAIN("get_hash", no_window_stands_still, frames_are_filled,
           a_claim_that_goes_back_leaves_its_room, stored_for_a_claim_that_is_over,
           a_transfer_that_dies_after_its_claim, a_transfer_that_dies_while_its_claim_ends,
           stored_while_the_claim_is_taken_again)
