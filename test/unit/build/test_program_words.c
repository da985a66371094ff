/*
 * test_program_words.c: from `command` in the file to the program's words: the quotes of the file, the quotes of the
 * words, {n}, and where the program is. The table of platoon.conf(5), QUOTING, in test form.
 *
 * ${…} that somebody replaces on the way: process-compose#63, #120, compose#3959.
 */
#include "test/unit/build/tree_build_fixture.h"
#include "test/unit/suite.h"

#include <stdlib.h>

#define WORDS_MAX 4

static const struct {
    const char *command, *words[WORDS_MAX];
} cases[] = {
    {"\"echo a b\"", {"echo", "a", "b"}},
    {"\"echo 'a b'\"", {"echo", "a b"}},
    {"'echo \"a b\"'", {"echo", "a b"}},
    {"\"echo \\\"a b\\\"\"", {"echo", "a b"}},
    {"\"echo a\\\\ b\"", {"echo", "a b"}},
    {"\"echo a\\tb\"", {"echo", "a", "b"}},
    {"'echo a\\b'", {"echo", "ab"}},
    {"\"sh -c 'echo ${HOME} $1'\"", {"sh", "-c", "echo ${HOME} $1"}},
    {"\"sh -c 'echo \\${HOME}'\"", {"sh", "-c", "echo ${HOME}"}},
    {"${HOME}", {"${HOME}"}},
    {"\"echo {n} {{n}} {{{n}}} {m}\"", {"echo", "1", "{n}", "{{n}}"}},
    {"\"/bin/true\"", {"/bin/true"}},
};

START_TEST(a_command_becomes_these_words)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[512], name[32];
        snprintf(text, sizeof text, PLATOON "program p { command = %s }\n", cases[i].command);
        build(text);
        ck_assert_msg(root != NULL, "%s: %s", cases[i].command, buffer_text(&error));
        for (size_t k = 0; k < WORDS_MAX && cases[i].words[k] != NULL; k++) {
            snprintf(name, sizeof name, "command.argv.%zu", k);
            const char *word = setting("p.1", name);
            ck_assert_msg(word != NULL && strcmp(word, cases[i].words[k]) == 0, "%s: %zu is %s",
                          cases[i].command, k, word);
        }
        tree_free(root);
        root = NULL;
        config_free(config);
        config = NULL;
    }
}
END_TEST

START_TEST(a_program_with_a_slash_is_beside_the_file)
{
    char path[600], real[400];
    build(PLATOON "program p { command = \"bin/{n}/run a/b\" processes = 2 directory = /tmp }\n"
                  "program w { command = \"./own\" worker = true }\n");
    ck_assert_ptr_nonnull(realpath(place.dir, real));
    snprintf(path, sizeof path, "%s/bin/2/run", real);
    ck_assert_str_eq(setting("p.2", "command.argv.0"), path);
    ck_assert_str_eq(setting("p.2", "command.argv.1"), "a/b");
    snprintf(path, sizeof path, "%s/./own", real);
    ck_assert_str_eq(find("w.1")->executable, path);
}
END_TEST

SUITE_MAIN_WITH("program_words", start, finish, a_command_becomes_these_words,
                a_program_with_a_slash_is_beside_the_file)
