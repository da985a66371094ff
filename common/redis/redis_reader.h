/*
 * redis_reader.h: hiredis' reader of replies, with a bound on what a reply may claim to be.
 *
 * Runs in Redis workers, under redis_conn.c. hiredis allocates an array when it has read its head: eleven bytes
 * from a server that is none, or is out of its mind, could ask for 16 GB. (maxelements of hiredis 1.0 is that
 * bound; Debian 12 has 0.14.)
 */
#ifndef COMMON_REDIS_READER_H
#define COMMON_REDIS_READER_H

#include <hiredis.h>

/*
 * A reader whose arrays' pointers alone take at most `reply_max` bytes; a larger one ends in REDIS_ERR_OOM. NULL:
 * memory is short. Freed with redisReaderFree.
 */
redisReader *redis_reader_new(size_t reply_max);

#endif
