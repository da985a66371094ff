/*
 * transfer_records.c: records become rows in one pass: fields are borrowed from the frame, key and JSON are written into one buffer.
 * See transfer.h.
 */
#include "workers/transfer.h"

#include "common/base64.h"
#include "common/fault.h"
#include "common/json_write.h"

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
    free(rows->fields);
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

struct transfer_record {
    uint64_t seq;
    struct slice member;
    size_t count; /* of rows->fields */
};

static int transfer_read_record(struct transfer_rows *rows, struct unpack *u,
                                struct transfer_record *r)
{
    uint32_t elements = unpack_array(u);
    r->seq = unpack_u64(u);
    r->member = unpack_bytes(u);
    uint64_t n = unpack_u64(u);
    if (!unpack_ok(u) || n > TRANSFER_FIELDS_MAX || elements != 3 + 2 * n)
        return -EBADMSG;
    if (!transfer_grow((void **)&rows->fields, &rows->field_cap, (size_t)n, sizeof *rows->fields))
        return -ENOMEM;
    r->count = (size_t)n;
    for (size_t i = 0; i < r->count; i++) {
        rows->fields[i].name = unpack_bytes(u);
        rows->fields[i].value = unpack_bytes(u);
    }
    return unpack_ok(u) ? 0 : -EBADMSG;
}

/* Expands one template behind the bytes there are. What is no text is written as base64 in its place. */
static bool transfer_expand(struct transfer_rows *rows, const struct template *t,
                            const struct transfer_record *r, size_t *at, size_t *len,
                            struct slice *missing)
{
    size_t start = rows->bytes.len;
    if (template_expand(t, r->member, rows->fields, r->count, &rows->bytes, missing) != 0)
        return false;
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
    return true;
}

static void transfer_write_json(struct transfer_rows *rows, const struct transfer_record *r)
{
    struct buffer *out = &rows->bytes;
    buffer_append_char(out, '{');
    for (size_t i = 0; i < r->count; i++) {
        if (i > 0)
            buffer_append_char(out, ',');
        json_write_name(out, rows->fields[i].name);
        buffer_append_char(out, ':');
        json_write_bytes(out, rows->fields[i].value);
    }
    buffer_append_char(out, '}');
}

static void transfer_refuse(const struct transfer_record *r, struct slice field, const char *text,
                            struct buffer *refused, uint32_t *count)
{
    char reason[512];
    snprintf(reason, sizeof reason, "field %.*s is missing, the template %s needs it",
             (int)(field.len < 128 ? field.len : 128), field.ptr, text);
    pack_array(refused, 2);
    pack_u64(refused, r->seq);
    pack_text(refused, reason);
    (*count)++;
}

static int transfer_add_row(struct transfer_rows *rows, const struct transfer_keys *keys,
                            const struct transfer_record *r, struct buffer *refused,
                            uint32_t *refused_count)
{
    size_t before = rows->bytes.len;
    struct transfer_row row = {.seq = r->seq};
    struct slice missing;
    FAULT_POINT("transfer.record", r->member);
    const char *text = keys->bucket_text;
    bool good = transfer_expand(rows, keys->bucket, r, &row.bucket, &row.bucket_len, &missing);
    if (good) {
        text = keys->key_text;
        good = transfer_expand(rows, keys->key, r, &row.key, &row.key_len, &missing);
    }
    if (!good) {
        rows->bytes.len = before;
        transfer_refuse(r, missing, text, refused, refused_count);
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
        rc = transfer_read_record(rows, &u, &r);
        if (rc == 0)
            rc = transfer_add_row(rows, keys, &r, refused, refused_count);
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
