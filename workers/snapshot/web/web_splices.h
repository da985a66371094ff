/*
 * web_splices.h: what has changed between two texts, as splices of lines.
 *
 * Runs in the web worker. Pure; by libgit2's diff, all that it is used for here: the repository is the store's.
 * A line includes its \n. A splice [line, removed, text] takes `removed` lines of the old text away, from its line
 * `line` on (0: the first), and puts `text` there. Splices are in ascending order and their positions are the old
 * text's: so they are applied from the last.
 */
#ifndef WORKERS_SNAPSHOT_WEB_SPLICES_H
#define WORKERS_SNAPSHOT_WEB_SPLICES_H

#include "common/buffer.h"

#include <stdbool.h>

/* Above so many bytes, of either text, nothing is compared. */
#define WEB_SPLICES_TEXT_MAX (1024u * 1024)

/* Nor where more lines, of both together, may be others: half a million short ones take two seconds. */
#define WEB_SPLICES_LINES_MAX 100000u

enum web_spliced {
    WEB_SPLICED,
    WEB_SPLICES_LARGE,  /* too much is another, or the splices would be no shorter than the text */
    WEB_SPLICES_BINARY, /* one is no UTF-8 */
    WEB_SPLICES_SHORT,  /* memory is */
};

/* Once before, and once after all; opening takes 8 ms. False: memory is short. */
bool web_splices_open(void);
void web_splices_close(void);

/* Appends the splices as a JSON array. Unless it is WEB_SPLICED nothing was appended. */
enum web_spliced web_splices(struct slice before, struct slice after, struct buffer *out);

#endif
