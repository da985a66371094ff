/* test_config.c: a configuration file from text to values, errors and back (master/config.h, PROTOCOL.md; libconfuse's traps: FACTS.md 9). */
#include "master/config/config.h"
#include "master/config/config_key.h"
#include "test/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[] = "/tmp/config.XXXXXX";
static char path[64];
static struct buffer errors;

static void set_up(void)
{
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/c", dir);
}

static void tear_down(void)
{
    unlink(path);
    rmdir(dir);
    buffer_fini(&errors);
}

static struct config *load_bytes(const char *text, size_t len)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text, 1, len, file), len);
    fclose(file);
    buffer_clear(&errors);
    return config_load(path, &errors);
}

static struct config *load(const char *text)
{
    return load_bytes(text, strlen(text));
}

static struct config *load_good(const char *text)
{
    struct config *c = load(text);
    ck_assert_msg(c != NULL, "%s\n%s", text, buffer_text(&errors));
    ck_assert_uint_eq(errors.len, 0);
    return c;
}

#define SMALL                                                                                      \
    "store s { path = s.db }\nredis main { url = embedded }\ndrain d { set = \"a:b\" store = s "   \
    "}\n"

/* ---- what is right ---- */

START_TEST(defaults)
{
    struct config *c = load_good(SMALL);
    const struct config_section *d = config_section_find(c, CONFIG_DRAIN, "d");
    for (int k = 0; k < CONFIG_KEY_COUNT; k++)
        if (config_keys[k].kind == CONFIG_DRAIN)
            ck_assert_ptr_nonnull(config_get(d, config_keys[k].name));
    ck_assert_str_eq(config_get(d, "set"), "a:b");
    ck_assert_str_eq(config_get(d, "consume"), "take");
    ck_assert_uint_eq(config_get_u64(d, "lease"), 30000);
    ck_assert_uint_eq(config_get_u64(d, "get_hash.workers"), 2);
    ck_assert_ptr_null(config_get(d, "no_such_key"));
    ck_assert_str_eq(config_get(config_platoon(c), "log_level"), "info");
    ck_assert_ptr_null(config_section_find(c, CONFIG_DRAIN, "e"));
    ck_assert_ptr_null(config_section_at(c, CONFIG_DRAIN, 1));
    ck_assert_str_eq(config_path(c), path);
    config_free(c);
    config_free(NULL);
}
END_TEST

