/* redis_sentinel.c: asks the Sentinels, and listens to them. See redis_sentinel.h. */
#include "common/redis/redis_sentinel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* What a Sentinel says is short. */
#define SENTINEL_REPLY_MAX (1024u * 1024)

/* No Sentinel gets less to answer, however many there are. */
#define SENTINEL_TIME_MIN_MS 100u

/* Why nobody of a round has answered. Those of the same cause in a row share it: "A, B: cause; C: cause". */
struct sentinel_round {
    size_t failed;
    char told[400];
    char names[REDIS_NAME_SIZE];
    char cause[300];
};

struct sentinel_address {
    char host[256]; /* no host's name is longer */
    int port;
};

struct redis_sentinel {
    uv_loop_t *loop;
    struct redis_options options; /* of a Sentinel */
    char *name;                   /* of what they watch */
    struct redis_guide_events events;
    void *ctx;
    struct redis_conn *asker;    /* NULL: nothing is asked */
    struct redis_conn *listener; /* subscribed to +switch-master, if it may */
    struct sentinel_round round;
    struct sentinel_address
        named;    /* the last that the owner was told when somebody had been asked */
    bool unasked; /* the owner does not wait for the answer: it has a server */
    struct sentinel_address
        claim; /* another than that, which one of them names; port 0: none does */
    size_t claimant;
};

/* False when that is no address. */
static bool sentinel_read(struct sentinel_address *a, struct slice host, struct slice port)
{
    char digits[8];
    long number = slice_copy(port, digits, sizeof digits) ? strtol(digits, NULL, 10) : 0;
    a->port = number > 0 && number <= 65535 ? (int)number : 0;
    return a->port > 0 && host.len > 0 && slice_copy(host, a->host, sizeof a->host);
}

static bool sentinel_is_same(const struct sentinel_address *a, const struct sentinel_address *b)
{
    return a->port == b->port && strcmp(a->host, b->host) == 0;
}

/* ---- a round of all of them ---- */

static void sentinel_round_close(struct sentinel_round *r)
{
    size_t len = strlen(r->told);
    if (r->names[0] != '\0')
        snprintf(r->told + len, sizeof r->told - len, "%s%s: %s", len > 0 ? "; " : "", r->names,
                 r->cause);
    r->names[0] = '\0';
}

/* `why` is a connection's: "sentinel at NAME: cause". */
static void sentinel_round_note(struct sentinel_round *r, const char *why)
{
    static const char front[] = "sentinel at ";
    const char *name = strncmp(why, front, sizeof front - 1) == 0 ? why + sizeof front - 1 : why;
    const char *colon = strstr(name, ": ");
    const char *cause = colon != NULL ? colon + 2 : name;
    size_t len = colon != NULL ? (size_t)(colon - name) : 0;
    if (r->names[0] != '\0' && strncmp(r->cause, cause, sizeof r->cause - 1) != 0)
        sentinel_round_close(r);
    size_t at = strlen(r->names);
    snprintf(r->names + at, sizeof r->names - at, "%s%.*s", at > 0 ? ", " : "", (int)len, name);
    snprintf(r->cause, sizeof r->cause, "%s", cause);
    r->failed++;
}

/* ---- asking ---- */

/* Who answers is asked first the next time. When memory is short, the order stays. */
static void sentinel_prefer(struct redis_sentinel *s, size_t i)
{
    struct redis_options *o = &s->options;
    char *host = i > 0 && i < o->address_count ? strdup(o->addresses[i].host) : NULL;
    if (host == NULL)
        return;
    struct redis_address first = o->addresses[i];
    o->addresses[i] = o->addresses[0];
    o->addresses[0] = first;
    free(o->host);
    o->host = host;
    o->port = first.port;
}

/*
 * What the first of them has named is no primary: it is asked last. Who is cut off from the others goes on naming the
 * old one, and would, as it answers, be asked for ever. An answer that is still to come was asked for in the old order.
 */
static void sentinel_blame(void *guide)
{
    struct redis_sentinel *s = guide;
    struct redis_options *o = &s->options;
    redis_conn_free(s->asker);
    s->asker = NULL;
    o->turn++; /* one name may stand for all of them */
    char *host = o->address_count > 1 ? strdup(o->addresses[1].host) : NULL;
    if (host == NULL)
        return;
    struct redis_address first = o->addresses[0];
    memmove(o->addresses, o->addresses + 1, (o->address_count - 1) * sizeof *o->addresses);
    o->addresses[o->address_count - 1] = first;
    free(o->host);
    o->host = host;
    o->port = o->addresses[0].port;
}

