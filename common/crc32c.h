/*
 * crc32c.h: the checksum of what is kept on disk: CRC-32C (Castagnoli).
 *
 * Runs in workers. Pure. Own code: zlib has another polynomial and OpenSSL none, and what every x86 since 2008 and most
 * ARM have in hardware is a few lines, at some 8 GB/s on one core; without it a table does some 1.1 GB/s. Which of both
 * is found out at run time, because packages are built for the oldest processor. No proof against an enemy: a checksum.
 */
#ifndef COMMON_CRC32C_H
#define COMMON_CRC32C_H

#include "common/slice.h"

#include <stdint.h>

/* Goes on from `crc`, which is 0 at the start, or anything that a reader without it shall not come to the same sum. */
uint32_t crc32c(uint32_t crc, struct slice bytes);

/* The same by the table alone: what is used where the processor has nothing. */
uint32_t crc32c_by_table(uint32_t crc, struct slice bytes);

#endif
