/*
 * erlang_answer.h: what a cache node answers to a get (CACHE.md, Calls).
 *
 * Runs in erlang workers. Pure. As nodes write it, it is taken apart without reading the value as JSON: jansson needs
 * several times as long for a large one as all else together. Whatever else means the same is read by jansson.
 */
#ifndef WORKERS_ERLANG_ANSWER_H
#define WORKERS_ERLANG_ANSWER_H

#include "workers/erlang/erlang_value.h"

/*
 * *found: whether there is such an object, then its value, a part of `text` or of `room`, and its form. False: it is no
 * such answer, or memory is short.
 */
bool erlang_answer_read(struct slice text, struct buffer *room, bool *found, struct slice *value,
                        enum erlang_form *form);

#endif