/* What kept it from answering, and the remedy. */
static void sentinel_explain(const struct redis_sentinel *s, const redisReply *reply, char *why,
                             size_t size)
{
    bool error = reply->type == REDIS_REPLY_ERROR;
    if (error && redis_error_says(reply->str, reply->len, "ERR unknown command"))
        snprintf(why, size,
                 "this is no Sentinel: check host and port, or use redis:// for a server");
    else if (error && !redis_error_says(reply->str, reply->len, "IDONTKNOW"))
        redis_error_explain(reply->str, reply->len, why, size);
    else if (error || reply->type == REDIS_REPLY_NIL)
        snprintf(why, size,
                 "it watches no \"%s\": give the url the name in its sentinel monitor line",
                 s->name);
    else
        snprintf(why, size, "it names no address of \"%s\": see SENTINEL MASTER there", s->name);
}

/* False when the answer is no address. */
static bool sentinel_read_answer(struct sentinel_address *a, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2)
        return false;
    const redisReply *host = reply->element[0], *port = reply->element[1];
    return host->type == REDIS_REPLY_STRING && port->type == REDIS_REPLY_STRING &&
           sentinel_read(a, slice_make(host->str, host->len), slice_make(port->str, port->len));
}

/*
 * True when another has to say so as well: whose server is well does not leave it for the word of one, which may be the
 * old word. By a second of them and not by the server's own ROLE: an old primary that nobody can reach but us says
 * "master", and what it is given will be lost.
 */
static bool sentinel_doubts(struct redis_sentinel *s, size_t i, const struct sentinel_address *a)
{
    if (!s->unasked || s->options.address_count < 2 || sentinel_is_same(a, &s->named))
        return false;
    if (s->claim.port != 0 && s->claimant != i && sentinel_is_same(a, &s->claim))
        return false;
    s->claim = *a;
    s->claimant = i;
    return true;
}

/* The owner of the guide may have closed it when this returns. */
static void sentinel_believe(struct redis_sentinel *s, size_t i, const struct sentinel_address *a)
{
    sentinel_prefer(s, i);
    redis_conn_free(s->asker);
    s->asker = NULL;
    s->named = *a;
    s->events.on_primary(a->host, a->port, s->ctx);
}

/* The owner of the guide may have closed it when this returns. */
static void sentinel_on_answer(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    if (reply == NULL)
        return; /* its on_lost says why */
    struct redis_sentinel *s = ctx;
    struct sentinel_address a;
    char why[400] = "no other Sentinel has named the same primary yet";
    bool read = sentinel_read_answer(&a, reply);
    if (read && !sentinel_doubts(s, redis_conn_address(c), &a)) {
        sentinel_believe(s, redis_conn_address(c), &a);
        return;
    }
    if (!read)
        sentinel_explain(s, reply, why, sizeof why);
    redis_conn_renew(c, why);
}

static void sentinel_on_asker_ready(struct redis_conn *c, void *ctx)
{
    struct redis_sentinel *s = ctx;
    struct slice argv[] = {slice_of("SENTINEL"), slice_of("GET-MASTER-ADDR-BY-NAME"),
                           slice_of(s->name)};
    if (redis_conn_command(c, 3, argv, sentinel_on_answer, s) != 0)
        redis_conn_renew(c, "out of memory");
}

static void sentinel_on_asker_lost(struct redis_conn *c, const char *why, void *ctx)
{
    (void)c;
    struct redis_sentinel *s = ctx;
    struct sentinel_round *r = &s->round;
    size_t all = s->options.address_count > 0 ? s->options.address_count : 1;
    sentinel_round_note(r, why);
    if (r->failed < all)
        return;
    sentinel_round_close(r);
    char text[480];
    snprintf(text, sizeof text, "no Sentinel names the primary of \"%s\": %s", s->name, r->told);
    *r = (struct sentinel_round){0};
    s->events.on_trouble(text, s->ctx);
}

static int sentinel_listen(struct redis_sentinel *s, char *why, size_t why_size);

