/*
 * worker_peers.c: whom a worker may talk with, and which frames it believes.
 *
 * UP and DOWN come over the link, frames over the mailbox: two roads, so a frame may overtake the UP of its sender.
 * Frames of an incarnation that is newer than all we know wait for it, few and shortly; frames of one that is gone are
 * dropped and counted. Dropping early frames was rejected: a sender's first message often is the credit everything else
 * waits for.
 *
 * Any worker can write into any mailbox, and name whom it likes; so who can proves who it is (proof.h), by what the
 * master has given it, and what is not proven of such a peer is nobody's: dropped, and held against no one. A secret
 * of each pair was rejected: it comes with the UP, and early frames could not be told from forged ones.
 *
 * A number that is missing among a peer's frames is a loss, and not ours to repair (on_gap): but of a custom worker it
 * may be a lie as well, and what we cannot believe must not end us: its own end is as good for what is owed on both
 * sides (on_lie). Frames of another MESSAGE_VERSION are a trouble of ours that names who sends them.
 */
#include "common/clock.h"
#include "common/log.h"
#include "proto/worker_types.h"
#include "workers/skeleton/worker_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define WORKER_EARLY_MAX   1024 /* a drain has at most some 300 workers, and each may be early */
#define WORKER_EARLY_BYTES (16u * 1024 * 1024)
#define WORKER_EARLY_MS    2000
/* Pause between two complaints about unreadable frames. */
#define WORKER_COMPLAIN_MS 10000
/* So long the trouble with a sender lasts of whose end we are told nothing. */
#define WORKER_FOREIGN_MS 60000

