/*
 * queue.h: the lists of the queues on plain Redis: sections, worker types, what they say, and their scripts.
 *
 * What the columns of each list mean: proto/systems.h. What is in Redis, what each script is for, and what is promised:
 * BACKBONE.md. The same scripts are functions of the library `platoon` (queue_script.h).
 */
#ifndef PROTO_QUEUE_QUEUE_H
#define PROTO_QUEUE_QUEUE_H

/* clang-format off */
#define QUEUE_SECTIONS(X) \
    X(BACKBONE, "backbone", TITLED, "backbone shop { namespace = shop  facet = \"{user_id}\" }", \
      "a Redis, and in it a namespace, where messages are delivered by topic and queued tenant by tenant") \
    X(QUEUE, "queue", TITLED, "queue google { pattern = \"page:.*google\"  lease = 60s }", \
      "a queue of a backbone, which its consumers take from")

#define QUEUE_KEYS(X) \
    X(BACKBONE, "redis", STRING, "main", 0, 0, RESTART, \
      "the redis section it lives in, or several, \"a b c\": a message goes to one that is up, all are taken from") \
    X(BACKBONE, "namespace", STRING, "", 0, 0, RESTART, \
      "what its keys begin with, before a colon; empty: nothing; {braces} put all of them into one slot of a cluster") \
    X(BACKBONE, "topic", STRING, "{topic|default}", 0, 0, RESTART, \
      "template of the topic of what comes in without one, over the body's top level: {field}, {field|default}") \
    X(BACKBONE, "facet", STRING, "{facet|default}", 0, 0, RESTART, "template of the facet, likewise") \
    X(BACKBONE, "message_max", SIZE, "1MB", 1024, 16777216, RESTART, \
      "longest body; a longer one is refused, one of another client's is a dead letter") \
    X(BACKBONE, "workers", INT, "1", 1, 64, LIVE, "backbone workers of each server, which take deliveries in") \
    X(BACKBONE, "strategy", CHOICE, "one_for_one", 0, 0, LIVE, \
      "who is restarted when a worker of the backbone dies (one_for_one|one_for_all|rest_for_one)") \
    X(BACKBONE, "intensity", INT, "20", 1, 1000, LIVE, \
      "restarts within `period` after which the backbone's branch is restarted whole") \
    X(BACKBONE, "period", SPAN, "30s", 1000, 86400000, LIVE, "window for `intensity`") \
    X(BACKBONE, "log_level", CHOICE, "", 0, 0, LIVE, \
      "least important line that its workers log; empty: as in platoon (error|warn|info|debug)") \
    X(QUEUE, "backbone", SECTION, "", CONFIG_BACKBONE, 0, RESTART, \
      "the backbone it is of; empty: the only one there is") \
    X(QUEUE, "pattern", STRING, "!", 0, 0, RESTART, \
      "Lua pattern, found anywhere in the topics it wants") \
    X(QUEUE, "raw", BOOL, "false", 0, 0, RESTART, \
      "bare bodies for the original's clients, which pull them: no leases, attempts or dead letters") \
    X(QUEUE, "lease", SPAN, "60s", 1000, 86400000, RESTART, \
      "time after which a message that was handed out comes back when nobody is there to renew it") \
    X(QUEUE, "max_attempts", INT, "5", 1, 1000, RESTART, "hand-outs after which a message is a dead letter") \
    X(QUEUE, "retry_min", SPAN, "1s", 0, 86400000, RESTART, \
      "longest pause before the second hand-out; doubled with each further one") \
    X(QUEUE, "retry_max", SPAN, "10m", 0, 2592000000, RESTART, "longest pause before any") \
    X(QUEUE, "work_max", SPAN, "0s", 0, 2592000000, RESTART, \
      "time after which a consumer that is still at a message loses it to another, from its start of it; 0s: any") \
    X(QUEUE, "wait_max", SPAN, "0s", 0, 2592000000, RESTART, \
      "the oldest message waiting longer than this is trouble, and platoon not ready; 0s: none is") \
    X(QUEUE, "workers", INT, "1", 1, 64, LIVE, "workers that hand its messages out, of each server") \
    X(QUEUE, "log_level", CHOICE, "", 0, 0, LIVE, \
      "least important line that its workers log; empty: as in platoon (error|warn|info|debug)") \
    X(PROGRAM, "takes", STRING, "", 0, 0, RESTART, \
      "port, or worker = true: names of queue sections whose messages it is handed; NAME*10 takes ten of them for " \
      "one of another's") \
    X(PROGRAM, "window", INT, "1", 1, 10000, RESTART, "takes: messages it may have in hands at once") \
    X(PROGRAM, "listens", STRING, "", 0, 0, RESTART, \
      "port, or worker = true: globs of topics, as page:* or BACKBONE/page:*: it is told what is delivered, at most " \
      "once")

