/*
 * redis_conn.c: the life of a connection: connect, log in, READY, lost, wait, again. See redis_conn.h.
 *
 *     WAITING --timer--> CONNECTING --socket open--> SETUP --all answered--> READY
 *        ^                   |                         |                       |
 *        +-------------------+--------- redis_conn_lose -----+-----------------------+
 *
 * With a guide ASKING lies between WAITING and CONNECTING. Where a connection goes, and when, is redis_conn_where.c's.
 *
 * Replies come in the order of the commands, so what is outstanding is a FIFO. The steps of SETUP (redis_conn_setup.c)
 * stand in the same FIFO as the caller's commands, marked by their kind. One timer serves all states: the pause in
 * WAITING, the connect deadline in CONNECTING and SETUP, the oldest command's deadline in READY.
 *
 * Any callback may call redis_conn_free, so after each the state is looked at again; the memory stays until the
 * loop has closed the handles.
 */
#include "common/redis/redis_conn_private.h"

#include "common/redis/redis_codec.h"
#include "common/redis/redis_reader.h"
#include "common/redis/redis_socket.h"
#include "common/redis/redis_tls.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * When a deadline has passed, the socket is looked at once more before the connection is given up: it may be our own
 * process that was stopped, with the reply waiting.
 */
#define CONN_GRACE_MS 20u

#define CONN_SPARES_MAX 2048 /* places in the FIFO that are kept for the next commands: 150 KB */

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
    c->pushed++;
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
    c->popped++;
    if (c->head == NULL)
        c->tail = &c->head;
    if (conn_is_callers(p))
        c->in_flight--;
    return p;
}

static void conn_pending_free(struct redis_conn *c, struct conn_pending *p)
{
    if (p->sent.ptr != NULL)
        redis_codec_free(p->sent, false);
    spares_give(&c->spares, p);
}

/* Everybody who waits is told that the outcome is unknown. */
static void conn_abandon(struct redis_conn *c)
{
    for (struct conn_pending *p; (p = conn_pop(c)) != NULL; conn_pending_free(c, p))
        if (p->fn != NULL)
            p->fn(c, NULL, p->ctx);
}

/* ---- out ---- */

static void conn_on_flush(uv_idle_t *idle)
{
    struct redis_conn *c = idle->data;
    uv_idle_stop(idle);
    if (c->socket != NULL && redis_socket_write(c->socket, &c->out))
        c->written = c->pushed;
}

/*
 * A place in the FIFO, its bytes are in c->out. An idle handle and not a prepare handle: it also makes the loop come
 * round at once when something is queued in a later phase of the turn.
 */
static void conn_queued(struct redis_conn *c, struct conn_pending *p)
{
    conn_push(c, p);
    uv_idle_start(&c->flush, conn_on_flush);
}

/* Queues one command's bytes and its place in the FIFO. */
static int conn_queue(struct redis_conn *c, struct slice bytes, struct conn_pending *p)
{
    if (buffer_reserve(&c->out, bytes.len) == NULL) {
        c->out.failed = false; /* what was queued before is still whole */
        return -ENOMEM;
    }
    buffer_append_slice(&c->out, bytes);
    conn_queued(c, p);
    return 0;
}

/* Most commands: nothing of them needs to be kept, or wiped. */
static int conn_send_plain(struct redis_conn *c, struct conn_pending like, size_t argc,
                           const struct slice *argv)
{
    struct conn_pending *p = spares_take(&c->spares);
    int rc = p != NULL ? redis_codec_append(argc, argv, &c->out) : -ENOMEM;
    if (rc != 0) {
        spares_give(&c->spares, p);
        return rc;
    }
    *p = like;
    conn_queued(c, p);
    return 0;
}

/* Encodes and queues. An EVALSHA's bytes stay with its place in the FIFO. */
int redis_conn_send(struct redis_conn *c, struct conn_pending like, size_t argc,
                    const struct slice *argv)
{
    struct slice bytes;
    if (like.kind == CONN_COMMAND)
        return conn_send_plain(c, like, argc, argv);
    int rc = redis_codec_encode(argc, argv, &bytes);
    if (rc != 0)
        return rc;
    struct conn_pending *p = spares_take(&c->spares);
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
        spares_give(&c->spares, p);
    return rc;
}

/* ---- lost ---- */

/* The connection and all it held; the state says what comes next. */
static void conn_drop_socket(struct redis_conn *c)
{
    redis_socket_free(c->socket);
    c->socket = NULL;
    if (c->reader != NULL)
        redisReaderFree(c->reader);
    c->reader = NULL;
    redis_answers_clear(&c->answers);
    uv_idle_stop(&c->flush);
    buffer_clear(&c->out);
}

