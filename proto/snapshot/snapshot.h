/*
 * snapshot.h: the lists of the snapshots: versions of data in git repositories, with their provenance.
 *
 * What the columns of each list mean: proto/systems.h. What is in a repository, and what is promised: SNAPSHOT.md.
 */
#ifndef PROTO_SNAPSHOT_SNAPSHOT_H
#define PROTO_SNAPSHOT_SNAPSHOT_H

/* clang-format off */
#define SNAPSHOT_SECTIONS(X) \
    X(SNAPSHOT, "snapshot", TITLED, "snapshot plan { path = plan.git }", \
      "a git repository, which platoon alone writes: each change of one of its resources is a commit") \
    X(RESOURCE, "resource", TITLED, "resource holidays { snapshot = plan  path = holidays.tsv }", \
      "one file of a snapshot, with all its versions") \
    X(WEB, "web", SINGLE, "web { listen = \"127.0.0.1:9180\" }", \
      "snapshots over HTTP, and each change in the browser")

#define SNAPSHOT_KEYS(X) \
    X(SNAPSHOT, "path", PATH, "", 0, 0, RESTART, \
      "the repository, which is made when it is not there; empty: NAME.git in state_dir") \
    X(SNAPSHOT, "branch", STRING, "main", 0, 0, RESTART, "the branch that its versions are commits of") \
    X(SNAPSHOT, "fsync", BOOL, "true", 0, 0, RESTART, \
      "an accepted version is on the disk; false: it may be lost with the machine, though not with a process") \
    X(SNAPSHOT, "strategy", CHOICE, "one_for_one", 0, 0, LIVE, \
      "who is restarted when a worker of the section dies (one_for_one|one_for_all|rest_for_one)") \
    X(SNAPSHOT, "intensity", INT, "20", 1, 1000, LIVE, \
      "restarts within `period` after which the section's branch is restarted whole") \
    X(SNAPSHOT, "period", SPAN, "30s", 1000, 86400000, LIVE, "window for `intensity`") \
    X(SNAPSHOT, "whatifs", INT, "1", 0, 16, RESTART, \
      "workers for what-ifs, so that no run waits for one; 0: nobody may ask what if") \
    X(SNAPSHOT, "public", PATH, "", 0, 0, RESTART, \
      "folder of pages, which web shows at /pages/NAME/; empty: none") \
    X(SNAPSHOT, "open", BOOL, "false", 0, 0, RESTART, "reading it over HTTP takes no token; web's token_file") \
    X(SNAPSHOT, "journal", SIZE, "8MB", 65536, 1073741824, RESTART, \
      "the last changes that web keeps, for readers who are slow or come again") \
    X(SNAPSHOT, "pack_after", INT, "1000", 1, 1000000, RESTART, "loose objects from which on git packs them") \
    X(SNAPSHOT, "keep", SPAN, "0s", 0, 315360000000, RESTART, \
      "older versions are cut off, but the newest of each resource; 0s: all are kept") \
    X(SNAPSHOT, "keep_daily", SPAN, "0s", 0, 315360000000, RESTART, \
      "so long the last version of each day (UTC) is kept besides, as the tag daily/DATE; 0s: none is") \
    X(SNAPSHOT, "mirror", STRING, "", 0, 0, RESTART, \
      "a git remote, to which changes are pushed, at most each 5s, and never forced; empty: none") \
    X(SNAPSHOT, "listen", STRING, "", 0, 0, RESTART, \
      "unix:/PATH, where stacked streams ask for versions and put them: write, half-close, read; empty: nowhere") \
    X(SNAPSHOT, "nanomsg", BOOL, "false", 0, 0, RESTART, \
      "the same over nanomsg, at runtime_dir/snapshot/NAME.rep, and each change at NAME.pub") \
    X(SNAPSHOT, "notify", STRING, "", 0, 0, RESTART, \
      "redis section in which each change is PUBLISHed, without its content, at platoon:{NAME}:changes; empty: none") \
    X(SNAPSHOT, "log_level", CHOICE, "", 0, 0, LIVE, \
      "least important line that it logs; empty: as in platoon (error|warn|info|debug)") \
    X(WEB, "listen", STRING, "", 0, 0, RESTART, \
      "where it listens: 127.0.0.1:9180, [::1]:9180 or unix:/run/platoon/web.sock; empty: nowhere") \
    X(WEB, "token_file", PATH, "", 0, 0, RESTART, \
      "who may read or act, of mode 0600: lines NAME read|act TOKEN; empty: whoever can connect may do everything") \
    X(WEB, "subscribers_max", INT, "10000", 1, 100000, RESTART, "readers of changes at once") \
    X(WEB, "log_level", CHOICE, "", 0, 0, LIVE, \
      "least important line that it logs; empty: as in platoon (error|warn|info|debug)") \
    X(RESOURCE, "snapshot", SECTION, "", CONFIG_SNAPSHOT, 0, RESTART, \
      "the snapshot it is of; empty: the only one there is") \
    X(RESOURCE, "path", STRING, "", 0, 0, RESTART, "its file in the repository; empty: its name") \
    X(RESOURCE, "type", STRING, "", 0, 0, RESTART, \
      "its Content-Type over HTTP, such as text/csv; charset=utf-8; empty: by its path's ending") \
    X(RESOURCE, "header", STRING, "", 0, 0, RESTART, \
      "what it is called where several are one stream (=====HEADER); empty: its name") \
    X(RESOURCE, "inputs", STRING, "", 0, 0, RESTART, \
      "resources of the same snapshot that it is made from, in the order in which command reads them") \
    X(RESOURCE, "command", STRING, "", 0, 0, RESTART, \
      "program that makes it, and its arguments: what it is made from on stdin, the version on stdout; quotes as " \
      "in program; empty: nobody makes it, it is put") \
    X(RESOURCE, "url", STRING, "", 0, 0, RESTART, \
      "pulled from there (http, https); with command that has it on stdin, and makes the version of it") \
    X(RESOURCE, "header_file", PATH, "", 0, 0, RESTART, \
      "file with header lines that url's server is sent, such as Authorization: …; nobody else may read it (0600)") \
    X(RESOURCE, "tls_ca_file", PATH, "", 0, 0, RESTART, \
      "certificates that may sign that of url's server; empty: the system's") \
    X(RESOURCE, "fresh", SPAN, "", 1000, 31622400000, RESTART, \
      "without a successful look for so long it is trouble (503 at /readyz); empty: any time will do") \
    X(RESOURCE, "every", SPAN, "", 1000, 31622400000, RESTART, \
      "made anew so often, at the same times whoever asks; whole seconds") \
    X(RESOURCE, "cron", STRING, "", 0, 0, RESTART, \
      "made anew at these times: minute hour day month weekday, or @daily and its like; by this machine's zone") \
    X(RESOURCE, "pause", SPAN, "0s", 0, 86400000, RESTART, "least time between two starts of its command") \
    X(RESOURCE, "timeout", SPAN, "60s", 100, 3600000, RESTART, \
      "longest run; then TERM, and KILL after stop_timeout") \
    X(RESOURCE, "stop_timeout", SPAN, "5s", 100, 600000, RESTART, "time between TERM and KILL") \
    X(RESOURCE, "retry_min", SPAN, "1s", 1, 86400000, RESTART, \
      "shortest pause before a run that failed is tried again") \
    X(RESOURCE, "retry_max", SPAN, "5m", 1, 86400000, RESTART, "and longest, which doubles up to that") \
    X(RESOURCE, "directory", PATH, "", 0, 0, RESTART, "working directory of command; empty: platoon's") \
    X(RESOURCE, "environment", STRING, "", CONFIG_MASKED, 0, RESTART, \
      "further variables of command: NAME=value, separated by blanks") \
    X(RESOURCE, "user", STRING, "", 0, 0, RESTART, \
      "command runs as this user, with its groups, HOME, USER and LOGNAME; platoon must be root then") \
    X(RESOURCE, "group", STRING, "", 0, 0, RESTART, "command runs with this group instead of the user's") \
    X(RESOURCE, "umask", STRING, "", 0, 0, RESTART, "octal mask for new files of command; empty: platoon's") \
    X(RESOURCE, "nice", INT, "0", 0, 19, RESTART, "lower priority of command: 0 to 19, the lowest") \
    X(RESOURCE, "memory_max", SIZE, "", 1048576, 1099511627776, RESTART, \
      "most memory of command, as for a program; empty: any") \
    X(RESOURCE, "files_max", INT, "", 3, 1048576, RESTART, \
      "open files of command; empty: as the master had at its start") \
    X(RESOURCE, "core_max", SIZE, "", 0, 1099511627776, RESTART, "its largest core file; empty: as the master has") \
    X(RESOURCE, "no_new_privs", BOOL, "false", 0, 0, RESTART, \
      "no program that command starts may gain rights (set-user-id)") \
    X(RESOURCE, "log_level", CHOICE, "", 0, 0, LIVE, \
      "least important line that its worker logs; empty: as its snapshot (error|warn|info|debug)") \
    X(RESOURCE, "size_min", SIZE, "1", 0, 20971520, RESTART, "fewer bytes are no version: they are refused") \
    X(RESOURCE, "size_max", SIZE, "16MB", 1, 20971520, RESTART, "and so are more")

