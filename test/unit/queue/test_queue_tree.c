/* test_queue_tree.c: which nodes backbone and queue sections make, and what they and consumers are told. */
#include "test/unit/build/tree_build_fixture.h"

#include "test/unit/suite.h"

#define REDIS "redis main { url = \"redis://127.0.0.1:6379\" }\n"
#define SHOP                                                                                       \
    "backbone shop { namespace = shop  strategy = rest_for_one  intensity = 3  period = 5s }\n"

START_TEST(test_workers_stand_below_their_backbone)
{
    build(PLATOON REDIS SHOP "queue a { pattern = a  workers = 2 }\n"
                             "queue raw { pattern = b  raw = true }\n"
                             "program p { command = cat  port = json  takes = a }\n");
    expect_workers("redis/send.1 queue/shop/backbone.1 queue/shop/a.1 queue/shop/a.2 p.1 ");
    expect_outer_branch("queue");
    expect_own_branch("queue/shop");
    ck_assert_str_eq(find("queue/shop/a.1")->section, "a");
    ck_assert_uint_eq(find("queue/shop/a.1")->pool, find("queue/shop/a.2")->pool);
}
END_TEST

/* The only backbone need not be named; what workers are told is the same. */
START_TEST(test_what_a_queue_worker_is_told)
{
    static const char *const texts[] = {
        PLATOON REDIS SHOP "queue a { pattern = a }\n",
        PLATOON REDIS SHOP "queue a { backbone = shop  pattern = a }\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        build(texts[i]);
        ck_assert_str_eq(setting("queue/shop/a.1", "queue.name"), "a");
        ck_assert_str_eq(setting("queue/shop/a.1", "queue.lease"), "60000");
        ck_assert_str_eq(setting("queue/shop/a.1", "backbone.name"), "shop");
        ck_assert_str_eq(setting("queue/shop/a.1", "backbone.namespace"), "shop");
        ck_assert_str_eq(setting("queue/shop/a.1", "backbone.message_max"), "1048576");
        ck_assert_str_eq(setting("queue/shop/a.1", "redis.url"), "redis://127.0.0.1:6379");
        tree_free(root);
        root = NULL;
        config_free(config);
        config = NULL;
    }
}
END_TEST

/* Of an embedded server the place where it listens, as everybody else is told. */
START_TEST(test_an_embedded_redis)
{
    build(PLATOON "redis main { }\nbackbone shop { }\nqueue a { pattern = a }\n");
    ck_assert_ptr_nonnull(strstr(setting("queue/shop/a.1", "redis.url"), "unix://"));
    char url[512];
    snprintf(url, sizeof url, "%s", setting("queue/shop/a.1", "redis.url"));
    ck_assert_str_eq(setting("queue/shop/backbone.1", "redis.url"), url);
}
END_TEST

START_TEST(test_what_a_backbone_is_told)
{
    build(PLATOON REDIS SHOP "backbone mall { namespace = mall }\n"
                             "queue a { backbone = shop  pattern = \"x y\"  max_attempts = 7 }\n"
                             "queue b { backbone = mall  pattern = b  raw = true }\n"
                             "queue c { backbone = shop  pattern = c }\n");
    ck_assert_str_eq(setting("queue/shop/backbone.1", "queues.0.name"), "a");
    ck_assert_str_eq(setting("queue/shop/backbone.1", "queues.0.pattern"), "x y");
    ck_assert_str_eq(setting("queue/shop/backbone.1", "queues.0.max_attempts"), "7");
    ck_assert_str_eq(setting("queue/shop/backbone.1", "queues.1.name"), "c");
    ck_assert_ptr_null(setting("queue/shop/backbone.1", "queues.2.name"));
    ck_assert_str_eq(setting("queue/mall/backbone.1", "queues.0.raw"), "1");
}
END_TEST

START_TEST(test_what_a_consumer_is_told)
{
    build(PLATOON REDIS SHOP "queue a { pattern = a  workers = 3 }\nqueue b { pattern = b }\n"
                             "program p { command = cat  port = json  takes = \"a*10 b\"  window = "
                             "5 }\n"
                             "program none { command = cat  port = json }\n"
                             "program c { command = \"/bin/true\"  worker = true  takes = b }\n"
                             "program plain { command = cat }\n");
    ck_assert_str_eq(setting("p.1", "takes.0.name"), "a");
    ck_assert_str_eq(setting("p.1", "takes.0.path"), "queue/shop/a");
    ck_assert_str_eq(setting("p.1", "takes.0.weight"), "10");
    ck_assert_str_eq(setting("p.1", "takes.0.workers"), "3");
    ck_assert_str_eq(setting("p.1", "takes.1.weight"), "1");
    ck_assert_str_eq(setting("p.1", "takes.window"), "5");
    ck_assert_str_eq(setting("c.1", "takes.0.path"), "queue/shop/b");
    ck_assert_str_eq(setting("c.1", "takes.window"), "1");
    ck_assert_ptr_null(setting("none.1", "takes.0.name"));
    ck_assert_ptr_null(setting("none.1", "takes.window"));
    ck_assert_ptr_null(setting("plain.1", "takes.window"));
}
END_TEST

