/* jobs_fixture.c: jobs in a real redis-server. See jobs_fixture.h. */
#include "test/unit/jobs/jobs_fixture.h"

#include <stdarg.h>
#include <stdlib.h>

const char *jobs_call(const char *script, ...)
{
    struct slice words[128] = {slice_of("EVAL"), slice_of(script), slice_of("1"),
                               slice_of("platoon:{jobs:t}:")};
    size_t count = 4;
    va_list args;
    va_start(args, script);
    for (const char *word = va_arg(args, const char *); word != NULL;
         word = va_arg(args, const char *)) {
        ck_assert_uint_lt(count, 128);
        words[count++] = slice_of(word);
    }
    va_end(args);
    queue_command(count, words);
    return queue_text();
}

void jobs_enqueue_in(const char *id, const char *queue_name)
{
    char made[128];
    snprintf(made, sizeof made, "[made %s]", id);
    ck_assert_str_eq(j_text(enqueue, id, queue_name, "0", "0", "", "", "platoon.platform", "coinis",
                            "result_ttl", "60", "failure_ttl", "120"),
                     made);
}

void jobs_enqueue(const char *id)
{
    jobs_enqueue_in(id, "q");
}

const char *jobs_claim(const char *owner)
{
    static char id[128];
    j_text(claim, owner, "HOST.sanjer1", "60000");
    if (queue.reply->type == REDIS_REPLY_NIL)
        return "";
    ck_assert_msg(queue.reply->type == REDIS_REPLY_ARRAY, "%s", queue_text());
    snprintf(id, sizeof id, "%s", queue.reply->element[0]->str);
    return id;
}

const char *jobs_finish(const char *id, const char *owner, int attempt, const char *how,
                        int after_ms)
{
    char number[16], after[16];
    snprintf(number, sizeof number, "%d", attempt);
    snprintf(after, sizeof after, "%d", after_ms);
    j_text(finish, id, "q", owner, number, how, after, "", "", "0");
    ck_assert_msg(queue.reply->type == REDIS_REPLY_ARRAY, "%s", queue_text());
    return queue.reply->element[0]->str;
}

const char *jobs_field(const char *id, const char *field)
{
    return queue_redis("HGET rq:job:%s %s", id, field);
}

const char *jobs_where(const char *id)
{
    static const char *const sets[] = {"wip",      "scheduled", "deferred",
                                       "finished", "failed",    "canceled"};
    static char where[32];
    size_t used = 0;
    queue_redis("LRANGE rq:queue:q 0 -1");
    for (size_t i = 0; i < queue.reply->elements && used < sizeof where - 8; i++)
        if (strcmp(queue.reply->element[i]->str, id) == 0)
            where[used++] = 'l';
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        queue_redis("ZSCORE rq:%s:q %s", sets[i], id);
        if (queue.reply->type != REDIS_REPLY_NIL)
            where[used++] = "wsdFfc"[i];
    }
    where[used] = '\0';
    return where;
}
