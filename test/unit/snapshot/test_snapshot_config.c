/* test_snapshot_config.c: snapshot and resource sections, from text to values and errors. */
#include "test/unit/config/config_fixture.h"

#define PLAN "snapshot plan { }\n"
#define BOTH PLAN "snapshot other { }\n"

START_TEST(defaults)
{
    struct config *c = load_good(PLAN "resource r { }\nweb { listen = \"127.0.0.1:9180\" }\n");
    defaults_are_there(c, CONFIG_SNAPSHOT);
    defaults_are_there(c, CONFIG_RESOURCE);
    static const struct {
        enum config_kind kind;
        const char *key, *value;
    } cases[] = {
        {CONFIG_SNAPSHOT, "path", ""},          {CONFIG_SNAPSHOT, "branch", "main"},
        {CONFIG_SNAPSHOT, "fsync", "1"},        {CONFIG_SNAPSHOT, "pack_after", "1000"},
        {CONFIG_SNAPSHOT, "keep", "0"},         {CONFIG_SNAPSHOT, "keep_daily", "0"},
        {CONFIG_SNAPSHOT, "mirror", ""},        {CONFIG_SNAPSHOT, "whatifs", "1"},
        {CONFIG_SNAPSHOT, "listen", ""},        {CONFIG_SNAPSHOT, "nanomsg", "0"},
        {CONFIG_SNAPSHOT, "notify", ""},        {CONFIG_SNAPSHOT, "public", ""},
        {CONFIG_SNAPSHOT, "open", "0"},         {CONFIG_SNAPSHOT, "journal", "8388608"},
        {CONFIG_RESOURCE, "path", ""},          {CONFIG_RESOURCE, "header", ""},
        {CONFIG_RESOURCE, "pause", "0"},        {CONFIG_RESOURCE, "timeout", "60000"},
        {CONFIG_RESOURCE, "size_min", "1"},     {CONFIG_RESOURCE, "size_max", "16777216"},
        {CONFIG_RESOURCE, "retry_min", "1000"}, {CONFIG_RESOURCE, "retry_max", "300000"},
        {CONFIG_WEB, "token_file", ""},         {CONFIG_WEB, "subscribers_max", "10000"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_str_eq(config_get(config_section_at(c, cases[i].kind, 0), cases[i].key),
                         cases[i].value);
    ck_assert_str_eq(config_get(config_section_at(c, CONFIG_RESOURCE, 0), "fresh"), "");
    config_free(c);
}
END_TEST

START_TEST(values)
{
    static const struct value_case snapshot[] = {
        {"branch = data/v1", "branch", "data/v1"},
        {"branch = \"\"", NULL, NULL},
        {"branch = \"a b\"", NULL, NULL},
        {"branch = a..b", NULL, NULL},
        {"branch = -a", NULL, NULL},
        {"branch = a.lock", NULL, NULL},
        {"fsync = false", "fsync", "0"},
        {"listen = \"unix:/run/plan.sock\"", "listen", "unix:/run/plan.sock"},
        {"listen = \"127.0.0.1:9180\"", NULL, NULL},
        {"listen = \"unix:plan.sock\"", NULL, NULL},
        {"notify = nowhere", NULL, NULL},
    };
    static const struct value_case resource[] = {
        {"path = in/a.tsv", "path", "in/a.tsv"},
        {"path = \"/a\"", NULL, NULL},
        {"path = a//b", NULL, NULL},
        {"path = \"a/\"", NULL, NULL},
        {"path = ../a", NULL, NULL},
        {"path = a/./b", NULL, NULL},
        {"path = a/.GIT/b", NULL, NULL},
        {"path = .gitignore", "path", ".gitignore"},
        {"size_max = 20MB", "size_max", "20971520"},
        {"size_max = 21MB", NULL, NULL},
        {"size_min = 0", "size_min", "0"},
        {"size_min = 2KB size_max = 1KB", NULL, NULL},
        {"inputs = \"\" command = \"awk '{n}'\"", "command", "awk '{n}'"},
        {"command = c every = 15m", "every", "900000"},
        {"command = c timeout = 30s", "timeout", "30000"},
        {"header = \"qplan app\"", "header", "qplan app"},
        {"type = \"text/csv; charset=utf-8\"", "type", "text/csv; charset=utf-8"},
        {"type = csv", NULL, NULL},
        {"type = \"/csv\"", NULL, NULL},
        {"type = \"text/\"", NULL, NULL},
        {"url = \"https://x/y?z=1\" every = 15m fresh = 2h", "fresh", "7200000"},
        {"snapshot = plan", "snapshot", "plan"},
        {"snapshot = none", NULL, NULL},
    };
    values_are("snapshot plan { ", " }\n", CONFIG_SNAPSHOT, snapshot,
               sizeof snapshot / sizeof *snapshot);
    values_are(PLAN "resource r { ", " }\n", CONFIG_RESOURCE, resource,
               sizeof resource / sizeof *resource);
}
END_TEST

START_TEST(web)
{
    static const struct value_case keys[] = {
        {"listen = \"127.0.0.1:9180\"", "listen", "127.0.0.1:9180"},
        {"listen = \"[::1]:9180\"", "listen", "[::1]:9180"},
        {"listen = \"unix:/run/web.sock\"", "listen", "unix:/run/web.sock"},
        {"listen = \"0.0.0.0:9180\"", NULL, NULL},
        {"listen = \"localhost:9180\"", NULL, NULL},
        {"listen = \"127.0.0.1:9180\" subscribers_max = 0", NULL, NULL},
    };
    values_are("web { ", " }\n", CONFIG_WEB, keys, sizeof keys / sizeof *keys);
    struct config *c = load_good("web { listen = \"127.0.0.1:9180\" }\n");
    defaults_are_there(c, CONFIG_WEB);
    config_free(c);
}
END_TEST

START_TEST(errors_name_line_cause_and_remedy)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {PLAN "resource x { command = c inputs = y }\nresource y { command = c inputs = x }\n",
         "2: inputs: x -> y -> x is a cycle"},
        {PLAN "resource x { command = c inputs = x }\n", "2: inputs: x -> x is a cycle"},
        {PLAN "resource a { }\nresource r { command = c inputs = b }\n",
         "3: inputs: there is no resource named b: did you mean a?"},
        {PLAN "resource r { command = c inputs = nobody }\n",
         "2: inputs: there is no resource named nobody: add `resource nobody { }`"},
        {PLAN "resource a { }\nresource r { command = c inputs = \"a a\" }\n",
         "3: inputs: a stands there twice"},
        {PLAN "resource a { }\nresource r { inputs = a }\n",
         "3: inputs: nobody makes anything of them: give command"},
        {BOTH
         "resource a { snapshot = plan }\nresource r { snapshot = other command = c inputs = a "
         "}\n",
         "4: inputs: a is of another snapshot"},
        {PLAN "resource r { url = ftp://x/y }\n", "2: url: must be http://host… or https://host…"},
        {PLAN "resource r { url = \"http://x/a b\" }\n",
         "2: url: a '#' or a space cannot be in it"},
        {PLAN "resource r { url = http://me:pw@x/ }\n", "2: url: holds a user or password"},
        {PLAN "resource a { }\nresource r { command = c inputs = a url = http://x/ }\n",
         "3: url: beside inputs"},
        {PLAN "resource r { header_file = h }\n", "2: header_file: needs url beside it"},
        {PLAN "resource r { tls_ca_file = h }\n", "2: tls_ca_file: needs url beside it"},
        {PLAN "resource r { every = 5m }\n", "2: every: nothing is done then: give command"},
        {PLAN "resource r { command = c every = 5m cron = \"* * * * *\" }\n",
         "2: cron: beside every: one of them is enough"},
        {PLAN "resource r { command = c cron = \"* * *\" }\n", "2: cron: "},
        {PLAN "resource r { command = c every = 1500ms }\n", "2: every: "},
        {PLAN "resource r { command = c retry_min = 1h retry_max = 1m }\n", "2: retry_min: "},
        {PLAN "resource r { command = c environment = X }\n",
         "2: environment: 'X' is not NAME=value"},
        {PLAN "resource r { command = \"a 'b\" }\n", "2: command: a quote does not end"},
        {PLAN "resource r { header = \"a\\tb\" }\n", "2: header: "},
        {"resource r { }\n", "1: snapshot: there is none: add a section such as snapshot plan { }"},
        {BOTH "resource r { }\n", "3: snapshot: there are several: say which one"},
        {PLAN "resource store { }\n", "2: resource store: is platoon's own name"},
        {PLAN "resource keeper { }\n", "2: resource keeper: is platoon's own name"},
        {PLAN "resource gate { }\n", "2: resource gate: is platoon's own name"},
        {PLAN "resource whatif { }\n", "2: resource whatif: is platoon's own name"},
        {PLAN "resource a { path = \"/x\" }\n", "2: path: must be a relative path"},
        {PLAN "resource a { path = x/../y }\n", "2: path: must be a relative path"},
        {PLAN "resource a { path = x/.git/y }\n", "2: path: must be a relative path"},
        {PLAN "resource a { path = x }\nresource x { }\n",
         "3: path: is resource a's already: each needs its own"},
        {PLAN "resource a { path = x/y }\nresource x { }\n",
         "3: path: of this and resource a's one"},
        {PLAN "resource x { }\nresource a { path = x/y }\n",
         "3: path: of this and resource x's one"},
        {"snapshot a { path = p }\nsnapshot b { path = p }\n",
         "2: path: is snapshot a's already (line 1)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        says(cases[i].text, cases[i].says);
}
END_TEST

START_TEST(right_ones)
{
    static const char *const cases[] = {
        BOTH "resource a { snapshot = plan path = x }\nresource b { snapshot = other path = x }\n",
        PLAN "resource x { }\nresource b { path = xy }\n",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        config_free(load_good(cases[i]));
        prints_the_same(cases[i]);
    }
}
END_TEST

SUITE_MAIN_WITH("snapshot_config", set_up, tear_down, defaults, values, web,
                errors_name_line_cause_and_remedy, right_ones)
