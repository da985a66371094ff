/*
 * worker_peers.c: whom a worker may talk with, and which frames it believes.
 *
 * UP and DOWN come over the link, frames over the mailbox: two roads, so a frame may overtake the UP of its sender. Frames of
 * an incarnation that is newer than all we know wait for it, few and shortly; frames of one that is gone are dropped and
 * counted. Dropping early frames was rejected: a sender's first message often is the credit everything else waits for. A number
 * that is missing among a peer's frames is a loss, and not ours to repair (on_gap).
 */
#include "common/clock.h"
#include "common/log.h"
#include "workers/skeleton/worker_private.h"

#include <errno.h>
#include <stdlib.h>

#define WORKER_EARLY_MAX   1024 /* a drain has at most some 300 workers, and each may be early */
#define WORKER_EARLY_BYTES (16u * 1024 * 1024)
#define WORKER_EARLY_MS    2000
/* Pause between two complaints about unreadable frames. */
#define WORKER_COMPLAIN_MS 10000

struct worker_peer_entry {
    struct worker_peer peer;
    int trace;      /* worker_trace_peer */
    bool linked;    /* its death is ours */
    uint64_t heard; /* frames so far: the number the next one must have */
    struct worker_peer_entry *next;
};

/* A frame whose sender has not been announced yet. */
struct worker_early {
    struct worker_early *next;
    char sender[CONTRACT_NAME_MAX];
    uint64_t generation;
    uint64_t number;
    uint64_t give_up_at;
    size_t len;
    char bytes[]; /* the messages, without the envelope */
};

static struct worker_peer_entry *worker_peers_lookup(struct worker_peers *peers, struct slice name)
{
    for (struct worker_peer_entry *e = peers->first; e != NULL; e = e->next)
        if (slice_is(name, e->peer.name))
            return e;
    return NULL;
}

/* ---- reading frames ---- */

static void worker_peers_complain(struct worker *w, struct slice sender, const char *what)
{
    worker_count(w, COUNTER_MESSAGES_REJECTED, 1);
    uint64_t now = clock_mono_ms();
    if (w->peers.complained_at != 0 && now - w->peers.complained_at < WORKER_COMPLAIN_MS)
        return;
    w->peers.complained_at = now;
    log_warn("message-rejected", "from=%s what=%s", log_quote(sender), log_quote_text(what));
}

/* Messages nobody in this type wants to have, but a person may have sent. */
static bool worker_peers_log_unwanted(struct worker_peer *from, uint64_t type, struct unpack *u)
{
    if (type != MESSAGE_JSON && type != MESSAGE_REPLY)
        return false;
    struct slice body = unpack_raw(u);
    if (!unpack_ok(u))
        return false;
    /* Its bytes too, cut by log_quote: what was sent to a worker that has no use for it can at least be read. */
    log_info("message-not-wanted", "from=%s type=%s bytes=%zu body=%s", from->name,
             message_type_name(type), body.len, log_quote(body));
    return true;
}

/* The skeleton's own message. It asks for our DOWN of the sender, who need not be of our group. */
static bool worker_peers_linked(struct worker *w, struct worker_peer_entry *from, struct unpack *u)
{
    struct message_linked m;
    if (!message_linked_unpack(u, &m))
        return false;
    from->linked = true;
    worker_monitor(w, slice_of(from->peer.name));
    return true;
}

/* One message; false when the rest of the frame cannot be read. */
static bool worker_peers_message(struct worker *w, struct worker_peer *from, struct unpack *u)
{
    /* `peer` is the entry's first member. */
    struct worker_peer_entry *entry = (struct worker_peer_entry *)from;
    struct unpack start = *u;
    uint64_t type = schema_peek_type(start);
    worker_count(w, COUNTER_MESSAGES_IN, 1);
    uint64_t noted = worker_trace_in(entry->trace, type);
    if (type == MESSAGE_LINKED)
        return worker_peers_linked(w, entry, u);
    bool taken = w->ops->on_message != NULL && w->ops->on_message(w, w->state, from, type, u);
    /* A callback that claims success without reading would be called for ever. */
    if (taken && unpack_ok(u) && u->at != start.at) {
        worker_trace_in_read(noted, entry->trace, type,
                             slice_make(start.at, (size_t)(u->at - start.at)));
        return true;
    }
    *u = start;
    if (worker_peers_log_unwanted(from, type, u))
        return true;
    worker_peers_complain(w, slice_of(from->name), message_type_name(type));
    return false;
}

