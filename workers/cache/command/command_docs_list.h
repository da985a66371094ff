/*
 * command_docs_list.h: what COMMAND DOCS says of each command: redis-server 7.0's own words, and ours for our own.
 *
 * Read by command_docs.c.
 *
 * COMMAND_DOCS  X("name", "summary", "since", "group", "complexity", "deprecated", "history", "arguments")
 * COMMAND_DOCS_OWN  X(…) the same, of PLATOON.NAME
 *   since       "": it is not said
 *   deprecated  "VERSION what to use"; "": it is not
 *   history     a line for each change: "VERSION what changed"
 *   arguments   blanks between them; each NAME=TYPE and then, in this order, as far as it has them: #N its key spec,
 *               'TOKEN, @VERSION since which it is there, ~VERSION since which it is deprecated, ? optional, + several,
 *               * each with its token, {its own arguments}
 */
#ifndef WORKERS_CACHE_COMMAND_DOCS_LIST_H
#define WORKERS_CACHE_COMMAND_DOCS_LIST_H

/* clang-format off */
#define COMMAND_DOCS(X) \
    X("append", "Append a value to a key", \
      "2.0.0", "string", "O(1). The amortized time complexity is O(1) assuming the appended value is small and " \
      "the already present value is of any size, since the dynamic string library used by " \
      "Redis will double the free space available on every reallocation.", "", "", "key=key#0 value=string") \
    X("auth", "Authenticate to the server", \
      "1.0.0", "connection", "O(N) where N is the number of passwords defined for the user", "", \
      "6.0.0 Added ACL style (username and password).", \
      "username=string@6.0.0? password=string") \
    X("client", "A container for client connection commands", \
      "2.4.0", "connection", "Depends on subcommand.", "", "", "") \
    X("client|getname", "Get the current connection name", "2.6.9", "connection", "O(1)", "", "", "") \
    X("client|help", "Show helpful text about the different subcommands", "5.0.0", "connection", "O(1)", "", "", "") \
    X("client|id", "Returns the client ID for the current connection", "5.0.0", "connection", "O(1)", "", "", "") \
    X("client|info", "Returns information about the current client connection.", \
      "6.2.0", "connection", "O(1)", "", "", "") \
    X("client|kill", "Kill the connection of a client", \
      "2.4.0", "connection", "O(N) where N is the number of client connections", "", \
      "2.8.12 Added new filter format.\n2.8.12 `ID` option.\n3.2.0 Added `master` type in for " \
      "`TYPE` option.\n5.0.0 Replaced `slave` `TYPE` with `replica`. `slave` still supported " \
      "for backward compatibility.\n6.2.0 `LADDR` option.", \
      "filter=oneof{ip:port=string~2.8.12 new-format=oneof+{client-id=integer'ID@2.8.12? " \
      "normal_master_slave_pubsub=oneof'TYPE@2.8.12?{normal=pure-token'NORMAL " \
      "master=pure-token'MASTER@3.2.0 slave=pure-token'SLAVE replica=pure-token'REPLICA@5.0.0 " \
      "pubsub=pure-token'PUBSUB} username=string'USER? ip:port=string'ADDR? " \
      "ip:port=string'LADDR@6.2.0? yes/no=string'SKIPME?}}") \
    X("client|list", "Get the list of client connections", \
      "2.4.0", "connection", "O(N) where N is the number of client connections", "", \
      "2.8.12 Added unique client `id` field.\n5.0.0 Added optional `TYPE` filter.\n6.0.0 " \
      "Added `user` field.\n6.2.0 Added `argv-mem`, `tot-mem`, `laddr` and `redir` fields and " \
      "the optional `ID` filter.\n7.0.0 Added `resp`, `multi-mem`, `rbs` and `rbp` " \
      "fields.\n7.0.3 Added `ssub` field.", \
      "normal_master_replica_pubsub=oneof'TYPE@5.0.0?{normal=pure-token'NORMAL " \
      "master=pure-token'MASTER replica=pure-token'REPLICA pubsub=pure-token'PUBSUB} " \
      "id=block'ID@6.2.0?{client-id=integer+}") \
    X("client|no-evict", "Set client eviction mode for the current connection", \
      "7.0.0", "connection", "O(1)", "", "", "enabled=oneof{on=pure-token'ON off=pure-token'OFF}") \
    X("client|reply", "Instruct the server whether to reply to commands", \
      "3.2.0", "connection", "O(1)", "", \
      "", \
      "on_off_skip=oneof{on=pure-token'ON off=pure-token'OFF skip=pure-token'SKIP}") \
    X("client|setinfo", "Set information specific to the client or connection", \
      "7.2.0", "connection", "O(1)", "", "", "attr=oneof{libname=string'LIB-NAME libver=string'LIB-VER}") \
    X("client|setname", "Set the current connection name", \
      "2.6.9", "connection", "O(1)", "", "", "connection-name=string") \
    X("command", "Get array of Redis command details", \
      "2.8.13", "server", "O(N) where N is the total number of Redis commands", "", "", "") \
    X("command|count", "Get total number of Redis commands", "2.8.13", "server", "O(1)", "", "", "") \
    X("command|docs", "Get array of specific Redis command documentation", \
      "7.0.0", "server", "O(N) where N is the number of commands to look up", "", "", "command-name=string?+") \
    X("command|getkeys", "Extract keys given a full Redis command", \
      "2.8.13", "server", "O(N) where N is the number of arguments to the command", "", "", "") \
    X("command|getkeysandflags", "Extract keys and access flags given a full Redis command", \
      "7.0.0", "server", "O(N) where N is the number of arguments to the command", "", "", "") \
    X("command|help", "Show helpful text about the different subcommands", "5.0.0", "server", "O(1)", "", "", "") \
    X("command|info", "Get array of specific Redis command details, or all when no argument is given.", \
      "2.8.13", "server", "O(N) where N is the number of commands to look up", "", \
      "7.0.0 Allowed to be called with no argument to get info on all commands.", \
      "command-name=string?+") \
    X("command|list", "Get an array of Redis command names", \
      "7.0.0", "server", "O(N) where N is the total number of Redis commands", "", \
      "", \
      "filterby=oneof'FILTERBY?{module-name=string'MODULE category=string'ACLCAT " \
      "pattern=pattern'PATTERN}") \
    X("config", "A container for server configuration commands", \
      "2.0.0", "server", "Depends on subcommand.", "", "", "") \
    X("config|get", "Get the values of configuration parameters", \
      "2.0.0", "server", "O(N) when N is the number of configuration parameters provided", "", \
      "7.0.0 Added the ability to pass multiple pattern parameters in one call", \
      "parameter=block+{parameter=string}") \
    X("config|help", "Show helpful text about the different subcommands", "5.0.0", "server", "O(1)", "", "", "") \
    X("dbsize", "Return the number of keys in the selected database", "1.0.0", "server", "O(1)", "", "", "") \
    X("decr", "Decrement the integer value of a key by one", "1.0.0", "string", "O(1)", "", "", "key=key#0") \
    X("decrby", "Decrement the integer value of a key by the given number", \
      "1.0.0", "string", "O(1)", "", "", "key=key#0 decrement=integer") \
    X("del", "Delete a key", \
      "1.0.0", "generic", "O(N) where N is the number of keys that will be removed. When a key to remove holds a " \
      "value other than a string, the individual complexity for this key is O(M) where M is " \
      "the number of elements in the list, set, sorted set or hash. Removing a single key that " \
      "holds a string value is O(1).", "", "", "key=key#0+") \
    X("discard", "Discard all commands issued after MULTI", \
      "2.0.0", "transactions", "O(N), when N is the number of queued commands", "", "", "") \
    X("echo", "Echo the given string", "1.0.0", "connection", "O(1)", "", "", "message=string") \
    X("exec", "Execute all commands issued after MULTI", \
      "1.2.0", "transactions", "Depends on commands in the transaction", "", "", "") \
    X("exists", "Determine if a key exists", \
      "1.0.0", "generic", "O(N) where N is the number of keys to check.", "", \
      "3.0.3 Accepts multiple `key` arguments.", \
      "key=key#0+") \
    X("expire", "Set a key's time to live in seconds", \
      "1.0.0", "generic", "O(1)", "", \
      "7.0.0 Added options: `NX`, `XX`, `GT` and `LT`.", \
      "key=key#0 seconds=integer condition=oneof@7.0.0?{nx=pure-token'NX xx=pure-token'XX " \
      "gt=pure-token'GT lt=pure-token'LT}") \
    X("expireat", "Set the expiration for a key as a UNIX timestamp", \
      "1.2.0", "generic", "O(1)", "", \
      "7.0.0 Added options: `NX`, `XX`, `GT` and `LT`.", \
      "key=key#0 unix-time-seconds=unix-time condition=oneof@7.0.0?{nx=pure-token'NX " \
      "xx=pure-token'XX gt=pure-token'GT lt=pure-token'LT}") \
    X("expiretime", "Get the expiration Unix timestamp for a key", "7.0.0", "generic", "O(1)", "", "", "key=key#0") \
    X("flushall", "Remove all keys from all databases", \
      "1.0.0", "server", "O(N) where N is the total number of keys in all databases", "", \
      "4.0.0 Added the `ASYNC` flushing mode modifier.\n6.2.0 Added the `SYNC` flushing mode " \
      "modifier.", \
      "async=oneof?{async=pure-token'ASYNC@4.0.0 sync=pure-token'SYNC@6.2.0}") \
    X("flushdb", "Remove all keys from the current database", \
      "1.0.0", "server", "O(N) where N is the number of keys in the selected database", "", \
      "4.0.0 Added the `ASYNC` flushing mode modifier.\n6.2.0 Added the `SYNC` flushing mode " \
      "modifier.", \
      "async=oneof?{async=pure-token'ASYNC@4.0.0 sync=pure-token'SYNC@6.2.0}") \
    X("get", "Get the value of a key", "1.0.0", "string", "O(1)", "", "", "key=key#0") \
    X("getdel", "Get the value of a key and delete the key", "6.2.0", "string", "O(1)", "", "", "key=key#0") \
    X("getex", "Get the value of a key and optionally set its expiration", \
      "6.2.0", "string", "O(1)", "", "", "key=key#0 expiration=oneof?{seconds=integer'EX milliseconds=integer'PX " \
      "unix-time-seconds=unix-time'EXAT unix-time-milliseconds=unix-time'PXAT " \
      "persist=pure-token'PERSIST}") \
    X("getrange", "Get a substring of the string stored at a key", \
      "2.4.0", "string", "O(N) where N is the length of the returned string. The complexity is ultimately " \
      "determined by the returned length, but because creating a substring from an existing " \
      "string is very cheap, it can be considered O(1) for small strings.", "", \
      "", \
      "key=key#0 start=integer end=integer") \
    X("getset", "Set the string value of a key and return its old value", \
      "1.0.0", "string", "O(1)", "6.2.0 `SET` with the `!GET` argument", "", "key=key#0 value=string") \
    X("hello", "Handshake with Redis", \
      "6.0.0", "connection", "O(1)", "", \
      "6.2.0 `protover` made optional; when called without arguments the command reports the " \
      "current connection's context.", \
      "arguments=block?{protover=integer username_password=block'AUTH?{username=string " \
      "password=string} clientname=string'SETNAME?}") \
    X("incr", "Increment the integer value of a key by one", "1.0.0", "string", "O(1)", "", "", "key=key#0") \
    X("incrby", "Increment the integer value of a key by the given amount", \
      "1.0.0", "string", "O(1)", "", "", "key=key#0 increment=integer") \
    X("info", "Get information and statistics about the server", \
      "1.0.0", "server", "O(1)", "", "7.0.0 Added support for taking multiple section arguments.", "section=string?+") \
    X("keys", "Find all keys matching the given pattern", \
      "1.0.0", "generic", "O(N) with N being the number of keys in the database, under the assumption that the key " \
      "names in the database and the given pattern have limited length.", "", "", "pattern=pattern") \
    X("memory", "A container for memory diagnostics commands", \
      "4.0.0", "server", "Depends on subcommand.", "", "", "") \
    X("memory|help", "Show helpful text about the different subcommands", "4.0.0", "server", "O(1)", "", "", "") \
    X("memory|usage", "Estimate the memory usage of a key", \
      "4.0.0", "server", "O(N) where N is the number of samples.", "", "", "key=key#0 count=integer'SAMPLES?") \
    X("mget", "Get the values of all the given keys", \
      "1.0.0", "string", "O(N) where N is the number of keys to retrieve.", "", "", "key=key#0+") \
    X("mset", "Set multiple keys to multiple values", \
      "1.0.1", "string", "O(N) where N is the number of keys to set.", "", \
      "", \
      "key_value=block+{key=key#0 value=string}") \
    X("msetnx", "Set multiple keys to multiple values, only if none of the keys exist", \
      "1.0.1", "string", "O(N) where N is the number of keys to set.", "", \
      "", \
      "key_value=block+{key=key#0 value=string}") \
    X("multi", "Mark the start of a transaction block", "1.2.0", "transactions", "O(1)", "", "", "") \
    X("persist", "Remove the expiration from a key", "2.2.0", "generic", "O(1)", "", "", "key=key#0") \
    X("pexpire", "Set a key's time to live in milliseconds", \
      "2.6.0", "generic", "O(1)", "", \
      "7.0.0 Added options: `NX`, `XX`, `GT` and `LT`.", \
      "key=key#0 milliseconds=integer condition=oneof@7.0.0?{nx=pure-token'NX xx=pure-token'XX " \
      "gt=pure-token'GT lt=pure-token'LT}") \
    X("pexpireat", "Set the expiration for a key as a UNIX timestamp specified in milliseconds", \
      "2.6.0", "generic", "O(1)", "", \
      "7.0.0 Added options: `NX`, `XX`, `GT` and `LT`.", \
      "key=key#0 unix-time-milliseconds=unix-time condition=oneof@7.0.0?{nx=pure-token'NX " \
      "xx=pure-token'XX gt=pure-token'GT lt=pure-token'LT}") \
    X("pexpiretime", "Get the expiration Unix timestamp for a key in milliseconds", \
      "7.0.0", "generic", "O(1)", "", "", "key=key#0") \
    X("ping", "Ping the server", "1.0.0", "connection", "O(1)", "", "", "message=string?") \
    X("psetex", "Set the value and expiration in milliseconds of a key", \
      "2.6.0", "string", "O(1)", "", "", "key=key#0 milliseconds=integer value=string") \
    X("pttl", "Get the time to live for a key in milliseconds", \
      "2.6.0", "generic", "O(1)", "", "2.8.0 Added the -2 reply.", "key=key#0") \
    X("quit", "Close the connection", "1.0.0", "connection", "O(1)", "", "", "") \
    X("randomkey", "Return a random key from the keyspace", "1.0.0", "generic", "O(1)", "", "", "") \
    X("readonly", "Enables read queries for a connection to a cluster replica node", \
      "3.0.0", "cluster", "O(1)", "", "", "") \
    X("readwrite", "Disables read queries for a connection to a cluster replica node", \
      "3.0.0", "cluster", "O(1)", "", "", "") \
    X("reset", "Reset the connection", "6.2.0", "connection", "O(1)", "", "", "") \
    X("scan", "Incrementally iterate the keys space", \
      "2.8.0", "generic", "O(1) for every call. O(N) for a complete iteration, including enough command calls for " \
      "the cursor to return back to 0. N is the number of elements inside the collection.", "", \
      "6.0.0 Added the `TYPE` subcommand.", \
      "cursor=integer pattern=pattern'MATCH? count=integer'COUNT? type=string'TYPE@6.0.0?") \
    X("select", "Change the selected database for the current connection", \
      "1.0.0", "connection", "O(1)", "", "", "index=integer") \
    X("set", "Set the string value of a key", \
      "1.0.0", "string", "O(1)", "", \
      "2.6.12 Added the `EX`, `PX`, `NX` and `XX` options.\n6.0.0 Added the `KEEPTTL` " \
      "option.\n6.2.0 Added the `GET`, `EXAT` and `PXAT` option.\n7.0.0 Allowed the `NX` and " \
      "`GET` options to be used together.", \
      "key=key#0 value=string condition=oneof@2.6.12?{nx=pure-token'NX xx=pure-token'XX} " \
      "get=pure-token'GET@6.2.0? expiration=oneof?{seconds=integer'EX@2.6.12 " \
      "milliseconds=integer'PX@2.6.12 unix-time-seconds=unix-time'EXAT@6.2.0 " \
      "unix-time-milliseconds=unix-time'PXAT@6.2.0 keepttl=pure-token'KEEPTTL@6.0.0}") \
    X("setex", "Set the value and expiration of a key", \
      "2.0.0", "string", "O(1)", "", "", "key=key#0 seconds=integer value=string") \
    X("setnx", "Set the value of a key, only if the key does not exist", \
      "1.0.0", "string", "O(1)", "", "", "key=key#0 value=string") \
    X("strlen", "Get the length of the value stored in a key", "2.2.0", "string", "O(1)", "", "", "key=key#0") \
    X("substr", "Get a substring of the string stored at a key", \
      "1.0.0", "string", "O(N) where N is the length of the returned string. The complexity is ultimately " \
      "determined by the returned length, but because creating a substring from an existing " \
      "string is very cheap, it can be considered O(1) for small strings.", "2.0.0 `GETRANGE`", \
      "", \
      "key=key#0 start=integer end=integer") \
    X("time", "Return the current server time", "2.6.0", "server", "O(1)", "", "", "") \
    X("touch", "Alters the last access time of a key(s). Returns the number of existing keys specified.", \
      "3.2.1", "generic", "O(N) where N is the number of keys that will be touched.", "", "", "key=key#0+") \
    X("ttl", "Get the time to live for a key in seconds", \
      "1.0.0", "generic", "O(1)", "", "2.8.0 Added the -2 reply.", "key=key#0") \
    X("type", "Determine the type stored at key", "1.0.0", "generic", "O(1)", "", "", "key=key#0") \
    X("unlink", "Delete a key asynchronously in another thread. Otherwise it is just as DEL, but non " \
      "blocking.", \
      "4.0.0", "generic", "O(1) for each key removed regardless of its size. Then the command does O(N) work in a " \
      "different thread in order to reclaim memory, where N is the number of allocations the " \
      "deleted objects where composed of.", "", "", "key=key#0+") \
    X("unwatch", "Forget about all watched keys", "2.2.0", "transactions", "O(1)", "", "", "") \
    X("watch", "Watch the given keys to determine execution of the MULTI/EXEC block", \
      "2.2.0", "transactions", "O(1) for every key.", "", "", "key=key#0+")

