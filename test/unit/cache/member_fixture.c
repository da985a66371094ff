/* member_fixture.c: see member_fixture.h. */
#include "test/unit/cache/member_fixture.h"

#include "common/clock.h"
#include "workers/cache/cache_member_private.h"
#include "workers/cache/cache_second.h"
#include "workers/cache/ring/cache_cell.h"

#include <stdlib.h>
#include <unistd.h>

struct fake_manager fake_manager;

static struct buffer composed; /* kept: what is sent needs no memory */
static uv_prepare_t answering;

/* ---- what the node says ---- */

static struct buffer *play_compose(void *ctx)
{
    (void)ctx;
    buffer_clear(&composed);
    return &composed;
}

static bool said_cells(struct play_said *s, struct slice bytes, size_t width)
{
    s->count = bytes.len / width;
    if (bytes.len % width != 0 || s->count > PLAY_CELLS)
        return false;
    for (size_t i = 0; i < s->count; i++) {
        s->cells[i].cell = cache_ring_get_number(bytes.ptr + i * width);
        s->cells[i].number =
            width > CACHE_RING_CELL_SIZE ? cache_ring_get_number(bytes.ptr + i * width + 8) : 0;
    }
    return true;
}

static bool said_join(struct play_said *s, struct unpack *u)
{
    struct message_ring_join m;
    bool right = message_ring_join_unpack(u, &m) && m.seed.len == sizeof s->seed &&
                 slice_copy(m.address, s->address, sizeof s->address);
    s->incarnation = m.incarnation;
    s->mark = m.mark;
    if (right)
        memcpy(s->seed, m.seed.ptr, sizeof s->seed);
    return right;
}

static bool said_claim(struct play_said *s, struct unpack *u)
{
    struct message_ring_claim m;
    if (!message_ring_claim_unpack(u, &m))
        return false;
    s->token = m.token;
    s->mark = m.mark;
    return said_cells(s, m.cells, CACHE_RING_CELL_SIZE);
}

static bool said_held(struct play_said *s, struct unpack *u)
{
    struct message_ring_held m;
    if (!message_ring_held_unpack(u, &m))
        return false;
    s->token = m.token;
    s->mark = m.mark;
    return said_cells(s, m.cells, CACHE_RING_HELD_SIZE);
}

static bool said_release(struct play_said *s, struct unpack *u)
{
    struct message_ring_release m;
    if (!message_ring_release_unpack(u, &m))
        return false;
    s->mark = m.mark;
    return said_cells(s, m.cells, CACHE_RING_HELD_SIZE);
}

static bool said_leave(struct play_said *s, struct unpack *u)
{
    struct message_ring_leave m;
    bool right = message_ring_leave_unpack(u, &m);
    s->mark = m.mark;
    return right;
}

static bool said_look(struct play_said *s, struct unpack *u)
{
    struct message_ring_look m;
    bool right = message_ring_look_unpack(u, &m);
    s->token = m.token;
    s->count = 1;
    s->cells[0].cell = m.cell;
    return right;
}

static bool said_list(struct play_said *s, struct slice list)
{
    struct cache_ring_copy copy;
    s->list_len = list.len;
    if (list.len <= sizeof s->list)
        memcpy(s->list, list.ptr, list.len);
    while (cache_ring_take_copy(&list, &copy))
        s->count++;
    return list.len == 0 && s->count > 0;
}

static bool said_copy(struct play_said *s, struct unpack *u)
{
    struct message_ring_copy m;
    if (!message_ring_copy_unpack(u, &m))
        return false;
    s->token = m.token;
    s->mark = m.mark;
    return said_list(s, m.copies);
}

static bool said_drop(struct play_said *s, struct unpack *u)
{
    struct message_ring_drop m;
    if (!message_ring_drop_unpack(u, &m))
        return false;
    s->token = m.token;
    s->mark = m.mark;
    return said_list(s, m.copies);
}

/* The cursor is its list. */
static bool said_fetch(struct play_said *s, struct unpack *u)
{
    struct message_ring_fetch m;
    if (!message_ring_fetch_unpack(u, &m))
        return false;
    s->token = m.token;
    s->mark = m.mark;
    s->list_len = m.cursor.len;
    return slice_copy(m.cursor, s->list, sizeof s->list);
}

