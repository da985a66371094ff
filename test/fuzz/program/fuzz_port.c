/*
 * fuzz_port.c: what a program under a port worker says (workers/program/port_wire.c, port_actions.c), as JSON lines and
 * as msgpack frames, whole and in pieces.
 *
 * The two files are compiled into this one, over a worker and a loop that only pretend: one peer is up, nobody
 * else is. Whatever is said, every event that the program would be told must be packable, and nothing may be
 * left behind.
 */
#include "workers/program/port.h"

/* So that nothing ends the process in the middle of an action, whose memory would look lost. */
#undef PORT_ERRORS_MAX
#define PORT_ERRORS_MAX 1000000

#include "workers/program/port_actions.c"
#include "workers/program/port_wire.c"

#include "common/json/json_check.h"

#include <setjmp.h>

static jmp_buf ended;
static struct buffer composed;
static struct worker_peer peer = {.name = "peer", .type = "port", .generation = 1};
/* ---- the worker ---- */

void worker_exit(struct worker *w, enum contract_exit code, const char *format, ...)
{
    (void)w;
    (void)code;
    (void)format;
    longjmp(ended, 1);
}

void worker_exit_for(struct worker *w, int error, const char *path, const char *format, ...)
{
    (void)w;
    (void)error;
    (void)path;
    (void)format;
    longjmp(ended, 1);
}

void *worker_must_alloc(struct worker *w, size_t size)
{
    (void)w;
    void *memory = calloc(1, size);
    if (memory == NULL)
        abort();
    return memory;
}

uv_loop_t *worker_loop(struct worker *w)
{
    (void)w;
    return NULL;
}

struct worker_peer *worker_peer_find(struct worker *w, const char *name)
{
    (void)w;
    return strcmp(name, peer.name) == 0 ? &peer : NULL;
}

struct buffer *worker_compose(struct worker *w)
{
    (void)w;
    buffer_clear(&composed);
    return &composed;
}

int worker_send(struct worker *w, struct worker_peer *to, const struct buffer *message)
{
    (void)w;
    if (to != &peer || !buffer_ok(message))
        abort();
    struct unpack u = unpack_start(buffer_slice(message));
    unpack_raw(&u);
    if (!unpack_end(&u))
        abort();
    return 0;
}

int worker_link(struct worker *w, struct worker_peer *to)
{
    (void)w;
    return to == &peer ? 0 : -EINVAL;
}

/* One task is in its hands, and each delivery is answered at once. */
static bool settle(const char *id, const char *reason)
{
    if (strlen(reason) > PORT_FRAME_MAX)
        abort();
    return strcmp(id, "q/1") == 0;
}

bool worker_task_done(struct worker *w, const char *id)
{
    (void)w;
    return settle(id, "");
}

bool worker_task_again(struct worker *w, const char *id, int64_t after_ms, const char *reason)
{
    (void)w;
    (void)after_ms;
    return settle(id, reason);
}

bool worker_task_bury(struct worker *w, const char *id, const char *reason)
{
    (void)w;
    return settle(id, reason);
}

int worker_deliver(struct worker *w, const struct worker_delivery *d, uint64_t *token)
{
    static uint64_t last;
    (void)w;
    struct buffer copy = BUFFER_EMPTY; /* every byte is there to be read */
    if (d->topic != NULL)
        buffer_append_slice(&copy, *d->topic);
    if (d->facet != NULL)
        buffer_append_slice(&copy, *d->facet);
    buffer_append_slice(&copy, d->body);
    bool short_one = copy.len % 7 == 0;
    buffer_fini(&copy);
    if (d->backbone == NULL)
        return -EINVAL;
    *token = ++last;
    return short_one ? -ENOBUFS : 0;
}

__attribute__((format(printf, 1, 0))) static void check_text(const char *format, va_list args)
{
    char text[512];
    vsnprintf(text, sizeof text, format, args);
}

void worker_monitor(struct worker *w, struct slice name)
{
    (void)w;
    if (name.len == 0 || name.len >= CONTRACT_NAME_MAX)
        abort();
}

void worker_child_start(struct worker *w, uint64_t id, struct slice program, struct slice argument)
{
    (void)w;
    if (id == 0 || program.len == 0 || argument.len > CONTRACT_ARGUMENT_MAX)
        abort();
}

void worker_child_stop(struct worker *w, struct slice name)
{
    worker_monitor(w, name);
}

void worker_ready(struct worker *w)
{
    (void)w;
}

#define TEXT_STUB(name)                                                                            \
    void name(struct worker *w, const char *format, ...)                                           \
    {                                                                                              \
        (void)w;                                                                                   \
        va_list args;                                                                              \
        va_start(args, format);                                                                    \
        check_text(format, args);                                                                  \
        va_end(args);                                                                              \
    }
