/*
 * ctl_snapshot_watch.c: the verb `snapshot watch`: each version that is accepted from now on, as one JSON object a
 * line, until it is interrupted. See ctl_snapshot.h.
 *
 * It looks what there is, again and again, and reads from the log what came since: so what was missed, for a store or
 * the master was away, is told when it is back, each version of it. A question that waits for the next change was
 * rejected: it waits for one store, and a tool that watches several has one thing to wait for.
 */
#include "common/clock.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/ctl_verbs.h"
#include "master/ctl/snapshot/ctl_snapshot.h"

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define WATCH_PAUSE_MS  300
#define WATCH_ANSWER_MS 10000 /* of one question */
#define WATCH_LOG_MAX   1000  /* versions of one answer */

struct watch {
    struct ctl *c;
    json_t *stores; /* array of names */
    json_t *
        known; /* "store/resource": seq of the newest version that was there or was told; 0: none */
    json_t *found; /* array of versions that are to be told */
    uint64_t head; /* newest number of the store when it was listed: what is newer comes next */
    bool first;    /* what is there now is told to nobody */
    bool short_of_memory;
};

static volatile sig_atomic_t watch_interrupted;

static void watch_on_signal(int number)
{
    (void)number;
    watch_interrupted = 1;
}

/* ---- asking, without a word when nobody answers ---- */

static json_t *watch_ask(struct watch *w, const char *store, const char *verb, size_t count,
                         const struct slice *args)
{
    struct slice body, words[8] = {slice_of("snapshot"), slice_of(store), slice_of(verb)};
    json_t *answer = NULL;
    for (size_t i = 0; i < count; i++)
        words[3 + i] = args[i];
    if (ctl_client_ask(&w->c->client, clock_mono_ms() + WATCH_ANSWER_MS, "ask", 3 + count, words,
                       &body) != CONTROL_OK ||
        ctl_value_decode(body, &answer) != 0)
        return NULL;
    return answer;
}

/* ---- what came since ---- */

static void watch_keep(struct watch *w, const char *store, const char *resource,
                       const json_t *version)
{
    json_t *line = json_object();
    bool good = line != NULL && json_object_set_new(line, "store", json_string(store)) == 0 &&
                json_object_set_new(line, "resource", json_string(resource)) == 0 &&
                json_object_update(line, (json_t *)(uintptr_t)version) == 0;
    if (!good || json_array_append(w->found, line) != 0)
        w->short_of_memory = true;
    json_decref(line);
}

/* All versions above `known`. False: the store did not answer. */
static bool watch_read_log(struct watch *w, const char *store, const char *resource, uint64_t known)
{
    char limit[24], before[24] = "0";
    snprintf(limit, sizeof limit, "%d", WATCH_LOG_MAX);
    for (bool more = true; more && !w->short_of_memory;) {
        const struct slice words[] = {slice_of(resource), slice_of(limit), slice_of(before)};
        json_t *rows = watch_ask(w, store, "snapshot-log", 3, words), *row;
        size_t i;
        if (rows == NULL)
            return false;
        more = json_array_size(rows) == WATCH_LOG_MAX;
        json_array_foreach(rows, i, row)
        {
            uint64_t seq = ctl_value_u64(row, "seq");
            more = more && seq > known;
            if (seq > known && seq <= w->head)
                watch_keep(w, store, resource, row);
            snprintf(before, sizeof before, "%" PRIu64, seq);
        }
        json_decref(rows);
    }
    return true;
}

static bool watch_wants(const struct watch *w, const char *resource)
{
    bool any = w->c->args.argc == 0;
    for (int i = 0; i < w->c->args.argc; i++)
        any = any || strcmp(w->c->args.argv[i], resource) == 0;
    return any;
}

/* A smaller number is of another repository, whose versions are all new. */
static bool watch_resource(struct watch *w, const char *store, const json_t *row)
{
    char key[2 * CONTRACT_NAME_MAX];
    const char *resource = ctl_value_text(row, "resource");
    uint64_t seq = ctl_value_u64(row, "seq"), known;
    if (!watch_wants(w, resource))
        return true;
    snprintf(key, sizeof key, "%s/%s", store, resource);
    known = ctl_value_u64(w->known, key);
    if (w->first) {
        if (json_object_set_new(w->known, key, json_integer((json_int_t)seq)) != 0)
            w->short_of_memory = true;
        return true;
    }
    return seq == known || watch_read_log(w, store, resource, seq < known ? 0 : known);
}

