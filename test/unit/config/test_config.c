/*
 * test_config.c: a configuration file from text to values, errors and back (master/config/config.h, PROTOCOL.md;
 * libconfuse's traps: FACTS.md 9).
 */
#include "master/config/config_key.h"
#include "test/unit/config/config_fixture.h"

#define SMALL                                                                                      \
    "store s { path = s.db }\nredis main { url = embedded }\nprogram d { command = \"a b\" }\n"

/* ---- what is right ---- */

START_TEST(defaults)
{
    struct config *c = load_good(SMALL);
    const struct config_section *d = config_section_find(c, CONFIG_PROGRAM, "d");
    defaults_are_there(c, CONFIG_PROGRAM);
    ck_assert_str_eq(config_get(d, "command"), "a b");
    ck_assert_str_eq(config_get(d, "restart"), "permanent");
    ck_assert_str_eq(config_get(d, "stop_timeout"), "");
    ck_assert_uint_eq(config_get_u64(d, "log_rotate_size"), 64 * 1024 * 1024);
    ck_assert_uint_eq(config_get_u64(d, "may_start_max"), 16);
    ck_assert_uint_eq(
        config_get_u64(config_section_find(c, CONFIG_REDIS, "main"), "connect_timeout"), 5000);
    ck_assert_str_eq(config_get(config_platoon(c), "log_level"), "info");
    ck_assert_str_eq(config_path(c), path);
    config_free(c);
    config_free(NULL);
}
END_TEST

/* Some editors put the mark in front. */
START_TEST(byte_order_marks)
{
    struct config *c = load("\xef\xbb\xbfstore s { path = s.db }\n");
    ck_assert_msg(c != NULL, "%s", buffer_text(&errors));
    config_free(c);
    static const char wide[] = "\xff\xfes\0t\0o\0r\0e\0";
    ck_assert_ptr_null(load_bytes(wide, sizeof wide));
    ck_assert_ptr_nonnull(strstr(buffer_text(&errors), ":1: is UTF-16"));
}
END_TEST

START_TEST(values_of_every_type)
{
    static const struct value_case cases[] = {
        {"timeout = 90s", "timeout", "90000"},
        {"timeout = 1500", NULL, NULL},
        {"timeout = 2m", "timeout", "120000"},
        {"send_workers = 1", "send_workers", "1"},
        {"send_workers = 16", "send_workers", "16"},
        {"server_appendfsync = always", "server_appendfsync", "always"},
        {"server_appendfsync = \"always\"", "server_appendfsync", "always"},
        {"tls_server_name = '{a}\"$x'", "tls_server_name", "{a}\"$x"},
        {"tls_server_name = \"a\\\"b\\\\c\"", "tls_server_name", "a\"b\\c"},
        {"tls_server_name = \"\\x41\\102\"", "tls_server_name", "AB"},
        {"tls_server_name = \"a${HOME}b${\"", "tls_server_name", "a${HOME}b${"},
        {"tls_server_name = \"\\${HOME}\"", "tls_server_name", "${HOME}"},
        {"tls_server_name = ${HO\"M\\E}", "tls_server_name", "${HO\"M\\E}"},
        {"tls_server_name = '${HOME}'", "tls_server_name", "${HOME}"},
        {"reply_max = 8MB", "reply_max", "8388608"},
        {"// a comment\n # another\n /* and\n one */ send_workers = 7", "send_workers", "7"},
    };
    values_are("store s { path = s.db }\nredis main { url = embedded ", " }\n", CONFIG_REDIS, cases,
               sizeof cases / sizeof *cases);
}
END_TEST

START_TEST(paths_are_relative_to_the_file)
{
    char wanted[128];
    struct config *c = load_good("platoon { runtime_dir = run state_dir = /var/x }\n" SMALL);
    snprintf(wanted, sizeof wanted, "%s/run", dir);
    ck_assert_str_eq(config_get(config_platoon(c), "runtime_dir"), wanted);
    ck_assert_str_eq(config_get(config_platoon(c), "state_dir"), "/var/x");
    snprintf(wanted, sizeof wanted, "%s/s.db", dir);
    ck_assert_str_eq(config_get(config_section_find(c, CONFIG_STORE, "s"), "path"), wanted);
    config_free(c);
}
END_TEST

