/* test_job_rows.c: rows in the columns of a table, those of one key summed; and the statements that they become. */
#include "workers/jobs/store/job_rows.h"

#include "test/unit/suite.h"
#include "workers/jobs/store/job_sql.h"

#include <stdlib.h>

static json_t *json_of(const char *text)
{
    json_t *value = json_loads(text, 0, NULL);
    ck_assert_ptr_nonnull(value);
    return value;
}

static void assert_json(json_t *value, const char *text)
{
    char *have = json_dumps(value, JSON_COMPACT);
    ck_assert_str_eq(have, text);
    free(have);
    json_decref(value);
}

START_TEST(names_in_order)
{
    json_t *rows = json_of("[{\"b\":1,\"a\":2},{\"c\":3,\"a\":4},{}]");
    assert_json(job_rows_names(rows), "[\"b\",\"a\",\"c\"]");
    json_decref(rows);
    rows = json_array();
    assert_json(job_rows_names(rows), "[]");
    json_decref(rows);
}
END_TEST

START_TEST(one_of_a_key)
{
    json_t *given =
               json_of("[{\"k\":\"x\",\"n\":0.1,\"t\":\"1\"},{\"k\":\"y\",\"n\":null,\"t\":true},"
                       "{\"k\":\"X\",\"n\":0.2,\"t\":2},{\"k\":\"x\",\"t\":null,\"n\":\"3.00\"},{"
                       "\"k\":null,\"n\":5},"
                       "{\"k\":\"y\",\"n\":7,\"t\":[1.5,\"a\"]},{\"k\":\"y\",\"n\":\"none\"}]"),
           *names = json_of("[\"k\",\"n\",\"t\"]");
    const char *const keys[] = {"x", "y", "x", "x", NULL, "y", "y"};
    const bool number[] = {false, true, false}, key[] = {true, false, false};
    struct job_rows rows;
    ck_assert_int_eq(job_rows_take(&rows, given, names), 0);
    ck_assert_int_eq(job_rows_sum(&rows, (char *const *)(uintptr_t)keys, number, key), 0);
    assert_json(job_rows_json(&rows, names),
                "[{\"k\":\"x\",\"n\":\"3.30\",\"t\":\"2\"},{\"k\":\"y\",\"n\":\"none\",\"t\":"
                "\"[1.5,\\\"a\\\"]\"},{\"k\":null,\"n\":\"5\",\"t\":null}]");
    job_rows_fini(&rows);
    json_decref(given);
    json_decref(names);
}
END_TEST

/* ---- statements ---- */

/* Texts as a cell and a column own them; nothing here writes to them. */
#define TEXT(text) ((char *)(uintptr_t)(text))

static void fake_escape(void *ctx, struct buffer *out, struct slice text)
{
    ++*(int *)ctx;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '\'')
            buffer_append_char(out, '\\');
        buffer_append_char(out, text.ptr[i]);
    }
}

static void assert_text(struct buffer *b, const char *text)
{
    ck_assert_str_eq(buffer_text(b), text);
    buffer_fini(b);
}

START_TEST(statements)
{
    struct job_column a = {.name = TEXT("a`b"), .type = TEXT("int(11)"), .collation = TEXT("")},
                      b = {.name = TEXT("b"), .type = TEXT("text")};
    const struct job_column *const columns[] = {&a, &b};
    const struct job_cell cells[] = {{JOB_CELL_NUMBER, TEXT("1.5"), 3},
                                     {JOB_CELL_TEXT, TEXT("it's"), 4},
                                     {JOB_CELL_NULL, NULL, 0}};
    struct buffer out = BUFFER_EMPTY;
    int escaped = 0;
    job_sql_insert_begin(&out, "t`; DROP TABLE x", columns, 2);
    assert_text(&out, "INSERT INTO `t``; DROP TABLE x` (`a``b`,`b`) VALUES ");
    job_sql_row(&out, cells, 3, fake_escape, &escaped);
    assert_text(&out, "(1.5,'it\\'s',NULL)");
    ck_assert_int_eq(escaped, 1);
    job_sql_insert_end(&out, columns, 2);
    assert_text(&out, " ON DUPLICATE KEY UPDATE `a``b`=VALUES(`a``b`),`b`=VALUES(`b`)");
}
END_TEST

START_TEST(keys_are_the_servers)
{
    static const struct {
        const char *type, *collation;
        unsigned key_len;
        bool number;
        const char *sql;
    } cases[] = {
        {"int(10) unsigned", "", 0, true, "CAST('x' AS DECIMAL(65,0))"},
        {"decimal(9,2) unsigned", "", 0, true, "CAST('x' AS decimal(9,2))"},
        {"double", "", 0, true, "CAST('x' AS DOUBLE)"},
        {"float", "", 0, true, "CAST('x' AS DOUBLE)"},
        {"date", "", 0, false, "CAST('x' AS date)"},
        {"datetime(6)", "", 0, false, "CAST('x' AS datetime(6))"},
        {"timestamp(3)", "", 0, false, "CAST('x' AS DATETIME(3))"},
        {"time", "", 0, false, "CAST('x' AS time)"},
        {"varbinary(16)", "", 0, false, "CAST('x' AS BINARY)"},
        {"varchar(20)", "latin1_swedish_ci", 0, false,
         "HEX(WEIGHT_STRING(TRIM(TRAILING ' ' FROM CONVERT('x' USING latin1)) COLLATE "
         "latin1_swedish_ci))"},
        {"text", "utf8mb4_nopad_bin", 10, false,
         "HEX(WEIGHT_STRING((LEFT(CONVERT('x' USING utf8mb4),10)) COLLATE utf8mb4_nopad_bin))"},
    };
    const struct job_cell cell = {JOB_CELL_TEXT, TEXT("x"), 1};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct job_column column = {.type = TEXT(cases[i].type),
                                    .collation = TEXT(cases[i].collation),
                                    .key_len = cases[i].key_len};
        struct buffer out = BUFFER_EMPTY;
        int escaped = 0;
        ck_assert(job_sql_is_number(&column) == cases[i].number);
        job_sql_key(&out, &column, &cell, fake_escape, &escaped);
        assert_text(&out, cases[i].sql);
    }
}
END_TEST

SUITE_MAIN("job_rows", names_in_order, one_of_a_key, statements, keys_are_the_servers)