TEXT_STUB(worker_doing)
TEXT_STUB(worker_trouble)

void worker_reply(struct worker *w, uint64_t id, enum control_status status, struct slice body)
{
    (void)w;
    (void)id;
    (void)status;
    struct unpack u = unpack_start(body);
    unpack_raw(&u);
    if (!unpack_end(&u))
        abort();
}

void worker_reply_text(struct worker *w, uint64_t id, enum control_status status,
                       const char *format, ...)
{
    (void)w;
    (void)id;
    (void)status;
    va_list args;
    va_start(args, format);
    check_text(format, args);
    va_end(args);
}

/* ---- the loop ---- */

int uv_write(uv_write_t *req, uv_stream_t *stream, const uv_buf_t *bufs, unsigned count,
             uv_write_cb done)
{
    (void)stream;
    (void)bufs;
    (void)count;
    done(req, 0);
    return 0;
}

int uv_try_write(uv_stream_t *stream, const uv_buf_t *bufs, unsigned count)
{
    (void)stream;
    (void)count;
    return (int)(bufs->len / 2);
}

size_t uv_stream_get_write_queue_size(const uv_stream_t *stream)
{
    (void)stream;
    return 0;
}

int uv_timer_init(uv_loop_t *loop, uv_timer_t *timer)
{
    (void)loop;
    (void)timer;
    return 0;
}

int uv_timer_start(uv_timer_t *timer, uv_timer_cb fn, uint64_t after, uint64_t repeat)
{
    (void)timer;
    (void)fn;
    (void)after;
    (void)repeat;
    return 0;
}

void uv_close(uv_handle_t *handle, uv_close_cb done)
{
    if (done != NULL)
        done(handle);
}

/* ---- a life ---- */

static void say(struct port *p, const unsigned char *data, size_t size, size_t piece)
{
    for (size_t at = 0; at < size; at += piece) {
        size_t len = size - at < piece ? size - at : piece;
        buffer_append(&p->said, data + at, len);
        port_cut(p);
    }
}

/* What may come in between, for whatever waits. */
static void hear(struct port *p)
{
    struct link_started started = {
        .id = p->last_token, .name = slice_of("a.1/b.1"), .generation = 3, .error = slice_of("")};
    struct message_answer answer = {.token = p->last_token, .text = slice_of("{\"a\":[1,null]}")};
    port_actions_started(p, &started);
    port_actions_answer(p, &answer);
    port_actions_up(p, &peer);
    port_actions_down(p, "nobody", slice_of("unknown name"));
    port_actions_tick(p);
    port_on_published(NULL, p, slice_of("topic"), slice_of("{\"a\":1}"));
    if (p->deliveries != NULL) {
        struct worker_delivered d = {.token = p->deliveries->token, .error = slice_of("why not")};
        port_on_delivered(NULL, p, &d);
    }
}

/* A task of any bytes is one line of JSON, or one frame. */
static void take(struct port *p, const unsigned char *data, size_t size)
{
    size_t half = size / 2 < 64 ? size / 2 : 64;
    struct worker_task task = {.queue = "q",
                               .attempt = size,
                               .at_ms = (int64_t)size - 2,
                               .facet = slice_make(data, half),
                               .body = slice_make(data, size)};
    strcpy(task.id, "q/1");
    port_on_task(NULL, p, &task);
    struct slice told = slice_make(p->told.data + p->told_from, p->told.len - p->told_from);
    if (!p->msgpack && memchr(told.ptr, '\n', told.len) != told.ptr + told.len - 1)
        abort();
    json_t *event = NULL;
    if (p->msgpack
            ? json_value_unpack(slice_make(told.ptr + 4, told.len - 4), 100, &event) == -EINVAL &&
                  json_check_value(task.body)
            : !json_check_object(told) && json_check_value(task.body))
        abort();
    json_decref(event);
}

static void live(const unsigned char *data, size_t size, bool msgpack, size_t piece)
{
    static struct port p;
    memset(&p, 0, sizeof p);
    p.msgpack = msgpack;
    if (setjmp(ended) == 0) {
        say(&p, data, size, piece);
        hear(&p);
        take(&p, data, size);
        say(&p, data, size, size);
    }
    port_queue_close(&p);
    port_actions_close(&p);
    port_flush(&p);
    if (p.task_bytes != 0)
        abort();
    buffer_fini(&p.said);
    buffer_fini(&p.told);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    log_set_level(LOG_LEVEL_ERROR);
    if (size == 0)
        return 0;
    for (int msgpack = 0; msgpack <= 1; msgpack++) {
        live(data, size, msgpack == 1, size);
        live(data, size, msgpack == 1, 7);
    }
    return 0;
}
