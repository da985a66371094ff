/*
 * test_announce.c: who is told of whom (master/process/announce.h): who is watched by as many as may be is left in
 * peace, and the next who asks hears it; proofs are between two who have said so.
 */
#include "master/process/announce.h"
#include "master/process/process_private.h"

#include "common/log.h"
#include "test/unit/suite.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define WATCHERS (PROCESS_MONITORS_MAX + 2)

static uv_loop_t loop;
static struct node root = {.kind = NODE_BRANCH, .name = "platoon"};
static struct node *nodes[WATCHERS + 1]; /* the last one is who is watched */
static int ears[WATCHERS + 1];           /* where each hears what it is told */

static void quiet(enum log_level level, struct slice line, void *ctx)
{
    (void)level;
    (void)line;
    (void)ctx;
}

static const struct stream_events no_events;
static const struct stream_limits limits = {CONTRACT_FRAME_MAX, CONTRACT_QUEUE_MAX};

/* With a link, and no process at its other end. */
static void make_worker(size_t i, const char *name)
{
    int link[2];
    struct process *p = calloc(1, sizeof *p);
    nodes[i] = calloc(1, sizeof *nodes[i]);
    ck_assert(p != NULL && nodes[i] != NULL);
    *nodes[i] = (struct node){.kind = NODE_WORKER,
                              .type = WORKER_TYPE_CUSTOM,
                              .state = NODE_READY,
                              .generation = 1,
                              .parent = &root,
                              .process = p};
    snprintf(nodes[i]->name, sizeof nodes[i]->name, "%s", name);
    p->node = nodes[i];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, link), 0);
    stream_init(&p->link, &loop, limits, &no_events, p);
    ck_assert_int_eq(stream_open(&p->link, link[0]), 0);
    p->linked = true;
    ears[i] = link[1];
}

static void set_up(void)
{
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    log_set_sink(quiet, NULL);
    uv_loop_init(&loop);
    announce_setup(&root);
    for (size_t i = 0; i < WATCHERS; i++) {
        char name[CONTRACT_NAME_MAX];
        snprintf(name, sizeof name, "watcher.%zu", i);
        make_worker(i, name);
    }
    make_worker(WATCHERS, "watched.1");
    root.children = nodes;
    root.child_count = WATCHERS + 1;
}

static void tear_down(void)
{
    for (size_t i = 0; i <= WATCHERS; i++)
        close(ears[i]);
}

static void ask(size_t i, const char *name)
{
    struct buffer frame = BUFFER_EMPTY;
    link_monitor_pack(&frame, &(struct link_monitor){.name = slice_of(name)});
    ck_assert(announce_on_monitor(nodes[i], buffer_slice(&frame)));
    buffer_fini(&frame);
    uv_run(&loop, UV_RUN_NOWAIT);
}

/* The type of the next frame it was told, 0 for none; its bytes until the next call. */
static uint64_t told(size_t i, struct slice *frame)
{
    static char bytes[65536];
    uint32_t length;
    if (read(ears[i], &length, sizeof length) != (ssize_t)sizeof length)
        return 0;
    length = ntohl(length);
    ck_assert_uint_le(length, sizeof bytes);
    ck_assert_int_eq(read(ears[i], bytes, length), (ssize_t)length);
    *frame = slice_make(bytes, length);
    return link_frame_type(*frame);
}

static void told_up(size_t i, const char *name)
{
    struct slice frame;
    struct link_up m;
    ck_assert_uint_eq(told(i, &frame), LINK_UP);
    ck_assert(link_up_unpack(frame, &m) && slice_is(m.name, name) && m.generation == 1);
}

static void told_down(size_t i, const char *name, const char *reason)
{
    struct slice frame;
    struct link_down m;
    ck_assert_uint_eq(told(i, &frame), LINK_DOWN);
    ck_assert(link_down_unpack(frame, &m) && slice_is(m.name, name) && slice_is(m.reason, reason));
}

static void told_nothing(size_t i)
{
    struct slice frame;
    ck_assert_uint_eq(told(i, &frame), 0);
}

/* It has told nobody its address yet: the other would know it without one. Once it is READY, both hear. */
START_TEST(who_asks_before_it_is_ready)
{
    nodes[0]->state = NODE_STARTING;
    ask(0, "watched.1");
    told_nothing(0);
    told_nothing(WATCHERS);
    nodes[0]->state = NODE_READY;
    announce_up(nodes[0]);
    uv_run(&loop, UV_RUN_NOWAIT);
    told_up(0, "watched.1");
    told_up(WATCHERS, "watcher.0");
}
END_TEST

/* Others cannot use up what it may ask for, nor fill its link and the master's memory with their names. */
START_TEST(watched_by_too_many)
{
    for (size_t i = 0; i < PROCESS_MONITORS_MAX; i++) {
        ask(i, "watched.1");
        told_up(i, "watched.1");
        told_up(WATCHERS, nodes[i]->name);
    }
    for (size_t i = PROCESS_MONITORS_MAX; i < WATCHERS; i++) {
        ask(i, "watched.1");
        told_down(i, "watched.1", "watched by too many");
        told_nothing(i);
        told_nothing(WATCHERS);
        ck_assert_str_eq(nodes[i]->process->killed, ""); /* it has done nothing wrong */
    }
    ask(WATCHERS, "watcher.1024"); /* its own wishes are another matter */
    told_up(WATCHERS, "watcher.1024");
    told_up(PROCESS_MONITORS_MAX, "watched.1");
    ask(0, "watcher.1"); /* and so are others' */
    told_up(0, "watcher.1");
    ask(0, "nobody.1");
    told_down(0, "nobody.1", "unknown name");
    ck_assert_str_eq(nodes[WATCHERS]->process->killed, "");
}
END_TEST

static void told_peer(size_t i, const struct node *about)
{
    struct slice frame;
    struct link_peer m;
    ck_assert_uint_eq(told(i, &frame), LINK_PEER);
    ck_assert(link_peer_unpack(frame, &m) && slice_is(m.name, about->name));
    ck_assert_uint_eq(m.proof, proof_of(about->proof_key, slice_of(nodes[i]->name), 1));
}

/* An older build understands neither the message nor what it brings about. */
START_TEST(proofs_are_between_two_who_have_said_so)
{
    nodes[0]->proves = nodes[1]->proves =
        proof_new_key(nodes[0]->proof_key) && proof_new_key(nodes[1]->proof_key);
    ck_assert(nodes[0]->proves);
    ask(0, nodes[1]->name);
    told_peer(0, nodes[1]);
    told_peer(1, nodes[0]);
    ask(0, nodes[2]->name);
    told_up(0, nodes[2]->name);
    told_up(2, nodes[0]->name);
    ask(2, nodes[1]->name);
    told_up(2, nodes[1]->name);
    told_up(1, nodes[2]->name);
}
END_TEST

SUITE_MAIN_WITH("announce", set_up, tear_down, watched_by_too_many, who_asks_before_it_is_ready,
                proofs_are_between_two_who_have_said_so)
