/* program_settings.c: see program_settings.h. */
#include "master/program/program_settings.h"

#include "common/words.h"

#include <errno.h>
#include <inttypes.h>
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

static void program_put(struct program_settings *p, const char *key, const char *value)
{
    p->pairs[p->count++] = (struct config_pair){key, value};
}

/* The key's value with {n} replaced, cut into words behind those that are there; *start is where they begin. */
static int program_split(struct program_settings *p, const char *value, uint64_t number,
                         size_t *start)
{
    struct buffer text = BUFFER_EMPTY;
    config_expand_number(value, number, &text);
    *start = p->words.len;
    int rc =
        buffer_ok(&text) ? words_split(buffer_slice(&text), CONFIG_WORDS_MAX, &p->words) : -ENOMEM;
    buffer_fini(&text);
    return rc < 0 ? rc : 0;
}

/* One pair for each word from `start` to `end`: "command.argv.0" … */
static void program_put_words(struct program_settings *p, const char *key, size_t start, size_t end)
{
    int i = 0;
    for (const char *word = words_next(&p->words, start, NULL);
         word != NULL && word < p->words.data + end; word = words_next(&p->words, start, word)) {
        char *name = p->names[p->name_count++];
        snprintf(name, sizeof p->names[0], "%s.%d", key, i++);
        program_put(p, name, word);
    }
}

static void program_put_signal(struct program_settings *p, const char *name)
{
    for (size_t i = 0; i < sizeof program_signals / sizeof program_signals[0]; i++)
        if (strcmp(program_signals[i].name, name) == 0)
            snprintf(p->stop_signal, sizeof p->stop_signal, "%d", program_signals[i].number);
    program_put(p, "command.stop_signal", p->stop_signal);
}

static void program_put_plain(struct program_settings *p, const struct config_section *program)
{
    for (size_t i = 0; i < sizeof program_plain / sizeof program_plain[0]; i++) {
        const char *value = config_get(program, program_plain[i].key);
        if (value[0] != '\0')
            program_put(p, program_plain[i].setting, value);
    }
}

static void program_put_limits(struct program_settings *p, const struct config_section *program,
                               bool own)
{
    for (size_t i = 0; i < sizeof program_limits / sizeof program_limits[0]; i++) {
        const char *value = config_get(program, program_limits[i].key);
        if (value[0] != '\0')
            program_put(p, own ? program_limits[i].worker : program_limits[i].program, value);
    }
}

/* Each NAME=value among the words from `start` on as own.NAME. */
static void program_put_settings(struct program_settings *p, size_t start)
{
    if (p->words.len == start)
        return;
    for (const char *word = words_next(&p->words, start, NULL); word != NULL;
         word = words_next(&p->words, start, word)) {
        const char *equal = strchr(word, '=');
        char *name = p->names[p->name_count++];
        snprintf(name, sizeof p->names[0], "own.%.*s", (int)(equal - word), word);
        program_put(p, name, equal + 1);
    }
}

/* A custom worker's: its executable, and each NAME=value as own.NAME. */
static int program_settings_own(struct program_settings *p, const struct config_section *program,
                                uint64_t number)
{
    size_t command, environment, settings;
    int rc = program_split(p, config_get(program, "command"), number, &command);
    if (rc == 0)
        rc = program_split(p, config_get(program, "environment"), number, &environment);
    if (rc == 0)
        rc = program_split(p, config_get(program, "settings"), number, &settings);
    if (rc != 0)
        return rc;
    program_put(p, "custom.executable", p->words.data + command);
    program_put_words(p, "limits.env", environment, settings);
    program_put_settings(p, settings);
    program_put(p, "limits.directory", config_get(program, "directory"));
    program_put_limits(p, program, true);
    return 0;
}

static int program_settings_program(struct program_settings *p,
                                    const struct config_section *program, uint64_t number)
{
    size_t command, environment, settings;
    int rc = program_split(p, config_get(program, "command"), number, &command);
    if (rc == 0)
        rc = program_split(p, config_get(program, "environment"), number, &environment);
    if (rc == 0)
        rc = program_split(p, config_get(program, "settings"), number, &settings);
    if (rc != 0)
        return rc;
    program_put_words(p, "command.argv", command, environment);
    program_put_words(p, "command.env", environment, settings);
    program_put_settings(p, settings);
    if (strcmp(config_get(program, "port"), "none") != 0)
        program_put(p, "command.port", config_get(program, "port"));
    program_put(p, "command.dir", config_get(program, "directory"));
    program_put_signal(p, config_get(program, "stop_signal"));
    program_put_plain(p, program);
    program_put_limits(p, program, false);
    config_expand_number(config_get(program, "ready"), number, &p->ready);
    config_expand_number(config_get(program, "log_file"), number, &p->log_file);
    const char *ready = buffer_text(&p->ready), *log_file = buffer_text(&p->log_file);
    program_put(p, "command.ready", ready);
    program_put(p, "command.log_file", log_file);
    return ready != NULL && log_file != NULL ? 0 : -ENOMEM;
}

int program_settings_make(struct program_settings *p, const struct config_section *program,
                          uint64_t number, const struct program_child *child)
{
    *p = (struct program_settings){.count = 0};
    bool own = config_get_u64(program, "worker") != 0;
    int rc = own ? program_settings_own(p, program, number)
                 : program_settings_program(p, program, number);
    if (rc == 0 && child != NULL) {
        program_put(p, "child.owner", child->owner);
        program_put(p, "child.argument", child->argument);
    }
    return rc;
}

void program_settings_fini(struct program_settings *p)
{
    buffer_fini(&p->words);
    buffer_fini(&p->ready);
    buffer_fini(&p->log_file);
}