static void worker_peers_deliver(struct worker *w, struct worker_peer_entry *from, uint64_t number,
                                 struct unpack u)
{
    if (number > from->heard && w->peers.on_gap != NULL)
        w->peers.on_gap(w, &from->peer, number - from->heard);
    from->heard = number + 1;
    while (w->phase < WORKER_ENDING && unpack_more(&u))
        if (!worker_peers_message(w, &from->peer, &u))
            return;
}

static void worker_peers_drop_stale(struct worker *w, struct slice messages)
{
    struct unpack u = unpack_start(messages);
    uint64_t count = 0;
    while (unpack_more(&u)) {
        unpack_raw(&u);
        count++;
    }
    worker_count(w, COUNTER_MESSAGES_STALE, count);
}

/* ---- early frames ---- */

static bool worker_peers_is_gone(const struct worker_peers *peers, const struct message_envelope *e)
{
    for (size_t i = 0; i < WORKER_GONE_MAX; i++)
        if (peers->gone[i].generation >= e->generation && slice_is(e->sender, peers->gone[i].name))
            return true;
    return false;
}

static void worker_peers_remember_gone(struct worker_peers *peers, const struct worker_peer *peer)
{
    struct worker_gone *gone = &peers->gone[peers->gone_next];
    memcpy(gone->name, peer->name, sizeof gone->name);
    gone->generation = peer->generation;
    peers->gone_next = (peers->gone_next + 1) % WORKER_GONE_MAX;
}

/* Keeps a frame for the UP that is on its way. False when there is no room. */
static bool worker_peers_hold(struct worker_peers *peers, const struct message_envelope *e,
                              struct slice messages)
{
    if (peers->early_count >= WORKER_EARLY_MAX ||
        peers->early_bytes + messages.len > WORKER_EARLY_BYTES)
        return false;
    struct worker_early *early = malloc(sizeof *early + messages.len);
    if (early == NULL)
        return false;
    *early = (struct worker_early){.generation = e->generation,
                                   .number = e->number,
                                   .give_up_at = clock_mono_ms() + WORKER_EARLY_MS,
                                   .len = messages.len};
    if (!slice_copy(e->sender, early->sender, sizeof early->sender)) {
        free(early);
        return false;
    }
    memcpy(early->bytes, messages.ptr, messages.len);
    if (peers->early_last != NULL)
        peers->early_last->next = early;
    else
        peers->early_first = early;
    peers->early_last = early;
    peers->early_count++;
    peers->early_bytes += early->len;
    return true;
}

/* Takes every early frame out for which `match` says so, in order, and hands each to the peer or, without one, drops it. */
static void worker_peers_release(struct worker *w, struct worker_peer_entry *peer,
                                 bool (*match)(const struct worker_early *early, const void *key),
                                 const void *key)
{
    struct worker_peers *peers = &w->peers;
    struct worker_early *early = peers->early_first;
    peers->early_first = peers->early_last = NULL;
    struct worker_early **tail = &peers->early_first;
    while (early != NULL) {
        struct worker_early *next = early->next;
        early->next = NULL;
        if (!match(early, key)) {
            *tail = early;
            tail = &early->next;
            peers->early_last = early;
        } else {
            struct slice messages = slice_make(early->bytes, early->len);
            peers->early_count--;
            peers->early_bytes -= early->len;
            if (peer != NULL)
                worker_peers_deliver(w, peer, early->number, unpack_start(messages));
            else
                worker_peers_drop_stale(w, messages);
            free(early);
        }
        early = next;
    }
}

static bool worker_early_is_of(const struct worker_early *early, const void *key)
{
    const struct worker_peer *peer = key;
    return early->generation == peer->generation && strcmp(early->sender, peer->name) == 0;
}

static bool worker_early_is_over(const struct worker_early *early, const void *key)
{
    const uint64_t *now = key;
    return early->give_up_at <= *now;
}

static bool worker_early_any(const struct worker_early *early, const void *key)
{
    (void)early;
    (void)key;
    return true;
}

