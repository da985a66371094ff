/*
 * fuzz_port.c: what a program under a port worker says (workers/program/port_wire.c, port_actions.c), as JSON lines and
 * as msgpack frames, whole and in pieces.
 *
 * The two files are compiled into this one, over a worker and a loop that only pretend: one peer and one backbone are
 * up, nobody else is. Whatever is said, every event that the program would be told must be packable, and nothing may be
 * left behind.
 */
#include "workers/program/port.h"

/* So that nothing ends the process in the middle of an action, whose memory would look lost. */
#undef PORT_ERRORS_MAX
#define PORT_ERRORS_MAX 1000000

#include "workers/program/port_actions.c"
#include "workers/program/port_wire.c"

#include <setjmp.h>

static jmp_buf ended;
static struct buffer composed;
static struct worker_peer peer = {.name = "peer", .type = "port", .generation = 1};
static struct worker_peer backbone = {
    .name = "queue/s/backbone.1", .type = "backbone", .generation = 1};

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
    if (strcmp(name, backbone.name) == 0)
        return &backbone;
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
    if ((to != &peer && to != &backbone) || !buffer_ok(message))
        abort();
    struct unpack u = unpack_start(buffer_slice(message));
    unpack_raw(&u);
    if (!unpack_end(&u))
        abort();
    return 0;
}

void worker_must_send(struct worker *w, struct worker_peer *to, const struct buffer *message)
{
    worker_send(w, to, message);
}

int worker_link(struct worker *w, struct worker_peer *to)
{
    (void)w;
    return to == &peer ? 0 : -EINVAL;
}

/* It takes from no queue. */
const char *worker_setting(const struct worker *w, const char *name)
{
    (void)w;
    (void)name;
    return NULL;
}

uint64_t worker_setting_u64(const struct worker *w, const char *name)
{
    (void)w;
    (void)name;
    return 1;
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
    port_queue_up(p, &backbone);
    port_queue_down(p, &backbone, slice_of("killed by signal 9"));
    port_queue_tick(p);
}

static void live(const unsigned char *data, size_t size, bool msgpack, size_t piece)
{
    static struct port p;
    memset(&p, 0, sizeof p);
    p.msgpack = msgpack;
    port_queue_open(&p);
    if (setjmp(ended) == 0) {
        say(&p, data, size, piece);
        hear(&p);
        say(&p, data, size, size);
    }
    port_queue_close(&p);
    port_actions_close(&p);
    buffer_fini(&p.said);
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
