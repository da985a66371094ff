/* test_erlang_config.c: an erlang section from text to values and errors. */
#include "test/unit/config/config_fixture.h"

#define CACHE "cache c { listen = \"unix:/run/app/c.sock\" }\n"
#define REDIS "redis r { url = \"redis://127.0.0.1:6379\" }\n"
#define NAMED "node = \"n@h\" cookie_file = cookie "

START_TEST(defaults)
{
    struct config *c = load_good(CACHE "erlang gate { " NAMED "cache = c }\n");
    const struct config_section *s = config_section_find(c, CONFIG_ERLANG, "gate");
    defaults_are_there(c, CONFIG_ERLANG);
    ck_assert_str_eq(config_get(s, "listen"), "127.0.0.1");
    ck_assert_str_eq(config_get(s, "redis"), "");
    ck_assert_uint_eq(config_get_u64(s, "plain"), 0);
    config_free(c);
}
END_TEST

START_TEST(right_ones)
{
    static const char *const cases[] = {
        CACHE REDIS "erlang g { " NAMED "cache = c redis = r }\n",
        REDIS "erlang g { " NAMED "redis = r }\n",
        CACHE "erlang g { " NAMED "cache = c listen = \"127.0.1.1:9105\" }\n",
        CACHE "erlang g { " NAMED "cache = c listen = \"10.0.0.5\" plain = true }\n",
        CACHE "erlang g { " NAMED "cache = c }\n"
              "erlang h { node = \"o@h\" cookie_file = cookie cache = c }\n",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        config_free(load_good(cases[i]));
}
END_TEST

START_TEST(errors_name_line_cause_and_remedy)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {CACHE "erlang g { cache = c cookie_file = x }\n", "2: node: "},
        {CACHE "erlang g { cache = c node = \"n@h\" }\n", "2: cookie_file: "},
        {CACHE "erlang g { cache = c node = manager cookie_file = x }\n",
         "2: node: 'manager' is no name of a node: NAME@HOST"},
        {CACHE "erlang g { " NAMED "cache = c listen = \"0.0.0.0\" }\n",
         "2: listen: 0.0.0.0 can be reached from other machines, and nothing that is said there is "
         "encrypted: listen on 127.0.0.1, or set plain = true"},
        {CACHE "erlang g { " NAMED "cache = c listen = \"[::1]:9105\" }\n",
         "2: listen: '[::1]:9105' is no address of IPv4"},
        {CACHE "erlang g { " NAMED "}\n",
         "2: cache, redis: neither is given, so it would serve nothing"},
        {CACHE "erlang g { " NAMED "cache = d }\n", "2: cache: "},
        {CACHE "erlang g { " NAMED "cache = c redis = d }\n", "2: redis: "},
        {CACHE "erlang g { " NAMED "cache = c }\nerlang h { " NAMED "cache = c }\n",
         "3: node: n@h is erlang g's already (line 2): each needs its own"},
        {CACHE "erlang g { " NAMED "cache = c listen = \"127.0.0.1:9\" }\n"
               "erlang h { node = \"o@h\" cookie_file = x cache = c listen = \"127.0.0.1:9\" }\n",
         "3: listen: 127.0.0.1:9 is erlang g's already (line 2)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        says(cases[i].text, cases[i].says);
}
END_TEST

SUITE_MAIN_WITH("erlang_config", set_up, tear_down, defaults, right_ones,
                errors_name_line_cause_and_remedy)
