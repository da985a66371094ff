/*
 * transfer_records.c: records become rows in one pass: fields are borrowed from the frame, key and JSON are written
 * into one buffer. See transfer.h.
 */
#include "workers/drain/transfer.h"

#include "common/base64.h"
#include "common/fault.h"
#include "common/json/json_write.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

void transfer_rows_clear(struct transfer_rows *rows)
{
    rows->count = 0;
    buffer_reset(&rows->bytes, 16u * 1024 * 1024);
}

void transfer_rows_fini(struct transfer_rows *rows)
{
    free(rows->list);
    free(rows->fields.list);
    buffer_fini(&rows->bytes);
}

static bool transfer_grow(void **list, size_t *cap, size_t need, size_t size)
{
    if (need <= *cap)
        return true;
    size_t more = *cap ? *cap : 64;
    while (more < need)
        more *= 2;
    void *grown = realloc(*list, more * size);
    if (grown == NULL)
        return false;
    *list = grown;
    *cap = more;
    return true;
}

int transfer_record_read(struct transfer_fields *fields, struct unpack *u,
                         struct transfer_record *r)
{
    uint32_t elements = unpack_array(u);
    r->seq = unpack_u64(u);
    r->member = unpack_bytes(u);
    uint64_t n = unpack_u64(u);
    if (!unpack_ok(u) || n > (size_t)(u->end - u->at) || elements != 3 + 2 * n)
        return -EBADMSG;
    if (!transfer_grow((void **)&fields->list, &fields->cap, (size_t)n, sizeof *fields->list))
        return -ENOMEM;
    r->count = (size_t)n;
    for (size_t i = 0; i < r->count; i++) {
        fields->list[i].name = unpack_bytes(u);
        fields->list[i].value = unpack_bytes(u);
    }
    return unpack_ok(u) ? 0 : -EBADMSG;
}

/* A name stands behind `start`: what is no text is written as base64 in its place. */
static void transfer_end_name(struct transfer_rows *rows, size_t start, size_t *at, size_t *len)
{
    struct slice raw = slice_make(rows->bytes.data + start, rows->bytes.len - start);
    if (raw.len > 0 && !base64_is_name(raw)) {
        struct buffer copy = BUFFER_EMPTY;
        buffer_append_slice(&copy, raw);
        rows->bytes.len = start;
        base64_append_name(&rows->bytes, buffer_slice(&copy));
        rows->bytes.failed = rows->bytes.failed || copy.failed;
        buffer_fini(&copy);
    }
    *at = start;
    *len = rows->bytes.len - start;
}

static void transfer_write_json(struct transfer_rows *rows, const struct transfer_record *r)
{
    struct buffer *out = &rows->bytes;
    buffer_append_char(out, '{');
    for (size_t i = 0; i < r->count; i++) {
        if (i > 0)
            buffer_append_char(out, ',');
        json_write_name(out, rows->fields.list[i].name);
        buffer_append_char(out, ':');
        json_write_bytes(out, rows->fields.list[i].value);
    }
    buffer_append_char(out, '}');
}

void transfer_refusal_pack(struct buffer *out, uint64_t seq, const char *reason, uint32_t *count)
{
    pack_array(out, 2);
    pack_u64(out, seq);
    pack_text(out, reason);
    (*count)++;
}

bool transfer_rows_join(struct transfer_rows *to, const struct transfer_rows *from)
{
    size_t base = to->bytes.len;
    if (!transfer_grow((void **)&to->list, &to->cap, to->count + from->count, sizeof *to->list))
        return false;
    buffer_append_slice(&to->bytes, buffer_slice(&from->bytes));
    if (!buffer_ok(&to->bytes)) {
        to->bytes.len = base;
        to->bytes.failed = false;
        return false;
    }
    for (size_t i = 0; i < from->count; i++) {
        struct transfer_row row = from->list[i];
        row.bucket += base;
        row.key += base;
        row.data += base;
        to->list[to->count++] = row;
    }
    return true;
}