/* The test answers it, or nobody does: what is asked so is in the way of nothing. */
static bool said_sweep(struct fake_manager *m, struct unpack *u)
{
    struct message_ring_sweep sweep;
    if (!message_ring_sweep_unpack(u, &sweep) ||
        !slice_copy(sweep.cursor, m->sweep_cursor, sizeof m->sweep_cursor))
        return false;
    m->sweeps++;
    m->sweep_token = sweep.token;
    m->sweep_mark = sweep.mark;
    m->sweep_bucket = sweep.bucket;
    return true;
}

static bool said_read(struct play_said *s, struct unpack *u)
{
    switch (s->type) {
    case MESSAGE_RING_COPY:
        return said_copy(s, u);
    case MESSAGE_RING_DROP:
        return said_drop(s, u);
    case MESSAGE_RING_FETCH:
        return said_fetch(s, u);
    case MESSAGE_RING_JOIN:
        return said_join(s, u);
    case MESSAGE_RING_CLAIM:
        return said_claim(s, u);
    case MESSAGE_RING_HELD:
        return said_held(s, u);
    case MESSAGE_RING_RELEASE:
        return said_release(s, u);
    case MESSAGE_RING_LOOK:
        return said_look(s, u);
    default:
        return s->type == MESSAGE_RING_LEAVE && said_leave(s, u);
    }
}

static uint64_t message_type(struct unpack u)
{
    unpack_array(&u);
    return unpack_u64(&u);
}

/* Without an assertion, for those ask for memory: what is wrong is told where a message is taken. */
static bool play_send(void *ctx)
{
    struct fake_manager *m = ctx;
    if (m->deaf || !buffer_ok(&composed))
        return false;
    struct unpack u = unpack_start(buffer_slice(&composed));
    struct play_said *s = &m->said[(m->first + m->count) % PLAY_SAID];
    m->wrong = m->wrong || m->count == PLAY_SAID;
    memset(s, 0, offsetof(struct play_said, cells));
    s->type = message_type(u);
    if (s->type == MESSAGE_RING_CELLS) {
        struct message_ring_cells cells;
        m->wrong = m->wrong || !message_ring_cells_unpack(&u, &cells);
        m->cells = cells.cells;
        m->cells_said++;
        return true;
    }
    if (s->type == MESSAGE_RING_SWEEP) {
        m->wrong = m->wrong || !said_sweep(m, &u);
        return true;
    }
    m->wrong = m->wrong || !said_read(s, &u);
    m->count++;
    return true;
}

static void play_on_owner(void *ctx, const struct cache_member_owner *owner)
{
    (void)ctx;
    cache_park_told_owner(node.park, owner);
}

static bool play_on_nodes(void *ctx, const struct cache_member_peer *peers, size_t count)
{
    struct fake_manager *m = ctx;
    for (size_t i = 0; i < count; i++)
        m->wrong = m->wrong || peers[i].name.len == 0 || peers[i].address.len == 0 ||
                   peers[i].incarnation == 0;
    m->nodes = count;
    m->listed++;
    return !m->forgets;
}

static void play_on_left(void *ctx, bool left)
{
    struct fake_manager *m = ctx;
    m->left = left;
}

const struct play_said *play_heard(uint64_t type)
{
    struct fake_manager *m = &fake_manager;
    if (m->count == 0)
        node_turn(1);
    ck_assert(!m->wrong);
    ck_assert_msg(m->count > 0, "the node has said nothing, not %s", message_type_name(type));
    const struct play_said *s = &m->said[m->first];
    m->first = (m->first + 1) % PLAY_SAID;
    m->count--;
    ck_assert_msg(s->type == type, "the node has said %s, not %s", message_type_name(s->type),
                  message_type_name(type));
    return s;
}

void play_hears_nothing(void)
{
    struct fake_manager *m = &fake_manager;
    node_turn(2);
    ck_assert(!m->wrong);
    ck_assert_msg(m->count == 0, "the node has said %s", message_type_name(m->said[m->first].type));
}

/* ---- what the manager says ---- */

bool play_say(const struct buffer *message)
{
    ck_assert(buffer_ok(message));
    struct unpack u = unpack_start(buffer_slice(message));
    uint64_t type = message_type(u);
    return type == MESSAGE_RING_COPIED ? cache_second_on_message(node.second, type, &u)
                                       : cache_member_on_message(node.member, type, &u);
}

#define SAY(name, ...)                                                                             \
    do {                                                                                           \
        struct buffer say_out = BUFFER_EMPTY;                                                      \
        message_##name##_pack(&say_out, &(struct message_##name){__VA_ARGS__});                    \
        said = play_say(&say_out);                                                                 \
        buffer_fini(&say_out);                                                                     \
    } while (0)

