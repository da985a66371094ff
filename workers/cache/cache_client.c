/* cache_client.c: see cache_client.h. */
#include "workers/cache/cache_client.h"

#include "common/clock.h"
#include "common/redis/redis_tls.h"
#include "workers/cache/cache_above.h"
#include "workers/cache/cache_access.h"
#include "workers/cache/cache_guest.h"
#include "workers/cache/cache_node.h"
#include "workers/cache/cache_member.h"
#include "workers/cache/cache_tls.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define CLIENT_IN_MAX     ((size_t)1 << 30)   /* not executed: Redis' client-query-buffer-limit */
#define CLIENT_WORD_MAX   ((size_t)512 << 20) /* Redis' proto-max-bulk-len */
#define CLIENT_WORDS_MAX  ((size_t)1 << 20)
#define CLIENT_WORDS_KEEP 64
#define CLIENT_HELD_MAX   ((size_t)1 << 20) /* read of one that waits */
#define CLIENT_READ_MAX   ((size_t)1 << 20) /* at once, of a large word */

/* ---- what it may do ---- */

/* Another node has not read what its clients have asked for so far. */
static bool client_is_full(const struct cache_client *c)
{
    return c->linked && c->unsent.len - c->unsent_at + cache_guest_owed(c) > CACHE_CLIENT_LINK_MAX;
}

static bool client_is_held(const struct cache_client *c)
{
    return c->syncing || c->parked > 0 || c->stalled || client_is_full(c);
}

static bool client_is_over(const struct cache_client *c)
{
    return c->closing || c->gone;
}

static void client_on_poll(uv_poll_t *poll, int status, int events);

/* Of what has come so much is still to be executed that no more is read. */
static bool client_has_enough(const struct cache_client *c)
{
    if (client_is_held(c))
        return c->in.len >= CLIENT_HELD_MAX || !cache_node_may_wait(c->node, 0);
    return c->more && c->in.len > 0;
}

/* What is waited for at its socket. */
static void client_watch(struct cache_client *c)
{
    bool may = !client_is_over(c) && !c->ended && !client_has_enough(c);
    bool reads = may && !c->input.waits;
    if (!may && !c->more)
        cache_input_rests(c);
    int events = (reads ? UV_READABLE : 0) | (c->writing ? UV_WRITABLE : 0);
    if (events == c->events)
        return;
    c->events = events;
    if (events == 0)
        uv_poll_stop(&c->poll);
    else
        uv_poll_start(&c->poll, events, client_on_poll);
}

/* What it holds for itself counts as memory of the node, but what waits for the store. */
static void client_charge(struct cache_client *c)
{
    size_t waits = c->parked > 0 ? c->in.cap : 0, holds = c->in.cap + c->unsent.cap - waits;
    c->node->waiting += waits - c->waiting;
    c->waiting = waits;
    cache_input_count(c, c->in.cap - waits);
    if (holds != c->charged)
        cache_db_charge(c->node->db, (ptrdiff_t)holds - (ptrdiff_t)c->charged);
    c->charged = holds;
}

/* ---- its end ---- */

static void client_on_close(uv_handle_t *handle)
{
    struct cache_client *c = handle->data;
    close(c->fd);
    free(c);
}

static void client_close(struct cache_client *c)
{
    struct cache_node *n = c->node;
    cache_guest_forget(c);
    cache_input_forget(c);
    cache_turn_remove(c);
    n->commands->forget(c);
    cache_turn_return(&n->turn, &c->reply.out);
    buffer_fini(&c->in);
    buffer_fini(&c->unsent);
    client_charge(c);
    resp_request_fini(&c->request);
    redis_tls_session_free(c->tls);
    free(c->name);
    free(c->lib_name);
    free(c->lib_ver);
    *(c->prev != NULL ? &c->prev->next : &n->clients) = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    n->client_count--;
    uv_close((uv_handle_t *)&c->poll, client_on_close);
}

void cache_client_end_all(struct cache_node *n)
{
    while (n->clients != NULL)
        client_close(n->clients);
    cache_guest_end_all(n);
}

/* ---- executing ---- */

/* Gives up the memory of a request with very many words. */
static void client_trim(struct cache_client *c)
{
    if (c->request.capacity > CLIENT_WORDS_KEEP)
        resp_request_fini(&c->request);
}

