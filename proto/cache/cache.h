/*
 * cache.h: the lists of the cache: nodes that keep an application's objects in memory, in Redis' protocol.
 *
 * What the columns of each list mean: proto/systems.h.
 */
#ifndef PROTO_CACHE_CACHE_H
#define PROTO_CACHE_CACHE_H

/* clang-format off */
#define CACHE_SECTIONS(X) \
    X(CACHE, "cache", GROUP, "cache sessions { listen = \"unix:/run/app/cache.sock\"  memory = 512MB }", \
      "objects in memory and in a log on disk, for clients of Redis' protocol")

#define CACHE_KEYS(X) \
    X(CACHE, "listen", STRING, "!", 0, 0, RESTART, \
      "where clients connect, addresses with blanks between: unix:/PATH, 127.0.0.1:PORT, [::1]:PORT; {n} is the " \
      "node's number") \
    X(CACHE, "nodes", INT, "1", 1, 64, LIVE, "cache nodes: processes, each with a processor's speed") \
    X(CACHE, "memory", SIZE, "64MB", 8388608, 1099511627776, RESTART, \
      "memory of one node for objects, their keys and what clients have under way") \
    X(CACHE, "store", SECTION, "", CONFIG_STORE, 0, RESTART, \
      "the store section, of type file or s3, behind the nodes: objects are stored there and loaded from it; empty: " \
      "none") \
    X(CACHE, "redis", SECTION, "", CONFIG_REDIS, 0, RESTART, \
      "the redis section that says which node has an object: several nodes need it, and it needs store; empty: none") \
    X(CACHE, "advertise", STRING, "", 0, 0, RESTART, \
      "redis: where other nodes reach a node, as HOST:PORT; {n} is the node's number; empty: the first TCP address " \
      "of listen, or its first") \
    X(CACHE, "lease", SPAN, "10s", 2000, 600000, RESTART, \
      "redis: nearly so long a node serves what it has without hearing from Redis; the same for all of a cache") \
    X(CACHE, "copies", INT, "1", 1, 2, RESTART, \
      "redis: 2: what is written is in Redis, too, before it is acknowledged, until the store has it: a host that is " \
      "lost loses nothing; the same for all of a cache") \
    X(CACHE, "when_lost", CHOICE, "refuse", 0, 0, RESTART, \
      "copies = 1: objects of a lost node are refused until it is back, or, after failover_wait, are what the store " \
      "has (refuse|backing)") \
    X(CACHE, "failover_wait", SPAN, "30s", 0, 86400000, RESTART, \
      "when_lost = backing: for so long a node is lost before others have its objects") \
    X(CACHE, "evict", BOOL, "true", 0, 0, RESTART, \
      "a full node gives up what was used least; false: it refuses writes (OOM)") \
    X(CACHE, "fsync", CHOICE, "everysec", 0, 0, RESTART, \
      "when a node's log is synced: before each acknowledgement, every second, or by the kernel " \
      "(everysec|always|no)") \
    X(CACHE, "object_max", SIZE, "16MB", 1024, 20971520, RESTART, \
      "largest key and value together; larger ones are refused; where it is not given, at most half of memory") \
    X(CACHE, "volatile", STRING, "", 0, 0, RESTART, \
      "store: globs with blanks between, of keys that it never hears of: they are neither stored nor loaded") \
    X(CACHE, "write_delay", SPAN, "5s", 0, 86400000, RESTART, \
      "store: an object is stored so long after it was written; what is written meanwhile goes with it") \
    X(CACHE, "idle", SPAN, "10m", 0, 31536000000, RESTART, \
      "store: an object that was not used for so long is stored, and leaves memory; 0: never") \
    X(CACHE, "dirty_max", SIZE, "64MB", 65536, 1099511627776, RESTART, \
      "store: what is written and not yet stored, at most half of memory; above that all is stored at once, and " \
      "writes wait") \
    X(CACHE, "timeout", SPAN, "5s", 100, 600000, RESTART, \
      "how long a command waits for the store before it is refused") \
    X(CACHE, "clients_max", INT, "10000", 1, 1000000, RESTART, "connections of one node (a ring's nodes: some more)") \
    X(CACHE, "secret_file", PATH, "", 0, 0, RESTART, \
      "file that holds the password that clients must give (AUTH); empty: none is asked for") \
    X(CACHE, "tls_cert_file", PATH, "", 0, 0, RESTART, \
      "TCP: certificate of the nodes (PEM); with it they speak TLS only") \
    X(CACHE, "tls_key_file", PATH, "", 0, 0, RESTART, "key of that certificate (PEM)") \
    X(CACHE, "tls_ca_file", PATH, "", 0, 0, RESTART, \
      "certificates that may sign a client's, which it must then show; empty: none is asked for") \
    X(CACHE, "plain", BOOL, "false", 0, 0, RESTART, \
      "an address that other machines reach may do without secret_file and TLS") \
    X(CACHE, "backing.workers", INT, "1", 1, 64, LIVE, "workers between the nodes and the store") \
    X(CACHE, "backing.parallel", INT, "32", 1, 1000, RESTART, "requests that one of them has at the store at once") \
    X(CACHE, "strategy", CHOICE, "one_for_one", 0, 0, LIVE, \
      "who is restarted when a worker of the cache dies (one_for_one|one_for_all|rest_for_one)") \
    X(CACHE, "intensity", INT, "20", 1, 1000, LIVE, \
      "restarts within `period` after which the cache's branch is restarted whole") \
    X(CACHE, "period", SPAN, "30s", 1000, 86400000, LIVE, "window for `intensity`") \
    X(CACHE, "log_level", CHOICE, "", 0, 0, LIVE, \
      "least important line that its workers log; empty: as in platoon (error|warn|info|debug)")