void redis_conn_name(const struct redis_conn *c, char name[REDIS_NAME_SIZE])
{
    redis_options_name(&c->options, name);
}

static void conn_note_trouble(struct redis_conn *c, const char *why)
{
    char name[REDIS_NAME_SIZE];
    redis_options_name(&c->options, name);
    snprintf(c->trouble, sizeof c->trouble, "%s at %s: %s",
             c->options.sentinel ? "sentinel" : "redis", name, why);
}

void redis_conn_lose(struct redis_conn *c, const char *format, ...)
{
    char why[400];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    conn_note_trouble(c, c->ending[0] != '\0' ? c->ending : why);
    redis_conn_choose_trouble(c);
    bool stable = redis_conn_was_stable(c);
    c->idle = stable && c->head == NULL && !c->refused;
    uint64_t pause = redis_conn_next_try(c, stable);
    c->refused = false;
    c->ending[0] = '\0';
    c->state = CONN_WAITING;
    conn_drop_socket(c);
    c->stats.reconnects++;
    redis_conn_wait(c, pause);
    conn_abandon(c);
    if (c->state != CONN_CLOSED && c->events.on_lost != NULL)
        c->events.on_lost(c, c->trouble, c->ctx);
}

void redis_conn_wait(struct redis_conn *c, uint64_t ms)
{
    uv_timer_start(&c->timer, conn_on_timer, ms, 0);
}

bool redis_conn_was_idle(const struct redis_conn *c)
{
    return c->idle;
}

