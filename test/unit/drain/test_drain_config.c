/* test_drain_config.c: a drain section from text to values, errors and back; subsections, which only drains have. */
#include "test/unit/config/config_fixture.h"

#define SMALL                                                                                      \
    "store s { path = s.db }\nredis main { url = embedded }\ndrain d { set = \"a:b\" store = s "   \
    "}\n"

/* ---- what is right ---- */

START_TEST(defaults)
{
    struct config *c = load_good(SMALL);
    const struct config_section *d = config_section_find(c, CONFIG_DRAIN, "d");
    defaults_are_there(c, CONFIG_DRAIN);
    ck_assert_str_eq(config_get(d, "set"), "a:b");
    ck_assert_str_eq(config_get(d, "consume"), "take");
    ck_assert_uint_eq(config_get_u64(d, "lease"), 30000);
    ck_assert_uint_eq(config_get_u64(d, "get_hash.workers"), 2);
    config_free(c);
}
END_TEST

/* How a value is written is test_config.c's; here are the keys, and subsections, which only drains have. */
START_TEST(values)
{
    static const struct value_case cases[] = {
        {"lease = 90s", "lease", "90000"},
        {"batch = 1", "batch", "1"},
        {"batch = 5000", "batch", "5000"},
        {"batch = 5001", NULL, NULL},
        {"consume = keep", "consume", "keep"},
        {"key = '{a}\"$x'", "key", "{a}\"$x"},
        {"record_max = 1MB", "record_max", "1048576"},
        {"get_hash { workers = 3 }", "get_hash.workers", "3"},
        {"get_hash { workers = 3 window = 8MB }", "get_hash.window", "8388608"},
        {"get_hash { colour = 3 }", NULL, NULL},
    };
    values_are("store s { path = s.db }\nredis main { url = embedded }\n"
               "drain d { set = x store = s ",
               " }\n", CONFIG_DRAIN, cases, sizeof cases / sizeof *cases);
}
END_TEST

/* ---- what is wrong ---- */

START_TEST(errors_name_line_cause_and_remedy)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {SMALL "drain e { set = x store = t }\n", "4: store: there is no store section named t: "},
        {SMALL "drain e { set = x store = s batch = 0 }\n", "4: batch: "},
        {SMALL "drain e { set = x store = s batch = many }\n", "4: batch: "},
        {SMALL "drain e { set = x store = s lease = 5 }\n", "4: lease: "},
        {SMALL "drain e { set = x store = s consume = eat }\n", "4: consume: "},
        {SMALL "drain e { set = x store = s key = \"{a\" }\n", "4: key: a template holds"},
        {SMALL "drain e { set = x store = s key = \"a}\" }\n", "4: key: a template holds"},
        {"store o { type = file path = o }\nredis main { url = embedded }\n"
         "drain e { set = x store = o }\n",
         "3: store: o is of type file, which keeps a cache's objects and no records: name a"},
        {"store o { type = s3 url = \"http://h/b\" credentials_file = a }\n"
         "redis main { url = embedded }\ndrain e { set = x store = o }\n",
         "3: store: o is of type s3"},
        {SMALL "drain server { set = x store = s }\n",
         "drain server: redis/server is the place of platoon's command: choose another name"},
        {SMALL "drain \"a b\" { set = x store = s }\n", "a name is 1 to 24"},
        {SMALL "drain e { set = x store = s poll_min = 2s poll_max = 1s }\n",
         "poll_min: must not be above poll_max"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        says(cases[i].text, cases[i].says);
}
END_TEST

START_TEST(all_errors_at_once)
{
    says("platoon { log_level = loud }\nstore s { path = s.db cache = none }\ndrain d { set = x "
         "store = t\n    batch = -1 }\n",
         "1: log_level: ");
    const char *said = buffer_text(&errors);
    ck_assert_ptr_nonnull(strstr(said, ":2: cache: "));
    ck_assert_ptr_nonnull(strstr(said, ":3: store: "));
    ck_assert_ptr_nonnull(strstr(said, ":4: batch: "));
    ck_assert_ptr_null(strstr(said, ":5:"));
}
END_TEST

START_TEST(a_nearby_name_is_offered)
{
    says(SMALL "drain e { set = x store = s bacth = 7 }\n", "batch");
    says(SMALL "drain e { set = x stroe = s }\n", "store");
    says("store visits { path = v.db }\nredis main { url = embedded }\ndrain e { set = x store = "
         "visit }\n",
         "did you mean visits?");
    says(SMALL "drain e { set = x store = s workers = 3 }\n", "get_hash");
}
END_TEST

/* ---- and back ---- */

START_TEST(what_is_printed_means_the_same)
{
    for (size_t i = 0; i < sizeof config_values / sizeof *config_values; i++) {
        char text[512];
        snprintf(text, sizeof text,
                 "store s { path = s.db }\nredis main { url = embedded }\n"
                 "drain d { set = %s store = s lease = 90s get_hash { workers = 5 } }\n",
                 config_values[i]);
        prints_the_same(text);
    }
}
END_TEST

START_TEST(random_files)
{
    static const char *const pieces[] = {
        "{",     "}",  "=",    "\"",      "'",        "\n",      " ",     "store",
        "drain", "d",  "s",    "path",    "get_hash", "workers", "5",     "#",
        "/*",    "*/", "//",   "${",      "\\",       ",",       "+=",    "*",
        "(",     ")",  "\xff", "platoon", "redis",    "main",    "batch", "x.db"};
    reads_anything(SMALL, pieces, sizeof pieces / sizeof *pieces);
}
END_TEST

SUITE_MAIN_WITH("drain_config", set_up, tear_down, defaults, values,
                errors_name_line_cause_and_remedy, all_errors_at_once, a_nearby_name_is_offered,
                what_is_printed_means_the_same, random_files)
