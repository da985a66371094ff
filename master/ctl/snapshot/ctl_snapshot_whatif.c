/*
 * ctl_snapshot_whatif.c: the verb that asks what a resource would be if others were these files. See ctl_snapshot.h.
 *
 * What is given goes there in pieces, as a version that is put does, and so comes the answer.
 */
#include "common/clock.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/ctl_verbs.h"
#include "master/ctl/snapshot/ctl_snapshot.h"
#include "proto/snapshot/snapshot_limits.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct whatif {
    const char *resource, *at;
    const char *with[SNAPSHOT_GIVEN_MAX]; /* NAME=FILE */
    size_t count;
    char store[CONTRACT_NAME_MAX];
    char id[CTL_SNAPSHOT_ID_SIZE];
};

/* ---- the words ---- */

static int whatif_word(struct ctl *c, int *i, struct whatif *q)
{
    const char *word = c->args.argv[*i], *with = NULL;
    int rc = ctl_args_take(c->args.argv, c->args.argc, i, "--with", &with);
    if (rc == 0)
        rc = ctl_args_take(c->args.argv, c->args.argc, i, "--at", &q->at);
    if (rc == -EINVAL)
        return ctl_fail_usage(c->args.verb, "'%s' needs a value", word);
    if (rc == 0 && (strncmp(word, "--", 2) == 0 || q->resource != NULL))
        return ctl_fail_usage(c->args.verb, "'%s' is a word too much", word);
    if (rc == 0)
        q->resource = word;
    if (with == NULL)
        return CONTROL_OK;
    if (strchr(with, '=') == NULL || with[0] == '=')
        return ctl_fail_usage(c->args.verb, "--with %s: it is written NAME=FILE", with);
    if (q->count == SNAPSHOT_GIVEN_MAX)
        return ctl_fail_usage(c->args.verb, "more than %d files", SNAPSHOT_GIVEN_MAX);
    q->with[q->count++] = with;
    return CONTROL_OK;
}

static int whatif_words(struct ctl *c, struct whatif *q)
{
    int status = CONTROL_OK;
    for (int i = 0; status == CONTROL_OK && i < c->args.argc; i++)
        status = whatif_word(c, &i, q);
    if (status == CONTROL_OK && q->resource == NULL)
        status = ctl_fail_usage(c->args.verb, "which resource?");
    if (status == CONTROL_OK && q->count == 0)
        status = ctl_fail_usage(c->args.verb, "what is to be otherwise? --with NAME=FILE");
    return status;
}

/* ---- what is given ---- */

static int whatif_give(struct ctl *c, const struct whatif *q, struct slice name, struct slice bytes)
{
    char offset[24], size[24];
    int status = CONTROL_OK;
    snprintf(size, sizeof size, "%zu", bytes.len);
    for (size_t at = 0; status == CONTROL_OK && (at == 0 || at < bytes.len);) {
        size_t len = bytes.len - at < SNAPSHOT_PIECE_MAX ? bytes.len - at : SNAPSHOT_PIECE_MAX;
        json_t *answer = NULL;
        snprintf(offset, sizeof offset, "%zu", at);
        const struct slice words[] = {slice_of(q->id),
                                      slice_of(q->resource),
                                      name,
                                      slice_of(offset),
                                      slice_of(size),
                                      slice_make(len > 0 ? bytes.ptr + at : "", len)};
        c->deadline = clock_mono_ms() + c->timeout_ms;
        status = ctl_snapshot_ask(c, q->store, "snapshot-whatif-give", 6, words, &answer);
        json_decref(answer);
        at += len;
        if (bytes.len == 0)
            break;
    }
    return status;
}