/* ---- what is wrong: the whole text of what is said, without the path ---- */

#define RUNS "program p { command = true "

START_TEST(errors_name_line_cause_and_remedy)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"store s { path = s.db\n", "1: store s: its { is never closed, add a } before line 2"},
        {"store s { path = s.db }\n}\n", "2: this } closes nothing"},
        {"store s { path = s.db }\nstor t { path = t.db }\n", "2: stor: "},
        {"store s { path = s.db colour = red }\n", "1: colour: "},
        {"store s { }\n", "1: path: must be given in store s"},
        {"store s { type = postgres }\n", "1: url: must be given in store s, of type postgres"},
        {"store s { type = postgres path = s.db url = \"postgresql://h/d\" }\n",
         "1: path: is for type = sqlite"},
        {"store s { path = s.db url = \"postgresql://h/d\" }\n", "1: url: is for type = postgres"},
        {"store s { type = postgres url = \"mysql://h/d\" }\n", "1: url: must be postgresql://"},
        {"store s { type = postgres url = \"postgresql://u:p@h/d\" }\n",
         "1: url: holds a password"},
        {"store s { type = postgres url = \"postgresql://h/d?sslmode=require&password=p\" }\n",
         "1: url: holds a password"},
        {"store s { type = postgres url = \"postgresql://h/d\" table = \"a.b.c\" }\n",
         "1: table: must be a name"},
        {"store s { type = postgres url = \"postgresql://h/d\" table = \"x; DROP\" }\n",
         "1: table: must be a name"},
        {"store s { path = a.db }\nstore s { path = b.db }\n", "2: store s: "},
        {"store s { path = a.db path = b.db }\n", "1: path: "},
        {SMALL "redis e { send_workers = 0 }\n", "4: send_workers: "},
        {SMALL "redis e { send_workers = many }\n", "4: send_workers: "},
        {SMALL "redis e { timeout = 5 }\n", "4: timeout: "},
        {SMALL "redis e { server_appendfsync = eat }\n", "4: server_appendfsync: "},
        {SMALL "redis \"a b\" { url = embedded }\n", "a name is 1 to 24"},
        {"redis r { url = \"redis://:secret@host\" }\n", "1: url: holds a password"},
        {"redis r { url = \"http://host\" }\n", "1: url: must be embedded, redis://"},
        {"redis r { url = \"unix://relative\" }\n", "1: url: unix:// takes an absolute path"},
        {"redis r { url = \"redis://host:0\" }\n", "1: url: \"0\" is not a port"},
        {"redis r { url = \"redis://host/x\" }\n", "1: url: \"x\" is not a database number"},
        {"redis r { url = \"sentinel://host\" }\n", "1: url: names nothing that the Sentinels"},
        {"redis r { url = \"sentinels://a,,b/c\" }\n", "1: url: has no host"},
        {"redis r { url = \"redis://a\" sentinel_password_file = f }\n",
         "1: sentinel_password_file: is for sentinel://"},
        {"redis r { tls_key_file = k }\n", "1: tls_key_file: needs tls_cert_file beside it"},
        {"platoon { log_level = loud }\n", "1: log_level: "},
        {"store s { path = \"never ends }\n", "1: the string that starts here never ends"},
        {"/* never ends\nstore s { path = s.db }\n", "1: the comment that starts here never ends"},
        {"store s { path = * }\n", "1: "},
        {"store s { path = \"a\\0b\" }\n", "1: \"a\\0b\" }: a value cannot hold a NUL byte"},
        {"program p { }\n", "1: command: must be given in program p"},
        {"program p { command = \" \" }\n", "1: command: is empty"},
        {"program p { command = \"sh -c 'x\" }\n", "1: command: a quote does not end"},
        {RUNS "environment = \"A=1 B\" }\n", "1: environment: 'B' is not NAME=value"},
        {RUNS "exit_codes = \"0 256\" }\n", "1: exit_codes: '256' is not"},
        {RUNS "umask = 888 }\n", "1: umask: '888' is not an octal number"},
        {RUNS "umask = 7777 }\n", "1: umask: "},
        {RUNS "ready = soon }\n", "1: ready: 'soon' is none of"},
        {RUNS "ready = \"tcp:localhost\" }\n", "1: ready: "},
        {RUNS "ready = \"tcp:localhost:0\" }\n", "1: ready: "},
        {RUNS "ready = \"unix:relative\" }\n", "1: ready: "},
        {RUNS "ready = exit }\n", "1: ready: exit needs restart"},
        {RUNS "backoff_min = 2s backoff_max = 1s }\n", "1: backoff_min: must not be above"},
        {RUNS "nice = 20 }\n", "1: nice: "},
        {RUNS "memory_max = 1 }\n", "1: memory_max: "},
        {RUNS "}\nsupervisor p { children = p }\n",
         "2: supervisor p: there is a program of that name on line 1"},
        {RUNS "port = json settings = \"a=1 b=2 a=3\" }\n", "1: settings: a is given twice"},
        {RUNS "port = json settings = \"a=1 =2\" }\n", "1: settings: '=2' is not NAME=value"},
        {RUNS "processes = 2 log_file = x.log }\n", "1: log_file: "},
        {RUNS "}\nsupervisor s { children = q }\n",
         "2: children: there is no program or supervisor named q: did you mean"},
        {RUNS "}\nsupervisor s { children = \"p p\" }\n", "2: children: p stands there twice"},
        {RUNS "}\nsupervisor s { children = p }\nsupervisor t { children = p }\n",
         "3: children: p is a child of supervisor s already"},
        {RUNS "}\nsupervisor s { children = \"p t\" }\nsupervisor t { children = s }\n",
         "3: children: supervisor t stands below itself"},
        {"supervisor s { children = s }\n", "1: children: supervisor s stands below itself"},
        {RUNS "}\nredis main { }\nsupervisor redis { children = p }\n",
         "3: supervisor redis: redis is the place of platoon's command: choose another name"},
        {RUNS "}\nsupervisor health { children = p }\n",
         "2: supervisor health: health is the place of platoon's health: choose another name"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        says(cases[i].text, cases[i].says);
}
END_TEST