/* With the store, which the first caches had not. */
#define CACHE_LATER(X) \
    X("cache.volatile") \
    X("cache.write_delay") \
    X("cache.idle") \
    X("cache.dirty_max") \
    X("cache.store") \
    X("cache.redis") \
    X("cache.advertise") \
    X("cache.lease") \
    X("cache.copies") \
    X("cache.when_lost") \
    X("cache.failover_wait") \
    X("cache.timeout") \
    X("cache.backing.parallel")

#define CACHE_TELLS(X) \
    X(CACHE, "object_max", cache_object_max)

#define CACHE_CHECKS(X) \
    X(CACHE, cache)

#define CACHE_PREFLIGHTS(X) \
    X(CACHE, cache)

#define CACHE_TYPES(X) \
    X(CACHE_MANAGER, "cache-manager", CACHE, cache_redis, ITSELF, "cache/%s/manager", "1", \
      "stands between its nodes and Redis: joins, beats and claims for them") \
    X(CACHE_BACKING, "cache-backing", CACHE, cache_store, ITSELF, "cache/%s/backing", "backing.workers", \
      "stores and loads objects for the nodes; knows nothing of their clients") \
    X(CACHE_NODE, "cache-node", CACHE, ALWAYS, ITSELF, "cache/%s/node", "nodes", \
      "keeps objects in memory and in its log, and serves them in Redis' protocol")