static int whatif_give_all(struct ctl *c, const struct whatif *q)
{
    int status = CONTROL_OK;
    for (size_t i = 0; status == CONTROL_OK && i < q->count; i++) {
        const char *equal = strchr(q->with[i], '=');
        struct buffer bytes = BUFFER_EMPTY;
        status = ctl_snapshot_read(equal + 1, &bytes);
        if (status == CONTROL_OK)
            status = whatif_give(c, q, slice_make(q->with[i], (size_t)(equal - q->with[i])),
                                 buffer_slice(&bytes));
        buffer_fini(&bytes);
    }
    return status;
}

/* ---- what comes of it ---- */

static int whatif_failed(const json_t *answer)
{
    struct buffer said = BUFFER_EMPTY;
    if (ctl_snapshot_bytes(json_object_get(answer, "stderr"), &said) && said.len > 0 &&
        buffer_text(&said) != NULL)
        ctl_say_lines(said.data);
    buffer_fini(&said);
    return ctl_fail(CONTROL_ERROR, "%s: %s", ctl_value_text(answer, "step"),
                    ctl_value_text(answer, "error"));
}

/* All that has not come with the first answer. */
static int whatif_rest(struct ctl *c, const struct whatif *q, uint64_t size, struct buffer *bytes)
{
    int status = CONTROL_OK;
    while (status == CONTROL_OK && bytes->len < size) {
        char offset[24];
        json_t *piece = NULL;
        size_t before = bytes->len;
        snprintf(offset, sizeof offset, "%zu", bytes->len);
        const struct slice words[] = {slice_of(q->id), slice_of(offset)};
        c->deadline = clock_mono_ms() + c->timeout_ms;
        status = ctl_snapshot_ask(c, q->store, "snapshot-whatif-more", 2, words, &piece);
        if (status == CONTROL_OK && !ctl_snapshot_bytes(json_object_get(piece, "bytes"), bytes))
            status = ctl_fail(CONTROL_ERROR, "not enough memory for the bytes");
        else if (status == CONTROL_OK && bytes->len == before)
            status = ctl_fail(CONTROL_ERROR, "the answer breaks off after %zu bytes", bytes->len);
        json_decref(piece);
    }
    return status;
}

static int whatif_show(struct ctl *c, const struct whatif *q, const json_t *answer)
{
    struct buffer bytes = BUFFER_EMPTY;
    int status = CONTROL_OK;
    if (json_object_get(answer, "step") != NULL)
        return whatif_failed(answer);
    if (!ctl_snapshot_bytes(json_object_get(answer, "bytes"), &bytes))
        status = ctl_fail(CONTROL_ERROR, "not enough memory for the bytes");
    if (status == CONTROL_OK)
        status = whatif_rest(c, q, ctl_value_u64(answer, "size"), &bytes);
    if (status == CONTROL_OK && c->args.json) {
        json_t *whole = json_pack("{s:s,s:O}", "resource", q->resource, "base",
                                  json_object_get(answer, "base"));
        ctl_snapshot_add_bytes(whole, buffer_slice(&bytes));
        ctl_print_json(c, whole);
        json_decref(whole);
    } else if (status == CONTROL_OK) {
        buffer_append_slice(&c->out, buffer_slice(&bytes));
    }
    buffer_fini(&bytes);
    return status;
}

int ctl_snapshot_whatif_run(struct ctl *c)
{
    struct whatif q = {.at = ""};
    json_t *answer = NULL;
    int status = whatif_words(c, &q);
    if (status == CONTROL_OK)
        status = ctl_snapshot_of(c, q.resource, q.store);
    ctl_snapshot_id(q.id);
    if (status == CONTROL_OK)
        status = whatif_give_all(c, &q);
    if (status != CONTROL_OK)
        return status;
    const struct slice words[] = {slice_of(q.id), slice_of(q.resource), slice_of(q.at)};
    c->deadline = clock_mono_ms() + c->timeout_ms;
    status = ctl_snapshot_ask(c, q.store, "snapshot-whatif", 3, words, &answer);
    if (status == CONTROL_OK)
        status = whatif_show(c, &q, answer);
    json_decref(answer);
    return status;
}
