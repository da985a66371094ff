/*
 * manager_fixture.h: a cache's manager, one file of it at a time: what its other files, the skeleton (worker.h) and
 * Redis would do is played here. Calls of scripts wait until the test answers them, in their order; what is sent to
 * nodes is kept as it was read again; its store is backing_fake.h's.
 *
 * Included by one file of a program: it defines what the linker would else take of those.
 */
#ifndef TEST_UNIT_CACHE_MANAGER_FIXTURE_H
#define TEST_UNIT_CACHE_MANAGER_FIXTURE_H

#include "proto/cache/cache_ring_record.h"
#include "proto/message.h"
#include "test/unit/cache/backing_fake.h"
#include "test/unit/suite.h"
#include "workers/cache/manager/cache_manager_private.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define MANAGED_CALLS 16
#define MANAGED_SAID  16
#define MANAGED_KNOWN 4

/* Master, with copies = 2, and one node, that has joined as incarnation 7, mark 70. */
struct manager managed;
struct worker_peer managed_peer;

/* What its other files were asked to do. */
struct managed_done {
    unsigned beats, frees, duties, garbled;
    uint64_t forgotten; /* the last incarnation, 0: none */
} managed_done;

/* A message to the node. */
struct managed_said {
    uint64_t type, token, result;
    char text[256]; /* why, or the cursor */
    struct buffer copies;
} managed_said[MANAGED_SAID];
size_t managed_said_count;

int managed_send_rc;       /* of calls; 0: they are sent */
bool managed_node_is_gone; /* nobody is there for an answer */
uint64_t managed_obstacle;

void managed_set_up(void);
void managed_tear_down(void);

/* One more node of the ring, which is lost, with 100 times its incarnation for a mark. */
struct manager_known *managed_lose(uint64_t incarnation);

/* How many calls wait. */
size_t managed_calls(void);

/*
 * The oldest that waits must be of this script, and have these arguments behind the run, with blanks between, and a dot
 * for each byte that cannot be printed.
 */
void managed_expect(enum cache_ring_script script, const char *args);

/* Answers it: with these numbers one behind the other, or not at all. */
#define managed_answer(...)                                                                        \
    managed_answer_numbers((const uint64_t[]){__VA_ARGS__},                                        \
                           sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))
void managed_answer_numbers(const uint64_t *numbers, size_t count);
void managed_answer_bytes(struct slice bytes);
void managed_unheard(void);

/* A page of copies. */
struct managed_page {
    struct buffer list;
    uint32_t count;
};
void managed_page_put(struct managed_page *page, const char *key, uint64_t version,
                      struct slice record);

/* As a node makes it: an object, or a deletion (NULL). */
void managed_page_object(struct managed_page *page, const char *key, uint64_t version,
                         const char *value);
void managed_answer_page(struct managed_page *page, uint64_t mark, bool lost, const char *cursor);

static struct manager_node node;
static struct buffer composed;

/* A call that waits for its answer. */
static struct managed_call {
    enum cache_ring_script script;
    char args[4096];
    redis_reply_fn fn;
    void *ctx;
} calls[MANAGED_CALLS];
static size_t first_call, call_count;

/* ---- the manager's other files ---- */

static void keep_args(struct managed_call *to, const struct cache_ring_call *call)
{
    size_t len = 0;
    for (size_t i = 1; i < call->count; i++) { /* behind the run */
        if (i > 1 && len < sizeof to->args - 1)
            to->args[len++] = ' ';
        for (size_t j = 0; j < call->args[i].len && len < sizeof to->args - 1; j++) {
            unsigned char c = (unsigned char)call->args[i].ptr[j];
            to->args[len++] = (char)(isgraph(c) ? c : '.');
        }
    }
    to->args[len] = '\0';
}

int manager_send(struct manager *m, int rc, redis_reply_fn fn, void *ctx)
{
    if (rc != 0 || managed_send_rc != 0)
        return rc != 0 ? rc : managed_send_rc;
    ck_assert_uint_lt(call_count, MANAGED_CALLS);
    struct managed_call *call = &calls[(first_call + call_count++) % MANAGED_CALLS];
    call->script = m->call.script;
    call->fn = fn;
    call->ctx = ctx;
    keep_args(call, &m->call);
    return 0;
}

