/*
 * cache_client.h: what other systems may know of a cache: its kind of section, and what its nodes are called.
 *
 * Read by whoever calls a cache's nodes (CACHE.md, Calls).
 */
#ifndef PROTO_CACHE_CACHE_CLIENT_H
#define PROTO_CACHE_CACHE_CLIENT_H

#define CACHE_CLIENT_SECTION   CONFIG_CACHE
#define CACHE_CLIENT_NODE      "cache/%s/node.%u" /* with the section's title, and a number from 1 on */
#define CACHE_CLIENT_NODES_MAX 64u

#endif
