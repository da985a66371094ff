/*
 * ctl_words.h: the words behind a verb, and the verb's own options among them.
 *
 * Runs in platoonctl. For verbs whose options may stand anywhere (ctl_args.h has the tool's).
 */
#ifndef MASTER_CTL_CTL_WORDS_H
#define MASTER_CTL_CTL_WORDS_H

#include "master/ctl/ctl.h"

/*
 * Of each option of `options` (NULL at its end; may be NULL) the value into `values`; `--on`'s into *on, where that is
 * not NULL; all other words into `list`, at most `max`. 0, or the exit code, the reason printed.
 */
int ctl_words_take(struct ctl *c, const char *const *options, const char **values, const char **on,
                   const char **list, int max, int *count);

/* A word that stands for itself ("--raw"), anywhere: taken out of the verb's words. True: it was there. */
bool ctl_words_flag(struct ctl *c, const char *flag);

#endif
