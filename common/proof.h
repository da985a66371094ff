/*
 * proof.h: what a worker shows another one to prove who it is: a keyed sum of its name and generation.
 *
 * Runs in the master, which makes it, and in workers, which check it. 64 bits (siphash.h) that nobody can make
 * without the key, so that they can only be guessed, one frame a guess. Pure, no memory.
 */
#ifndef COMMON_PROOF_H
#define COMMON_PROOF_H

#include "common/siphash.h"

#define PROOF_KEY_SIZE SIPHASH_KEY_SIZE

/* A new key. False: the kernel gives none now. */
bool proof_new_key(unsigned char key[PROOF_KEY_SIZE]);

/* Of that incarnation, for who has the key. Never 0. */
uint64_t proof_of(const unsigned char key[PROOF_KEY_SIZE], struct slice name, uint64_t generation);

#endif
