/* test_queue_config.c: backbone and queue sections, and `takes`, from text to values and errors. */
#include "test/unit/config/config_fixture.h"

#define REDIS "redis main { url = \"redis://127.0.0.1:6379\" }\n"
#define SHOP  REDIS "backbone shop { namespace = shop }\n"
#define BOTH  SHOP "backbone mall { namespace = mall }\n"

START_TEST(defaults)
{
    struct config *c = load_good(SHOP "queue q { pattern = a }\n");
    const struct config_section *q = config_section_at(c, CONFIG_QUEUE, 0);
    defaults_are_there(c, CONFIG_BACKBONE);
    defaults_are_there(c, CONFIG_QUEUE);
    ck_assert_uint_eq(config_get_u64(q, "lease"), 60000);
    ck_assert_uint_eq(config_get_u64(q, "max_attempts"), 5);
    ck_assert_uint_eq(config_get_u64(q, "retry_min"), 1000);
    ck_assert_uint_eq(config_get_u64(q, "retry_max"), 600000);
    ck_assert_uint_eq(config_get_u64(config_section_at(c, CONFIG_BACKBONE, 0), "message_max"),
                      1048576);
    config_free(c);
}
END_TEST

START_TEST(values)
{
    static const struct value_case cases[] = {
        {"lease = 1s", "lease", "1000"},
        {"lease = 999ms", NULL, NULL},
        {"raw = true", "raw", "1"},
        {"max_attempts = 0", NULL, NULL},
        {"retry_max = 0s", NULL, NULL},
        {"retry_min = 0s retry_max = 0s", "retry_max", "0"},
        {"backbone = shop", "backbone", "shop"},
        {"backbone = mall", NULL, NULL},
        {"work_max = 5m", "work_max", "300000"},
    };
    static const struct value_case backbone[] = {
        {"message_max = 16MB", "message_max", "16777216"},
        {"message_max = 17MB", NULL, NULL},
        {"namespace = \"{shop}\"", "namespace", "{shop}"},
        {"topic = \"{a}:{b|c}\"", "topic", "{a}:{b|c}"},
    };
    values_are(SHOP "queue q { pattern = a ", " }\n", CONFIG_QUEUE, cases,
               sizeof cases / sizeof *cases);
    values_are(REDIS "backbone shop { ", " }\n", CONFIG_BACKBONE, backbone,
               sizeof backbone / sizeof *backbone);
}
END_TEST

START_TEST(errors_name_line_cause_and_remedy)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {REDIS "queue q { pattern = a }\n", "2: backbone: there is none: add a section"},
        {BOTH "queue q { pattern = a }\n", "4: backbone: there are several: say which"},
        {SHOP "queue q { }\n", "3: pattern: "},
        {SHOP "queue q { pattern = \"\\\\d\" }\n", "3: pattern: "},
        {SHOP "queue q { pattern = \"user-1\" }\n", "user%-1"},
        {SHOP "queue q { pattern = \"a|b\" }\n", "two queues"},
        {SHOP "queue q { pattern = \"[a\" }\n", "3: pattern: "},
        {SHOP "queue inbox { pattern = a }\n", "3: queue inbox: is platoon's own name"},
        {SHOP "queue backbone { pattern = a }\n", "3: queue backbone: is platoon's own name"},
        {SHOP "queue q { pattern = a raw = true lease = 5s }\n",
         "3: lease: a raw queue has no leases"},
        {REDIS "backbone a { namespace = \"shop:\" }\n", "2: namespace: 'shop:' has its colon"},
        {REDIS "backbone a { namespace = \"a b\" }\n", "2: namespace: must be at most"},
        {REDIS "backbone a { namespace = platoon }\n", "2: namespace: platoon's own keys"},
        {REDIS "backbone a { redis = \"main other\" }\n",
         "2: redis: there is no redis section named other"},
        {REDIS "backbone a { redis = \"main main\" }\n", "2: redis: main stands there twice"},
        {REDIS "backbone a { redis = \" \" }\n", "2: redis: must be 1 to 16 names"},
        {REDIS "redis b { url = \"redis://127.0.0.1:1\" }\nbackbone a { redis = \"main b\" }\n"
               "backbone c { redis = b }\n",
         "4: namespace: backbone a has the same in the same Redis"},
        {REDIS "backbone a { topic = \"{a\" }\n", "2: topic: "},
        {REDIS "backbone a { facet = \"}\" }\n", "2: facet: "},
        {SHOP "backbone b { namespace = shop }\n", "3: namespace: backbone shop has the same"},
        {SHOP "program p { command = cat port = json takes = q }\n",
         "3: takes: there is no queue named q"},
        {SHOP "queue q { pattern = a }\nprogram p { command = cat takes = q }\n",
         "4: takes: messages come to a port, or to a worker"},
        {SHOP "queue q { pattern = a }\nprogram p { command = cat port = json takes = \"q*0\" }\n",
         "4: takes: 'q*0' is neither"},
        {SHOP "queue q { pattern = a }\nprogram p { command = cat port = json takes = \"q*x\" }\n",
         "4: takes: 'q*x' is neither"},
        {SHOP "queue q { pattern = a raw = true }\n"
              "program p { command = cat port = json takes = q }\n",
         "4: takes: queue q is raw"},
        {REDIS "program p { command = cat port = json listens = a }\n",
         "2: listens: there is no backbone: add a section"},
        {BOTH "program p { command = cat port = json listens = \"a*\" }\n",
         "4: listens: there are several backbones: say which one, as in NAME/a*"},
        {BOTH "program p { command = cat port = json listens = shop/ }\n",
         "4: listens: 'shop/': a glob of topics has 1 to 512 letters"},
        {SHOP "program p { command = cat listens = a }\n",
         "3: listens: what is heard comes to a port, or to a worker"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        says(cases[i].text, cases[i].says);
}
END_TEST

START_TEST(right_ones)
{
    static const char *const cases[] = {
        BOTH "queue q { backbone = mall pattern = \"user%-1\" }\n",
        SHOP "queue q { pattern = \".*:page:.*google.*\" }\nqueue r { pattern = a }\n"
             "program p { command = cat port = msgpack takes = \"q*10 r\" window = 5 }\n",
        BOTH "program p { command = cat port = json listens = \"shop/a* mall/a/b\" }\n",
        SHOP "program p { command = cat port = json listens = \"* a/b\" }\n",
        "redis main { }\nbackbone a { }\nredis far { url = \"redis://h\" }\n"
        "backbone b { redis = far }\nqueue q { backbone = b pattern = a }\n",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        config_free(load_good(cases[i]));
        prints_the_same(cases[i]);
    }
    config_free(load_good(SHOP "queue q { pattern = a }\n"
                               "program c { command = \"/bin/c\" worker = true takes = q }\n"));
}
END_TEST

SUITE_MAIN_WITH("queue_config", set_up, tear_down, defaults, values,
                errors_name_line_cause_and_remedy, right_ones)
