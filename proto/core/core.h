/*
 * core.h: the runtime's own lists: sections platoon and store, what any worker says and counts, verbs for the tree.
 *
 * What the columns of each list mean, and the recipe for an entry, stands in proto/systems.h.
 */
#ifndef PROTO_CORE_CORE_H
#define PROTO_CORE_CORE_H

/* clang-format off */
#define CORE_SECTIONS(X) \
    X(PLATOON, "platoon", SINGLE, "platoon { runtime_dir = /run/platoon  state_dir = /var/lib/platoon }", \
      "the master and everything below it") \
    X(STORE, "store", TITLED, "store visits { path = /var/lib/platoon/visits.db }", \
      "where records or objects are kept")

#define CORE_KEYS(X) \
    X(PLATOON, "runtime_dir", PATH, "/run/platoon", 0, 0, MASTER, "sockets, mailboxes, lock; made 0700 if missing") \
    X(PLATOON, "state_dir", PATH, "/var/lib/platoon", 0, 0, MASTER, \
      "what must survive a restart: the instance's identity, the embedded Redis' data, the logs of cache nodes") \
    X(PLATOON, "libexec_dir", PATH, "", 0, 0, MASTER, \
      "where the worker programs are; empty: beside the platoon program") \
    X(PLATOON, "log_level", CHOICE, "info", 0, 0, LIVE, \
      "least important line that is logged (error|warn|info|debug)") \
    X(PLATOON, "log_format", CHOICE, "text", 0, 0, LIVE, "form of log lines (text|json)") \
    X(PLATOON, "log_to", CHOICE, "stderr", 0, 0, LIVE, "where log lines go (stderr|file|syslog|journal)") \
    X(PLATOON, "log_path", PATH, "", 0, 0, LIVE, \
      "file: where it is, empty: platoon.log in state_dir; syslog, journal: another socket than /dev/log, " \
      "/run/systemd/journal/socket") \
    X(PLATOON, "log_rotate_size", SIZE, "64MB", 0, 1099511627776, LIVE, \
      "file: size at which it becomes FILE.1, and FILE.1 becomes FILE.2; 0: never") \
    X(PLATOON, "log_rotate_age", SPAN, "0s", 0, 31536000000, LIVE, "file: age at which it does; 0s: never") \
    X(PLATOON, "log_keep", INT, "5", 0, 1000, LIVE, "file: how many old ones are kept") \
    X(PLATOON, "strategy", CHOICE, "one_for_one", 0, 0, LIVE, \
      "who is restarted when a child of the root, of redis/ or of transfer/ dies " \
      "(one_for_one|one_for_all|rest_for_one)") \
    X(PLATOON, "intensity", INT, "10", 1, 1000, LIVE, \
      "restarts within `period` after which a branch gives up and its parent restarts it whole") \
    X(PLATOON, "period", SPAN, "30s", 1000, 86400000, LIVE, "window for `intensity`") \
    X(PLATOON, "backoff_min", SPAN, "100ms", 1, 60000, LIVE, \
      "first pause before a restart; a worker that had run stably is replaced without one") \
    X(PLATOON, "backoff_factor", INT, "2", 1, 10, LIVE, "growth of the pause's ceiling with each death in a row") \
    X(PLATOON, "backoff_max", SPAN, "30s", 10, 3600000, LIVE, \
      "longest pause before a restart; platoon never stops trying") \
    X(PLATOON, "stable_after", SPAN, "10s", 100, 3600000, LIVE, \
      "time in READY after which the pause starts from backoff_min again") \
    X(PLATOON, "on_fatal", CHOICE, "retry", 0, 0, LIVE, \
      "when restarting the whole tree does not help either: wait backoff_max and try again, or end with exit " \
      "code 1 (retry|exit)") \
    X(PLATOON, "ready_timeout", SPAN, "30s", 100, 3600000, LIVE, "time a worker may take from its start to READY") \
    X(PLATOON, "hang_timeout", SPAN, "30s", 5000, 3600000, LIVE, \
      "silence after which a worker counts as hung and is killed") \
    X(PLATOON, "stop_timeout", SPAN, "10s", 100, 3600000, LIVE, \
      "time a worker may take to finish what is in flight") \
    X(PLATOON, "crash_reports", INT, "5", 0, 1000, LIVE, \
      "reports kept of each worker that ended abnormally, in state_dir/crashes") \
    X(PLATOON, "worker_memory_max", SIZE, "", 16777216, 1099511627776, RESTART, \
      "memory of each worker of platoon's own types, kept as a program's memory_max; empty: no limit") \
    X(PLATOON, "worker_memory_restart", SIZE, "", 16777216, 1099511627776, RESTART, \
      "resident memory above which such a worker ends and is started again; empty: any") \
    X(PLATOON, "worker_files_max", INT, "", 64, 1048576, RESTART, "open files of each; empty: as the master") \
    X(PLATOON, "worker_core_max", SIZE, "", 0, 1099511627776, RESTART, \
      "largest core file of each; empty: as the master") \
    X(PLATOON, "worker_nice", INT, "0", 0, 19, RESTART, "lower priority of each: 0 to 19, the lowest") \
    X(PLATOON, "worker_no_new_privs", BOOL, "false", 0, 0, RESTART, "none of them may gain rights (set-user-id)") \
    X(STORE, "type", CHOICE, "sqlite", 0, 0, RESTART, \
      "back-end: of records sqlite, postgres or count, which keeps nothing, for measuring; of objects file or s3 " \
      "(sqlite|postgres|count|file|s3)") \
    X(STORE, "path", PATH, "", 0, 0, RESTART, "sqlite: database file; file: directory, which must be there") \
    X(STORE, "cache", SIZE, "8MB", 1048576, 17179869184, RESTART, "sqlite: page cache of the merging") \
    X(STORE, "url", STRING, "", 0, 0, RESTART, \
      "postgres: postgresql://[user@]host[:port]/db[?sslmode=verify-full&passfile=…]; s3: " \
      "http(s)://ENDPOINT/BUCKET[/PREFIX]; never a password") \
    X(STORE, "table", STRING, "records", 0, 0, RESTART, "postgres: table, or schema.table; made when it is missing") \
    X(STORE, "region", STRING, "us-east-1", 0, 0, RESTART, "s3: region that requests are signed for") \
    X(STORE, "credentials_file", PATH, "", 0, 0, RESTART, \
      "s3: file with aws_access_key_id and aws_secret_access_key in [default], as ~/.aws/credentials; others must " \
      "not be able to read it; read anew when the server refuses it") \
    X(STORE, "style", CHOICE, "path", 0, 0, RESTART, \
      "s3: where requests name the bucket: behind the endpoint, or in front of it (path|host)") \
    X(STORE, "conditional", BOOL, "true", 0, 0, RESTART, \
      "s3: the server must keep If-Match and If-None-Match; false, for one that does not: an older version may then " \
      "overwrite a newer one when several write") \
    X(STORE, "timeout", SPAN, "60s", 1000, 3600000, RESTART, \
      "postgres: time a statement may take; without an answer for half of that again its connection is given up, " \
      "and the batch tried again; file, s3: time one request may take") \
    X(STORE, "retry_max", SPAN, "2s", 10, 600000, RESTART, \
      "longest pause before what has failed is tried again")

