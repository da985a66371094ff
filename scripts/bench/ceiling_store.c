/*
 * ceiling_store.c: how fast the store alone takes rows from memory.
 *
 * Part of scripts/bench/drain. Usage: ceiling_store FROM TO BATCH ours|plain [ROWS_PER_SECOND]. FROM is a
 * database with a table `records`, whose rows are read into memory in the order of their seq (that in which they
 * came), or random:N for N rows of 300 bytes with random keys. They are written to TO, in batches, each durable
 * before the next: by platoon's store with its defaults, in key order as transfer does it, or (plain) by the same
 * table, keys and durability with SQLite's defaults. With a rate, a batch is written when that many rows would
 * have come: how long does one take that is not in a hurry? Prints the number of rows, the seconds it took, and
 * the longest batch in milliseconds.
 */
#include "common/store/store.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void die(const char *what)
{
    fprintf(stderr, "ceiling_store: %s\n", what);
    exit(1);
}

static struct slice column(sqlite3_stmt *stmt, int i)
{
    struct slice borrowed =
        slice_make(sqlite3_column_text(stmt, i), (size_t)sqlite3_column_bytes(stmt, i));
    char *copy = slice_dup(borrowed);
    if (copy == NULL)
        die("memory is short");
    return slice_make(copy, borrowed.len);
}

static struct store_record *read_rows(const char *path, size_t *count)
{
    sqlite3 *db;
    sqlite3_stmt *stmt;
    struct store_record *rows = NULL;
    size_t cap = 0;
    *count = 0;
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(db,
                           "SELECT bucket, key, data, seq, updated_at FROM records ORDER BY seq",
                           -1, &stmt, NULL) != SQLITE_OK)
        die(sqlite3_errmsg(db));
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        if (*count == cap) {
            cap = cap ? 2 * cap : 65536;
            rows = realloc(rows, cap * sizeof *rows);
            if (rows == NULL)
                die("memory is short");
        }
        rows[(*count)++] =
            (struct store_record){.bucket = column(stmt, 0),
                                  .key = column(stmt, 1),
                                  .data = column(stmt, 2),
                                  .seq = (uint64_t)sqlite3_column_int64(stmt, 3),
                                  .updated_at_ms = (uint64_t)sqlite3_column_int64(stmt, 4)};
    }
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return rows;
}

/* Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014. */
static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static struct store_record *make_rows(size_t count)
{
    struct store_record *rows = calloc(count, sizeof *rows);
    char *keys = malloc(count * 32), *data = malloc(300);
    if (rows == NULL || keys == NULL || data == NULL)
        die("memory is short");
    snprintf(data, 300, "{\"text\":\"%0*d\"}", 285, 0);
    uint64_t state = 1;
    for (size_t i = 0; i < count; i++) {
        uint64_t a = splitmix(&state), b = splitmix(&state);
        char key[40];
        snprintf(key, sizeof key, "%016llx%016llx", (unsigned long long)a, (unsigned long long)b);
        memcpy(keys + 32 * i, key, 32);
        rows[i] = (struct store_record){.bucket = slice_of("visits"),
                                        .key = slice_make(keys + 32 * i, 32),
                                        .data = slice_of(data),
                                        .seq = 1795249955370956u + i,
                                        .updated_at_ms = 1795249955370u};
    }
    return rows;
}

static double longest; /* batch, seconds */
static double rate;    /* rows a second; 0: as fast as it goes */
static double started;

static void wait_for_rows(size_t rows)
{
    double early = rate > 0 ? started + (double)rows / rate - now() : 0;
    if (early > 0)
        usleep((useconds_t)(early * 1e6));
}

static void note_batch(double began)
{
    if (now() - began > longest)
        longest = now() - began;
}

static int by_key(const void *a, const void *b)
{
    const struct store_record *x = a, *y = b;
    size_t n = x->key.len < y->key.len ? x->key.len : y->key.len;
    int order = memcmp(x->key.ptr, y->key.ptr, n);
    return order != 0 ? order : (x->key.len > y->key.len) - (x->key.len < y->key.len);
}

static void write_ours(struct store_record *rows, size_t count, size_t batch, const char *path)
{
    struct store_options options = {.type = "sqlite", .path = path, .cache_bytes = 8u << 20};
    struct store *s;
    struct store_error error;
    if (store_open(&options, &s, &error) != STORE_OK)
        die(error.text);
    for (size_t at = 0; at < count; at += batch) {
        size_t n = count - at < batch ? count - at : batch;
        wait_for_rows(at + n);
        double began = now();
        qsort(rows + at, n, sizeof *rows, by_key); /* as transfer does */
        if (store_write(s, rows + at, n, &error) != STORE_OK)
            die(error.text);
        note_batch(began);
    }
    store_close(s);
}

static void write_plain(const struct store_record *rows, size_t count, size_t batch,
                        const char *path)
{
    sqlite3 *db;
    sqlite3_stmt *put;
    if (sqlite3_open(path, &db) != SQLITE_OK ||
        sqlite3_exec(
            db,
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE records(bucket TEXT, "
            "key TEXT, data TEXT, seq INTEGER, updated_at INTEGER, PRIMARY KEY(bucket,key))",
            NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(db, "INSERT OR REPLACE INTO records VALUES(?,?,?,?,?)", -1, &put,
                           NULL) != SQLITE_OK)
        die(sqlite3_errmsg(db));
    for (size_t at = 0; at < count; at += batch) {
        wait_for_rows(at + batch);
        double began = now();
        sqlite3_exec(db, "BEGIN", NULL, NULL, NULL);
        for (size_t i = at; i < at + batch && i < count; i++) {
            const struct store_record *r = &rows[i];
            sqlite3_bind_text(put, 1, r->bucket.ptr, (int)r->bucket.len, SQLITE_STATIC);
            sqlite3_bind_text(put, 2, r->key.ptr, (int)r->key.len, SQLITE_STATIC);
            sqlite3_bind_text(put, 3, r->data.ptr, (int)r->data.len, SQLITE_STATIC);
            sqlite3_bind_int64(put, 4, (sqlite3_int64)r->seq);
            sqlite3_bind_int64(put, 5, (sqlite3_int64)r->updated_at_ms);
            if (sqlite3_step(put) != SQLITE_DONE)
                die(sqlite3_errmsg(db));
            sqlite3_reset(put);
        }
        if (sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
            die(sqlite3_errmsg(db));
        note_batch(began);
    }
    sqlite3_finalize(put);
    sqlite3_close(db);
}

int main(int argc, char **argv)
{
    if (argc != 5 && argc != 6) {
        fprintf(stderr, "usage: ceiling_store FROM TO BATCH ours|plain [ROWS_PER_SECOND]\n");
        return 2;
    }
    rate = argc == 6 ? atof(argv[5]) : 0;
    size_t count, batch = (size_t)atoi(argv[3]);
    struct store_record *rows;
    if (strncmp(argv[1], "random:", 7) == 0)
        rows = make_rows(count = strtoul(argv[1] + 7, NULL, 10));
    else
        rows = read_rows(argv[1], &count);
    started = now();
    if (strcmp(argv[4], "ours") == 0)
        write_ours(rows, count, batch, argv[2]);
    else
        write_plain(rows, count, batch, argv[2]);
    double took = now() - started;
    printf("%zu %.6f %.1f\n", count, took, 1000 * longest);
    return 0;
}
