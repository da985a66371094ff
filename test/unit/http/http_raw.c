/* http_raw.c: see http_raw.h. */
#include "test/unit/http/http_raw.h"

#include "common/buffer.h"
#include "common/clock.h"
#include "common/listen_address.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

#define RAW_PATIENCE_MS 60000 /* ends a test that hangs */

int http_raw_open(struct http_raw *raw)
{
    char where[80];
    struct listen_address address;
    struct buffer why = BUFFER_EMPTY;
    snprintf(raw->path, sizeof raw->path, "/tmp/test_http.%d", getpid());
    snprintf(where, sizeof where, "unix:%s", raw->path);
    ck_assert_int_eq(uv_loop_init(&raw->loop), 0);
    ck_assert_int_eq(listen_address_parse(where, &address), 0);
    int fd = listen_address_open(&address, &why);
    ck_assert_msg(fd >= 0, "%s: %d", where, fd);
    buffer_fini(&why);
    return fd;
}

static void on_walk(uv_handle_t *handle, void *ctx)
{
    (void)ctx;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

void http_raw_close(struct http_raw *raw)
{
    uv_walk(&raw->loop, on_walk, NULL);
    uv_run(&raw->loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&raw->loop), 0);
    unlink(raw->path);
}

int http_raw_dial(const struct http_raw *raw)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, raw->path, strlen(raw->path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

void http_raw_turn(struct http_raw *raw)
{
    uv_run(&raw->loop, UV_RUN_NOWAIT);
    usleep(200);
}

void http_raw_say(int fd, const char *text)
{
    ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

const char *http_raw_hear(struct http_raw *raw, int fd, const char *want)
{
    static char text[65536];
    size_t len = 0;
    uint64_t until = clock_mono_ms() + RAW_PATIENCE_MS;
    text[0] = '\0';
    while (want == NULL || strstr(text, want) == NULL) {
        ssize_t n = recv(fd, text + len, sizeof text - 1 - len, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            break;
        len += n > 0 ? (size_t)n : 0;
        text[len] = '\0';
        ck_assert_msg(clock_mono_ms() < until, "no `%s`: %s", want != NULL ? want : "end", text);
        http_raw_turn(raw);
    }
    return text;
}