#define CORE_LATER(X) \
    X("store.region") \
    X("store.credentials_file") \
    X("store.style") \
    X("store.conditional")

#define CORE_PREFLIGHTS(X) \
    X(PLATOON, log) \
    X(PLATOON, worker_memory) \
    X(STORE, store)

#define CORE_CHECKS(X) \
    X(PLATOON, platoon) \
    X(STORE, store)

#define CORE_SETTINGS(X) \
    X("platoon.instance") \
    X("platoon.boot") \
    X("platoon.cgroup") \
    X("limits.")

#define CORE_MESSAGES(X) \
    X(8, REPLY, reply, "send to any worker: the reply to a one-off Redis command") \
    X(9, JSON, json, "anybody to any worker: a JSON value in the worker's own words") \
    X(10, CALL, call, "anybody to any worker: a question in JSON") \
    X(11, ANSWER, answer, "any worker to who asked: the answer to a CALL") \
    X(12, LINKED, linked, "anybody to any worker: when you die, I die; with yours to me, the other way round too") \
    X(13, ASK, ask, "worker to any worker: a request, as platoonctl ask makes it") \
    X(14, SAID, said, "any worker to who asked: the answer to an ASK")

#define MESSAGE_FIELDS_REPLY(F) \
    F(str, command, "name of the Redis command") \
    F(u64, is_error, "1 when Redis answered with an error") \
    F(raw, reply, "the reply: nil, int, bin, str (status or error), array of these")

#define MESSAGE_FIELDS_JSON(F) F(str, text, "one JSON value")

#define MESSAGE_FIELDS_CALL(F) \
    F(u64, token, "names the answer; unique within the sender's incarnation") \
    F(str, text, "one JSON value")

#define MESSAGE_FIELDS_ANSWER(F) \
    F(u64, token, "of the CALL") \
    F(u64, failed, "1 when `text` is the reason why there is no answer") \
    F(str, text, "one JSON value")

#define MESSAGE_FIELDS_ASK(F) \
    F(u64, token, "names the answer; unique within the sender's incarnation") \
    F(u64, deadline_ms, "milliseconds left until the sender gives up") \
    F(str, verb, "what is asked, in the words of the worker type") \
    F(raw, args, "array of bin: the arguments")

