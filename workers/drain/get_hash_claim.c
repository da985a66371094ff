/*
 * get_hash_claim.c: one claim from take to ack. See get_hash.h.
 *
 *     TAKE --held--> (PROBE) --> FETCH --all answered for--> BURY --> SPLIT --> ACK --> OVER
 *       \ not held                 \ transfer died, stop
 *        `--> OVER                  `--> RELEASE --> OVER
 *
 * Every phase from TAKE on can be repeated: a lost connection leaves the claim in its phase, and when Redis is back the
 * same question is asked again. Order matters in the end: only after BURY and SPLIT have answered that the dead and the
 * missing have left the claim may it be acknowledged, because ack unlinks the hash of every member that is still in it.
 */
#include "workers/drain/get_hash.h"

#include "common/fault.h"
#include "common/log.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* A claim whose connection broke this often while its hashes were read is given back: one of them may be the cause. */
#define GET_HASH_BREAKS_MAX 2
/* Most bytes of one record: what a frame holds, less what RECORDS and the envelope need. */
#define GET_HASH_RECORD_BYTES     (MESSAGE_FRAME_MAX - 4096)
#define GET_HASH_RELEASE_DELAY_MS 200

struct get_hash_claim *get_hash_claim_new(struct get_hash *g, const struct message_claim *m,
                                          const struct worker_peer *from)
{
    struct get_hash_claim *c = calloc(1, sizeof *c);
    char *packed = slice_dup(m->members);
    struct unpack u = unpack_start(slice_make(packed, packed != NULL ? m->members.len : 0));
    size_t count =
        packed != NULL ? ledger_members_start(slice_make(packed, m->members.len), &u) : 0;
    struct get_hash_item *items = count > 0 ? calloc(count, sizeof *items) : NULL;
    bool good = c != NULL && items != NULL && slice_copy(m->id, c->id, sizeof c->id);
    for (size_t i = 0; i < count && good; i++) {
        items[i].claim = c;
        good = ledger_members_next(&u, &items[i].member);
    }
    if (!good) {
        free(items);
        free(packed);
        free(c);
        return NULL;
    }
    c->g = g;
    c->attempt = m->attempt;
    c->packed = packed;
    c->items = items;
    c->count = count;
    c->from_generation = from->generation;
    slice_copy(slice_of(from->name), c->from, sizeof c->from);
    return c;
}

static void get_hash_claim_free(struct get_hash_claim *c)
{
    for (size_t i = 0; i < c->count; i++)
        free(c->items[i].reason);
    assert(c->frames == 0); /* a STORED would write into it */
    free(c->items);
    free(c->packed);
    free(c);
}

/*
 * It sends nothing more, and no transfer's answer may find it. At once, not when it is freed: Redis may be long in
 * taking it back, and others need its room in the window.
 */
static void get_hash_claim_drop(struct get_hash_claim *c)
{
    get_hash_frames_drop(c);
    c->g->bytes -= c->records.len;
    buffer_fini(&c->records);
    c->records_count = 0;
}

static void get_hash_claim_end(struct get_hash_claim *c, bool given_back)
{
    get_hash_claim_drop(c);
    c->given_back = given_back;
    c->paused = false;
    c->phase = GET_HASH_OVER;
}

void get_hash_claim_forget(struct get_hash_claim *c)
{
    struct get_hash_claim **at = &c->g->claims;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    get_hash_claim_drop(c);
    get_hash_claim_free(c);
}

/* ---- replies of scripts ---- */

/*
 * Notes that an answer has come. Returns it as a number through *value, or false: the connection broke (asked again
 * when it is back) or Redis refused (asked again at the next tick, with the reason in the tree meanwhile).
 */
static bool get_hash_claim_answer(struct get_hash_claim *c, const redisReply *reply, int64_t *value)
{
    c->calls--;
    c->asked = false;
    if (reply == NULL || reply->type != REDIS_REPLY_INTEGER) {
        c->paused = true;
        char why[384];
        if (reply != NULL) {
            drain_ledger_explain(reply, why, sizeof why);
            get_hash_note(c->g, c->phase, why);
        }
        return false;
    }
    get_hash_note(c->g, c->phase, "");
    *value = reply->integer;
    return true;
}

