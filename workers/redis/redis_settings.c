/* redis_settings.c: a worker's Redis connection from its settings. See redis_settings.h. */
#include "workers/redis/redis_settings.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/redis/redis_sentinel.h"
#include "common/text.h"

#include <stdio.h>
#include <stdlib.h>

/*
 * How long READY waits for a server that says it is loading: an embedded one accepts connections
 * before it has read its data.
 */
#define REDIS_LINK_LOADING_MS 3000

/*
 * And how long for the answers to what is asked first. Not redis.timeout, which may be longer than a worker may take
 * until it is READY: a server that stands still is no reason to have it killed.
 */
#define REDIS_LINK_ANSWER_MS 3000u

/* A server that takes so long for its oldest command is what somebody waits for. */
#define REDIS_LINK_LATE_MS 500u

/* A heap copy of a setting, NULL for an empty one. */
static char *redis_settings_text(struct worker *w, const char *name)
{
    const char *value = worker_setting(w, name);
    if (value == NULL || value[0] == '\0')
        return NULL;
    char *copy = strdup(value);
    if (copy == NULL)
        worker_exit_for(w, ENOMEM, NULL, "cannot read %s", name);
    return copy;
}

void redis_settings_read(struct worker *w, struct redis_options *o)
{
    char why[256];
    const char *url = worker_setting_text(w, "redis.url");
    /* First, because the url has the last word. */
    o->database = (int)worker_setting_u64(w, "redis.database");
    /* The master has checked it, so only memory can be short here. */
    if (redis_options_parse_url(o, url, why, sizeof why) != 0)
        worker_exit_for(w, ENOMEM, NULL, "redis.url: %s", why);
    o->guide = o->sentinel_name != NULL ? &redis_sentinel_guide : NULL;
    o->password_file = redis_settings_text(w, "redis.password_file");
    o->sentinel_password_file = redis_settings_text(w, "redis.sentinel_password_file");
    o->tls_ca_file = redis_settings_text(w, "redis.tls_ca_file");
    o->tls_cert_file = redis_settings_text(w, "redis.tls_cert_file");
    o->tls_key_file = redis_settings_text(w, "redis.tls_key_file");
    o->tls_server_name = redis_settings_text(w, "redis.tls_server_name");
    o->connect_timeout_ms = worker_setting_u64(w, "redis.connect_timeout");
    o->timeout_ms = worker_setting_u64(w, "redis.timeout");
    o->retry_max_ms = worker_setting_u64(w, "redis.retry_max");
    o->reply_max = worker_setting_u64(w, "redis.reply_max");
}

void redis_link_settle(struct redis_link *l)
{
    if (l->settled)
        return;
    l->settled = true;
    worker_ready(l->worker);
}

static void redis_link_on_ready(struct redis_conn *c, void *ctx)
{
    (void)c;
    struct redis_link *l = ctx;
    l->ready_ms = clock_mono_ms();
    if (!l->events.asks)
        worker_trouble(l->worker, "%s", "");
    if (l->events.on_ready != NULL)
        l->events.on_ready(l->worker, l->state);
    if (!l->events.asks)
        redis_link_settle(l);
}

static void redis_link_on_lost(struct redis_conn *c, const char *why, void *ctx)
{
    struct redis_link *l = ctx;
    if (redis_conn_was_idle(c))
        log_info("redis-reconnect", "cause=%s", log_quote_text(why));
    else
        worker_trouble(l->worker, "%s; retrying", why);
    bool soon =
        strstr(why, "LOADING") != NULL && clock_mono_ms() - l->opened_ms < REDIS_LINK_LOADING_MS;
    if (!soon)
        redis_link_settle(l);
    if (l->events.on_lost != NULL)
        l->events.on_lost(l->worker, l->state, why);
}

static void redis_link_on_message(struct redis_conn *c, struct slice channel, struct slice payload,
                                  void *ctx)
{
    (void)c;
    struct redis_link *l = ctx;
    if (l->events.on_message != NULL)
        l->events.on_message(l->worker, l->state, channel, payload);
}

int redis_link_open(struct redis_link *l, struct worker *w, void *state, enum redis_link_need need,
                    const struct redis_link_events *events)
{
    static const struct redis_conn_events conn_events = {.on_ready = redis_link_on_ready,
                                                         .on_lost = redis_link_on_lost,
                                                         .on_message = redis_link_on_message};
    struct redis_options options = {0};
    char why[512];
    redis_settings_read(w, &options);
    options.primary |= need == REDIS_LINK_PRIMARY;
    *l = (struct redis_link){.worker = w, .state = state, .opened_ms = clock_mono_ms()};
    if (events != NULL)
        l->events = *events;
    l->conn = redis_conn_new(worker_loop(w), &options, &conn_events, l, why, sizeof why);
    redis_options_fini(&options);
    if (l->conn == NULL) {
        /* TLS files: a person has to mend them. Memory comes back by itself. */
        worker_trouble(w, "redis: %s", why);
        return strstr(why, "out of memory") != NULL ? CONTRACT_EXIT_SHORT : CONTRACT_EXIT_CONFIG;
    }
    worker_hold_ready(w);
    return 0;
}

static void redis_link_look_for_answers(struct redis_link *l)
{
    char name[REDIS_NAME_SIZE];
    if (l->settled || !redis_conn_ready(l->conn) ||
        clock_mono_ms() - l->ready_ms < REDIS_LINK_ANSWER_MS)
        return;
    redis_conn_name(l->conn, name);
    worker_trouble(l->worker,
                   "redis at %s: no answer yet to the first commands: is the server overloaded or "
                   "stopped? waiting for it",
                   name);
    redis_link_settle(l);
}

void redis_link_tick(struct redis_link *l)
{
    if (l->conn == NULL)
        return;
    redis_link_look_for_answers(l);
    struct redis_conn_stats now = redis_conn_stats(l->conn);
    worker_count(l->worker, COUNTER_REDIS_COMMANDS, now.commands - l->reported.commands);
    worker_count(l->worker, COUNTER_REDIS_ERRORS, now.errors - l->reported.errors);
    worker_count(l->worker, COUNTER_REDIS_RECONNECTS, now.reconnects - l->reported.reconnects);
    l->reported = now;
}

bool redis_link_late(const struct redis_link *l, char *why, size_t size)
{
    char name[REDIS_NAME_SIZE], span[TEXT_NUMBER_SIZE];
    uint64_t waited = redis_conn_waited_ms(l->conn);
    if (waited < REDIS_LINK_LATE_MS)
        return false;
    redis_conn_name(l->conn, name);
    snprintf(why, size,
             "redis at %s has not answered for %s: whether it was done is unknown. Is the server "
             "overloaded or stopped?",
             name, clock_format_span(waited, span, sizeof span));
    return true;
}

void redis_link_close(struct redis_link *l)
{
    redis_conn_free(l->conn);
    l->conn = NULL;
}