bool manager_bytes(struct manager *m, enum cache_ring_script script, const redisReply *reply,
                   struct slice *bytes)
{
    (void)m;
    (void)script;
    if (reply != NULL)
        *bytes = slice_make(reply->str, reply->len);
    return reply != NULL;
}

void manager_is_garbled(struct manager *m, enum cache_ring_script script)
{
    snprintf(m->errors[script], sizeof m->errors[script], "garbled");
    managed_done.garbled++;
}

struct manager_node *manager_find(struct manager *m, const char *name, uint64_t generation,
                                  struct worker_peer **peer)
{
    (void)m;
    if (managed_node_is_gone || strcmp(name, managed_peer.name) != 0 ||
        generation != managed_peer.generation)
        return NULL;
    *peer = &managed_peer;
    return &node;
}

uint64_t manager_obstacle(const struct manager *m, const struct manager_node *n, uint64_t mark)
{
    (void)m;
    return managed_obstacle != 0                 ? managed_obstacle
           : n != &node || mark != node.who.mark ? CACHE_RING_MUST_JOIN
                                                 : 0;
}

void manager_forget_node(struct manager *m, uint64_t incarnation)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->known_count; i++)
        if (m->known[i].who.incarnation != incarnation)
            m->known[kept++] = m->known[i];
    m->known_count = kept;
    managed_done.forgotten = incarnation;
}

void manager_free_cells(struct manager *m)
{
    (void)m;
    managed_done.frees++;
}

void manager_beat(struct manager *m)
{
    (void)m;
    managed_done.beats++;
}

void manager_duties(struct manager *m)
{
    (void)m;
    managed_done.duties++;
}

const char *redis_conn_trouble(const struct redis_conn *c)
{
    (void)c;
    return "no Redis there";
}

/* ---- the skeleton ---- */

struct buffer *worker_compose(struct worker *w)
{
    (void)w;
    buffer_clear(&composed);
    return &composed;
}

uint64_t worker_setting_u64(const struct worker *w, const char *name)
{
    (void)w;
    return strcmp(name, "store.retry_max") == 0 ? 2000 : 5000;
}

void worker_must_send(struct worker *w, struct worker_peer *to, const struct buffer *message)
{
    struct unpack u = unpack_start(buffer_slice(message));
    (void)w;
    ck_assert_ptr_eq(to, &managed_peer);
    ck_assert_uint_lt(managed_said_count, MANAGED_SAID);
    struct managed_said *said = &managed_said[managed_said_count++];
    said->type = schema_peek_type(u);
    buffer_clear(&said->copies);
    if (said->type == MESSAGE_RING_COPIED) {
        struct message_ring_copied m;
        ck_assert(message_ring_copied_unpack(&u, &m));
        said->token = m.token;
        said->result = m.result;
        ck_assert(slice_copy(m.why, said->text, sizeof said->text));
    } else {
        struct message_ring_fetched m;
        ck_assert_uint_eq(said->type, MESSAGE_RING_FETCHED);
        ck_assert(message_ring_fetched_unpack(&u, &m));
        said->token = m.token;
        said->result = m.result;
        ck_assert(slice_copy(m.cursor, said->text, sizeof said->text));
        buffer_append_slice(&said->copies, m.copies);
    }
    ck_assert(unpack_end(&u));
}

/* ---- the test's side ---- */

void managed_set_up(void)
{
    fake_set_up();
    node = (struct manager_node){.state = MANAGER_JOINED, .who = {.incarnation = 7, .mark = 70}};
    managed_peer = (struct worker_peer){
        .name = "cache/c/node.1", .type = "cache-node", .generation = 3, .user = &node};
    managed = (struct manager){.lease_ms = 10000,
                               .copies = 2,
                               .backing = &fake.head,
                               .run = "run",
                               .is_master = true,
                               .known = calloc(MANAGED_KNOWN, sizeof *managed.known)};
    ck_assert_ptr_nonnull(managed.known);
    managed_done = (struct managed_done){0};
    managed_said_count = first_call = call_count = 0;
    managed_send_rc = 0;
    managed_node_is_gone = false;
    managed_obstacle = 0;
}