#define QUEUE_CHECKS(X) \
    X(BACKBONE, backbone) \
    X(QUEUE, queue) \
    X(PROGRAM, takes) \
    X(PROGRAM, listens)

#define QUEUE_TYPES(X) \
    X(BACKBONE, "backbone", BACKBONE, ONE_SERVER, ITSELF, "queue/%s/backbone", "workers", \
      "takes deliveries in, registers its queues, answers for them") \
    X(QUEUE, "queue", QUEUE, NEVER, ITSELF, "", "workers", \
      "hands the messages of one queue to consumers, renews their leases, keeps its clock")

#define QUEUE_EXTRAS(X) \
    X(BACKBONE, backbone) \
    X(PORT, takes) \
    X(CUSTOM, takes)

#define QUEUE_SETTINGS(X) \
    X("queues.") \
    X("takes.") \
    X("listens.") \
    X("backbones.") \
    X("backbone.server")

#define QUEUE_BUILDS(X) \
    X(queues)

#define QUEUE_MESSAGES(X) \
    X(201, TAKE, take, "consumer to queue: you may have handed me so many messages in all") \
    X(202, TASK, task, "queue to consumer: a message, leased for you") \
    X(203, SETTLE, settle, "consumer to queue: what has become of it") \
    X(204, HELD, held, "consumer to queue: these I have of whom was here before you") \
    X(205, LOST, lost, "queue to consumer: that one is not yours any more") \
    X(206, DELIVER, deliver, "anybody to backbone: queue this") \
    X(207, DELIVERED, delivered, "backbone to who asked: where it is queued, or why not") \
    X(208, WAITS, waits, "queue to backbone: how long what I have handed out had waited") \
    X(209, LISTEN, listen, "consumer to backbone: tell me of what is delivered with these topics") \
    X(210, PUBLISHED, published, "backbone to who listens: this was delivered") \
    X(211, BEGUN, begun, "consumer to queue: I am at this one now")

#define MESSAGE_FIELDS_TAKE(F) F(u64, total, "messages since this consumer met this queue worker")

#define MESSAGE_FIELDS_TASK(F) \
    F(str, id, "of the message") \
    F(u64, attempt, "1 for the first hand-out; with the id its receipt") \
    F(bin, facet, "whose it is") \
    F(i64, at_ms, "when it was delivered, by Redis' clock; -1: nobody knows") \
    F(u64, alone, "1: nothing else may be in the consumer's hands") \
    F(bin, body, "of the message")

#define MESSAGE_FIELDS_SETTLE(F) \
    F(str, id, "of the TASK") \
    F(u64, attempt, "of the TASK") \
    F(u64, outcome, "0 done, 1 again, 2 bury, 3 back: nobody has looked at it") \
    F(i64, after_ms, "again: not before so long; -1: after a pause that grows with the attempts") \
    F(str, reason, "again, bury: why")

#define MESSAGE_FIELDS_HELD(F) F(raw, receipts, "array of str, ID.ATTEMPT")

#define MESSAGE_FIELDS_LOST(F) \
    F(str, id, "of the TASK") \
    F(u64, attempt, "of the TASK")

#define MESSAGE_FIELDS_BEGUN(F) \
    F(str, id, "of the TASK") \
    F(u64, attempt, "of the TASK")

#define MESSAGE_FIELDS_DELIVER(F) \
    F(u64, token, "names the answer; unique within the sender's incarnation") \
    F(u64, given, "1: topic is, 2: facet is, 3: both; what is not is made by the backbone's templates") \
    F(bin, topic, "by which queues want it") \
    F(bin, facet, "whose it is") \
    F(u64, after_ms, "not before so long") \
    F(bin, body, "of the message")