void play_say_joined(void)
{
    struct fake_manager *m = &fake_manager;
    struct buffer out = BUFFER_EMPTY;
    m->joined.seed = slice_make((const char *)m->seed, sizeof m->seed);
    m->joined.at_us = (uint64_t)clock_boot_us();
    message_ring_joined_pack(&out, &m->joined);
    ck_assert(play_say(&out));
    buffer_fini(&out);
}

bool play_copied(const struct play_said *request, uint64_t result, const char *why)
{
    bool said;
    SAY(ring_copied, .token = request->token, .result = result, .why = slice_of(why));
    return said;
}

void play_join(void)
{
    if (!node.member->manager)
        cache_member_on_up(node.member);
    play_heard(MESSAGE_RING_JOIN);
    play_say_joined();
    node_until(node.member->walk == MEMBER_SETTLED || node.member->walk == MEMBER_RECLAIMS ||
               node.member->session != MEMBER_IN);
    node_turn(2);
}

void play_lease(uint64_t ms)
{
    bool said;
    uint64_t now = (uint64_t)clock_boot_us();
    SAY(ring_lease, .incarnation = fake_manager.joined.incarnation,
        .mark = fake_manager.joined.mark, .until_us = now + ms * 1000, .at_us = now,
        .redis_us = fake_manager.joined.redis_us);
    ck_assert(said);
    node_turn(1);
}

/* No lease ever becomes shorter: what is told is that its time has come. */
void play_lease_over(void)
{
    node.member->lease.until_us = clock_boot_us();
    ck_assert(!cache_member_serves(node.member));
}

void play_nodes(const int *incarnations)
{
    bool said;
    uint32_t count = 0;
    struct buffer list = BUFFER_EMPTY;
    while (incarnations[count] != 0)
        count++;
    pack_array(&list, count);
    for (uint32_t i = 0; i < count; i++) {
        pack_array(&list, 4);
        pack_u64(&list, (uint64_t)abs(incarnations[i]));
        pack_bin(&list, slice_of("node"));
        pack_bin(&list, slice_of("unix:/nowhere"));
        pack_u64(&list, incarnations[i] < 0);
    }
    SAY(ring_nodes, .gen = 1, .nodes = buffer_slice(&list));
    ck_assert(said);
    buffer_fini(&list);
    ck_assert_uint_eq(fake_manager.nodes, count);
    node_turn(1);
}

bool play_own_each(const struct play_said *request, const struct cache_ring_owner *owners,
                   size_t count)
{
    bool said;
    struct buffer list = BUFFER_EMPTY;
    for (size_t i = 0; i < count; i++)
        cache_ring_put_owner(&list, &owners[i]);
    SAY(ring_claimed, .token = request->token, .result = CACHE_RING_OK,
        .redis_us = fake_manager.joined.redis_us, .owners = buffer_slice(&list));
    buffer_fini(&list);
    return said;
}

bool play_own(const struct play_said *request, enum cache_ring_state state, uint64_t value)
{
    static struct cache_ring_owner owners[PLAY_CELLS];
    for (size_t i = 0; i < request->count; i++)
        owners[i] = (struct cache_ring_owner){.state = state, .value = value};
    return play_own_each(request, owners, request->count);
}

bool play_swept(uint64_t token, uint64_t result, const struct cache_ring_held *held, size_t count,
                uint64_t bucket)
{
    bool said;
    struct buffer cells = BUFFER_EMPTY;
    for (size_t i = 0; i < count; i++)
        cache_ring_put_held(&cells, &held[i]);
    SAY(ring_swept, .token = token, .result = result, .bucket = bucket, .cursor = slice_of("7"),
        .cells = buffer_slice(&cells));
    buffer_fini(&cells);
    return said;
}

bool play_obstruct(const struct play_said *request, uint64_t result, uint64_t wait_ms)
{
    bool said;
    SAY(ring_claimed, .token = request->token, .result = result, .wait_ms = wait_ms,
        .owners = slice_of(""));
    return said;
}

bool play_see(const struct play_said *request, uint64_t result, struct cache_ring_owner owner)
{
    bool said, theirs = owner.state != CACHE_RING_OURS;
    SAY(ring_seen, .token = request->token, .result = result,
        .state = theirs ? owner.state : CACHE_RING_THEIRS,
        .incarnation = theirs ? owner.value : fake_manager.joined.incarnation);
    return said;
}

