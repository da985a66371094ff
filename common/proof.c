/* proof.c: see proof.h. */
#include "common/proof.h"

#include <sys/random.h>

/* The sum of the name is summed with the generation, so that neither can be taken for part of the other. */
uint64_t proof_of(const unsigned char key[PROOF_KEY_SIZE], struct slice name, uint64_t generation)
{
    uint64_t both[] = {siphash(name, key), generation};
    uint64_t sum = siphash(slice_make(both, sizeof both), key);
    return sum != 0 ? sum : 1;
}

bool proof_new_key(unsigned char key[PROOF_KEY_SIZE])
{
    return getrandom(key, PROOF_KEY_SIZE, GRND_NONBLOCK) == PROOF_KEY_SIZE;
}
