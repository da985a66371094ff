/*
 * redis_conn.c: the life of a connection: connect, log in, READY, lost, wait, again. See redis_conn.h.
 *
 *     WAITING --timer--> CONNECTING --socket open--> SETUP --all answered--> READY
 *        ^                   |                         |                       |
 *        +-------------------+--------- conn_lose -----+-----------------------+
 *
 * Replies come in the order of the commands, so what is outstanding is a FIFO. The steps of SETUP (AUTH, SELECT, SCRIPT
 * LOAD, PING, SUBSCRIBE) stand in the same FIFO as the caller's commands, marked by their kind. One timer serves all
 * states: the pause in WAITING, the connect deadline in CONNECTING and SETUP, the oldest command's deadline in READY.
 *
 * Any callback may call redis_conn_free, so after each the state is looked at again; the memory stays until the loop has
 * closed the handles.
 */
#include "common/redis_conn.h"

#include "common/redis_codec.h"
#include "common/redis_login.h"
#include "common/redis_reader.h"
#include "common/redis_socket.h"
#include "common/redis_tls.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* First pause; doubled with each failed attempt up to retry_max. */
#define CONN_RETRY_MIN_MS 50u

/* A connection that was READY for less counts as a failed attempt: one that is dropped at once must not be a tight loop. */
#define CONN_STABLE_MS 1000u

/*
 * When a deadline has passed, the socket is looked at once more before the connection is given up: it may be our own
 * process that was stopped, with the reply waiting.
 */
#define CONN_GRACE_MS 20u

enum conn_state {
    CONN_WAITING,
    CONN_CONNECTING,
    CONN_SETUP,
    CONN_READY,
    CONN_CLOSED,
};

enum conn_kind {
    CONN_COMMAND, /* a caller's */
    CONN_SCRIPT,  /* a caller's EVALSHA, kept so that NOSCRIPT can be answered by EVAL */
    CONN_AUTH,
    CONN_SELECT,
    CONN_LOAD,
    CONN_PING,
    CONN_SUBSCRIBE,
};

struct conn_pending {
    struct conn_pending *next;
    redis_reply_fn fn;
    void *ctx;
    uint64_t deadline;
    enum conn_kind kind;
    int script;        /* number, with CONN_SCRIPT and CONN_LOAD */
    struct slice sent; /* CONN_SCRIPT: the EVALSHA as it was sent, owned; ptr NULL otherwise */
};

struct conn_script {
    const char *text;
    char sha[REDIS_SHA_SIZE]; /* empty until the server has told it */
};

struct redis_conn {
    uv_loop_t *loop;
    struct redis_options options;
    struct redis_tls *tls;
    struct redis_conn_events events;
    void *ctx;
    enum conn_state state;
    struct redis_socket *socket;
    redisReader *reader;
    size_t reply_bytes; /* taken since the last whole reply */
    struct buffer out;  /* commands of this turn of the loop */
    uv_idle_t flush;
    uv_timer_t timer;
    int handles;
    struct conn_pending *head, **tail;
    size_t in_flight; /* of the caller's */
    size_t setup_left;
    struct conn_script *scripts;
    int script_count;
    char **channels;
    size_t channel_count;
    unsigned attempt;
    bool grace_given;
    uint64_t ready_at;
    struct redis_conn_stats stats;
    char trouble[640];
};

