/* job_rows.c: see job_rows.h. */
#include "workers/jobs/store/job_rows.h"

#include "common/json/json_text.h"
#include "workers/jobs/store/job_decimal.h"

#include <errno.h>
#include <stdlib.h>

json_t *job_rows_names(const json_t *rows)
{
    json_t *seen = json_object(), *names = json_array(), *value;
    bool ok = seen != NULL && names != NULL;
    const char *name;
    for (size_t i = 0; ok && i < json_array_size(rows); i++) {
        json_object_foreach(json_array_get(rows, i), name, value)
        {
            if (!ok || json_object_get(seen, name) != NULL)
                continue;
            ok = json_object_set_new(seen, name, json_true()) == 0 &&
                 json_array_append_new(names, json_string(name)) == 0;
        }
    }
    json_decref(seen);
    if (ok)
        return names;
    json_decref(names);
    return NULL;
}

static bool cell_take(struct job_cell *cell, const json_t *value)
{
    *cell = (struct job_cell){.kind = JOB_CELL_NULL};
    if (value == NULL || json_is_null(value))
        return true;
    if (json_is_string(value)) {
        cell->kind = JOB_CELL_TEXT;
        cell->text = slice_dup(slice_make(json_string_value(value), json_string_length(value)));
        cell->len = json_string_length(value);
    } else if (json_is_boolean(value)) {
        cell->kind = JOB_CELL_NUMBER;
        cell->text = strdup(json_is_true(value) ? "1" : "0");
        cell->len = 1;
    } else {
        cell->kind = json_is_number(value) ? JOB_CELL_NUMBER : JOB_CELL_TEXT;
        cell->text = json_text(value);
        cell->len = cell->text != NULL ? strlen(cell->text) : 0;
    }
    return cell->text != NULL;
}

int job_rows_take(struct job_rows *r, const json_t *rows, const json_t *names)
{
    *r = (struct job_rows){.columns = json_array_size(names)};
    size_t count = json_array_size(rows);
    r->cells = calloc(count * r->columns + 1, sizeof *r->cells);
    if (r->cells == NULL)
        return -ENOMEM;
    for (r->count = 0; r->count < count; r->count++)
        for (size_t c = 0; c < r->columns; c++) {
            const char *name = json_string_value(json_array_get(names, c));
            if (!cell_take(&r->cells[r->count * r->columns + c],
                           json_object_get(json_array_get(rows, r->count), name))) {
                r->count++;
                return -ENOMEM;
            }
        }
    return 0;
}

void job_rows_fini(struct job_rows *r)
{
    for (size_t i = 0; r->cells != NULL && i < r->count * r->columns; i++)
        free(r->cells[i].text);
    free(r->cells);
    *r = (struct job_rows){.columns = 0};
}

/* ---- sums ---- */

/* What `from` has comes to `to`; it is empty then. */
static int cell_merge(struct job_cell *to, struct job_cell *from, bool number)
{
    char sum[JOB_DECIMAL_TEXT];
    if (from->kind == JOB_CELL_NULL)
        return 0;
    if (number && to->kind != JOB_CELL_NULL &&
        job_decimal_add(slice_make(to->text, to->len), slice_make(from->text, from->len), sum)) {
        char *text = strdup(sum);
        if (text == NULL)
            return -ENOMEM;
        free(to->text);
        *to = (struct job_cell){.kind = JOB_CELL_NUMBER, .text = text, .len = strlen(text)};
        return 0;
    }
    free(to->text);
    *to = *from;
    *from = (struct job_cell){.kind = JOB_CELL_NULL};
    return 0;
}

struct keyed {
    const char *key;
    size_t row;
};

static int keyed_compare(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    int order = strcmp(x->key, y->key);
    return order != 0 ? order : x->row < y->row ? -1 : x->row > y->row;
}

static int row_merge(struct job_rows *r, size_t to, size_t from, const bool *number,
                     const bool *key)
{
    for (size_t c = 0; c < r->columns; c++) {
        if (key[c])
            continue;
        int rc =
            cell_merge(&r->cells[to * r->columns + c], &r->cells[from * r->columns + c], number[c]);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* Without the rows that have gone into others. */
static void rows_close_up(struct job_rows *r, const bool *gone)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->count; i++) {
        struct job_cell *row = &r->cells[i * r->columns];
        if (!gone[i]) {
            if (kept != i)
                memmove(&r->cells[kept * r->columns], row, r->columns * sizeof *row);
            kept++;
            continue;
        }
        for (size_t c = 0; c < r->columns; c++)
            free(row[c].text);
    }
    r->count = kept;
}

int job_rows_sum(struct job_rows *r, char *const *keys, const bool *number, const bool *key)
{
    struct keyed *sorted = calloc(r->count + 1, sizeof *sorted);
    bool *gone = calloc(r->count + 1, sizeof *gone);
    size_t count = 0, first = 0;
    int rc = sorted != NULL && gone != NULL ? 0 : -ENOMEM;
    for (size_t i = 0; rc == 0 && i < r->count; i++)
        if (keys[i] != NULL)
            sorted[count++] = (struct keyed){keys[i], i};
    if (rc == 0)
        qsort(sorted, count, sizeof *sorted, keyed_compare);
    for (size_t i = 1; rc == 0 && i < count; i++) {
        if (strcmp(sorted[i].key, sorted[first].key) != 0) {
            first = i;
            continue;
        }
        rc = row_merge(r, sorted[first].row, sorted[i].row, number, key);
        gone[sorted[i].row] = true;
    }
    if (rc == 0)
        rows_close_up(r, gone);
    free(sorted);
    free(gone);
    return rc;
}

json_t *job_rows_json(const struct job_rows *r, const json_t *names)
{
    json_t *rows = json_array();
    for (size_t i = 0; rows != NULL && i < r->count; i++) {
        json_t *row = json_object();
        for (size_t c = 0; c < r->columns; c++) {
            const struct job_cell *cell = &r->cells[i * r->columns + c];
            json_object_set_new(row, json_string_value(json_array_get(names, c)),
                                cell->kind == JOB_CELL_NULL ? json_null()
                                                            : json_stringn(cell->text, cell->len));
        }
        json_array_append_new(rows, row);
    }
    return rows;
}
