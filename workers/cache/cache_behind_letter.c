/* cache_behind_letter.c: which objects the store does not take, and why. See cache_behind_private.h. */
#include "workers/cache/cache_behind_private.h"

#include "common/log.h"

#include <stdlib.h>

#define BEHIND_LOGGED 10u /* of them a second in the log */

static struct behind_letter *behind_letter(const struct cache_behind *b, struct slice key)
{
    for (unsigned i = 0; i < BEHIND_LETTERS; i++) {
        const struct behind_letter *l = &b->letters[i];
        if (l->text != NULL && slice_equal(slice_make(l->text, l->key_len), key))
            return (struct behind_letter *)(uintptr_t)l;
    }
    return NULL;
}

void cache_behind_log_more(struct cache_behind *b)
{
    if (b->logged == 0 || cache_behind_now(b) - b->logged_ms < 1000)
        return;
    if (b->logged > BEHIND_LOGGED)
        log_warn("dead-letters", "more=%u remedy=\"see platoonctl cache dead\"",
                 b->logged - BEHIND_LOGGED);
    b->logged = 0;
}

/* A store that refuses all of it must not fill the log of the host. */
static void behind_log_letter(struct cache_behind *b, struct slice key, const char *why)
{
    cache_behind_log_more(b);
    if (b->logged++ == 0)
        b->logged_ms = cache_behind_now(b);
    if (b->logged <= BEHIND_LOGGED)
        log_warn("dead-letter", "key=%s reason=%s", log_quote(cache_stray_key(key)),
                 log_quote_text(why));
}

void cache_behind_note_letter(struct cache_behind *b, struct slice key, const char *why)
{
    struct behind_letter *l = behind_letter(b, key);
    if (l == NULL)
        l = &b->letters[b->letter_next++ % BEHIND_LETTERS];
    size_t size = strlen(why) + 1;
    free(l->text);
    l->text = malloc(key.len + size); /* without memory its reason is not known, that is all */
    l->key_len = key.len;
    if (l->text != NULL) {
        memcpy(l->text, key.ptr, key.len);
        memcpy(l->text + key.len, why, size);
    }
    behind_log_letter(b, key, why);
}

const char *cache_behind_why(const struct cache_behind *b, struct slice key)
{
    const struct behind_letter *l = behind_letter(b, key);
    return l != NULL ? l->text + l->key_len
           : cache_db_is_dead(b->db, key)
               ? "not known any more: of the last 256 it is; a retry tells it"
               : "";
}

bool cache_behind_retry(struct cache_behind *b, struct slice key)
{
    bool was = cache_db_dead_retry(b->db, key);
    cache_behind_soon(b);
    return was;
}