#define MESSAGE_FIELDS_DELIVERED(F) \
    F(u64, token, "of the DELIVER") \
    F(str, error, "why it is not queued; else empty") \
    F(str, id, "of the message") \
    F(raw, queues, "array of str: the queues that have it now")

#define MESSAGE_FIELDS_WAITS(F) \
    F(str, queue, "its name") \
    F(u64, p50_ms, "half of them less") \
    F(u64, p99_ms, "all but one of a hundred less")

#define MESSAGE_FIELDS_LISTEN(F) F(raw, globs, "array of str, in place of those before; at most 64 of 512 bytes")

#define MESSAGE_FIELDS_PUBLISHED(F) \
    F(bin, topic, "of the message") \
    F(bin, body, "of the message")

#define QUEUE_VERBS(X) \
    X(QUEUE_STATUS, queue_status, "queue status", 0, VERB_MANY, ANSWER, LOOK, "queue status [Q] [--on BACKBONE]", \
      "what waits in each queue, is in flight, delayed, dead") \
    X(QUEUE_DELIVER, queue_deliver, "queue deliver", 0, VERB_MANY, ANSWER, ACT, \
      "queue deliver [--topic T] [--facet F] [--after 5s] [--on BACKBONE] [BODY]", \
      "queue a message, or each line of the standard input") \
    X(QUEUE_DEAD, queue_dead, "queue dead", 1, VERB_MANY, ANSWER, ACT, \
      "queue dead Q [list|show|retry|drop] [-n 100] [--on BACKBONE] [ID...|all]", \
      "the dead letters of a queue, or of the inbox: list, show, try again, throw away") \
    X(QUEUE_FACETS, queue_facets, "queue facets", 1, VERB_MANY, ANSWER, LOOK, \
      "queue facets Q [-n 10] [--by waiting|in_flight|oldest] [--on BACKBONE]", \
      "whose messages wait or are in flight: the first of a sweep through all facets") \
    X(QUEUE_TOP, queue_top, "queue top", 1, VERB_MANY, ANSWER, LOOK, \
      "queue top Q [-n LOOKS] [--every 1s] [--by waiting|in_flight|oldest] [--on BACKBONE]", \
      "a queue and its facets, again and again") \
    X(QUEUE_PEEK, queue_peek, "queue peek", 1, VERB_MANY, ANSWER, LOOK, \
      "queue peek Q [--facet F] [-n 1] [--on BACKBONE]", \
      "the messages that come next, of a facet or of whose turn it is; nothing changes") \
    X(QUEUE_REGISTER, queue_register, "queue register", 2, VERB_MANY, ANSWER, ACT, \
      "queue register Q PATTERN [--raw] [--on BACKBONE]", \
      "make a queue, or give it another pattern: into it comes what matches by topic") \
    X(QUEUE_UNREGISTER, queue_unregister, "queue unregister", 1, VERB_MANY, ANSWER, ACT, \
      "queue unregister Q [--on BACKBONE]", "nothing more comes into it; what is there is served") \
    X(QUEUE_DESTROY, queue_destroy, "queue destroy", 1, VERB_MANY, ANSWER, ACT, \
      "queue destroy Q [--on BACKBONE]", "the queue with all its messages is gone for good") \
    X(QUEUE_PULL, queue_pull, "queue pull", 1, VERB_MANY, ANSWER, ACT, \
      "queue pull Q... [-n 1] [--lease 60s] [--once] [--on BACKBONE]", \
      "take messages of the first of these queues that has some") \
    X(QUEUE_ACK, queue_ack, "queue ack", 2, VERB_MANY, ANSWER, ACT, \
      "queue ack Q RECEIPT... [--on BACKBONE]", "messages that were pulled are done") \
    X(QUEUE_AGAIN, queue_again, "queue again", 2, VERB_MANY, ANSWER, ACT, \
      "queue again Q RECEIPT... [--after 5s] [--reason TEXT] [--on BACKBONE]", \
      "messages that were pulled are handed out again") \
    X(QUEUE_BURY, queue_bury, "queue bury", 2, VERB_MANY, ANSWER, ACT, \
      "queue bury Q RECEIPT... [--reason TEXT] [--on BACKBONE]", \
      "messages that were pulled are dead letters") \
    X(QUEUE_RENEW, queue_renew, "queue renew", 2, VERB_MANY, ANSWER, ACT, \
      "queue renew Q RECEIPT... [--lease 60s] [--on BACKBONE]", \
      "messages that were pulled stay leased for so long from now") \
    X(QUEUE_WEIGHT, queue_weight, "queue weight", 3, VERB_MANY, ANSWER, ACT, \
      "queue weight Q F W [--on BACKBONE]", "a facet's part beside others, 1 to 100; 0: nothing of it") \
    X(QUEUE_PAUSE, queue_pause, "queue pause", 1, VERB_MANY, ANSWER, ACT, \
      "queue pause Q [F] [--on BACKBONE]", "hand nothing more out, of a queue or of one facet") \
    X(QUEUE_RESUME, queue_resume, "queue resume", 1, VERB_MANY, ANSWER, ACT, \
      "queue resume Q [F] [--on BACKBONE]", "hand out again") \
    X(QUEUE_CAP, queue_cap, "queue cap", 2, VERB_MANY, ANSWER, ACT, "queue cap Q N [--on BACKBONE]", \
      "most messages of one facet in flight; 0: any number") \
    X(QUEUE_LISTEN, queue_listen, "queue listen", 1, VERB_MANY, ANSWER, LOOK, \
      "queue listen GLOB [-n COUNT] [--on BACKBONE]", "what is delivered with topics that match, as it happens") \
    X(QUEUE_WAIT, queue_wait, "queue wait", 1, VERB_MANY, WAIT, WAIT, "queue wait Q [--on BACKBONE]", \
      "until nothing waits in the queue, is in flight or delayed")

