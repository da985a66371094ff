/* job_redis.c: how the workers of jobs reach their Redis. See job_redis.h. */
#include "workers/jobs/job_redis.h"

#include <errno.h>
#include <stdio.h>

static const char *const job_scripts[JOB_SCRIPT_COUNT] = {
#define X(NAME, name, file, parts) [JOB_SCRIPT_##NAME] = redis_script_##name,
    JOBS_SCRIPTS(X)
#undef X
};

/* "INSTANCE:NAME:" and then the start and the generation: successors know each other, also after a new start. */
int job_redis_owner(struct job_redis *r, const char *name, uint64_t generation,
                    char owner[REDIS_IDENTITY_SIZE])
{
    return redis_identity(owner, worker_setting_text(r->w, "platoon.instance"), name,
                          worker_setting_text(r->w, "platoon.boot"), generation);
}

static int job_redis_names(struct job_redis *r)
{
    int rc = job_redis_owner(r, worker_name(r->w), worker_generation(r->w), r->owner);
    int used = snprintf(r->owners, sizeof r->owners,
                        "%s:%s:", worker_setting_text(r->w, "platoon.instance"), worker_name(r->w));
    int len = snprintf(r->space, sizeof r->space,
                       "platoon:{jobs:%s}:", worker_setting_text(r->w, "jobs.name"));
    if (rc == 0 && used < (int)sizeof r->owners && len < (int)sizeof r->space)
        return 0;
    worker_trouble(r->w, "the name of the jobs section is too long for keys in Redis: choose a "
                         "shorter one");
    return CONTRACT_EXIT_CONFIG;
}

int job_redis_open(struct job_redis *r, struct worker *w, void *state,
                   const struct redis_link_events *events)
{
    r->w = w;
    int code = job_redis_names(r);
    if (code == 0)
        code = redis_link_open(&r->link, w, state, REDIS_LINK_PRIMARY, events);
    if (code != 0)
        return code;
    r->conn = r->link.conn;
    for (int i = 0; i < JOB_SCRIPT_COUNT; i++) {
        r->scripts[i] = redis_conn_add_script(r->conn, job_scripts[i]);
        if (r->scripts[i] < 0)
            return CONTRACT_EXIT_TEMPORARY;
    }
    return 0;
}

void job_redis_close(struct job_redis *r)
{
    r->conn = NULL;
    redis_link_close(&r->link);
}

int job_redis_call(struct job_redis *r, enum job_script script, size_t count,
                   const struct slice *args, redis_reply_fn fn, void *ctx)
{
    const struct slice key = slice_of(r->space);
    if (r->conn == NULL)
        return -ENOTCONN;
    return redis_conn_script(r->conn, r->scripts[script], 1, &key, count, args, fn, ctx);
}

void job_redis_failed(const redisReply *reply, char *text, size_t size)
{
    text[0] = '\0';
    if (reply == NULL)
        snprintf(text, size, "the connection to Redis broke: whether it was done is unknown");
    else if (reply->type == REDIS_REPLY_ERROR)
        redis_error_explain(reply->str, reply->len, text, size);
}
