/*
 * drain.h: the lists of the drain: from a set of tracking keys in Redis into a store (DRAIN.md).
 *
 * What the columns of each list mean: proto/systems.h.
 */
#ifndef PROTO_DRAIN_DRAIN_H
#define PROTO_DRAIN_DRAIN_H

/* clang-format off */
#define DRAIN_SECTIONS(X) \
    X(DRAIN, "drain", GROUP, \
      "drain visits { set = \"tracking:pending\"  store = visits  key = \"{app}/{session}/{event}\" }", \
      "a set of tracking keys that is drained into a store")

#define DRAIN_KEYS(X) \
    X(DRAIN, "redis", SECTION, "main", CONFIG_REDIS, 0, RESTART, "the redis section to drain") \
    X(DRAIN, "set", STRING, "!", 0, 0, RESTART, "key of the set of tracking keys") \
    X(DRAIN, "store", SECTION, "!", CONFIG_STORE, 0, RESTART, "the store section records go to") \
    X(DRAIN, "bucket", STRING, "", 0, 0, RESTART, "template of a record's bucket; empty: the drain's name") \
    X(DRAIN, "key", STRING, "{member}", 0, 0, RESTART, \
      "template of a record's key: {field}, {field|default}, {member}") \
    X(DRAIN, "key_service", STRING, "", 0, 0, RESTART, \
      "http(s) url that answers {\"bucket\":…,\"key\":…} for the url-encoded fields (GET with a query, POST " \
      "above 2000 bytes); replaces the templates") \
    X(DRAIN, "key_service_timeout", SPAN, "2s", 10, 60000, RESTART, "time one answer of the key service may take") \
    X(DRAIN, "key_service_retries", INT, "3", 0, 100, RESTART, \
      "further tries before a record is given up (the service answers for others) or waits (it does not)") \
    X(DRAIN, "consume", CHOICE, "take", 0, 0, RESTART, \
      "the hash is moved aside and deleted once stored, or stays (take|keep)") \
    X(DRAIN, "batch", INT, "500", 1, 5000, RESTART, "members in one claim") \
    X(DRAIN, "claims_max", INT, "64", 1, 1000, RESTART, "claims in flight at once") \
    X(DRAIN, "lease", SPAN, "30s", 1000, 86400000, RESTART, \
      "time after which a claim of a vanished host is handed out again") \
    X(DRAIN, "max_attempts", INT, "5", 1, 100, RESTART, \
      "hand-outs after which a lone member goes to the dead letters") \
    X(DRAIN, "missing_retry", SPAN, "300ms", 10, 60000, RESTART, \
      "pause before a member without a hash is looked at again") \
    X(DRAIN, "poll_min", SPAN, "5ms", 1, 10000, RESTART, "shortest pause between looks at the set") \
    X(DRAIN, "poll_max", SPAN, "500ms", 10, 60000, RESTART, "longest pause between looks at an empty set") \
    X(DRAIN, "record_max", SIZE, "16MB", 1024, 20971520, RESTART, "largest record; a larger one is a dead letter") \
    X(DRAIN, "strategy", CHOICE, "one_for_one", 0, 0, LIVE, \
      "who is restarted when a worker of the drain dies (one_for_one|one_for_all|rest_for_one)") \
    X(DRAIN, "intensity", INT, "20", 1, 1000, LIVE, \
      "restarts within `period` after which the drain's branch is restarted whole") \
    X(DRAIN, "period", SPAN, "30s", 1000, 86400000, LIVE, "window for `intensity`") \
    X(DRAIN, "get_hash.workers", INT, "2", 1, 256, LIVE, "get-hash workers") \
    X(DRAIN, "get_hash.claims", INT, "16", 1, 64, RESTART, "claims a get-hash works at once") \
    X(DRAIN, "get_hash.window", SIZE, "8MB", 65536, 1073741824, RESTART, \
      "bytes a get-hash may have at a transfer that are not yet stored") \
    X(DRAIN, "transfer.workers", INT, "1", 1, 64, LIVE, "transfer workers") \
    X(DRAIN, "transfer.batch", INT, "5000", 1, 100000, RESTART, "most records in one transaction") \
    X(DRAIN, "transfer.linger", SPAN, "5ms", 0, 10000, RESTART, "time a transaction waits to fill up") \
    X(DRAIN, "log_level", CHOICE, "", 0, 0, LIVE, \
      "least important line that its workers log; empty: as in platoon (error|warn|info|debug)") \
    X(JOBS, "history", SECTION, "", CONFIG_DRAIN, 0, RESTART, \
      "the drain section whose set is given a hash of each job that has ended; empty: none")