#define QUEUE_ASKS(X) \
    X("backbone", "queue-status", LOOK, "[QUEUE]", \
      "array of map {queue, backbone, pattern, raw, paused, waiting, in_flight, delayed, dead, facets, oldest_ms, " \
      "wait_p50_ms, wait_p99_ms, delivered, acked, retried, expired, late, wrong: array of str}; nil: unknown") \
    X("backbone", "queue-deliver", ACT, "GIVEN TOPIC FACET AFTER_MS BODY", \
      "map {id, queues}; GIVEN as in DELIVER") \
    X("backbone", "queue-listen", LOOK, "GLOB SESSION", \
      "map {session, lost, messages: array of map {topic, body bin}}; when there are some, or half of the time is up") \
    X("backbone", "queue-servers", LOOK, "", "array of str: its redis sections; workers take turns on them") \
    X("backbone", "queue-dead-list", LOOK, "QUEUE LIMIT", "array of map {id, facet, attempts, reason, at_ms, bytes}") \
    X("backbone", "queue-dead-show", LOOK, "QUEUE ID...", "array of the same with `body` bin") \
    X("backbone", "queue-dead-retry", ACT, "QUEUE ID...|all", "map {count}: they are handed out again") \
    X("backbone", "queue-dead-drop", ACT, "QUEUE ID...|all", "map {count}: they are gone") \
    X("backbone", "queue-facets", LOOK, "QUEUE LIMIT waiting|in_flight|oldest", \
      "map {age_ms, seen, whole, facets: array of map {facet, waiting, in_flight, weight, oldest_ms}}; nil: unknown") \
    X("backbone", "queue-peek", LOOK, "QUEUE FACET COUNT", \
      "array of map {id, attempt, facet, at_ms, body}; nil: it has none yet") \
    X("backbone", "queue-register", ACT, "QUEUE PATTERN RAW", "map {queue, was}: new, same or other") \
    X("backbone", "queue-unregister", ACT, "QUEUE", "map {queue, was}: same when it was not registered") \
    X("backbone", "queue-destroy", ACT, "QUEUE", "map {queue}: it is gone") \
    X("backbone", "queue-pull", ACT, "COUNT LEASE_MS QUEUE...", \
      "array of map {queue, receipt, attempt, facet, at_ms, body}") \
    X("backbone", "queue-ack", ACT, "QUEUE RECEIPT...", "map {acked, lost}") \
    X("backbone", "queue-again", ACT, "QUEUE AFTER_MS REASON RECEIPT...", "map {again, lost}") \
    X("backbone", "queue-bury", ACT, "QUEUE REASON RECEIPT...", "map {buried, lost}") \
    X("backbone", "queue-renew", ACT, "QUEUE LEASE_MS RECEIPT...", "map {renewed, lost}") \
    X("backbone", "queue-weight", ACT, "QUEUE FACET WEIGHT", "map {was}") \
    X("backbone", "queue-pause", ACT, "QUEUE 1|0 [FACET]", "map {paused, changed}") \
    X("backbone", "queue-cap", ACT, "QUEUE MOST", "map {was}")