/* Sends what stands in the ledger's call; `asked` and `calls` follow. */
static void get_hash_claim_ask(struct get_hash_claim *c, enum ledger_script script,
                               redis_reply_fn fn)
{
    if (drain_ledger_send(&c->g->ledger, script, fn, c) != 0)
        return; /* not connected: asked again at on_ready */
    c->asked = true;
    c->calls++;
}

/* Starts a call with the claim's id and our identity, which nearly all begin with. */
static bool get_hash_claim_begin(struct get_hash_claim *c, size_t more)
{
    if (drain_ledger_begin(&c->g->ledger, more + 2) != 0)
        return false;
    drain_ledger_add(&c->g->ledger, slice_of(c->id));
    return true;
}

/* ---- take ---- */

static void get_hash_on_taken(struct redis_conn *conn, const redisReply *reply, void *ctx)
{
    (void)conn;
    struct get_hash_claim *c = ctx;
    int64_t held;
    if (get_hash_claim_answer(c, reply, &held) && c->phase == GET_HASH_TAKE) {
        if (FAULT_POINT("get-hash.after-take", slice_of(c->id))) {
            c->paused = true;
        } else if (held == 1) {
            c->phase = c->count == 1 && c->attempt > 1 ? GET_HASH_PROBE : GET_HASH_FETCH;
        } else {
            get_hash_claim_end(c, true);
        }
    }
    get_hash_claim_go(c);
}

static void get_hash_claim_take(struct get_hash_claim *c)
{
    if (!get_hash_claim_begin(c, 2))
        return;
    drain_ledger_add(&c->g->ledger, slice_of(c->g->ledger.identity));
    drain_ledger_add_u64(&c->g->ledger, c->g->lease_ms);
    get_hash_claim_ask(c, LEDGER_TAKE, get_hash_on_taken);
}

/* ---- fates of members ---- */

