/* test_tree_build.c: which nodes a configuration makes, in which order, with which policy and settings. */
#include "master/build/tree_build.h"

#include "common/unpack.h"
#include "test/unit/build/place_fixture.h"

#include <check.h>
#include <stdio.h>
#include <sys/stat.h>

static struct place place;
static struct preflight paths;
static struct config *config;
static struct node *root;
static struct buffer error;

static void start(void)
{
    place_make(&place);
    paths = (struct preflight){.instance = "0123456789abcdef", .boot = 7, .lock_fd = -1};
    snprintf(paths.state_dir, sizeof paths.state_dir, "%s", place.dir);
    snprintf(paths.runtime_dir, sizeof paths.runtime_dir, "%s/run", place.dir);
}

static void finish(void)
{
    tree_free(root);
    root = NULL;
    config_free(config);
    config = NULL;
    buffer_fini(&error);
    place_remove(&place);
}

static void build(const char *text)
{
    config = place_config(&place, text);
    root = tree_build(config, &paths, &error);
}

#define PLATOON "platoon { runtime_dir = run  state_dir = state  intensity = 4  period = 9s }\n"
#define STORE   "store s { path = s.db }\n"

static void note_name(struct node *n, void *ctx)
{
    buffer_printf(ctx, "%s ", n->name);
}

static void expect_workers(const char *names)
{
    struct buffer all = BUFFER_EMPTY;
    ck_assert_msg(root != NULL, "%s", buffer_text(&error));
    tree_each_worker(root, note_name, &all);
    ck_assert_str_eq(buffer_text(&all), names);
    buffer_fini(&all);
}

static struct node *find(const char *name)
{
    struct node *n = tree_find(root, slice_of(name));
    ck_assert_msg(n != NULL, "%s is missing", name);
    return n;
}

/* A setting of a worker, in memory of its own; NULL when it has none of that name. */
static const char *setting(const char *worker, const char *name)
{
    static char value[512];
    struct unpack u = unpack_start(buffer_slice(&find(worker)->settings));
    const char *found = NULL;
    for (uint32_t n = unpack_map(&u); n > 0; n--) {
        struct slice key = unpack_str(&u), text = unpack_str(&u);
        if (slice_is(key, name) && slice_copy(text, value, sizeof value))
            found = value;
    }
    ck_assert(unpack_end(&u));
    return found;
}

/* What follows an option on the command line of an embedded server. */
static const char *option(const char *worker, const char *name)
{
    char key[32];
    for (int i = 0;; i++) {
        snprintf(key, sizeof key, "command.argv.%d", i);
        const char *value = setting(worker, key);
        if (value == NULL)
            return NULL;
        if (strcmp(value, name) == 0) {
            snprintf(key, sizeof key, "command.argv.%d", i + 1);
            return setting(worker, key);
        }
    }
}

START_TEST(test_whole_tree_in_start_order)
{
    build(PLATOON "redis main { send_workers = 2 }\n" STORE
                  "drain visits { set = a  store = s  transfer { workers = 2 } }\n"
                  "drain carts { set = b  store = s  get_hash { workers = 1 } }\n");
    expect_workers("redis/server redis/send.1 redis/send.2 "
                   "redis/visits/watcher.1 redis/visits/get-set.1 redis/visits/get-hash.1 "
                   "redis/visits/get-hash.2 redis/carts/watcher.1 redis/carts/get-set.1 "
                   "redis/carts/get-hash.1 "
                   "transfer/visits.1 transfer/visits.2 transfer/carts.1 transfer/report ");
    ck_assert_str_eq(root->name, "platoon");
    ck_assert_uint_eq(root->child_count, 2);
    ck_assert_ptr_eq(find("redis/visits")->parent, find("redis"));
    ck_assert_ptr_eq(find("redis/visits/get-set.1")->parent, find("redis/visits"));
}

START_TEST(test_nothing_runs_yet)
{
    build(PLATOON "redis main { }\n");
    struct node *n = find("redis/send.1");
    ck_assert_int_eq(n->kind, NODE_WORKER);
    ck_assert_int_eq(n->state, NODE_STOPPED);
    ck_assert(!n->wanted_up && n->restart == POLICY_PERMANENT);
    ck_assert_uint_eq(n->generation, 0);
    ck_assert_ptr_null(n->process);
}

