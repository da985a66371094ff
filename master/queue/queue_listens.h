/*
 * queue_listens.h: the words of a program's `listens`.
 *
 * Runs in the master and in the tool. Pure.
 */
#ifndef MASTER_QUEUE_QUEUE_LISTENS_H
#define MASTER_QUEUE_QUEUE_LISTENS_H

#include "common/slice.h"
#include "master/config/config.h"

/* Most globs of one program, and letters of one (BACKBONE_GLOBS_MAX, BACKBONE_GLOB_MAX). */
#define QUEUE_LISTENS_MAX 64
#define QUEUE_GLOB_MAX    512

/*
 * "shop/page:*" is the backbone shop and page:*; what does not begin with a backbone's name and a slash is all glob, of
 * the only backbone there is. NULL: there is none, or nobody says which of several. `glob` points into the word.
 */
const struct config_section *queue_listens_word(const struct config *c, const char *word,
                                                struct slice *glob);

#endif
