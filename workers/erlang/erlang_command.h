/*
 * erlang_command.h: a Redis command as a term, and its reply as one.
 *
 * Runs in erlang workers. Pure. A command is a list of words: [set, "walrus", <<"bubbles">>]. An atom is its text, a
 * number its digits, a string, a binary, or a list of these and of bytes (iodata), its bytes.
 */
#ifndef WORKERS_ERLANG_COMMAND_H
#define WORKERS_ERLANG_COMMAND_H

#include "common/buffer.h"
#include "common/redis/redis_reader.h"

struct erlang_command {
    size_t count;
    struct slice *words;
    struct buffer bytes; /* of all of them */
};

/*
 * 0, and the caller calls erlang_command_fini; or, nothing to be freed, -EINVAL: it is no command, -ENOMEM. `why` is
 * one line then.
 */
int erlang_command_read(struct slice term, struct erlang_command *c, const char **why);
void erlang_command_fini(struct erlang_command *c);

/*
 * Appends {ok, Reply}, or {error, Text} for an error of Redis': texts and bulk strings are binaries, nil is undefined.
 * A reply that would have more than `max` bytes, or is nested deeper than anything Redis has, is {error, Text} as well.
 */
void erlang_command_answer(struct buffer *out, const redisReply *reply, size_t max);

/* Appends {error, Text}. */
void erlang_command_error(struct buffer *out, const char *text);

#endif