#define DRAIN_CHECKS(X) \
    X(DRAIN, drain) \
    X(JOBS, history)

#define DRAIN_TYPES(X) \
    X(WATCHER, "watcher", DRAIN, ALWAYS, ITSELF, "redis/%s/watcher", "1", \
      "notices members in the set, keeps the ledger's clock and the dead letters") \
    X(GET_SET, "get-set", DRAIN, ALWAYS, ITSELF, "redis/%s/get-set", "1", "claims batches of members") \
    X(GET_HASH, "get-hash", DRAIN, ALWAYS, ITSELF, "redis/%s/get-hash", "get_hash.workers", \
      "fetches a claim's hashes, hands them to transfer, acknowledges") \
    X(TRANSFER, "transfer", DRAIN, ALWAYS, ITSELF, "transfer/%s", "transfer.workers", \
      "stores records durably; knows nothing of Redis") \
    X(REPORT, "report", DRAIN, ONCE, ITSELF, "transfer/report", "", "answers questions about what is stored")

#define DRAIN_EXTRAS(X) \
    X(REPORT, report)

#define DRAIN_MESSAGES(X) \
    X(1, WORK, work, "watcher to get-set: there is work; claim this many batches in all") \
    X(2, CLAIMED, claimed, "get-set to watcher: how far I am") \
    X(3, CREDIT, credit, "get-hash to get-set: you may have handed me this many claims in all") \
    X(4, CLAIM, claim, "get-set to get-hash: a claim to work") \
    X(5, DONE, done, "get-hash to get-set: a claim has left my hands") \
    X(6, RECORDS, records, "get-hash to transfer: store these") \
    X(7, STORED, stored, "transfer to get-hash: those are durable, or refused for good")

#define MESSAGE_FIELDS_WORK(F) \
    F(u64, claims_total, "claims this get-set may have made since this watcher met it") \
    F(u64, pending, "members seen in the set")

#define MESSAGE_FIELDS_CLAIMED(F) \
    F(u64, claims_total, "claims made since it met this watcher") \
    F(u64, pending, "members left in the set after the last claim") \
    F(u64, in_flight, "claims handed out and not yet done") \
    F(u64, idle, "1 when the last try found neither members nor claims to hand out again")

#define MESSAGE_FIELDS_CREDIT(F) \
    F(u64, claims_total, "claims this get-set may have sent since this get-hash met it")

#define MESSAGE_FIELDS_CLAIM(F) \
    F(str, id, "the claim's id in the ledger") \
    F(u64, attempt, "1 for the first hand-out") \
    F(bin, members, "as the claim script packed them: array of [seq, member, state] (redis/ledger.h)")

#define MESSAGE_FIELDS_DONE(F) \
    F(str, id, "the claim's id") \
    F(u64, stored, "records of it that became durable") \
    F(u64, dead, "members of it that went to the dead letters") \
    F(u64, given_back, "1 when the claim went back to the ledger instead of being acknowledged")

#define MESSAGE_FIELDS_RECORDS(F) \
    F(u64, token, "names the answer; unique within the sender's incarnation") \
    F(u64, count, "records in `records`") \
    F(bin, records, "that many arrays [seq, member bin, n, field bin, value bin, ... n pairs]")

#define MESSAGE_FIELDS_STORED(F) \
    F(u64, token, "of the RECORDS message") \
    F(raw, refused, "array of [seq, reason str] for records that can never be stored; else empty")

#define DRAIN_VERBS(X) \
    X(DRAIN_STATUS, drain_status, "drain status", 0, 1, ANSWER, LOOK, "drain status [NAME]", \
      "how far each drain is") \
    X(REPORT, report, "report", 1, VERB_MANY, ANSWER, LOOK, \
      "report NAME [--by FIELD] [--since 1h] [--every 1m] [--top 10] [--time FIELD] [--csv]", \
      "count the records of a drain's store by a field and over time") \
    X(DRAIN_DEAD, drain_dead, "drain dead", 1, VERB_MANY, ANSWER, ACT, \
      "drain dead NAME [list|show|retry|drop] [SEQ...|all]", \
      "the dead letters of a drain: list, show, try again, throw away") \
    X(DRAIN_WAIT, drain_wait, "drain wait", 1, 1, WAIT, WAIT, "drain wait NAME", \
      "wait until nothing is pending or claimed")

