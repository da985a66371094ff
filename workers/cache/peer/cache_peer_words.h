/*
 * cache_peer_words.h: what a connection to Redis says of its troubles, in the words of a cache's nodes and keys.
 *
 * Runs in a cache node of a ring. Pure.
 */
#ifndef WORKERS_CACHE_PEER_WORDS_H
#define WORKERS_CACHE_PEER_WORDS_H

#include <stddef.h>

/*
 * Writes into `to` the cause and the remedy of a line of redis_conn_trouble, without who it is of (`server`, as
 * redis_conn_name): whom the reader knows as a cache node, and set up by keys of a cache section. Cut where it is long.
 */
void cache_peer_words(char *to, size_t size, const char *line, const char *server);

#endif
