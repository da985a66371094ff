/* test_health_metrics.c: a tree as Prometheus' text; every prefix of it, and nonsense, is refused. */
#include "workers/health/health_metrics.h"

#include "common/pack.h"
#include "test/unit/suite.h"

static void pack_pair(struct buffer *b, const char *key, const char *value)
{
    pack_text(b, key);
    pack_text(b, value);
}

static void pack_worker(struct buffer *b, const char *name, const char *state, bool running)
{
    pack_map(b, 9);
    pack_pair(b, "name", name);
    pack_pair(b, "kind", "worker");
    pack_pair(b, "type", "send");
    pack_pair(b, "state", state);
    pack_text(b, "restarts");
    pack_u64(b, 3);
    pack_text(b, "uptime_ms");
    if (running)
        pack_u64(b, 1500);
    else
        pack_nil(b);
    pack_text(b, "pid");
    if (running)
        pack_u64(b, 41);
    else
        pack_nil(b);
    pack_text(b, "counters");
    pack_map(b, 2);
    pack_text(b, "redis_commands_total");
    pack_u64(b, 42);
    pack_text(b, "of_a_newer_worker_total");
    pack_u64(b, 1);
    pack_text(b, "children");
    pack_array(b, 0);
}

static void pack_tree(struct buffer *b)
{
    pack_map(b, 3);
    pack_pair(b, "name", "platoon");
    pack_pair(b, "kind", "branch");
    pack_text(b, "children");
    pack_array(b, 2);
    pack_worker(b, "redis/a/send.1", "READY", true);
    pack_worker(b, "redis/b/send.1", "BACKOFF", false);
}

static uint64_t memory_of(uint64_t pid, bool family)
{
    ck_assert_uint_eq(pid, 41);
    ck_assert(!family);
    return 5 << 20;
}

START_TEST(a_tree)
{
    struct buffer tree = BUFFER_EMPTY, out = BUFFER_EMPTY;
    pack_tree(&tree);
    ck_assert(health_metrics(&out, buffer_slice(&tree), false, 61250, memory_of));
    const char *text = buffer_text(&out);
    static const char *const lines[] = {
        "# TYPE platoon_ready gauge\nplatoon_ready 0\n",
        "platoon_uptime_seconds 61.250\n",
        "# TYPE platoon_redis_commands_total counter\n"
        "platoon_redis_commands_total{worker=\"redis/a/send.1\",type=\"send\"} 42\n"
        "platoon_redis_commands_total{worker=\"redis/b/send.1\",type=\"send\"} 42\n",
        "platoon_worker_state{worker=\"redis/b/send.1\",type=\"send\",state=\"BACKOFF\"} 1\n",
        "platoon_worker_uptime_seconds{worker=\"redis/a/send.1\",type=\"send\"} 1.5\n"
        "platoon_worker_uptime_seconds{worker=\"redis/b/send.1\",type=\"send\"} 0\n",
        "platoon_worker_resident_memory_bytes{worker=\"redis/a/send.1\",type=\"send\"} 5242880\n"
        "platoon_worker_resident_memory_bytes{worker=\"redis/b/send.1\",type=\"send\"} 0\n",
        "platoon_worker_restarts_total{worker=\"redis/a/send.1\",type=\"send\"} 3\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        ck_assert_msg(strstr(text, lines[i]) != NULL, "%s is not in %s", lines[i], text);
    ck_assert_ptr_null(strstr(text, "newer_worker"));
    ck_assert_ptr_null(strstr(text, "platoon_redis_errors_total"));
    buffer_fini(&tree);
    buffer_fini(&out);
}
END_TEST

START_TEST(what_is_no_tree)
{
    struct buffer tree = BUFFER_EMPTY;
    pack_tree(&tree);
    for (size_t len = 0; len < tree.len; len++) {
        struct buffer out = BUFFER_EMPTY;
        ck_assert(!health_metrics(&out, slice_make(tree.data, len), true, 1, memory_of));
        buffer_fini(&out);
    }
    buffer_fini(&tree);
    for (int i = 0; i < 100; i++) { /* children without end */
        pack_map(&tree, 1);
        pack_text(&tree, "children");
        pack_array(&tree, 1);
    }
    pack_map(&tree, 0);
    struct buffer out = BUFFER_EMPTY;
    ck_assert(!health_metrics(&out, buffer_slice(&tree), true, 1, memory_of));
    buffer_fini(&out);
    buffer_fini(&tree);
}
END_TEST

SUITE_MAIN("health_metrics", a_tree, what_is_no_tree)