#define QUEUE_COUNTERS(X) \
    X(QUEUE_DELIVERED, "queue_delivered_total", COUNTER, "messages brought into queues") \
    X(QUEUE_UNWANTED, "queue_unwanted_total", COUNTER, "messages whose topic no queue wanted") \
    X(QUEUE_HANDED, "queue_handed_total", COUNTER, "messages handed to consumers") \
    X(QUEUE_ACKED, "queue_acked_total", COUNTER, "messages that consumers are done with") \
    X(QUEUE_RETRIED, "queue_retried_total", COUNTER, "messages that consumers want handed out again") \
    X(QUEUE_BURIED, "queue_buried_total", COUNTER, "messages that consumers have made dead letters") \
    X(QUEUE_LOST, "queue_lost_total", COUNTER, "messages that consumers had in hands no longer, or in vain") \
    X(QUEUE_UNHEARD, "queue_unheard_total", COUNTER, "messages dropped for who listens and does not keep up") \
    X(QUEUE_WAITING, "queue_waiting", GAUGE, "messages waiting in the queue") \
    X(QUEUE_DELAYED, "queue_delayed", GAUGE, "messages whose time has not come") \
    X(QUEUE_DEAD, "queue_dead", GAUGE, "dead letters of the queue") \
    X(QUEUE_OLDEST, "queue_oldest", GAUGE, "how long the oldest message has waited, in milliseconds") \
    X(QUEUE_WAIT_P50, "queue_wait_p50", GAUGE, \
      "half of those handed out in the last minute had waited less, in milliseconds") \
    X(QUEUE_WAIT_P99, "queue_wait_p99", GAUGE, \
      "all but one of a hundred of those handed out in the last minute had waited less, in milliseconds")

/*
 * As a drain's (drain.h): what has no words that change nothing comes last, on a key that is then removed. PUBLISH is
 * not tried: whoever listens to every channel would hear it.
 */
