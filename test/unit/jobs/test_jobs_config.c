/* test_jobs_config.c: jobs sections, from text to values and errors. */
#include "test/unit/config/config_fixture.h"

#define REDIS "redis main { url = \"redis://127.0.0.1:6379\" }\n"

START_TEST(defaults)
{
    struct config *c = load_good(REDIS "jobs a { platforms = p }\n");
    defaults_are_there(c, CONFIG_JOBS);
    const struct config_section *s = config_section_at(c, CONFIG_JOBS, 0);
    ck_assert_str_eq(config_get(s, "queue"), "platoon");
    ck_assert_uint_eq(config_get_u64(s, "lease"), 60000);
    ck_assert_uint_eq(config_get_u64(s, "sanjer.workers"), 2);
    config_free(c);
}
END_TEST

START_TEST(values)
{
    static const struct value_case cases[] = {
        {"queue = a.b-c_1", "queue", "a.b-c_1"},
        {"queue = \"a:b\"", NULL, NULL},
        {"queue = \"{platform}\"", "queue", "{platform}"},
        {"queue = \"etlas.{id}\"", "queue", "etlas.{id}"},
        {"queue = \"{member}\"", NULL, NULL},
        {"queue = \"{tenant}\"", NULL, NULL},
        {"queue = \"{platform}:{id}\"", NULL, NULL},
        {"weights = \"gold=4 free=1 none=0\"", "weights", "gold=4 free=1 none=0"},
        {"weights = gold", NULL, NULL},
        {"weights = \"gold=4 gold=1\"", NULL, NULL},
        {"weights = \"a:b=4\"", NULL, NULL},
        {"limits = \"scrape=2\"", "limits", "scrape=2"},
        {"limits = \"scrape=0\"", NULL, NULL},
        {"limits = \"scrape=1000001\"", NULL, NULL},
        {"job_id = etlas", "job_id", "etlas"},
        {"lease = 5s", "lease", "5000"},
        {"lease = 4s", NULL, NULL},
        {"output_keep = 1MB", "output_keep", "1048576"},
        {"timeout = 0s", NULL, NULL},
        {"listen = \"0.0.0.0:9041\" token_file = t", "listen", "0.0.0.0:9041"},
        {"cors = \"*\"", "cors", "*"},
        {"cors = \"http://localhost:8080\"", "cors", "http://localhost:8080"},
        {"timezone = \"Europe/Berlin\"", "timezone", "Europe/Berlin"},
        {"sanjer { workers = 8 }", "sanjer.workers", "8"},
        {"sanjer { workers = 0 }", NULL, NULL},
        {"python { functions = \"default high\" }", "python.functions", "default high"},
        {"python { functions = \"platoon\" }", "python.functions", "platoon"},
        {"python { functions = \"default hi:gh\" }", NULL, NULL},
    };
    values_are(REDIS "jobs a { platforms = p ", " }\n", CONFIG_JOBS, cases,
               sizeof cases / sizeof *cases);
}
END_TEST

START_TEST(errors_name_line_cause_and_remedy)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {REDIS "jobs a { }\n", "2: platforms: "},
        {REDIS "jobs a { platforms = p queue = \"a b\" }\n",
         "2: queue: 'a b' is no name of a queue"},
        {REDIS "jobs a { platforms = p queue = \"\" }\n", "2: queue: '' is no name of a queue"},
        {REDIS "jobs a { platforms = p python { functions = \"x y\" } }\n"
               "jobs b { platforms = p queue = b python { functions = \"z y\" } }\n",
         "3: python.functions: jobs a has the queue y too"},
        {REDIS "jobs a { platforms = p queue = a }\n"
               "jobs b { platforms = p queue = b python { functions = a } }\n",
         "3: python.functions: jobs a has the queue a too"},
        {REDIS "jobs a { platforms = p }\nschedule x { jobs = a platform = p }\n",
         "3: schedule x: "},
        {REDIS "jobs a { platforms = p }\nschedule x { jobs = b platform = p every = 1s }\n",
         "3: jobs: "},
        {REDIS "jobs a { platforms = p }\nschedule \"x.y\" { jobs = a platform = p every = 1s }\n",
         "3: schedule x.y: a name is"},
        {REDIS "jobs a { platforms = p }\n"
               "schedule x { jobs = a platform = p every = 1s settings = \"[]\" }\n",
         "3: settings: a JSON object"},
        {REDIS "jobs a { platforms = p listen = here }\n", "2: listen: 'here' is no address"},
        {REDIS "jobs a { platforms = p listen = \"0.0.0.0:9041\" }\n",
         "2: listen: 0.0.0.0:9041 can be reached from other machines"},
        {REDIS "jobs a { platforms = p queue = a listen = \"127.0.0.1:9041\" }\n"
               "jobs b { platforms = p queue = b listen = \"0.0.0.0:9041\" token_file = t }\n",
         "3: listen: jobs a listens there too"},
        {REDIS "jobs a { platforms = p cors = \"desk.example\" }\n",
         "2: cors: 'desk.example' is no origin"},
        {REDIS "jobs a { platforms = p cors = \"https://desk.example/\" }\n", "2: cors: "},
        {REDIS "jobs a { platforms = p timezone = Berlin }\n",
         "2: timezone: there is no zone 'Berlin'"},
        {REDIS "jobs a { platforms = p }\njobs b { platforms = p }\n",
         "3: queue: jobs a has the same in the same Redis"},
        {REDIS "jobs a { platforms = p queue = \"x-{id}\" }\n"
               "jobs b { platforms = p queue = \"{platform}\" }\n",
         "3: queue: jobs a has the same in the same Redis"},
        {REDIS "jobs a { platforms = p queue = \"{tenant}\" }\n",
         "2: queue: '{tenant}' has a field {tenant}: there are {platform} and {id}"},
        {REDIS "jobs a { platforms = p weights = \"gold=x\" }\n",
         "2: weights: 'gold=x' is no QUEUE=NUMBER with a number from 0 to 1000000"},
        {REDIS "jobs a { platforms = p retry_min = 2m retry_max = 1m }\n", "retry_m"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        says(cases[i].text, cases[i].says);
}
END_TEST

SUITE_MAIN_WITH("jobs_config", set_up, tear_down, defaults, values,
                errors_name_line_cause_and_remedy)
