/*
 * fuzz_ledger_reply.c: what a Redis, or what is none, answers a script: hiredis' reader, then the drain's readers
 * (workers/drain/drain_ledger.h).
 */
#include "workers/drain/drain_ledger.h"

#include "common/redis/redis_reader.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void look_at(const redisReply *reply)
{
    char text[384];
    drain_ledger_explain(reply, text, sizeof text);
    for (size_t i = 0; i < 10; i++) {
        drain_reply_int(reply, i);
        drain_reply_text(reply, i);
    }
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    redisReader *reader = redis_reader_new(16 * 1024 * 1024);
    void *reply = NULL;
    if (reader != NULL && redisReaderFeed(reader, (const char *)data, size) == REDIS_OK)
        while (redisReaderGetReply(reader, &reply) == REDIS_OK && reply != NULL) {
            look_at(reply);
            freeReplyObject(reply);
            reply = NULL;
        }
    redisReaderFree(reader);
    return 0;
}
