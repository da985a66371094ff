/*
 * cache_calls.h: what other systems may know of a cache: its kind of section, and what its nodes are called.
 *
 * Read by whoever calls a cache's nodes (CACHE.md, Calls).
 */
#ifndef PROTO_CACHE_CACHE_CALLS_H
#define PROTO_CACHE_CACHE_CALLS_H

#define CACHE_CALLS_SECTION   CONFIG_CACHE
#define CACHE_CALLS_NODE      "cache/%s/node.%u" /* with the section's title, and a number from 1 on */
#define CACHE_CALLS_NODES_MAX 64u

#endif
