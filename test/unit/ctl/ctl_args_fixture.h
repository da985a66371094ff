/*
 * ctl_args_fixture.h: a command line of platoonctl as one text, parsed.
 *
 * Included by one suite each, which is one process.
 */
#ifndef TEST_UNIT_CTL_CTL_ARGS_FIXTURE_H
#define TEST_UNIT_CTL_CTL_ARGS_FIXTURE_H

#include "master/ctl/ctl_verbs.h"
#include "test/unit/suite.h"

#include <errno.h>
#include <string.h>

#define WORDS_MAX 16

static struct ctl_args args;
static struct buffer why;

/* Parses a command line written with blanks between its words. */
static inline int parse(const char *line)
{
    static char copy[256];
    static char name[] = "platoonctl";
    char *argv[WORDS_MAX] = {name};
    int argc = 1;
    ctl_args_fini(&args);
    buffer_clear(&why);
    ck_assert_uint_lt(strlen(line), sizeof copy);
    strcpy(copy, line);
    for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " ")) {
        ck_assert_int_lt(argc, WORDS_MAX);
        argv[argc++] = word;
    }
    return ctl_args_parse(&args, argc, argv, &why);
}

static inline void teardown(void)
{
    ctl_args_fini(&args);
    buffer_fini(&why);
}

/* A command line that is refused: `said` is part of the one line that says why. */
static inline void expect_refusal(const char *line, const char *said)
{
    ck_assert_int_eq(parse(line), -EINVAL);
    const char *text = buffer_text(&why);
    ck_assert_ptr_nonnull(text);
    ck_assert_msg(strstr(text, said) != NULL, "'%s' says: %s", line, text);
    ck_assert_ptr_null(strchr(text, '\n'));
}

#endif
