/* job_row.c: a job as everybody sees it. See job_row.h. */
#include "workers/jobs/job_row.h"

#include "common/json/json_value.h"
#include "common/pack.h"
#include "common/text.h"
#include "proto/jobs/job_field.h"

#include <stdlib.h>

enum row_type { ROW_TEXT, ROW_NUMBER, ROW_JSON };

/* In the order in which people see them. */
static const struct row {
    const char *name, *field;
    enum row_type type;
} rows[] = {
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
    {"meta", JOB_FIELD("meta"), ROW_JSON},
    {"result", JOB_FIELD("result"), ROW_JSON},
    {"exit_code", JOB_FIELD("exit_code"), ROW_NUMBER},
    {"signal", JOB_FIELD("signal"), ROW_NUMBER},
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

static void row_pack(struct buffer *out, const struct row *row, const redisReply *found)
{
    struct slice text = slice_make(found->str, found->len);
    uint64_t number;
    json_t *value = NULL;
    if (row->type == ROW_JSON)
        value = json_loadb(text.ptr, text.len, JSON_DECODE_ANY, NULL);
    if (row->type == ROW_TEXT)
        pack_bin(out, text);
    else if (row->type == ROW_NUMBER && text_parse_u64(text, &number) == 0)
        pack_u64(out, number);
    else if (value != NULL)
        json_value_pack(out, value);
    else
        pack_nil(out);
    json_decref(value);
}

void job_row_pack(struct buffer *out, struct slice id, const redisReply *fields, bool full)
{
    size_t count = full ? ROWS : ROWS - ROWS_FULL;
    pack_map(out, (uint32_t)count + 1);
    pack_text(out, "job_id");
    pack_bin(out, id);
    for (size_t i = 0; i < count; i++) {
        const redisReply *found = row_find(fields, rows[i].field);
        pack_text(out, rows[i].name);
        if (found == NULL || found->str == NULL)
            pack_nil(out);
        else
            row_pack(out, &rows[i], found);
    }
}
