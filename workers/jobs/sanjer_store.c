/* sanjer_store.c: see sanjer_store.h. */
#include "workers/jobs/sanjer_store.h"

#include "common/clock.h"
#include "common/hold.h"
#include "common/json/json_text.h"
#include "common/log.h"
#include "common/store/store.h"
#include "common/template.h"
#include "workers/jobs/job_csv.h"
#include "workers/jobs/sanjer.h"
#include "workers/jobs/sanjer_mysql.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Fields of a row that a key can be made of. */
#define STORE_FIELDS_MAX 256

struct sanjer_store {
    const char *name; /* of its section */
    struct store_options options;
    char holder[HOLD_WHO_MAX];
};

/* One job's writing. Its thread has it alone until it is done. */
struct store_job {
    uv_work_t work;
    struct sanjer_run *run; /* NULL: the job is let go of, and nobody is told */
    struct sanjer_store *store;
    json_t *taken;
    char *platform;
    uint64_t timeout_ms; /* of what goes to a database */
    struct sanjer_mysql mysql;
    size_t rows;
    struct buffer csv, notes; /* what was written; what is to be known of it */
    char wrong[SANJER_TEXT_MAX];
};

struct sanjer_store *sanjer_store_new(struct sanjer *s)
{
    const char *name = worker_setting(s->w, "jobs.store");
    struct sanjer_store *st = name != NULL && name[0] != '\0' ? calloc(1, sizeof *st) : NULL;
    if (st == NULL)
        return NULL;
    st->name = name;
    st->options = (struct store_options){.type = worker_setting_text(s->w, "store.type"),
                                         .path = worker_setting(s->w, "store.path"),
                                         .url = worker_setting(s->w, "store.url"),
                                         .table = worker_setting(s->w, "store.table"),
                                         .timeout_ms = worker_setting_u64(s->w, "store.timeout"),
                                         .cache_bytes = worker_setting_u64(s->w, "store.cache"),
                                         .holder = st->holder};
    (void)hold_who(worker_setting_text(s->w, "platoon.state_dir"), st->holder);
    return st;
}

void sanjer_store_free(struct sanjer_store *st)
{
    free(st);
}

/* ---- what is taken ---- */

static void take_wrong(struct sanjer_run *run, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void take_wrong(struct sanjer_run *run, const char *format, ...)
{
    va_list args;
    if (run->storage[0] != '\0')
        return; /* the first is the cause */
    size_t len = (size_t)snprintf(run->storage, sizeof run->storage, "storage: ");
    va_start(args, format);
    vsnprintf(run->storage + len, sizeof run->storage - len, format, args);
    va_end(args);
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}

static bool is_mysql(const json_t *store)
{
    return strcmp(text_of(store, "type"), "mysql") == 0;
}

static void take_settings(struct sanjer_run *run, const json_t *store)
{
    const struct sanjer_store *st = run->s->store;
    const json_t *settings = json_object_get(store, "settings");
    const char *type = text_of(store, "type"), *name = text_of(settings, "store"), *lacks;
    if (is_mysql(store)) {
        if ((lacks = sanjer_mysql_lacks(settings)) != NULL)
            take_wrong(run, "settings: %s is missing, or no text", lacks);
    } else if (strcmp(type, "store") != 0)
        take_wrong(run, "there is no type %.64s: store or mysql is wanted", type);
    else if (st == NULL)
        take_wrong(run, "the section has no store: set it");
    else if (name[0] != '\0' && strcmp(name, st->name) != 0)
        take_wrong(run, "the section's store is %.64s, and not %.64s", st->name, name);
    else if (text_of(settings, "key")[0] == '\0')
        take_wrong(run, "settings: key is missing: a template of the rows' fields, such as {id}");
}

void sanjer_store_take(struct sanjer_run *run, json_t *store)
{
    const json_t *rows = json_object_get(store, "rows");
    size_t i;
    json_t *row;
    take_settings(run, store);
    if (!json_is_array(rows))
        take_wrong(run, "rows: a list of objects is wanted");
    json_array_foreach((json_t *)(uintptr_t)rows, i, row)
    {
        if (!json_is_object(row))
            take_wrong(run, "row %zu is no object", i);
    }
    if (run->storage[0] != '\0')
        return;
    if (run->stores == NULL)
        run->stores = json_array();
    if (json_array_append(run->stores, store) != 0)
        worker_exit(run->s->w, CONTRACT_EXIT_SHORT, "memory is short for what a job stores");
}

/* ---- on the thread ---- */

struct store_batch {
    struct store_record *records;
    struct buffer bytes; /* keys and data, one behind the other */
    size_t *key_lens, *data_lens;
};

/* A row's values as text, for its key. Those that are no text are in `texts`, which the caller frees. */
static size_t row_fields(const json_t *row, struct template_field *fields, char **texts)
{
    size_t count = 0;
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)row, name, value)
    {
        texts[count] = NULL;
        if (count == STORE_FIELDS_MAX || json_is_null(value))
            continue;
        if (!json_is_string(value))
            texts[count] = json_text(value);
        fields[count].name = slice_of(name);
        fields[count].value = json_is_string(value)
                                  ? slice_make(json_string_value(value), json_string_length(value))
                                  : slice_of(texts[count] != NULL ? texts[count] : "");
        count++;
    }
    return count;
}