/* One name of the row, from its template. False with the reason when the record has not what it needs. */
static bool transfer_expand(struct transfer_rows *rows, const struct template *t, const char *text,
                            const struct transfer_record *r, size_t *at, size_t *len, char *reason,
                            size_t reason_size)
{
    size_t start = rows->bytes.len;
    struct slice missing;
    if (template_expand(t, r->member, rows->fields.list, r->count, &rows->bytes, &missing) != 0) {
        snprintf(reason, reason_size, "field %.*s is missing, the template %s needs it",
                 (int)(missing.len < 128 ? missing.len : 128), missing.ptr, text);
        return false;
    }
    transfer_end_name(rows, start, at, len);
    return true;
}

static void transfer_put_name(struct transfer_rows *rows, const char *name, size_t *at, size_t *len)
{
    size_t start = rows->bytes.len;
    buffer_append_text(&rows->bytes, name);
    transfer_end_name(rows, start, at, len);
}

/* Bucket and key of the row. False with the reason when it can have none. */
static bool transfer_name_row(struct transfer_rows *rows, const struct transfer_keys *keys,
                              const struct transfer_key *answer, const struct transfer_record *r,
                              struct transfer_row *row, char *reason, size_t reason_size)
{
    if (answer != NULL && answer->refusal != NULL) {
        snprintf(reason, reason_size, "%s", answer->refusal);
        return false;
    }
    if (answer != NULL) {
        transfer_put_name(rows, answer->bucket, &row->bucket, &row->bucket_len);
        transfer_put_name(rows, answer->key, &row->key, &row->key_len);
        return true;
    }
    return transfer_expand(rows, keys->bucket, keys->bucket_text, r, &row->bucket, &row->bucket_len,
                           reason, reason_size) &&
           transfer_expand(rows, keys->key, keys->key_text, r, &row->key, &row->key_len, reason,
                           reason_size);
}

static int transfer_add_row(struct transfer_rows *rows, const struct transfer_keys *keys,
                            const struct transfer_key *answer, const struct transfer_record *r,
                            struct buffer *refused, uint32_t *refused_count)
{
    size_t before = rows->bytes.len;
    struct transfer_row row = {.seq = r->seq};
    char reason[512];
    if (FAULT_POINT("transfer.record", r->member))
        return -ENOMEM;
    if (!transfer_name_row(rows, keys, answer, r, &row, reason, sizeof reason)) {
        rows->bytes.len = before;
        transfer_refusal_pack(refused, r->seq, reason, refused_count);
        return 0;
    }
    row.data = rows->bytes.len;
    transfer_write_json(rows, r);
    row.data_len = rows->bytes.len - row.data;
    if (!buffer_ok(&rows->bytes) ||
        !transfer_grow((void **)&rows->list, &rows->cap, rows->count + 1, sizeof *rows->list))
        return -ENOMEM;
    rows->list[rows->count++] = row;
    return 0;
}

int transfer_records_read(struct transfer_rows *rows, const struct transfer_keys *keys,
                          struct slice records, uint64_t count, struct buffer *refused,
                          uint32_t *refused_count)
{
    struct unpack u = unpack_start(records);
    size_t rows_before = rows->count, bytes_before = rows->bytes.len;
    int rc = 0;
    for (uint64_t i = 0; i < count && rc == 0; i++) {
        struct transfer_record r;
        const struct transfer_key *answer = keys->answers != NULL ? &keys->answers[i] : NULL;
        rc = transfer_record_read(&rows->fields, &u, &r);
        if (rc == 0)
            rc = transfer_add_row(rows, keys, answer, &r, refused, refused_count);
    }
    if (rc == 0 && !unpack_end(&u))
        rc = -EBADMSG;
    if (rc != 0) {
        rows->count = rows_before;
        rows->bytes.len = bytes_before;
        rows->bytes.failed = false;
    }
    return rc;
}
