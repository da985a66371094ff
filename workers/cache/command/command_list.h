/*
 * command_list.h: every command of a cache node, one line each.
 *
 * Read by the dispatcher (command_dispatch.c), and by the files of the commands, for their functions' names.
 *
 * COMMANDS     X(name, arity, flags, first, last, step, "key", "tips")
 *   name   lower case; its function is command_<name>
 *   arity  Redis': words with the name; negative: at least
 *   flags  enum command_flag without its COMMAND_: whoever looks at them has names for them (command_dispatch.c)
 *   first, last, step  its keys
 *   key    what it does with them, as COMMAND INFO says it: "RO access"; behind a # its notes; "": it has none
 *   tips   as COMMAND INFO says them, blanks between
 *
 * COMMANDS_OWN X(name, …) the same, of what Redis does not have: PLATOON.NAME, command_platoon_<name>
 * CONTAINERS   X(name): only their subcommands do something
 * SUBCOMMANDS  X(container, name, "word", arity, flags, first, last, step, "key", "tips")
 *   word   as people write it; its function is command_<container>_<name>
 */
#ifndef WORKERS_CACHE_COMMAND_LIST_H
#define WORKERS_CACHE_COMMAND_LIST_H

#include "workers/cache/command/command.h"

/* clang-format off */
#define COMMANDS_STRING(X) \
    X(get, 2, READ | FAST | STRING | GETS, 1, 1, 1, "RO access", "") \
    X(set, -3, WRITE | DENYOOM | STRING | BLIND_UNLESS, 1, 1, 1, \
      "RW access update variable_flags#RW and ACCESS due to the optional `GET` argument", "") \
    X(setnx, 3, WRITE | DENYOOM | FAST | STRING, 1, 1, 1, "OW insert", "") \
    X(setex, 4, WRITE | DENYOOM | STRING | BLIND, 1, 1, 1, "OW update", "") \
    X(psetex, 4, WRITE | DENYOOM | STRING | BLIND, 1, 1, 1, "OW update", "") \
    X(getset, 3, WRITE | DENYOOM | FAST | STRING, 1, 1, 1, "RW access update", "") \
    X(getdel, 2, WRITE | FAST | STRING | SHRINKS, 1, 1, 1, "RW access delete", "") \
    X(getex, -2, WRITE | FAST | STRING, 1, 1, 1, "RW access update#RW and UPDATE because it changes the TTL", "") \
    X(mget, -2, READ | FAST | STRING | GETS, 1, -1, 1, "RO access", "request_policy:multi_shard") \
    X(mset, -3, WRITE | DENYOOM | STRING | BLIND, 1, -1, 2, "OW update", \
      "request_policy:multi_shard response_policy:all_succeeded") \
    X(msetnx, -3, WRITE | DENYOOM | STRING, 1, -1, 2, "OW insert", \
      "request_policy:multi_shard response_policy:agg_min") \
    X(strlen, 2, READ | FAST | STRING, 1, 1, 1, "RO", "") \
    X(append, 3, WRITE | DENYOOM | FAST | STRING, 1, 1, 1, "RW insert", "") \
    X(getrange, 4, READ | STRING, 1, 1, 1, "RO access", "") \
    X(substr, 4, READ | STRING, 1, 1, 1, "RO access", "") \
    X(incr, 2, WRITE | DENYOOM | FAST | STRING, 1, 1, 1, "RW access update", "") \
    X(incrby, 3, WRITE | DENYOOM | FAST | STRING, 1, 1, 1, "RW access update", "") \
    X(decr, 2, WRITE | DENYOOM | FAST | STRING, 1, 1, 1, "RW access update", "") \
    X(decrby, 3, WRITE | DENYOOM | FAST | STRING, 1, 1, 1, "RW access update", "")