#define MESSAGE_FIELDS_SAID(F) \
    F(u64, token, "of the ASK") \
    F(u64, status, "as of the control socket") \
    F(raw, body, "one msgpack value; of another status than 0 a text")

#define MESSAGE_FIELDS_LINKED(F) F(u64, since_ms, "clock_mono_ms of the sender, for the log")

#define CORE_VERBS(X) \
    X(TREE, tree, "tree", 0, 0, ANSWER, LOOK, "tree", "draw the tree of workers and what each does now") \
    X(TOP, top, "top", 0, 5, ANSWER, LOOK, "top [NAME] [-n 0] [--every 1s]", \
      "what each worker uses and does, live; keys to sort, filter and act") \
    X(STATUS, status, "status", 0, 1, ANSWER, LOOK, "status [NAME]", "one line a worker, or everything about NAME") \
    X(LOGS, logs, "logs", 0, 4, ANSWER, LOOK, "logs [NAME] [-n 50] [-f]", \
      "the last log lines of a worker or branch; -f goes on") \
    X(WATCH, watch, "watch", 0, 1, ANSWER, LOOK, "watch [NAME]", \
      "each move of a worker between states, as it happens, as JSON lines") \
    X(GRAPH, graph, "graph", 0, 0, ANSWER, LOOK, "graph", \
      "the tree and who sends what to whom, as DOT for graphviz") \
    X(TRACE, trace, "trace", 1, 6, ANSWER, LOOK, "trace NAME [--payload] [--sample 1] [-n 0]", \
      "the messages a worker gets and sends, as they come") \
    X(CRASHES, crashes, "crashes", 0, 1, ANSWER, LOOK, "crashes [NAME]", \
      "abnormal ends of workers; of a NAME the newest report in full") \
    X(CHECK, check, "check", 1, 1, ANSWER, LOOK, "check FILE", "say what is wrong with a configuration file") \
    X(VERSION, version, "version", 0, 0, ANSWER, LOOK, "version", "print the versions of tool and master") \
    X(START, start, "start", 1, 1, ACT, ACT, "start NAME", "start a worker or a branch, and wait until it is ready") \
    X(STOP, stop, "stop", 1, 1, ACT, ACT, "stop NAME", "stop a worker or a branch, in order") \
    X(RESTART, restart, "restart", 1, 2, ACT, ACT, "restart NAME [--rolling]", \
      "stop, then start; --rolling: one at a time, each ready before the next goes") \
    X(RELOAD, reload, "reload", 0, 1, ACT, ACT, "reload [--dry-run]", \
      "read the configuration again and start, stop, restart what changed") \
    X(SCALE, scale, "scale", 2, 3, ACT, ACT, "scale POOL COUNT [--dry-run]", \
      "another number of workers, until the next reload") \
    X(LEVEL, level, "level", 2, 2, ANSWER, ACT, "level NAME error|warn|info|debug", \
      "how much a worker or branch logs, until the next reload") \
    X(SIGNAL, signal, "signal", 2, 2, ANSWER, ACT, "signal NAME SIGNAL", \
      "send a worker's program a signal: HUP, USR1, 15") \
    X(SEND, send, "send", 2, 2, ANSWER, ACT, "send NAME JSON", "give a worker a message") \
    X(WAIT, wait, "wait", 1, 2, WAIT, WAIT, "wait [NAME] ready|stopped", \
      "wait until all of NAME, else every worker, is ready or stopped") \
    X(UPGRADE, upgrade, "upgrade", 0, 0, ACT, ACT, "upgrade", \
      "go over to the platoon that is installed now; every worker runs on") \
    X(SHUTDOWN, shutdown, "shutdown", 0, 0, ACT, ACT, "shutdown", "stop everything in order and end the master")

#define CORE_COUNTERS(X) \
    X(MESSAGES_IN, "messages_in_total", COUNTER, "messages received through the mailbox") \
    X(MESSAGES_OUT, "messages_out_total", COUNTER, "messages sent to mailboxes") \
    X(MESSAGES_STALE, "messages_stale_total", COUNTER, "messages of an older generation, dropped") \
    X(MESSAGES_REJECTED, "messages_rejected_total", COUNTER, "frames or messages that could not be read") \
    X(REQUESTS, "requests_total", COUNTER, "control requests answered") \
    X(IN_FLIGHT, "in_flight", GAUGE, "claims or records taken and not yet settled") \
    X(MAILBOX_DEPTH, "mailbox_depth", GAUGE, "most frames found waiting in the mailbox at once, in the last second") \
    X(MAILBOX_WAIT, "mailbox_wait", GAUGE, \
      "longest that a frame has waited in the mailbox, in the last second, in milliseconds")
/* clang-format on */

#endif