#define DRAIN_ASKS(X) \
    X("watcher", "drain-status", LOOK, "", \
      "map {name, pending, claimed, stored, redelivered, dead, oldest_claim_ms, rate_per_s, claims}") \
    X("watcher", "dead-list", LOOK, "[LIMIT]", \
      "array of map {seq, member bin, reason, attempts, at_ms}; member_bytes: its length, where it is cut") \
    X("watcher", "dead-show", LOOK, "SEQ...", \
      "array of the same with `fields` (array of [bin, bin]), or `value` bin for what is no hash; 1 MB in all: a " \
      "value that is cut, or nil, is followed by its bytes; fields_total and value_bytes say how much there is") \
    X("watcher", "dead-retry", ACT, "SEQ...|all", "map {count}: they are tried again") \
    X("watcher", "dead-drop", ACT, "SEQ...|all", "map {count}: they are gone") \
    X("report", "report", LOOK, "DRAIN BY SINCE_MS EVERY_MS TOP TIME_FIELD", \
      "map {total, by, values: array of [value str or nil, count], every_ms, times: array of [time_ms, count]}; " \
      "each argument may be empty")

#define DRAIN_COUNTERS(X) \
    X(CLAIMS, "claims_total", COUNTER, "claims made or handed out again") \
    X(REDELIVERED, "redelivered_total", COUNTER, "claims handed out again") \
    X(CLAIMED_MEMBERS, "claimed_members_total", COUNTER, "members claimed") \
    X(FETCHED, "fetched_total", COUNTER, "hashes fetched") \
    X(STORED, "stored_total", COUNTER, "records made durable") \
    X(DEAD, "dead_total", COUNTER, "members sent to the dead letters") \
    X(BATCHES, "batches_total", COUNTER, "store transactions committed") \
    X(STORE_ERRORS, "store_errors_total", COUNTER, "store transactions that failed and are tried again") \
    X(BYTES, "bytes_total", COUNTER, "bytes of records handled") \
    X(PENDING, "pending", GAUGE, "members waiting in the set") \
    X(POLLS, "polls", GAUGE, "1 when Redis refuses a drain the channel that tells of new members")

/*
 * With wrong words HINCRBY and HSET are refused after their right was looked at, and before anything is done. SADD has
 * no such words, so that $ is there for a moment: as the memory of members that were taken is, which ends by itself. It
 * is the last but those that end it. On the set it is tried by claim.lua, which has a member to try it with.
 */