START_TEST(test_only_branches_that_hold_something)
{
    build(PLATOON "redis main { url = \"redis://127.0.0.1:1\" }\n");
    expect_workers("redis/send.1 ");
    ck_assert_ptr_null(tree_find(root, slice_of("transfer")));
}

START_TEST(test_empty_configuration)
{
    build(PLATOON);
    expect_workers("");
    ck_assert_uint_eq(root->child_count, 0);
}

START_TEST(test_further_redis_sections)
{
    build(PLATOON "redis main { }\nredis cache { }\nredis far { url = \"redis://h\" }\n" STORE
                  "drain d { redis = cache  set = a  store = s  get_hash { workers = 1 } }\n");
    expect_workers("redis/server redis/send.1 redis/cache-server redis/cache-send.1 "
                   "redis/far-send.1 redis/d/watcher.1 redis/d/get-set.1 redis/d/get-hash.1 "
                   "transfer/d.1 transfer/report ");
    ck_assert_str_eq(find("redis/cache-send.1")->section, "cache");
    ck_assert_str_eq(find("redis/send.1")->section, "main");
    ck_assert_str_eq(find("redis/d/get-set.1")->section, "d");
}

START_TEST(test_groups_are_drains)
{
    build(PLATOON "redis main { }\n" STORE "drain d { set = a  store = s }\n");
    ck_assert_str_eq(find("redis/d/watcher.1")->group, "d");
    ck_assert_str_eq(find("transfer/d.1")->group, "d");
    ck_assert_str_eq(find("redis/send.1")->group, "");
    ck_assert_str_eq(find("transfer/report")->group, "");
    ck_assert_str_eq(find("transfer/report")->section, "");
}

START_TEST(test_policy_of_branches)
{
    build(PLATOON "redis main { }\n" STORE
                  "drain d { set = a  store = s  strategy = rest_for_one  intensity = 3  period = "
                  "5s }\n");
    const char *const outer[] = {"platoon", "redis", "transfer"};
    for (size_t i = 0; i < 3; i++) {
        const struct node *n = find(outer[i]);
        ck_assert_int_eq(n->kind, NODE_BRANCH);
        ck_assert_int_eq(n->strategy, POLICY_ONE_FOR_ONE);
        ck_assert_uint_eq(n->window.limit, 4);
        ck_assert_uint_eq(n->window.period_ms, 9000);
        ck_assert_ptr_nonnull(n->window.at_ms);
    }
    const struct node *d = find("redis/d");
    ck_assert_int_eq(d->strategy, POLICY_REST_FOR_ONE);
    ck_assert_uint_eq(d->window.limit, 3);
    ck_assert_uint_eq(d->window.period_ms, 5000);
}

START_TEST(test_root_strategy)
{
    build("platoon { strategy = rest_for_one }\nredis main { }\n" STORE
          "drain d { set = a  store = s }\n");
    ck_assert_int_eq(root->strategy, POLICY_REST_FOR_ONE);
    ck_assert_int_eq(find("redis")->strategy, POLICY_REST_FOR_ONE);
    ck_assert_int_eq(find("transfer")->strategy, POLICY_REST_FOR_ONE);
    ck_assert_int_eq(find("redis/d")->strategy, POLICY_ONE_FOR_ONE);
}

START_TEST(test_settings_name_instance_and_redis)
{
    build(PLATOON "redis main { }\n" STORE "drain d { set = a  store = s }\n");
    ck_assert_str_eq(setting("redis/d/get-hash.1", "platoon.instance"), "0123456789abcdef");
    ck_assert_str_eq(setting("redis/d/get-hash.1", "platoon.boot"), "7");
    ck_assert_str_eq(setting("redis/d/get-hash.1", "drain.set"), "a");
    char url[128];
    snprintf(url, sizeof url, "unix://%s/run/redis.sock", place.dir);
    ck_assert_str_eq(setting("redis/d/get-hash.1", "redis.url"), url);
}