void managed_tear_down(void)
{
    free(managed.known);
    cache_ring_call_fini(&managed.call);
    buffer_fini(&composed);
    for (size_t i = 0; i < MANAGED_SAID; i++)
        buffer_fini(&managed_said[i].copies);
}

struct manager_known *managed_lose(uint64_t incarnation)
{
    ck_assert_uint_lt(managed.known_count, MANAGED_KNOWN);
    struct manager_known *k = &managed.known[managed.known_count++];
    *k = (struct manager_known){.who = {.incarnation = incarnation, .mark = 100 * incarnation},
                                .lost = true,
                                .name = "cache/c/node.2",
                                .host = "front2",
                                .platoon = "p"};
    return k;
}

size_t managed_calls(void)
{
    return call_count;
}

void managed_expect(enum cache_ring_script script, const char *args)
{
    ck_assert_uint_gt(call_count, 0);
    ck_assert_str_eq(cache_ring_script_name(calls[first_call].script),
                     cache_ring_script_name(script));
    ck_assert_str_eq(calls[first_call].args, args);
}

static void answer(const redisReply *reply)
{
    ck_assert_uint_gt(call_count, 0);
    struct managed_call call = calls[first_call];
    first_call = (first_call + 1) % MANAGED_CALLS;
    call_count--;
    call.fn(NULL, reply, call.ctx);
}

void managed_answer_bytes(struct slice bytes)
{
    char *copy = malloc(bytes.len + 1); /* exactly so many: what reads beyond is found */
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes.ptr, bytes.len);
    answer(&(redisReply){.type = REDIS_REPLY_STRING, .str = copy, .len = bytes.len});
    free(copy);
}

void managed_answer_numbers(const uint64_t *numbers, size_t count)
{
    struct buffer out = BUFFER_EMPTY;
    for (size_t i = 0; i < count; i++)
        pack_u64(&out, numbers[i]);
    managed_answer_bytes(buffer_slice(&out));
    buffer_fini(&out);
}

void managed_unheard(void)
{
    answer(NULL);
}

void managed_page_put(struct managed_page *page, const char *key, uint64_t version,
                      struct slice record)
{
    struct buffer text = BUFFER_EMPTY;
    buffer_printf(&text, "%" PRIu64 " ", version);
    buffer_append_slice(&text, record);
    pack_bin(&page->list, slice_of(key));
    pack_bin(&page->list, buffer_slice(&text));
    page->count += 2;
    buffer_fini(&text);
}

void managed_page_object(struct managed_page *page, const char *key, uint64_t version,
                         const char *value)
{
    struct buffer list = BUFFER_EMPTY;
    struct cache_ring_copy copy;
    const struct cache_ring_object object = {.expiry_ms = INT64_MAX,
                                             .deleted = value == NULL,
                                             .value = slice_of(value != NULL ? value : "")};
    cache_ring_put_copy(&list, slice_of(key), version, &object);
    struct slice rest = buffer_slice(&list);
    ck_assert(cache_ring_take_copy(&rest, &copy));
    managed_page_put(page, key, version, copy.record);
    buffer_fini(&list);
}

void managed_answer_page(struct managed_page *page, uint64_t mark, bool lost, const char *cursor)
{
    struct buffer out = BUFFER_EMPTY;
    pack_u64(&out, CACHE_RING_OK);
    pack_u64(&out, mark);
    pack_u64(&out, lost);
    pack_text(&out, cursor);
    pack_array(&out, page->count);
    buffer_append_slice(&out, buffer_slice(&page->list));
    buffer_fini(&page->list);
    page->count = 0;
    managed_answer_bytes(buffer_slice(&out));
    buffer_fini(&out);
}

#endif
