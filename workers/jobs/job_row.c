/* job_row.c: a job as everybody sees it. See job_row.h. */
#include "workers/jobs/job_row.h"

#include "common/json/json_value.h"
#include "common/pack.h"
#include "common/text.h"
#include "common/time/date_iso.h"
#include "proto/jobs/job_field.h"

#include <stdlib.h>
#include <time.h>

enum row_type { ROW_TEXT, ROW_NUMBER, ROW_JSON, ROW_META, ROW_META_FULL, ROW_BOOL, ROW_ETA };

struct row {
    const char *name, *field;
    enum row_type type;
};

/* In the order in which people see them. */
static const struct row rows[] = {
    {"id", JOB_FIELD("id"), ROW_TEXT},
    {"platform_id", JOB_FIELD("platform"), ROW_TEXT},
    {"queue", "origin", ROW_TEXT},
    {"status", "status", ROW_TEXT},
    {"cause", JOB_FIELD("cause"), ROW_TEXT},
    {"reason", JOB_FIELD("reason"), ROW_TEXT},
    {"attempt", JOB_FIELD("attempt"), ROW_NUMBER},
    {"created_at", "created_at", ROW_TEXT},
    {"enqueued_at", "enqueued_at", ROW_TEXT},
    {"started_at", "started_at", ROW_TEXT},
    {"ended_at", "ended_at", ROW_TEXT},
    {"worker", "worker_name", ROW_TEXT},
    {"progress", JOB_FIELD("progress"), ROW_JSON},
    {"eta_ms", JOB_FIELD("progress"), ROW_ETA},
    {"meta", JOB_FIELD("meta"), ROW_META},
    {"result", JOB_FIELD("result"), ROW_JSON},
    {"exit_code", JOB_FIELD("exit_code"), ROW_NUMBER},
    {"signal", JOB_FIELD("signal"), ROW_NUMBER},
    {"oom", JOB_FIELD("oom"), ROW_BOOL},
    {"cpu_ms", JOB_FIELD("cpu_ms"), ROW_NUMBER},
    {"max_rss_bytes", JOB_FIELD("max_rss_bytes"), ROW_NUMBER},
    {"run_ms", JOB_FIELD("run_ms"), ROW_NUMBER},
    {"settings", JOB_FIELD("settings"), ROW_JSON},
    {"output", JOB_FIELD("output"), ROW_TEXT},
};
#define ROWS      (sizeof rows / sizeof rows[0])
#define ROWS_FULL 2 /* the last, which only the job itself shows */

static const redisReply *row_find(const redisReply *fields, const char *name)
{
    for (size_t i = 0; i + 1 < fields->elements; i += 2)
        if (slice_is(slice_make(fields->element[i]->str, fields->element[i]->len), name))
            return fields->element[i + 1];
    return NULL;
}

/* Without what may be large, unless that is asked for. */
static void row_pack_json(struct buffer *out, struct slice text, enum row_type type)
{
    json_t *value = json_loadb(text.ptr, text.len, JSON_DECODE_ANY, NULL);
    if (type == ROW_META) {
        json_object_del(value, "original");
        json_object_del(value, "processed");
    }
    if (value != NULL)
        json_value_pack(out, value);
    else
        pack_nil(out);
    json_decref(value);
}

/* When it runs on as it did so far; of what does not run, and of what has not begun to say, nothing is known. */
static void row_pack_eta(struct buffer *out, const redisReply *fields, struct slice progress)
{
    const redisReply *status = row_find(fields, "status"),
                     *started = row_find(fields, "started_at");
    struct date_iso date = {.micro = 0};
    char text[32];
    double done = slice_copy(progress, text, sizeof text) ? strtod(text, NULL) : 0;
    if (status == NULL || started == NULL || started->str == NULL || done <= 0 || done > 1 ||
        !slice_is(slice_make(status->str, status->len), "started") ||
        !date_iso_read(slice_make(started->str, started->len), &date)) {
        pack_nil(out);
        return;
    }
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    double ran = 1000.0 * (double)(now.tv_sec - civil_seconds(&date.local)) +
                 (double)now.tv_nsec / 1e6 - (double)date.micro / 1e3;
    pack_u64(out, ran > 0 ? (uint64_t)(ran * (1 - done) / done) : 0);
}

