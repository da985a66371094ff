/*
 * watcher_events.c: keyspace events tell of new members at once; where Redis refuses them the drain polls. See
 * watcher.h.
 *
 * Runs in the watcher, on a connection of its own: one that has subscribed takes no other commands.
 */
#include "workers/drain/watcher.h"

#include "common/clock.h"
#include "common/log.h"

#include <stdio.h>

#define WATCHER_EVENTS_MS 5 /* between looks that events ask for */
/* Between tries for a channel that Redis refuses: as for rights. It may be on purpose, and each is in ACL LOG. */
#define WATCHER_SUBSCRIBE_MS 300000u

static void watcher_on_event(struct redis_conn *c, struct slice channel, struct slice payload,
                             void *ctx)
{
    (void)c;
    (void)channel;
    struct watcher *t = ctx;
    if (!slice_is(payload, "sadd"))
        return;
    t->event = true;
    /* A busy application names thousands of members a second: one look every few milliseconds sees them all. */
    uint64_t since = clock_mono_ms() - t->polled_at_ms;
    if (since >= WATCHER_EVENTS_MS)
        watcher_poll(t);
    else
        uv_timer_start(&t->poll_timer, watcher_on_poll_timer, WATCHER_EVENTS_MS - since, 0);
}

static void watcher_on_events_lost(struct redis_conn *c, const char *why, void *ctx)
{
    (void)c;
    struct watcher *t = ctx;
    t->events_come = false;
    log_debug("events-lost", "why=%s",
              log_quote_text(why)); /* the other connection's trouble names the cause */
}

static const struct redis_conn_events watcher_events = {.on_message = watcher_on_event,
                                                        .on_lost = watcher_on_events_lost};

void watcher_look_at_events(struct watcher *t)
{
    bool refused = redis_conn_ready(t->events) && !redis_conn_subscribed(t->events);
    uint64_t now = clock_mono_ms();
    bool soon = t->subscribe_soon || t->rights.given;
    t->subscribe_soon = t->rights.given = false;
    worker_gauge(t->w, COUNTER_POLLS, refused);
    if (!refused || (!soon && now - t->subscribe_at_ms < WATCHER_SUBSCRIBE_MS))
        return;
    redis_conn_subscribe_again(t->events);
    t->subscribe_at_ms = now;
}

void watcher_subscribe(struct watcher *t)
{
    char why[256];
    redis_settings_read(t->w, &t->events_options);
    t->events_options.primary = true; /* it follows a fail-over as the other does */
    int n = snprintf(t->channel, sizeof t->channel, "__keyspace@%d__:%s",
                     t->events_options.database, worker_setting_text(t->w, "drain.set"));
    if (n < 0 || (size_t)n >= sizeof t->channel)
        return;
    t->events =
        redis_conn_new(worker_loop(t->w), &t->events_options, &watcher_events, t, why, sizeof why);
    if (t->events != NULL)
        redis_conn_subscribe(t->events, t->channel);
}