/* Whether what was read can be looked at while commands before it are away; else it is read again, later. */
static bool client_may_join(struct cache_client *c)
{
    return c->request.count == 0 ||
           c->node->commands->may_join(c, c->request.words, c->request.count);
}

/*
 * One answer of the greatest size, behind what may be there before it: of a turn, and of those before. Rejected: to
 * drop it as other clients, for all that its clients have asked would be lost, and asked again.
 */
static size_t client_unsent_max(const struct cache_client *c)
{
    size_t link = CACHE_CLIENT_LINK_MAX + 2 * CACHE_TURN_REPLIES;
    return CACHE_CLIENT_UNSENT_MAX + (c->linked ? link : 0);
}

static void client_command(struct cache_client *c)
{
    if (c->request.count > 0 && cache_above_keeps(c, c->request.words[0]))
        c->node->commands->execute(c, c->request.words, c->request.count);
    c->linked = c->linked || c->from != 0;
    c->reply.max = c->linked ? client_unsent_max(c) : c->reply.max;
    c->large = false;
    client_trim(c);
}

/* Its request has a word that no object could take. */
static bool client_has_large(const struct cache_client *c)
{
    const struct resp_request *r = &c->request;
    return r->at > 0 && r->length >= 0 &&
           (c->large || (size_t)r->length > c->node->options.object_max);
}

/*
 * A word that no object could take is not kept: what has come of it goes, as if it had been shorter, until its command
 * is whole and can be refused. Returns how many bytes are left.
 */
static size_t client_skip(struct cache_client *c, char *data, size_t len)
{
    struct resp_request *r = &c->request;
    if (!client_has_large(c))
        return len;
    size_t came = len - r->at, skipped = came < (size_t)r->length ? came : (size_t)r->length;
    c->large = true;
    r->length -= (int64_t)skipped;
    memmove(data + r->at, data + r->at + skipped, came - skipped);
    return len - skipped;
}

/*
 * One command of what was read ahead, or was sent before its like was refused, is behind it: when it has run, for the
 * last one of them does not wait as long again either.
 */
static void client_passed(struct cache_client *c, size_t used)
{
    cache_input_passed(c);
    c->ahead -= c->ahead > 0;
    c->late -= used < c->late ? used : c->late;
}

/* What cannot be read is answered, and was not done; what stands behind it is not read either. */
static void client_refuse(struct cache_client *c, enum resp_result result, const char *error)
{
    char why[CACHE_ACCESS_WHY_SIZE];
    if (!c->reply_off && !c->reply_skip) {
        cache_access_fault(c->node, CACHE_FAULT_MEMORY, why);
        if (result == RESP_REQUEST_SHORT)
            resp_error(&c->reply, "%s", why);
        else
            resp_error(&c->reply, "ERR %s", error);
    }
    cache_turn_end(c, false);
}

/* Executes what is whole. Returns how many bytes that were; *len: how many there are, for a large word is skipped. */
static size_t client_execute(struct cache_client *c, char *data, size_t *len)
{
    struct resp_limits limits = {.words_max = CLIENT_WORDS_MAX, .word_max = CLIENT_WORD_MAX};
    size_t at = 0;
    if (c->held != NULL)
        c->node->commands->resume(c);
    for (int count = 0; at < *len && !client_is_held(c) && !client_is_over(c); count++) {
        const char *error = NULL;
        size_t used = 0;
        if (count == CACHE_TURN_COMMANDS || c->reply.out.len > CACHE_TURN_REPLIES ||
            cache_turn_is_full(&c->node->turn)) {
            cache_turn_more(c);
            return at;
        }
        limits.trusted = c->trusted;
        if (c->away != NULL && data[at] != '*') {
            c->stalled = true; /* reading a line changes it: only once */
            return at;
        }
        enum resp_result result =
            resp_request_read(&c->request, &limits, data + at, *len - at, &used, &error);
        switch (result) {
        case RESP_REQUEST_WHOLE:
            if (c->away != NULL && !client_may_join(c)) {
                c->stalled = true;
                return at;
            }
            at += used;
            client_command(c);
            client_passed(c, used);
            break;
        case RESP_REQUEST_MORE:
            if (c->away != NULL && client_has_large(c)) {
                c->stalled = true; /* what was skipped could not be read again */
                return at;
            }
            *len = at + client_skip(c, data + at, *len - at);
            return at;
        case RESP_REQUEST_BAD:
        case RESP_REQUEST_SHORT:
            if (c->away != NULL) {
                c->stalled = true;
                c->request.at = 0; /* from its beginning, then */
                return at;
            }
            client_refuse(c, result, error);
        }
    }
    return client_is_over(c) ? *len : at;
}

