/*
 * store_postgres_fail.c: what a failure of the server's means: tried again, for a person, or refused. See
 * store_postgres.h.
 *
 * A list of SQLSTATEs cannot tell a record's fault from the table's: row security and a missing right are both 42501,
 * a trigger raises what it likes, also what speaks of the server. So only what a server says by itself of itself is
 * listed, where a trigger may be meant the server is asked, and all else is refused: who writes finds out by trying
 * which it is.
 */
#include "common/clock.h"
#include "common/store/store_postgres.h"
#include "common/utf8.h"

#include <inttypes.h>
#include <stdio.h>

int store_postgres_url_len(const struct store_postgres *s)
{
    return (int)strcspn(s->url, "?");
}

#define STORE_POSTGRES_LOGIN   "check the user, the password (?passfile=, ~/.pgpass) and pg_hba.conf"
#define STORE_POSTGRES_FOREIGN "the table is not ours: name another one in `table`"

/*
 * The first that fits: by SQLSTATE or its class; while it connects libpq has none to give, but
 * its text is the server's.
 */
static const struct store_postgres_cause {
    const char *state;
    const char *text;
    enum store_result result;
    const char *remedy;
} store_postgres_causes[] = {
    {"53100", NULL, STORE_RETRY, "its disk is full: free some space, it goes on by itself"},
    {"53300", "too many", STORE_RETRY,
     "it has too many connections: raise max_connections, or run fewer transfer.workers"},
    {"53", NULL, STORE_RETRY, "the server is short of something: see its log"},
    {"57P03", "starting up", STORE_RETRY,
     "the server is starting or stopping: it goes on by itself"},
    {"57014", NULL, STORE_RETRY, "it took too long: see the server's load, and what holds locks"},
    {"57", NULL, STORE_RETRY, "the server was told to end this: it goes on by itself"},
    {"55P03", NULL, STORE_RETRY,
     "another session has locked the table: it goes on when that one is done"},
    {"40", NULL, STORE_RETRY, "another transaction was in the way: it goes on by itself"},
    {"23505", NULL, STORE_RETRY, "another worker was first: it goes on by itself"},
    {"23502", NULL, STORE_BROKEN, "give the column a default, or let it be null"},
    {"25006", NULL, STORE_RETRY,
     "the server is read-only, a standby perhaps: point the url at the primary"},
    {"08", NULL, STORE_RETRY, "the connection broke: it goes on by itself"},
    {"58", NULL, STORE_RETRY, "the server's disk or system failed: see its log"},
    {"28", "authentication failed", STORE_BROKEN, STORE_POSTGRES_LOGIN},
    {NULL, "no password supplied", STORE_BROKEN, STORE_POSTGRES_LOGIN},
    {NULL, "pg_hba.conf", STORE_BROKEN, STORE_POSTGRES_LOGIN},
    {"3D", "does not exist", STORE_BROKEN,
     "create it: createuser NAME, createdb --encoding UTF8 NAME"},
    {NULL, "certificate", STORE_BROKEN, "check sslrootcert, sslcert and sslkey in the url"},
    {"42501", NULL, STORE_BROKEN,
     "grant the user SELECT, INSERT and UPDATE on the table, or CREATE in its schema"},
    {"42P10", NULL, STORE_BROKEN, "the table needs PRIMARY KEY (bucket, key)"},
    {"42", NULL, STORE_BROKEN, STORE_POSTGRES_FOREIGN},
    {"22", NULL, STORE_BROKEN, STORE_POSTGRES_FOREIGN},
};

/* What says nothing of the records: the server is full, or another transaction was first. */
static const char *const store_postgres_elsewhere[] = {"53100", "53300", "40001", "40P01"};

/* What may be the server's, or one row's whose trigger has met the same elsewhere: asked for $1, our table. */
static const struct {
    const char *state;
    const char *question; /* 't': it is the server's */
} store_postgres_doubts[] = {
    {"42P01", "SELECT to_regclass($1) IS NULL"},
    {"3F", "SELECT to_regclass($1) IS NULL"},
    {"25006", "SELECT current_setting('transaction_read_only') = 'on' AND $1 <> ''"},
};

