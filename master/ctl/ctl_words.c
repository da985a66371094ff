/* ctl_words.c: see ctl_words.h. */
#include "master/ctl/ctl_words.h"

#include "master/ctl/ctl_ask.h"

#include <errno.h>
#include <string.h>

/* 1: it was one of the options, whose value is taken; 0: none of them; -EINVAL: without a value. */
static int words_option(struct ctl *c, int *i, const char *const *options, const char **values,
                        const char **on)
{
    int rc = on != NULL ? ctl_args_take(c->args.argv, c->args.argc, i, "--on", on) : 0;
    for (size_t k = 0; rc == 0 && options != NULL && options[k] != NULL; k++)
        rc = ctl_args_take(c->args.argv, c->args.argc, i, options[k], &values[k]);
    return rc;
}

int ctl_words_take(struct ctl *c, const char *const *options, const char **values, const char **on,
                   const char **list, int max, int *count)
{
    *count = 0;
    for (int i = 0; i < c->args.argc; i++) {
        int rc = words_option(c, &i, options, values, on);
        const char *word = c->args.argv[i];
        if (rc == -EINVAL)
            return ctl_fail_usage(c->args.verb, "'%s' needs a value", word);
        if (rc != 0)
            continue;
        if (strncmp(word, "--", 2) == 0 && word[2] != '\0')
            return ctl_fail_usage(c->args.verb, "there is no option '%s'", word);
        if (*count == max)
            return ctl_fail_usage(c->args.verb, "'%s' is a word too much", word);
        list[(*count)++] = word;
    }
    return CONTROL_OK;
}

bool ctl_words_flag(struct ctl *c, const char *flag)
{
    int kept = 0;
    for (int i = 0; i < c->args.argc; i++)
        if (strcmp(c->args.argv[i], flag) != 0)
            c->args.argv[kept++] = c->args.argv[i];
    bool was = kept < c->args.argc;
    c->args.argc = kept;
    return was;
}