static size_t client_run(struct cache_client *c, char *data, size_t *len)
{
    struct cache_turn *t = &c->node->turn;
    cache_turn_begin(t);
    cache_turn_lend(t, &c->reply.out);
    if (c->node->member != NULL)
        cache_member_now(c->node->member);
    size_t used = client_execute(c, data, len);
    if (c->reply.out.len > 0 || c->reply.out.failed || client_is_over(c))
        cache_turn_ready(c);
    else
        cache_turn_return(t, &c->reply.out);
    return used;
}

/* What it has sent is executed as far as it can be now. */
static void client_rest(struct cache_client *c)
{
    if (c->ended && !c->more && c->away == NULL && !client_is_held(c) && !client_is_over(c))
        cache_turn_end(c, false);
    client_watch(c);
}

/* What is left behind a large command does not keep its room. */
static void client_shrink(struct cache_client *c)
{
    struct buffer small = BUFFER_EMPTY;
    if (c->in.cap <= CACHE_INPUT_SMALL || c->in.len > c->in.cap / 4)
        return;
    buffer_append(&small, c->in.data, c->in.len);
    if (!buffer_ok(&small))
        return;
    buffer_fini(&c->in);
    c->in = small;
}

void cache_client_go_on(struct cache_client *c)
{
    if (c->guest) {
        cache_guest_go_on(c);
        return;
    }
    cache_guest_look(c);
    if ((c->in.len == 0 && c->held == NULL) || client_is_held(c) || client_is_over(c)) {
        c->node->commands->look_ahead(c);
        client_rest(c);
        return;
    }
    size_t len = c->in.len, used = client_run(c, c->in.data, &len);
    c->in.len = len;
    buffer_consume(&c->in, used);
    if (c->in.len == 0) {
        buffer_fini(&c->in);
        c->late = c->ahead = 0;
    } else if (used > 0) {
        client_shrink(c);
    }
    c->node->commands->look_ahead(c);
    client_charge(c);
    client_rest(c);
}

/* ---- reading ---- */

/* Bytes that came where all clients' come; what of them is not executed is kept. */
static void client_take(struct cache_client *c, char *data, size_t len)
{
    size_t used = client_is_held(c) ? 0 : client_run(c, data, &len);
    buffer_append(&c->in, data + used, len - used);
    if (!buffer_ok(&c->in))
        cache_turn_end(c, true);
    c->node->commands->look_ahead(c);
    client_charge(c);
    client_rest(c);
}

/* How much to ask for, of one that has something already: what its word lacks. */
static size_t client_lacks(const struct cache_client *c)
{
    const struct resp_request *r = &c->request;
    size_t whole = r->at > 0 && r->length > 0 ? r->at + (size_t)r->length + 2 : 0;
    size_t lacks = whole > c->in.len ? whole - c->in.len : 0;
    return lacks < CACHE_READ_SIZE   ? CACHE_READ_SIZE
           : lacks < CLIENT_READ_MAX ? lacks
                                     : CLIENT_READ_MAX;
}

static void client_read(struct cache_client *c)
{
    bool own = c->in.len > 0;
    size_t room = own ? client_lacks(c) : CACHE_READ_SIZE;
    if (own && !cache_input_may(c, room)) {
        client_watch(c);
        return;
    }
    char *to = own ? buffer_reserve(&c->in, room) : c->node->read;
    bool may = to != NULL && c->in.len < CLIENT_IN_MAX;
    ssize_t got = may ? cache_tls_recv(c, to, room) : 0;
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        c->ended = c->ended || (may && got == 0);
        if (!c->ended)
            cache_turn_end(c, true);
        client_rest(c);
        return;
    }
    c->node->counts.in_bytes += (uint64_t)got;
    c->node->counts.reads++;
    c->used_ms = uv_now(c->node->loop);
    if (!own) {
        client_take(c, to, (size_t)got);
        return;
    }
    c->in.len += (size_t)got;
    if (c->more)
        client_rest(c);
    else
        cache_client_go_on(c);
}