void worker_peers_tick(struct worker *w)
{
    uint64_t now = clock_mono_ms();
    if (w->peers.early_first != NULL)
        worker_peers_release(w, NULL, worker_early_is_over, &now);
    if (w->transport != NULL)
        w->ops->mailbox->tick(w->transport);
    worker_gauge(w, COUNTER_MAILBOX_DEPTH,
                 w->transport != NULL ? w->ops->mailbox->depth(w->transport) : 0);
    worker_gauge(w, COUNTER_MAILBOX_WAIT, w->peers.longest_wait_ms);
    w->peers.longest_wait_ms = 0;
    worker_trace_tick();
}

/* Sender and receiver have one clock: they run on one host. */
static void worker_peers_note_wait(struct worker_peers *peers, uint64_t sent_ms)
{
    uint64_t now = clock_mono_ms();
    uint64_t wait = now > sent_ms ? now - sent_ms : 0;
    if (wait > peers->longest_wait_ms)
        peers->longest_wait_ms = wait;
}

void worker_peers_frame(struct worker *w, struct slice frame)
{
    struct unpack u = unpack_start(frame);
    struct message_envelope e;
    if (!message_envelope_unpack(&u, &e)) {
        worker_peers_complain(w, slice_of("?"),
                              "no envelope of this version: is the sender of the same build?");
        return;
    }
    worker_peers_note_wait(&w->peers, e.sent_ms);
    struct slice messages = slice_make(u.at, (size_t)(u.end - u.at));
    struct worker_peer_entry *entry = worker_peers_lookup(&w->peers, e.sender);
    if (entry != NULL && entry->peer.generation == e.generation)
        worker_peers_deliver(w, entry, e.number, u);
    else if ((entry != NULL && entry->peer.generation > e.generation) ||
             worker_peers_is_gone(&w->peers, &e) || !worker_peers_hold(&w->peers, &e, messages))
        worker_peers_drop_stale(w, messages);
}

/* ---- coming and going ---- */

static struct worker_peer_entry *worker_peers_add(struct worker *w, const struct link_up *up)
{
    struct worker_peer_entry *e = calloc(1, sizeof *e);
    if (e == NULL)
        return NULL;
    e->peer.generation = up->generation;
    if (!slice_copy(up->name, e->peer.name, sizeof e->peer.name) ||
        !slice_copy(up->type, e->peer.type, sizeof e->peer.type)) {
        free(e);
        return NULL;
    }
    e->trace = worker_trace_peer(e->peer.name);
    char address[256];
    if (w->transport != NULL && up->address.len > 0 &&
        slice_copy(up->address, address, sizeof address))
        e->peer.transport = w->ops->mailbox->peer_new(w->transport, address);
    if (w->transport != NULL && up->address.len > 0 && e->peer.transport == NULL)
        worker_exit(w, CONTRACT_EXIT_TEMPORARY, "%s: cannot open a pipe to %s at %s", w->name,
                    e->peer.name, log_quote(up->address));
    if (w->peers.last != NULL)
        w->peers.last->next = e;
    else
        w->peers.first = e;
    w->peers.last = e;
    return e;
}

static void worker_peers_unlink(struct worker_peers *peers, struct worker_peer_entry *entry)
{
    struct worker_peer_entry *before = NULL;
    for (struct worker_peer_entry *e = peers->first; e != entry; e = e->next)
        before = e;
    if (before != NULL)
        before->next = entry->next;
    else
        peers->first = entry->next;
    if (peers->last == entry)
        peers->last = before;
}

/* Not to be found any more when on_down is called, so that the type cannot send to it; its memory lives until that returns. */
static void worker_peers_remove(struct worker *w, struct worker_peer_entry *entry,
                                struct slice reason)
{
    worker_peers_unlink(&w->peers, entry);
    worker_peers_remember_gone(&w->peers, &entry->peer);
    if (entry->linked && !entry->peer.orderly && w->phase < WORKER_DRAINING)
        worker_exit(w, CONTRACT_EXIT_TEMPORARY, "%s: linked with %s, which died: %s", w->name,
                    entry->peer.name, log_quote(reason));
    if (w->phase < WORKER_ENDING && w->ops->on_down != NULL)
        w->ops->on_down(w, w->state, &entry->peer, reason);
    if (entry->peer.transport != NULL)
        w->ops->mailbox->peer_free(entry->peer.transport);
    free(entry->peer.user);
    free(entry);
}