#define CACHE_MESSAGES(X) \
    X(101, OBJECT_CHECK, object_check, "cache-node to cache-backing: can the store be used?") \
    X(102, OBJECT_PUT, object_put, "cache-node to cache-backing: store this version of an object") \
    X(103, OBJECT_GET, object_get, "cache-node to cache-backing: load this object") \
    X(104, OBJECT_CANCEL, object_cancel, "cache-node to cache-backing: I wait for that no more") \
    X(105, OBJECT_ANSWER, object_answer, "cache-backing to cache-node: what came of it") \
    X(110, RING_JOIN, ring_join, "cache-node to cache-manager: I am here; join for me, and beat") \
    X(111, RING_JOINED, ring_joined, "cache-manager to cache-node: you have joined, anew, as this incarnation") \
    X(112, RING_LEASE, ring_lease, "cache-manager to cache-node: Redis has confirmed a beat of yours") \
    X(113, RING_CLAIM, ring_claim, "cache-node to cache-manager: whose are these cells? Mine, if they are free") \
    X(114, RING_HELD, ring_held, "cache-node to cache-manager: these were mine before Redis was another") \
    X(115, RING_CLAIMED, ring_claimed, "cache-manager to cache-node: whose they are, or why nobody says") \
    X(116, RING_RELEASE, ring_release, "cache-node to cache-manager: the store has all of these; they are free") \
    X(117, RING_NODES, ring_nodes, "cache-manager to cache-node: the nodes of the ring, all of them") \
    X(118, RING_LEAVE, ring_leave, "cache-node to cache-manager: I serve nothing any more; leave for me") \
    X(119, RING_LEFT, ring_left, "cache-manager to cache-node: you have left, or not") \
    X(120, RING_SWEEP, ring_sweep, "cache-node to cache-manager: which cells are mine in Redis?") \
    X(121, RING_SWEPT, ring_swept, "cache-manager to cache-node: some of them, and where it goes on") \
    X(122, RING_LOOK, ring_look, "cache-node to cache-manager: whose is this cell?") \
    X(123, RING_SEEN, ring_seen, "cache-manager to cache-node: the answer") \
    X(124, RING_CELLS, ring_cells, "cache-node to cache-manager: so many cells are mine") \
    X(125, RING_COPY, ring_copy, "cache-node to cache-manager: keep these until the store has them") \
    X(126, RING_DROP, ring_drop, "cache-node to cache-manager: the store has these, or newer ones") \
    X(127, RING_COPIED, ring_copied, "cache-manager to cache-node: they are kept, or dropped, or why not") \
    X(128, RING_FETCH, ring_fetch, "cache-node to cache-manager: which copies are there of what I wrote?") \
    X(129, RING_FETCHED, ring_fetched, "cache-manager to cache-node: some of them, and where it goes on")

#define MESSAGE_FIELDS_OBJECT_CHECK(F) \
    F(u64, token, "names the answer; unique within the sender's incarnation") \
    F(u64, timeout_ms, "from its arrival until the answer leaves, at the latest")

#define MESSAGE_FIELDS_OBJECT_PUT(F) \
    F(u64, token, "as above") \
    F(u64, timeout_ms, "as above") \
    F(bin, key, "of the object") \
    F(u64, version, "from 1 on") \
    F(i64, expiry_ms, "milliseconds since 1970; the largest number: never") \
    F(u64, form, "0 bytes, 1 string, 2 term") \
    F(u64, deleted, "1: it is a tombstone, and `value` is empty") \
    F(bin, value, "of the object")

#define MESSAGE_FIELDS_OBJECT_GET(F) \
    F(u64, token, "as above") \
    F(u64, timeout_ms, "as above") \
    F(bin, key, "of the object")

#define MESSAGE_FIELDS_OBJECT_CANCEL(F) F(u64, token, "of the request")

#define MESSAGE_FIELDS_OBJECT_ANSWER(F) \
    F(u64, token, "of the request") \
    F(u64, result, "0 done, 1 absent, 2 newer, 3 away, 4 forbidden, 5 refused (workers/cache/backing/backing.h)") \
    F(u64, version, "of what was loaded; of the tombstone (absent); of what is there (newer); else 0") \
    F(i64, expiry_ms, "of what was loaded, as above") \
    F(u64, form, "of what was loaded, as above") \
    F(u64, deleted, "1: what is there is a tombstone") \
    F(bin, value, "of what was loaded") \
    F(bin, why, "one line with cause and remedy, or nothing") \
    F(u64, retry_after_ms, "what the store asks for; 0: nothing")

#define MESSAGE_FIELDS_RING_JOIN(F) \
    F(u64, incarnation, "its last one; 0: it has none") \
    F(u64, mark, "of its last join; 0: it has none") \
    F(bin, seed, "16 bytes, random, or the ring's as it is known") \
    F(bin, address, "where other nodes reach it")

#define MESSAGE_FIELDS_RING_JOINED(F) \
    F(u64, incarnation, "as whom; it may be another than before") \
    F(u64, mark, "of this join: calls and leases of an earlier one are void") \
    F(bin, seed, "16 bytes, the ring's") \
    F(u64, epoch, "of this run of this ring: numbers of claims mean nothing in another") \
    F(u64, was, "0 new, 1 live, 2 lost (proto/cache/cache_ring_answer.h)") \
    F(u64, closed_ms, "for so long nothing is granted but what was held") \
    F(u64, redis_us, "Redis' clock") \
    F(u64, at_us, "when the join was sent, CLOCK_BOOTTIME") \
    F(u64, number, "the highest that was given before this join: a claim's number up to it was ours before")

