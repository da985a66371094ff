/* job_table.c: see job_table.h. */
#include "workers/jobs/store/job_table.h"

#include "common/text.h"
#include "workers/jobs/store/job_sql.h"

#include <mysql.h>
#include <stdio.h>
#include <stdlib.h>

#define CONNECT_SECONDS 10u
#define PORT_MYSQL      3306u

/* Rows whose keys are asked for at once; bytes of rows in one statement, of the 16 MB that a server takes at once. */
#define KEYS_AT_ONCE    200u
#define STATEMENT_BYTES (512u * 1024)

struct job_table {
    MYSQL db;
    const char *name, *password; /* the caller's */
    struct job_column *columns;
    size_t count;
};

/* ---- errors ---- */

/* Whatever a server quotes of what it was told, a password it is not. */
static void hide(char *text, size_t size, const char *password)
{
    struct buffer shown = BUFFER_EMPTY;
    const char *at = text, *found;
    if (password[0] == '\0')
        return;
    while ((found = strstr(at, password)) != NULL) {
        buffer_append(&shown, at, (size_t)(found - at));
        buffer_append_text(&shown, "***");
        at = found + strlen(password);
    }
    buffer_append_text(&shown, at);
    const char *whole = buffer_text(&shown);
    snprintf(text, size, "%s", whole != NULL ? whole : "memory is short");
    buffer_fini(&shown);
}

static void table_fail(struct job_table *t, char error[JOB_TABLE_ERROR])
{
    snprintf(error, JOB_TABLE_ERROR, "%s", mysql_error(&t->db));
    hide(error, JOB_TABLE_ERROR, t->password);
}

static int table_short(char error[JOB_TABLE_ERROR])
{
    snprintf(error, JOB_TABLE_ERROR, "memory is short");
    return -1;
}

static int table_say(struct job_table *t, struct buffer *sql, char error[JOB_TABLE_ERROR])
{
    if (!buffer_ok(sql))
        return table_short(error);
    if (mysql_real_query(&t->db, sql->data, sql->len) == 0)
        return 0;
    table_fail(t, error);
    return -1;
}

/* ---- what it has ---- */

static char *text_of(MYSQL_ROW row, unsigned field)
{
    return strdup(row[field] != NULL ? row[field] : "");
}

/* SHOW FULL COLUMNS: Field, Type, Collation, Null, Key, Default, Extra, … */
static bool take_column(struct job_table *t, MYSQL_ROW row)
{
    struct job_column *columns = realloc(t->columns, (t->count + 1) * sizeof *columns);
    if (columns == NULL)
        return false;
    t->columns = columns;
    struct job_column *column = &columns[t->count++];
    *column = (struct job_column){.name = text_of(row, 0),
                                  .type = text_of(row, 1),
                                  .collation = text_of(row, 2),
                                  .generated = row[6] != NULL && strstr(row[6], "GENERATED")};
    return column->name != NULL && column->type != NULL && column->collation != NULL;
}

static struct job_column *table_find(const struct job_table *t, const char *name)
{
    for (size_t i = 0; i < t->count; i++)
        if (strcasecmp(t->columns[i].name, name) == 0 && !t->columns[i].generated)
            return &t->columns[i];
    return NULL;
}

static MYSQL_RES *table_show(struct job_table *t, const char *what, char error[JOB_TABLE_ERROR])
{
    struct buffer sql = BUFFER_EMPTY;
    MYSQL_RES *shown = NULL;
    buffer_printf(&sql, "SHOW %s FROM ", what);
    job_sql_name(&sql, t->name);
    if (table_say(t, &sql, error) == 0 && (shown = mysql_store_result(&t->db)) == NULL)
        table_fail(t, error);
    buffer_fini(&sql);
    return shown;
}

static int table_read(struct job_table *t, char error[JOB_TABLE_ERROR])
{
    MYSQL_RES *shown = table_show(t, "FULL COLUMNS", error);
    MYSQL_ROW row;
    bool ok = true;
    if (shown == NULL)
        return -1;
    while (ok && (row = mysql_fetch_row(shown)) != NULL)
        ok = take_column(t, row);
    mysql_free_result(shown);
    return ok ? 0 : table_short(error);
}

