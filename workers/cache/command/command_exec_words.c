/*
 * command_exec_words.c: a client's transaction as the words of one command, PLATOON.EXEC (command_exec.c).
 *
 * Runs in a cache node of a ring, for the owner of all its keys.
 */
#include "workers/cache/command/command_keys.h"
#include "workers/cache/command/command_transaction.h"

#include "workers/cache/cache_node.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Words, as many as it takes: first how many, then they themselves. Numbers stand in `numbers`. */
struct exec_out {
    struct slice *words; /* NULL: they are counted only */
    size_t count;
    char (*numbers)[EXEC_NUMBER_SIZE];
    size_t number_count;
};

static void exec_put(struct exec_out *out, struct slice word)
{
    if (out->words != NULL)
        out->words[out->count] = word;
    out->count++;
}

static void exec_put_number(struct exec_out *out, uint64_t number)
{
    char *text = out->words != NULL ? out->numbers[out->number_count] : NULL;
    if (text != NULL)
        snprintf(text, EXEC_NUMBER_SIZE, "%" PRIu64, number);
    exec_put(out, slice_of(text != NULL ? text : ""));
    out->number_count++;
}

static void exec_put_keys(const struct cache_client *c, struct exec_out *out)
{
    struct command_keys keys;
    struct slice key;
    size_t count = 0;
    command_keys_start_all(&keys, c, command_find(c->node->commands->table, slice_of("exec")), NULL,
                           0);
    while (command_keys_next(&keys, &key))
        count++;
    exec_put_number(out, count);
    command_keys_start_all(&keys, c, command_find(c->node->commands->table, slice_of("exec")), NULL,
                           0);
    while (command_keys_next(&keys, &key))
        exec_put(out, key);
}

static void exec_put_all(const struct cache_client *c, struct exec_out *out)
{
    size_t watched = 0;
    exec_put(out, slice_of(COMMAND_EXEC_NAME));
    exec_put_keys(c, out);
    for (const struct cache_seen *s = c->seen; s != NULL; s = s->next)
        watched++;
    exec_put_number(out, watched);
    for (const struct cache_seen *s = c->seen; s != NULL; s = s->next) {
        exec_put(out, s->key);
        exec_put_number(out, s->version);
    }
    for (const struct command_queued *q = c->queued != NULL ? c->queued->first : NULL; q != NULL;
         q = q->next) {
        exec_put_number(out, q->count);
        for (size_t i = 0; i < q->count; i++)
            exec_put(out, q->words[i]);
    }
}

struct command_queued *command_exec_words(const struct cache_client *c)
{
    struct exec_out out = {0};
    exec_put_all(c, &out);
    struct slice *words = calloc(out.count, sizeof *words);
    out.numbers = calloc(out.number_count, sizeof *out.numbers);
    out.words = words;
    out.count = out.number_count = 0;
    struct command_queued *q = NULL;
    if (words != NULL && out.numbers != NULL) {
        exec_put_all(c, &out);
        q = command_queued_new(command_find(c->node->commands->table, slice_of(COMMAND_EXEC_NAME)),
                               words, out.count);
    }
    free(words);
    free(out.numbers);
    return q;
}
