/* program_settings.c: see program_settings.h. */
#include "master/program/program_settings.h"

#include "common/words.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

/* Keys that go to the worker as they stand; empty ones do not go at all. */
static const struct {
    const char *key, *setting;
} program_plain[] = {
    {"exit_codes", "command.exit_codes"},
    {"log_rotate_size", "command.log_rotate_size"},
    {"log_keep", "command.log_keep"},
};

/* The program's, or the worker's own when there is no program between it and us. */
static const struct {
    const char *key, *program, *worker;
} program_limits[] = {
#define LIMIT(key)                                                                                 \
    {                                                                                              \
        key, "command." key, "limits." key                                                         \
    }
    LIMIT("user"),     LIMIT("group"),        LIMIT("umask"),
    LIMIT("nice"),     LIMIT("memory_max"),   LIMIT("files_max"),
    LIMIT("core_max"), LIMIT("no_new_privs"), LIMIT("memory_restart"),
#undef LIMIT
};

static const struct {
    const char *name;
    int number;
} program_signals[] = {{"TERM", SIGTERM}, {"INT", SIGINT},   {"QUIT", SIGQUIT}, {"HUP", SIGHUP},
                       {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"KILL", SIGKILL}};

/* The key's value with {n} replaced, cut into words. */
static int program_split(const char *value, uint64_t number, struct buffer *words)
{
    struct buffer text = BUFFER_EMPTY;
    words_expand_number(value, number, &text);
    buffer_clear(words);
    int rc = buffer_ok(&text) ? words_split(buffer_slice(&text), CONFIG_WORDS_MAX, words) : -ENOMEM;
    buffer_fini(&text);
    return rc < 0 ? rc : 0;
}

/* One setting for each word: "command.argv.0" … */
static void program_put_each(struct config_extras *e, const struct buffer *words,
                             const char *setting)
{
    int i = 0;
    for (const char *word = words_next(words, 0, NULL); word != NULL;
         word = words_next(words, 0, word)) {
        char name[48];
        snprintf(name, sizeof name, "%s.%d", setting, i++);
        config_extras_add(e, name, word);
    }
}

static int program_put_words(struct config_extras *e, const struct config_section *program,
                             const char *key, uint64_t number, const char *setting)
{
    struct buffer words = BUFFER_EMPTY;
    int rc = program_split(config_get(program, key), number, &words);
    if (rc == 0)
        program_put_each(e, &words, setting);
    buffer_fini(&words);
    return rc;
}

static int program_put_command(struct config_extras *e, const struct config *c,
                               const struct config_section *program, uint64_t number)
{
    struct buffer words = BUFFER_EMPTY;
    int rc = config_program_command(c, program, number, &words);
    if (rc > 0)
        program_put_each(e, &words, "command.argv");
    buffer_fini(&words);
    return rc < 0 ? rc : 0;
}

/* Each NAME=value of `settings` as own.NAME. */
static int program_put_own(struct config_extras *e, const struct config_section *program,
                           uint64_t number)
{
    struct buffer words = BUFFER_EMPTY, name = BUFFER_EMPTY;
    int rc = program_split(config_get(program, "settings"), number, &words);
    for (const char *word = rc == 0 ? words_next(&words, 0, NULL) : NULL; word != NULL;
         word = words_next(&words, 0, word)) {
        const char *equal = strchr(word, '=');
        buffer_clear(&name);
        buffer_printf(&name, "own.%.*s", (int)(equal - word), word);
        if (buffer_text(&name) != NULL)
            config_extras_add(e, name.data, equal + 1);
        else
            e->failed = true;
    }
    buffer_fini(&name);
    buffer_fini(&words);
    return rc;
}

static void program_put_signal(struct config_extras *e, const char *name)
{
    char number[12] = "";
    for (size_t i = 0; i < sizeof program_signals / sizeof program_signals[0]; i++)
        if (strcmp(program_signals[i].name, name) == 0)
            snprintf(number, sizeof number, "%d", program_signals[i].number);
    config_extras_add(e, "command.stop_signal", number);
}

static void program_put_plain(struct config_extras *e, const struct config_section *program)
{
    for (size_t i = 0; i < sizeof program_plain / sizeof program_plain[0]; i++) {
        const char *value = config_get(program, program_plain[i].key);
        if (value[0] != '\0')
            config_extras_add(e, program_plain[i].setting, value);
    }
}

