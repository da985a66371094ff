/* node_fixture.c: see node_fixture.h. */
#include "test/unit/cache/node_fixture.h"

#include "test/unit/cache/backing_fake.h"
#include "workers/cache/cache_behind.h"
#include "workers/cache/cache_park.h"
#include "workers/cache/command/command.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct cache_node node;
size_t node_dirty_max;

static uv_loop_t node_loop;
static struct buffer node_came;

static const uint8_t node_key[16] = "sixteen bytes!!";

void node_set_up(void)
{
    struct cache_db_options options = {
        .memory_max = (size_t)256 << 20, .object_max = 1 << 20, .evict = true};
    node = (struct cache_node){.loop = &node_loop, .commands = command_all()};
    node.options = (struct cache_node_options){.name = "cache/test/node.1",
                                               .memory_max = options.memory_max,
                                               .object_max = options.object_max,
                                               .clients_max = 8,
                                               .fsync = CACHE_LOG_NO,
                                               .evict = true};
    node_dirty_max = NODE_DIRTY_MAX;
    uv_loop_init(&node_loop);
    node.db = cache_db_new(&options, node_key);
    node.read = malloc(CACHE_READ_SIZE);
    ck_assert(node.db != NULL && node.read != NULL);
    ck_assert_int_eq(cache_turn_start(&node.turn, &node), 0);
}

void node_store(uint64_t timeout_ms)
{
    struct cache_db_options options = {.memory_max = node.options.memory_max,
                                       .object_max = node.options.object_max,
                                       .dirty_max = node_dirty_max,
                                       .evict = true,
                                       .stored = true};
    struct cache_park_options park = {.node = &node,
                                      .backing = &fake.head,
                                      .hash_key = node_key,
                                      .timeout_ms = timeout_ms,
                                      .retry_max_ms = 100,
                                      .parallel = 64};
    fake_set_up();
    cache_db_free(node.db);
    node.options.stored = true;
    node.db = cache_db_new(&options, node_key);
    node.park = cache_park_new(&park);
    ck_assert(node.db != NULL && node.park != NULL);
    struct cache_behind_options behind = {.write_delay_ms = 3600000,
                                          .retry_max_ms = 100,
                                          .timeout_ms = 60000,
                                          .parallel = 8,
                                          .on_change = cache_park_changed,
                                          .on_stored = cache_park_passed,
                                          .ctx = node.park};
    node.behind = cache_behind_new(&node_loop, node.db, &fake.head, &behind);
    ck_assert_ptr_nonnull(node.behind);
}

void node_store_end(void)
{
    cache_behind_free(node.behind);
    cache_park_free(node.park);
    node.behind = NULL;
    node.park = NULL;
}

void node_wait(void)
{
    node_turn(1);
    usleep(1000);
}

void node_tear_down(void)
{
    cache_listen_stop(&node);
    cache_client_end_all(&node);
    node_store_end();
    cache_turn_stop(&node.turn);
    uv_run(&node_loop, UV_RUN_DEFAULT);
    cache_turn_free(&node.turn);
    ck_assert_int_eq(uv_loop_close(&node_loop), 0);
    cache_db_free(node.db);
    free(node.read);
    buffer_fini(&node_came);
}

void node_turn(int turns)
{
    for (int i = 0; i < turns; i++)
        uv_run(&node_loop, UV_RUN_NOWAIT);
}

int node_connect(void)
{
    int pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    cache_client_new(&node, pair[1], "/run/test.sock");
    return pair[0];
}

void node_send(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fd, text, len, MSG_NOSIGNAL);
        ck_assert(sent > 0 || errno == EAGAIN);
        if (sent > 0) {
            text += sent;
            len -= (size_t)sent;
        }
        node_turn(1);
    }
}

const char *node_read(int fd)
{
    buffer_clear(&node_came);
    node_turn(1);
    for (;;) {
        char *to = buffer_reserve(&node_came, 65536);
        ssize_t got = recv(fd, to, 65536, 0);
        if (got <= 0)
            break;
        node_came.len += (size_t)got;
        node_turn(1);
    }
    return buffer_text(&node_came);
}

void node_expect(int fd, const char *sent, const char *came)
{
    node_send(fd, sent, strlen(sent));
    ck_assert_str_eq(node_read(fd), came);
}

bool node_is_closed(int fd)
{
    char byte;
    node_turn(2);
    return recv(fd, &byte, 1, 0) == 0;
}
