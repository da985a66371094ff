/* ledger.c: names and codecs of the drain's ledger. See ledger.h. */
#include "proto/drain/ledger.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

const char *ledger_script_text(enum ledger_script script)
{
    static const char *const texts[LEDGER_SCRIPT_COUNT] = {
#define X(NAME, name, file, parts) [LEDGER_##NAME] = redis_script_##name,
        DRAIN_SCRIPTS(X)
#undef X
    };
    return texts[script];
}

const char *ledger_script_name(enum ledger_script script)
{
    static const char *const names[LEDGER_SCRIPT_COUNT] = {
#define X(NAME, name, file, parts) [LEDGER_##NAME] = #name,
        DRAIN_SCRIPTS(X)
#undef X
    };
    return names[script];
}

int ledger_prefix(char prefix[LEDGER_PREFIX_SIZE], const char *drain)
{
    char text[LEDGER_PREFIX_SIZE];
    int len = snprintf(text, sizeof text, "platoon:{%s}:", drain);
    if (len < 0 || (size_t)len >= sizeof text)
        return -ENAMETOOLONG;
    memcpy(prefix, text, (size_t)len + 1);
    return 0;
}

uint32_t ledger_members_start(struct slice packed, struct unpack *u)
{
    *u = unpack_start(packed);
    uint32_t count = unpack_array(u);
    return unpack_ok(u) ? count : 0;
}

bool ledger_members_next(struct unpack *u, struct ledger_member *m)
{
    struct ledger_member read;
    if (unpack_array(u) != 3)
        u->failed = true;
    read.seq = unpack_u64(u);
    read.member = unpack_bytes(u);
    uint64_t state = unpack_u64(u);
    if (!unpack_ok(u) || state > LEDGER_FOLLOWS)
        return false;
    read.state = (enum ledger_state)state;
    *m = read;
    return true;
}

struct slice ledger_hash_key(const char *prefix, const struct ledger_member *m,
                             char text[LEDGER_KEY_SIZE])
{
    if (m->state == LEDGER_IN_PLACE)
        return m->member;
    int len = snprintf(text, LEDGER_KEY_SIZE, "%saside:%" PRIu64, prefix, m->seq);
    return slice_make(text, (size_t)len);
}