static void get_hash_item_bury(struct get_hash_item *item, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void get_hash_item_bury(struct get_hash_item *item, const char *format, ...)
{
    struct buffer text = BUFFER_EMPTY;
    char line[512];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    buffer_append_text(&text, line);
    free(item->reason);
    item->reason = buffer_take(&text, NULL);
    item->fate = GET_HASH_DEAD;
}

/* ---- probe ---- */

static void get_hash_on_size(struct redis_conn *conn, const redisReply *reply, void *ctx)
{
    (void)conn;
    struct get_hash_claim *c = ctx;
    c->calls--;
    c->asked = false;
    c->paused = reply == NULL;
    if (reply != NULL && c->phase == GET_HASH_PROBE) {
        if (reply->type == REDIS_REPLY_INTEGER && (uint64_t)reply->integer > c->g->reply_max)
            get_hash_item_bury(&c->items[0], "takes %lld bytes in Redis, more than reply_max (%zu)",
                               reply->integer, c->g->reply_max);
        c->phase = GET_HASH_FETCH; /* a server without MEMORY USAGE: then the fetch must show it */
    }
    get_hash_claim_go(c);
}

static void get_hash_claim_probe(struct get_hash_claim *c)
{
    char text[LEDGER_KEY_SIZE];
    struct drain_ledger *l = &c->g->ledger;
    if (drain_ledger_begin(l, 3) != 0)
        return;
    drain_ledger_add(l, slice_of("MEMORY"));
    drain_ledger_add(l, slice_of("USAGE"));
    drain_ledger_add(l, ledger_hash_key(l->prefix, &c->items[0].member, text));
    if (drain_ledger_command(l, get_hash_on_size, c) != 0)
        return;
    c->asked = true;
    c->calls++;
}

/* ---- fetch ---- */

static size_t get_hash_reply_size(const redisReply *reply)
{
    size_t size = 0;
    for (size_t i = 0; i < reply->elements; i++)
        size += reply->element[i]->len;
    return size;
}

/* What get_hash_item_pack makes of it: each name and value has a header. */
static size_t get_hash_packed_size(const struct get_hash_item *item, const redisReply *reply)
{
    size_t packed = 32 + item->member.member.len;
    for (size_t i = 0; i < reply->elements; i++) {
        size_t len = reply->element[i]->len;
        packed += len + (len <= UINT8_MAX ? 2 : len <= UINT16_MAX ? 3 : 5);
    }
    return packed;
}

/* One record, straight from the reply into the frame: [seq, member, n, field, value, ...]. */
static void get_hash_item_pack(struct get_hash_item *item, const redisReply *reply, size_t size)
{
    struct get_hash_claim *c = item->claim;
    size_t before = c->records.len;
    pack_array(&c->records, (uint32_t)(3 + reply->elements));
    pack_u64(&c->records, item->member.seq);
    pack_bin(&c->records, item->member.member);
    pack_u64(&c->records, reply->elements / 2);
    for (size_t i = 0; i < reply->elements; i++)
        pack_bin(&c->records, slice_make(reply->element[i]->str, reply->element[i]->len));
    if (!buffer_ok(&c->records)) /* what was packed before is gone too */
        worker_exit(c->g->w, CONTRACT_EXIT_TEMPORARY,
                    "no memory for the records of claim %s (%zu members); starting afresh", c->id,
                    c->count);
    c->g->bytes += c->records.len - before;
    c->records_count++;
    item->fate = GET_HASH_PACKED;
    if (size > c->largest)
        c->largest = size;
    worker_count(c->g->w, COUNTER_FETCHED, 1);
    worker_count(c->g->w, COUNTER_BYTES, size);
}

static void get_hash_item_fetched(struct get_hash_item *item, const redisReply *reply)
{
    struct get_hash_claim *c = item->claim;
    if (reply->elements == 0) {
        item->fate = GET_HASH_MISSING;
        return;
    }
    if (FAULT_POINT("get-hash.after-fetch", item->member.member)) {
        c->broken = true;
        return;
    }
    size_t size = get_hash_reply_size(reply);
    if (size > c->g->record_max) {
        get_hash_item_bury(item, "is %zu bytes, more than record_max (%zu)", size,
                           c->g->record_max);
        return;
    }
    size_t packed = get_hash_packed_size(item, reply);
    if (packed > GET_HASH_RECORD_BYTES) {
        get_hash_item_bury(
            item,
            "is %zu bytes with its name and the lengths of its %zu fields, more than "
            "a message holds (%u)",
            packed, reply->elements / 2, GET_HASH_RECORD_BYTES);
        return;
    }
    /* A record that would make the frame too large to send goes into a frame of its own. */
    if (c->records.len > 0 && c->records.len + packed > GET_HASH_FRAME_BYTES &&
        !get_hash_frames_add(c))
        c->broken = true;
    get_hash_item_pack(item, reply, size);
    if (c->records.len >= GET_HASH_FRAME_BYTES && !get_hash_frames_add(c))
        c->broken = true;
}

/*
 * It is read again: at once after a break, after a pause when Redis refuses it. That blames nobody: it ends when the
 * right is there.
 */
static void get_hash_item_unread(struct get_hash_item *item, const char *command,
                                 const redisReply *reply)
{
    struct get_hash_claim *c = item->claim;
    char text[LEDGER_KEY_SIZE], why[384];
    item->fate = GET_HASH_PENDING;
    if (reply == NULL) {
        c->broken = true;
        return;
    }
    c->refused = true;
    drain_ledger_explain_command(
        reply, command, ledger_hash_key(c->g->ledger.prefix, &item->member, text), why, sizeof why);
    get_hash_note(c->g, GET_HASH_FETCH, why);
}

static void get_hash_on_type(struct redis_conn *conn, const redisReply *reply, void *ctx)
{
    (void)conn;
    struct get_hash_item *item = ctx;
    struct get_hash_claim *c = item->claim;
    c->calls--;
    c->asked_items--;
    if (c->phase == GET_HASH_FETCH) {
        if (reply != NULL && reply->type == REDIS_REPLY_STATUS) {
            get_hash_item_bury(item, "holds a %.*s, not a hash", (int)reply->len, reply->str);
        } else {
            get_hash_item_unread(item, "TYPE", reply);
        }
    }
    get_hash_claim_go(c);
}

/* Asks for one key: HGETALL, or TYPE for the reason of a dead letter. */
static int get_hash_item_ask(struct get_hash_item *item, const char *command, redis_reply_fn fn)
{
    char text[LEDGER_KEY_SIZE];
    struct drain_ledger *l = &item->claim->g->ledger;
    int rc = drain_ledger_begin(l, 2);
    if (rc != 0)
        return rc;
    drain_ledger_add(l, slice_of(command));
    drain_ledger_add(l, ledger_hash_key(l->prefix, &item->member, text));
    rc = drain_ledger_command(l, fn, item);
    if (rc != 0)
        return rc;
    item->fate = GET_HASH_ASKED;
    item->claim->calls++;
    item->claim->asked_items++;
    return 0;
}

static bool get_hash_is_error(const redisReply *reply, const char *code)
{
    return reply != NULL && reply->type == REDIS_REPLY_ERROR && reply->len >= strlen(code) &&
           memcmp(reply->str, code, strlen(code)) == 0;
}

static void get_hash_on_hash(struct redis_conn *conn, const redisReply *reply, void *ctx)
{
    (void)conn;
    struct get_hash_item *item = ctx;
    struct get_hash_claim *c = item->claim;
    c->calls--;
    c->asked_items--;
    if (c->phase != GET_HASH_FETCH) {
        get_hash_claim_go(c);
        return;
    }
    item->fate = GET_HASH_PENDING;
    if (reply != NULL)
        get_hash_note_read(c->g, &item->member, true);
    if (reply != NULL && reply->type == REDIS_REPLY_ARRAY) {
        get_hash_item_fetched(item, reply);
    } else if (get_hash_is_error(reply, REDIS_CONN_TOO_LARGE)) {
        c->g->told = true;
        get_hash_item_bury(
            item, "is more than %zu bytes (reply_max), and a record has %zu at most (record_max)",
            c->g->reply_max, c->g->record_max);
    } else if (get_hash_is_error(reply, "WRONGTYPE")) {
        if (get_hash_item_ask(item, "TYPE", get_hash_on_type) != 0)
            c->broken = true;
    } else {
        get_hash_item_unread(item, "HGETALL", reply);
    }
    get_hash_claim_go(c);
}

/*
 * How many replies to wait for: a pipe full of small hashes, or few large ones, so that memory stays near the window.
 */
static size_t get_hash_depth(const struct get_hash_claim *c)
{
    size_t fits = c->g->window / (c->largest + 1);
    return fits < 1 ? 1 : fits < GET_HASH_DEPTH ? fits : GET_HASH_DEPTH;
}

static void get_hash_claim_fetch(struct get_hash_claim *c)
{
    size_t depth = get_hash_depth(c);
    while (!c->broken && !c->refused && c->next_item < c->count && c->asked_items < depth &&
           c->g->bytes < c->g->window) {
        struct get_hash_item *item = &c->items[c->next_item];
        if (item->fate == GET_HASH_PENDING && ledger_is_missing(&item->member))
            item->fate = GET_HASH_MISSING;
        if (item->fate == GET_HASH_PENDING &&
            get_hash_item_ask(item, "HGETALL", get_hash_on_hash) != 0)
            c->broken = true;
        else
            c->next_item++;
    }
}

/* After a break: once more from the start for those not read yet, or back to the ledger when it happens again. */
static void get_hash_claim_mend(struct get_hash_claim *c)
{
    if (c->asked_items > 0 || !redis_conn_ready(c->g->ledger.conn))
        return;
    c->broken = false;
    c->refused = false;
    c->next_item = 0;
    c->phase = GET_HASH_TAKE;
    if (c->g->told || ++c->breaks < GET_HASH_BREAKS_MAX)
        return;
    if (c->count == 1)
        get_hash_note_read(c->g, &c->items[0].member, false);
    get_hash_claim_release(c, "its hashes could not be read", c->count > 1 || c->attempt == 1);
}

/*
 * A frame that nothing is on its way into leaves as it is, also when there is more to ask for: the window is full then,
 * perhaps of nothing but such frames, and what does not leave is never stored and never makes room. (Not counting them
 * instead would let every claim keep GET_HASH_FRAME_BYTES beyond the window.)
 */
static void get_hash_claim_work(struct get_hash_claim *c)
{
    get_hash_claim_fetch(c);
    if (c->broken) {
        get_hash_claim_mend(c);
        return;
    }
    if (c->asked_items > 0)
        return;
    if (c->records_count > 0 && !get_hash_frames_add(c))
        return; /* no memory now; the next tick tries again */
    if (c->refused) {
        c->refused = false;
        c->next_item = 0;
        c->paused = true;
    } else if (c->next_item == c->count) {
        get_hash_note(c->g, GET_HASH_FETCH, "");
        if (c->frames == 0)
            c->phase = GET_HASH_BURY;
    }
}

/* ---- stored ---- */

static struct get_hash_item *get_hash_find(struct get_hash_item *const *items, size_t count,
                                           uint64_t seq)
{
    for (size_t i = 0; i < count; i++)
        if (items[i]->member.seq == seq)
            return items[i];
    return NULL;
}

bool get_hash_claim_stored(struct get_hash_claim *c, struct get_hash_item *const *items,
                           size_t count, struct slice refused)
{
    for (size_t i = 0; i < count; i++)
        items[i]->fate = GET_HASH_STORED;
    size_t dead = 0;
    if (refused.len > 0) {
        struct unpack u = unpack_start(refused);
        uint32_t n = unpack_peek(&u) == UNPACK_NIL ? 0 : unpack_array(&u);
        for (uint32_t i = 0; i < n; i++) {
            if (unpack_array(&u) != 2)
                return false;
            uint64_t seq = unpack_u64(&u);
            struct slice reason = unpack_str(&u);
            struct get_hash_item *item = get_hash_find(items, count, seq);
            if (!unpack_ok(&u) || item == NULL)
                return false;
            get_hash_item_bury(item, "%.*s", (int)(reason.len < 400 ? reason.len : 400),
                               reason.ptr);
            dead++;
        }
    }
    c->stored += count - dead;
    worker_count(c->g->w, COUNTER_STORED, count - dead);
    return !FAULT_POINT("get-hash.after-stored", slice_of(c->id));
}

/* ---- settle ---- */

static size_t get_hash_claim_count(const struct get_hash_claim *c, enum get_hash_fate fate)
{
    size_t n = 0;
    for (size_t i = 0; i < c->count; i++)
        n += c->items[i].fate == fate;
    return n;
}

/* What is in the claim after BURY and SPLIT. */
static bool get_hash_claim_has_stored(const struct get_hash_claim *c)
{
    return get_hash_claim_count(c, GET_HASH_STORED) > 0;
}

static void get_hash_on_left(struct redis_conn *conn, const redisReply *reply, void *ctx)
{
    (void)conn;
    struct get_hash_claim *c = ctx;
    int64_t moved;
    if (get_hash_claim_answer(c, reply, &moved)) {
        /*
         * -1: not ours any more. What we stored is durable all the same, and will be stored again to the same effect.
         */
        if (moved < 0)
            get_hash_claim_end(c, true);
        else if (c->phase == GET_HASH_BURY)
            c->phase = GET_HASH_SPLIT;
        else
            c->phase = GET_HASH_ACK;
    }
    get_hash_claim_go(c);
}

static void get_hash_claim_bury(struct get_hash_claim *c)
{
    size_t dead = get_hash_claim_count(c, GET_HASH_DEAD);
    if (dead == 0) {
        c->phase = GET_HASH_SPLIT;
        return;
    }
    if (!get_hash_claim_begin(c, 2 * dead))
        return;
    struct drain_ledger *l = &c->g->ledger;
    drain_ledger_add(l, slice_of(l->identity));
    for (size_t i = 0; i < c->count; i++) {
        struct get_hash_item *item = &c->items[i];
        if (item->fate != GET_HASH_DEAD)
            continue;
        drain_ledger_add_u64(l, item->member.seq);
        drain_ledger_add(l, slice_of(item->reason != NULL ? item->reason : "cannot be stored"));
        if (c->dead < dead) {
            log_warn("dead-letter", "member=%s seq=%" PRIu64 " reason=%s",
                     log_quote(item->member.member), item->member.seq,
                     log_quote_text(item->reason));
            worker_count(c->g->w, COUNTER_DEAD, 1);
            c->dead++;
        }
    }
    get_hash_claim_ask(c, LEDGER_DEAD, get_hash_on_left);
}

static void get_hash_claim_split(struct get_hash_claim *c)
{
    size_t missing = get_hash_claim_count(c, GET_HASH_MISSING);
    if (missing == 0) {
        c->phase = GET_HASH_ACK;
        return;
    }
    if (!get_hash_claim_begin(c, 3 + missing))
        return;
    struct drain_ledger *l = &c->g->ledger;
    drain_ledger_add(l, slice_of(l->identity));
    drain_ledger_add_u64(l, c->g->missing_retry_ms);
    /* Alone, this hand-out was its own; among others it is the first that counts against it. */
    drain_ledger_add_u64(l, c->count == 1 ? c->attempt : 1);
    for (size_t i = 0; i < c->count; i++)
        if (c->items[i].fate == GET_HASH_MISSING)
            drain_ledger_add_u64(l, c->items[i].member.seq);
    get_hash_claim_ask(c, LEDGER_SPLIT, get_hash_on_left);
}

static void get_hash_on_acked(struct redis_conn *conn, const redisReply *reply, void *ctx)
{
    (void)conn;
    struct get_hash_claim *c = ctx;
    int64_t known;
    if (get_hash_claim_answer(c, reply, &known)) {
        if (FAULT_POINT("get-hash.after-ack", slice_of(c->id)))
            c->paused = true;
        else
            get_hash_claim_end(c, false);
    }
    get_hash_claim_go(c);
}

static void get_hash_claim_ack(struct get_hash_claim *c)
{
    if (!get_hash_claim_has_stored(c)) {
        get_hash_claim_end(c, false); /* it went with its last member */
        return;
    }
    if (FAULT_POINT("get-hash.before-ack", slice_of(c->id)) || !get_hash_claim_begin(c, 1))
        return;
    drain_ledger_add_u64(&c->g->ledger, c->stored);
    get_hash_claim_ask(c, LEDGER_ACK, get_hash_on_acked);
}

/* ---- release ---- */

static void get_hash_on_released(struct redis_conn *conn, const redisReply *reply, void *ctx)
{
    (void)conn;
    struct get_hash_claim *c = ctx;
    int64_t held;
    if (get_hash_claim_answer(c, reply, &held))
        get_hash_claim_end(c, true);
    get_hash_claim_go(c);
}

static void get_hash_claim_give_back(struct get_hash_claim *c)
{
    if (!get_hash_claim_begin(c, 4))
        return;
    struct drain_ledger *l = &c->g->ledger;
    drain_ledger_add(l, slice_of(l->identity));
    drain_ledger_add_u64(l, c->breaks > 0 ? GET_HASH_RELEASE_DELAY_MS : 0);
    drain_ledger_add(l, slice_of(c->release_reason));
    drain_ledger_add_u64(l, c->release_blame ? 1 : 0);
    get_hash_claim_ask(c, LEDGER_RELEASE, get_hash_on_released);
}

void get_hash_claim_release(struct get_hash_claim *c, const char *reason, bool blame)
{
    if (c->phase >= GET_HASH_BURY)
        return;
    get_hash_claim_drop(c);
    c->phase = GET_HASH_RELEASE;
    c->release_reason = reason;
    c->release_blame = blame;
    c->asked = false; /* a take that is still under way answers to nobody */
    c->paused = false;
}

void get_hash_claim_lost(struct get_hash_claim *c)
{
    if (c->phase >= GET_HASH_BURY)
        return; /* its data is durable: finishing does no harm */
    get_hash_claim_end(c, true);
}

/* ---- the machine ---- */

void get_hash_claim_go(struct get_hash_claim *c)
{
    enum get_hash_phase before;
    do {
        before = c->phase;
        if (c->asked || c->paused)
            return;
        switch (c->phase) {
        case GET_HASH_TAKE:
            get_hash_claim_take(c);
            break;
        case GET_HASH_PROBE:
            get_hash_claim_probe(c);
            break;
        case GET_HASH_FETCH:
            get_hash_claim_work(c);
            break;
        case GET_HASH_BURY:
            get_hash_claim_bury(c);
            break;
        case GET_HASH_SPLIT:
            get_hash_claim_split(c);
            break;
        case GET_HASH_ACK:
            get_hash_claim_ack(c);
            break;
        case GET_HASH_RELEASE:
            get_hash_claim_give_back(c);
            break;
        case GET_HASH_OVER:
            if (c->calls == 0) {
                get_hash_claim_over(c->g, c);
                get_hash_claim_free(c);
            }
            return;
        }
    } while (c->phase != before);
}

void get_hash_claim_retry(struct get_hash_claim *c)
{
    c->paused = false;
    get_hash_claim_go(c);
}