#define SNAPSHOT_CHECKS(X) \
    X(SNAPSHOT, snapshot) \
    X(RESOURCE, resource) \
    X(WEB, web)

#define SNAPSHOT_TYPES(X) \
    X(SNAPSHOT, "snapshot", SNAPSHOT, ALWAYS, ITSELF, "snapshot/%s/store", "", \
      "writes the versions of a snapshot's resources, says what is to be made, and answers for them") \
    X(SNAPSHOT_KEEPER, "snapshot-keeper", SNAPSHOT, ALWAYS, ITSELF, "snapshot/%s/keeper", "", \
      "has git pack a snapshot's repository, cut off what is old, and push to its mirror") \
    X(GATE, "gate", SNAPSHOT, gate, ITSELF, "snapshot/%s/gate", "", \
      "answers stacked streams for a snapshot, and tells its changes over nanomsg and in Redis") \
    X(FILTER, "filter", RESOURCE, NEVER, ITSELF, "", "", "makes a resource's versions: runs its command") \
    X(PULL, "pull", RESOURCE, NEVER, ITSELF, "", "", "makes a resource's versions: pulls them from a url") \
    X(WEB, "web", WEB, web, ITSELF, "web", "", "answers for snapshots over HTTP, and tells readers each change")

#define SNAPSHOT_MESSAGES(X) \
    X(401, RUN, run, "store to filter: make a version") \
    X(402, WANT, want, "filter to store: the bytes of that input of the RUN") \
    X(403, INPUT, input, "store to filter: these") \
    X(404, RESULT, result, "filter to store: what has come of it") \
    X(450, FOLLOW, follow, "web, gate to store: tell me each version that is accepted") \
    X(451, CHANGED, changed, "store to web, gate: this was accepted; of no resource: look what there is")

