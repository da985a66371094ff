/*
 * redis_conn_setup.c: what is said between connect and READY: AUTH, ROLE, SELECT, SCRIPT LOAD, PING, SUBSCRIBE.
 * See redis_conn_private.h.
 *
 * Runs in Redis workers. All steps leave in one write; the answers are looked at one by one.
 */
#include "common/redis/redis_conn_private.h"

#include "common/login_file.h"

#include <stdio.h>

static int conn_step(struct redis_conn *c, enum conn_kind kind, int script, size_t argc,
                     const struct slice *argv)
{
    int rc = redis_conn_send(c, (struct conn_pending){.kind = kind, .script = script}, argc, argv);
    if (rc == 0)
        c->setup_left++;
    return rc;
}

int redis_conn_setup_load(struct redis_conn *c, int script)
{
    struct slice argv[] = {slice_of("SCRIPT"), slice_of("LOAD"), slice_of(c->scripts[script].text)};
    return conn_step(c, CONN_LOAD, script, 3, argv);
}

/* A Sentinel's password stands under another key. */
static void conn_name_key(const struct redis_conn *c, char *text, size_t size)
{
    static const char key[] = "password_file";
    char *at = c->options.sentinel ? strstr(text, key) : NULL;
    if (at == NULL)
        return;
    char rest[300];
    snprintf(rest, sizeof rest, "%s", at);
    snprintf(at, size - (size_t)(at - text), "sentinel_%s", rest);
}

/* AUTH, when there is a password. Returns 0, or an error with its line in `why`. */
static int conn_auth(struct redis_conn *c, char *why, size_t why_size)
{
    if (c->options.password_file == NULL)
        return 0;
    struct login_file login;
    int rc = login_file_read(&login, c->options.password_file, why, why_size);
    if (rc != 0) {
        conn_name_key(c, why, why_size);
        return rc;
    }
    struct slice user = login.user.len > 0 ? login.user : slice_of(c->options.user);
    struct slice argv[] = {slice_of("AUTH"), user, login.password};
    if (user.len == 0) { /* the only form servers before 6.0 know */
        argv[1] = login.password;
        rc = conn_step(c, CONN_AUTH, 0, 2, argv);
    } else {
        rc = conn_step(c, CONN_AUTH, 0, 3, argv);
    }
    login_file_wipe(&login);
    if (rc != 0)
        snprintf(why, why_size, "out of memory");
    return rc;
}

int redis_conn_setup_subscribe_one(struct redis_conn *c, const char *channel)
{
    const struct slice words[] = {slice_of("SUBSCRIBE"), slice_of("PSUBSCRIBE")};
    struct slice argv[] = {words[channel[0] == CONN_PATTERN], slice_of(channel + 1)};
    return conn_step(c, CONN_SUBSCRIBE, 0, 2, argv);
}

int redis_conn_setup_subscribe(struct redis_conn *c)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < c->channel_count; i++)
        rc = redis_conn_setup_subscribe_one(c, c->channels[i]);
    return rc;
}

/*
 * Everything between connect and READY leaves in one write; the answers are looked at one by one
 * (redis_conn_setup_answer).
 */
static int conn_queue_setup(struct redis_conn *c)
{
    int rc = 0;
    struct slice role = slice_of("ROLE");
    if (c->options.primary)
        rc = conn_step(c, CONN_ROLE, 0, 1, &role);
    if (rc == 0 && c->options.database != 0) {
        char number[16];
        snprintf(number, sizeof number, "%d", c->options.database);
        struct slice argv[] = {slice_of("SELECT"), slice_of(number)};
        rc = conn_step(c, CONN_SELECT, 0, 2, argv);
    }
    for (int i = 0; rc == 0 && i < c->script_count; i++)
        rc = redis_conn_setup_load(c, i);
    struct slice ping = slice_of("PING");
    if (rc == 0)
        rc = conn_step(c, CONN_PING, 0, 1, &ping);
    return rc == 0 ? redis_conn_setup_subscribe(c) : rc;
}

void redis_conn_setup_begin(struct redis_conn *c)
{
    char why[256];
    c->state = CONN_SETUP;
    c->setup_left = 0;
    if (conn_auth(c, why, sizeof why) != 0)
        redis_conn_lose(c, "%s", why);
    else if (conn_queue_setup(c) != 0)
        redis_conn_lose(c, "out of memory");
}

