/*
 * get_hash.h: what the files of the get-hash worker share.
 *
 * get_hash.c         the worker: claims come in, credit goes out, leases are renewed, the stop
 * get_hash_claim.c   one claim from take to ack: a state machine
 * get_hash_frames.c  records on their way to the transfers and back
 * get_hash_errors.c  what Redis refuses, and when it is asked again
 */
#ifndef WORKERS_GET_HASH_H
#define WORKERS_GET_HASH_H

#include "workers/drain/drain_ledger.h"
#include "workers/skeleton/worker.h"

/* Most replies a claim waits for at once; fewer when its hashes are large (get_hash_depth). */
#define GET_HASH_DEPTH 128

/* A frame leaves when it has grown to this: beyond it nothing is gained (FACTS.md 1.1). */
#define GET_HASH_FRAME_BYTES (128u * 1024)

struct get_hash;
struct get_hash_claim;

enum get_hash_fate {
    GET_HASH_PENDING, /* not asked for, or the connection broke before the answer */
    GET_HASH_ASKED,
    GET_HASH_PACKED, /* in the frame that is being filled */
    GET_HASH_SENT,   /* in a frame */
    GET_HASH_STORED,
    GET_HASH_DEAD, /* `reason` says why */
    GET_HASH_MISSING,
};

struct get_hash_item {
    struct get_hash_claim *claim;
    struct ledger_member member; /* points into claim->packed */
    enum get_hash_fate fate;
    char *reason; /* heap; of a dead letter */
};

enum get_hash_phase {
    GET_HASH_TAKE,    /* are we still its owner? */
    GET_HASH_PROBE,   /* a lone member that has failed before: is it too large to be read at all? */
    GET_HASH_FETCH,   /* hashes come, records go, STOREDs come */
    GET_HASH_BURY,    /* dead letters leave the claim */
    GET_HASH_SPLIT,   /* missing members leave it */
    GET_HASH_ACK,     /* what is left is durable */
    GET_HASH_RELEASE, /* back to the ledger */
    GET_HASH_OVER,    /* nothing more to do; freed when no reply is outstanding */
};

#define GET_HASH_PHASES (GET_HASH_OVER + 1)

struct get_hash_claim {
    struct get_hash *g;
    struct get_hash_claim *next;
    char id[LEDGER_ID_SIZE];
    char from[CONTRACT_NAME_MAX]; /* the get-set that sent it */
    uint64_t from_generation;
    uint64_t attempt;
    enum get_hash_phase phase;
    bool asked;   /* a script of this phase is under way */
    bool paused;  /* the last one failed: asked again at the next tick, or when Redis is back */
    bool broken;  /* the connection was lost while hashes were read */
    bool refused; /* Redis does not let us read one of them */
    int breaks;
    size_t calls; /* replies outstanding, of whatever kind */
    char *packed;
    struct get_hash_item *items;
    size_t count;
    size_t next_item; /* all before it have been asked for */
    size_t asked_items;
    size_t largest;        /* record seen */
    struct buffer records; /* frame being filled */
    size_t records_count;
    size_t frames; /* of this claim that are not answered */
    uint64_t stored;
    uint64_t dead;
    const char *release_reason;
    bool release_blame;
    bool given_back;
};

struct get_hash_frame;

struct get_hash {
    struct worker *w;
    struct drain_ledger ledger;
    struct get_hash_claim *claims;
    size_t claim_count;
    struct get_hash_frame *frames;
    uint64_t next_token;
    size_t bytes; /* in frames and frames being filled */
    uv_timer_t renew_timer;
    uv_timer_t drain_timer;
    /* The connection was lost for one reply, whose member knows: none of the others is to blame. */
    bool told;
    /* A lone member in whose reply the connection breaks, however often it is asked for. */
    struct get_hash_unread {
        uint64_t seq;
        unsigned times;    /* in a row, by this worker */
        uint64_t until_ms; /* clock_mono_ms: forgotten then, because another may have read it */
        char text[512];    /* "" until it is trouble */
    } unread;
    /* For each phase the last error reply; "" when the last one went well. One more: renewing. */
    char errors[GET_HASH_PHASES + 1][384];
    uint64_t pause_ms; /* between tries after an error; 0: the last went well */
    uint64_t retry_at; /* clock_mono_ms, of claims that are paused */
    uint64_t lease_ms;
    uint64_t missing_retry_ms;
    size_t claims_max;
    size_t window;
    size_t record_max;
    size_t reply_max;
};