START_TEST(test_embedded_server)
{
    struct stat st;
    char expected[128];
    build(PLATOON "redis main { server_port = 0  server_appendfsync = always }\n"
                  "redis cache { server_port = 4711  server_maxmemory = 64MB  server_program = rs "
                  "}\n");
    ck_assert_str_eq(setting("redis/server", "command.argv.0"), "redis-server");
    snprintf(expected, sizeof expected, "unix:%s/run/redis.sock", place.dir);
    ck_assert_str_eq(setting("redis/server", "command.ready"), expected);
    ck_assert_str_eq(setting("redis/server", "command.stop_signal"), "15");
    ck_assert_str_eq(setting("redis/server", "command.dir"), "");
    ck_assert_str_eq(option("redis/server", "--port"), "0");
    ck_assert_str_eq(option("redis/server", "--unixsocketperm"), "700");
    ck_assert_str_eq(option("redis/server", "--appendonly"), "yes");
    ck_assert_str_eq(option("redis/server", "--appendfsync"), "always");
    ck_assert_str_eq(option("redis/server", "--save"), "");
    ck_assert_str_eq(option("redis/server", "--maxmemory-policy"), "noeviction");
    ck_assert_str_eq(option("redis/server", "--notify-keyspace-events"), "Ks");
    ck_assert_str_eq(option("redis/server", "--dir"), place_path(&place, "redis"));
    ck_assert_int_eq(stat(place_path(&place, "redis"), &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0700);

    ck_assert_ptr_nonnull(strstr(setting("redis/cache-server", "command.argv.0"), "rs"));
    ck_assert_str_eq(option("redis/cache-server", "--port"), "4711");
    ck_assert_str_eq(option("redis/cache-server", "--bind"), "127.0.0.1");
    ck_assert_str_eq(option("redis/cache-server", "--maxmemory"), "67108864");
    ck_assert_str_eq(option("redis/cache-server", "--dir"), place_path(&place, "redis-cache"));
    ck_assert_ptr_nonnull(
        strstr(option("redis/cache-server", "--unixsocket"), "/run/redis-cache.sock"));
}

static void expect_refusal(const char *name)
{
    ck_assert_ptr_null(root);
    const char *text = buffer_text(&error);
    ck_assert_msg(strstr(text, name) == text && strstr(text, "rename") != NULL, "%s", text);
    ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
}

/* One named like the first server is refused by config_load already. */
START_TEST(test_drain_named_like_a_further_server)
{
    build(PLATOON "redis main { }\nredis x { }\n" STORE "drain x-server { set = a  store = s }\n");
    expect_refusal("redis/x-server: ");
}

START_TEST(test_state_that_cannot_be_written)
{
    snprintf(paths.state_dir, sizeof paths.state_dir, "%s/nowhere", place.dir);
    build(PLATOON "redis main { }\n");
    ck_assert_ptr_null(root);
    ck_assert_ptr_nonnull(strstr(buffer_text(&error), "redis/server: "));
    ck_assert_ptr_nonnull(strstr(buffer_text(&error), "No such file"));
}

/* ---- programs ---- */

#define SITE                                                                                       \
    "platoon { backoff_factor = 3 }\n"                                                             \
    "supervisor site { children = \"db web\"  strategy = rest_for_one  intensity = 3 }\n"          \
    "supervisor web { children = \"api cache\"  strategy = one_for_all }\n"                        \
    "program db { command = db }\n"                                                                \
    "program api { command = \"api '--port 80{n}'\"  processes = 2  environment = \"N={n} X='a "   \
    "b'\""                                                                                         \
    "  backoff_min = 7s  stop_timeout = 3s  stop_signal = INT  memory_max = 64MB"                  \
    "  ready = \"tcp:127.0.0.1:80{n}\" }\n"                                                        \
    "program cache { command = cache  after = api  restart = transient }\n"                        \
    "program late { command = late  after = \"site web\"  restart = temporary }\n"

START_TEST(test_programs_stand_where_their_supervisors_name_them)
{
    build(SITE);
    expect_workers("site/db.1 site/web/api.1 site/web/api.2 site/web/cache.1 late.1 ");
    ck_assert_int_eq(find("site")->strategy, POLICY_REST_FOR_ONE);
    ck_assert_uint_eq(find("site")->window.limit, 3);
    ck_assert_int_eq(find("site/web")->strategy, POLICY_ONE_FOR_ALL);
    const struct node *api = find("site/web/api.2");
    ck_assert_int_eq(api->type, WORKER_TYPE_COMMAND);
    ck_assert_int_eq(api->restart, POLICY_PERMANENT);
    ck_assert_uint_eq(api->limits.backoff_min_ms, 7000);
    ck_assert_uint_eq(api->limits.backoff_max_ms, 30000);
    ck_assert_uint_eq(api->limits.backoff_factor, 3);
    ck_assert_uint_eq(api->stop_timeout_ms, 3000);
    ck_assert_uint_eq(find("site/db.1")->stop_timeout_ms, 10000);
    ck_assert_int_eq(find("site/web/cache.1")->restart, POLICY_TRANSIENT);
    ck_assert_int_eq(find("late.1")->restart, POLICY_TEMPORARY);
}

START_TEST(test_what_a_program_is_told)
{
    build(SITE);
    ck_assert_str_eq(setting("site/web/api.2", "command.argv.0"), "api");
    ck_assert_str_eq(setting("site/web/api.2", "command.argv.1"), "--port 802");
    ck_assert_ptr_null(setting("site/web/api.2", "command.argv.2"));
    ck_assert_str_eq(setting("site/web/api.1", "command.env.0"), "N=1");
    ck_assert_str_eq(setting("site/web/api.1", "command.env.1"), "X=a b");
    ck_assert_str_eq(setting("site/web/api.1", "command.stop_signal"), "2");
    ck_assert_str_eq(setting("site/web/api.2", "command.ready"), "tcp:127.0.0.1:802");
    ck_assert_str_eq(setting("site/web/api.1", "command.memory_max"), "67108864");
    ck_assert_ptr_null(setting("site/web/api.1", "command.user"));
    ck_assert_str_eq(setting("site/web/api.1", "platoon.boot"), "7");
}

START_TEST(test_after_names_programs_supervisors_and_branches)
{
    build(SITE);
    const struct node *cache = find("site/web/cache.1"), *late = find("late.1");
    ck_assert_uint_eq(cache->after_count, 2);
    ck_assert_ptr_eq(cache->after[0], find("site/web/api.1"));
    ck_assert_ptr_eq(cache->after[1], find("site/web/api.2"));
    ck_assert_uint_eq(late->after_count, 2);
    ck_assert_ptr_eq(late->after[0], find("site"));
    ck_assert_ptr_eq(late->after[1], find("site/web"));
}

static void expect_error(const char *text, const char *wanted)
{
    buffer_clear(&error);
    build(text);
    ck_assert_ptr_null(root);
    ck_assert_str_eq(buffer_text(&error), wanted);
}

START_TEST(test_after_that_cannot_be)
{
    expect_error("program a { command = a  after = b }\n",
                 "a: after: there is no program, supervisor or branch named b\n");
}

START_TEST(test_after_in_a_ring)
{
    expect_error("program a { command = a  after = b }\nprogram b { command = b  after = a }\n",
                 "b.1: after: it waits for itself, by way of a.1\n");
}

START_TEST(test_after_its_own_supervisor)
{
    expect_error("supervisor s { children = a }\nprogram a { command = a  after = s }\n",
                 "s/a.1: after: it waits for itself, by way of s\n");
}

int main(void)
{
    Suite *s = suite_create("tree_build");
    TCase *t = tcase_create("tree_build");
    tcase_add_checked_fixture(t, start, finish);
    tcase_add_test(t, test_whole_tree_in_start_order);
    tcase_add_test(t, test_nothing_runs_yet);
    tcase_add_test(t, test_only_branches_that_hold_something);
    tcase_add_test(t, test_empty_configuration);
    tcase_add_test(t, test_further_redis_sections);
    tcase_add_test(t, test_groups_are_drains);
    tcase_add_test(t, test_policy_of_branches);
    tcase_add_test(t, test_root_strategy);
    tcase_add_test(t, test_settings_name_instance_and_redis);
    tcase_add_test(t, test_embedded_server);
    tcase_add_test(t, test_drain_named_like_a_further_server);
    tcase_add_test(t, test_state_that_cannot_be_written);
    tcase_add_test(t, test_programs_stand_where_their_supervisors_name_them);
    tcase_add_test(t, test_what_a_program_is_told);
    tcase_add_test(t, test_after_names_programs_supervisors_and_branches);
    tcase_add_test(t, test_after_that_cannot_be);
    tcase_add_test(t, test_after_in_a_ring);
    tcase_add_test(t, test_after_its_own_supervisor);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
