/* backing_writer.c: see backing_writer.h. */
#include "test/unit/cache/backing_writer.h"

#include <stdlib.h>

const char *const backing_keys[BACKING_KEYS] = {"a", "b/c", "", "d"};

static void writer_next(struct backing_writer_key *k);

#define WRITER_PAUSE_MS 5

static void writer_on_pause(uv_timer_t *timer)
{
    writer_next(timer->data);
}

static void writer_on_put(const struct backing_answer *answer, void *ctx)
{
    struct backing_writer_key *k = ctx;
    uint64_t version = k->versions[k->next];
    if (answer->result == BACKING_AWAY) {
        k->writer->away++;
        uv_timer_start(&k->pause, writer_on_pause, WRITER_PAUSE_MS, 0);
        return;
    } else if (answer->result == BACKING_DONE) {
        ck_assert_uint_ge(version, k->highest);
        k->highest = version;
        k->next++;
    } else {
        ck_assert_msg(answer->result == BACKING_NEWER, "%d: %s", answer->result, answer->why);
        ck_assert_uint_gt(answer->meta.version, version);
        ck_assert_uint_ge(answer->meta.version, k->highest);
        k->highest = answer->meta.version;
        k->next++;
    }
    writer_next(k);
}

static const char *writer_value(uint64_t version, bool same, char value[BACKING_GOT_VALUE])
{
    return backing_value(same ? 7 : version, value);
}

static void writer_next(struct backing_writer_key *k)
{
    struct backing_writer *w = k->writer;
    if (k->next == BACKING_VERSIONS / 2) {
        w->working--;
        uv_close((uv_handle_t *)&k->pause, NULL);
        return;
    }
    uint64_t version = k->versions[k->next];
    struct backing_meta meta = {
        .version = version, .expiry_ms = BACKING_NEVER, .deleted = w->deletes && version % 5 == 0};
    struct slice bytes = slice_of(meta.deleted ? "" : writer_value(version, w->same, k->value));
    ck_assert_int_eq(w->store->ops->put(w->store, slice_of(backing_keys[k->index]), bytes, &meta,
                                        w->timeout_ms, writer_on_put, k, &k->call),
                     0);
}

/* Versions that mostly rise. */
static void writer_shuffle(struct backing_writer_key *k, unsigned side)
{
    unsigned count = BACKING_VERSIONS / 2;
    for (unsigned i = 0; i < count; i++)
        k->versions[i] = k->writer->base + 1 + 2 * i + side;
    for (unsigned i = 0; i < count; i++) {
        unsigned other = i + (unsigned)rand() % 8;
        if (other >= count)
            continue;
        uint64_t then = k->versions[i];
        k->versions[i] = k->versions[other];
        k->versions[other] = then;
    }
}

void backing_writer_start(struct backing_writer *w, uv_loop_t *loop, struct backing *store,
                          unsigned side, unsigned seed)
{
    w->store = store;
    if (w->timeout_ms == 0)
        w->timeout_ms = 60000;
    srand(seed);
    for (size_t i = 0; i < BACKING_KEYS; i++) {
        w->keys[i] = (struct backing_writer_key){.writer = w, .index = i};
        writer_shuffle(&w->keys[i], side);
        w->working++;
        uv_timer_init(loop, &w->keys[i].pause);
        w->keys[i].pause.data = &w->keys[i];
        writer_next(&w->keys[i]);
    }
}

void backing_look(uv_loop_t *loop, struct backing *store, size_t key, bool same, uint64_t *version)
{
    char value[BACKING_GOT_VALUE];
    struct backing_got got = backing_get(loop, store, backing_keys[key]);
    ck_assert_msg(got.result == BACKING_DONE || got.result == BACKING_ABSENT, "%s", got.why);
    ck_assert_uint_ge(got.meta.version, *version);
    *version = got.meta.version;
    if (got.result == BACKING_DONE)
        ck_assert_str_eq(got.value, writer_value(got.meta.version, same, value));
    else if (got.meta.version > 0)
        ck_assert_uint_eq(got.meta.version % 5, 0);
}