#define MESSAGE_FIELDS_RING_LEASE(F) \
    F(u64, incarnation, "whose") \
    F(u64, mark, "of its join") \
    F(u64, until_us, "it ends then, CLOCK_BOOTTIME") \
    F(u64, at_us, "when the beat was sent, CLOCK_BOOTTIME") \
    F(u64, redis_us, "Redis' clock in its answer")

#define MESSAGE_FIELDS_RING_CLAIM(F) \
    F(u64, token, "names the answer; unique within the sender's incarnation") \
    F(u64, mark, "of its join") \
    F(bin, cells, "8 bytes each, the highest first; at most 1000")

#define MESSAGE_FIELDS_RING_HELD(F) \
    F(u64, token, "as above") \
    F(u64, mark, "of its join") \
    F(bin, cells, "as above, behind each the number of its claim, 8 bytes")

#define MESSAGE_FIELDS_RING_CLAIMED(F) \
    F(u64, token, "of the request") \
    F(u64, result, "0 done, 1 join, 2 closed, 3 moved (claim instead of held), 4 away: nothing may have been done") \
    F(u64, wait_ms, "closed: for so long") \
    F(u64, redis_us, "done: Redis' clock; versions of these cells' objects are above it") \
    F(bin, owners, "done: of each cell a byte, 1 ours, 2 theirs, 3 of a lost node, and 8 of its number or incarnation")

#define MESSAGE_FIELDS_RING_RELEASE(F) \
    F(u64, mark, "of its join") \
    F(bin, cells, "as those of a held")

#define MESSAGE_FIELDS_RING_NODES(F) \
    F(u64, gen, "of the ring") \
    F(raw, nodes, "array of [incarnation, name, address, 0 live or 1 lost]")

#define MESSAGE_FIELDS_RING_LEAVE(F) F(u64, mark, "of its join")

#define MESSAGE_FIELDS_RING_LEFT(F) \
    F(u64, result, "0 it has; 1 join; 4 away; 5 the ring has copies that the store may not have")

#define MESSAGE_FIELDS_RING_SWEEP(F) \
    F(u64, token, "as above") \
    F(u64, mark, "of its join") \
    F(u64, bucket, "0 at first, then as it was answered") \
    F(bin, cursor, "likewise; at first the text 0")

#define MESSAGE_FIELDS_RING_SWEPT(F) \
    F(u64, token, "of the request") \
    F(u64, result, "0 a page; 1 join; 4 away") \
    F(u64, bucket, "where it goes on; 4096: that was all") \
    F(bin, cursor, "likewise") \
    F(bin, cells, "as those of a held")

#define MESSAGE_FIELDS_RING_LOOK(F) \
    F(u64, token, "names the answer") \
    F(u64, cell, "nothing is claimed")

#define MESSAGE_FIELDS_RING_SEEN(F) \
    F(u64, token, "of the request") \
    F(u64, result, "0 done; 1 join: there is no ring; 4 away") \
    F(u64, state, "done: 0 it is free, 2 somebody's, 3 of a lost node") \
    F(u64, incarnation, "whose; 0: it is free")

#define MESSAGE_FIELDS_RING_CELLS(F) F(u64, cells, "for people to see; nobody waits for it")

#define MESSAGE_FIELDS_RING_COPY(F) \
    F(u64, token, "names the answer; unique within the sender's incarnation") \
    F(u64, mark, "of its join") \
    F(bin, copies, "key, version and record of each (proto/cache/cache_ring_record.h); at most 1000")

#define MESSAGE_FIELDS_RING_DROP(F) \
    F(u64, token, "as above") \
    F(u64, mark, "of its join") \
    F(bin, copies, "as those of a copy, without records")

#define MESSAGE_FIELDS_RING_COPIED(F) \
    F(u64, token, "of the request") \
    F(u64, result, "0 done; 1 join; 3 moved (drop): join; 4 away: it may have been done, or not") \
    F(bin, why, "away: one line with cause and remedy, or nothing")

#define MESSAGE_FIELDS_RING_FETCH(F) \
    F(u64, token, "as above") \
    F(u64, mark, "of its join") \
    F(bin, cursor, "the text 0 at first, then as it was answered")

