/*
 * store_sqlite_schema.c: what is in the file, and how a file of an older platoon becomes one of ours. See
 * store_sqlite.h and DRAIN.md, The store.
 *
 * Records are appended to `records_recent` and merged in key order into `records_base` (store_sqlite_merge.c); the view
 * `records` shows of each (bucket, key) the newest version, wherever it is. So writing costs an append whatever the
 * keys are, and the pages of the large index are written once for thousands of records. Rejected: an index on
 * records_recent, which would make reading during a load cheaper and brings half of the cost back; one table, at 44,000
 * to 67,000 random keys/s and falling with its size.
 *
 * Rules that a user adds to `records_base` would be met by the merging only, when the record was acknowledged long
 * before. So where there are some, records go there directly, each judged before its batch is committed, at the price
 * of speed.
 *
 * AUTOINCREMENT, because a merge deletes by "id up to": an id that came again would be deleted
 * without having been merged.
 */
#include "common/store/store_sqlite.h"

static const char store_schema_tables[] =
    "CREATE TABLE IF NOT EXISTS records_base(bucket TEXT, key TEXT, data TEXT, seq INTEGER, "
    "updated_at INTEGER, PRIMARY KEY(bucket,key));"
    "CREATE TABLE IF NOT EXISTS records_recent(id INTEGER PRIMARY KEY AUTOINCREMENT, bucket TEXT, "
    "key TEXT, data TEXT, seq INTEGER, updated_at INTEGER);"
    "CREATE VIEW IF NOT EXISTS records(bucket, key, data, seq, updated_at) AS "
    "WITH newest AS (SELECT id, bucket, key, max(seq) AS seq FROM records_recent "
    "GROUP BY bucket, key) "
    "SELECT b.bucket, b.key, b.data, b.seq, b.updated_at FROM records_base b "
    "LEFT JOIN newest n ON n.bucket = b.bucket AND n.key = b.key "
    "WHERE n.seq IS NULL OR n.seq < b.seq "
    "UNION ALL "
    "SELECT r.bucket, r.key, r.data, r.seq, r.updated_at FROM newest n "
    "JOIN records_recent r ON r.id = n.id "
    "LEFT JOIN records_base b ON b.bucket = n.bucket AND b.key = n.key "
    "WHERE b.seq IS NULL OR b.seq <= n.seq;"
    /* Old records are deleted by the user, from what looks like a table. */
    "CREATE TRIGGER IF NOT EXISTS records_delete INSTEAD OF DELETE ON records BEGIN "
    "DELETE FROM records_base WHERE bucket = OLD.bucket AND key = OLD.key; "
    "DELETE FROM records_recent WHERE bucket = OLD.bucket AND key = OLD.key; END;";

/* The kind of the thing that is called `records` (of a table: with its columns), '' when there is none. */
static const char store_schema_kind[] = "SELECT coalesce((SELECT type || CASE type WHEN 'table' "
                                        "THEN (SELECT group_concat(' ' || name, '') "
                                        "FROM pragma_table_info('records')) ELSE '' END FROM "
                                        "sqlite_schema WHERE name = 'records'), '')";

static int store_schema_ask(sqlite3 *db, const char *sql, char *out, size_t size)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(stmt, 0);
        rc = text != NULL && slice_copy(slice_of(text), out, size) ? SQLITE_OK : SQLITE_ERROR;
    }
    sqlite3_finalize(stmt);
    return rc;
}

static int store_schema_make(sqlite3 *db)
{
    char kind[128];
    int rc = store_schema_ask(db, store_schema_kind, kind, sizeof kind);
    if (rc != SQLITE_OK)
        return rc;
    if (strcmp(kind, "view") == 0)
        return SQLITE_OK;
    if (strcmp(kind, "table bucket key data seq updated_at") == 0)
        rc = sqlite3_exec(db, "ALTER TABLE records RENAME TO records_base", NULL, NULL, NULL);
    else if (kind[0] != '\0')
        rc = SQLITE_ERROR;
    return rc == SQLITE_OK ? sqlite3_exec(db, store_schema_tables, NULL, NULL, NULL) : rc;
}

/*
 * What may refuse a row: of a table by the words that a rule needs, in its own text (what is taken for one and is none,
 * in a comment, makes writing slower, no more); of an index by what it computes: an expression or a WHERE may fail, a
 * collation may be one that only the user's program knows. Names as SQLite compares them: a trigger's table stands in
 * the schema as its maker wrote it.
 */
static const char store_schema_strict[] =
    "SELECT CAST(EXISTS(SELECT 1 FROM sqlite_schema WHERE tbl_name = 'records_base' COLLATE NOCASE "
    "AND (type = 'trigger' OR type = 'table' AND (sql LIKE '%check%' OR sql LIKE '%not null%' OR "
    "sql LIKE '%unique%' OR sql LIKE '%references%' OR sql LIKE '%generated%' OR sql LIKE "
    "'%strict%'))) "
    "OR EXISTS(SELECT 1 FROM pragma_table_xinfo('records_base') WHERE hidden IN (2, 3)) "
    "OR EXISTS(SELECT 1 FROM pragma_index_list('records_base') l WHERE l.partial OR (l.\"unique\" "
    "AND l.origin <> 'pk') OR EXISTS(SELECT 1 FROM pragma_index_xinfo(l.name) x WHERE x.cid = -2 "
    "OR upper(x.coll) NOT IN ('BINARY', 'NOCASE', 'RTRIM'))) AS TEXT)";

/* The columns that are written, in both tables. */
static const char store_schema_ours[] =
    "SELECT CAST((SELECT count(*) FROM (SELECT 'records_base' AS t UNION ALL SELECT "
    "'records_recent') n, pragma_table_info(n.t) c WHERE lower(c.name) IN ('bucket', 'key', "
    "'data', 'seq', 'updated_at')) = 10 AS TEXT)";

static int store_schema_is(sqlite3 *db, const char *sql, bool *is)
{
    char answer[8];
    int rc = store_schema_ask(db, sql, answer, sizeof answer);
    *is = rc == SQLITE_OK && strcmp(answer, "1") == 0;
    return rc;
}

int store_sqlite_schema_is_strict(sqlite3 *db, bool *strict)
{
    return store_schema_is(db, store_schema_strict, strict);
}

bool store_sqlite_schema_is_ours(sqlite3 *db)
{
    bool ours;
    return store_schema_is(db, store_schema_ours, &ours) == SQLITE_OK && ours;
}

int store_sqlite_schema_version(struct store_sqlite *s)
{
    int version = sqlite3_step(s->version) == SQLITE_ROW ? sqlite3_column_int(s->version, 0) : 0;
    sqlite3_reset(s->version);
    return version;
}

int store_sqlite_schema_ensure(sqlite3 *db)
{
    char kind[128];
    int rc = store_schema_ask(db, store_schema_kind, kind, sizeof kind);
    if (rc != SQLITE_OK || strcmp(kind, "view") == 0)
        return rc;
    rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = store_schema_make(db);
    if (rc == SQLITE_OK)
        return sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}