/* ---- get_hash_claim.c ---- */

/*
 * A claim from a CLAIM message, its members unpacked. NULL when they are malformed or memory is short: the claim then
 * stays in the ledger and is handed out again.
 */
struct get_hash_claim *get_hash_claim_new(struct get_hash *g, const struct message_claim *m,
                                          const struct worker_peer *from);

/* Does what can be done now. Call it after anything that may have changed something. May free the claim. */
void get_hash_claim_go(struct get_hash_claim *c);

/* The same, after a pause: for ticks, and when Redis is back. */
void get_hash_claim_retry(struct get_hash_claim *c);

/* Gives the claim back to the ledger, unless it is already being settled. */
void get_hash_claim_release(struct get_hash_claim *c, const char *reason, bool blame);

/* Frees it where it stands: for the end of the worker, when the connection is closed. The ledger has it. */
void get_hash_claim_forget(struct get_hash_claim *c);

/* Somebody else holds it now: forget it. */
void get_hash_claim_lost(struct get_hash_claim *c);

/* The transfer has answered for one frame of this claim: `refused` is STORED's. False when that cannot be read. */
bool get_hash_claim_stored(struct get_hash_claim *c, struct get_hash_item *const *items,
                           size_t count, struct slice refused);

/* ---- get_hash_frames.c ---- */

/* Sends the claim's records as one frame, or keeps them until a transfer can take them. False when memory is short. */
bool get_hash_frames_add(struct get_hash_claim *c);

/* Sends what waits for a transfer. */
void get_hash_frames_pump(struct get_hash *g);

/* The reason of a claim whose STORED could not be read. */
#define GET_HASH_UNREADABLE "the transfer's answer cannot be read"

/* STORED. False when the message's list cannot be read. Tokens nobody knows are ignored: their claim was given back. */
bool get_hash_frames_stored(struct get_hash *g, const struct message_stored *m);

/* Forgets the frames of a claim that is given back. */
void get_hash_frames_drop(struct get_hash_claim *c);

/* Nothing more comes of what was sent to this transfer: the claims whose records it has are given back with blame. */
void get_hash_frames_down(struct get_hash *g, const struct worker_peer *transfer,
                          const char *reason);

/* True when some frame waits because no transfer is there to take it. */
bool get_hash_frames_wait(const struct get_hash *g);

/* ---- get_hash_errors.c ---- */

/*
 * Notes an error reply of this phase (GET_HASH_PHASES: of renewing), or "" that there was none; sets when paused claims
 * go on.
 */
void get_hash_note(struct get_hash *g, unsigned phase, const char *error);

/*
 * Once more the connection broke while the hash of a lone member was read (`read` false), or it has been answered for.
 * From the third time in a row on that is trouble: it may be its reply that no connection brings.
 */
void get_hash_note_read(struct get_hash *g, const struct ledger_member *m, bool read);

/*
 * The first error that stands, for the tree; "" when there is none. Without claims it forgets them all: nobody would
 * take them back.
 */
const char *get_hash_error(struct get_hash *g);

/* Such an error is why there is no connection now, and says more than that there is none. */
static inline bool get_hash_is_unread(const struct get_hash *g, const char *error)
{
    return error == g->unread.text && error[0] != '\0';
}

/* ---- get_hash.c ---- */

/* Unlinks the claim, tells its get-set DONE and grants new credit. The memory is the caller's again. */
void get_hash_claim_over(struct get_hash *g, struct get_hash_claim *c);

#endif
