/*
 * redis.h: the lists of what every user of a Redis shares: its section, the embedded server, one-off commands.
 *
 * What the columns of each list mean: proto/systems.h. A script's call: redis_script.h; who asks: identity.h.
 */
#ifndef PROTO_REDIS_REDIS_H
#define PROTO_REDIS_REDIS_H

/* clang-format off */
#define REDIS_SECTIONS(X) \
    X(REDIS, "redis", TITLED, "redis main { url = \"unix:///run/redis/redis.sock\" }", \
      "a Redis, or an embedded one")

#define REDIS_KEYS(X) \
    X(REDIS, "url", STRING, "embedded", 0, 0, RESTART, \
      "embedded, redis://[user@]host[:port][,host[:port]…][/db] (several: tried in turn), rediss://… (TLS), " \
      "sentinel://[user@]host[:port][,host[:port]…]/NAME[/db], sentinels://… (TLS to both) or unix:///path[?db=N]; " \
      "never a password") \
    X(REDIS, "password_file", PATH, "", 0, 0, RESTART, \
      "file that holds the password, or the user on its first line and the password on its second; embedded: the " \
      "server asks for it (a new one takes a reload and a restart of redis/server)") \
    X(REDIS, "sentinel_password_file", PATH, "", 0, 0, RESTART, \
      "the same for the Sentinels; empty: they ask for none") \
    X(REDIS, "database", INT, "0", 0, 65535, RESTART, "database number, unless the url has one") \
    X(REDIS, "tls_ca_file", PATH, "", 0, 0, RESTART, "certificates that may sign the server's; empty: the system's") \
    X(REDIS, "tls_cert_file", PATH, "", 0, 0, RESTART, "client certificate (PEM)") \
    X(REDIS, "tls_key_file", PATH, "", 0, 0, RESTART, "key of the client certificate (PEM)") \
    X(REDIS, "tls_server_name", STRING, "", 0, 0, RESTART, \
      "name the server's certificate must have; empty: the url's host") \
    X(REDIS, "connect_timeout", SPAN, "5s", 100, 600000, RESTART, \
      "time a connection may take, TLS and AUTH included; the addresses of one name share it") \
    X(REDIS, "timeout", SPAN, "10s", 100, 600000, RESTART, "time a command may take") \
    X(REDIS, "retry_max", SPAN, "2s", 100, 600000, RESTART, "longest pause between attempts to connect") \
    X(REDIS, "reply_max", SIZE, "256MB", 8388608, 1073741824, RESTART, \
      "longest reply taken from Redis; a longer one ends the connection") \
    X(REDIS, "send_workers", INT, "1", 1, 16, LIVE, "workers for one-off commands") \
    X(REDIS, "server_program", EXECUTABLE, "redis-server", 0, 0, RESTART, "embedded: the server to run") \
    X(REDIS, "server_port", INT, "0", 0, 65535, RESTART, \
      "embedded: also listen on 127.0.0.1 at this port, with a password: that of password_file, else one that " \
      "platoon makes, in redis/password below state_dir; 0: unix socket only") \
    X(REDIS, "server_maxmemory", SIZE, "0", 0, 1099511627776, RESTART, \
      "embedded: memory limit, 0 for none; nothing is ever evicted") \
    X(REDIS, "server_appendfsync", CHOICE, "everysec", 0, 0, RESTART, \
      "embedded: when the append-only file is synced (always|everysec|no)") \
    X(REDIS, "log_level", CHOICE, "", 0, 0, LIVE, \
      "least important line that its workers log; empty: as in platoon (error|warn|info|debug)")

/* Of the one-off commands themselves nobody knows. */
#define REDIS_RIGHTS(X) \
    X(REDIS, "PING", OPTIONAL, "") \
    X(REDIS, "SELECT", NEEDED, "-")

#define REDIS_CHECKS(X) \
    X(REDIS, redis)

#define REDIS_TYPES(X) \
    X(COMMAND, "command", REDIS, embedded, PROGRAM, "redis/server", "", \
      "runs a program, here a private redis-server") \
    X(SEND, "send", REDIS, ALWAYS, ITSELF, "redis/send", "send_workers", "runs one-off Redis commands")

#define REDIS_TELLS(X) \
    X(REDIS, "url", redis_url) \
    X(REDIS, "password_file", redis_password_file)

#define REDIS_LATER(X) \
    X("redis.sentinel_password_file")

#define REDIS_EXTRAS(X) \
    X(COMMAND, embedded)

#define REDIS_SWEEPS(X) \
    X("redis")

#define REDIS_PREFLIGHTS(X) \
    X(REDIS, embedded)

#define REDIS_VERBS(X) \
    X(REDIS, redis, "redis", 1, VERB_REST, ANSWER, ACT, "redis [--on SECTION] [--reply-to NAME] COMMAND [ARG...]", \
      "run one Redis command through a send worker")

#define REDIS_ASKS(X) \
    X("send", "redis", ACT, "COMMAND [ARG...]", \
      "map {error bool, reply}: status and error texts are str, bulk strings bin, integers, nil, arrays") \
    X("send", "redis-to", ACT, "NAME COMMAND [ARG...]", "map {sent_to}; the reply goes to that worker as a REPLY")

#define REDIS_COUNTERS(X) \
    X(REDIS_COMMANDS, "redis_commands_total", COUNTER, "commands sent to Redis") \
    X(REDIS_ERRORS, "redis_errors_total", COUNTER, "error replies from Redis") \
    X(REDIS_RECONNECTS, "redis_reconnects_total", COUNTER, "connections to Redis lost and tried again") \
    X(REDIS_EVICTS, "redis_evicts", GAUGE, "1 when the server's maxmemory-policy evicts keys") \
    X(REDIS_FORGETS, "redis_forgets", GAUGE, "1 when the server keeps nothing on disk") \
    X(REDIS_REPLICA, "redis_replica", GAUGE, "1 when the server is a replica") \
    X(REDIS_SHORT, "redis_memory_short", GAUGE, "1 when the server has used nine tenths of its maxmemory") \
    X(REDIS_UNSEEN, "redis_unseen", GAUGE, "1 when the server refuses INFO, so that nothing is known of the others")

#define REDIS_WARNINGS(X) \
    X(REDIS_EVICTS, \
      "this Redis may evict what is not stored yet: its maxmemory-policy is not noeviction: set that, in redis.conf " \
      "and with CONFIG SET maxmemory-policy noeviction") \
    X(REDIS_FORGETS, \
      "this Redis keeps nothing on disk, and what is not stored yet is lost with its process: set appendonly yes, in " \
      "redis.conf and with CONFIG SET appendonly yes") \
    X(REDIS_REPLICA, \
      "this Redis is a replica, from which nothing can be drained: point the url at the primary, or wait for the " \
      "fail-over") \
    X(REDIS_SHORT, \
      "this Redis has used more than nine tenths of its maxmemory, and will soon refuse what the application writes: " \
      "raise maxmemory, or see why the drain does not keep up") \
    X(REDIS_UNSEEN, \
      "this Redis refuses INFO, so that nobody looks whether its settings keep what is not stored yet (evictions, " \
      "persistence, memory): give its user +info (RIGHTS IN REDIS in platoon.conf(5)), or the server its INFO again")
/* clang-format on */

#endif
