/* job_sql.c: see job_sql.h. */
#include "workers/jobs/store/job_sql.h"

static bool begins(const char *text, const char *with)
{
    return strncasecmp(text, with, strlen(with)) == 0;
}

bool job_sql_is_number(const struct job_column *column)
{
    static const char *const types[] = {"tinyint", "smallint", "mediumint", "int",   "bigint",
                                        "decimal", "numeric",  "float",     "double"};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (begins(column->type, types[i]))
            return true;
    return false;
}

void job_sql_name(struct buffer *out, const char *name)
{
    buffer_append_char(out, '`');
    for (; *name != '\0'; name++) {
        if (*name == '`')
            buffer_append_char(out, '`');
        buffer_append_char(out, *name);
    }
    buffer_append_char(out, '`');
}

static void sql_value(struct buffer *out, const struct job_cell *cell, job_sql_escape escape,
                      void *ctx)
{
    if (cell->kind == JOB_CELL_NULL) {
        buffer_append_text(out, "NULL");
    } else if (cell->kind == JOB_CELL_NUMBER) {
        buffer_append(out, cell->text, cell->len);
    } else {
        buffer_append_char(out, '\'');
        escape(ctx, out, slice_make(cell->text, cell->len));
        buffer_append_char(out, '\'');
    }
}

/* As what a value is compared: the column's own type where a cast to it exists, with all its digits. */
static void key_type(struct buffer *out, const struct job_column *column)
{
    static const char *const own[] = {"decimal", "datetime", "date", "time"};
    if (begins(column->type, "timestamp")) {
        buffer_append_text(out, "DATETIME");
        buffer_append_text(out, column->type + strlen("timestamp"));
    } else if (begins(column->type, "float") || begins(column->type, "double")) {
        buffer_append_text(out, "DOUBLE");
    } else if (job_sql_is_number(column) && !begins(column->type, "decimal")) {
        buffer_append_text(out, "DECIMAL(65,0)");
    } else {
        for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
            if (begins(column->type, own[i])) {
                size_t len = strcspn(column->type, " "); /* decimal(9,2) unsigned */
                buffer_append(out, column->type, len);
                return;
            }
        buffer_append_text(out, "BINARY");
    }
}

void job_sql_key(struct buffer *out, const struct job_column *column, const struct job_cell *cell,
                 job_sql_escape escape, void *ctx)
{
    if (column->collation[0] == '\0') {
        buffer_append_text(out, "CAST(");
        sql_value(out, cell, escape, ctx);
        buffer_append_text(out, " AS ");
        key_type(out, column);
        buffer_append_char(out, ')');
        return;
    }
    /* Blanks at the end count for nothing to a collation that does not say otherwise. */
    bool blanks =
        strstr(column->collation, "nopad") != NULL || strcmp(column->collation, "binary") == 0;
    size_t charset = strcspn(column->collation, "_");
    buffer_append_text(out, "HEX(WEIGHT_STRING(");
    buffer_append_text(out, blanks ? "(" : "TRIM(TRAILING ' ' FROM ");
    if (column->key_len > 0)
        buffer_append_text(out, "LEFT(");
    buffer_append_text(out, "CONVERT(");
    sql_value(out, cell, escape, ctx);
    buffer_printf(out, " USING %.*s)", (int)charset, column->collation);
    if (column->key_len > 0)
        buffer_printf(out, ",%u)", column->key_len);
    buffer_printf(out, ") COLLATE %s))", column->collation);
}

void job_sql_row(struct buffer *out, const struct job_cell *cells, size_t columns,
                 job_sql_escape escape, void *ctx)
{
    for (size_t c = 0; c < columns; c++) {
        buffer_append_char(out, c == 0 ? '(' : ',');
        sql_value(out, &cells[c], escape, ctx);
    }
    buffer_append_char(out, ')');
}

void job_sql_insert_begin(struct buffer *out, const char *table,
                          const struct job_column *const *columns, size_t count)
{
    buffer_append_text(out, "INSERT INTO ");
    job_sql_name(out, table);
    for (size_t c = 0; c < count; c++) {
        buffer_append_text(out, c == 0 ? " (" : ",");
        job_sql_name(out, columns[c]->name);
    }
    buffer_append_text(out, ") VALUES ");
}

void job_sql_insert_end(struct buffer *out, const struct job_column *const *columns, size_t count)
{
    buffer_append_text(out, " ON DUPLICATE KEY UPDATE ");
    for (size_t c = 0; c < count; c++) {
        buffer_append_text(out, c == 0 ? "" : ",");
        job_sql_name(out, columns[c]->name);
        buffer_append_text(out, "=VALUES(");
        job_sql_name(out, columns[c]->name);
        buffer_append_char(out, ')');
    }
}