#define COMMANDS_KEY(X) \
    X(del, -2, WRITE | KEYSPACE | SHRINKS, 1, -1, 1, "RM delete", \
      "request_policy:multi_shard response_policy:agg_sum") \
    X(unlink, -2, WRITE | FAST | KEYSPACE | SHRINKS, 1, -1, 1, "RM delete", \
      "request_policy:multi_shard response_policy:agg_sum") \
    X(exists, -2, READ | FAST | KEYSPACE, 1, -1, 1, "RO", "request_policy:multi_shard response_policy:agg_sum") \
    X(touch, -2, READ | FAST | KEYSPACE, 1, -1, 1, "RO", "request_policy:multi_shard response_policy:agg_sum") \
    X(type, 2, READ | FAST | KEYSPACE, 1, 1, 1, "RO", "") \
    X(expire, -3, WRITE | FAST | KEYSPACE, 1, 1, 1, "RW update", "") \
    X(pexpire, -3, WRITE | FAST | KEYSPACE, 1, 1, 1, "RW update", "") \
    X(expireat, -3, WRITE | FAST | KEYSPACE, 1, 1, 1, "RW update", "") \
    X(pexpireat, -3, WRITE | FAST | KEYSPACE, 1, 1, 1, "RW update", "") \
    X(ttl, 2, READ | FAST | KEYSPACE, 1, 1, 1, "RO access", "nondeterministic_output") \
    X(pttl, 2, READ | FAST | KEYSPACE, 1, 1, 1, "RO access", "nondeterministic_output") \
    X(expiretime, 2, READ | FAST | KEYSPACE, 1, 1, 1, "RO access", "") \
    X(pexpiretime, 2, READ | FAST | KEYSPACE, 1, 1, 1, "RO access", "") \
    X(persist, 2, WRITE | FAST | KEYSPACE, 1, 1, 1, "RW update", "") \
    X(scan, -2, READ | KEYSPACE, 0, 0, 0, "", "nondeterministic_output request_policy:special") \
    X(keys, 2, READ | KEYSPACE | DANGEROUS, 0, 0, 0, "", "request_policy:all_shards nondeterministic_output_order") \
    X(randomkey, 1, READ | KEYSPACE, 0, 0, 0, "", "request_policy:all_shards nondeterministic_output") \
    X(flushdb, -1, WRITE | KEYSPACE | DANGEROUS | SHRINKS, 0, 0, 0, "", \
      "request_policy:all_shards response_policy:all_succeeded") \
    X(flushall, -1, WRITE | KEYSPACE | DANGEROUS | SHRINKS, 0, 0, 0, "", \
      "request_policy:all_shards response_policy:all_succeeded")

#define COMMANDS_TRANSACTION(X) \
    X(multi, 1, NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY | AT_ONCE | TRANSACTION, 0, 0, 0, "", "") \
    X(exec, 1, NOSCRIPT | LOADING | STALE | SKIP_SLOWLOG | AT_ONCE | TRANSACTION, 0, 0, 0, "", "") \
    X(discard, 1, NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY | AT_ONCE | TRANSACTION, 0, 0, 0, "", "") \
    X(watch, -2, NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY | AT_ONCE | TRANSACTION, 1, -1, 1, "RO", "") \
    X(unwatch, 1, NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY | TRANSACTION, 0, 0, 0, "", "")

#define COMMANDS_CONNECTION(X) \
    X(ping, -1, FAST | CONNECTION, 0, 0, 0, "", "request_policy:all_shards response_policy:all_succeeded") \
    X(echo, 2, LOADING | STALE | FAST | CONNECTION, 0, 0, 0, "", "") \
    X(auth, -2, NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY | CONNECTION | OF_CLIENT, 0, 0, 0, "", "") \
    X(hello, -1, NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY | CONNECTION | OF_CLIENT, 0, 0, 0, "", "") \
    X(select, 2, LOADING | STALE | FAST | CONNECTION, 0, 0, 0, "", "") \
    X(quit, -1, NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY | AT_ONCE | CONNECTION, 0, 0, 0, "", "") \
    X(reset, 1, NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY | AT_ONCE | CONNECTION, 0, 0, 0, "", "") \
    X(readonly, 1, LOADING | STALE | FAST | CONNECTION | OF_CLIENT, 0, 0, 0, "", "") \
    X(readwrite, 1, LOADING | STALE | FAST | CONNECTION | OF_CLIENT, 0, 0, 0, "", "")

#define COMMANDS_SERVER(X) \
    X(time, 1, LOADING | STALE | FAST, 0, 0, 0, "", "nondeterministic_output") \
    X(info, -1, LOADING | STALE | DANGEROUS, 0, 0, 0, "", \
      "nondeterministic_output request_policy:all_shards response_policy:special") \
    X(dbsize, 1, READ | FAST | KEYSPACE, 0, 0, 0, "", "request_policy:all_shards response_policy:agg_sum") \
    X(command, -1, CONTAINER | LOADING | STALE | CONNECTION, 0, 0, 0, "", "nondeterministic_output_order")