/* libpq's messages have several lines, and end with a line break. */
static void store_postgres_one_line(const char *text, char *out, size_t size)
{
    size_t n = 0;
    for (; *text != '\0' && n + 1 < size; text++)
        out[n++] = *text == '\n' || *text == '\t' ? ' ' : *text;
    while (n > 0 && out[n - 1] == ' ')
        n--;
    out[n] = '\0';
}

/* The first cause that fits, by SQLSTATE when there is one, else by text; NULL: none. */
static const struct store_postgres_cause *store_postgres_find_cause(const char *state,
                                                                    const char *text)
{
    for (size_t i = 0; i < sizeof store_postgres_causes / sizeof store_postgres_causes[0]; i++) {
        const struct store_postgres_cause *known = &store_postgres_causes[i];
        bool is = state != NULL ? known->state != NULL &&
                                      strncmp(state, known->state, strlen(known->state)) == 0
                                : known->text != NULL && strstr(text, known->text) != NULL;
        if (is)
            return known;
    }
    return NULL;
}

static bool store_postgres_field_is(const PGresult *result, int field, const char *text)
{
    const char *is = PQresultErrorField(result, field);
    return is != NULL && strcmp(is, text) == 0;
}

/* What a failure while records are written speaks of. */
enum store_postgres_blame {
    BLAME_SERVER,
    BLAME_WRITTEN, /* a record, or the table */
    BLAME_RULE,    /* as that, and the state is one of a function's that is called for it */
};

/* By the few states that speak of the server alone; whatever else there is, is for trying. */
static enum store_postgres_blame store_postgres_blame(const struct store_postgres *s,
                                                      const PGresult *result, const char *state)
{
    if (!s->writing || s->late || state == NULL || PQstatus(s->db) != CONNECTION_OK ||
        store_postgres_field_is(result, PG_DIAG_SEVERITY_NONLOCALIZED, "FATAL"))
        return BLAME_SERVER; /* away, or it ends the connection */
    if (store_postgres_field_is(result, PG_DIAG_SOURCE_FUNCTION, "exec_stmt_raise"))
        return BLAME_RULE; /* RAISE chose it */
    /* The statement's own time is up, as one heavy record may cause; with time left a person has cancelled it. */
    if (strcmp(state, "57014") == 0 &&
        clock_mono_ms() + s->timeout_ms / 2 + s->timeout_ms / 10 < s->deadline_ms)
        return BLAME_SERVER;
    /* Waited for in vain, be it the table or a row: locked. NOWAIT is none of ours, so its answer is a trigger's. */
    if (strcmp(state, "55P03") == 0 &&
        store_postgres_field_is(result, PG_DIAG_SOURCE_FUNCTION, "ProcessInterrupts"))
        return BLAME_SERVER;
    for (size_t i = 0; i < sizeof store_postgres_elsewhere / sizeof *store_postgres_elsewhere; i++)
        if (strcmp(state, store_postgres_elsewhere[i]) == 0)
            return BLAME_SERVER;
    /* What our own statements lack is said without a context: with one it is said within a function. */
    bool within = strncmp(state, "42", 2) == 0 && strcmp(state, "42P01") != 0 &&
                  PQresultErrorField(result, PG_DIAG_CONTEXT) != NULL;
    return within ? BLAME_RULE : BLAME_WRITTEN;
}

/* The server's message, its detail and its hint, in one line. */
static void store_postgres_words(const PGresult *result, const struct store_postgres *s, char *out,
                                 size_t size)
{
    static const int fields[] = {PG_DIAG_MESSAGE_PRIMARY, PG_DIAG_MESSAGE_DETAIL,
                                 PG_DIAG_MESSAGE_HINT};
    struct buffer words = BUFFER_EMPTY;
    for (size_t i = 0; result != NULL && i < sizeof fields / sizeof *fields; i++) {
        const char *text = PQresultErrorField(result, fields[i]);
        if (text != NULL)
            buffer_printf(&words, "%s%s", words.len > 0 ? "; " : "", text);
    }
    const char *text = words.len > 0 ? buffer_text(&words) : PQerrorMessage(s->db);
    store_postgres_one_line(text != NULL ? text : "", out, size);
    out[utf8_cut(slice_of(out), size - 1)] = '\0';
    buffer_fini(&words);
}

