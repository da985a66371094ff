/*
 * job_store.c: libexec/platoon/job-store writes the rows of one store of a job to a MySQL table.
 *
 * Runs as a process of a sanjer's, one for each store, so that the sanjer links no libmariadb, and whatever becomes of
 * that is no sanjer's end. It is told one JSON object on standard input, {"settings": {hostname, db, username,
 * password, table}, "rows": [{…}], "seconds": N}, and says one on standard output: {"rows", "dropped", "keyed", "csv"},
 * or {"wrong"}, and exits with 1 then. It has ended `seconds` after its start. Settings are in no argument.
 */
#include "common/buffer.h"
#include "common/json/json_text.h"
#include "workers/jobs/job_csv.h"
#include "workers/jobs/store/job_table.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SECONDS_STANDARD 180

/* Of a database that has answered nothing: then this is all that can be said. */
static const char LATE[] = "{\"wrong\":\"the database has not answered in time\"}\n";

static void on_alarm(int signal)
{
    (void)signal;
    ssize_t n = write(STDOUT_FILENO, LATE, sizeof LATE - 1);
    _exit(n > 0 ? 1 : 2);
}

static int tell(json_t *said)
{
    char *text = said != NULL ? json_text(said) : NULL;
    bool well = text != NULL && json_object_get(said, "wrong") == NULL;
    alarm(0); /* one answer only */
    printf("%s\n", text != NULL ? text : "{\"wrong\":\"memory is short\"}");
    free(text);
    json_decref(said);
    return fflush(stdout) == 0 && well ? 0 : 1;
}

static int tell_wrong(const char *why)
{
    json_t *text = json_string(why);
    return tell(json_pack("{s:o}", "wrong",
                          text != NULL ? text : json_string("the database's words are no UTF-8")));
}

static json_t *read_told(void)
{
    struct buffer told = BUFFER_EMPTY;
    ssize_t n;
    char *at;
    while ((at = buffer_reserve(&told, 65536)) != NULL) {
        n = read(STDIN_FILENO, at, 65536);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        told.len += (size_t)n;
    }
    json_t *value = buffer_ok(&told) ? json_loadb(told.data, told.len, 0, NULL) : NULL;
    buffer_fini(&told);
    return value;
}

static json_t *answer(const struct job_rows *rows, const json_t *names, json_t *dropped, bool keyed)
{
    struct buffer csv = BUFFER_EMPTY;
    json_t *written = job_rows_json(rows, names);
    job_csv_append(&csv, written);
    json_t *said =
        json_pack("{s:I,s:O,s:b,s:s#}", "rows", (json_int_t)rows->count, "dropped", dropped,
                  "keyed", keyed, "csv", csv.len > 0 ? csv.data : "", (int)csv.len);
    json_decref(written);
    buffer_fini(&csv);
    return said;
}

static int write_rows(struct job_table *t, const json_t *told)
{
    const json_t *given = json_object_get(told, "rows");
    json_t *all = job_rows_names(given), *dropped = json_array(),
           *names = all != NULL && dropped != NULL ? job_table_columns(t, all, dropped) : NULL;
    struct job_rows rows = {.columns = 0};
    char error[JOB_TABLE_ERROR] = "memory is short";
    bool keyed = true;
    int rc = -1;
    json_t *said = NULL;
    if (names != NULL && json_array_size(names) == 0 && json_array_size(all) > 0)
        snprintf(error, sizeof error, "the table has none of the rows' columns");
    else if (names != NULL && job_rows_take(&rows, given, names) == 0)
        rc = rows.columns > 0 ? job_table_write(t, &rows, names, &keyed, error) : 0;
    if (rc == 0)
        said = answer(&rows, names, dropped, keyed);
    job_rows_fini(&rows);
    json_decref(all);
    json_decref(names);
    json_decref(dropped);
    return rc == 0 ? tell(said) : tell_wrong(error);
}

static const char *setting(const json_t *told, const char *name)
{
    const char *text = json_string_value(json_object_get(json_object_get(told, "settings"), name));
    return text != NULL ? text : "";
}

int main(void)
{
    char error[JOB_TABLE_ERROR];
    alarm(SECONDS_STANDARD);
    signal(SIGALRM, on_alarm);
    json_t *told = read_told();
    json_int_t seconds = json_integer_value(json_object_get(told, "seconds"));
    if (told == NULL)
        return tell_wrong("what was told is no JSON");
    seconds = seconds > 0 && seconds < 1000000 ? seconds : SECONDS_STANDARD;
    alarm((unsigned)seconds);
    const struct job_table_options options = {.hostname = setting(told, "hostname"),
                                              .db = setting(told, "db"),
                                              .username = setting(told, "username"),
                                              .password = setting(told, "password"),
                                              .table = setting(told, "table"),
                                              .seconds = (unsigned)seconds};
    struct job_table *t = job_table_open(&options, error);
    int rc = t != NULL ? write_rows(t, told) : tell_wrong(error);
    if (t != NULL)
        job_table_close(t);
    json_decref(told);
    return rc;
}