static int batch_add(struct store_batch *b, size_t i, const struct template *key, const json_t *row,
                     struct slice *missing)
{
    struct template_field fields[STORE_FIELDS_MAX];
    char *texts[STORE_FIELDS_MAX + 1];
    size_t start = b->bytes.len, count = row_fields(row, fields, texts);
    int rc = template_expand(key, slice_of(""), fields, count, &b->bytes, missing);
    while (count-- > 0)
        free(texts[count]);
    b->key_lens[i] = b->bytes.len - start;
    char *data = rc == 0 ? json_text(row) : NULL;
    if (rc == 0 && data == NULL)
        rc = -ENOMEM;
    buffer_append_text(&b->bytes, data != NULL ? data : "");
    b->data_lens[i] = b->bytes.len - start - b->key_lens[i];
    free(data);
    return rc != 0 ? rc : buffer_ok(&b->bytes) ? 0 : -ENOMEM;
}

/* The bytes stand still by now. */
static void batch_lay_out(struct store_batch *b, size_t count, struct slice bucket)
{
    const char *at = b->bytes.data;
    uint64_t now = clock_wall_ms();
    for (size_t i = 0; i < count; i++) {
        b->records[i] = (struct store_record){
            .bucket = bucket,
            .key = slice_make(at, b->key_lens[i]),
            .data = slice_make(at + b->key_lens[i], b->data_lens[i]),
            .seq = now,
            .updated_at_ms = now,
        };
        at += b->key_lens[i] + b->data_lens[i];
    }
}

static bool write_batch(struct store_job *j, struct store *store, struct store_batch *b,
                        const json_t *one, struct template *key)
{
    const json_t *rows = json_object_get(one, "rows"), *settings = json_object_get(one, "settings");
    const char *bucket = text_of(settings, "bucket");
    size_t i, count = json_array_size(rows);
    json_t *row;
    struct store_error error;
    struct slice missing = {0};
    json_array_foreach((json_t *)(uintptr_t)rows, i, row)
    {
        int rc = batch_add(b, i, key, row, &missing);
        if (rc == 0)
            continue;
        if (rc == -ENOENT)
            snprintf(j->wrong, sizeof j->wrong, "storage: key: row %zu has no %.*s", i,
                     (int)missing.len, missing.ptr);
        else
            snprintf(j->wrong, sizeof j->wrong, "storage: memory is short");
        return false;
    }
    batch_lay_out(b, count, slice_of(bucket[0] != '\0' ? bucket : j->platform));
    if (count > 0 && store_write(store, b->records, count, &error) != STORE_OK) {
        snprintf(j->wrong, sizeof j->wrong, "storage: %s", error.text);
        return false;
    }
    j->rows += count;
    job_csv_append(&j->csv, rows);
    return true;
}

static bool write_one(struct store_job *j, struct store *store, const json_t *one)
{
    size_t count = json_array_size(json_object_get(one, "rows"));
    struct template *key = NULL;
    char why[256];
    struct store_batch b = {.records = calloc(count + 1, sizeof *b.records),
                            .key_lens = calloc(count + 1, sizeof *b.key_lens),
                            .data_lens = calloc(count + 1, sizeof *b.data_lens)};
    bool ok = false;
    if (template_compile(text_of(json_object_get(one, "settings"), "key"), &key, why, sizeof why) !=
        0)
        snprintf(j->wrong, sizeof j->wrong, "storage: key: %s", why);
    else if (b.records == NULL || b.key_lens == NULL || b.data_lens == NULL)
        snprintf(j->wrong, sizeof j->wrong, "storage: memory is short");
    else
        ok = write_batch(j, store, &b, one, key);
    template_free(key);
    buffer_fini(&b.bytes);
    free(b.records);
    free(b.key_lens);
    free(b.data_lens);
    return ok;
}

static void note_dropped(struct store_job *j, const json_t *dropped, const char *table)
{
    for (size_t i = 0; i < json_array_size(dropped); i++)
        buffer_printf(&j->notes, "%s%s", i == 0 ? "; without " : ", ",
                      json_string_value(json_array_get(dropped, i)));
    if (json_array_size(dropped) > 0)
        buffer_printf(&j->notes, ", which %s has not", table);
}

