/* test_cache_turn.c: turns with a real log: what is acknowledged is in it, as fsync says, or is taken back. */
#include "test/unit/cache/node_fixture.h"
#include "test/unit/suite.h"

#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>

static char dir[] = "/tmp/cache-turn-XXXXXX";

static int on_records(const struct cache_log_record *r, size_t count, uint32_t segment, void *ctx)
{
    (void)ctx;
    return cache_db_replay(r, count, segment, node.db);
}

static bool is_alive(struct cache_log_record *r, uint32_t segment, void *ctx)
{
    (void)ctx;
    return cache_db_is_alive(r, segment, node.db);
}

static void on_moved(const struct cache_log_record *r, uint32_t segment, void *ctx)
{
    (void)ctx;
    cache_db_moved(r, segment, node.db);
}

static void on_synced(void *ctx)
{
    (void)ctx;
    cache_turn_synced(&node.turn);
}

static void on_alive(void *ctx)
{
    (void)ctx;
}

static void open_log(enum cache_log_fsync fsync)
{
    static const struct cache_log_events events = {.on_records = on_records,
                                                   .on_synced = on_synced,
                                                   .is_alive = is_alive,
                                                   .on_moved = on_moved};
    struct cache_log_options options = {.dir = dir, .segment_max = 1 << 20, .fsync = fsync};
    struct cache_log_found found;
    char why[512];
    ck_assert_ptr_nonnull(mkdtemp(dir));
    node.options.fsync = fsync;
    ck_assert_int_eq(cache_log_open(node.loop, &options, &events, NULL, on_alive, &found, &node.log,
                                    why, sizeof why),
                     0);
    cache_db_attach(node.db, node.log);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *at)
{
    (void)st;
    (void)flag;
    (void)at;
    return remove(path);
}

static void tear_down(void)
{
    cache_client_end_all(&node);
    ck_assert_int_eq(cache_log_close(node.log), 0);
    node_tear_down();
    nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* When the answer is there, the log is written. */
START_TEST(written_first)
{
    open_log(CACHE_LOG_NO);
    int fd = node_connect();
    for (int i = 0; i < 100; i++) {
        node_expect(fd, "SET k v\r\nGET k\r\n", "+OK\r\n$1\r\nv\r\n");
        ck_assert_uint_eq(cache_log_written(node.log), cache_log_added(node.log));
    }
    close(fd);
}
END_TEST

/* As often as this process has called write(2) or one of its kin, which send(2) is none of. */
static unsigned long writes_so_far(void)
{
    char line[64];
    unsigned long count = 0;
    FILE *file = fopen("/proc/self/io", "r");
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "syscw: %lu", &count) == 1)
            break;
    fclose(file);
    return count;
}

/* What several clients have written in a turn is one write to the log; what each is answered is one write to it. */
START_TEST(one_write_a_turn)
{
    static const char asked[] = "SET k 1\r\nGET k\r\nINCR k\r\n",
                      said[] = "+OK\r\n$1\r\n1\r\n:2\r\n";
    char bytes[64];
    int fds[3][2];
    open_log(CACHE_LOG_NO);
    for (int i = 0; i < 3; i++) { /* of packets: each write to it is one of its own */
        ck_assert_int_eq(
            socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds[i]), 0);
        cache_client_new(&node, fds[i][1], "/run/test.sock");
    }
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 3; i++)
            ck_assert_int_eq(send(fds[i][0], asked, strlen(asked), 0), (ssize_t)strlen(asked));
        unsigned long before = writes_so_far();
        node_turn(2);
        ck_assert_uint_eq(writes_so_far() - before, 1);
        for (int i = 0; i < 3; i++) {
            ck_assert_int_eq(recv(fds[i][0], bytes, sizeof bytes, 0), (ssize_t)strlen(said));
            ck_assert_mem_eq(bytes, said, strlen(said));
            ck_assert_int_eq(recv(fds[i][0], bytes, sizeof bytes, 0), -1);
        }
    }
    for (int i = 0; i < 3; i++)
        close(fds[i][0]);
}
END_TEST