#define QUEUE_RIGHTS(X) \
    X(BACKBONE, "EVALSHA", NEEDED, "0000000000000000000000000000000000000000 0") \
    X(BACKBONE, "EVAL", NEEDED, "return(1) 0") \
    X(BACKBONE, "SCRIPT LOAD", OPTIONAL, "") \
    X(BACKBONE, "FUNCTION LOAD", NEWER, "") \
    X(BACKBONE, "FCALL", NEWER, "") \
    X(BACKBONE, "PING", OPTIONAL, "") \
    X(BACKBONE, "ROLE", OPTIONAL, "") \
    X(BACKBONE, "INFO", OPTIONAL, "") \
    X(BACKBONE, "CONFIG GET", SPARE, "") \
    X(BACKBONE, "SELECT", NEEDED, "-") \
    X(BACKBONE, "PUBLISH", NEEDED, "-") \
    X(BACKBONE, "PSUBSCRIBE", OPTIONAL, "") \
    X(BACKBONE, "TIME", NEEDED, "") \
    X(BACKBONE, "TYPE", NEEDED, "$") \
    X(BACKBONE, "GET", NEEDED, "$") \
    X(BACKBONE, "SET", NEEDED, "$ 1 XX") \
    X(BACKBONE, "INCRBY", NEEDED, "$ x") \
    X(BACKBONE, "RENAMENX", NEEDED, "$ $") \
    X(BACKBONE, "HDEL", NEEDED, "$ 1") \
    X(BACKBONE, "HEXISTS", NEEDED, "$ 1") \
    X(BACKBONE, "HGET", NEEDED, "$ 1") \
    X(BACKBONE, "HGETALL", NEEDED, "$") \
    X(BACKBONE, "HINCRBY", NEEDED, "$ 1 x") \
    X(BACKBONE, "HKEYS", NEEDED, "$") \
    X(BACKBONE, "HLEN", NEEDED, "$") \
    X(BACKBONE, "HMGET", NEEDED, "$ 1") \
    X(BACKBONE, "HRANDFIELD", NEEDED, "$") \
    X(BACKBONE, "HSCAN", NEEDED, "$ 0") \
    X(BACKBONE, "HSET", NEEDED, "$ 1 1 x") \
    X(BACKBONE, "HSTRLEN", NEEDED, "$ 1") \
    X(BACKBONE, "LINDEX", NEEDED, "$ 0") \
    X(BACKBONE, "LLEN", NEEDED, "$") \
    X(BACKBONE, "LRANGE", NEEDED, "$ 0 0") \
    X(BACKBONE, "LREM", NEEDED, "$ 0 1") \
    X(BACKBONE, "PEXPIRE", NEEDED, "$ 1") \
    X(BACKBONE, "LMOVE", NEEDED, "$ $ RIGHT LEFT") \
    X(BACKBONE, "SCARD", NEEDED, "$") \
    X(BACKBONE, "SISMEMBER", NEEDED, "$ 1") \
    X(BACKBONE, "SRANDMEMBER", NEEDED, "$") \
    X(BACKBONE, "SREM", NEEDED, "$ 1") \
    X(BACKBONE, "SSCAN", NEEDED, "$ 0") \
    X(BACKBONE, "ZADD", NEEDED, "$ XX 0 1") \
    X(BACKBONE, "ZCARD", NEEDED, "$") \
    X(BACKBONE, "ZRANGE", NEEDED, "$ 0 0") \
    X(BACKBONE, "ZRANGEBYSCORE", NEEDED, "$ 0 0") \
    X(BACKBONE, "ZREM", NEEDED, "$ 1") \
    X(BACKBONE, "ZSCAN", NEEDED, "$ 0") \
    X(BACKBONE, "ZSCORE", NEEDED, "$ 1") \
    X(BACKBONE, "LPUSH", NEEDED, "$ 1") \
    X(BACKBONE, "RPUSH", NEEDED, "$ 1") \
    X(BACKBONE, "SADD", NEEDED, "$ 1") \
    X(BACKBONE, "BLMOVE", NEEDED, "$ $ RIGHT RIGHT 1") \
    X(BACKBONE, "LTRIM", NEEDED, "$ 1 0") \
    X(BACKBONE, "UNLINK", NEEDED, "$")

/*
 * What each script begins with; what settles messages; hands them out; knows who wants a topic; brings messages in;
 * shows the dead; registers.
 */
#define QUEUE_PARTS_LIB  "redis/call.lua queue/queue_turns.lua queue/queue_lib.lua"
#define QUEUE_PARTS_BACK QUEUE_PARTS_LIB " queue/queue_settle.lua"
#define QUEUE_PARTS_HAND QUEUE_PARTS_BACK " queue/queue_hand.lua"
#define QUEUE_PARTS_FIND QUEUE_PARTS_LIB " queue/queue_topics.lua"
#define QUEUE_PARTS_PUSH "queue/queue_match.lua " QUEUE_PARTS_FIND " queue/queue_push.lua"
#define QUEUE_PARTS_DEAD QUEUE_PARTS_BACK " queue/queue_letters.lua"
#define QUEUE_PARTS_NAME "queue/queue_match.lua " QUEUE_PARTS_LIB
#define QUEUE_BEGIN      " queue/queue_begin.lua"