static void conn_lose(struct redis_conn *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void conn_on_timer(uv_timer_t *timer);

/* ---- what is outstanding ---- */

static bool conn_is_callers(const struct conn_pending *p)
{
    return p->kind == CONN_COMMAND || p->kind == CONN_SCRIPT;
}

static void conn_push(struct redis_conn *c, struct conn_pending *p)
{
    p->next = NULL;
    p->deadline = uv_now(c->loop) + c->options.timeout_ms;
    *c->tail = p;
    c->tail = &p->next;
    if (conn_is_callers(p))
        c->in_flight++;
    if (c->state == CONN_READY && !uv_is_active((uv_handle_t *)&c->timer))
        uv_timer_start(&c->timer, conn_on_timer, c->options.timeout_ms, 0);
}

static struct conn_pending *conn_pop(struct redis_conn *c)
{
    struct conn_pending *p = c->head;
    if (p == NULL)
        return NULL;
    c->head = p->next;
    if (c->head == NULL)
        c->tail = &c->head;
    if (conn_is_callers(p))
        c->in_flight--;
    return p;
}

static void conn_pending_free(struct conn_pending *p)
{
    if (p->sent.ptr != NULL)
        redis_codec_free(p->sent, false);
    free(p);
}

/* Everybody who waits is told that the outcome is unknown. */
static void conn_abandon(struct redis_conn *c)
{
    for (struct conn_pending *p; (p = conn_pop(c)) != NULL; conn_pending_free(p))
        if (p->fn != NULL)
            p->fn(c, NULL, p->ctx);
}

/* ---- out ---- */

static void conn_on_flush(uv_idle_t *idle)
{
    struct redis_conn *c = idle->data;
    uv_idle_stop(idle);
    if (c->socket != NULL)
        redis_socket_write(c->socket, &c->out);
}

/*
 * Queues one command's bytes and its place in the FIFO. An idle handle and not a prepare handle: it also makes the loop come
 * round at once when something is queued in a later phase of the turn.
 */
static int conn_queue(struct redis_conn *c, struct slice bytes, struct conn_pending *p)
{
    if (buffer_reserve(&c->out, bytes.len) == NULL) {
        c->out.failed = false; /* what was queued before is still whole */
        return -ENOMEM;
    }
    buffer_append_slice(&c->out, bytes);
    conn_push(c, p);
    uv_idle_start(&c->flush, conn_on_flush);
    return 0;
}

/* Encodes and queues. An EVALSHA's bytes stay with its place in the FIFO. */
static int conn_send(struct redis_conn *c, struct conn_pending like, size_t argc,
                     const struct slice *argv)
{
    struct slice bytes;
    int rc = redis_codec_encode(argc, argv, &bytes);
    if (rc != 0)
        return rc;
    struct conn_pending *p = malloc(sizeof *p);
    if (p == NULL) {
        rc = -ENOMEM;
    } else {
        *p = like;
        rc = conn_queue(c, bytes, p);
    }
    if (rc == 0 && like.kind == CONN_SCRIPT) {
        p->sent = bytes;
        return 0;
    }
    redis_codec_free(bytes, like.kind == CONN_AUTH);
    if (rc != 0)
        free(p);
    return rc;
}

/* ---- lost ---- */

/* Full jitter: anything from nothing to the whole step, so that a hundred workers do not come back in one second's beat. */
static uint64_t conn_pause(unsigned attempt, uint64_t max)
{
    uint64_t step = CONN_RETRY_MIN_MS << (attempt < 16 ? attempt : 16);
    if (step > max)
        step = max;
    uint32_t random = 0;
    uv_random(NULL, NULL, &random, sizeof random, 0, NULL); /* when it fails: no jitter, at once */
    return random % (step + 1);
}

/* The connection and all it held; the state says what comes next. */
static void conn_drop_socket(struct redis_conn *c)
{
    redis_socket_free(c->socket);
    c->socket = NULL;
    if (c->reader != NULL)
        redisReaderFree(c->reader);
    c->reader = NULL;
    uv_idle_stop(&c->flush);
    buffer_clear(&c->out);
}

static void conn_lose(struct redis_conn *c, const char *format, ...)
{
    char name[REDIS_NAME_SIZE];
    char why[400];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    redis_options_name(&c->options, name);
    snprintf(c->trouble, sizeof c->trouble, "redis at %s: %s", name, why);
    if (c->state == CONN_READY && uv_now(c->loop) - c->ready_at >= CONN_STABLE_MS)
        c->attempt = 0;
    c->state = CONN_WAITING;
    conn_drop_socket(c);
    c->stats.reconnects++;
    uv_timer_start(&c->timer, conn_on_timer, conn_pause(c->attempt++, c->options.retry_max_ms), 0);
    conn_abandon(c);
    if (c->state != CONN_CLOSED && c->events.on_lost != NULL)
        c->events.on_lost(c, c->trouble, c->ctx);
}

/* ---- setting up ---- */

static void conn_ready(struct redis_conn *c)
{
    c->state = CONN_READY;
    c->ready_at = uv_now(c->loop);
    c->trouble[0] = '\0';
    uv_timer_stop(&c->timer);
    if (c->events.on_ready != NULL)
        c->events.on_ready(c, c->ctx);
}

static int conn_step(struct redis_conn *c, enum conn_kind kind, int script, size_t argc,
                     const struct slice *argv)
{
    int rc = conn_send(c, (struct conn_pending){.kind = kind, .script = script}, argc, argv);
    if (rc == 0)
        c->setup_left++;
    return rc;
}

static int conn_load(struct redis_conn *c, int script)
{
    struct slice argv[] = {slice_of("SCRIPT"), slice_of("LOAD"), slice_of(c->scripts[script].text)};
    return conn_step(c, CONN_LOAD, script, 3, argv);
}

/* AUTH, when there is a password. Returns 0, or an error with its line in `why`. */
static int conn_auth(struct redis_conn *c, char *why, size_t why_size)
{
    if (c->options.password_file == NULL)
        return 0;
    struct redis_login login;
    int rc = redis_login_read(&login, c->options.password_file, why, why_size);
    if (rc != 0)
        return rc;
    struct slice user = login.user.len > 0 ? login.user : slice_of(c->options.user);
    struct slice argv[] = {slice_of("AUTH"), user, login.password};
    if (user.len == 0) { /* the only form servers before 6.0 know */
        argv[1] = login.password;
        rc = conn_step(c, CONN_AUTH, 0, 2, argv);
    } else {
        rc = conn_step(c, CONN_AUTH, 0, 3, argv);
    }
    redis_login_wipe(&login);
    if (rc != 0)
        snprintf(why, why_size, "out of memory");
    return rc;
}

/* Everything between connect and READY leaves in one write; the answers are looked at one by one (conn_on_step). */
static int conn_queue_setup(struct redis_conn *c)
{
    int rc = 0;
    if (c->options.database != 0) {
        char number[16];
        snprintf(number, sizeof number, "%d", c->options.database);
        struct slice argv[] = {slice_of("SELECT"), slice_of(number)};
        rc = conn_step(c, CONN_SELECT, 0, 2, argv);
    }
    for (int i = 0; rc == 0 && i < c->script_count; i++)
        rc = conn_load(c, i);
    struct slice ping = slice_of("PING");
    if (rc == 0)
        rc = conn_step(c, CONN_PING, 0, 1, &ping);
    for (size_t i = 0; rc == 0 && i < c->channel_count; i++) {
        struct slice argv[] = {slice_of("SUBSCRIBE"), slice_of(c->channels[i])};
        rc = conn_step(c, CONN_SUBSCRIBE, 0, 2, argv);
    }
    return rc;
}

static void conn_on_open(void *ctx)
{
    struct redis_conn *c = ctx;
    char why[256];
    c->state = CONN_SETUP;
    c->setup_left = 0;
    if (conn_auth(c, why, sizeof why) != 0)
        conn_lose(c, "%s", why);
    else if (conn_queue_setup(c) != 0)
        conn_lose(c, "out of memory");
}

/* What a step's error means. AUTH: never the server's own words, for they may repeat what was sent. */
static void conn_step_failed(struct redis_conn *c, const struct conn_pending *p,
                             const redisReply *reply)
{
    static const char *const steps[] = {
        [CONN_AUTH] = "AUTH", [CONN_SELECT] = "SELECT",       [CONN_LOAD] = "SCRIPT LOAD",
        [CONN_PING] = "PING", [CONN_SUBSCRIBE] = "SUBSCRIBE",
    };
    char text[300];
    bool known = redis_error_known(reply->str, reply->len);
    redis_error_explain(reply->str, reply->len, text, sizeof text);
    if (p->kind == CONN_AUTH && !known)
        snprintf(text, sizeof text, "refused: does this server know users and passwords?");
    if (p->kind == CONN_SELECT && !known)
        conn_lose(c, "SELECT %d: %s", c->options.database, text);
    else
        conn_lose(c, "%s: %s", steps[p->kind], text);
}

/* NOPERM to a PING comes from a server that is ready and an user who needs no PING. */
static bool conn_step_ok(const struct conn_pending *p, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ERROR)
        return true;
    return p->kind == CONN_PING && strncmp(reply->str, "NOPERM", 6) == 0;
}