/* The transaction is over and the connection stays; false: it does not, and the next call starts afresh. */
static bool store_postgres_roll_back(struct store_postgres *s)
{
    bool over = true;
    for (PGresult *rest; over && (rest = store_postgres_answer(s)) != NULL;) {
        over = PQresultStatus(rest) != PGRES_COPY_IN && PQstatus(s->db) == CONNECTION_OK;
        PQclear(rest);
    }
    PGresult *done = over ? store_postgres_ask(s, "ROLLBACK", 0, NULL) : NULL;
    over = PQresultStatus(done) == PGRES_COMMAND_OK;
    PQclear(done);
    return over;
}

/* After the transaction: where the state alone does not say whose it is. */
static enum store_postgres_blame
store_postgres_doubt(struct store_postgres *s, enum store_postgres_blame blame, const char *state)
{
    const char *values[] = {s->quoted};
    for (size_t i = 0; i < sizeof store_postgres_doubts / sizeof *store_postgres_doubts; i++) {
        const char *doubt = store_postgres_doubts[i].state;
        if (blame != BLAME_WRITTEN || strncmp(state, doubt, strlen(doubt)) != 0)
            continue;
        PGresult *answer = store_postgres_ask(s, store_postgres_doubts[i].question, 1, values);
        bool server =
            PQresultStatus(answer) != PGRES_TUPLES_OK || strcmp(PQgetvalue(answer, 0, 0), "t") == 0;
        PQclear(answer);
        return server ? BLAME_SERVER : BLAME_RULE;
    }
    return blame;
}

/* What to do about it, when the cause is none of the store's records. */
static struct store_postgres_cause store_postgres_judge(const struct store_postgres *s,
                                                        enum store_postgres_blame blame,
                                                        const char *state, const char *cause)
{
    struct store_postgres_cause found = {
        .result = STORE_RETRY,
        .remedy = "check that it runs and can be reached: it goes on by itself"};
    if (s->late) {
        found.remedy = "is the server, or the way to it, stopped? It goes on by itself";
        return found;
    }
    if (blame != BLAME_SERVER)
        found.remedy = "no record is taken: look at the table's constraints, triggers and policies";
    const struct store_postgres_cause *known = store_postgres_find_cause(state, cause);
    if (known != NULL &&
        (blame == BLAME_SERVER || (blame == BLAME_WRITTEN && known->result != STORE_RETRY)))
        found = *known;
    if (strstr(cause, "temporary tables") != NULL)
        found.remedy = "batches go through a temporary table: GRANT TEMPORARY ON DATABASE … TO "
                       "the user";
    if (strstr(cause, "statement pooling") != NULL)
        found.remedy = "a batch is a transaction: set pgbouncer's pool_mode to transaction, or "
                       "session, for this database";
    if (strstr(cause, "row-level security") != NULL)
        found.remedy = "the table's policies let no record of this user in: CREATE POLICY for it";
    if (blame != BLAME_SERVER)
        found.result = STORE_REFUSED;
    return found;
}

enum store_result store_postgres_fail(struct store_postgres *s, PGresult *result,
                                      struct store_error *error)
{
    const char *state = result != NULL ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    char *cause = error->cause;
    store_postgres_words(result, s, cause, sizeof error->cause);
    enum store_postgres_blame blame = store_postgres_blame(s, result, state);
    if (blame != BLAME_SERVER)
        blame = store_postgres_roll_back(s) ? store_postgres_doubt(s, blame, state) : BLAME_SERVER;
    struct store_postgres_cause found = store_postgres_judge(s, blame, state, cause);
    if (s->late)
        snprintf(cause, sizeof error->cause, "no answer for %" PRIu64 " s",
                 (s->timeout_ms + s->timeout_ms / 2) / 1000);
    if (cause[0] == '\0') { /* the server had nothing to do with it */
        snprintf(cause, sizeof error->cause, "memory is short");
        found.remedy = "it goes on by itself";
    }
    snprintf(error->text, sizeof error->text, "store %.*s: %s: %s", store_postgres_url_len(s),
             s->url, cause, found.remedy);
    PQclear(result);
    if (found.result != STORE_REFUSED)
        store_postgres_drop(s); /* whatever state it was in, the next call starts afresh */
    return found.result;
}