void redis_conn_become_ready(struct redis_conn *c)
{
    c->state = CONN_READY;
    c->ready_at = uv_now(c->loop);
    c->trouble[0] = '\0';
    uv_timer_stop(&c->timer);
    if (c->events.on_ready != NULL)
        c->events.on_ready(c, c->ctx);
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

void redis_conn_renew(struct redis_conn *c, const char *why)
{
    if (c->state != CONN_READY)
        return;
    c->refused = true;
    redis_conn_lose(c, "%s", why);
}

/*
 * One caller has been told. It may have closed the connection, or have lost it. Others have sent something already, and
 * the server answers that as well: an outcome that can be known is, and nothing more is sent meanwhile.
 */
static void conn_end_when_refused(struct redis_conn *c, const redisReply *reply)
{
    if (c->state != CONN_READY || c->ending[0] != '\0' || c->options.relays ||
        reply->type != REDIS_REPLY_ERROR ||
        !redis_error_cured_by_connecting(reply->str, reply->len))
        return;
    redis_error_explain(reply->str, reply->len, c->ending, sizeof c->ending);
    conn_note_trouble(c, c->ending);
}

/* With the last answer. */
static void conn_end_when_answered(struct redis_conn *c)
{
    if (c->state == CONN_READY && c->ending[0] != '\0' && c->head == NULL)
        redis_conn_renew(c, c->ending);
}

static void conn_said_unasked(struct redis_conn *c)
{
    redis_conn_lose(c, "the server said something it was not asked: is it a Redis server?");
}

static void conn_on_reply(struct redis_conn *c, const redisReply *reply)
{
    if (redis_conn_take_message(c, reply))
        return;
    struct conn_pending *p = conn_pop(c);
    if (p == NULL) {
        conn_said_unasked(c);
        return;
    }
    if (!conn_is_callers(p)) {
        redis_conn_setup_answer(c, p, reply);
    } else {
        if (conn_eval_instead(c, p, reply))
            return;
        if (reply->type == REDIS_REPLY_ERROR)
            c->stats.errors++;
        if (p->fn != NULL)
            p->fn(c, reply, p->ctx);
        conn_end_when_refused(c, reply);
    }
    conn_pending_free(c, p);
    conn_end_when_answered(c);
}

/*
 * The reply that is being read is the first caller's (messages of channels come between replies, so with channels
 * nobody knows). Without being told it would ask again for ever, and take all that wait with it each time.
 */
static void conn_too_large(struct redis_conn *c)
{
    char text[160];
    const redisReader *reader = c->reader;
    snprintf(text, sizeof text,
             "a reply of more than reply_max (%zu bytes): ask for less, or raise it",
             c->options.reply_max);
    if (c->channel_count == 0 && c->head != NULL && conn_is_callers(c->head)) {
        char error[sizeof text + sizeof REDIS_CONN_TOO_LARGE + 1];
        int len = snprintf(error, sizeof error, REDIS_CONN_TOO_LARGE " %s", text);
        redisReply reply = {.type = REDIS_REPLY_ERROR, .str = error, .len = (size_t)len};
        struct conn_pending *p = conn_pop(c);
        c->stats.errors++;
        if (p->fn != NULL)
            p->fn(c, &reply, p->ctx);
        conn_pending_free(c, p);
    }
    if (c->reader == reader) /* else it was closed meanwhile */
        redis_conn_lose(c, "%s", text);
}

/* Answers are handed on as they come; what is said before READY is for the connection itself. */
static bool conn_relays(const struct redis_conn *c)
{
    return c->options.relays && c->state == CONN_READY;
}

/*
 * Takes whole replies out of the reader until there is none, or until the connection is not this one any more, or has
 * become one that hands them on: then nothing was asked yet, and what is left in the reader is an answer to nothing.
 */
static void conn_take_replies(struct redis_conn *c)
{
    redisReader *reader = c->reader;
    while (c->reader == reader) {
        if (conn_relays(c)) {
            if (reader->len > reader->pos)
                conn_said_unasked(c);
            return;
        }
        void *reply = NULL;
        if (redisReaderGetReply(reader, &reply) != REDIS_OK) {
            if (reader->err == REDIS_ERR_OOM)
                redis_conn_lose(c, "a reply of more than reply_max (%zu bytes), or memory is short",
                                c->options.reply_max);
            else
                redis_conn_lose(c, "%s: is it a Redis server?", reader->errstr);
            return;
        }
        if (reply == NULL)
            break;
        c->reply_bytes = reader->len - reader->pos;
        conn_on_reply(c, reply);
        freeReplyObject(reply);
    }
}

static void conn_hand_on(struct redis_conn *c, struct slice answer)
{
    redisReply reply = {.type = REDIS_REPLY_STRING};
    if (answer.ptr[0] == '-')
        reply.type = REDIS_REPLY_ERROR;
    reply.str = (char *)(uintptr_t)answer.ptr;
    reply.len = answer.len;
    conn_on_reply(c, &reply);
}

/* The same of a connection that hands them on. What hiredis says of what is none is said here. */
static void conn_take_answers(struct redis_conn *c, struct slice bytes)
{
    const redisReader *reader = c->reader; /* of this connection, as long as it is */
    enum redis_answers_result result = REDIS_ANSWERS_WHOLE;
    while (c->reader == reader && result == REDIS_ANSWERS_WHOLE) {
        struct slice answer;
        result = redis_answers_next(&c->answers, &bytes, &answer);
        if (result == REDIS_ANSWERS_WHOLE)
            conn_hand_on(c, answer);
    }
    if (result == REDIS_ANSWERS_BAD)
        redis_conn_lose(c, "Protocol error: is it a Redis server?");
    else if (result == REDIS_ANSWERS_SHORT)
        redis_conn_lose(c, "a reply of more than memory has room for");
    else if (c->reader == reader)
        c->reply_bytes = redis_answers_held(&c->answers);
}

static void conn_on_bytes(struct slice bytes, void *ctx)
{
    struct redis_conn *c = ctx;
    c->grace_given = false;
    if (conn_relays(c)) {
        conn_take_answers(c, bytes);
    } else {
        c->reply_bytes += bytes.len;
        if (redisReaderFeed(c->reader, bytes.ptr, bytes.len) != REDIS_OK) {
            redis_conn_lose(c, "out of memory");
            return;
        }
        conn_take_replies(c);
    }
    if (c->reader != NULL && c->reply_bytes > c->options.reply_max)
        conn_too_large(c);
}

static void conn_on_end(const char *why, void *ctx)
{
    struct redis_conn *c = ctx;
    bool hint = c->state == CONN_SETUP && !c->options.tls && c->options.unix_path == NULL;
    redis_conn_lose(c, "%s%s", why,
                    hint ? " before it answered: does this port want TLS (rediss://, sentinels://)?"
                         : "");
}

/* ---- time ---- */

static uint64_t conn_time_left(const struct redis_conn *c)
{
    uint64_t now = uv_now(c->loop);
    return c->ready_by > now ? c->ready_by - now : 0;
}

/* One that does not answer leaves time for the others. */
static void conn_on_try(size_t left, void *ctx)
{
    struct redis_conn *c = ctx;
    uv_timer_start(&c->timer, conn_on_timer, conn_time_left(c) / left, 0);
}

static void conn_on_open(void *ctx)
{
    struct redis_conn *c = ctx;
    uv_timer_start(&c->timer, conn_on_timer, conn_time_left(c), 0);
    redis_conn_setup_begin(c);
}

void redis_conn_open(struct redis_conn *c)
{
    static const struct redis_socket_events events = {.on_try = conn_on_try,
                                                      .on_open = conn_on_open,
                                                      .on_bytes = conn_on_bytes,
                                                      .on_end = conn_on_end};
    c->state = CONN_CONNECTING;
    c->ready_by = uv_now(c->loop) + c->options.connect_timeout_ms;
    c->reply_bytes = 0;
    c->grace_given = false;
    c->reader = redis_reader_new(c->options.reply_max);
    c->socket = redis_socket_new(c->loop, &c->options, c->tls, c->turn, &events, c);
    if (c->reader == NULL || c->socket == NULL)
        redis_conn_lose(c, "out of memory");
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
        c->refused = true; /* of several servers, another may answer */
        redis_conn_lose(
            c, "no answer to a command within %llu ms: is the server overloaded or stopped?",
            (unsigned long long)c->options.timeout_ms);
    }
}

