/*
 * store_postgres_talk.c: one question to the server and its answer, within a deadline. See store_postgres.h.
 *
 * libpq's blocking calls wait for ever when the other side keeps the connection and says nothing: a server that is
 * stopped, or one that never got what a failed send() should have carried. So the connection does not block, and the
 * waiting is ours. (An alarm from another thread was rejected: the socket would be two threads' at once.)
 */
#include "common/clock.h"
#include "common/store/store_postgres.h"

#include <errno.h>
#include <poll.h>

/* The server ends a statement by itself after timeout_ms; half of that again is its time to say so. */
static void talk_begin(struct store_postgres *s)
{
    s->late = false;
    s->deadline_ms = clock_mono_ms() + s->timeout_ms + s->timeout_ms / 2;
}

/*
 * Until there is something to read, or, with `writing`, room to write. False: the time is up, or the connection is
 * gone.
 */
static bool talk_wait(struct store_postgres *s, bool writing)
{
    struct pollfd p = {.fd = PQsocket(s->db), .events = (short)(POLLIN | (writing ? POLLOUT : 0))};
    int n;
    do {
        uint64_t now = clock_mono_ms();
        n = now < s->deadline_ms ? poll(&p, 1, (int)(s->deadline_ms - now)) : 0;
    } while (n < 0 && errno == EINTR);
    s->late = n <= 0; /* a poll that fails must not end in a call that waits for ever */
    return n > 0 && ((p.revents & ~POLLOUT) == 0 || PQconsumeInput(s->db) == 1);
}

PGresult *store_postgres_answer(struct store_postgres *s)
{
    for (;;) {
        int unsent = PQflush(s->db);
        if (unsent == 0 && PQisBusy(s->db) == 0)
            return PQgetResult(s->db);
        if (unsent >= 0 && talk_wait(s, unsent == 1))
            continue;
        /* Of a connection that is gone it gives the last words, without waiting. */
        return s->late ? NULL : PQgetResult(s->db);
    }
}

PGresult *store_postgres_ask(struct store_postgres *s, const char *sql, int count,
                             const char *const *values)
{
    talk_begin(s);
    int sent = count == 0 ? PQsendQuery(s->db, sql)
                          : PQsendQueryParams(s->db, sql, count, NULL, values, NULL, NULL, 0);
    if (sent != 1)
        return NULL;
    PGresult *last = NULL;
    for (PGresult *next; (next = store_postgres_answer(s)) != NULL;) {
        PQclear(last);
        last = next;
        if (PQresultStatus(last) == PGRES_COPY_IN || PQstatus(s->db) != CONNECTION_OK)
            break;
    }
    if (s->late) {
        PQclear(last);
        last = NULL;
    }
    return last;
}

bool store_postgres_put(struct store_postgres *s, const char *bytes, size_t len)
{
    int rc;
    while ((rc = PQputCopyData(s->db, bytes, (int)len)) == 0)
        if (!talk_wait(s, true))
            return false;
    return rc == 1;
}

bool store_postgres_put_end(struct store_postgres *s, const char *error)
{
    int rc;
    while ((rc = PQputCopyEnd(s->db, error)) == 0)
        if (!talk_wait(s, true))
            return false;
    return rc == 1;
}