#define DRAIN_RIGHTS(X) \
    X(DRAIN, "EVALSHA", NEEDED, "0000000000000000000000000000000000000000 0") \
    X(DRAIN, "EVAL", NEEDED, "return(1) 0") \
    X(DRAIN, "SCRIPT LOAD", OPTIONAL, "") \
    X(DRAIN, "PING", OPTIONAL, "") \
    X(DRAIN, "ROLE", OPTIONAL, "") \
    X(DRAIN, "INFO", OPTIONAL, "") \
    X(DRAIN, "CONFIG GET", SPARE, "") \
    X(DRAIN, "SELECT", NEEDED, "-") \
    X(DRAIN, "SUBSCRIBE", OPTIONAL, "") \
    X(DRAIN, "MEMORY USAGE", OPTIONAL, "") \
    X(DRAIN, "OBJECT ENCODING", OPTIONAL, "") \
    X(DRAIN, "HSCAN", OPTIONAL, "") \
    X(DRAIN, "HRANDFIELD", NEWER, "") \
    X(DRAIN, "HPERSIST", NEWER, "") \
    X(DRAIN, "TIME", NEEDED, "") \
    X(DRAIN, "TYPE", NEEDED, "$") \
    X(DRAIN, "EXISTS", NEEDED, "$") \
    X(DRAIN, "PERSIST", NEEDED, "$") \
    X(DRAIN, "RENAME", NEEDED, "$ $") \
    X(DRAIN, "GET", NEEDED, "$") \
    X(DRAIN, "SET", NEEDED, "$ 1 XX") \
    X(DRAIN, "GETRANGE", NEEDED, "$ 0 0") \
    X(DRAIN, "STRLEN", NEEDED, "$") \
    X(DRAIN, "HDEL", NEEDED, "$ 1") \
    X(DRAIN, "HGET", NEEDED, "$ 1") \
    X(DRAIN, "HGETALL", NEEDED, "$") \
    X(DRAIN, "HINCRBY", NEEDED, "$ 1 x") \
    X(DRAIN, "HLEN", NEEDED, "$") \
    X(DRAIN, "HMGET", NEEDED, "$ 1") \
    X(DRAIN, "HSET", NEEDED, "$ 1 1 x") \
    X(DRAIN, "HSTRLEN", NEEDED, "$ 1") \
    X(DRAIN, "LLEN", NEEDED, "$") \
    X(DRAIN, "LRANGE", NEEDED, "$ 0 0") \
    X(DRAIN, "ZADD", NEEDED, "$ XX 0 1") \
    X(DRAIN, "ZCARD", NEEDED, "$") \
    X(DRAIN, "ZRANGE", NEEDED, "$ 0 0") \
    X(DRAIN, "ZRANGEBYSCORE", NEEDED, "$ 0 0") \
    X(DRAIN, "ZREM", NEEDED, "$ 1") \
    X(DRAIN, "ZSCORE", NEEDED, "$ 1") \
    X(DRAIN, "SCARD", NEEDED, "@") \
    X(DRAIN, "SISMEMBER", NEEDED, "$ 1") \
    X(DRAIN, "SPOP", NEEDED, "@ 0") \
    X(DRAIN, "SRANDMEMBER", NEEDED, "@") \
    X(DRAIN, "SADD", NEEDED, "$ 1") \
    X(DRAIN, "PEXPIRE", NEEDED, "$ 1") \
    X(DRAIN, "UNLINK", NEEDED, "$")

#define DRAIN_WARNINGS(X) \
    X(POLLS, \
      "it polls its set, because this Redis refuses it the channel that tells of new members: with subscribe and " \
      "&__keyspace@N__:SET in its user's ACL (RIGHTS IN REDIS in platoon.conf(5)) it would see them sooner; nothing " \
      "is lost")

#define DRAIN_SCRIPTS(X) \
    X(CLAIM, drain_claim, "drain/claim.lua", "redis/call.lua drain/lib.lua") \
    X(TAKE, drain_take, "drain/take.lua", "redis/call.lua drain/lib.lua") \
    X(RENEW, drain_renew, "drain/renew.lua", "redis/call.lua drain/lib.lua") \
    X(ACK, drain_ack, "drain/ack.lua", "redis/call.lua drain/lib.lua") \
    X(DEAD, drain_dead, "drain/dead.lua", "redis/call.lua drain/lib.lua") \
    X(LOOK, drain_look, "drain/look.lua", "redis/call.lua drain/lib.lua") \
    X(SPLIT, drain_split, "drain/split.lua", "redis/call.lua drain/lib.lua") \
    X(RELEASE, drain_release, "drain/release.lua", "redis/call.lua drain/lib.lua") \
    X(ORPHANS, drain_orphans, "drain/orphans.lua", "redis/call.lua drain/lib.lua") \
    X(RECOVER, drain_recover, "drain/recover.lua", "redis/call.lua drain/lib.lua") \
    X(SIGN, drain_sign, "drain/sign.lua", "redis/call.lua drain/lib.lua") \
    X(STATUS, drain_status, "drain/status.lua", "redis/call.lua drain/lib.lua") \
    X(DEAD_LIST, drain_dead_list, "drain/dead_list.lua", "redis/call.lua drain/lib.lua drain/letters.lua") \
    X(DEAD_SHOW, drain_dead_show, "drain/dead_show.lua", "redis/call.lua drain/lib.lua drain/letters.lua") \
    X(DEAD_RETRY, drain_dead_retry, "drain/dead_retry.lua", "redis/call.lua drain/lib.lua") \
    X(DEAD_DROP, drain_dead_drop, "drain/dead_drop.lua", "redis/call.lua drain/lib.lua")
/* clang-format on */

#endif
