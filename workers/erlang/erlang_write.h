/*
 * erlang_write.h: terms in Erlang's external format, written into a buffer.
 *
 * Runs in erlang workers. Pure; failure is the buffer's (buffer_ok). The caller counts: behind the head of a tuple or a
 * list as many terms as it says, and behind those of a list its tail (erlang_write_nil).
 */
#ifndef WORKERS_ERLANG_WRITE_H
#define WORKERS_ERLANG_WRITE_H

#include "common/buffer.h"

void erlang_write_version(struct buffer *out);
void erlang_write_tuple(struct buffer *out, unsigned arity); /* at most 255 */
void erlang_write_list(struct buffer *out, uint32_t count);  /* at least 1 */
void erlang_write_nil(struct buffer *out);

/* At most 255 bytes of UTF-8. */
void erlang_write_atom(struct buffer *out, struct slice text);

void erlang_write_i64(struct buffer *out, int64_t value);
void erlang_write_binary(struct buffer *out, struct slice bytes);

/* Bytes as a string of whatever length, as an Erlang node writes it: from 65536 on a list of them. */
void erlang_write_string(struct buffer *out, struct slice bytes);

/* A process of the node of this name. */
void erlang_write_pid(struct buffer *out, struct slice node, uint32_t id, uint32_t serial,
                      uint32_t creation);

#endif