struct worker_peer_entry {
    struct worker_peer peer;
    int trace;    /* worker_trace_peer */
    bool linked;  /* we have said so: its death is ours */
    bool wants;   /* it has said so: ours is its */
    bool custom;  /* not of our making */
    bool proven;  /* its frames have a proof */
    bool excused; /* some of its early frames may have found no room: that is no lie of its own */
    bool cut;     /* it has sent what cannot be: nothing of it is believed any more */
    uint64_t
        foreign; /* the MESSAGE_VERSION it speaks, which is not ours; 0: ours, or it has said nothing */
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
    bool proven;
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

/*
 * The skeleton's own message: the sender's death will not be ours for it, or anybody could end us. Who wants that too
 * says so (worker_link).
 */
static bool worker_peers_linked(struct worker *w, struct worker_peer_entry *from, struct unpack *u)
{
    struct message_linked m;
    if (!message_linked_unpack(u, &m))
        return false;
    bool again = from->wants;
    from->wants = true;
    if (!again && w->ops->on_link != NULL && w->phase < WORKER_SETTLING)
        w->ops->on_link(w, w->state, &from->peer);
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
    if (type == MESSAGE_ASK)
        return worker_asked_message(w, from, entry->custom, u);
    bool taken = worker_hands_message(w, from, type, u);
    if (!taken && w->ops->on_message != NULL && w->phase < WORKER_SETTLING) {
        *u = start;
        taken = w->ops->on_message(w, w->state, from, type, u);
    }
    /* A callback that claims success without reading would be called for ever. */
    if (taken && unpack_ok(u) && u->at != start.at) {
        worker_trace_in_read(noted, entry->trace, type,
                             slice_make(start.at, (size_t)(u->at - start.at)));
        return true;
    }
    *u = start;
    if (w->phase >=
        WORKER_SETTLING) { /* it may be another system's, and what is waited for behind it */
        unpack_raw(u);
        return unpack_ok(u);
    }
    if (worker_peers_log_unwanted(from, type, u))
        return true;
    worker_peers_complain(w, slice_of(from->name), message_type_name(type));
    return false;
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

/* Whether the frame of this number is the next one. */
static bool worker_peers_believe(struct worker *w, struct worker_peer_entry *from, uint64_t number)
{
    char what[128];
    bool excused = from->excused && number > from->heard;
    if (excused)
        from->excused = false;
    if (from->custom && !from->cut && number != from->heard && !excused) {
        from->cut = true;
        snprintf(what, sizeof what,
                 "its frames to %s are not in order: number %" PRIu64 " instead of %" PRIu64,
                 w->name, number, from->heard);
        log_warn("frames-out-of-order", "from=%s cause=%s", from->peer.name, log_quote_text(what));
        if (w->peers.on_lie != NULL)
            w->peers.on_lie(w, &from->peer, what);
    }
    if (from->cut)
        return false;
    if (number > from->heard && !(excused && from->custom) && w->peers.on_gap != NULL)
        w->peers.on_gap(w, &from->peer, number - from->heard);
    from->heard = number + 1;
    return true;
}

static void worker_peers_deliver(struct worker *w, struct worker_peer_entry *from, uint64_t number,
                                 struct unpack u)
{
    if (!worker_peers_believe(w, from, number)) {
        worker_peers_drop_stale(w, slice_make(u.at, (size_t)(u.end - u.at)));
        return;
    }
    while (w->phase < WORKER_ENDING && unpack_more(&u))
        if (!worker_peers_message(w, &from->peer, &u))
            return;
}

/* ---- early frames ---- */

static bool worker_peers_is_gone(const struct worker_peers *peers, struct slice sender,
                                 uint64_t generation)
{
    for (size_t i = 0; i < WORKER_GONE_MAX; i++)
        if (peers->gone[i].generation >= generation && slice_is(sender, peers->gone[i].name))
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

/* Only the master and we know the key: who has the proof has it from the master, as that incarnation. */
static bool worker_peers_is_proven(const struct worker_peers *peers,
                                   const struct message_envelope *e)
{
    return peers->proves && e->proof != 0 &&
           e->proof == proof_of(peers->key, e->sender, e->generation);
}

/* Keeps a frame for the UP that is on its way. False when there is no room. */
static bool worker_peers_hold(struct worker_peers *peers, const struct message_envelope *e,
                              bool proven, struct slice messages)
{
    struct worker_early_room *room = &peers->early[proven];
    if (room->count >= WORKER_EARLY_MAX || room->bytes + messages.len > WORKER_EARLY_BYTES) {
        peers->early_lost_at = clock_mono_ms();
        return false;
    }
    struct worker_early *early = malloc(sizeof *early + messages.len);
    if (early == NULL)
        return false;
    *early = (struct worker_early){.generation = e->generation,
                                   .number = e->number,
                                   .give_up_at = clock_mono_ms() + WORKER_EARLY_MS,
                                   .proven = proven,
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
    room->count++;
    room->bytes += early->len;
    return true;
}

/*
 * Takes every early frame out for which `match` says so, in order, and hands each to the peer
 * or, without one, drops it.
 */
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
            peers->early[early->proven].count--;
            peers->early[early->proven].bytes -= early->len;
            if (peer != NULL && (early->proven || !peer->proven))
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

/* ---- frames of another version ---- */

static void worker_peers_tell_foreign(struct worker *w, const char *name, uint64_t version)
{
    worker_peer_trouble(w,
                        "frames of %s are dropped: it speaks message version %" PRIu64
                        ", this worker version %d: platoonctl restart %s, the older of the two",
                        name, version, MESSAGE_VERSION, version < MESSAGE_VERSION ? name : w->name);
}

/* One at a time: when that one is gone, the next is told. */
static void worker_peers_look_foreign(struct worker *w)
{
    const struct worker_foreign *f = &w->peers.foreign;
    const struct worker_peer_entry *e = w->peers.first;
    while (e != NULL && e->foreign == 0)
        e = e->next;
    if (e != NULL)
        worker_peers_tell_foreign(w, e->peer.name, e->foreign);
    else if (f->seen_at != 0)
        worker_peers_tell_foreign(w, f->name, f->version);
    else
        worker_peer_trouble(w, "%s", "");
}

/* That incarnation and older ones are gone, or known as peers. */
static void worker_peers_forget_foreign(struct worker *w, struct slice name, uint64_t generation)
{
    struct worker_foreign *f = &w->peers.foreign;
    if (f->seen_at != 0 && f->generation <= generation && slice_is(name, f->name))
        f->seen_at = 0;
}

static void worker_peers_note_foreign(struct worker *w, const struct message_origin *from)
{
    struct worker_peers *peers = &w->peers;
    struct worker_peer_entry *entry = worker_peers_lookup(peers, from->sender);
    worker_count(w, COUNTER_MESSAGES_REJECTED, 1);
    if (entry != NULL && entry->peer.generation == from->generation && entry->proven) {
        return; /* it speaks ours: somebody else has taken its name */
    } else if (entry != NULL && entry->peer.generation == from->generation) {
        entry->foreign = from->version;
    } else if ((entry != NULL && entry->peer.generation > from->generation) ||
               worker_peers_is_gone(peers, from->sender, from->generation)) {
        return;
    } else {
        peers->foreign = (struct worker_foreign){
            .generation = from->generation, .version = from->version, .seen_at = clock_mono_ms()};
        slice_copy(from->sender, peers->foreign.name, sizeof peers->foreign.name);
    }
    worker_peers_look_foreign(w);
}

/* Its frames have come before its UP. */
static void worker_peers_meet_foreign(struct worker *w, struct worker_peer_entry *entry)
{
    const struct worker_foreign *f = &w->peers.foreign;
    if (f->seen_at != 0 && f->generation == entry->peer.generation &&
        strcmp(f->name, entry->peer.name) == 0)
        entry->foreign = f->version;
    worker_peers_forget_foreign(w, slice_of(entry->peer.name), entry->peer.generation);
    worker_peers_look_foreign(w);
}

static void worker_peers_refuse(struct worker *w, struct slice frame)
{
    struct message_origin from;
    if (message_origin_unpack(frame, &from) && from.version != MESSAGE_VERSION &&
        from.sender.len > 0 && from.sender.len < CONTRACT_NAME_MAX)
        worker_peers_note_foreign(w, &from);
    else
        worker_peers_complain(w, slice_of("?"),
                              "no envelope of this version: is the sender of the same build?");
}

/* ---- each second ---- */

void worker_peers_tick(struct worker *w)
{
    uint64_t now = clock_mono_ms();
    if (w->peers.foreign.seen_at != 0 && now - w->peers.foreign.seen_at > WORKER_FOREIGN_MS) {
        w->peers.foreign.seen_at = 0;
        worker_peers_look_foreign(w);
    }
    if (w->peers.early_first != NULL)
        worker_peers_release(w, NULL, worker_early_is_over, &now);
    if (w->transport != NULL) {
        w->ops->mailbox->tick(w->transport);
        worker_gauge(w, COUNTER_MAILBOX_DEPTH, w->ops->mailbox->depth(w->transport));
        worker_gauge(w, COUNTER_MAILBOX_WAIT, w->peers.longest_wait_ms);
    }
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
        worker_peers_refuse(w, frame);
        return;
    }
    worker_peers_note_wait(&w->peers, e.sent_ms);
    struct slice messages = slice_make(u.at, (size_t)(u.end - u.at));
    struct worker_peer_entry *entry = worker_peers_lookup(&w->peers, e.sender);
    bool proven = worker_peers_is_proven(&w->peers, &e);
    if (entry != NULL && entry->peer.generation == e.generation && entry->proven && !proven)
        worker_peers_complain(w, e.sender, "it is not of whom it names: the proof is missing");
    else if (entry != NULL && entry->peer.generation == e.generation)
        worker_peers_deliver(w, entry, e.number, u);
    else if ((entry != NULL && entry->peer.generation > e.generation) ||
             worker_peers_is_gone(&w->peers, e.sender, e.generation) ||
             !worker_peers_hold(&w->peers, &e, proven, messages))
        worker_peers_drop_stale(w, messages);
}

/* ---- coming and going ---- */

static struct worker_peer_entry *worker_peers_add(struct worker *w, const struct link_up *up,
                                                  uint64_t proof)
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
    e->custom = worker_type_is_custom(e->peer.type);
    e->proven = proof != 0;
    e->excused =
        w->peers.early_lost_at != 0 && clock_mono_ms() - w->peers.early_lost_at < WORKER_EARLY_MS;
    e->trace = worker_trace_peer(e->peer.name);
    char address[256];
    errno = ENAMETOOLONG;
    if (w->transport != NULL && up->address.len > 0 &&
        slice_copy(up->address, address, sizeof address))
        e->peer.transport = w->ops->mailbox->peer_new(w->transport, address, proof);
    if (w->transport != NULL && up->address.len > 0 && e->peer.transport == NULL)
        worker_exit_for(w, errno, NULL, "%s: cannot open a pipe to %s at %s", w->name, e->peer.name,
                        log_quote(up->address));
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

/*
 * Not to be found any more when on_down is called, so that the type cannot send to it; its memory
 * lives until that returns.
 */
static void worker_peers_remove(struct worker *w, struct worker_peer_entry *entry,
                                struct slice reason)
{
    worker_peers_unlink(&w->peers, entry);
    worker_peers_remember_gone(&w->peers, &entry->peer);
    worker_peers_look_foreign(w);
    if (entry->linked && !entry->peer.orderly && w->phase < WORKER_DRAINING)
        worker_exit(w, CONTRACT_EXIT_TEMPORARY, "%s: linked with %s, which died: %s", w->name,
                    entry->peer.name, log_quote(reason));
    bool answer = worker_hands_down(w, &entry->peer, reason);
    if (!answer && w->phase < WORKER_SETTLING && w->ops->on_down != NULL)
        w->ops->on_down(w, w->state, &entry->peer, reason);
    if (entry->peer.transport != NULL)
        w->ops->mailbox->peer_free(entry->peer.transport);
    free(entry->peer.user);
    free(entry);
}

void worker_peers_up(struct worker *w, const struct link_up *up, uint64_t proof)
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
    struct worker_peer_entry *entry = worker_peers_add(w, up, proof);
    if (entry == NULL) /* it would wait for ever for what we owe it */
        worker_exit_for(w, ENOMEM, NULL, "%s: cannot know the peer %s", w->name,
                        log_quote(up->name));
    worker_peers_meet_foreign(w, entry);
    if (w->ops->on_up != NULL && w->phase < WORKER_SETTLING)
        w->ops->on_up(w, w->state, &entry->peer);
    worker_hands_up(w, &entry->peer);
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
    worker_peers_forget_foreign(w, down->name, down->generation);
    worker_peers_look_foreign(w);
    /*
     * The answer to a MONITOR of somebody who is not there, or a temporary child that never was READY: the type gets a
     * peer for the length of the call.
     */
    struct worker_peer nobody = {.generation = down->generation, .orderly = down->orderly != 0};
    if (slice_copy(down->name, nobody.name, sizeof nobody.name) &&
        !worker_hands_down(w, &nobody, down->reason) && w->ops->on_down != NULL &&
        w->phase < WORKER_SETTLING)
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

size_t worker_queued(const struct worker *w, const struct worker_peer *to)
{
    return to->transport != NULL ? w->ops->mailbox->peer_queued(to->transport) : 0;
}

void worker_must_send(struct worker *w, struct worker_peer *to, const struct buffer *message)
{
    int rc = worker_send(w, to, message);
    if (rc == -ENOMEM)
        worker_exit_for(w, ENOMEM, NULL, "%s: cannot send to %s", w->name, to->name);
    if (rc != 0)
        worker_exit(w, CONTRACT_EXIT_TEMPORARY, "%s: cannot send to %s: %s; starting afresh",
                    w->name, to->name, uv_strerror(rc));
}