static void conn_on_step(struct redis_conn *c, const struct conn_pending *p,
                         const redisReply *reply)
{
    if (!conn_step_ok(p, reply)) {
        /* A script added while READY and refused: EVAL says so to whoever calls it. */
        if (c->state == CONN_SETUP)
            conn_step_failed(c, p, reply);
        return;
    }
    if (p->kind == CONN_LOAD && reply->type == REDIS_REPLY_STRING &&
        reply->len == REDIS_SHA_SIZE - 1)
        memcpy(c->scripts[p->script].sha, reply->str, REDIS_SHA_SIZE);
    if (c->state == CONN_SETUP && --c->setup_left == 0)
        conn_ready(c);
}

/* ---- in ---- */

/* True when the EVALSHA was sent again as EVAL, with the same FIFO entry. */
static bool conn_eval_instead(struct redis_conn *c, struct conn_pending *p, const redisReply *reply)
{
    if (p->sent.ptr == NULL || reply->type != REDIS_REPLY_ERROR ||
        strncmp(reply->str, "NOSCRIPT", 8) != 0)
        return false;
    struct buffer eval = BUFFER_EMPTY;
    bool done = redis_codec_eval(p->sent, c->scripts[p->script].text, &eval) == 0 &&
                buffer_ok(&eval) && conn_queue(c, buffer_slice(&eval), p) == 0;
    buffer_fini(&eval);
    if (!done)
        return false;
    redis_codec_free(p->sent, false);
    p->sent = (struct slice){NULL, 0}; /* once */
    return true;
}