#define MESSAGE_FIELDS_RING_FETCHED(F) \
    F(u64, token, "of the request") \
    F(u64, result, "0 a page; 1 join; 4 away") \
    F(bin, cursor, "where it goes on; 0: that was all; empty: more of this page follows, with this token") \
    F(bin, copies, "as those of a copy")

#define CACHE_VERBS(X) \
    X(CACHE_STATUS, cache_status, "cache status", 0, 1, ANSWER, LOOK, "cache status [NAME]", \
      "what the nodes of each cache have in memory, and how they do") \
    X(CACHE_GET, cache_get, "cache get", 2, VERB_MANY, ANSWER, LOOK, \
      "cache get NAME KEY [--eventual] [--bounded 500ms]", \
      "print the value of an object; `ko` and exit status 1 when there is none") \
    X(CACHE_SET, cache_set, "cache set", 2, VERB_MANY, ANSWER, ACT, "cache set NAME KEY [VALUE] [--expire 60s]", \
      "make or replace an object; VALUE is read from stdin when it is not given") \
    X(CACHE_DEL, cache_del, "cache del", 2, VERB_MANY, ANSWER, ACT, "cache del NAME KEY...", \
      "delete objects") \
    X(CACHE_DUMP, cache_dump, "cache dump", 2, VERB_MANY, WAIT, ACT, "cache dump NAME [KEY...] [--all] [--wait]", \
      "have objects stored now that are not yet; --wait: until they are") \
    X(CACHE_WAIT, cache_wait, "cache wait", 1, 1, WAIT, WAIT, "cache wait NAME", \
      "wait until everything is stored") \
    X(CACHE_DEAD, cache_dead, "cache dead", 1, VERB_MANY, ANSWER, ACT, \
      "cache dead NAME [list|show|retry|drop] [KEY...|all]", \
      "what the store does not take: list, show, try again, throw away") \
    X(CACHE_RING, cache_ring, "cache ring", 1, 1, ANSWER, LOOK, "cache ring NAME", \
      "the nodes and managers of a cache's ring, and whether they beat") \
    X(CACHE_OWNER, cache_owner, "cache owner", 2, 2, ANSWER, LOOK, "cache owner NAME KEY", \
      "which node of a ring has an object") \
    X(CACHE_FORGET, cache_forget, "cache forget", 2, 2, ANSWER, ACT, "cache forget NAME NODE", \
      "strike a lost node out of the ring, for good: what only it has is gone")

#define CACHE_ASKS(X) \
    X("cache-manager", "ring", LOOK, "", \
      "map {cache, gen, lease_ms, closed_ms, heard_ms (since Redis answered a beat), nodes: array of maps " \
      "{incarnation, name, host, platoon, address, state (live, lost), cells (nil: of another platoon), beat_ms " \
      "(since its beat moved; or nil)}, managers: array of maps {name, host, role (master, slave), beat_ms}}") \
    X("cache-manager", "owner", LOOK, "KEY", \
      "map {cell, state (free, owned, lost), incarnation, node, host}; 0 and empty when it is free") \
    X("cache-manager", "forget", ACT, "NODE", "map {incarnation}: the lost node of this name or number is forgotten") \
    X("cache-node", "get", LOOK, "KEY [strong|eventual|bounded MS]", "map {ok: the value, bin}, or {ko: true}") \
    X("cache-node", "set", ACT, "KEY VALUE [EXPIRE_MS]", "map {ok: true}, when the log has it") \
    X("cache-node", "del", ACT, "KEY...", "map {count}: those that were there, when the log has it") \
    X("cache-node", "dump", ACT, "KEY...", "map {count}: those that were not stored, and will be now") \
    X("cache-node", "dump-wait", ACT, "KEY...", "map {count} of the keys, when all of them are stored") \
    X("cache-node", "dump-all", ACT, "", "map {count}: what is not stored, and will be now") \
    X("cache-node", "dirty", LOOK, "", "map {dirty, dirty_bytes, oldest_dirty_ms (or nil), dead}") \
    X("cache-node", "dead-list", LOOK, "[AFTER [VERSION]]", \
      "array of at most 1,000 maps {key, deleted, bytes, version, lost, reason}, the oldest first, or from behind " \
      "the dead letter AFTER on (of several the last, or that VERSION); none: those were all") \
    X("cache-node", "dead-show", LOOK, "KEY...", \
      "as dead-list, of those that are dead letters, all of a KEY; with at most 64 KB of their value, which a " \
      "deletion has not") \
    X("cache-node", "dead-retry", ACT, "[KEY...]", "map {count}: those (no KEY: all) that are put again now") \
    X("cache-node", "dead-drop", ACT, "[KEY...]", "map {count}: those (no KEY: all) that are gone, when the log has it")

