/*
 * message.h: what workers say to each other through their mailboxes (common/mailbox/transport.h carries it).
 *
 * A transport frame is one envelope and as many messages as fitted into one turn of the sender's loop:
 *
 *     [MESSAGE_VERSION, sender's name, sender's generation, number, sent ms, proof] message message ...
 *
 * The proof is there when sender and receiver have both said PROVES: then, and only then, both expect it. So no older
 * build meets it, and MESSAGE_VERSION is what it was.
 *
 * Frames are numbered from 0 for each pair of incarnations; one without messages only carries its number. A sent frame
 * can vanish, and the numbers show it: the receiver then ends itself, and its death is made good as any death is
 * (PROTOCOL.md, Messages between workers). So between two live workers nothing is missing, and what is owed when one
 * has died must stand outside of both (for a drain: in its ledger in Redis).
 */
#ifndef PROTO_MESSAGE_H
#define PROTO_MESSAGE_H

#include "proto/contract.h"
#include "proto/schema.h"
#include "proto/systems.h"

/*
 * Changes only when an older build can meet the change: when a message that builds of both sides of it say or hear is
 * laid out or meant otherwise. A message whose both ends are new needs no other version, nor does one that is only an
 * answer to such a message: no older build is ever sent it.
 *
 * It costs what it says: workers of both versions do not understand each other, so `platoonctl upgrade` refuses
 * (UPGRADE_VERSION of proto/upgrade_state.h counts it), and a frame that comes all the same, of a worker whose program
 * was replaced under a running master, is dropped, counted, and its reader's trouble until the sender is gone.
 */
#define MESSAGE_VERSION 3

/*
 * Longest frame between workers. NN_RCVMAXSIZE is set to it and senders refuse more: nanomsg
 * itself would drop it silently.
 */
#define MESSAGE_FRAME_MAX (24u * 1024 * 1024)

enum message_type {
#define X(number, NAME, name, doc) MESSAGE_##NAME = number,
    SYSTEMS(MESSAGES, X)
#undef X
};

/* Unpackers read one message at the cursor and move it on, because a frame holds many. */
#define X(number, NAME, name, doc)                                                                 \
    struct message_##name {                                                                        \
        MESSAGE_FIELDS_##NAME(SCHEMA_MEMBER)                                                       \
    };                                                                                             \
    void message_##name##_pack(struct buffer *out, const struct message_##name *m);                \
    bool message_##name##_unpack(struct unpack *u, struct message_##name *m);
SYSTEMS(MESSAGES, X)
#undef X

struct message_envelope {
    struct slice sender;
    uint64_t generation;
    uint64_t number;
    uint64_t
        sent_ms; /* clock_mono_ms of the sender when the frame was begun: how long it has waited */
    uint64_t proof; /* that it is the sender (common/proof.h); 0: there is none */
};

/*
 * What the envelope of every version begins with, so that a frame that cannot be read can still be laid to somebody's
 * charge: the fields up to the generation never change.
 */
struct message_origin {
    uint64_t version;
    struct slice sender;
    uint64_t generation;
};

/* Longest envelope, with a name of CONTRACT_NAME_MAX - 1 bytes. */
#define MESSAGE_ENVELOPE_MAX (48 + CONTRACT_NAME_MAX)

void message_envelope_pack(struct buffer *out, const struct message_envelope *e);

/* False when the frame does not start with an envelope of MESSAGE_VERSION. */
bool message_envelope_unpack(struct unpack *u, struct message_envelope *e);

/* False when the frame begins with an envelope of no version at all. */
bool message_origin_unpack(struct slice frame, struct message_origin *o);

/* "CLAIM" and so on; "?" for a number that is none. */
const char *message_type_name(uint64_t type);

#endif