static bool write_mysql(struct store_job *j, const json_t *one)
{
    char why[SANJER_TEXT_MAX - 16];
    const char *table = text_of(json_object_get(one, "settings"), "table");
    json_t *said = sanjer_mysql_write(&j->mysql, one, j->timeout_ms, why, sizeof why);
    if (said == NULL) {
        snprintf(j->wrong, sizeof j->wrong, "storage: %s", why);
        return false;
    }
    const json_t *csv = json_object_get(said, "csv");
    j->rows += (size_t)json_integer_value(json_object_get(said, "rows"));
    buffer_append(&j->csv, json_string_value(csv), json_string_length(csv));
    note_dropped(j, json_object_get(said, "dropped"), table);
    if (json_is_false(json_object_get(said, "keyed")))
        buffer_printf(&j->notes,
                      "; %s has no unique key of theirs: written again, they are there twice",
                      table);
    json_decref(said);
    return true;
}

/* The section's store is opened by the first that is for it. */
static bool write_store(struct store_job *j, struct store **store, const json_t *one)
{
    struct store_error error;
    if (*store == NULL && store_open(&j->store->options, store, &error) != STORE_OK) {
        snprintf(j->wrong, sizeof j->wrong, "storage: %s", error.text);
        return false;
    }
    return write_one(j, *store, one);
}

static void store_work(uv_work_t *work)
{
    struct store_job *j = work->data;
    struct store *store = NULL;
    struct store_error error;
    size_t i;
    json_t *one;
    json_array_foreach(j->taken, i, one)
    {
        if (!(is_mysql(one) ? write_mysql(j, one) : write_store(j, &store, one)))
            break;
    }
    if (store == NULL)
        return;
    (void)store_rest(store, &error); /* else the next one does it */
    store_close(store);
}

/* ---- back on the loop ---- */

/* Of a job whose secrets nobody is to read. */
static void store_tell(struct store_job *j, struct sanjer_run *run)
{
    json_t *wrong = json_string(j->wrong), *masked = job_mask_json(run->mask, wrong);
    const char *shown = json_string_value(masked), *notes = buffer_text(&j->notes);
    snprintf(run->storage, sizeof run->storage, "%s",
             shown != NULL         ? shown
             : j->wrong[0] != '\0' ? "storage: ?"
                                   : "");
    json_t *csv =
        j->csv.len > 0 && buffer_ok(&j->csv) ? json_stringn(j->csv.data, j->csv.len) : NULL;
    if (csv != NULL)
        sanjer_say_set(run, "processed", csv);
    json_object_set_new(run->meta, "storage",
                        json_sprintf("%zu rows written%s", j->rows, notes != NULL ? notes : ""));
    run->fresh = true;
    json_decref(csv);
    json_decref(masked);
    json_decref(wrong);
}

static void store_after(uv_work_t *work, int status)
{
    struct store_job *j = work->data;
    struct sanjer_run *run = j->run;
    (void)status;
    if (run != NULL) {
        run->storing = NULL;
        store_tell(j, run);
    }
    json_decref(j->taken);
    free(j->platform);
    buffer_fini(&j->csv);
    buffer_fini(&j->notes);
    sanjer_mysql_fini(&j->mysql);
    free(j);
    if (run != NULL)
        sanjer_end(run->s);
}

bool sanjer_store_write(struct sanjer_run *run)
{
    bool well = run->why == SANJER_ITSELF && run->fault[0] == '\0' && run->raised[0] == '\0' &&
                (!run->has_status || run->status == 0);
    if (!well || run->storage[0] != '\0' || json_array_size(run->stores) == 0)
        return false;
    struct store_job *j = worker_must_alloc(run->s->w, sizeof *j);
    j->platform = strdup(run->platform);
    if (j->platform == NULL)
        worker_exit(run->s->w, CONTRACT_EXIT_SHORT, "memory is short for what a job stores");
    sanjer_mysql_init(&j->mysql);
    j->run = run;
    j->store = run->s->store;
    j->timeout_ms = run->timeout_ms;
    j->taken = run->stores;
    j->work.data = j;
    run->stores = NULL;
    run->storing = j;
    if (uv_queue_work(worker_loop(run->s->w), &j->work, store_work, store_after) != 0)
        worker_exit(run->s->w, CONTRACT_EXIT_SHORT, "a job's rows cannot be written");
    return true;
}

bool sanjer_store_stop(struct sanjer_run *run)
{
    return run->storing != NULL && sanjer_mysql_stop(&run->storing->mysql, false);
}

void sanjer_store_let_go(struct sanjer_run *run)
{
    if (run->storing == NULL)
        return;
    (void)sanjer_mysql_stop(&run->storing->mysql, true);
    run->storing->run = NULL;
    run->storing = NULL;
}
