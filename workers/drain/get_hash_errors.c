/*
 * get_hash_errors.c: what Redis refuses a get-hash, and when it is asked again. See get_hash.h.
 *
 * One line for each phase of a claim, so that what goes well in one does not hide what is refused in another.
 */
#include "workers/drain/get_hash.h"

#include "common/clock.h"
#include "common/log.h"

#include <inttypes.h>
#include <stdio.h>

/* Pause before what was refused is asked again; doubles up to */
#define GET_HASH_PAUSE_MS     900
#define GET_HASH_PAUSE_MAX_MS 4000

#define GET_HASH_UNREAD_TIMES   3
#define GET_HASH_UNREAD_KEEP_MS 60000 /* another get-hash may have read it since */

/*
 * All that is paused is asked again together, twice as late each time: what has been refused once is refused until a
 * person has done something.
 */
void get_hash_note(struct get_hash *g, unsigned phase, const char *error)
{
    slice_copy(slice_of(error), g->errors[phase], sizeof g->errors[phase]);
    if (error[0] == '\0' || clock_mono_ms() < g->retry_at)
        return;
    g->pause_ms = g->pause_ms == 0 ? GET_HASH_PAUSE_MS : g->pause_ms * 2;
    if (g->pause_ms > GET_HASH_PAUSE_MAX_MS)
        g->pause_ms = GET_HASH_PAUSE_MAX_MS;
    g->retry_at = clock_mono_ms() + g->pause_ms;
}

void get_hash_note_read(struct get_hash *g, const struct ledger_member *m, bool read)
{
    struct get_hash_unread *u = &g->unread;
    uint64_t now = clock_mono_ms();
    if (read ? u->seq == m->seq : u->seq != m->seq || now > u->until_ms)
        *u = (struct get_hash_unread){.seq = read ? 0 : m->seq};
    if (read)
        return;
    u->until_ms = now + GET_HASH_UNREAD_KEEP_MS;
    if (++u->times >= GET_HASH_UNREAD_TIMES)
        snprintf(u->text, sizeof u->text,
                 "the hash of member %.120s (number %" PRIu64
                 " in the ledger) could not be read, %u times in a row: each time the connection "
                 "breaks at its reply: look at client-output-buffer-limit of the server, and at "
                 "the limits of what is in between; it goes on by itself",
                 log_quote(m->member), m->seq, u->times);
}

const char *get_hash_error(struct get_hash *g)
{
    for (size_t i = 0; i <= GET_HASH_PHASES && g->claims != NULL; i++)
        if (g->errors[i][0] != '\0')
            return g->errors[i];
    memset(g->errors, 0, sizeof g->errors); /* without claims nobody would take them back */
    g->pause_ms = 0;
    return clock_mono_ms() < g->unread.until_ms ? g->unread.text : "";
}