#define QUEUE_SCRIPTS(X) \
    X(QUEUE_DELIVER, queue_deliver, "queue/queue_deliver.lua", QUEUE_PARTS_PUSH QUEUE_BEGIN) \
    X(QUEUE_DELIVER_MANY, queue_deliver_many, "queue/queue_deliver_many.lua", QUEUE_PARTS_PUSH QUEUE_BEGIN) \
    X(QUEUE_INBOX_LOOK, queue_inbox_look, "queue/queue_inbox_look.lua", QUEUE_PARTS_LIB QUEUE_BEGIN) \
    X(QUEUE_INBOX_TAKE, queue_inbox_take, "queue/queue_inbox_take.lua", QUEUE_PARTS_PUSH QUEUE_BEGIN) \
    X(QUEUE_PULL, queue_pull, "queue/queue_pull.lua", QUEUE_PARTS_HAND QUEUE_BEGIN) \
    X(QUEUE_TAKE, queue_take, "queue/queue_take.lua", QUEUE_PARTS_HAND QUEUE_BEGIN) \
    X(QUEUE_ACK, queue_ack, "queue/queue_ack.lua", QUEUE_PARTS_BACK QUEUE_BEGIN) \
    X(QUEUE_AGAIN, queue_again, "queue/queue_again.lua", QUEUE_PARTS_BACK QUEUE_BEGIN) \
    X(QUEUE_BURY, queue_bury, "queue/queue_bury.lua", QUEUE_PARTS_BACK QUEUE_BEGIN) \
    X(QUEUE_RENEW, queue_renew, "queue/queue_renew.lua", QUEUE_PARTS_BACK QUEUE_BEGIN) \
    X(QUEUE_ADOPT, queue_adopt, "queue/queue_adopt.lua", QUEUE_PARTS_BACK QUEUE_BEGIN) \
    X(QUEUE_BACK, queue_back, "queue/queue_back.lua", QUEUE_PARTS_BACK QUEUE_BEGIN) \
    X(QUEUE_DISOWN, queue_disown, "queue/queue_disown.lua", QUEUE_PARTS_BACK QUEUE_BEGIN) \
    X(QUEUE_CLOCK, queue_clock, "queue/queue_clock.lua", QUEUE_PARTS_BACK QUEUE_BEGIN) \
    X(QUEUE_VOUCH, queue_vouch, "queue/queue_vouch.lua", QUEUE_PARTS_FIND QUEUE_BEGIN) \
    X(QUEUE_REGISTER, queue_register, "queue/queue_register.lua", QUEUE_PARTS_NAME QUEUE_BEGIN) \
    X(QUEUE_UNREGISTER, queue_unregister, "queue/queue_unregister.lua", QUEUE_PARTS_LIB QUEUE_BEGIN) \
    X(QUEUE_DESTROY, queue_destroy, "queue/queue_destroy.lua", QUEUE_PARTS_LIB QUEUE_BEGIN) \
    X(QUEUE_WEIGHT, queue_weight, "queue/queue_weight.lua", QUEUE_PARTS_LIB QUEUE_BEGIN) \
    X(QUEUE_CAP, queue_cap, "queue/queue_cap.lua", QUEUE_PARTS_LIB QUEUE_BEGIN) \
    X(QUEUE_PAUSE, queue_pause, "queue/queue_pause.lua", QUEUE_PARTS_LIB QUEUE_BEGIN) \
    X(QUEUE_STATUS, queue_status, "queue/queue_status.lua", QUEUE_PARTS_LIB QUEUE_BEGIN) \
    X(QUEUE_FACETS, queue_facets, "queue/queue_facets.lua", QUEUE_PARTS_LIB QUEUE_BEGIN) \
    X(QUEUE_PEEK, queue_peek, "queue/queue_peek.lua", QUEUE_PARTS_HAND QUEUE_BEGIN) \
    X(QUEUE_DEAD_LIST, queue_dead_list, "queue/queue_dead_list.lua", QUEUE_PARTS_DEAD QUEUE_BEGIN) \
    X(QUEUE_DEAD_SHOW, queue_dead_show, "queue/queue_dead_show.lua", QUEUE_PARTS_DEAD QUEUE_BEGIN) \
    X(QUEUE_DEAD_RETRY, queue_dead_retry, "queue/queue_dead_retry.lua", QUEUE_PARTS_DEAD QUEUE_BEGIN) \
    X(QUEUE_DEAD_DROP, queue_dead_drop, "queue/queue_dead_drop.lua", QUEUE_PARTS_DEAD QUEUE_BEGIN)
/* clang-format on */

#endif