#define COMMAND_DOCS_OWN(X) \
    X("copy", "Get value, time of expiry, version and form of a key, for another node", \
      "", "string", "O(1)", "", "", "key=key#0") \
    X("dirty", "Tell how many objects and bytes are not stored, and for how long", \
      "", "server", "O(1)", "", "", "") \
    X("dump", "Have a key stored now", \
      "", "generic", "O(1)", "", "", "key=key#0 milliseconds=integer'WAIT?") \
    X("exec", "Execute a transaction, for another node", \
      "", "transactions", "Depends on commands in the transaction", "", "", "") \
    X("for", "Execute a command, for another node", "", "server", "Depends on the command", "", "", "") \
    X("get", "Get the value of a key, as fresh as is said", \
      "", "string", "O(1)", "", \
      "", \
      "key=key#0 consistency=oneof?{strong=pure-token'STRONG eventual=pure-token'EVENTUAL " \
      "milliseconds=integer'BOUNDED}") \
    X("owner", "Tell which node has a key", "", "server", "O(1)", "", "", "key=key#0") \
    X("ring", "Tell which nodes the ring has", \
      "", "server", "O(N) where N is the number of nodes", "", "", "") \
    X("set", "Set the value of a key in a form (bytes, string, term), for another node", \
      "", "string", "O(1)", "", "", "key=key#0 value=string form=string") \
    X("watch", "Watch keys, for another node", \
      "", "transactions", "O(1) for every key.", "", "", "key=key#0+")
/* clang-format on */

#endif