/* With always it is synced, and the client's commands behind it keep their order; who did not write does not wait. */
START_TEST(synced_first)
{
    open_log(CACHE_LOG_ALWAYS);
    int fd = node_connect(), reader = node_connect();
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(send(fd, "SET k v\r\nGET k\r\nSET k w\r\nGET k\r\n", 32, 0), 32);
        node_turn(1);
        uint64_t added = cache_log_added(node.log);
        char byte; /* without a turn, in which the sync may be over */
        if (cache_log_synced(node.log) < added)
            ck_assert_int_eq(recv(fd, &byte, 1, MSG_PEEK), -1);
        node_expect(reader, "PING\r\n", "+PONG\r\n");
        while (cache_log_synced(node.log) < added || node.turn.syncing != NULL)
            uv_run(node.loop, UV_RUN_ONCE);
        ck_assert_str_eq(node_read(fd), "+OK\r\n$1\r\nv\r\n+OK\r\n$1\r\nw\r\n");
    }
    close(fd);
    close(reader);
}
END_TEST

/* Who has sent its end of file has its answer when the disk has the write, and what it sent behind is executed. */
START_TEST(synced_before_it_ends)
{
    open_log(CACHE_LOG_ALWAYS);
    for (int i = 0; i < 20; i++) {
        int fd = node_connect();
        ck_assert_int_eq(send(fd, "SET k 1\r\n", 9, 0), 9);
        node_turn(1);
        ck_assert_int_eq(send(fd, "INCR k\r\n", 8, 0), 8);
        ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
        for (int turns = 0; turns < 1000 && node.client_count > 0; turns++)
            uv_run(node.loop, UV_RUN_ONCE);
        ck_assert_uint_eq(node.client_count, 0);
        ck_assert_str_eq(node_read(fd), "+OK\r\n:2\r\n");
        close(fd);
    }
}
END_TEST

