/*
 * redis_conn_where.c: where a connection goes, and when: the url's servers in turn, a guide's word, the pause between
 * attempts. See redis_conn_private.h.
 *
 * Runs in Redis workers.
 */
#include "common/redis/redis_conn_private.h"

#include "common/redis/redis_socket.h"

#include <stdio.h>
#include <stdlib.h>

/* First pause; doubled with each failed attempt up to retry_max. */
#define CONN_RETRY_MIN_MS 50u

/*
 * A connection that was READY for less counts as a failed attempt: one that is dropped at once
 * must not be a tight loop.
 */
#define CONN_STABLE_MS 1000u

/*
 * One that is refused is READY first and is asked something some time later, so it counts as well only after a longer
 * while: else a url that leads to a replica were connected to without a pause.
 */
bool redis_conn_was_stable(const struct redis_conn *c)
{
    uint64_t enough = CONN_STABLE_MS + (c->refused ? 2 * c->options.retry_max_ms : 0);
    return c->state == CONN_READY && uv_now(c->loop) - c->ready_at >= enough;
}

/*
 * Full jitter: anything from nothing to the whole step, so that a hundred workers do not come
 * back in one second's beat.
 */
static uint64_t conn_pause(unsigned attempt, uint64_t max)
{
    uint64_t step = CONN_RETRY_MIN_MS << (attempt < 16 ? attempt : 16);
    if (step > max)
        step = max;
    uint32_t random = 0;
    uv_random(NULL, NULL, &random, sizeof random, 0, NULL); /* when it fails: no jitter, at once */
    return random % (step + 1);
}

/* Where to connect to from now on. When memory is short it stays the same. */
static bool conn_aim(struct redis_conn *c, const char *host, int port)
{
    char *copy = strdup(host);
    if (copy == NULL)
        return false;
    free(c->options.host);
    c->options.host = copy;
    c->options.port = port;
    return true;
}

/* The next of several servers. */
static void conn_turn(struct redis_conn *c)
{
    size_t next = (c->address + 1) % c->options.address_count;
    if (conn_aim(c, c->options.addresses[next].host, c->options.addresses[next].port))
        c->address = next;
}

void redis_conn_choose_trouble(struct redis_conn *c)
{
    bool replica = c->replica;
    c->replica = false;
    if (c->options.address_count == 0)
        return;
    if (!replica) {
        c->telling = c->options.address_count - 1;
        memcpy(c->told, c->trouble, sizeof c->told);
    } else if (c->telling > 0) {
        c->telling--;
        memcpy(c->trouble, c->told, sizeof c->trouble);
    }
}

/* One that was well may end without being wrong; one that was never reached, or refuses us, is. */
static void conn_blame_guide(struct redis_conn *c)
{
    bool wrong = c->state == CONN_CONNECTING || c->state == CONN_SETUP || c->refused;
    if (c->guide != NULL && wrong && !c->left)
        c->options.guide->blame(c->guide);
    c->left = false;
}

/* One that was well is asked again first: most come back. */
uint64_t redis_conn_next_try(struct redis_conn *c, bool stable)
{
    conn_blame_guide(c);
    if (stable) {
        c->attempt = 0;
        c->turn = redis_socket_turn(c->socket);
    }
    if (c->moved) {
        c->moved = false;
        return 0;
    }
    if (c->guide == NULL && c->options.address_count > 0 && (!stable || c->refused)) {
        conn_turn(c);
        if (++c->tried < c->options.address_count)
            return 0;
    }
    c->tried = 0;
    c->turn += !stable;
    return conn_pause(c->attempt++, c->options.retry_max_ms);
}

/* ---- a guide ---- */

/* Not twice within a second: guides that contradict each other must not be a tight loop. */
static bool conn_may_hurry(struct redis_conn *c)
{
    uint64_t now = uv_now(c->loop);
    if (c->hurried_at != 0 && now - c->hurried_at < CONN_STABLE_MS)
        return false;
    c->hurried_at = now;
    return true;
}

/* It is told by itself that there is another server: who is elsewhere leaves, and asks, as at any connect. */
static void conn_follow(struct redis_conn *c, const char *host, int port)
{
    bool hurry = conn_may_hurry(c);
    if (c->state != CONN_WAITING) {
        c->moved = hurry;
        c->left = true;
        redis_conn_lose(c, "the Sentinels have made %s:%d the primary", host, port);
    } else if (hurry) {
        redis_conn_wait(c, 0);
    }
}

static void conn_on_primary(const char *host, int port, void *ctx)
{
    struct redis_conn *c = ctx;
    bool same = strcmp(host, c->options.host) == 0 && port == c->options.port;
    if (c->state != CONN_ASKING) {
        if (!same && c->state != CONN_CLOSED)
            conn_follow(c, host, port);
    } else if (same || conn_aim(c, host, port)) {
        redis_conn_open(c);
    } else {
        redis_conn_lose(c, "out of memory");
    }
}

static void conn_on_guide_trouble(const char *why, void *ctx)
{
    struct redis_conn *c = ctx;
    if (c->state != CONN_ASKING)
        return; /* nobody waits for it */
    c->idle = false;
    snprintf(c->trouble, sizeof c->trouble, "%s", why);
    if (c->events.on_lost != NULL)
        c->events.on_lost(c, c->trouble, c->ctx);
}

int redis_conn_find_guide(struct redis_conn *c, char *why, size_t why_size)
{
    static const struct redis_guide_events events = {conn_on_primary, conn_on_guide_trouble};
    c->guide = c->options.guide->open(c->loop, &c->options, &events, c, why, why_size);
    return c->guide != NULL ? 0 : -1;
}

void redis_conn_drop_guide(struct redis_conn *c)
{
    if (c->guide != NULL)
        c->options.guide->close(c->guide);
    c->guide = NULL;
}

void redis_conn_find(struct redis_conn *c)
{
    char why[256];
    if (c->guide == NULL) {
        redis_conn_open(c);
        return;
    }
    c->state = CONN_ASKING;
    if (c->options.guide->ask(c->guide, why, sizeof why) != 0)
        redis_conn_lose(c, "%s", why);
}
