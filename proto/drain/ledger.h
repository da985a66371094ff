/*
 * ledger.h: the drain's ledger in Redis as C sees it: its scripts, its key names, the members of a claim.
 *
 * Used by the drain's workers through workers/drain/drain_ledger.h. Pure: no I/O, no allocation. What each script takes
 * and answers stands once, in the first lines of its file (proto/drain/<name>.lua); the ledger as a whole is DRAIN.md.
 */
#ifndef PROTO_REDIS_LEDGER_H
#define PROTO_REDIS_LEDGER_H

#include "common/slice.h"
#include "common/unpack.h"
#include "proto/redis/identity.h"
#include "proto/redis/redis_script.h"

enum ledger_script {
#define X(NAME, name, file, parts) LEDGER_##NAME,
    DRAIN_SCRIPTS(X)
#undef X
        LEDGER_SCRIPT_COUNT
};

const char *ledger_script_text(enum ledger_script script);
const char *ledger_script_name(enum ledger_script script);

/* Longest claim id: a number of up to 2^53. */
#define LEDGER_ID_SIZE 24

/* "platoon:{NAME}:", what every key of a drain starts with. */
#define LEDGER_PREFIX_SIZE 96

/* -ENAMETOOLONG, the text untouched, when it does not fit. */
int ledger_prefix(char prefix[LEDGER_PREFIX_SIZE], const char *drain);

/* Where a member's hash was when it was claimed; numbers as in lib.lua. */
enum ledger_state {
    LEDGER_ASIDE = 0,    /* moved aside: prefix "aside:" seq */
    LEDGER_MISSING = 1,  /* there was none */
    LEDGER_IN_PLACE = 2, /* stays at the member's own key (consume = keep) */
    LEDGER_FOLLOWS = 3, /* there was none: it was taken moments before the member was named again */
};

struct ledger_member {
    uint64_t seq;
    struct slice member; /* into the packed members */
    enum ledger_state state;
};

/* True when there was no hash when it was claimed, whatever the reason. */
static inline bool ledger_is_missing(const struct ledger_member *m)
{
    return m->state == LEDGER_MISSING || m->state == LEDGER_FOLLOWS;
}

/*
 * Starts reading a claim's packed members; returns how many follow, 0 when it is no such array
 * (a claim is never empty).
 */
uint32_t ledger_members_start(struct slice packed, struct unpack *u);

/* Reads one. False, *m untouched, when it is malformed; then nothing of this claim may be used. */
bool ledger_members_next(struct unpack *u, struct ledger_member *m);

#define LEDGER_KEY_SIZE (LEDGER_PREFIX_SIZE + 32)

/*
 * The key that holds a member's hash. `text` is where an aside key is written; a member's own key is the member itself.
 */
struct slice ledger_hash_key(const char *prefix, const struct ledger_member *m,
                             char text[LEDGER_KEY_SIZE]);

#endif