/* Begins a round, with whoever is asked already. */
static int sentinel_begin(struct redis_sentinel *s, bool unasked, char *why, size_t why_size)
{
    static const struct redis_conn_events events = {.on_ready = sentinel_on_asker_ready,
                                                    .on_lost = sentinel_on_asker_lost};
    s->round = (struct sentinel_round){0};
    s->claim.port = 0;
    s->unasked = unasked;
    if (s->asker == NULL)
        s->asker = redis_conn_new(s->loop, &s->options, &events, s, why, why_size);
    return s->asker != NULL ? 0 : -ENOMEM;
}

static int sentinel_ask(void *guide, char *why, size_t why_size)
{
    struct redis_sentinel *s = guide;
    if (s->listener == NULL)
        sentinel_listen(s, why, why_size); /* without it ROLE and READONLY tell us, later */
    return sentinel_begin(s, false, why, why_size);
}

/* ---- listening ---- */

/* "NAME OLD-HOST OLD-PORT NEW-HOST NEW-PORT" */
static void sentinel_on_message(struct redis_conn *c, struct slice channel, struct slice payload,
                                void *ctx)
{
    (void)c;
    (void)channel;
    struct redis_sentinel *s = ctx;
    struct slice words[5] = {{NULL, 0}};
    const char *at = payload.ptr, *end = payload.ptr + payload.len;
    for (size_t i = 0; i < 5 && at < end; i++) {
        const char *blank = memchr(at, ' ', (size_t)(end - at));
        words[i] = slice_make(at, (size_t)((blank != NULL ? blank : end) - at));
        at = blank != NULL ? blank + 1 : end;
    }
    struct sentinel_address a;
    if (slice_is(words[0], s->name) && sentinel_read(&a, words[3], words[4]))
        s->events.on_primary(a.host, a.port, s->ctx);
}

/* What was said while nobody listened is asked for. */
static void sentinel_on_listener_ready(struct redis_conn *c, void *ctx)
{
    (void)c;
    char why[256];
    struct redis_sentinel *s = ctx;
    if (s->asker == NULL) /* else it will be answered anyway */
        sentinel_begin(s, true, why,
                       sizeof why); /* short of memory: ROLE and READONLY tell us, later */
}

static int sentinel_listen(struct redis_sentinel *s, char *why, size_t why_size)
{
    static const struct redis_conn_events events = {.on_ready = sentinel_on_listener_ready,
                                                    .on_message = sentinel_on_message};
    s->listener = redis_conn_new(s->loop, &s->options, &events, s, why, why_size);
    if (s->listener == NULL)
        return -ENOMEM;
    int rc = redis_conn_subscribe(s->listener, "+switch-master");
    if (rc == 0)
        return 0;
    redis_conn_free(s->listener);
    s->listener = NULL;
    return rc;
}

/* ---- the outside ---- */

/* Their password is another than the servers', and they have neither users of ours nor databases. */
static int sentinel_options(struct redis_sentinel *s, const struct redis_options *from)
{
    struct redis_options o = *from;
    size_t count = from->address_count > 0 ? from->address_count : 1;
    uint64_t part = from->connect_timeout_ms / count;
    o.guide = NULL;
    o.sentinel_name = NULL;
    o.user = NULL;
    o.password_file = from->sentinel_password_file;
    o.sentinel_password_file = NULL;
    o.database = 0;
    o.primary = false;
    o.sentinel = true;
    o.connect_timeout_ms = part > SENTINEL_TIME_MIN_MS ? part : SENTINEL_TIME_MIN_MS;
    o.timeout_ms = o.connect_timeout_ms;
    o.reply_max = SENTINEL_REPLY_MAX;
    s->name = strdup(from->sentinel_name);
    int rc = redis_options_copy(&s->options, &o);
    return s->name == NULL ? -ENOMEM : rc;
}

static void sentinel_close(void *guide)
{
    struct redis_sentinel *s = guide;
    redis_conn_free(s->asker);
    redis_conn_free(s->listener);
    redis_options_fini(&s->options);
    free(s->name);
    free(s);
}

static void *sentinel_open(uv_loop_t *loop, const struct redis_options *options,
                           const struct redis_guide_events *events, void *ctx, char *why,
                           size_t why_size)
{
    struct redis_sentinel *s = calloc(1, sizeof *s);
    snprintf(why, why_size, "out of memory");
    if (s == NULL)
        return NULL;
    s->loop = loop;
    s->events = *events;
    s->ctx = ctx;
    if (sentinel_options(s, options) == 0)
        return s;
    sentinel_close(s);
    return NULL;
}

const struct redis_guide redis_sentinel_guide = {sentinel_open, sentinel_ask, sentinel_blame,
                                                 sentinel_close};