START_TEST(values_of_every_type)
{
    static const struct {
        const char *text, *key, *value;
    } cases[] = {
        {"lease = 90s", "lease", "90000"},
        {"lease = 1500", NULL, NULL},
        {"lease = 2m", "lease", "120000"},
        {"batch = 1", "batch", "1"},
        {"batch = 5000", "batch", "5000"},
        {"consume = keep", "consume", "keep"},
        {"consume = \"keep\"", "consume", "keep"},
        {"key = '{a}\"$x'", "key", "{a}\"$x"},
        {"key = \"a\\\"b\\\\c\"", "key", "a\"b\\c"},
        {"key = \"\\x41\\102\"", "key", "AB"},
        {"record_max = 1MB", "record_max", "1048576"},
        {"get_hash { workers = 3 }", "get_hash.workers", "3"},
        {"get_hash { workers = 3 window = 8MB }", "get_hash.window", "8388608"},
        {"// a comment\n # another\n /* and\n one */ batch = 7", "batch", "7"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[512];
        snprintf(text, sizeof text,
                 "store s { path = s.db }\nredis main { url = embedded }\ndrain d { set = x store "
                 "= s %s }\n",
                 cases[i].text);
        struct config *c = load(text);
        if (cases[i].key == NULL) {
            ck_assert_msg(c == NULL, "%s", cases[i].text);
            continue;
        }
        ck_assert_msg(c != NULL, "%s: %s", cases[i].text, buffer_text(&errors));
        ck_assert_str_eq(config_get(config_section_find(c, CONFIG_DRAIN, "d"), cases[i].key),
                         cases[i].value);
        config_free(c);
    }
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

static void says(const char *text, const char *wanted)
{
    struct config *c = load(text);
    ck_assert_msg(c == NULL, "accepted: %s", text);
    struct buffer stripped = BUFFER_EMPTY;
    const char *said = buffer_text(&errors);
    for (const char *line = said; *line != '\0'; line = strchr(line, '\n') + 1) {
        ck_assert_msg(strncmp(line, path, strlen(path)) == 0 && line[strlen(path)] == ':', "%s",
                      said);
        const char *rest = line + strlen(path) + 1;
        buffer_append(&stripped, rest, (size_t)(strchr(rest, '\n') + 1 - rest));
    }
    ck_assert_msg(strstr(buffer_text(&stripped), wanted) != NULL, "%s\n-- says\n%s-- and not\n%s",
                  text, buffer_text(&stripped), wanted);
    buffer_fini(&stripped);
}

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
        {SMALL "drain e { set = x store = t }\n", "4: store: there is no store section named t: "},
        {SMALL "drain e { set = x store = s batch = 0 }\n", "4: batch: "},
        {SMALL "drain e { set = x store = s batch = many }\n", "4: batch: "},
        {SMALL "drain e { set = x store = s lease = 5 }\n", "4: lease: "},
        {SMALL "drain e { set = x store = s consume = eat }\n", "4: consume: "},
        {SMALL "drain e { set = x store = s key = \"{a\" }\n", "4: key: a template holds"},
        {SMALL "drain e { set = x store = s key = \"a}\" }\n", "4: key: a template holds"},
        {SMALL "drain server { set = x store = s }\n",
         "redis/server is the embedded server's name"},
        {SMALL "drain \"a b\" { set = x store = s }\n", "a name is 1 to 24"},
        {SMALL "drain e { set = x store = s poll_min = 2s poll_max = 1s }\n",
         "poll_min: must not be above poll_max"},
        {"redis r { url = \"redis://:secret@host\" }\n", "1: url: holds a password"},
        {"redis r { url = \"http://host\" }\n", "1: url: must be embedded, redis://"},
        {"redis r { url = \"unix://relative\" }\n", "1: url: unix:// takes an absolute path"},
        {"redis r { tls_key_file = k }\n", "1: tls_key_file: needs tls_cert_file beside it"},
        {"platoon { log_level = loud }\n", "1: log_level: "},
        {"store s { path = \"never ends }\n", "1: the string that starts here never ends"},
        {"/* never ends\nstore s { path = s.db }\n", "1: the comment that starts here never ends"},
        {"store s { path = * }\n", "1: "},
        {"store s { path = \"a\\0b\" }\n", "1: \"a\\0b\" }: a value cannot hold a NUL byte"},
        {"store s { path = \"${HOME\" }\n", "its ${ is never closed"},
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

START_TEST(a_missing_key_is_one_error)
{
    says("program p { }\n", "1: command: must be given in program p");
    const char *said = buffer_text(&errors);
    ck_assert_ptr_eq(strchr(said, '\n') + 1, said + strlen(said));
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
    ck_assert_ptr_null(load_bytes("store s {\n path = s.db }\n\0 drain", 32));
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

static void same(const struct config *a, const struct config *b)
{
    for (enum config_kind kind = 0; kind < CONFIG_KIND_COUNT; kind++) {
        for (size_t i = 0;; i++) {
            const struct config_section *x = config_section_at(a, kind, i),
                                        *y = config_section_at(b, kind, i);
            ck_assert_int_eq(x == NULL, y == NULL);
            if (x == NULL)
                break;
            ck_assert_str_eq(config_title(x), config_title(y));
            for (int k = 0; k < CONFIG_KEY_COUNT; k++)
                if (config_keys[k].kind == kind)
                    ck_assert_msg(strcmp(config_get(x, config_keys[k].name),
                                         config_get(y, config_keys[k].name)) == 0,
                                  "%s: %s, %s", config_keys[k].name,
                                  config_get(x, config_keys[k].name),
                                  config_get(y, config_keys[k].name));
        }
    }
}

START_TEST(what_is_printed_means_the_same)
{
    static const char *const values[] = {
        "plain",
        "\"two words\"",
        "'$x'",
        "'${HOME}'",
        "\"quote \\\" back \\\\ slash\"",
        "'a\\b'",
        "\"tab\\tnew\\nline\"",
        "'{app}/{session|none}'",
        "\"it's\"",
        "'#no comment'",
        "'// none'",
        "\"\\x01\"",
        "'*'",
        "\"ä€\"",
    };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char text[512];
        snprintf(
            text, sizeof text,
            "platoon { log_level = debug }\nstore s { path = s.db cache = 3MB }\nredis main { url "
            "= embedded }\ndrain d { set = %s store = s lease = 90s get_hash { workers = 5 } }\n"
            "program p { command = true memory_max = 1GB }\n",
            values[i]);
        struct config *c = load_good(text);
        struct buffer printed = BUFFER_EMPTY;
        config_print(c, &printed);
        struct config *again = load(buffer_text(&printed));
        ck_assert_msg(again != NULL, "%s\n%s\n%s", values[i], buffer_text(&printed),
                      buffer_text(&errors));
        same(c, again);
        config_free(c);
        config_free(again);
        buffer_fini(&printed);
    }
}
END_TEST

/* ---- anything at all ---- */

START_TEST(random_files)
{
    static const char *const pieces[] = {
        "{",     "}",  "=",    "\"",      "'",        "\n",      " ",     "store",
        "drain", "d",  "s",    "path",    "get_hash", "workers", "5",     "#",
        "/*",    "*/", "//",   "${",      "\\",       ",",       "+=",    "*",
        "(",     ")",  "\xff", "platoon", "redis",    "main",    "batch", "x.db"};
    srand(12);
    for (int round = 0; round < 1500; round++) {
        struct buffer text = BUFFER_EMPTY;
        if (rand() % 2)
            buffer_append_text(&text, SMALL);
        for (int k = rand() % 30; k > 0; k--) {
            const char *piece = pieces[(size_t)rand() % (sizeof pieces / sizeof *pieces)];
            buffer_append_text(&text, piece);
            if (rand() % 2)
                buffer_append_char(&text, ' ');
        }
        for (int k = rand() % 3; k > 0 && text.len > 0; k--)
            text.data[(size_t)rand() % text.len] = (char)(1 + rand() % 255);
        struct config *c = load_bytes(text.data != NULL ? text.data : "", text.len);
        ck_assert_msg((c == NULL) == (errors.len > 0), "%.*s\n%s", (int)text.len, text.data,
                      buffer_text(&errors));
        config_free(c);
        buffer_fini(&text);
    }
}
END_TEST

SUITE_MAIN_WITH("config", set_up, tear_down, defaults, values_of_every_type,
                paths_are_relative_to_the_file, errors_name_line_cause_and_remedy,
                all_errors_at_once, a_missing_key_is_one_error, a_nearby_name_is_offered,
                files_that_are_none, errors_are_bounded, what_is_printed_means_the_same,
                random_files)