static void row_pack(struct buffer *out, const redisReply *fields, enum row_type type,
                     struct slice text)
{
    uint64_t number;
    switch (type) {
    case ROW_TEXT:
        pack_bin(out, text);
        break;
    case ROW_NUMBER:
        if (text_parse_u64(text, &number) == 0)
            pack_u64(out, number);
        else
            pack_nil(out);
        break;
    case ROW_BOOL:
        pack_bool(out, slice_is(text, "1"));
        break;
    case ROW_ETA:
        row_pack_eta(out, fields, text);
        break;
    case ROW_JSON:
    case ROW_META:
    case ROW_META_FULL:
        row_pack_json(out, text, type);
        break;
    }
}

/* RQ's clients write what there is not yet as nothing. */
static bool row_is_there(const redisReply *found, const struct row *row)
{
    static const char ours[] = JOB_FIELD_PREFIX;
    return found != NULL && found->str != NULL &&
           (found->len > 0 || strncmp(row->field, ours, sizeof ours - 1) == 0);
}

/* A name and its value; what there is not is `absent`, or nil. */
static void row_pack_named(struct buffer *out, const redisReply *fields, const struct row *row,
                           const char *absent)
{
    const redisReply *found = row_find(fields, row->field);
    pack_text(out, row->name);
    if (row_is_there(found, row))
        row_pack(out, fields, row->type, slice_make(found->str, found->len));
    else if (absent != NULL)
        pack_text(out, absent);
    else
        pack_nil(out);
}

void job_row_pack(struct buffer *out, struct slice id, const redisReply *fields, bool full)
{
    size_t count = full ? ROWS : ROWS - ROWS_FULL;
    pack_map(out, (uint32_t)count + 1);
    pack_text(out, "job_id");
    pack_bin(out, id);
    for (size_t i = 0; i < count; i++)
        row_pack_named(out, fields, &rows[i], NULL);
}

static const struct row originals[] = {
    {"created_at", "created_at", ROW_TEXT},         {"enqueued_at", "enqueued_at", ROW_TEXT},
    {"started_at", "started_at", ROW_TEXT},         {"ended_at", "ended_at", ROW_TEXT},
    {"last_heartbeat", "last_heartbeat", ROW_TEXT}, {"origin", "origin", ROW_TEXT},
    {"description", "description", ROW_TEXT},       {"status", "status", ROW_TEXT},
    {"worker_name", "worker_name", ROW_TEXT},
};
#define ORIGINALS (sizeof originals / sizeof originals[0])

/* Its traceback, when it has one; else why it ended so. Of what has not failed since its last claim neither. */
static void row_pack_exception(struct buffer *out, const redisReply *fields)
{
    static const struct row traceback = {"exc_info", JOB_FIELD("traceback"), ROW_TEXT},
                            reason = {"exc_info", JOB_FIELD("reason"), ROW_TEXT};
    bool traced = row_find(fields, JOB_FIELD("reason")) != NULL &&
                  row_find(fields, JOB_FIELD("traceback")) != NULL;
    row_pack_named(out, fields, traced ? &traceback : &reason, "");
}

void job_row_pack_original(struct buffer *out, struct slice id, const redisReply *fields, bool full)
{
    static const struct row timeout = {"timeout", "timeout", ROW_NUMBER},
                            result = {"result", JOB_FIELD("result"), ROW_JSON},
                            meta = {"meta", JOB_FIELD("meta"), ROW_META},
                            meta_full = {"meta", JOB_FIELD("meta"), ROW_META_FULL};
    pack_map(out, ORIGINALS + 5);
    for (size_t i = 0; i < ORIGINALS; i++)
        row_pack_named(out, fields, &originals[i], "");
    row_pack_named(out, fields, &timeout, NULL);
    if (row_find(fields, JOB_FIELD("meta")) != NULL) {
        row_pack_named(out, fields, full ? &meta_full : &meta, NULL);
    } else {
        pack_text(out, "meta");
        pack_map(out, 0);
    }
    row_pack_exception(out, fields);
    row_pack_named(out, fields, &result, NULL);
    pack_text(out, "run");
    job_row_pack(out, id, fields, true);
}