/* True when it was a pub/sub message and no answer. */
static bool conn_take_message(struct redis_conn *c, const redisReply *reply)
{
    if (c->channel_count == 0 || reply->type != REDIS_REPLY_ARRAY || reply->elements != 3)
        return false;
    redisReply **e = reply->element;
    for (int i = 0; i < 3; i++)
        if (e[i]->type != REDIS_REPLY_STRING)
            return false;
    if (strcmp(e[0]->str, "message") != 0)
        return false;
    if (c->events.on_message != NULL)
        c->events.on_message(c, slice_make(e[1]->str, e[1]->len), slice_make(e[2]->str, e[2]->len),
                             c->ctx);
    return true;
}

static void conn_on_reply(struct redis_conn *c, const redisReply *reply)
{
    if (conn_take_message(c, reply))
        return;
    struct conn_pending *p = conn_pop(c);
    if (p == NULL) {
        conn_lose(c, "the server said something it was not asked: is it a Redis server?");
        return;
    }
    if (!conn_is_callers(p)) {
        conn_on_step(c, p, reply);
    } else {
        if (conn_eval_instead(c, p, reply))
            return;
        if (reply->type == REDIS_REPLY_ERROR)
            c->stats.errors++;
        if (p->fn != NULL)
            p->fn(c, reply, p->ctx);
    }
    conn_pending_free(p);
}

/* Takes whole replies out of the reader until there is none, or until the connection is not this one any more. */
static void conn_take_replies(struct redis_conn *c)
{
    redisReader *reader = c->reader;
    while (c->reader == reader) {
        void *reply = NULL;
        if (redisReaderGetReply(reader, &reply) != REDIS_OK) {
            if (reader->err == REDIS_ERR_OOM)
                conn_lose(c, "a reply of more than reply_max (%zu bytes), or memory is short",
                          c->options.reply_max);
            else
                conn_lose(c, "%s: is it a Redis server?", reader->errstr);
            return;
        }
        if (reply == NULL)
            break;
        c->reply_bytes = reader->len - reader->pos;
        conn_on_reply(c, reply);
        freeReplyObject(reply);
    }
}

static void conn_on_bytes(struct slice bytes, void *ctx)
{
    struct redis_conn *c = ctx;
    c->grace_given = false;
    c->reply_bytes += bytes.len;
    if (redisReaderFeed(c->reader, bytes.ptr, bytes.len) != REDIS_OK) {
        conn_lose(c, "out of memory");
        return;
    }
    conn_take_replies(c);
    if (c->reader != NULL && c->reply_bytes > c->options.reply_max)
        conn_lose(c, "a reply of more than reply_max (%zu bytes): ask for less, or raise it",
                  c->options.reply_max);
}

static void conn_on_end(const char *why, void *ctx)
{
    struct redis_conn *c = ctx;
    bool hint = c->state == CONN_SETUP && !c->options.tls && c->options.unix_path == NULL;
    conn_lose(c, "%s%s", why,
              hint ? " before it answered: does this port want TLS (rediss://)?" : "");
}

/* ---- time ---- */