/* What a step's error means. AUTH: never the server's own words, for they may repeat what was sent. */
static void conn_step_failed(struct redis_conn *c, const struct conn_pending *p,
                             const redisReply *reply)
{
    static const char *const steps[] = {
        [CONN_AUTH] = "AUTH",        [CONN_ROLE] = "ROLE", [CONN_SELECT] = "SELECT",
        [CONN_LOAD] = "SCRIPT LOAD", [CONN_PING] = "PING", [CONN_SUBSCRIBE] = "SUBSCRIBE",
    };
    char text[300];
    bool known = redis_error_known(reply->str, reply->len);
    redis_error_explain(reply->str, reply->len, text, sizeof text);
    if (p->kind == CONN_AUTH && !known)
        snprintf(text, sizeof text, "refused: does this server know users and passwords?");
    conn_name_key(c, text, sizeof text);
    if (p->kind == CONN_SELECT && !known)
        redis_conn_lose(c, "SELECT %d: %s", c->options.database, text);
    else
        redis_conn_lose(c, "%s: %s", steps[p->kind], text);
}

/*
 * What may be refused: PING, for who is told so is talking to a server that is ready; ROLE, for READONLY says the same
 * one claim later; SCRIPT LOAD, for a script goes as EVAL as well; SUBSCRIBE, for a connection that is lost for it
 * would be opened again and again, and refused each time (redis_conn_subscribed).
 */
static bool conn_step_may_be_refused(enum conn_kind kind)
{
    return kind == CONN_PING || kind == CONN_ROLE || kind == CONN_LOAD || kind == CONN_SUBSCRIBE;
}

static bool conn_step_ok(const struct conn_pending *p, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ERROR)
        return true;
    return conn_step_may_be_refused(p->kind) &&
           redis_error_refusal(reply->str, reply->len) != REDIS_REFUSAL_NONE;
}

/* "master", or what the server is instead: "slave", "sentinel". */
static struct slice conn_role(const redisReply *reply)
{
    bool said = reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
                reply->element[0]->type == REDIS_REPLY_STRING;
    return said ? slice_make(reply->element[0]->str, reply->element[0]->len) : slice_of("master");
}

static void conn_lose_replica(struct redis_conn *c)
{
    c->replica = true;
    redis_conn_lose(c, "READONLY: this server is a replica (ROLE): wait for the fail-over, or "
                       "point the url at the primary");
}

/* False when the connection was given up. */
static bool conn_take_role(struct redis_conn *c, const redisReply *reply)
{
    struct slice role = conn_role(reply);
    if (slice_is(role, "slave") && c->guide != NULL)
        redis_conn_lose(c,
                        "READONLY: the Sentinels call this server the primary, but it is a replica "
                        "(ROLE): wait for the fail-over, or see SENTINEL MASTER %s",
                        c->options.sentinel_name);
    else if (slice_is(role, "slave"))
        conn_lose_replica(c);
    else if (slice_is(role, "sentinel"))
        redis_conn_lose(
            c, "this is a Sentinel (ROLE), and no server that keeps data: check host and port");
    else
        return true;
    return false;
}

void redis_conn_setup_answer(struct redis_conn *c, const struct conn_pending *p,
                             const redisReply *reply)
{
    if (!conn_step_ok(p, reply)) {
        /* A script added while READY and refused: EVAL says so to whoever calls it. */
        if (c->state == CONN_SETUP)
            conn_step_failed(c, p, reply);
        return;
    }
    if (p->kind == CONN_ROLE && !conn_take_role(c, reply))
        return;
    if (p->kind == CONN_SUBSCRIBE)
        c->subscribed = reply->type != REDIS_REPLY_ERROR;
    if (p->kind == CONN_LOAD && reply->type == REDIS_REPLY_STRING &&
        reply->len == REDIS_SHA_SIZE - 1)
        memcpy(c->scripts[p->script].sha, reply->str, REDIS_SHA_SIZE);
    if (c->state == CONN_SETUP && --c->setup_left == 0)
        redis_conn_become_ready(c);
}
