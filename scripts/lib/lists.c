/*
 * lists.c: prints the lists of all systems (proto/systems.h), and the runtime's own beside them, as JSON.
 *
 * Runs on the machine that builds, at build time. What reads a list and is not C reads this: the embedder, lint, `make
 * docs`. One object of arrays; each entry has its system and its columns by name, as text. `lists scripts SYSTEM`
 * prints one line a script instead, "name file parts", for the embedder, which is a shell script.
 */
#include "master/ctl/ctl_args.h"
#include "proto/contract.h"
#include "proto/control.h"
#include "proto/link.h"
#include "proto/systems.h"

#include <stdio.h>
#include <string.h>

static const char *lists_system;
static int lists_entries;

static void lists_text(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        putchar(*text);
    }
    putchar('"');
}

static void lists_field(const char *name, const char *value)
{
    printf(", \"%s\": ", name);
    lists_text(value);
}

/* `names` and `values` are columns, in order. */
static void lists_entry(const char *const *names, const char *const *values, int count)
{
    printf("%s    {\"system\": ", lists_entries++ > 0 ? ",\n" : "\n");
    lists_text(lists_system);
    for (int i = 0; i < count; i++)
        lists_field(names[i], values[i]);
    putchar('}');
}

#define LISTS_ENTRY(names, ...)                                                                    \
    lists_entry(names, (const char *const[]){__VA_ARGS__}, (int)(sizeof names / sizeof names[0]));

static void lists_begin(const char *list)
{
    static int lists;
    printf("%s  \"%s\": [", lists++ > 0 ? ",\n" : "", list);
    lists_entries = 0;
    lists_system = "core";
}

static void lists_of_the_systems(void)
{
    lists_begin("systems");
#undef SYSTEM
#define SYSTEM(name, ...)                                                                          \
    lists_system = #name;                                                                          \
    lists_entry(NULL, NULL, 0);
#define X(...)
    SYSTEMS(SECTIONS, X)
#undef X
    printf("]");
}

/* From here on each system's entries are behind its name. */
#undef SYSTEM
#define SYSTEM(name, ...)                                                                          \
    lists_system = #name;                                                                          \
    __VA_ARGS__