#define MESSAGE_FIELDS_RUN(F) \
    F(u64, token, "of the run, unique within the store's incarnation") \
    F(str, resource, "of a what-if: which one is to be made; empty: the worker's own") \
    F(str, commit, "the newest one, which all inputs are from; empty: there is none") \
    F(raw, inputs, "array of map {name, header, size}, in the order of the section") \
    F(str, etag, "of the version that is there, as its server named it; empty: none") \
    F(str, modified, "likewise: Last-Modified")

#define MESSAGE_FIELDS_WANT(F) \
    F(u64, token, "of the RUN") \
    F(u64, number, "of the input: from 0 on")

#define MESSAGE_FIELDS_INPUT(F) \
    F(u64, token, "of the RUN") \
    F(u64, number, "of the input") \
    F(str, error, "why it cannot be read; else empty") \
    F(bin, bytes, "all of it")

#define MESSAGE_FIELDS_RESULT(F) \
    F(u64, token, "of the RUN") \
    F(u64, outcome, "0 these bytes, 1 unchanged, 2 failed") \
    F(str, error, "failed: why, one line") \
    F(bin, bytes, "the version") \
    F(u64, duration_ms, "how long it took") \
    F(bin, said, "the last of what it said on stderr, at most 16 KB") \
    F(u64, retry_ms, "failed: not to be tried again before so long; 0: as its section says") \
    F(str, etag, "as the server names this version; empty: it does not") \
    F(str, modified, "likewise: Last-Modified")