static void conn_on_timer(uv_timer_t *timer)
{
    struct redis_conn *c = timer->data;
    unsigned long long limit = c->options.connect_timeout_ms;
    switch (c->state) {
    case CONN_WAITING:
        redis_conn_find(c);
        break;
    case CONN_CONNECTING:
        if (redis_socket_skip(c->socket))
            break;
        if (redis_socket_in_handshake(
                c->socket)) /* a plain Redis waits for the end of our hello's "line" */
            redis_conn_lose(
                c, "TLS: connected, but no handshake within %llu ms: does this port speak TLS?",
                limit);
        else
            redis_conn_lose(c, "no connection within %llu ms: check host, port and firewall",
                            limit);
        break;
    case CONN_SETUP:
        redis_conn_lose(
            c, "connected, but not ready within %llu ms: is the server overloaded or stopped?",
            limit);
        break;
    case CONN_READY:
        conn_check_deadline(c);
        break;
    case CONN_ASKING: /* its guide has deadlines of its own */
    case CONN_CLOSED:
        break;
    }
}

/* ---- the outside ---- */

static void conn_release(struct redis_conn *c)
{
    redis_tls_free(c->tls);
    redis_options_fini(&c->options);
    buffer_fini(&c->out);
    redis_answers_fini(&c->answers);
    spares_fini(&c->spares);
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
    if (c == NULL || redis_options_copy(&c->options, options) != 0) {
        snprintf(why, why_size, "out of memory");
        goto fail;
    }
    if (options->tls && (c->tls = redis_tls_new(&c->options, why, why_size)) == NULL)
        goto fail;
    c->loop = loop;
    c->spares = SPARES(sizeof(struct conn_pending), CONN_SPARES_MAX);
    c->turn = options->turn;
    if (options->guide != NULL && redis_conn_find_guide(c, why, why_size) != 0)
        goto fail;
    c->events = *events;
    c->ctx = ctx;
    c->tail = &c->head;
    char name[REDIS_NAME_SIZE];
    redis_options_name(&c->options, name);
    snprintf(c->trouble, sizeof c->trouble, "%s at %s: connecting",
             options->guide != NULL || options->sentinel ? "sentinel" : "redis", name);
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
    redis_conn_drop_guide(c);
    conn_drop_socket(c);
    conn_abandon(c);
    uv_close((uv_handle_t *)&c->flush, conn_on_closed);
    uv_close((uv_handle_t *)&c->timer, conn_on_closed);
}

bool redis_conn_ready(const struct redis_conn *c)
{
    return c != NULL && c->state == CONN_READY && c->ending[0] == '\0';
}

const char *redis_conn_trouble(const struct redis_conn *c)
{
    return c->trouble;
}

size_t redis_conn_address(const struct redis_conn *c)
{
    return c->address;
}

bool redis_conn_unsent(const struct redis_conn *c)
{
    return c->popped > c->written;
}

uint64_t redis_conn_waited_ms(const struct redis_conn *c)
{
    if (c == NULL || c->head == NULL)
        return 0;
    uint64_t sent = c->head->deadline - c->options.timeout_ms, now = uv_now(c->loop);
    return now > sent ? now - sent : 0;
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
    if (!redis_conn_ready(c))
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
        rc = redis_conn_send(c, (struct conn_pending){.kind = CONN_COMMAND, .fn = fn, .ctx = ctx},
                             argc, argv);
    if (rc == 0)
        c->stats.commands++;
    return rc;
}

int redis_conn_add_script(struct redis_conn *c, const char *text)
{
    if (c->options.relays)
        return -EINVAL;
    struct conn_script *more = realloc(c->scripts, ((size_t)c->script_count + 1) * sizeof *more);
    if (more == NULL)
        return -ENOMEM;
    c->scripts = more;
    c->scripts[c->script_count] = (struct conn_script){.text = text};
    /* Later than this, or short of memory: it goes as EVAL until the next connect. */
    bool connected = c->state == CONN_READY || c->state == CONN_SETUP;
    if (connected && c->channel_count == 0)
        redis_conn_setup_load(c, c->script_count);
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
    rc = redis_conn_send(c, like, argc, argv);
    free(argv);
    if (rc == 0)
        c->stats.commands++;
    return rc;
}
