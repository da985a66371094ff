/*
 * message.h: what workers say to each other through their mailboxes (common/transport.h carries it).
 *
 * A transport frame is one envelope and as many messages as fitted into one turn of the sender's loop:
 *
 *     [MESSAGE_VERSION, sender's name, sender's generation, number, sent ms] message message ...
 *
 * Frames are numbered from 0 for each pair of incarnations; one without messages only carries its number. A sent frame can
 * vanish, and the numbers show it: the receiver then ends itself, and its death is made good as any death is (PROTOCOL.md 3). So between
 * two live workers nothing is missing, and the ledger in Redis (redis/ledger.h) knows what is owed when one has died.
 */
#ifndef PROTO_MESSAGE_H
#define PROTO_MESSAGE_H

#include "proto/contract.h"
#include "proto/schema.h"

/* Bumped with every change below; frames of another version are dropped, counted and logged. */
#define MESSAGE_VERSION 3

/* Longest frame between workers. NN_RCVMAXSIZE is set to it and senders refuse more: nanomsg itself would drop it silently. */
#define MESSAGE_FRAME_MAX (24u * 1024 * 1024)

/* X(number, NAME, name, "from to: what it says"). Numbers are never reused. */
/* clang-format off */
#define MESSAGE_LIST(X)                                                                            \
    X(1, WORK, work, "watcher to get-set: there is work; claim this many batches in all")          \
    X(2, CLAIMED, claimed, "get-set to watcher: how far I am")                                     \
    X(3, CREDIT, credit, "get-hash to get-set: you may have handed me this many claims in all")    \
    X(4, CLAIM, claim, "get-set to get-hash: a claim to work")                                     \
    X(5, DONE, done, "get-hash to get-set: a claim has left my hands")                             \
    X(6, RECORDS, records, "get-hash to transfer: store these")                                    \
    X(7, STORED, stored, "transfer to get-hash: those are durable, or refused for good")           \
    X(8, REPLY, reply, "send to any worker: the reply to a one-off Redis command")                 \
    X(9, JSON, json, "anybody to any worker: a JSON value in the worker's own words")              \
    X(10, CALL, call, "anybody to any worker: a question in JSON")                                 \
    X(11, ANSWER, answer, "any worker to who asked: the answer to a CALL")                         \
    X(12, LINKED, linked, "anybody to any worker: when one of us dies, the other dies too")
/* clang-format on */

/* clang-format off */
#define MESSAGE_FIELDS_WORK(F)                                                                     \
    F(u64, claims_total, "claims this get-set may have made since this watcher met it")            \
    F(u64, pending, "members seen in the set")
/* clang-format on */

/* clang-format off */
#define MESSAGE_FIELDS_CLAIMED(F)                                                                  \
    F(u64, claims_total, "claims made since it met this watcher")                                  \
    F(u64, pending, "members left in the set after the last claim")                                \
    F(u64, in_flight, "claims handed out and not yet done")                                        \
    F(u64, idle, "1 when the last try found neither members nor claims to hand out again")
/* clang-format on */

/* clang-format off */
#define MESSAGE_FIELDS_CREDIT(F)                                                                   \
    F(u64, claims_total, "claims this get-set may have sent since this get-hash met it")
/* clang-format on */

/* clang-format off */
#define MESSAGE_FIELDS_CLAIM(F)                                                                    \
    F(str, id, "the claim's id in the ledger")                                                     \
    F(u64, attempt, "1 for the first hand-out")                                                    \
    F(bin, members, "as the claim script packed them: array of [seq, member, state] (redis/ledger.h)")
/* clang-format on */

/* clang-format off */
#define MESSAGE_FIELDS_DONE(F)                                                                     \
    F(str, id, "the claim's id")                                                                   \
    F(u64, stored, "records of it that became durable")                                            \
    F(u64, dead, "members of it that went to the dead letters")                                    \
    F(u64, given_back, "1 when the claim went back to the ledger instead of being acknowledged")
/* clang-format on */

/* clang-format off */
#define MESSAGE_FIELDS_RECORDS(F)                                                                  \
    F(u64, token, "names the answer; unique within the sender's incarnation")                      \
    F(u64, count, "records in `records`")                                                          \
    F(bin, records, "that many arrays [seq, member bin, n, field bin, value bin, ... n pairs]")
/* clang-format on */

/* clang-format off */
#define MESSAGE_FIELDS_STORED(F)                                                                   \
    F(u64, token, "of the RECORDS message")                                                        \
    F(raw, refused, "array of [seq, reason str] for records that can never be stored; else empty")
/* clang-format on */

/* clang-format off */
#define MESSAGE_FIELDS_REPLY(F)                                                                    \
    F(str, command, "name of the Redis command")                                                   \
    F(u64, is_error, "1 when Redis answered with an error")                                        \
    F(raw, reply, "the reply: nil, int, bin, str (status or error), array of these")
/* clang-format on */

#define MESSAGE_FIELDS_JSON(F) F(str, text, "one JSON value")

/* clang-format off */
#define MESSAGE_FIELDS_CALL(F)                                                                     \
    F(u64, token, "names the answer; unique within the sender's incarnation")                      \
    F(str, text, "one JSON value")
/* clang-format on */

/* clang-format off */
#define MESSAGE_FIELDS_ANSWER(F)                                                                   \
    F(u64, token, "of the CALL")                                                                   \
    F(u64, failed, "1 when `text` is the reason why there is no answer")                           \
    F(str, text, "one JSON value")
/* clang-format on */

#define MESSAGE_FIELDS_LINKED(F) F(u64, since_ms, "clock_mono_ms of the sender, for the log")

enum message_type {
#define X(number, NAME, name, doc) MESSAGE_##NAME = number,
    MESSAGE_LIST(X)
#undef X
};

/* Unpackers read one message at the cursor and move it on, because a frame holds many. */
#define X(number, NAME, name, doc)                                                                 \
    struct message_##name {                                                                        \
        MESSAGE_FIELDS_##NAME(SCHEMA_MEMBER)                                                       \
    };                                                                                             \
    void message_##name##_pack(struct buffer *out, const struct message_##name *m);                \
    bool message_##name##_unpack(struct unpack *u, struct message_##name *m);
MESSAGE_LIST(X)
#undef X

struct message_envelope {
    struct slice sender;
    uint64_t generation;
    uint64_t number;
    uint64_t
        sent_ms; /* clock_mono_ms of the sender when the frame was begun: how long it has waited */
};

/* Longest envelope, with a name of CONTRACT_NAME_MAX - 1 bytes. */
#define MESSAGE_ENVELOPE_MAX (48 + CONTRACT_NAME_MAX)

void message_envelope_pack(struct buffer *out, const struct message_envelope *e);

/* False when the frame does not start with an envelope of MESSAGE_VERSION. */
bool message_envelope_unpack(struct unpack *u, struct message_envelope *e);

/* "CLAIM" and so on; "?" for a number that is none. */
const char *message_type_name(uint64_t type);

#endif