#define CACHE_COUNTERS(X) \
    X(CACHE_HITS, "cache_hits_total", COUNTER, "reads of an object that was there") \
    X(CACHE_MISSES, "cache_misses_total", COUNTER, "reads of an object that was not") \
    X(CACHE_COMMANDS, "cache_commands_total", COUNTER, "commands of clients") \
    X(CACHE_EVICTED, "cache_evicted_total", COUNTER, "objects given up because memory was full") \
    X(CACHE_EXPIRED, "cache_expired_total", COUNTER, "objects whose time was over") \
    X(CACHE_CONNECTIONS, "cache_connections_total", COUNTER, "connections taken") \
    X(CACHE_REJECTED, "cache_rejected_total", COUNTER, "connections refused because there were too many") \
    X(CACHE_DROPPED, "cache_dropped_total", COUNTER, "connections ended because they did not read their replies") \
    X(CACHE_OBJECTS, "cache_objects", GAUGE, "objects in memory") \
    X(CACHE_BYTES, "cache_bytes", GAUGE, "bytes of memory that count against memory") \
    X(CACHE_MEMORY, "cache_memory", GAUGE, "bytes that memory allows it") \
    X(CACHE_CLIENTS, "cache_clients", GAUGE, "clients connected") \
    X(CACHE_LOG_BYTES, "cache_log_bytes", GAUGE, "bytes of the log on disk") \
    X(CACHE_LOADS, "cache_loads_total", COUNTER, "objects that a node looked for in the store, found or not") \
    X(CACHE_LOAD_ERRORS, "cache_load_errors_total", COUNTER, "times that the store gave a node no answer") \
    X(CACHE_STORES, "cache_stores_total", COUNTER, "objects and deletions of a node that the store took") \
    X(CACHE_STORE_ERRORS, "cache_store_errors_total", COUNTER, "those that it did not take; they are tried again") \
    X(CACHE_DIRTY, "cache_dirty", GAUGE, "objects and deletions that the store does not have yet") \
    X(CACHE_DIRTY_BYTES, "cache_dirty_bytes", GAUGE, "bytes of their keys and values") \
    X(CACHE_AT_RISK_BYTES, "cache_at_risk_bytes", GAUGE, "bytes that only this host has: those, uncopied") \
    X(CACHE_OLDEST_DIRTY, "cache_oldest_dirty", GAUGE, "how long the oldest of them has waited, in milliseconds") \
    X(CACHE_DEAD, "cache_dead", GAUGE, "dead letters: objects that the store does not take, kept in memory and log") \
    X(CACHE_PARKED, "cache_parked", GAUGE, "clients' commands and calls that wait for the store") \
    X(CACHE_LOG_DAMAGED, "cache_log_damaged", GAUGE, "places of the log that could not be read when it was opened") \
    X(CACHE_FORWARDED, "cache_forwarded_total", COUNTER, "commands and calls, parts too, that other nodes were sent") \
    X(CACHE_CELLS, "cache_cells", GAUGE, "cells of its ring that the node has") \
    X(CACHE_BACKING_STORED, "cache_backing_stored_total", COUNTER, "objects and deletions that the store took") \
    X(CACHE_BACKING_LOADED, "cache_backing_loaded_total", COUNTER, "objects looked for in the store, found or not") \
    X(CACHE_BACKING_ERASED, "cache_backing_erased_total", COUNTER, "tombstones taken out of the store again") \
    X(CACHE_BACKING_ERRORS, "cache_backing_errors_total", COUNTER, "requests that failed at the store") \
    X(CACHE_BACKING_BYTES, "cache_backing_bytes_total", COUNTER, "bytes of values stored and loaded") \
    X(CACHE_BACKING_RUNNING, "cache_backing_running", GAUGE, "requests under way at the store") \
    X(CACHE_BACKING_WAITING, "cache_backing_waiting", GAUGE, "requests that wait for their turn there")