static void conn_connect(struct redis_conn *c)
{
    static const struct redis_socket_events events = {
        .on_open = conn_on_open, .on_bytes = conn_on_bytes, .on_end = conn_on_end};
    c->state = CONN_CONNECTING;
    c->reply_bytes = 0;
    c->grace_given = false;
    c->reader = redis_reader_new(c->options.reply_max);
    c->socket = redis_socket_new(c->loop, &c->options, c->tls, &events, c);
    if (c->reader == NULL || c->socket == NULL)
        conn_lose(c, "out of memory");
    else
        uv_timer_start(&c->timer, conn_on_timer, c->options.connect_timeout_ms, 0);
}

/* The oldest command's deadline: nothing to do, not yet, look once more, or enough. */
static void conn_check_deadline(struct redis_conn *c)
{
    uint64_t now = uv_now(c->loop);
    if (c->head == NULL)
        return;
    if (c->head->deadline > now) {
        uv_timer_start(&c->timer, conn_on_timer, c->head->deadline - now, 0);
    } else if (!c->grace_given) {
        c->grace_given = true;
        uv_timer_start(&c->timer, conn_on_timer, CONN_GRACE_MS, 0);
    } else {
        conn_lose(c, "no answer to a command within %llu ms: is the server overloaded or stopped?",
                  (unsigned long long)c->options.timeout_ms);
    }
}

static void conn_on_timer(uv_timer_t *timer)
{
    struct redis_conn *c = timer->data;
    unsigned long long limit = c->options.connect_timeout_ms;
    switch (c->state) {
    case CONN_WAITING:
        conn_connect(c);
        break;
    case CONN_CONNECTING:
        if (redis_socket_in_handshake(
                c->socket)) /* a plain Redis waits for the end of our hello's "line" */
            conn_lose(c,
                      "TLS: connected, but no handshake within %llu ms: does this port speak TLS?",
                      limit);
        else
            conn_lose(c, "no connection within %llu ms: check host, port and firewall", limit);
        break;
    case CONN_SETUP:
        conn_lose(c,
                  "connected, but not ready within %llu ms: is the server overloaded or stopped?",
                  limit);
        break;
    case CONN_READY:
        conn_check_deadline(c);
        break;
    case CONN_CLOSED:
        break;
    }
}

/* ---- the outside ---- */

static char *conn_copy(const char *text, bool *failed)
{
    if (text == NULL || text[0] == '\0')
        return NULL;
    char *copy = strdup(text);
    *failed |= copy == NULL;
    return copy;
}

static bool conn_copy_options(struct redis_options *to, const struct redis_options *from)
{
    bool failed = false;
    *to = *from;
    to->host = conn_copy(from->host, &failed);
    to->unix_path = conn_copy(from->unix_path, &failed);
    to->user = conn_copy(from->user, &failed);
    to->password_file = conn_copy(from->password_file, &failed);
    to->tls_ca_file = conn_copy(from->tls_ca_file, &failed);
    to->tls_cert_file = conn_copy(from->tls_cert_file, &failed);
    to->tls_key_file = conn_copy(from->tls_key_file, &failed);
    to->tls_server_name = conn_copy(from->tls_server_name, &failed);
    return !failed;
}

static void conn_release(struct redis_conn *c)
{
    redis_tls_free(c->tls);
    redis_options_fini(&c->options);
    buffer_fini(&c->out);
    for (size_t i = 0; i < c->channel_count; i++)
        free(c->channels[i]);
    free(c->channels);
    free(c->scripts);
    free(c);
}

struct redis_conn *redis_conn_new(uv_loop_t *loop, const struct redis_options *options,
                                  const struct redis_conn_events *events, void *ctx, char *why,
                                  size_t why_size)
{
    struct redis_conn *c = calloc(1, sizeof *c);
    if (c == NULL || !conn_copy_options(&c->options, options)) {
        snprintf(why, why_size, "out of memory");
        goto fail;
    }
    if (options->tls && (c->tls = redis_tls_new(&c->options, why, why_size)) == NULL)
        goto fail;
    c->loop = loop;
    c->events = *events;
    c->ctx = ctx;
    c->tail = &c->head;
    char name[REDIS_NAME_SIZE];
    redis_options_name(&c->options, name);
    snprintf(c->trouble, sizeof c->trouble, "redis at %s: connecting", name);
    uv_idle_init(loop, &c->flush);
    uv_timer_init(loop, &c->timer);
    c->flush.data = c;
    c->timer.data = c;
    c->handles = 2;
    uv_timer_start(&c->timer, conn_on_timer, 0,
                   0); /* nothing is called back before we have returned */
    return c;
fail:
    if (c != NULL)
        conn_release(c);
    return NULL;
}