void play_grant(const char *key)
{
    const struct play_said *claim = play_heard(MESSAGE_RING_CLAIM);
    ck_assert_uint_eq(claim->count, 1);
    ck_assert(claim->cells[0].cell == play_cell(key));
    ck_assert(play_own(claim, CACHE_RING_OURS, ++fake_manager.number));
    node_turn(2);
}

/* ---- a manager that answers by itself ---- */

void play_owner(const char *key, uint32_t owner)
{
    struct fake_manager *m = &fake_manager;
    uint64_t cell = play_cell(key);
    size_t i = 0;
    while (i < m->owner_count && m->owners[i].cell != cell)
        i++;
    ck_assert_uint_lt(i, PLAY_OWNERS);
    m->owner_count += i == m->owner_count;
    m->owners[i].cell = cell;
    m->owners[i].owner = owner;
}

static struct cache_ring_owner play_whose(uint64_t cell)
{
    struct fake_manager *m = &fake_manager;
    for (size_t i = 0; i < m->owner_count; i++)
        if (m->owners[i].cell == cell && m->owners[i].owner != 0)
            return (struct cache_ring_owner){.state = CACHE_RING_THEIRS,
                                             .value = m->owners[i].owner};
    return (struct cache_ring_owner){.state = CACHE_RING_OURS, .value = ++m->number};
}

static void play_on_prepare(uv_prepare_t *handle)
{
    static struct cache_ring_owner owners[PLAY_CELLS];
    struct fake_manager *m = &fake_manager;
    (void)handle;
    while (m->answers && m->count > 0) {
        const struct play_said *s = &m->said[m->first];
        if (s->type == MESSAGE_RING_COPY || s->type == MESSAGE_RING_DROP ||
            s->type == MESSAGE_RING_FETCH)
            break; /* the test's */
        m->first = (m->first + 1) % PLAY_SAID;
        m->count--;
        if (s->type == MESSAGE_RING_LOOK)
            ck_assert(play_see(s, CACHE_RING_OK, play_whose(s->cells[0].cell)));
        if (s->type != MESSAGE_RING_CLAIM)
            continue;
        for (size_t i = 0; i < s->count; i++)
            owners[i] = play_whose(s->cells[i].cell);
        ck_assert(play_own_each(s, owners, s->count));
    }
}

/* ---- what is there ---- */

uint64_t play_cell(const char *key)
{
    return cache_cell(slice_of(key), fake_manager.seed);
}

enum cache_cell_action play_looks(const char *key)
{
    cache_member_now(node.member);
    struct cache_member_sight sight =
        cache_member_look(node.member, slice_of(key), (struct cache_member_who){0});
    return sight.action;
}

enum cache_cell_state play_state(const char *key)
{
    return cache_cells_state(node.member->cells, play_cell(key));
}

void play_sync(void)
{
    cache_log_sync_soon(node.log);
    node_until(cache_log_synced(node.log) == cache_log_added(node.log));
    node_turn(2);
}

/* It is asked once a second whether it may. */
void play_stored(const char *key)
{
    cache_behind_tick(node.behind);
    node_until(fake_find(FAKE_PUT, key) != NULL);
    fake_stored(key);
    node_turn(2);
}

/* ---- life ---- */

struct cache_member *play_new(char *why, size_t why_size)
{
    struct cache_member_options options = {.node = &node,
                                           .address = "unix:/run/node",
                                           .path = fake_manager.path,
                                           .copied = fake_manager.copied,
                                           .idle_ms = fake_manager.idle_ms,
                                           .write_wait_ms = fake_manager.timeout_ms / 4,
                                           .compose = play_compose,
                                           .send = play_send,
                                           .on_nodes = play_on_nodes,
                                           .on_owner = play_on_owner,
                                           .on_left = play_on_left,
                                           .ctx = &fake_manager};
    return cache_member_new(&options, why, why_size);
}

void play_open_second(void)
{
    struct cache_second_options options = {.loop = node.loop,
                                           .db = node.db,
                                           .timeout_ms = fake_manager.timeout_ms,
                                           .compose = play_compose,
                                           .send = play_send,
                                           .ctx = &fake_manager};
    node.second = cache_second_new(&options);
    ck_assert_ptr_nonnull(node.second);
}

void play_manager_begin(void)
{
    ck_assert_ptr_nonnull(buffer_reserve(&composed, 65536));
    uv_prepare_init(node.loop, &answering);
    uv_prepare_start(&answering, play_on_prepare);
}

void play_manager_end(void)
{
    uv_close((uv_handle_t *)&answering, NULL);
    buffer_fini(&composed);
}
