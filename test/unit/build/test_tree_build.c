/* test_tree_build.c: which nodes a configuration makes, in which order, with which policy and settings. */
#include "test/unit/build/tree_build_fixture.h"
#include "test/unit/suite.h"

#include <sys/stat.h>

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
    build("platoon { runtime_dir = run  state_dir = state  health = \"127.0.0.1:9100\" }\n"
          "program late { command = late  processes = 2 }\n"
          "redis main { send_workers = 2 }\n" STORE
          "supervisor site { children = web }\nprogram web { command = web }\n");
    expect_workers("health redis/server redis/send.1 redis/send.2 site/web.1 late.1 late.2 ");
    ck_assert_str_eq(root->name, "platoon");
    ck_assert_uint_eq(root->child_count, 5);
    ck_assert_ptr_eq(find("redis")->parent, root);
    ck_assert_ptr_eq(find("redis/send.1")->parent, find("redis"));
    ck_assert_ptr_eq(find("site/web.1")->parent, find("site"));
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
    ck_assert_uint_eq(root->child_count, 1);
}

START_TEST(test_empty_configuration)
{
    build(PLATOON);
    expect_workers("");
    ck_assert_uint_eq(root->child_count, 0);
}

START_TEST(test_further_redis_sections)
{
    build(PLATOON "redis main { }\nredis cache { }\nredis far { url = \"redis://h\" }\n" STORE);
    expect_workers("redis/server redis/send.1 redis/cache-server redis/cache-send.1 "
                   "redis/far-send.1 ");
    ck_assert_str_eq(find("redis/cache-send.1")->section, "cache");
    ck_assert_str_eq(find("redis/send.1")->section, "main");
}

START_TEST(test_who_is_of_no_group)
{
    build(PLATOON "redis main { }\nprogram p { command = p }\n");
    ck_assert_str_eq(find("redis/send.1")->group, "");
    ck_assert_str_eq(find("redis/server")->group, "");
    ck_assert_str_eq(find("p.1")->group, "");
    ck_assert_str_eq(find("p.1")->section, "p");
}

START_TEST(test_policy_of_branches)
{
    build(PLATOON
          "redis main { }\n"
          "supervisor d { children = p  strategy = rest_for_one  intensity = 3  period = 5s }\n"
          "program p { command = p }\n");
    expect_outer_branch("platoon");
    expect_outer_branch("redis");
    expect_own_branch("d");
}

START_TEST(test_root_strategy)
{
    build("platoon { strategy = rest_for_one }\nredis main { }\n"
          "supervisor d { children = p }\nprogram p { command = p }\n");
    ck_assert_int_eq(root->strategy, POLICY_REST_FOR_ONE);
    ck_assert_int_eq(find("redis")->strategy, POLICY_REST_FOR_ONE);
    ck_assert_int_eq(find("d")->strategy, POLICY_ONE_FOR_ONE);
}

