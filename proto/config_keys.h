/*
 * config_keys.h: every key of the configuration file, one record each.
 *
 * The parser, `platoon --check`, --print-config, etc/platoon.conf and platoon.conf(5) come from this list or are checked
 * against it (make lint).
 *
 * X(SECTION, "key", TYPE, "default", min, max, RELOAD, "help")
 *   SECTION   PLATOON (one, without a title), REDIS, STORE, DRAIN, SUPERVISOR, PROGRAM (any number, each with a title)
 *   key       a dot means a subsection: "get_hash.workers" is written get_hash { workers = 2 }
 *   TYPE      STRING   any text
 *             PATH     a file or directory; relative ones are relative to the configuration file
 *             EXECUTABLE  a path, or a name looked up in PATH
 *             BOOL     true, false
 *             INT      whole number within min..max
 *             SPAN     duration with a unit: 250ms, 5s, 2m, 1h; min..max in milliseconds; delivered as milliseconds
 *             SIZE     bytes, or with a unit: 64KB, 16MB, 1GB (powers of 1024); min..max in bytes; delivered as bytes
 *             CHOICE   one of the words in "help" between the first pair of parentheses, separated by '|'
 *   default   "" means none; "!" means the key must be given
 *   RELOAD    what a reload makes of a change: LIVE: a running tree takes it over (workers are not told of these keys);
 *             RESTART: the workers it concerns are restarted; MASTER: refused, platoon itself must be started anew
 */
#ifndef PROTO_CONFIG_KEYS_H
#define PROTO_CONFIG_KEYS_H