/* Each change of a large object is all of it in the log: many of them take several turns, and none is refused. */
START_TEST(large_turns)
{
    struct buffer text = BUFFER_EMPTY;
    size_t came = 0;
    open_log(CACHE_LOG_EVERYSEC);
    int fd = node_connect();
    buffer_printf(&text, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$900000\r\n%0900000d\r\n", 1);
    node_send(fd, text.data, text.len);
    ck_assert_str_eq(node_read(fd), "+OK\r\n");
    buffer_clear(&text);
    for (int i = 0; i < 400; i++)
        buffer_append_text(&text, "EXPIRE k 1000\r\n");
    ck_assert_int_eq(send(fd, text.data, text.len, 0), (ssize_t)text.len);
    for (int i = 0; i < 400 && came < 400; i++) {
        const char *at = node_read(fd);
        ck_assert_ptr_null(strchr(at, '-'));
        for (; (at = strchr(at, '\n')) != NULL; at++)
            came++;
        ck_assert_uint_lt(cache_log_added(node.log) - cache_log_written(node.log),
                          CACHE_TURN_LOG + (1 << 20));
    }
    ck_assert_uint_eq(came, 400);
    buffer_fini(&text);
    close(fd);
}
END_TEST

static void file_limit(rlim_t bytes)
{
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* The disk takes no more: what would have been acknowledged is an error, reads go on; and when it does, all is well. */
START_TEST(taken_back)
{
    open_log(CACHE_LOG_NO);
    signal(SIGXFSZ, SIG_IGN);
    int fd = node_connect(), other = node_connect();
    node_expect(fd, "SET a 1\r\n", "+OK\r\n");
    char *value = malloc(300001);
    memset(value, 'v', 300000);
    value[300000] = '\0';
    struct buffer text = BUFFER_EMPTY;
    buffer_printf(&text, "GET a\r\nSET b %.60000s\r\nGET a\r\nSET c %.60000s\r\nPING\r\n", value,
                  value);
    file_limit(50000);
    node_send(fd, text.data, text.len);
    const char *came = node_read(fd);
    ck_assert_msg(strncmp(came, "$1\r\n1\r\n-MISCONF ", 16) == 0, "%.80s", came);
    came = strstr(came, "\r\n$1\r\n1\r\n-MISCONF ");
    ck_assert_ptr_nonnull(came);
    ck_assert_ptr_nonnull(strstr(came, "\r\n+PONG\r\n"));
    node_send(other, "SET d 1\r\nGET a\r\n", 16);
    came = node_read(other);
    ck_assert_msg(strncmp(came, "-MISCONF ", 9) == 0 && strstr(came, "\r\n$1\r\n1\r\n") != NULL,
                  "%s", came);
    file_limit(RLIM_INFINITY);
    node_turn(2);
    node_expect(other, "SET d 1\r\nGET d\r\n", "+OK\r\n$1\r\n1\r\n");
    buffer_fini(&text);
    free(value);
    close(fd);
    close(other);
}
END_TEST

/* ---- a sync that is over in the middle of a turn ---- */

static uv_check_t midturn;

static void on_midturn(uv_check_t *check)
{
    (void)check;
    cache_turn_synced(&node.turn);
}

/* Between what clients do in a turn and its end: checks run in the opposite order of their start. */
static void sync_in_each_turn(void)
{
    ck_assert_int_eq(uv_check_init(node.loop, &midturn), 0);
    ck_assert_int_eq(uv_check_start(&midturn, on_midturn), 0);
}

static void sync_no_more(void)
{
    uv_close((uv_handle_t *)&midturn, NULL);
    node_turn(1);
}

static void expect_misconf(int fd, const char *sent, const char *behind)
{
    node_send(fd, sent, strlen(sent));
    const char *came = node_read(fd);
    ck_assert_msg(strncmp(came, "-MISCONF ", 9) == 0, "%.80s", came);
    ck_assert_str_eq(strstr(came, "\r\n") + 2, behind);
}

/* It says nothing of what this turn has written: that is taken back all the same when the log refuses it. */
static void take_back_after_a_sync(enum cache_log_fsync fsync)
{
    struct buffer text = BUFFER_EMPTY;
    open_log(fsync);
    signal(SIGXFSZ, SIG_IGN);
    int fd = node_connect();
    buffer_printf(&text, "SET b %060000d\r\nGET a\r\n", 1);
    file_limit(50000);
    sync_in_each_turn();
    expect_misconf(fd, buffer_text(&text), "$-1\r\n");
    sync_no_more();
    file_limit(RLIM_INFINITY);
    buffer_fini(&text);
    close(fd);
}

START_TEST(taken_back_after_a_sync)
{
    take_back_after_a_sync(CACHE_LOG_EVERYSEC);
}
END_TEST

START_TEST(taken_back_after_a_sync_always)
{
    take_back_after_a_sync(CACHE_LOG_ALWAYS);
}
END_TEST

/* Who has been answered is not answered again: only writes that still wait are remembered. */
START_TEST(forgotten_when_answered)
{
    open_log(CACHE_LOG_ALWAYS);
    int first = node_connect(), second = node_connect();
    bool seen = false;
    for (int i = 0; i < 10000 && !seen; i++) {
        ck_assert_int_eq(send(first, "SET k v\r\n", 9, 0), 9);
        node_turn(1);
        ck_assert_int_eq(send(second, "SET k w\r\n", 9, 0), 9);
        node_turn(1);
        while (node.clients->next->syncing)
            uv_run(node.loop, UV_RUN_ONCE);
        seen = node.clients->syncing;
        if (seen)
            ck_assert_uint_eq(node.turn.write_count, 1);
        while (node.turn.syncing != NULL)
            uv_run(node.loop, UV_RUN_ONCE);
        ck_assert_str_eq(node_read(first), "+OK\r\n");
        ck_assert_str_eq(node_read(second), "+OK\r\n");
    }
    ck_assert(seen);
    close(first);
    close(second);
}
END_TEST

/* What CLIENT REPLY has kept back is not answered by an error either, nor is what stands behind it touched. */
START_TEST(silent_when_taken_back)
{
    struct buffer text = BUFFER_EMPTY;
    open_log(CACHE_LOG_EVERYSEC);
    signal(SIGXFSZ, SIG_IGN);
    int fd = node_connect();
    buffer_printf(&text, "CLIENT REPLY SKIP\r\nSET b %060000d\r\nECHO behind\r\n", 1);
    file_limit(50000);
    node_expect(fd, buffer_text(&text), "$6\r\nbehind\r\n");
    file_limit(RLIM_INFINITY);
    node_turn(2);
    node_expect(fd, "CLIENT REPLY OFF\r\nCLIENT REPLY ON\r\nSET b 1\r\n", "+OK\r\n+OK\r\n");
    buffer_clear(&text);
    buffer_printf(&text, "CLIENT REPLY OFF\r\nSET b %060000d\r\n", 1);
    file_limit(50000);
    node_expect(fd, buffer_text(&text), "");
    file_limit(RLIM_INFINITY);
    node_turn(2);
    node_expect(fd, "CLIENT REPLY ON\r\n", "+OK\r\n");
    buffer_fini(&text);
    close(fd);
}
END_TEST

/* ---- who is no client ---- */

struct told {
    struct cache_turn_answer wait;
    int place; /* 0: not told */
    bool written;
};

static int told_count;

/* Kept for the test, which frees it. */
static void on_told(struct cache_turn_answer *a, const char *refused)
{
    bool written = refused == NULL;
    struct told *t = (struct told *)a;
    ck_assert_int_eq(t->place, 0);
    t->place = ++told_count;
    t->written = written;
    ck_assert(written || strncmp(refused, "MISCONF ", 8) == 0);
    if (written)
        ck_assert_uint_ge(cache_log_written(node.log), a->log_end);
}

static struct told *write_one(const char *key, struct slice value, bool writes)
{
    struct told *t = calloc(1, sizeof *t);
    t->wait.go = on_told;
    cache_turn_begin(&node.turn);
    if (writes)
        ck_assert_int_eq(cache_db_set(node.db, slice_of(key), value, CACHE_NEVER, 0), CACHE_OK);
    t->wait.log_end = writes ? cache_log_added(node.log) : 0;
    cache_turn_answer(&node.turn, &t->wait);
    return t;
}

/* At the end of the turn, in order, when the log is written. */
START_TEST(told_when_written)
{
    struct told *t[3];
    told_count = 0;
    open_log(CACHE_LOG_EVERYSEC);
    for (int i = 0; i < 3; i++)
        t[i] = write_one("k", slice_of("v"), i != 1);
    ck_assert_int_eq(told_count, 0);
    ck_assert_uint_eq(node.turn.answer_count, 3);
    node_turn(1);
    ck_assert_uint_eq(cache_log_written(node.log), cache_log_added(node.log));
    ck_assert_uint_eq(node.turn.answer_count, 0);
    for (int i = 0; i < 3; i++) {
        ck_assert(t[i]->place == i + 1 && t[i]->written);
        free(t[i]);
    }
}
END_TEST

/* Nor is anybody told when a sync of what came before ends in the middle of the turn. */
START_TEST(not_told_by_a_sync)
{
    told_count = 0;
    open_log(CACHE_LOG_EVERYSEC);
    struct told *t = write_one("k", slice_of("v"), true);
    cache_turn_synced(&node.turn);
    ck_assert_int_eq(t->place, 0);
    node_turn(1);
    ck_assert(t->place == 1 && t->written);
    free(t);
}
END_TEST

/* With always not before the log's thread has come so far; who wrote nothing does not wait. */
START_TEST(told_when_synced)
{
    open_log(CACHE_LOG_ALWAYS);
    for (int i = 0; i < 20; i++) {
        told_count = 0;
        struct told *t = write_one("k", slice_of("v"), true);
        struct told *reader = write_one("", slice_of(""), false);
        node_turn(1);
        ck_assert(reader->place > 0 && reader->written);
        while (t->place == 0) {
            ck_assert_uint_eq(node.turn.answer_count, 1);
            uv_run(node.loop, UV_RUN_ONCE);
        }
        ck_assert(t->written && cache_log_synced(node.log) >= t->wait.log_end);
        free(t);
        free(reader);
    }
}
END_TEST

/* The disk takes no more: a write is told so, once; a read is not. */
START_TEST(told_when_not)
{
    static char value[60000];
    told_count = 0;
    open_log(CACHE_LOG_NO);
    signal(SIGXFSZ, SIG_IGN);
    file_limit(50000);
    struct told *t = write_one("k", slice_make(value, sizeof value), true);
    struct told *reader = write_one("", slice_of(""), false);
    node_turn(2);
    ck_assert(t->place == 1 && !t->written);
    ck_assert(reader->place == 2 && reader->written);
    file_limit(RLIM_INFINITY);
    node_turn(2);
    ck_assert_int_eq(told_count, 2);
    free(t);
    free(reader);
}
END_TEST

/* The node ends before: nobody is told, and nothing is left behind (the sanitizers look). */
START_TEST(not_told)
{
    told_count = 0;
    open_log(CACHE_LOG_NO);
    write_one("k", slice_of("v"), true);
    cache_turn_free(&node.turn);
    ck_assert_ptr_null(node.turn.answers);
    ck_assert_int_eq(told_count, 0);
}
END_TEST

SUITE_MAIN_WITH("cache_turn", node_set_up, tear_down, written_first, one_write_a_turn, synced_first,
                synced_before_it_ends, large_turns, taken_back, taken_back_after_a_sync,
                taken_back_after_a_sync_always, forgotten_when_answered, silent_when_taken_back,
                told_when_written, not_told_by_a_sync, told_when_synced, told_when_not, not_told)