void worker_peers_up(struct worker *w, const struct link_up *up)
{
    struct worker_peer_entry *known = worker_peers_lookup(&w->peers, up->name);
    if (up->name.len >= CONTRACT_NAME_MAX || up->type.len >= CONTRACT_NAME_MAX) {
        log_error("peer-refused", "name=%s cause=\"a name or type above %d bytes\"",
                  log_quote(up->name), CONTRACT_NAME_MAX - 1);
        return;
    }
    if (known != NULL && known->peer.generation >= up->generation)
        return; /* told twice, as a member of the group and by MONITOR */
    if (known != NULL)
        worker_peers_remove(w, known, slice_of("replaced"));
    struct worker_peer_entry *entry = worker_peers_add(w, up);
    if (entry == NULL) /* it would wait for ever for what we owe it */
        worker_exit(w, CONTRACT_EXIT_TEMPORARY, "%s: no memory for the peer %s; starting afresh",
                    w->name, log_quote(up->name));
    if (w->ops->on_up != NULL)
        w->ops->on_up(w, w->state, &entry->peer);
    worker_peers_release(w, entry, worker_early_is_of, &entry->peer);
}

void worker_peers_down(struct worker *w, const struct link_down *down)
{
    struct worker_peer_entry *known = worker_peers_lookup(&w->peers, down->name);
    if (known != NULL) {
        known->peer.orderly = down->orderly != 0;
        if (known->peer.generation <= down->generation)
            worker_peers_remove(w, known, down->reason);
        return;
    }
    /*
     * The answer to a MONITOR of somebody who is not there, or a temporary child that never was READY: the type gets a peer for the length of the call.
     */
    struct worker_peer nobody = {.generation = down->generation, .orderly = down->orderly != 0};
    if (slice_copy(down->name, nobody.name, sizeof nobody.name) && w->ops->on_down != NULL)
        w->ops->on_down(w, w->state, &nobody, down->reason);
}

void worker_peers_fini(struct worker *w)
{
    worker_peers_release(w, NULL, worker_early_any, NULL);
    while (w->peers.first != NULL) {
        struct worker_peer_entry *entry = w->peers.first;
        worker_peers_unlink(&w->peers, entry);
        if (entry->peer.transport != NULL)
            w->ops->mailbox->peer_free(entry->peer.transport);
        free(entry->peer.user);
        free(entry);
    }
}

/* ---- worker.h ---- */

struct worker_peer *worker_peer_find(struct worker *w, const char *name)
{
    struct worker_peer_entry *entry = worker_peers_lookup(&w->peers, slice_of(name));
    return entry == NULL ? NULL : &entry->peer;
}

struct worker_peer *worker_peer_next(struct worker *w, struct worker_peer *after)
{
    /* `peer` is the entry's first member. */
    struct worker_peer_entry *next =
        after == NULL ? w->peers.first : ((struct worker_peer_entry *)after)->next;
    return next == NULL ? NULL : &next->peer;
}

struct buffer *worker_compose(struct worker *w)
{
    buffer_reset(&w->message, 1024 * 1024);
    return &w->message;
}

int worker_link(struct worker *w, struct worker_peer *peer)
{
    struct buffer *message = worker_compose(w);
    struct message_linked m = {.since_ms = clock_mono_ms()};
    message_linked_pack(message, &m);
    int rc = worker_send(w, peer, message);
    if (rc != 0)
        return rc;
    ((struct worker_peer_entry *)peer)->linked = true;
    worker_monitor(w, slice_of(peer->name));
    return 0;
}

int worker_send(struct worker *w, struct worker_peer *to, const struct buffer *message)
{
    if (to->transport == NULL)
        return -ENOTCONN;
    if (!buffer_ok(message))
        return -ENOMEM;
    int rc = w->ops->mailbox->send(to->transport, buffer_slice(message));
    if (rc != 0)
        return rc;
    worker_count(w, COUNTER_MESSAGES_OUT, 1);
    worker_trace_out(((const struct worker_peer_entry *)to)->trace,
                     schema_peek_type(unpack_start(buffer_slice(message))), buffer_slice(message));
    return 0;
}

void worker_must_send(struct worker *w, struct worker_peer *to, const struct buffer *message)
{
    int rc = worker_send(w, to, message);
    if (rc != 0)
        worker_exit(w, CONTRACT_EXIT_TEMPORARY, "%s: cannot send to %s: %s; starting afresh",
                    w->name, to->name, uv_strerror(rc));
}