#define SNAPSHOT_PREFLIGHTS(X) \
    X(SNAPSHOT, snapshot) \
    X(RESOURCE, resource)

#define SNAPSHOT_BUILDS(X) \
    X(resources)

#define SNAPSHOT_EXTRAS(X) \
    X(SNAPSHOT, snapshot) \
    X(GATE, gate) \
    X(WEB, web)

#define SNAPSHOT_SETTINGS(X) \
    X("gate.store") \
    X("resources.") \
    X("steps.") \
    X("stores.") \
    X("served.")

#define MESSAGE_FIELDS_FOLLOW(F) F(u64, whole_max, "versions of so many bytes are to come with their change")

#define MESSAGE_FIELDS_CHANGED(F) \
    F(str, resource, "empty: look anew") \
    F(u64, seq, "of the version") \
    F(str, commit, "its id") \
    F(str, blob, "of its bytes") \
    F(u64, size, "bytes") \
    F(i64, time_s, "when it was accepted, since 1970") \
    F(u64, whole, "1: `bytes` are all of it; 0: snapshot-get has them") \
    F(bin, bytes, "of the version, or nothing")

#define SNAPSHOT_VERBS(X) \
    X(SNAPSHOT_LIST, snapshot_list, "snapshot list", 0, 1, ANSWER, LOOK, "snapshot list [STORE]", \
      "resources, and the newest version of each") \
    X(SNAPSHOT_LOG, snapshot_log, "snapshot log", 1, VERB_MANY, ANSWER, LOOK, \
      "snapshot log R [--limit 20] [--before SEQ]", "versions of a resource, the newest first") \
    X(SNAPSHOT_GET, snapshot_get, "snapshot get", 1, 1, ANSWER, LOOK, "snapshot get R[@VERSION]", \
      "bytes of a version: of the newest, a commit's, a time's (2h: two hours ago)") \
    X(SNAPSHOT_DIFF, snapshot_diff, "snapshot diff", 2, 3, ANSWER, LOOK, "snapshot diff R FROM [TO]", \
      "what has changed between two versions, as diff -u says it") \
    X(SNAPSHOT_SHOW, snapshot_show, "snapshot show", 1, 1, ANSWER, LOOK, "snapshot show R", \
      "a resource: its newest version, what that was made from, and its last run") \
    X(SNAPSHOT_RUN, snapshot_run, "snapshot run", 1, 1, WAIT, ACT, "snapshot run R", \
      "makes a resource anew, and waits for what comes of it") \
    X(SNAPSHOT_WHATIF, snapshot_whatif, "snapshot whatif", 1, VERB_MANY, WAIT, LOOK, \
      "snapshot whatif R --with NAME=FILE… [--at VERSION]", \
      "what a resource would be if others were these files; nothing changes") \
    X(SNAPSHOT_WAIT, snapshot_wait, "snapshot wait", 0, 1, WAIT, WAIT, "snapshot wait [STORE]", \
      "until no resource is due or running") \
    X(SNAPSHOT_WATCH, snapshot_watch, "snapshot watch", 0, VERB_MANY, ANSWER, LOOK, "snapshot watch [R...]", \
      "each version from now on, as JSON, one a line; until interrupted") \
    X(SNAPSHOT_PUT, snapshot_put, "snapshot put", 1, VERB_MANY, ANSWER, ACT, \
      "snapshot put R [FILE|-] [--if BLOB]", "a new version, from a file or the standard input") \
    X(SNAPSHOT_PACK, snapshot_pack, "snapshot pack", 0, 1, WAIT, ACT, "snapshot pack [STORE]", \
      "has git pack the repository now")

