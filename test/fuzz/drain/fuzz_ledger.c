/* fuzz_ledger.c: a claim's packed members (proto/drain/ledger.h). */
#include "proto/drain/ledger.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct unpack u;
    struct ledger_member m;
    char key[LEDGER_KEY_SIZE];
    uint32_t count = ledger_members_start(slice_make(data, size), &u);
    for (uint32_t i = 0; i < count && ledger_members_next(&u, &m); i++)
        ledger_hash_key("platoon:{fuzz}:", &m, key);
    return 0;
}