/* False: it did not answer, and is asked again. */
static bool watch_store(struct watch *w, const char *store)
{
    json_t *rows = watch_ask(w, store, "snapshot-list", 0, NULL), *row;
    size_t i;
    bool good = rows != NULL;
    w->head = 0;
    json_array_foreach(rows, i, row)
    {
        uint64_t seq = ctl_value_u64(row, "seq");
        w->head = seq > w->head ? seq : w->head;
    }
    json_array_foreach(rows, i, row)
    {
        good = good && watch_resource(w, store, row);
    }
    json_decref(rows);
    return good;
}

/* ---- telling ---- */

static int watch_by_seq(const void *a, const void *b)
{
    uint64_t x = ctl_value_u64(*(json_t *const *)a, "seq"),
             y = ctl_value_u64(*(json_t *const *)b, "seq");
    return x < y ? -1 : x > y;
}

/* With the number of the version before. */
static void watch_tell_one(struct watch *w, json_t *line)
{
    char key[2 * CONTRACT_NAME_MAX];
    uint64_t seq = ctl_value_u64(line, "seq");
    snprintf(key, sizeof key, "%s/%s", ctl_value_text(line, "store"),
             ctl_value_text(line, "resource"));
    json_int_t prev = (json_int_t)ctl_value_u64(w->known, key);
    if (json_object_set_new(line, "prev", json_integer(prev)) != 0 ||
        json_object_set_new(w->known, key, json_integer((json_int_t)seq)) != 0)
        w->short_of_memory = true;
    ctl_value_print_line(json_incref(line), &w->c->out);
}

/* A store's versions, in the order in which they were accepted. */
static void watch_tell(struct watch *w)
{
    size_t count = json_array_size(w->found), i;
    json_t **lines = calloc(count + 1, sizeof *lines), *line;
    if (lines == NULL) {
        w->short_of_memory = true;
        return;
    }
    json_array_foreach(w->found, i, line)
    {
        lines[i] = line;
    }
    qsort(lines, count, sizeof *lines, watch_by_seq);
    for (i = 0; i < count; i++)
        watch_tell_one(w, lines[i]);
    free(lines);
}

static void watch_round(struct watch *w)
{
    size_t i;
    json_t *store;
    json_array_foreach(w->stores, i, store)
    {
        json_array_clear(w->found);
        if (watch_store(w, json_string_value(store)))
            watch_tell(w);
    }
}

/* ---- the verb ---- */

static int watch_begin_store(struct ctl *c, const char *store, void *ctx)
{
    struct watch *w = ctx;
    (void)c;
    if (json_array_append_new(w->stores, json_string(store)) != 0)
        w->short_of_memory = true;
    return CONTROL_OK;
}

/* Where there is something to watch, and what is there now. */
static int watch_begin(struct watch *w)
{
    char store[CONTRACT_NAME_MAX];
    size_t i;
    json_t *name;
    int status = ctl_snapshot_each(w->c, watch_begin_store, w);
    if (status == CONTROL_OK && json_array_size(w->stores) == 0)
        status = ctl_fail(CONTROL_NO_NAME, "there is no snapshot here: give the configuration a "
                                           "snapshot section, and a resource section");
    for (int k = 0; status == CONTROL_OK && k < w->c->args.argc; k++)
        status = ctl_snapshot_of(w->c, w->c->args.argv[k], store);
    w->first = true;
    json_array_foreach(w->stores, i, name)
    {
        while (status == CONTROL_OK && !watch_interrupted &&
               !watch_store(w, json_string_value(name)))
            poll(NULL, 0, WATCH_PAUSE_MS);
    }
    w->first = false;
    return status;
}

int ctl_snapshot_watch_run(struct ctl *c)
{
    static const int numbers[] = {SIGINT, SIGTERM};
    struct sigaction action = {.sa_handler = watch_on_signal};
    struct watch w = {
        .c = c, .stores = json_array(), .known = json_object(), .found = json_array()};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sigaction(numbers[i], &action, NULL);
    w.short_of_memory = w.stores == NULL || w.known == NULL || w.found == NULL;
    int status = w.short_of_memory ? CONTROL_OK : watch_begin(&w);
    while (status == CONTROL_OK && !watch_interrupted && !w.short_of_memory) {
        watch_round(&w);
        status = ctl_flush(c);
        if (status == CONTROL_OK && !watch_interrupted)
            poll(NULL, 0, WATCH_PAUSE_MS);
    }
    if (status == CONTROL_OK && w.short_of_memory)
        status = ctl_fail(CONTROL_ERROR, "not enough memory");
    json_decref(w.stores);
    json_decref(w.known);
    json_decref(w.found);
    return status;
}