#define SNAPSHOT_GRAPHS(X) X(snapshot)

#define SNAPSHOT_ASKS(X) \
    X("snapshot", "snapshot-list", LOOK, "", \
      "array of map {store, resource, path, source, state, error, checked, next, seq, commit, blob, size, time}; " \
      "nil: there is none") \
    X("snapshot", "snapshot-log", LOOK, "RESOURCE LIMIT BEFORE", \
      "array of map {seq, commit, blob, size, time, source, by}; BEFORE 0: from the newest on") \
    X("snapshot", "snapshot-get", LOOK, "RESOURCE VERSION OFFSET", \
      "map {seq, commit, blob, size, time, time_s, bytes bin}: a piece; VERSION empty: the newest") \
    X("snapshot", "snapshot-diff", LOOK, "RESOURCE FROM TO", "str; TO empty: the newest") \
    X("snapshot", "snapshot-show", LOOK, "RESOURCE", \
      "map {resource: as of snapshot-list, inputs: array of map {resource, commit, blob}, last_run: nil or map {at, " \
      "result, error, duration_ms, stderr}}") \
    X("snapshot", "snapshot-run", ACT, "RESOURCE", "map {result, seq, commit, blob}, when it has been run") \
    X("snapshot", "snapshot-whatif-give", LOOK, "ID RESOURCE NAME OFFSET SIZE BYTES", \
      "map {have}: a piece of what NAME is to be in the what-if of RESOURCE") \
    X("snapshot", "snapshot-whatif", LOOK, "ID RESOURCE VERSION", \
      "map {base, size, bytes bin}: the first piece of what it would be; or, a step has failed, map {base, step, " \
      "error, stderr}") \
    X("snapshot", "snapshot-whatif-more", LOOK, "ID OFFSET", "map {bytes bin}: a further piece") \
    X("snapshot", "snapshot-wait", LOOK, "", \
      "array of map {resource, state, error} of what failed or is held, when nothing is due or running") \
    X("snapshot", "snapshot-put", ACT, "RESOURCE UPLOAD OFFSET SIZE BLOB BY BYTES", \
      "map {have} for a piece; for the last one map {changed, seq, commit, blob}") \
    X("snapshot-keeper", "snapshot-pack", ACT, "", "map {loose, packs, bytes}, when it is packed")

#define SNAPSHOT_COUNTERS(X) \
    X(SNAPSHOT_COMMITS, "snapshot_commits_total", COUNTER, "versions that were accepted") \
    X(SNAPSHOT_UNCHANGED, "snapshot_unchanged_total", COUNTER, "bytes that were those of the newest version already") \
    X(SNAPSHOT_FAILED_RUNS, "snapshot_failed_runs_total", COUNTER, "runs that made no version, and were no death") \
    X(SNAPSHOT_REFUSED, "snapshot_refused_total", COUNTER, "versions that were refused, or could not be written") \
    X(SNAPSHOT_WHATIFS, "snapshot_whatifs_total", COUNTER, "what-ifs that were begun") \
    X(WEB_EVENTS, "web_events_total", COUNTER, "events that readers were told") \
    X(WEB_RESYNCS, "web_resyncs_total", COUNTER, "times that a reader had fallen out, and was told the newest") \
    X(WEB_SUBSCRIBERS, "web_subscribers", GAUGE, "readers that are connected") \
    X(SNAPSHOT_SEQ, "snapshot_seq", GAUGE, "number of the newest version of all resources") \
    X(SNAPSHOT_HELD, "snapshot_held", GAUGE, "resources that wait for one that has failed") \
    X(SNAPSHOT_STORE_BYTES, "snapshot_store_bytes", GAUGE, "on the disk, of all objects") \
    X(SNAPSHOT_LOOSE, "snapshot_loose_objects", GAUGE, "objects that are in no pack yet") \
    X(SNAPSHOT_PACKS, "snapshot_packs", GAUGE, "packs of objects") \
    X(SNAPSHOT_MIRROR_LAG, "snapshot_mirror_lag", GAUGE, "versions that the mirror has not got yet")
/* clang-format on */

#endif