/* What stands before a slash is a backbone's name only when one has it. */
START_TEST(test_what_a_listener_is_told)
{
    build(PLATOON REDIS SHOP
          "backbone mall { namespace = mall }\n"
          "program p { command = cat  port = json  listens = \"mall/b/* shop/a\" }\n"
          "program none { command = cat  port = json }\n");
    ck_assert_str_eq(setting("p.1", "listens.0.backbone"), "mall");
    ck_assert_str_eq(setting("p.1", "listens.0.glob"), "b/*");
    ck_assert_str_eq(setting("p.1", "listens.1.backbone"), "shop");
    ck_assert_str_eq(setting("p.1", "listens.1.glob"), "a");
    ck_assert_ptr_null(setting("none.1", "listens.0.backbone"));
}
END_TEST

START_TEST(test_a_glob_with_a_slash)
{
    build(PLATOON REDIS SHOP "program p { command = cat  port = json  listens = \"a/b\" }\n");
    ck_assert_str_eq(setting("p.1", "listens.0.backbone"), "shop");
    ck_assert_str_eq(setting("p.1", "listens.0.glob"), "a/b");
}
END_TEST

#define ONE  "redis one { url = \"redis://127.0.0.1:1\" }\n"
#define TWO  "redis two { url = \"redis://127.0.0.1:2\" }\n"
#define PAIR "backbone shop { redis = \"one two\"  workers = 2 }\n"

/* They take turns on the servers, so that more of them move nobody. */
START_TEST(test_several_servers)
{
    build(PLATOON ONE TWO PAIR
          "queue a { pattern = a }\n"
          "program p { command = cat  port = json  takes = a  listens = x }\n");
    expect_workers(
        "redis/send.1 redis/two-send.1 queue/shop/backbone.1 queue/shop/backbone.2 "
        "queue/shop/backbone.3 queue/shop/backbone.4 queue/shop/a.1 queue/shop/a.2 p.1 ");
    ck_assert_str_eq(setting("queue/shop/backbone.1", "redis.url"), "redis://127.0.0.1:1");
    ck_assert_str_eq(setting("queue/shop/backbone.2", "redis.url"), "redis://127.0.0.1:2");
    ck_assert_str_eq(setting("queue/shop/backbone.3", "redis.url"), "redis://127.0.0.1:1");
    ck_assert_str_eq(setting("queue/shop/backbone.4", "backbone.server"), "two");
    ck_assert_str_eq(setting("queue/shop/backbone.4", "backbone.redis"), "one two");
    ck_assert_str_eq(setting("queue/shop/backbone.4", "queues.0.name"), "a");
    ck_assert_str_eq(setting("queue/shop/a.2", "redis.url"), "redis://127.0.0.1:2");
    ck_assert_str_eq(setting("queue/shop/a.2", "backbone.redis"), "one two");
    ck_assert_str_eq(setting("p.1", "takes.0.workers"), "2");
    ck_assert_str_eq(setting("p.1", "takes.0.servers"), "one two");
    ck_assert_str_eq(setting("p.1", "backbones.0.name"), "shop");
    ck_assert_str_eq(setting("p.1", "backbones.0.servers"), "2");
    ck_assert_uint_eq(find("queue/shop/backbone.1")->pool, find("queue/shop/backbone.4")->pool);
}
END_TEST

START_TEST(test_one_server_is_not_told)
{
    build(PLATOON REDIS SHOP "queue a { pattern = a }\n"
                             "program p { command = cat  port = json  takes = a }\n");
    ck_assert_ptr_null(setting("queue/shop/backbone.1", "backbone.server"));
    ck_assert_ptr_null(setting("p.1", "takes.0.servers"));
    ck_assert_ptr_null(setting("p.1", "backbones.0.name"));
}
END_TEST

SUITE_MAIN_WITH("queue_tree", start, finish, test_workers_stand_below_their_backbone,
                test_what_a_queue_worker_is_told, test_an_embedded_redis,
                test_what_a_backbone_is_told, test_what_a_consumer_is_told,
                test_what_a_listener_is_told, test_a_glob_with_a_slash, test_several_servers,
                test_one_server_is_not_told)