#define CACHE_WARNINGS(X) \
    X(CACHE_DEAD, \
      "the store does not take some objects, for good: they are in memory and in the log as before, and what is " \
      "written to them is tried again; the node's log says which and why")

/*
 * The ring's. With wrong words HSET and HINCRBY are refused after their right was looked at, and before anything is
 * done. INFO says which process of Redis this is.
 */
#define CACHE_RIGHTS(X) \
    X(CACHE, "EVALSHA", NEEDED, "0000000000000000000000000000000000000000 0") \
    X(CACHE, "EVAL", NEEDED, "return(1) 0") \
    X(CACHE, "SCRIPT LOAD", OPTIONAL, "") \
    X(CACHE, "PING", OPTIONAL, "") \
    X(CACHE, "ROLE", OPTIONAL, "") \
    X(CACHE, "INFO", NEEDED, "server") \
    X(CACHE, "CONFIG GET", SPARE, "") \
    X(CACHE, "SELECT", NEEDED, "-") \
    X(CACHE, "TIME", NEEDED, "") \
    X(CACHE, "GET", NEEDED, "$") \
    X(CACHE, "SET", NEEDED, "$ 1 XX") \
    X(CACHE, "HDEL", NEEDED, "$ 1") \
    X(CACHE, "HGET", NEEDED, "$ 1") \
    X(CACHE, "HGETALL", NEEDED, "$") \
    X(CACHE, "HINCRBY", NEEDED, "$ 1 x") \
    X(CACHE, "HLEN", NEEDED, "$") \
    X(CACHE, "HMGET", NEEDED, "$ 1") \
    X(CACHE, "HSCAN", NEEDED, "$ 0") \
    X(CACHE, "HSET", NEEDED, "$ 1 1 x") \
    X(CACHE, "UNLINK", NEEDED, "$")

#define CACHE_SCRIPTS(X) \
    X(RING_JOIN, cache_ring_join, "cache/ring_join.lua", "redis/call.lua cache/ring_lib.lua") \
    X(RING_BEAT, cache_ring_beat, "cache/ring_beat.lua", "redis/call.lua cache/ring_lib.lua") \
    X(RING_CLAIM, cache_ring_claim, "cache/ring_claim.lua", "redis/call.lua cache/ring_lib.lua") \
    X(RING_HELD, cache_ring_held, "cache/ring_held.lua", "redis/call.lua cache/ring_lib.lua") \
    X(RING_RELEASE, cache_ring_release, "cache/ring_release.lua", "redis/call.lua cache/ring_lib.lua") \
    X(RING_LOOK, cache_ring_look, "cache/ring_look.lua", "redis/call.lua cache/ring_lib.lua") \
    X(RING_LOST, cache_ring_lost, "cache/ring_lost.lua", "redis/call.lua cache/ring_lib.lua") \
    X(RING_FORGET, cache_ring_forget, "cache/ring_forget.lua", "redis/call.lua cache/ring_lib.lua") \
    X(RING_LEAVE, cache_ring_leave, "cache/ring_leave.lua", "redis/call.lua cache/ring_lib.lua") \
    X(RING_RETIRE, cache_ring_retire, "cache/ring_retire.lua", "redis/call.lua cache/ring_lib.lua") \
    X(RING_SWEEP, cache_ring_sweep, "cache/ring_sweep.lua", "redis/call.lua cache/ring_lib.lua") \
    X(RING_FREE, cache_ring_free, "cache/ring_free.lua", "redis/call.lua cache/ring_lib.lua") \
    X(RING_COPY, cache_ring_copy, "cache/ring_copy.lua", "redis/call.lua cache/ring_lib.lua") \
    X(RING_COPIES, cache_ring_copies, "cache/ring_copies.lua", "redis/call.lua cache/ring_lib.lua") \
    X(RING_DROP, cache_ring_drop, "cache/ring_drop.lua", "redis/call.lua cache/ring_lib.lua")
/* clang-format on */

#endif