START_TEST(all_errors_at_once)
{
    says("platoon { log_level = loud }\nstore s { path = s.db cache = none }\nredis d { url = "
         "\"http://host\"\n    send_workers = -1 }\n",
         "1: log_level: ");
    const char *said = buffer_text(&errors);
    ck_assert_ptr_nonnull(strstr(said, ":2: cache: "));
    ck_assert_ptr_nonnull(strstr(said, ":3: url: "));
    ck_assert_ptr_nonnull(strstr(said, ":4: send_workers: "));
    ck_assert_ptr_null(strstr(said, ":5:"));
}
END_TEST

START_TEST(a_missing_key_is_one_error)
{
    says("program p { }\n", "1: command: must be given in program p");
    const char *said = buffer_text(&errors);
    ck_assert_ptr_eq(strchr(said, '\n') + 1, said + strlen(said));
}
END_TEST

START_TEST(a_nearby_name_is_offered)
{
    says(SMALL "redis e { tiemout = 7s }\n", "did you mean timeout");
    says(SMALL "program e { comand = x }\n", "did you mean command");
    says("program visits { command = v }\nsupervisor e { children = visit }\n",
         "did you mean visits?");
}
END_TEST

START_TEST(files_that_are_none)
{
    buffer_clear(&errors);
    ck_assert_ptr_null(config_load("/no/such/file", &errors));
    ck_assert_str_eq(
        buffer_text(&errors),
        "/no/such/file:1: No such file or directory: check the path and its permissions\n");
    buffer_clear(&errors);
    ck_assert_ptr_null(config_load(dir, &errors));
    ck_assert_ptr_nonnull(strstr(buffer_text(&errors), "must be a readable text file"));
    ck_assert_ptr_null(load_bytes("store s {\n path = s.db }\n\0 store", 32));
    ck_assert_ptr_nonnull(strstr(buffer_text(&errors), ":3: holds a NUL byte"));
    struct buffer large = BUFFER_EMPTY;
    while (large.len <= 1024 * 1024)
        buffer_append_text(&large, "# padding that makes the file larger than any configuration\n");
    ck_assert_ptr_null(load_bytes(large.data, large.len));
    ck_assert_ptr_nonnull(strstr(buffer_text(&errors), "larger than 1 MB"));
    buffer_fini(&large);
}
END_TEST

