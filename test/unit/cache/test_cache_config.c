/* test_cache_config.c: a cache section from text to values and errors: where clients may connect, and who may. */
#include "test/unit/config/config_fixture.h"

START_TEST(defaults)
{
    struct config *c = load_good("cache c { listen = \"unix:/run/app/c.sock\" }\n");
    const struct config_section *s = config_section_find(c, CONFIG_CACHE, "c");
    static const char *const values[][2] = {
        {"nodes", "1"},
        {"memory", "67108864"},
        {"store", ""},
        {"redis", ""},
        {"advertise", ""},
        {"lease", "10000"},
        {"copies", "1"},
        {"when_lost", "refuse"},
        {"failover_wait", "30000"},
        {"evict", "1"},
        {"volatile", ""},
        {"fsync", "everysec"},
        {"write_delay", "5000"},
        {"idle", "600000"},
        {"dirty_max", "67108864"},
        {"object_max", "16777216"},
        {"timeout", "5000"},
        {"clients_max", "10000"},
        {"secret_file", ""},
        {"tls_cert_file", ""},
        {"tls_key_file", ""},
        {"tls_ca_file", ""},
        {"plain", "0"},
        {"backing.workers", "1"},
        {"backing.parallel", "32"},
    };
    defaults_are_there(c, CONFIG_CACHE);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        ck_assert_msg(strcmp(config_get(s, values[i][0]), values[i][1]) == 0, "%s: %s, not %s",
                      values[i][0], config_get(s, values[i][0]), values[i][1]);
    config_free(c);
}
END_TEST

START_TEST(values)
{
    static const struct value_case cases[] = {
        {"memory = 1GB", "memory", "1073741824"},
        {"memory = 1MB", NULL, NULL},
        {"object_max = 20MB", "object_max", "20971520"},
        {"object_max = 21MB", NULL, NULL},
        {"fsync = always", "fsync", "always"},
        {"fsync = never", NULL, NULL},
        {"evict = false", "evict", "0"},
        {"fsync = no", "fsync", "no"},
        {"clients_max = 0", NULL, NULL},
        {"idle = 0s", "idle", "0"},
        {"lease = 2s", "lease", "2000"},
        {"lease = 1999ms", NULL, NULL},
        {"copies = 0", NULL, NULL},
        {"volatile = \"session:* lock?\"", "volatile", "session:* lock?"},
        {"backing { workers = 3 parallel = 7 }", "backing.parallel", "7"},
    };
    values_are("cache c { listen = \"unix:/run/app/c.sock\" ", " }\n", CONFIG_CACHE, cases,
               sizeof cases / sizeof *cases);
}
END_TEST

#define RING                                                                                       \
    "redis r { url = \"redis://127.0.0.1:6379\" }\n"                                               \
    "store s { type = file path = objects }\n"

#define TLS "tls_cert_file = a.crt tls_key_file = a.key"