/* clang-format off */
#define CONFIG_KEY_LIST(X)                                                                         \
    X(PLATOON, "runtime_dir", PATH, "/run/platoon", 0, 0, MASTER, "sockets, mailboxes, lock; made 0700 if missing") \
    X(PLATOON, "state_dir", PATH, "/var/lib/platoon", 0, 0, MASTER, "what must survive a restart: the instance's identity, the embedded Redis' data") \
    X(PLATOON, "libexec_dir", PATH, "", 0, 0, MASTER, "where the worker programs are; empty: beside the platoon program") \
    X(PLATOON, "log_level", CHOICE, "info", 0, 0, LIVE, "least important line that is logged (error|warn|info|debug)") \
    X(PLATOON, "log_format", CHOICE, "text", 0, 0, LIVE, "form of log lines (text|json)")          \
    X(PLATOON, "log_to", CHOICE, "stderr", 0, 0, LIVE, "where log lines go (stderr|file|syslog|journal)") \
    X(PLATOON, "log_path", PATH, "", 0, 0, LIVE, "file: where it is, empty: platoon.log in state_dir; syslog, journal: another socket than /dev/log, /run/systemd/journal/socket") \
    X(PLATOON, "log_rotate_size", SIZE, "64MB", 0, 1099511627776, LIVE, "file: size at which it becomes FILE.1, and FILE.1 becomes FILE.2; 0: never") \
    X(PLATOON, "log_rotate_age", SPAN, "0s", 0, 31536000000, LIVE, "file: age at which it does; 0s: never") \
    X(PLATOON, "log_keep", INT, "5", 0, 1000, LIVE, "file: how many old ones are kept") \
    X(PLATOON, "strategy", CHOICE, "one_for_one", 0, 0, LIVE, "who is restarted when a child of the root, of redis/ or of transfer/ dies (one_for_one|one_for_all|rest_for_one)") \
    X(PLATOON, "intensity", INT, "10", 1, 1000, LIVE, "restarts within `period` after which a branch gives up and its parent restarts it whole") \
    X(PLATOON, "period", SPAN, "30s", 1000, 86400000, LIVE, "window for `intensity`")           \
    X(PLATOON, "backoff_min", SPAN, "100ms", 1, 60000, LIVE, "first pause before a restart; a worker that had run stably is replaced without one") \
    X(PLATOON, "backoff_factor", INT, "2", 1, 10, LIVE, "growth of the pause's ceiling with each death in a row") \
    X(PLATOON, "backoff_max", SPAN, "30s", 10, 3600000, LIVE, "longest pause before a restart; platoon never stops trying") \
    X(PLATOON, "stable_after", SPAN, "10s", 100, 3600000, LIVE, "time in READY after which the pause starts from backoff_min again") \
    X(PLATOON, "on_fatal", CHOICE, "retry", 0, 0, LIVE, "when restarting the whole tree does not help either: wait backoff_max and try again, or end with exit code 1 (retry|exit)") \
    X(PLATOON, "ready_timeout", SPAN, "30s", 100, 3600000, LIVE, "time a worker may take from its start to READY") \
    X(PLATOON, "hang_timeout", SPAN, "30s", 5000, 3600000, LIVE, "silence after which a worker counts as hung and is killed") \
    X(PLATOON, "stop_timeout", SPAN, "10s", 100, 3600000, LIVE, "time a worker may take to finish what is in flight") \
    X(PLATOON, "crash_reports", INT, "5", 0, 1000, LIVE, "reports kept of each worker that ended abnormally, in state_dir/crashes") \
    X(PLATOON, "worker_memory_max", SIZE, "", 16777216, 1099511627776, RESTART, "memory of each worker of platoon's own types, kept as a program's memory_max; empty: no limit") \
    X(PLATOON, "worker_memory_restart", SIZE, "", 16777216, 1099511627776, RESTART, "resident memory above which such a worker ends and is started again; empty: any") \
    X(PLATOON, "worker_files_max", INT, "", 64, 1048576, RESTART, "open files of each; empty: as the master") \
    X(PLATOON, "worker_core_max", SIZE, "", 0, 1099511627776, RESTART, "largest core file of each; empty: as the master") \
    X(PLATOON, "worker_nice", INT, "0", 0, 19, RESTART, "lower priority of each: 0 to 19, the lowest") \
    X(PLATOON, "worker_no_new_privs", BOOL, "false", 0, 0, RESTART, "none of them may gain rights (set-user-id)") \
    X(PLATOON, "health", STRING, "", 0, 0, LIVE, "where /livez, /readyz and /metrics are served over HTTP: 127.0.0.1:PORT, [::1]:PORT or unix:/PATH; empty: nowhere") \
    X(REDIS, "url", STRING, "embedded", 0, 0, RESTART, "embedded, redis://[user@]host[:port][/db], rediss://… (TLS) or unix:///path[?db=N]; never a password") \
    X(REDIS, "password_file", PATH, "", 0, 0, RESTART, "file that holds the password, or the user on its first line and the password on its second") \
    X(REDIS, "database", INT, "0", 0, 65535, RESTART, "database number, unless the url has one")   \
    X(REDIS, "tls_ca_file", PATH, "", 0, 0, RESTART, "certificates that may sign the server's; empty: the system's") \
    X(REDIS, "tls_cert_file", PATH, "", 0, 0, RESTART, "client certificate (PEM)")                 \
    X(REDIS, "tls_key_file", PATH, "", 0, 0, RESTART, "key of the client certificate (PEM)")       \
    X(REDIS, "tls_server_name", STRING, "", 0, 0, RESTART, "name the server's certificate must have; empty: the url's host") \
    X(REDIS, "connect_timeout", SPAN, "5s", 100, 600000, RESTART, "time a connection may take, TLS and AUTH included") \
    X(REDIS, "timeout", SPAN, "10s", 100, 600000, RESTART, "time a command may take")              \
    X(REDIS, "retry_max", SPAN, "2s", 100, 600000, RESTART, "longest pause between attempts to connect") \
    X(REDIS, "reply_max", SIZE, "256MB", 1048576, 1073741824, RESTART, "longest reply taken from Redis; a longer one ends the connection") \
    X(REDIS, "send_workers", INT, "1", 1, 16, LIVE, "workers for one-off commands")             \
    X(REDIS, "server_program", EXECUTABLE, "redis-server", 0, 0, RESTART, "embedded: the server to run") \
    X(REDIS, "server_port", INT, "0", 0, 65535, RESTART, "embedded: also listen on 127.0.0.1 at this port; 0: unix socket only") \
    X(REDIS, "server_maxmemory", SIZE, "0", 0, 1099511627776, RESTART, "embedded: memory limit, 0 for none; nothing is ever evicted") \
    X(REDIS, "server_appendfsync", CHOICE, "everysec", 0, 0, RESTART, "embedded: when the append-only file is synced (always|everysec|no)") \
    X(REDIS, "log_level", CHOICE, "", 0, 0, LIVE, "least important line that its workers log; empty: as in platoon (error|warn|info|debug)") \
    X(STORE, "type", CHOICE, "sqlite", 0, 0, RESTART, "back-end; count keeps nothing, for measuring (sqlite|postgres|count)") \
    X(STORE, "path", PATH, "", 0, 0, RESTART, "sqlite: database file")                             \
    X(STORE, "cache", SIZE, "8MB", 1048576, 17179869184, RESTART, "sqlite: page cache of the merging") \
    X(STORE, "url", STRING, "", 0, 0, RESTART, "postgres: postgresql://[user@]host[:port]/db[?sslmode=verify-full&passfile=…]; never a password") \
    X(STORE, "table", STRING, "records", 0, 0, RESTART, "postgres: table, or schema.table; made when it is missing") \
    X(STORE, "timeout", SPAN, "60s", 1000, 3600000, RESTART, "postgres: time a statement may take; without an answer for half of that again its connection is given up, and the batch tried again") \
    X(STORE, "retry_max", SPAN, "2s", 10, 600000, RESTART, "longest pause before a failed transaction is tried again") \
    X(DRAIN, "redis", STRING, "main", 0, 0, RESTART, "the redis section to drain")                 \
    X(DRAIN, "set", STRING, "!", 0, 0, RESTART, "key of the set of tracking keys")                 \
    X(DRAIN, "store", STRING, "!", 0, 0, RESTART, "the store section records go to")               \
    X(DRAIN, "bucket", STRING, "", 0, 0, RESTART, "template of a record's bucket; empty: the drain's name") \
    X(DRAIN, "key", STRING, "{member}", 0, 0, RESTART, "template of a record's key: {field}, {field|default}, {member}") \
    X(DRAIN, "key_service", STRING, "", 0, 0, RESTART, "http(s) url that answers {\"bucket\":…,\"key\":…} for the url-encoded fields (GET with a query, POST above 2000 bytes); replaces the templates") \
    X(DRAIN, "key_service_timeout", SPAN, "2s", 10, 60000, RESTART, "time one answer of the key service may take") \
    X(DRAIN, "key_service_retries", INT, "3", 0, 100, RESTART, "further tries before a record is given up (the service answers for others) or waits (it does not)") \
    X(DRAIN, "consume", CHOICE, "take", 0, 0, RESTART, "the hash is moved aside and deleted once stored, or stays (take|keep)") \
    X(DRAIN, "batch", INT, "500", 1, 5000, RESTART, "members in one claim")                        \
    X(DRAIN, "claims_max", INT, "64", 1, 1000, RESTART, "claims in flight at once")                \
    X(DRAIN, "lease", SPAN, "30s", 1000, 86400000, RESTART, "time after which a claim of a vanished host is handed out again") \
    X(DRAIN, "max_attempts", INT, "5", 1, 100, RESTART, "hand-outs after which a lone member goes to the dead letters") \
    X(DRAIN, "missing_retry", SPAN, "300ms", 10, 60000, RESTART, "pause before a member without a hash is looked at again") \
    X(DRAIN, "poll_min", SPAN, "5ms", 1, 10000, RESTART, "shortest pause between looks at the set") \
    X(DRAIN, "poll_max", SPAN, "500ms", 10, 60000, RESTART, "longest pause between looks at an empty set") \
    X(DRAIN, "record_max", SIZE, "16MB", 1024, 20971520, RESTART, "largest record; a larger one is a dead letter") \
    X(DRAIN, "strategy", CHOICE, "one_for_one", 0, 0, LIVE, "who is restarted when a worker of the drain dies (one_for_one|one_for_all|rest_for_one)") \
    X(DRAIN, "intensity", INT, "20", 1, 1000, LIVE, "restarts within `period` after which the drain's branch is restarted whole") \
    X(DRAIN, "period", SPAN, "30s", 1000, 86400000, LIVE, "window for `intensity`")             \
    X(DRAIN, "get_hash.workers", INT, "2", 1, 256, LIVE, "get-hash workers")                    \
    X(DRAIN, "get_hash.claims", INT, "16", 1, 64, RESTART, "claims a get-hash works at once")       \
    X(DRAIN, "get_hash.window", SIZE, "8MB", 65536, 1073741824, RESTART, "bytes a get-hash may have at a transfer that are not yet stored") \
    X(DRAIN, "transfer.workers", INT, "1", 1, 64, LIVE, "transfer workers")                     \
    X(DRAIN, "transfer.batch", INT, "5000", 1, 100000, RESTART, "most records in one transaction") \
    X(DRAIN, "transfer.linger", SPAN, "5ms", 0, 10000, RESTART, "time a transaction waits to fill up") \
    X(DRAIN, "log_level", CHOICE, "", 0, 0, LIVE, "least important line that its workers log; empty: as in platoon (error|warn|info|debug)") \
    X(SUPERVISOR, "children", STRING, "!", 0, 0, LIVE, "names of program and supervisor sections below it, in start order") \
    X(SUPERVISOR, "strategy", CHOICE, "one_for_one", 0, 0, LIVE, "who is restarted when a child dies (one_for_one|one_for_all|rest_for_one)") \
    X(SUPERVISOR, "intensity", INT, "10", 1, 1000, LIVE, "restarts within `period` after which it gives up and its parent restarts it whole") \
    X(SUPERVISOR, "period", SPAN, "30s", 1000, 86400000, LIVE, "window for `intensity`")        \
    X(SUPERVISOR, "log_level", CHOICE, "", 0, 0, LIVE, "least important line that its workers log; empty: as above it (error|warn|info|debug)") \
    X(PROGRAM, "command", STRING, "!", 0, 0, RESTART, "program and arguments; quotes make one word of several; {n} is the process' number; a shell only by sh -c '…'") \
    X(PROGRAM, "port", CHOICE, "none", 0, 0, RESTART, "the program is an actor: it hears events on stdin and says actions on stdout, as JSON lines or msgpack frames (none|json|msgpack)") \
    X(PROGRAM, "worker", BOOL, "false", 0, 0, RESTART, "the program is a worker of platoon's own kind, made with platoon/worker.h: it has a mailbox and talks to the master itself") \
    X(PROGRAM, "settings", STRING, "", 0, 0, RESTART, "worker = true, or port: what it is told, NAME=value separated by blanks; {n} as in command") \
    X(PROGRAM, "directory", PATH, "", 0, 0, RESTART, "working directory; empty: platoon's")         \
    X(PROGRAM, "environment", STRING, "", 0, 0, RESTART, "further variables: NAME=value, separated by blanks; {n} as in command") \
    X(PROGRAM, "user", STRING, "", 0, 0, RESTART, "runs as this user, with its groups; platoon must be root then") \
    X(PROGRAM, "group", STRING, "", 0, 0, RESTART, "runs with this group instead of the user's")    \
    X(PROGRAM, "umask", STRING, "", 0, 0, RESTART, "octal mask for new files; empty: platoon's")    \
    X(PROGRAM, "nice", INT, "0", 0, 19, RESTART, "lower priority: 0 to 19, the lowest")             \
    X(PROGRAM, "memory_max", SIZE, "", 1048576, 1099511627776, RESTART, "most memory of each process with its descendants, kept by the kernel (memory.max) in a cgroup that was given to platoon (platoon(8)); elsewhere the address space of each single one (RLIMIT_AS); empty: no limit") \
    X(PROGRAM, "memory_restart", SIZE, "", 1048576, 1099511627776, RESTART, "resident memory of each process with its descendants above which it is stopped and started again; empty: any") \
    X(PROGRAM, "log_file", PATH, "", 0, 0, RESTART, "file for what it prints, instead of platoon's log; {n} as in command") \
    X(PROGRAM, "log_rotate_size", SIZE, "64MB", 0, 1099511627776, RESTART, "size at which log_file becomes FILE.1, and FILE.1 becomes FILE.2; 0: never") \
    X(PROGRAM, "log_keep", INT, "5", 0, 1000, RESTART, "old log files kept") \
    X(PROGRAM, "files_max", INT, "", 3, 1048576, RESTART, "open files of each process; empty: as the master had at its start") \
    X(PROGRAM, "core_max", SIZE, "", 0, 1099511627776, RESTART, "largest core file; empty: as the master has") \
    X(PROGRAM, "no_new_privs", BOOL, "false", 0, 0, RESTART, "no program it starts may gain rights (set-user-id)") \
    X(PROGRAM, "processes", INT, "1", 0, 1000, LIVE, "how many of them, numbered from 1; 0: none by itself, only as a temporary child of another (may_start)") \
    X(PROGRAM, "may_start", STRING, "", 0, 0, LIVE, "titles of program sections of which it may have the master start temporary children of its own") \
    X(PROGRAM, "may_start_max", INT, "16", 1, 1000, LIVE, "most temporary children of each process at once") \
    X(PROGRAM, "after", STRING, "", 0, 0, LIVE, "names of programs, supervisors or branches that must be ready first, beyond the order of the tree") \
    X(PROGRAM, "ready", STRING, "none", 0, 0, RESTART, "when it is: none (as soon as it runs), exit (it has finished on purpose), 3s (has run so long), unix:PATH or tcp:ADDRESS:PORT (it listens), http:ADDRESS:PORT/PATH (answers 2xx or 3xx), log:TEXT (prints a line with it), notify (says READY=1 as sd_notify(3) does), actor (port: it says so), fd (a line on $NOTIFY_FD); {n} as in command") \
    X(PROGRAM, "ready_timeout", SPAN, "", 100, 3600000, LIVE, "time it may take for that; empty: as in platoon") \
    X(PROGRAM, "restart", CHOICE, "permanent", 0, 0, LIVE, "started again: always, after an end that exit_codes does not name, or never (permanent|transient|temporary)") \
    X(PROGRAM, "exit_codes", STRING, "0", 0, 0, RESTART, "exit codes that mean it finished on purpose") \
    X(PROGRAM, "backoff_min", SPAN, "", 1, 60000, LIVE, "first pause before a restart; empty: as in platoon") \
    X(PROGRAM, "backoff_max", SPAN, "", 10, 3600000, LIVE, "longest pause before a restart; empty: as in platoon") \
    X(PROGRAM, "stable_after", SPAN, "", 100, 3600000, LIVE, "time in READY after which the pause starts anew; empty: as in platoon") \
    X(PROGRAM, "stop_signal", CHOICE, "TERM", 0, 0, RESTART, "what tells it to stop (TERM|INT|QUIT|HUP|USR1|USR2|KILL)") \
    X(PROGRAM, "stop_timeout", SPAN, "", 100, 3600000, LIVE, "time it may take to stop, before SIGKILL; empty: as in platoon") \
    X(PROGRAM, "log_level", CHOICE, "", 0, 0, LIVE, "least important line that its workers log; empty: as above it (error|warn|info|debug)")
/* clang-format on */

#endif
