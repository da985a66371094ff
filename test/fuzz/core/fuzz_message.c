/*
 * fuzz_message.c: a frame from a mailbox: envelope, then messages one after the other (proto/message.h), as
 * worker_peers.c reads it.
 */
#include "proto/message.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static bool read_one(struct unpack *u)
{
    switch (schema_peek_type(*u)) {
#define X(number, NAME, name, doc)                                                                 \
    case number: {                                                                                 \
        struct message_##name m;                                                                   \
        return message_##name##_unpack(u, &m);                                                     \
    }
        SYSTEMS(MESSAGES, X)
#undef X
    }
    return false;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct unpack u = unpack_start(slice_make(data, size));
    struct message_envelope e;
    if (!message_envelope_unpack(&u, &e))
        return 0;
    while (unpack_more(&u) && read_one(&u))
        ;
    return 0;
}