#define COMMANDS_OWN(X) \
    X(get, -2, READ | FAST | STRING | GETS | SAYS, 1, 1, 1, "RO access", "") \
    X(copy, 2, READ | FAST | STRING, 1, 1, 1, "RO access", "") \
    X(set, 4, WRITE | DENYOOM | STRING | BLIND, 1, 1, 1, "OW update", "") \
    X(dump, -2, READ | NO_MULTI | KEYSPACE | BLIND, 1, 1, 1, "RO", "") \
    X(dirty, 1, READ | FAST | KEYSPACE, 0, 0, 0, "", "") \
    X(watch, -2, READ | NO_MULTI | TRANSACTION, 1, -1, 1, "RO", "") \
    X(exec, -4, WRITE | NO_MULTI | TRANSACTION | COUNTS, 2, 2, 1, "", "") \
    X(owner, 2, FAST | NO_MULTI | KEYSPACE, 0, 0, 0, "", "nondeterministic_output") \
    X(ring, 1, FAST | KEYSPACE, 0, 0, 0, "", "nondeterministic_output") \
    X(for, -5, ADMIN | NO_MULTI, 0, 0, 0, "", "")

#define CONTAINERS(X) X(client) X(config) X(memory)

#define SUBCOMMANDS(X) \
    X(client, id, "id", 2, NOSCRIPT | LOADING | STALE | CONNECTION | OF_CLIENT, 0, 0, 0, "", "") \
    X(client, getname, "getname", 2, NOSCRIPT | LOADING | STALE | CONNECTION | OF_CLIENT, 0, 0, 0, "", "") \
    X(client, setname, "setname", 3, NOSCRIPT | LOADING | STALE | CONNECTION | OF_CLIENT, 0, 0, 0, "", "") \
    X(client, setinfo, "setinfo", 4, NOSCRIPT | LOADING | STALE | CONNECTION | OF_CLIENT, 0, 0, 0, "", \
      "request_policy:all_nodes response_policy:all_succeeded") \
    X(client, list, "list", -2, ADMIN | NOSCRIPT | LOADING | STALE | CONNECTION | OF_CLIENT, 0, 0, 0, "", \
      "nondeterministic_output") \
    X(client, info, "info", 2, NOSCRIPT | LOADING | STALE | CONNECTION | OF_CLIENT, 0, 0, 0, "", \
      "nondeterministic_output") \
    X(client, kill, "kill", -3, ADMIN | NOSCRIPT | LOADING | STALE | CONNECTION | OF_CLIENT, 0, 0, 0, "", "") \
    X(client, no_evict, "no-evict", 3, ADMIN | NOSCRIPT | LOADING | STALE | CONNECTION | OF_CLIENT, 0, 0, 0, "", "") \
    X(client, reply, "reply", 3, NOSCRIPT | LOADING | STALE | CONNECTION | OF_CLIENT, 0, 0, 0, "", "") \
    X(client, help, "help", 2, LOADING | STALE | CONNECTION, 0, 0, 0, "", "") \
    X(config, get, "get", -3, ADMIN | NOSCRIPT | LOADING | STALE, 0, 0, 0, "", "") \
    X(config, help, "help", 2, LOADING | STALE, 0, 0, 0, "", "") \
    X(memory, usage, "usage", -3, READ, 2, 2, 1, "RO", "") \
    X(memory, help, "help", 2, LOADING | STALE, 0, 0, 0, "", "") \
    X(command, count, "count", 2, LOADING | STALE | CONNECTION, 0, 0, 0, "", "") \
    X(command, list, "list", -2, LOADING | STALE | CONNECTION, 0, 0, 0, "", "nondeterministic_output_order") \
    X(command, info, "info", -2, LOADING | STALE | CONNECTION, 0, 0, 0, "", "nondeterministic_output_order") \
    X(command, docs, "docs", -2, LOADING | STALE | CONNECTION, 0, 0, 0, "", "nondeterministic_output_order") \
    X(command, getkeys, "getkeys", -4, LOADING | STALE | CONNECTION, 0, 0, 0, "", "") \
    X(command, getkeysandflags, "getkeysandflags", -4, LOADING | STALE | CONNECTION, 0, 0, 0, "", "") \
    X(command, help, "help", 2, LOADING | STALE | CONNECTION, 0, 0, 0, "", "")

#define COMMANDS(X) \
    COMMANDS_STRING(X) \
    COMMANDS_KEY(X) \
    COMMANDS_TRANSACTION(X) \
    COMMANDS_CONNECTION(X) \
    COMMANDS_SERVER(X)
/* clang-format on */

#define X(name, ...) command_run command_##name;
COMMANDS(X)
#undef X
#define X(name, ...) command_run command_platoon_##name;
COMMANDS_OWN(X)
#undef X
#define X(container, name, ...) command_run command_##container##_##name;
SUBCOMMANDS(X)
#undef X

#endif
