/*
 * test_drain_tree.c: which nodes drain sections make among those of the others, with which policy, group and settings.
 */
#include "test/unit/build/tree_build_fixture.h"

#include "test/unit/suite.h"

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

START_TEST(test_no_drain_no_transfer)
{
    build(PLATOON "redis main { url = \"redis://127.0.0.1:1\" }\n");
    expect_workers("redis/send.1 ");
    ck_assert_ptr_null(tree_find(root, slice_of("transfer")));
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
    expect_outer_branch("platoon");
    expect_outer_branch("redis");
    expect_outer_branch("transfer");
    expect_own_branch("redis/d");
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

static void expect_refusal(const char *name)
{
    ck_assert_ptr_null(root);
    const char *text = buffer_text(&error);
    ck_assert_msg(strstr(text, name) != NULL && strstr(text, "rename") != NULL, "%s", text);
    ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
}

/* One named like the first server is refused by config_load already. */
START_TEST(test_drain_named_like_a_further_server)
{
    build(PLATOON "redis main { }\nredis x { }\n" STORE "drain x-server { set = a  store = s }\n");
    expect_refusal(".conf:5: redis/x-server: ");
}

SUITE_MAIN_WITH("drain_tree", start, finish, test_whole_tree_in_start_order,
                test_no_drain_no_transfer, test_further_redis_sections, test_groups_are_drains,
                test_policy_of_branches, test_root_strategy, test_settings_name_instance_and_redis,
                test_drain_named_like_a_further_server)
