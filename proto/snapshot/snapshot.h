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
      "one file of a snapshot, with all its versions")

#define SNAPSHOT_KEYS(X) \
    X(SNAPSHOT, "path", PATH, "", 0, 0, RESTART, \
      "the repository, which is made when it is not there; empty: NAME.git in state_dir") \
    X(SNAPSHOT, "branch", STRING, "main", 0, 0, RESTART, "the branch that its versions are commits of") \
    X(SNAPSHOT, "fsync", BOOL, "true", 0, 0, RESTART, \
      "an accepted version is on the disk; false: it may be lost with the machine, though not with a process") \
    X(SNAPSHOT, "log_level", CHOICE, "", 0, 0, LIVE, \
      "least important line that it logs; empty: as in platoon (error|warn|info|debug)") \
    X(RESOURCE, "snapshot", SECTION, "", CONFIG_SNAPSHOT, 0, RESTART, \
      "the snapshot it is of; empty: the only one there is") \
    X(RESOURCE, "path", STRING, "", 0, 0, RESTART, "its file in the repository; empty: its name") \
    X(RESOURCE, "size_min", SIZE, "1", 0, 20971520, RESTART, "fewer bytes are no version: they are refused") \
    X(RESOURCE, "size_max", SIZE, "16MB", 1, 20971520, RESTART, "and so are more")

#define SNAPSHOT_CHECKS(X) \
    X(SNAPSHOT, snapshot) \
    X(RESOURCE, resource)

#define SNAPSHOT_TYPES(X) \
    X(SNAPSHOT, "snapshot", SNAPSHOT, ALWAYS, ITSELF, "snapshot/%s/store", "", \
      "writes the versions of a snapshot's resources, and answers for them")

#define SNAPSHOT_EXTRAS(X) \
    X(SNAPSHOT, snapshot)

#define SNAPSHOT_SETTINGS(X) \
    X("resources.")

#define SNAPSHOT_VERBS(X) \
    X(SNAPSHOT_LIST, snapshot_list, "snapshot list", 0, 1, ANSWER, LOOK, "snapshot list [STORE]", \
      "resources, and the newest version of each") \
    X(SNAPSHOT_LOG, snapshot_log, "snapshot log", 1, VERB_MANY, ANSWER, LOOK, \
      "snapshot log R [--limit 20] [--before SEQ]", "versions of a resource, the newest first") \
    X(SNAPSHOT_GET, snapshot_get, "snapshot get", 1, 1, ANSWER, LOOK, "snapshot get R[@VERSION]", \
      "bytes of a version: of the newest, a commit's, a time's (2h: two hours ago)") \
    X(SNAPSHOT_DIFF, snapshot_diff, "snapshot diff", 2, 3, ANSWER, LOOK, "snapshot diff R FROM [TO]", \
      "what has changed between two versions, as diff -u says it") \
    X(SNAPSHOT_PUT, snapshot_put, "snapshot put", 1, VERB_MANY, ANSWER, ACT, \
      "snapshot put R [FILE|-] [--if BLOB]", "a new version, from a file or the standard input")

#define SNAPSHOT_ASKS(X) \
    X("snapshot", "snapshot-list", LOOK, "", \
      "array of map {store, resource, path, source, state, error, seq, commit, blob, size, time}; nil: there is none") \
    X("snapshot", "snapshot-log", LOOK, "RESOURCE LIMIT BEFORE", \
      "array of map {seq, commit, blob, size, time, source, by}; BEFORE 0: from the newest on") \
    X("snapshot", "snapshot-get", LOOK, "RESOURCE VERSION OFFSET", \
      "map {seq, commit, blob, size, time, bytes bin}: a piece; VERSION empty: the newest") \
    X("snapshot", "snapshot-diff", LOOK, "RESOURCE FROM TO", "str; TO empty: the newest") \
    X("snapshot", "snapshot-put", ACT, "RESOURCE UPLOAD OFFSET SIZE BLOB BY BYTES", \
      "map {have} for a piece; for the last one map {changed, seq, commit, blob}")

#define SNAPSHOT_COUNTERS(X) \
    X(SNAPSHOT_COMMITS, "snapshot_commits_total", COUNTER, "versions that were accepted") \
    X(SNAPSHOT_UNCHANGED, "snapshot_unchanged_total", COUNTER, "bytes that were those of the newest version already") \
    X(SNAPSHOT_REFUSED, "snapshot_refused_total", COUNTER, "versions that were refused, or could not be written") \
    X(SNAPSHOT_SEQ, "snapshot_seq", GAUGE, "number of the newest version of all resources")
/* clang-format on */

#endif
