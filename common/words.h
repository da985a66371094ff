/*
 * words.h: cuts a line into words, as a shell would that knows quotes and nothing else.
 *
 * Runs in the master (commands and lists of the configuration), and in workers that are told such lists. Pure. No
 * variables, no globs, no operators: who wants those runs sh -c '…'. wordexp(3) was rejected: it expands globs and
 * variables where the master happens to be started, and refuses plain braces.
 */
#ifndef COMMON_WORDS_H
#define COMMON_WORDS_H

#include "common/buffer.h"

/*
 * Appends each word of `text` to `out`, with a NUL behind it. Blanks separate; 'a b' and "a b" are one word; a
 * backslash takes the next character as it is, outside of single quotes. Returns the number of words, or -EINVAL when a
 * quote does not end or a backslash is the last character, -E2BIG above `max` words, -ENOMEM; `out` is as before then.
 */
int words_split(struct slice text, size_t max, struct buffer *out);

/*
 * Appends the value with every {n} replaced by the number (of a process, of a node), and {{n}} by {n}. True when there
 * was one to replace.
 */
bool words_expand_number(const char *value, uint64_t number, struct buffer *out);

/* The word after this one (NULL: the first of the buffer that words_split filled from `start` on); NULL at the end. */
const char *words_next(const struct buffer *words, size_t start, const char *word);

#endif
