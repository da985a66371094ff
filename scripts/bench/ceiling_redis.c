/*
 * ceiling_redis.c: how fast Redis alone gives tracking data away: SPOP, HGETALL, UNLINK in pipelined batches, and
 * the data is thrown away.
 *
 * Part of scripts/bench/drain. Usage: ceiling_redis SOCKET SET BATCH. Prints the number of hashes
 * and the seconds it took.
 */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static redisReply *take(redisContext *c)
{
    void *reply;
    if (redisGetReply(c, &reply) != REDIS_OK) {
        fprintf(stderr, "ceiling_redis: %s\n", c->errstr);
        exit(1);
    }
    return reply;
}

/* One batch behind the other: while the replies of one are read, Redis works on the next. */
int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: ceiling_redis SOCKET SET BATCH\n");
        return 2;
    }
    redisContext *c = redisConnectUnix(argv[1]);
    if (c == NULL || c->err) {
        fprintf(stderr, "ceiling_redis: %s\n", c ? c->errstr : "memory is short");
        return 1;
    }
    double start = now();
    size_t total = 0;
    redisAppendCommand(c, "SPOP %s %s", argv[2], argv[3]);
    redisReply *popped = take(c);
    while (popped->type == REDIS_REPLY_ARRAY && popped->elements > 0) {
        for (size_t i = 0; i < popped->elements; i++) {
            redisAppendCommand(c, "HGETALL %b", popped->element[i]->str, popped->element[i]->len);
            redisAppendCommand(c, "UNLINK %b", popped->element[i]->str, popped->element[i]->len);
        }
        redisAppendCommand(c, "SPOP %s %s", argv[2], argv[3]);
        for (size_t i = 0; i < popped->elements; i++) {
            freeReplyObject(take(c));
            freeReplyObject(take(c));
        }
        total += popped->elements;
        freeReplyObject(popped);
        popped = take(c);
    }
    printf("%zu %.6f\n", total, now() - start);
    freeReplyObject(popped);
    redisFree(c);
    return 0;
}
