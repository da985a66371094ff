/* peers_fixture.c: see peers_fixture.h. */
#include "test/unit/cache/peers_fixture.h"

#include "common/clock.h"

#include <stdarg.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#define PEERS_WAIT_MS 20000

struct peers_fixture peers;

static uint64_t peers_began;

static void peers_on_tick(uv_timer_t *timer)
{
    (void)timer;
    if (clock_mono_ms() - peers_began > 2 * PEERS_WAIT_MS)
        ck_abort_msg("waited too long: %s", peers.p != NULL ? cache_peers_trouble(peers.p) : "");
}

void peers_set_up(void)
{
    peers = (struct peers_fixture){.told = 0};
    peers_began = clock_mono_ms();
    signal(SIGPIPE, SIG_IGN); /* as in every worker */
    redis_fixture_init(&peers.server);
    ck_assert_int_eq(uv_loop_init(&peers.loop), 0);
    uv_timer_init(&peers.loop, &peers.tick);
    uv_timer_start(&peers.tick, peers_on_tick, 1, 1);
    peers.options = (struct cache_peers_options){.loop = &peers.loop,
                                                 .name = "node.1",
                                                 .connect_timeout_ms = 5000,
                                                 .retry_max_ms = 50,
                                                 .silence_ms = PEERS_WAIT_MS,
                                                 .queue_max = 1 << 20,
                                                 .reply_max = 1 << 20};
}

void peers_tear_down(void)
{
    peers_close();
    uv_close((uv_handle_t *)&peers.tick, NULL);
    uv_run(&peers.loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&peers.loop), 0);
    redis_fixture_fini(&peers.server);
}

void peers_open(void)
{
    char why[300] = "";
    peers.p = cache_peers_new(&peers.options, why, sizeof why);
    ck_assert_msg(peers.p != NULL, "%s", why);
}

void peers_ring(const char *format, ...)
{
    char address[400];
    va_list args;
    va_start(args, format);
    vsnprintf(address, sizeof address, format, args);
    va_end(args);
    struct cache_peer_node node = {PEER, slice_of("node.2"), slice_of(address)};
    ck_assert_int_eq(cache_peers_set(peers.p, &node, 1), 0);
}

void peers_close(void)
{
    cache_peers_free(peers.p);
    peers.p = NULL;
    for (int i = 0; i < 3; i++)
        peers_turn();
}

void peers_on_told(enum cache_peer_result result, struct slice answer, const char *why, void *ctx)
{
    struct peers_told *told = ctx;
    told->times++;
    told->order = ++peers.told;
    told->result = result;
    told->len = answer.len;
    size_t len = answer.len < sizeof told->answer ? answer.len : sizeof told->answer - 1;
    memcpy(told->answer, answer.ptr, len);
    told->answer[len] = '\0';
    snprintf(told->why, sizeof told->why, "%s", why);
}

int peers_send_within(struct peers_told *told, const char *words, uint64_t timeout_ms)
{
    char line[1024];
    struct slice list[32];
    size_t count = 0;
    int before = peers.told;
    snprintf(line, sizeof line, "%s", words);
    for (char *word = strtok(line, " "); word != NULL && count < 32; word = strtok(NULL, " "))
        list[count++] = slice_of(word);
    int rc = cache_peers_send(peers.p, PEER, 0, list, count, timeout_ms, peers_on_told, told);
    memset(line, '#', sizeof line); /* what was given is the caller's again */
    ck_assert_int_eq(peers.told, before);
    return rc;
}

int peers_send(struct peers_told *told, const char *words)
{
    *told = (struct peers_told){.times = 0};
    return peers_send_within(told, words, 3 * PEERS_WAIT_MS);
}

void peers_ask(struct peers_told *told, const char *words)
{
    ck_assert_int_eq(peers_send(told, words), 0);
    peers_until(told->times > 0);
}

void peers_turn(void)
{
    uv_run(&peers.loop, UV_RUN_ONCE);
}

/* ---- a server of our own ---- */

int peers_listen(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%.100s",
             redis_fixture_path(&peers.server, name));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ck_assert_int_ge(fd, 0);
    unlink(address.sun_path);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(fd, 4), 0);
    return fd;
}

int peers_accept(int listener)
{
    int fd;
    peers_until((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0);
    peers.in_len = 0;
    peers_read(fd, "PING\r\n");
    peers.in_len = 0;
    peers_say(fd, "+PONG\r\n");
    return fd;
}

void peers_read(int fd, const char *end)
{
    size_t len = strlen(end);
    while (peers.in_len < len || memcmp(peers.in + peers.in_len - len, end, len) != 0) {
        ssize_t n = recv(fd, peers.in + peers.in_len, sizeof peers.in - peers.in_len, 0);
        ck_assert_msg(n > 0 || (n < 0 && errno == EAGAIN), "the connection has ended");
        peers.in_len += n > 0 ? (size_t)n : 0;
        if (n < 0)
            peers_turn();
    }
}

void peers_say(int fd, const char *text)
{
    ck_assert_int_eq(send(fd, text, strlen(text), 0), (ssize_t)strlen(text));
}