static void conn_on_closed(uv_handle_t *handle)
{
    struct redis_conn *c = handle->data;
    if (--c->handles == 0)
        conn_release(c);
}

void redis_conn_free(struct redis_conn *c)
{
    if (c == NULL || c->state == CONN_CLOSED)
        return;
    c->state = CONN_CLOSED;
    conn_drop_socket(c);
    conn_abandon(c);
    uv_close((uv_handle_t *)&c->flush, conn_on_closed);
    uv_close((uv_handle_t *)&c->timer, conn_on_closed);
}

bool redis_conn_ready(const struct redis_conn *c)
{
    return c->state == CONN_READY;
}

const char *redis_conn_trouble(const struct redis_conn *c)
{
    return c->trouble;
}

size_t redis_conn_in_flight(const struct redis_conn *c)
{
    return c->in_flight;
}

struct redis_conn_stats redis_conn_stats(const struct redis_conn *c)
{
    return c->stats;
}

static int conn_accept(const struct redis_conn *c)
{
    if (c->state != CONN_READY)
        return -ENOTCONN;
    if (c->channel_count > 0)
        return -EBUSY;
    return c->out.len + redis_socket_queued(c->socket) > REDIS_CONN_QUEUE_MAX ? -ENOBUFS : 0;
}

int redis_conn_command(struct redis_conn *c, size_t argc, const struct slice *argv,
                       redis_reply_fn fn, void *ctx)
{
    int rc = conn_accept(c);
    if (rc == 0)
        rc = conn_send(c, (struct conn_pending){.kind = CONN_COMMAND, .fn = fn, .ctx = ctx}, argc,
                       argv);
    if (rc == 0)
        c->stats.commands++;
    return rc;
}

int redis_conn_add_script(struct redis_conn *c, const char *text)
{
    struct conn_script *more = realloc(c->scripts, ((size_t)c->script_count + 1) * sizeof *more);
    if (more == NULL)
        return -ENOMEM;
    c->scripts = more;
    c->scripts[c->script_count] = (struct conn_script){.text = text};
    /* Later than this, or short of memory: it goes as EVAL until the next connect. */
    bool connected = c->state == CONN_READY || c->state == CONN_SETUP;
    if (connected && c->channel_count == 0)
        conn_load(c, c->script_count);
    return c->script_count++;
}

int redis_conn_script(struct redis_conn *c, int script, size_t key_count, const struct slice *keys,
                      size_t arg_count, const struct slice *args, redis_reply_fn fn, void *ctx)
{
    int rc = conn_accept(c);
    if (rc != 0)
        return rc;
    if (script < 0 || script >= c->script_count || key_count + arg_count > REDIS_ARGC_MAX - 3)
        return -EINVAL;
    const struct conn_script *s = &c->scripts[script];
    bool loaded = s->sha[0] != '\0';
    size_t argc = 3 + key_count + arg_count;
    struct slice *argv = malloc(argc * sizeof *argv);
    if (argv == NULL)
        return -ENOMEM;
    char count[24];
    snprintf(count, sizeof count, "%zu", key_count);
    argv[0] = slice_of(loaded ? "EVALSHA" : "EVAL");
    argv[1] = slice_of(loaded ? s->sha : s->text);
    argv[2] = slice_of(count);
    for (size_t i = 0; i < key_count; i++)
        argv[3 + i] = keys[i];
    for (size_t i = 0; i < arg_count; i++)
        argv[3 + key_count + i] = args[i];
    struct conn_pending like = {
        .kind = loaded ? CONN_SCRIPT : CONN_COMMAND, .script = script, .fn = fn, .ctx = ctx};
    rc = conn_send(c, like, argc, argv);
    free(argv);
    if (rc == 0)
        c->stats.commands++;
    return rc;
}

int redis_conn_subscribe(struct redis_conn *c, const char *channel)
{
    if (c->state == CONN_READY || c->state == CONN_SETUP)
        return -EBUSY;
    char **more = realloc(c->channels, (c->channel_count + 1) * sizeof *more);
    if (more == NULL)
        return -ENOMEM;
    c->channels = more;
    c->channels[c->channel_count] = strdup(channel);
    if (c->channels[c->channel_count] == NULL)
        return -ENOMEM;
    c->channel_count++;
    return 0;
}