static void lists_of_the_configuration(void)
{
    static const char *const sections[] = {"kind", "word", "heads", "example", "what"};
    static const char *const keys[] = {"kind", "key", "type",   "default",
                                       "min",  "max", "reload", "help"};
    static const char *const settings[] = {"setting"};
    lists_begin("sections");
#define X(KIND, word, HEADS, example, what)                                                        \
    LISTS_ENTRY(sections, #KIND, word, #HEADS, example, what)
    SYSTEMS(SECTIONS, X)
#undef X
    printf("]");
    lists_begin("keys");
#define X(KIND, key, TYPE, preset, min, max, RELOAD, help)                                         \
    LISTS_ENTRY(keys, #KIND, key, #TYPE, preset, #min, #max, #RELOAD, help)
    SYSTEMS(KEYS, X)
#undef X
    printf("]");
    lists_begin("settings");
#define X(setting) LISTS_ENTRY(settings, setting)
    SYSTEMS(SETTINGS, X)
#undef X
    printf("]");
}

static void lists_of_the_workers(void)
{
    static const char *const types[] = {"name", "type", "kind",        "when",
                                        "runs", "path", "workers_key", "help"};
    static const char *const messages[] = {"number", "name", "doc"};
    static const char *const counters[] = {"name", "counter", "kind", "help"};
    static const char *const scripts[] = {"name", "symbol", "file", "parts"};
    (void)scripts; /* nobody has to have any */
    lists_begin("types");
#define X(NAME, type, KIND, WHEN, RUNS, path, key, doc)                                            \
    LISTS_ENTRY(types, #NAME, type, #KIND, #WHEN, #RUNS, path, key, doc)
    SYSTEMS(TYPES, X)
#undef X
    printf("]");
    lists_begin("messages");
#define X(number, NAME, name, doc) LISTS_ENTRY(messages, #number, #NAME, doc)
    SYSTEMS(MESSAGES, X)
#undef X
    printf("]");
    lists_begin("counters");
#define X(NAME, name, KIND, help) LISTS_ENTRY(counters, #NAME, name, #KIND, help)
    SYSTEMS(COUNTERS, X)
#undef X
    printf("]");
    static const char *const histograms[] = {"name", "histogram", "help"};
    (void)histograms; /* nobody has to have any */
    lists_begin("histograms");
#define X(NAME, name, help) LISTS_ENTRY(histograms, #NAME, name, help)
    SYSTEMS(HISTOGRAMS, X)
#undef X
    printf("]");
    static const char *const rights[] = {"kind", "command", "need", "tried"};
    (void)rights;
    lists_begin("rights");
#define X(KIND, command, NEED, tried) LISTS_ENTRY(rights, #KIND, command, #NEED, tried)
    SYSTEMS(RIGHTS, X)
#undef X
    printf("]");
    lists_begin("scripts");
#define X(NAME, name, file, parts) LISTS_ENTRY(scripts, #NAME, #name, file, parts)
    SYSTEMS(SCRIPTS, X)
#undef X
    printf("]");
}

static void lists_of_the_tool(void)
{
    static const char *const verbs[] = {"name", "words", "min",     "max",
                                        "time", "group", "grammar", "help"};
    static const char *const asks[] = {"type", "verb", "look", "arguments", "answer"};
    static const char *const statuses[] = {"name", "code", "meaning"};
    lists_begin("verbs");
#define X(NAME, name, words, min, max, TIME, GROUP, grammar, help)                                 \
    LISTS_ENTRY(verbs, #NAME, words, #min, #max, #TIME, #GROUP, grammar, help)
    SYSTEMS(VERBS, X)
#undef X
    printf("]");
    lists_begin("asks");
#define X(type, verb, LOOK, arguments, answer)                                                     \
    LISTS_ENTRY(asks, type, verb, #LOOK, arguments, answer)
    SYSTEMS(ASKS, X)
#undef X
    printf("]");
    lists_begin("statuses");
#define X(NAME, code, meaning) LISTS_ENTRY(statuses, #NAME, #code, meaning)
    CONTROL_STATUS_LIST(X)
#undef X
    printf("]");
    lists_begin("exits");
#define X(NAME, code, meaning) LISTS_ENTRY(statuses, #NAME, #code, meaning)
    CONTRACT_EXIT_LIST(X)
#undef X
    printf("]");
    lists_begin("options");
    static const char *const options[] = {"name", "short", "long", "value", "help"};
#define X(NAME, short_name, long_name, value, help)                                                \
    LISTS_ENTRY(options, #NAME, short_name, long_name, value, help)
    CTL_OPTION_LIST(X)
#undef X
    printf("]");
    lists_begin("link_messages");
    static const char *const messages[] = {"number", "name", "doc"};
#define X(number, NAME, name, doc) LISTS_ENTRY(messages, #number, #NAME, doc)
    LINK_LIST(X)
#undef X
    printf("]");
}

static void lists_scripts(const char *system)
{
    (void)system;
#define X(NAME, name, file, parts)                                                                 \
    if (strcmp(lists_system, system) == 0)                                                         \
        printf("%s %s %s\n", #name, file, parts);
    SYSTEMS(SCRIPTS, X)
#undef X
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "scripts") == 0) {
        lists_scripts(argv[2]);
        return 0;
    }
    if (argc != 1) {
        fprintf(stderr, "usage: lists [scripts SYSTEM]\n");
        return 2;
    }
    printf("{\n");
    lists_of_the_systems();
    lists_of_the_configuration();
    lists_of_the_workers();
    lists_of_the_tool();
    printf("\n}\n");
    return 0;
}