static void client_on_poll(uv_poll_t *poll, int status, int events)
{
    struct cache_client *c = poll->data;
    if (status < 0) {
        cache_turn_end(c, true);
        return;
    }
    if ((events & UV_WRITABLE) != 0) {
        c->writable = true;
        cache_turn_ready(c);
    }
    if ((events & UV_READABLE) != 0 && !client_is_over(c))
        client_read(c);
}

/* ---- writing ---- */

/* Bytes that the socket has taken, or -1: it is over. */
static ssize_t client_send(struct cache_client *c)
{
    struct iovec parts[2];
    struct msghdr m = {.msg_iov = parts};
    if (c->unsent.len > 0)
        parts[m.msg_iovlen++] = (struct iovec){.iov_base = c->unsent.data + c->unsent_at,
                                               .iov_len = c->unsent.len - c->unsent_at};
    if (c->reply.out.len > 0)
        parts[m.msg_iovlen++] =
            (struct iovec){.iov_base = c->reply.out.data, .iov_len = c->reply.out.len};
    if (m.msg_iovlen == 0)
        return 0;
    ssize_t sent = sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : sent;
}

/* What has not been sent is kept behind what has not been sent before. */
static void client_keep(struct cache_client *c, size_t sent)
{
    size_t before = c->unsent.len - c->unsent_at, of_before = sent < before ? sent : before;
    size_t of_reply = sent - of_before;
    c->unsent_at += of_before;
    if (c->unsent_at == c->unsent.len) {
        buffer_fini(&c->unsent);
        c->unsent = c->reply.out; /* not copied: it may be large */
        c->unsent_at = of_reply;
        c->reply.out = BUFFER_EMPTY;
        return;
    }
    if (c->unsent_at > c->unsent.len / 2) {
        buffer_consume(&c->unsent, c->unsent_at);
        c->unsent_at = 0;
    }
    buffer_append(&c->unsent, c->reply.out.data, c->reply.out.len);
    cache_turn_return(&c->node->turn, &c->reply.out);
}

static void client_sent(struct cache_client *c, size_t sent)
{
    c->node->counts.out_bytes += sent;
    c->node->counts.writes++;
    c->writing = sent < cache_client_unsent(c);
    if (c->writing) {
        client_keep(c, sent);
        return;
    }
    buffer_fini(&c->unsent);
    c->unsent_at = 0;
    cache_turn_return(&c->node->turn, &c->reply.out);
}

void cache_client_write(struct cache_client *c)
{
    if (c->guest) {
        cache_guest_write(c);
        return;
    }
    bool tries = !c->writing || c->writable, full = client_is_full(c);
    c->writable = false;
    bool failed = !buffer_ok(&c->reply.out) || !buffer_ok(&c->unsent);
    bool over = c->gone || failed || !cache_tls_seal(c);
    ssize_t sent = over ? -1 : tries ? client_send(c) : 0;
    if (sent >= 0)
        client_sent(c, (size_t)sent);
    bool slow = failed || cache_client_unsent(c) > client_unsent_max(c);
    c->node->turn.dropped += slow && !c->gone;
    if (sent < 0 || slow || (c->closing && (!c->writing || c->ended))) {
        client_close(c);
        return;
    }
    if ((full || cache_guest_stalls(c)) && !client_is_full(c))
        cache_turn_more(c);
    client_charge(c);
    client_watch(c);
}

/* ---- its beginning ---- */

void cache_client_new(struct cache_node *n, int fd, const char *path)
{
    struct cache_client *c = calloc(1, sizeof *c);
    bool tls = path == NULL && n->tls != NULL;
    if (c != NULL && tls)
        c->tls = redis_tls_session_accept(n->tls);
    if (c == NULL || (tls && c->tls == NULL) || uv_poll_init(n->loop, &c->poll, fd) != 0) {
        redis_tls_session_free(c != NULL ? c->tls : NULL);
        free(c);
        close(fd);
        return;
    }
    c->node = n;
    c->fd = fd;
    c->path = path;
    c->poll.data = c;
    c->id = ++n->last_id;
    c->reply = (struct resp_reply){.version = 2, .max = CACHE_CLIENT_UNSENT_MAX};
    c->trusted = n->options.secret == NULL;
    c->above = cache_above_is(n);
    c->born_ms = c->used_ms = uv_now(n->loop);
    c->next = n->clients;
    if (c->next != NULL)
        c->next->prev = c;
    n->clients = c;
    n->client_count++;
    n->counts.connections++;
    client_watch(c);
}