START_TEST(errors_are_bounded)
{
    struct buffer text = BUFFER_EMPTY;
    for (int i = 0; i < 1000; i++)
        buffer_printf(&text, "wrong%d = 1\n", i);
    ck_assert_ptr_null(load_bytes(text.data, text.len));
    size_t lines = 0;
    for (const char *c = buffer_text(&errors); *c != '\0'; c++)
        lines += *c == '\n';
    ck_assert_uint_le(lines, 101);
    ck_assert_uint_ge(lines, 100);
    buffer_fini(&text);
}
END_TEST

/* ---- and back ---- */

START_TEST(what_is_printed_means_the_same)
{
    for (size_t i = 0; i < sizeof config_values / sizeof *config_values; i++) {
        char text[512];
        snprintf(text, sizeof text,
                 "platoon { log_level = debug }\nstore s { path = s.db cache = 3MB }\nredis main { "
                 "url = embedded tls_server_name = %s timeout = 90s }\n"
                 "program p { command = true memory_max = 1GB }\n",
                 config_values[i]);
        prints_the_same(text);
    }
}
END_TEST

/* ---- anything at all ---- */

START_TEST(random_files)
{
    static const char *const pieces[] = {
        "{",     "}",     "=",       "\"",  "'",    "\n",   " ",
        "store", "redis", "d",       "s",   "path", "url",  "send_workers",
        "5",     "#",     "/*",      "*/",  "//",   "${",   "\\",
        ",",     "+=",    "*",       "(",   ")",    "\xff", "platoon",
        "redis", "main",  "timeout", "x.db"};
    reads_anything(SMALL, pieces, sizeof pieces / sizeof *pieces);
}
END_TEST

/* A url's password, and what its query may hold: a token. */
START_TEST(secrets_in_urls_are_not_shown)
{
    static const struct {
        const char *value, *shown;
    } cases[] = {
        {"", ""},
        {"no url: a@b?c=d", "no url: a@b?c=d"},
        {"http://h/key", "http://h/key"},
        {"http://h/key?token=Hunter2", "http://h/key?token=***"},
        {"http://h?a=1&token=x#part", "http://h?a=***&token=***#part"},
        {"http://h/?Hunter2", "http://h/?***"},
        {"redis://me:p@ss@h:1/0", "redis://me:***@h:1/0"},
        {"redis://me@h/0?db=1", "redis://me@h/0?db=1"},
        {"postgresql://u@h/d?sslmode=require&sslpassword=x&passfile=/p",
         "postgresql://u@h/d?sslmode=require&sslpassword=***&passfile=/p"},
        {"A=http://u:p@h/?t=1 B=http://h?t=2 C=3", "A=http://u:***@h/?t=*** B=http://h?t=*** C=3"},
        {"a://?", "a://?"},
        {"://", "://"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer out = BUFFER_EMPTY;
        config_mask(cases[i].value, &out);
        ck_assert_str_eq(buffer_text(&out), cases[i].shown);
        buffer_fini(&out);
    }
}
END_TEST

SUITE_MAIN_WITH("config", set_up, tear_down, secrets_in_urls_are_not_shown, defaults,
                byte_order_marks, values_of_every_type, paths_are_relative_to_the_file,
                errors_name_line_cause_and_remedy, all_errors_at_once, a_missing_key_is_one_error,
                a_nearby_name_is_offered, files_that_are_none, errors_are_bounded,
                what_is_printed_means_the_same, random_files)