/* ---- where it is ---- */

struct place {
    char host[256];
    unsigned port;
    const char *socket; /* NULL: host and port count */
};

/* Only one colon, or one behind a bracket, stands before a port. */
static bool place_read(const char *hostname, struct place *p)
{
    const char *colon = strrchr(hostname, ':'), *bracket = strrchr(hostname, ']');
    uint64_t port = PORT_MYSQL;
    bool has_port =
        colon != NULL && (bracket != NULL ? colon == bracket + 1 : strchr(hostname, ':') == colon);
    size_t len = has_port ? (size_t)(colon - hostname) : strlen(hostname);
    *p = (struct place){.socket = hostname[0] == '/' ? hostname : NULL};
    if (p->socket != NULL)
        return true;
    if (has_port && (text_parse_u64(slice_of(colon + 1), &port) != 0 || port == 0 || port > 65535))
        return false;
    struct slice host = slice_make(hostname, len);
    if (bracket != NULL && hostname[0] == '[')
        host = slice_make(hostname + 1, (size_t)(bracket - hostname) - 1);
    p->port = (unsigned)port;
    return host.len > 0 && slice_copy(host, p->host, sizeof p->host);
}

static int table_connect(struct job_table *t, const struct job_table_options *o,
                         char error[JOB_TABLE_ERROR])
{
    unsigned connect = o->seconds < CONNECT_SECONDS ? o->seconds : CONNECT_SECONDS, no = 0;
    unsigned protocol = o->hostname[0] == '/' ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP;
    struct place place;
    if (!place_read(o->hostname, &place)) {
        snprintf(error, JOB_TABLE_ERROR,
                 "settings: hostname: HOST, HOST:PORT or the path of a socket "
                 "is wanted, and not %.200s",
                 o->hostname);
        return -1;
    }
    mysql_options(&t->db, MYSQL_OPT_CONNECT_TIMEOUT, &connect);
    mysql_options(&t->db, MYSQL_OPT_READ_TIMEOUT, &o->seconds);
    mysql_options(&t->db, MYSQL_OPT_WRITE_TIMEOUT, &o->seconds);
    mysql_options(&t->db, MYSQL_OPT_LOCAL_INFILE, &no);   /* a server may ask for files of ours */
    mysql_options(&t->db, MYSQL_OPT_PROTOCOL, &protocol); /* localhost is a host, too */
    mysql_options(&t->db, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    if (mysql_real_connect(&t->db, place.socket == NULL ? place.host : NULL, o->username,
                           o->password, o->db, place.port, place.socket, 0) != NULL)
        return 0;
    table_fail(t, error);
    return -1;
}

struct job_table *job_table_open(const struct job_table_options *o, char error[JOB_TABLE_ERROR])
{
    struct job_table *t = calloc(1, sizeof *t);
    if (t == NULL || mysql_init(&t->db) == NULL) {
        free(t);
        table_short(error);
        return NULL;
    }
    t->name = o->table;
    t->password = o->password;
    if (table_connect(t, o, error) == 0 && table_read(t, error) == 0)
        return t;
    job_table_close(t);
    return NULL;
}

void job_table_close(struct job_table *t)
{
    for (size_t i = 0; i < t->count; i++) {
        free(t->columns[i].name);
        free(t->columns[i].type);
        free(t->columns[i].collation);
    }
    free(t->columns);
    mysql_close(&t->db);
    mysql_library_end();
    free(t);
}

json_t *job_table_columns(const struct job_table *t, const json_t *names, json_t *dropped)
{
    json_t *columns = json_array();
    for (size_t i = 0; columns != NULL && i < json_array_size(names); i++) {
        json_t *name = json_array_get(names, i);
        bool has = table_find(t, json_string_value(name)) != NULL;
        json_array_append(has ? columns : dropped, name);
    }
    return columns;
}

/* ---- its unique key ---- */

static bool is_among(const char *name, const json_t *names)
{
    for (size_t i = 0; i < json_array_size(names); i++)
        if (strcasecmp(json_string_value(json_array_get(names, i)), name) == 0)
            return true;
    return false;
}

static void key_forget(struct job_table *t)
{
    for (size_t i = 0; i < t->count; i++)
        t->columns[i].key = t->columns[i].key_len = 0;
}

/*
 * SHOW INDEX: Table, Non_unique, Key_name, Seq_in_index, Column_name, Collation, Cardinality, Sub_part. The first that
 * is unique and whose columns the rows have; the primary one comes first.
 */
static int key_read(struct job_table *t, const json_t *names, bool *keyed,
                    char error[JOB_TABLE_ERROR])
{
    MYSQL_RES *shown = table_show(t, "INDEX", error);
    MYSQL_ROW row;
    char *of = NULL; /* the one that is being read */
    bool whole = false;
    if (shown == NULL)
        return -1;
    while ((row = mysql_fetch_row(shown)) != NULL) {
        if (row[1][0] != '0')
            continue;
        if (of == NULL || strcmp(of, row[2]) != 0) {
            if (whole)
                break;
            key_forget(t);
            of = row[2]; /* the result is in memory, whole */
            whole = true;
        }
        struct job_column *column = row[4] != NULL ? table_find(t, row[4]) : NULL;
        whole = whole && column != NULL && is_among(row[4], names);
        if (column == NULL)
            continue;
        column->key = (unsigned)atoi(row[3]);
        column->key_len = row[7] != NULL ? (unsigned)atoi(row[7]) : 0;
    }
    if (!whole)
        key_forget(t);
    *keyed = whole;
    mysql_free_result(shown);
    return 0;
}

static void table_escape(void *ctx, struct buffer *out, struct slice text)
{
    struct job_table *t = ctx;
    char *to = buffer_reserve(out, 2 * text.len + 1);
    if (to != NULL)
        out->len += mysql_real_escape_string(&t->db, to, text.ptr, text.len);
}

/* A row of the answer as one text; NULL: part of it is nothing, and it is like no other. False: memory is short. */
static bool key_take(MYSQL_RES *shown, MYSQL_ROW row, char **key)
{
    unsigned fields = mysql_num_fields(shown);
    unsigned long *lens = mysql_fetch_lengths(shown);
    struct buffer text = BUFFER_EMPTY;
    *key = NULL;
    for (unsigned i = 1; i < fields; i++) {
        if (row[i] == NULL) {
            buffer_fini(&text);
            return true;
        }
        buffer_printf(&text, "%lu:", lens[i]);
        for (unsigned long k = 0; k < lens[i]; k++) /* of bytes, so that it is a text */
            buffer_printf(&text, "%02x", (unsigned char)row[i][k]);
    }
    buffer_append_char(&text, '\0');
    *key = buffer_take(&text, NULL);
    return *key != NULL;
}

static int keys_hear(struct job_table *t, char **keys, size_t count, char error[JOB_TABLE_ERROR])
{
    MYSQL_RES *shown = mysql_store_result(&t->db);
    MYSQL_ROW row;
    bool ok = true;
    if (shown == NULL) {
        table_fail(t, error);
        return -1;
    }
    while (ok && (row = mysql_fetch_row(shown)) != NULL) {
        size_t i = row[0] != NULL ? (size_t)strtoul(row[0], NULL, 10) : count;
        ok = i >= count || keys[i] != NULL || key_take(shown, row, &keys[i]);
    }
    mysql_free_result(shown);
    return ok ? 0 : table_short(error);
}

/* What the server makes of the keys of some rows. */
static int keys_ask(struct job_table *t, const struct job_rows *rows, size_t from, size_t count,
                    const struct job_column *const *columns, char **keys,
                    char error[JOB_TABLE_ERROR])
{
    struct buffer sql = BUFFER_EMPTY;
    for (size_t i = 0; i < count; i++) {
        buffer_printf(&sql, "%sSELECT %zu", i > 0 ? " UNION ALL " : "", i);
        for (size_t c = 0; c < rows->columns; c++) {
            if (columns[c]->key == 0)
                continue;
            buffer_append_char(&sql, ',');
            job_sql_key(&sql, columns[c], &rows->cells[(from + i) * rows->columns + c],
                        table_escape, t);
        }
    }
    int rc = table_say(t, &sql, error);
    buffer_fini(&sql);
    return rc != 0 ? rc : keys_hear(t, keys, count, error);
}

static int rows_sum(struct job_table *t, struct job_rows *rows,
                    const struct job_column *const *columns, char error[JOB_TABLE_ERROR])
{
    char **keys = calloc(rows->count + 1, sizeof *keys);
    bool *number = calloc(rows->columns + 1, sizeof *number),
         *key = calloc(rows->columns + 1, sizeof *key);
    size_t count = rows->count;
    int rc = keys != NULL && number != NULL && key != NULL ? 0 : table_short(error);
    for (size_t c = 0; rc == 0 && c < rows->columns; c++) {
        number[c] = job_sql_is_number(columns[c]);
        key[c] = columns[c]->key != 0;
    }
    for (size_t from = 0; rc == 0 && from < count; from += KEYS_AT_ONCE) {
        size_t some = count - from < KEYS_AT_ONCE ? count - from : KEYS_AT_ONCE;
        rc = keys_ask(t, rows, from, some, columns, keys + from, error);
    }
    if (rc == 0 && job_rows_sum(rows, keys, number, key) != 0)
        rc = table_short(error);
    for (size_t i = 0; keys != NULL && i < count; i++)
        free(keys[i]);
    free(keys);
    free(number);
    free(key);
    return rc;
}

/* ---- written ---- */

static int rows_insert(struct job_table *t, const struct job_rows *rows,
                       const struct job_column *const *columns, char error[JOB_TABLE_ERROR])
{
    struct buffer sql = BUFFER_EMPTY;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < rows->count;) {
        buffer_clear(&sql);
        job_sql_insert_begin(&sql, t->name, columns, rows->columns);
        for (size_t first = i; i < rows->count && buffer_ok(&sql) && sql.len < STATEMENT_BYTES;
             i++) {
            buffer_append_text(&sql, i > first ? "," : "");
            job_sql_row(&sql, &rows->cells[i * rows->columns], rows->columns, table_escape, t);
        }
        job_sql_insert_end(&sql, columns, rows->columns);
        rc = table_say(t, &sql, error);
    }
    buffer_fini(&sql);
    return rc;
}

static int table_transact(struct job_table *t, const struct job_rows *rows,
                          const struct job_column *const *columns, char error[JOB_TABLE_ERROR])
{
    if (mysql_autocommit(&t->db, 0) != 0) {
        table_fail(t, error);
        return -1;
    }
    int rc = rows_insert(t, rows, columns, error);
    if (rc == 0 && mysql_commit(&t->db) != 0) {
        table_fail(t, error);
        rc = -1;
    }
    if (rc != 0)
        (void)mysql_rollback(&t->db); /* and so does the connection's end */
    return rc;
}

int job_table_write(struct job_table *t, struct job_rows *rows, const json_t *names, bool *keyed,
                    char error[JOB_TABLE_ERROR])
{
    const struct job_column **columns = calloc(rows->columns + 1, sizeof *columns);
    int rc = columns != NULL ? key_read(t, names, keyed, error) : table_short(error);
    for (size_t c = 0; columns != NULL && c < rows->columns; c++)
        columns[c] = table_find(t, json_string_value(json_array_get(names, c)));
    if (rc == 0 && *keyed)
        rc = rows_sum(t, rows, columns, error);
    if (rc == 0 && rows->count > 0)
        rc = table_transact(t, rows, columns, error);
    free(columns);
    return rc;
}