static void program_put_limits(struct config_extras *e, const struct config_section *program,
                               bool own)
{
    for (size_t i = 0; i < sizeof program_limits / sizeof program_limits[0]; i++) {
        const char *value = config_get(program, program_limits[i].key);
        if (value[0] != '\0')
            config_extras_add(e, own ? program_limits[i].worker : program_limits[i].program, value);
    }
}

static void program_put_expanded(struct config_extras *e, const struct config_section *program,
                                 const char *key, uint64_t number, const char *setting)
{
    struct buffer text = BUFFER_EMPTY;
    words_expand_number(config_get(program, key), number, &text);
    if (buffer_text(&text) != NULL)
        config_extras_add(e, setting, text.data);
    else
        e->failed = true;
    buffer_fini(&text);
}

/* A custom worker's: its executable, and each NAME=value as own.NAME. */
static int program_settings_own(struct config_extras *e, const struct config *c,
                                const struct config_section *program, uint64_t number)
{
    struct buffer words = BUFFER_EMPTY;
    int rc = config_program_command(c, program, number, &words);
    if (rc > 0)
        config_extras_add(e, "custom.executable", words.data);
    buffer_fini(&words);
    if (rc >= 0)
        rc = program_put_words(e, program, "environment", number, "limits.env");
    if (rc == 0)
        rc = program_put_own(e, program, number);
    config_extras_add(e, "limits.directory", config_get(program, "directory"));
    program_put_limits(e, program, true);
    return rc;
}

static int program_settings_program(struct config_extras *e, const struct config *c,
                                    const struct config_section *program, uint64_t number)
{
    int rc = program_put_command(e, c, program, number);
    if (rc == 0)
        rc = program_put_words(e, program, "environment", number, "command.env");
    if (rc == 0)
        rc = program_put_own(e, program, number);
    if (strcmp(config_get(program, "port"), "none") != 0)
        config_extras_add(e, "command.port", config_get(program, "port"));
    config_extras_add(e, "command.dir", config_get(program, "directory"));
    program_put_signal(e, config_get(program, "stop_signal"));
    program_put_plain(e, program);
    program_put_limits(e, program, false);
    program_put_expanded(e, program, "ready", number, "command.ready");
    program_put_expanded(e, program, "log_file", number, "command.log_file");
    return rc;
}

int program_settings_make(struct config_extras *e, const struct config *c,
                          const struct config_section *program, uint64_t number,
                          const struct program_child *child)
{
    bool own = config_get_u64(program, "worker") != 0;
    int rc = own ? program_settings_own(e, c, program, number)
                 : program_settings_program(e, c, program, number);
    if (child != NULL) {
        config_extras_add(e, "child.owner", child->owner);
        config_extras_add(e, "child.argument", child->argument);
    }
    return rc != 0 ? rc : e->failed ? -ENOMEM : 0;
}

/* ---- other systems' sections ---- */

struct client {
    struct config_extras *e;
    const struct config_section *s;
    const char *prefix;
    char name[48]; /* of a setting */
};

static const char *client_name(struct client *c, const char *what)
{
    snprintf(c->name, sizeof c->name, "%s.%s", c->prefix, what);
    return c->name;
}

/* Those of no_new_privs and its sisters that such a section has. */
static void client_put_limits(struct client *c)
{
    for (size_t i = 0; i < sizeof program_limits / sizeof program_limits[0]; i++) {
        const char *value = config_get(c->s, program_limits[i].key);
        if (value != NULL && value[0] != '\0')
            config_extras_add(c->e, client_name(c, program_limits[i].key), value);
    }
}

int program_settings_foreign(struct config_extras *e, const struct config *c,
                             const struct config_section *s, const char *prefix)
{
    struct client client = {.e = e, .s = s, .prefix = prefix};
    struct buffer words = BUFFER_EMPTY;
    int rc = config_program_words(c, slice_of(config_get(s, "command")), &words);
    if (rc > 0)
        program_put_each(e, &words, client_name(&client, "argv"));
    buffer_clear(&words);
    if (rc >= 0)
        rc = words_split(slice_of(config_get(s, "environment")), CONFIG_WORDS_MAX, &words);
    if (rc > 0)
        program_put_each(e, &words, client_name(&client, "env"));
    buffer_fini(&words);
    config_extras_add(e, client_name(&client, "dir"), config_get(s, "directory"));
    client_put_limits(&client);
    return rc < 0 ? rc : e->failed ? -ENOMEM : 0;
}
