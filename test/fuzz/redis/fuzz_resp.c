/*
 * fuzz_resp.c: what a Redis, or what is none, answers: hiredis' reader, then our reader of replies
 * (workers/redis/send_reply.h).
 */
#include "workers/redis/send_reply.h"

#include "common/redis/redis_reader.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void look_at(const redisReply *reply)
{
    char text[384];
    struct buffer out = BUFFER_EMPTY;
    send_reply_pack(&out, reply, 65536, text, sizeof text);
    buffer_fini(&out);
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