START_TEST(test_settings_name_instance_and_redis)
{
    build(PLATOON "redis main { timeout = 7s }\n");
    ck_assert_str_eq(setting("redis/send.1", "platoon.instance"), "0123456789abcdef");
    ck_assert_str_eq(setting("redis/send.1", "platoon.boot"), "7");
    ck_assert_str_eq(setting("redis/send.1", "redis.timeout"), "7000");
    char url[128];
    snprintf(url, sizeof url, "unix://%s/run/redis.sock", place.dir);
    ck_assert_str_eq(setting("redis/send.1", "redis.url"), url);
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
    ck_assert_str_eq(option("redis/server", "--dir"), place_path(&place, "state/redis"));
    ck_assert_msg(stat(place_path(&place, "state/redis"), &st) != 0,
                  "to build a tree touches nothing");

    ck_assert_ptr_nonnull(strstr(setting("redis/cache-server", "command.argv.0"), "rs"));
    ck_assert_str_eq(option("redis/cache-server", "--port"), "4711");
    ck_assert_str_eq(option("redis/cache-server", "--bind"), "127.0.0.1");
    ck_assert_str_eq(option("redis/cache-server", "--maxmemory"), "67108864");
    ck_assert_str_eq(option("redis/cache-server", "--dir"),
                     place_path(&place, "state/redis-cache"));
    ck_assert_ptr_nonnull(
        strstr(option("redis/cache-server", "--unixsocket"), "/run/redis-cache.sock"));
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

/* `wanted`: what stands behind the file's name, lines between '|'. */
static void expect_error(const char *text, const char *wanted)
{
    struct buffer all = BUFFER_EMPTY;
    buffer_clear(&error);
    build(text);
    ck_assert_ptr_null(root);
    for (const char *line = wanted; line != NULL;) {
        const char *end = strchr(line, '|');
        size_t len = end != NULL ? (size_t)(end - line) : strlen(line);
        buffer_printf(&all, "%s:", config_path(config));
        buffer_append(&all, line, len);
        buffer_append_char(&all, '\n');
        line = end != NULL ? end + 1 : NULL;
    }
    ck_assert_str_eq(buffer_text(&error), buffer_text(&all));
    buffer_fini(&all);
    config_free(config);
    config = NULL;
}

START_TEST(test_after_that_cannot_be)
{
    expect_error(
        "program a {\n command = a\n after = \"b c\" }\nprogram d { after = e  command = d }\n",
        "3: after: there is no program, supervisor or branch named b|"
        "3: after: there is no program, supervisor or branch named c|"
        "4: after: there is no program, supervisor or branch named e");
}

START_TEST(test_after_in_a_ring)
{
    expect_error("program a { command = a  after = b }\nprogram b { command = b  after = a }\n",
                 "2: b.1: after: it waits for itself, by way of a.1");
    expect_error("program a { command = a  after = a  processes = 3 }\nprogram b { command = b  "
                 "after = a }\n",
                 "1: a.1: after: it waits for itself, by way of a.1");
}

START_TEST(test_after_its_own_supervisor)
{
    expect_error("supervisor s { children = a }\nprogram a { command = a  after = s }\n",
                 "2: s/a.1: after: it waits for itself, by way of s");
}

/* A chain as long as a file can hold, in the wrong order: neither the stack nor the time may grow beyond it. */
START_TEST(test_a_long_chain_is_no_ring)
{
    struct buffer text = BUFFER_EMPTY;
    enum { LINKS = 5000 };
    for (int i = 0; i < LINKS; i++)
        buffer_printf(&text, "program p%d { command = a  after = p%d }\n", i, i + 1);
    buffer_printf(&text, "program p%d { command = a }\n", LINKS);
    build(buffer_text(&text));
    ck_assert_msg(root != NULL, "%s", buffer_text(&error));
    ck_assert_ptr_eq(find("p0.1")->after[0], find("p1.1"));
    ck_assert(!find("p0.1")->was_ready && !find("p0.1")->finished);
    buffer_fini(&text);
}

START_TEST(test_a_log_file_of_two_programs)
{
    char wanted[256];
    snprintf(
        wanted, sizeof wanted,
        "2: log_file: %s/l2 is written by program a already, on line 1: each needs one of its own",
        place.dir);
    expect_error("program a { command = a  log_file = \"l{n}\"  processes = 3 }\n"
                 "program b { command = b  log_file = \".//./l2\" }\n",
                 wanted);
    build("program a { command = a  log_file = \"l{n}\"  processes = 3 }\n"
          "program b { command = b  log_file = l4 }\n");
    ck_assert_ptr_nonnull(root);
}

SUITE_MAIN_WITH("tree_build", start, finish, test_whole_tree_in_start_order, test_nothing_runs_yet,
                test_only_branches_that_hold_something, test_empty_configuration,
                test_further_redis_sections, test_who_is_of_no_group, test_policy_of_branches,
                test_root_strategy, test_settings_name_instance_and_redis, test_embedded_server,

                test_programs_stand_where_their_supervisors_name_them, test_what_a_program_is_told,
                test_after_names_programs_supervisors_and_branches, test_after_that_cannot_be,
                test_after_in_a_ring, test_after_its_own_supervisor, test_a_long_chain_is_no_ring,
                test_a_log_file_of_two_programs)
