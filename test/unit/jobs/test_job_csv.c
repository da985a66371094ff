/* test_job_csv.c: rows as CSV. */
#include "workers/jobs/job_csv.h"

#include "test/unit/suite.h"

START_TEST(rows)
{
    static const struct {
        const char *rows, *csv;
    } cases[] = {
        {"[]", ""},
        {"null", ""},
        {"[{}]", "\n\n"},
        {"[{\"a\":1,\"b\":\"x\"},{\"b\":\"y\",\"a\":2.5,\"c\":0}]", "a,b\n1,x\n2.5,y\n"},
        {"[{\"a\":null,\"b\":true},{\"a\":\"\"}]", "a,b\n,true\n,\n"},
        {"[{\"a,\":\"x\\\"y\",\"b\":\"1\\n2\",\"c\":[1,{\"d\":\"e\"}]}]",
         "\"a,\",b,c\n\"x\"\"y\",\"1\n2\",\"[1,{\"\"d\"\":\"\"e\"\"}]\"\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer out = BUFFER_EMPTY;
        json_t *value = json_loads(cases[i].rows, JSON_DECODE_ANY, NULL);
        ck_assert_ptr_nonnull(value);
        job_csv_append(&out, value);
        ck_assert_str_eq(out.len > 0 ? buffer_text(&out) : "", cases[i].csv);
        buffer_fini(&out);
        json_decref(value);
    }
}
END_TEST

SUITE_MAIN("job_csv", rows)