START_TEST(right_addresses)
{
    static const char *const cases[] = {
        "cache c { listen = \"unix:/run/c.sock 127.0.0.1:6390 [::1]:6390\" }\n",
        "cache c { listen = \"unix:/run/c{n}.sock\" }\n",
        "cache c { listen = \"unix:/run/c{{n}}.sock unix:/run/{.sock unix:/run/}{}.sock\" }\n",
        "cache c { listen = \"unix:/run/c.sock 127.0.0.1:6390\" " TLS " }\n",
        "cache c { listen = \"10.0.0.5:6390\" plain = true }\n",
        "cache c { listen = \"0.0.0.0:6390\" secret_file = s " TLS " }\n",
        RING "cache c { listen = \"unix:/c.sock\" store = s redis = r lease = 2s }\n",
        RING "cache c { listen = \"0.0.0.0:6390\" plain = true store = s redis = r "
             "advertise = \"front-1.example:6390\" }\n",
        "store s { type = s3 url = \"https://h/b\" region = r credentials_file = k conditional = "
        "false }\n"
        "cache c { listen = \"unix:/a.sock\" store = s }\n",
        RING "cache c { listen = \"unix:/c.sock\" store = s redis = r copies = 2 }\n",
        "cache c { listen = \"unix:/c.sock\" copies = 1 }\n",
        RING "cache c { listen = \"unix:/c.sock\" store = s redis = r when_lost = backing "
             "failover_wait = 0s }\n",
        RING "cache c { listen = \"unix:/c.sock\" store = s redis = r when_lost = refuse }\n",
        RING "cache c { listen = \"unix:/c{n}.sock 127.0.0.1:1{n}\" nodes = 3 store = s redis = r "
             "advertise = \"h:1{n}\" }\n",
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
        {"cache c { }\n", "1: listen: "},
        {"cache c { listen = \" \" }\n", "1: listen: names no address"},
        {"cache c { listen = \"unix:/a.sock here\" }\n", "1: listen: 'here' is no address"},
        {"cache c { listen = \"unix:a.sock\" }\n", "1: listen: 'unix:a.sock' is no address"},
        {"cache c { listen = \"127.0.0.1:70000\" }\n",
         "1: listen: '127.0.0.1:70000' is no address"},
        {"cache c { listen = \"'a\" }\n", "1: listen: a quote does not end"},
        {"cache c { listen = \"127.0.0.1:1 10.0.0.5:6390\" }\n",
         "1: listen: 10.0.0.5:6390 can be reached from other machines, and whoever does could read "
         "and "
         "write all objects: set secret_file and tls_cert_file, or plain = true"},
        {"cache c { listen = \"[::]:6390\" secret_file = s }\n",
         "and what is said there can be read: set tls_cert_file, or plain"},
        {"cache c { listen = \"10.0.0.5:6390\" " TLS " }\n", ": set secret_file, or plain"},
        {"cache c { listen = \"127.0.0.1:1\" tls_cert_file = a }\n", "tls_key_file"},
        {"cache c { listen = \"127.0.0.1:1\" tls_ca_file = a }\n", "tls_cert_file"},
        {"cache c { listen = \"unix:/a.sock 'unix:/b.sock'\" " TLS " }\n",
         "1: tls_cert_file: all addresses of listen are unix sockets, where nobody speaks TLS"},
        {"cache c { listen = \"unix:/run/{name}.sock\" }\n",
         "1: listen: {name} stands for nothing: only {n} does"},
        {"cache c { listen = \"unix:/run/{n}{number}.sock\" }\n", "1: listen: {number} stands"},
        {"cache c { listen = \"unix:/run/{N}.sock\" }\n", "1: listen: {N} stands for nothing"},
        {"cache c { listen = \"unix:/a.sock\" nodes = 2 }\n", "1: nodes: several need a Redis"},
        {"cache c { listen = \"unix:/a.sock\" memory = 8MB object_max = 5MB }\n",
         "1: object_max: more than half of memory, which one such object would have to itself: "
         "raise memory, or lower it to 4194304"},
        {"cache c { listen = \"unix:/a.sock unix:/a.sock\" }\n",
         "1: listen: an address is taken already, by listen of cache c (line 1)"},
        {"cache c { listen = \"127.0.0.1:1\" }\ncache d { listen = \"0.0.0.0:1\" plain = true }\n",
         "2: listen: an address is taken already, by listen of cache c (line 1)"},
        {"platoon { health = \"127.0.0.1:1\" }\ncache d { listen = \"127.0.0.1:1\" }\n",
         "2: listen: an address is taken already, by health of platoon (line 1)"},
        {"platoon { runtime_dir = /r }\ncache d { listen = \"unix:/r/control.sock\" }\n",
         "2: listen: an address is taken already, by runtime_dir of platoon (line 1)"},
        {"cache c { listen = \"unix:/a{n}.sock\" nodes = 2 }\n", "1: nodes: several need a Redis"},
        {RING "cache c { listen = \"unix:/a.sock\" nodes = 2 store = s redis = r }\n",
         "3: listen: each of several nodes needs its own address: have {n} in it"},
        {RING
         "cache c { listen = \"unix:/a{n}.sock 127.0.0.1:1\" nodes = 2 store = s redis = r }\n",
         "3: listen: each of several nodes"},
        {RING "cache c { listen = \"unix:/a{n}.sock\" nodes = 2 store = s redis = r "
              "advertise = \"h:1\" }\n",
         "3: advertise: each of several nodes"},
        {RING "cache c { listen = \"unix:/a.sock\" redis = r }\n",
         "3: redis: an object goes from one node to another through the store, and there is none"},
        {RING "cache c { listen = \"unix:/a.sock\" store = s redis = q }\n", "3: redis: "},
        {RING "cache c { listen = \"unix:/a.sock\" store = s redis = r lease = 999ms }\n",
         "3: lease: "},
        {RING "cache c { listen = \"unix:/a.sock\" store = s redis = r advertise = \"none\" }\n",
         "3: advertise: 'none' is not one address at which other nodes reach this one"},
        {RING "cache c { listen = \"unix:/a.sock\" store = s redis = r advertise = \"a:1 b:2\" }\n",
         "3: advertise: 'a:1 b:2' is not one address"},
        {RING "cache c { listen = \"unix:/a.sock\" store = s redis = r advertise = \"a:70000\" }\n",
         "3: advertise: 'a:70000' is not one address"},
        {RING "cache c { listen = \"unix:/a.sock\" store = s redis = r "
              "advertise = \"0.0.0.0:6390\" }\n",
         "3: advertise: 0.0.0.0:6390 is every address of this machine"},
        {RING "cache c { listen = \"unix:/a.sock [::]:6390\" plain = true store = s redis = r }\n",
         "3: listen: other nodes are told of [::]:6390, which is every address of this machine, "
         "and "
         "none that they reach: set advertise to one, as in 10.0.0.5:6390"},
        {"redis r { url = \"redis://127.0.0.1:6379\" }\n"
         "store s { type = s3 url = \"https://h/b\" region = r credentials_file = k conditional = "
         "false }\n"
         "cache c { listen = \"unix:/a.sock\" store = s redis = r }\n",
         "3: store: a ring needs a store that keeps conditions, and conditional is false in store "
         "s"},
        {RING "cache c { listen = \"unix:/a.sock\" store = s copies = 2 }\n",
         "3: copies: the second copy of what is written is in Redis, and there is none"},
        {RING "cache c { listen = \"unix:/a.sock\" store = s redis = r copies = 3 }\n",
         "3: copies: "},
        {RING "cache c { listen = \"unix:/a.sock\" store = s redis = r when_lost = store }\n",
         "3: when_lost: "},
        {RING "cache c { listen = \"unix:/a.sock\" store = s redis = r failover_wait = 2d }\n",
         "3: failover_wait: "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        says(cases[i].text, cases[i].says);
}
END_TEST

/* What is said already is not said in other words too. */
START_TEST(one_fault_is_one_line)
{
    static const char *const cases[] = {"cache c { }\n",
                                        "cache c { listen = \"unix:/a.sock\" nodes = 2 }\n"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_ptr_null(load(cases[i]));
        const char *said = buffer_text(&errors);
        ck_assert_msg(strchr(said, '\n')[1] == '\0', "%s", said);
    }
}
END_TEST

#define S3    "type = s3 url = \"http://h:1/b/p\" credentials_file = aws"
#define CACHE "cache c { listen = \"unix:/a.sock\" store = s }\n"

START_TEST(stores_of_objects)
{
    static const char *const cases[] = {
        "store s { type = file path = objects }\n" CACHE,
        "store s { type = file path = objects timeout = 5s retry_max = 1s }\n",
        "store s { " S3 " }\n" CACHE,
        "store s { " S3 " region = eu-west-1 style = host conditional = false timeout = 5s }\n",
        "store s { type = s3 url = \"https://h/b\" credentials_file = aws }\n",
        "store s { type = s3 url = \"https://[::1]/b\" credentials_file = aws }\n",
        "store s { type = s3 url = \"https://[::1]:65535/b\" credentials_file = aws }\n",
        "store s { type = s3 url = \"https://h5:1/b\" credentials_file = aws style = host }\n",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        prints_the_same(cases[i]);
}
END_TEST

START_TEST(store_defaults)
{
    struct config *c = load_good("store s { " S3 " }\n" CACHE);
    const struct config_section *s = config_section_find(c, CONFIG_STORE, "s");
    ck_assert_str_eq(config_get(s, "region"), "us-east-1");
    ck_assert_str_eq(config_get(s, "style"), "path");
    ck_assert_uint_eq(config_get_u64(s, "conditional"), 1);
    s = config_section_find(c, CONFIG_CACHE, "c");
    ck_assert_uint_eq(config_get_u64(s, "backing.workers"), 1);
    ck_assert_uint_eq(config_get_u64(s, "backing.parallel"), 32);
    ck_assert_uint_eq(config_get_u64(s, "timeout"), 5000);
    config_free(c);
}
END_TEST

START_TEST(store_errors)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"store s { type = s3 url = \"http://h:99999/b\" credentials_file = a }\n",
         "1: url: the port in h:99999 must be a number from 1 to 65535"},
        {"store s { type = s3 url = \"http://h:0/b\" credentials_file = a }\n", "1: url: the port"},
        {"store s { type = s3 url = \"http://h:/b\" credentials_file = a }\n", "1: url: the port"},
        {"store s { type = s3 url = \"http://[::1]:x/b\" credentials_file = a }\n",
         "1: url: the port"},
        {"store s { type = s3 url = \"http://10.0.0.5:80/b\" credentials_file = a style = host }\n",
         "1: style: host puts the bucket before the endpoint's name, and 10.0.0.5:80 is an "
         "address"},
        {"store s { type = s3 url = \"http://[::1]/b\" credentials_file = a style = host }\n",
         "1: style: host puts"},
        {"store s { type = file }\n", "1: path: must be given in store s, of type file"},
        {"store s { type = file path = o url = \"http://h/b\" }\n", "1: url: is for type"},
        {"store s { type = file path = o region = x }\n", "1: region: is for type = s3"},
        {"store s { type = file path = o style = host }\n", "1: style: is for type = s3"},
        {"store s { type = file path = o conditional = false }\n", "1: conditional: is for type"},
        {"store s { type = file path = o cache = 16MB }\n", "1: cache: is for type = sqlite"},
        {"store s { path = o credentials_file = aws }\n", "1: credentials_file: is for type = s3"},
        {"store s { " S3 " path = o }\n", "1: path: is for type = sqlite and file"},
        {"store s { " S3 " table = t }\n", "1: table: is for type = postgres"},
        {"store s { type = s3 url = \"http://h/b\" }\n", "1: credentials_file: must be given"},
        {"store s { type = s3 credentials_file = a }\n",
         "1: url: must be given in store s, of type s3"},
        {"store s { " S3 " region = \"\" }\n", "1: region: must be a name"},
        {"store s { " S3 " region = \"a b\" }\n", "1: region: must be a name"},
        {"store s { path = s.db }\n" CACHE,
         "2: store: s is of type sqlite, which keeps a drain's "},
        {"store s { type = count path = s }\n" CACHE, "2: store: s is of type count"},
        {"store s { type = postgres url = \"postgresql://h/d\" }\n" CACHE,
         "2: store: s is of type postgres"},
        {CACHE, "1: store: there is no store section named s"},
        {"store s { type = file path = o }\n" CACHE
         "cache d { listen = \"unix:/b.sock\" store = s }\n",
         "3: store: s is cache c's"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        says(cases[i].text, cases[i].says);
}
END_TEST

START_TEST(s3_urls)
{
    static const struct {
        const char *url, *says;
    } cases[] = {
        {"s3://b", "must be http(s)://ENDPOINT/BUCKET"},
        {"h/b", "must be http(s)://ENDPOINT/BUCKET"},
        {"http://", "must be http(s)://ENDPOINT/BUCKET"},
        {"http://h", "must be http(s)://ENDPOINT/BUCKET"},
        {"http://h/", "must be http(s)://ENDPOINT/BUCKET"},
        {"http:///b", "must be http(s)://ENDPOINT/BUCKET"},
        {"http://h//b", "must be http(s)://ENDPOINT/BUCKET"},
        {"http://h?x/b", "must be http(s)://ENDPOINT/BUCKET"},
        {"https://key:secret@h/b", "holds a user or password"},
        {"https://key@h/b", "holds a user or password"},
        {"https://h/b?versionId=1", "a '?' or '#'"},
        {"https://h/b/p#q", "a '?' or '#'"},
        {"https://h/b c", "a blank"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256], wanted[128];
        snprintf(text, sizeof text, "store s { type = s3 url = \"%s\" credentials_file = aws }\n",
                 cases[i].url);
        snprintf(wanted, sizeof wanted, "1: url: %s", cases[i].says);
        says(text, wanted);
    }
}
END_TEST

SUITE_MAIN_WITH("cache_config", set_up, tear_down, defaults, values, right_addresses,
                errors_name_line_cause_and_remedy, one_fault_is_one_line, stores_of_objects,
                store_defaults, store_errors, s3_urls)
