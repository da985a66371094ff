/*
 * siphash.h: a keyed hash of bytes, for tables whose keys come from strangers.
 *
 * Runs in every process. Pure. SipHash-2-4: whoever does not know the key cannot make keys that collide, which a table
 * without it would turn into a list. Own code, because OpenSSL's costs more to set up than to compute.
 * Source: Aumasson, Bernstein: SipHash: a fast short-input PRF, 2012 (its test vectors are ours).
 */
#ifndef COMMON_SIPHASH_H
#define COMMON_SIPHASH_H

#include "common/slice.h"

#include <stdint.h>

#define SIPHASH_KEY_SIZE 16

uint64_t siphash(struct slice bytes, const uint8_t key[SIPHASH_KEY_SIZE]);

#endif
