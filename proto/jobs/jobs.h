/*
 * jobs.h: the lists of the jobs in RQ's keys: sections, worker types, what they say, and their scripts.
 *
 * What the columns of each list mean: proto/systems.h. What is in Redis, what each script is for, and what is promised:
 * JOBS.md.
 */
#ifndef PROTO_JOBS_JOBS_H
#define PROTO_JOBS_JOBS_H

/* clang-format off */
#define JOBS_SECTIONS(X) \
    X(JOBS, "jobs", GROUP, "jobs etlas { platforms = \"/srv/etlas/platforms\"  queue = account_schedules }", \
      "jobs in RQ's keys, and the sanjers that run them") \
    X(SCHEDULE, "schedule", TITLED, "schedule nightly { jobs = etlas  platform = coinis  cron = \"15 3 * * 1-5\" }", \
      "when a job is made by itself")

#define JOBS_KEYS(X) \
    X(JOBS, "redis", SECTION, "main", CONFIG_REDIS, 0, RESTART, "the redis section they live in") \
    X(JOBS, "platforms", PATH, "!", 0, 0, RESTART, "folder of the platforms: executable files, one each") \
    X(JOBS, "queue", STRING, "platoon", 0, 0, RESTART, \
      "the RQ queue they wait in; of {platform} and {id} each platform or name gets its own, with turns of its own") \
    X(JOBS, "weights", STRING, "", 0, 0, LIVE, \
      "of queues, as \"gold=4 free=1\": shares of the sanjers; 0: it is paused; who is not named has 1") \
    X(JOBS, "limits", STRING, "", 0, 0, LIVE, "most jobs of a queue that run at once, as \"scrape=2\"") \
    X(JOBS, "job_id", CHOICE, "plain", 0, 0, RESTART, \
      "names of jobs: as RQ 2 takes them, or as Etlas had them, 2026-11-26T00:24:00.123456::ID::NAME (plain|etlas)") \
    X(JOBS, "listen", STRING, "", 0, 0, RESTART, \
      "where jobs are made and asked for over HTTP: 127.0.0.1:9041, [::1]:9041, unix:/PATH; empty: nowhere") \
    X(JOBS, "token_file", PATH, "", 0, 0, RESTART, \
      "file with the token that HTTP wants (Authorization: Bearer), which others must not read; empty: none") \
    X(JOBS, "cors", STRING, "", 0, 0, RESTART, \
      "origin whose pages may ask, as https://desk.example, or *; empty: only our own") \
    X(JOBS, "static", PATH, "", 0, 0, RESTART, "folder whose files HTTP shows; empty: none") \
    X(JOBS, "timezone", STRING, "", 0, 0, RESTART, \
      "zone in which dates in words are read, as Europe/Berlin; empty: the machine's") \
    X(JOBS, "timeout", SPAN, "3m", 1000, 2592000000, RESTART, "time a job may run") \
    X(JOBS, "stop_timeout", SPAN, "5s", 100, 600000, RESTART, \
      "time between TERM and KILL; half of it a job has to end by itself when its sanjer is stopped") \
    X(JOBS, "lease", SPAN, "60s", 5000, 86400000, RESTART, \
      "time after which a job comes back whose sanjer's host is gone, with all that could tell") \
    X(JOBS, "retries", INT, "0", 0, 1000, RESTART, "further attempts at a job that has failed") \
    X(JOBS, "retry_min", SPAN, "1s", 0, 86400000, RESTART, \
      "longest pause before the second attempt; doubled with each further one") \
    X(JOBS, "retry_max", SPAN, "10m", 0, 2592000000, RESTART, "longest pause before any") \
    X(JOBS, "lost_max", INT, "2", 0, 1000, RESTART, "further attempts at a job whose sanjer died") \
    X(JOBS, "result_ttl", SPAN, "14d", 1000, 31536000000, RESTART, "time a finished job is kept") \
    X(JOBS, "failure_ttl", SPAN, "14d", 1000, 31536000000, RESTART, "time any other ended job is kept") \
    X(JOBS, "output_keep", SIZE, "64KB", 0, 16777216, RESTART, "the last of its output that is kept of a job") \
    X(JOBS, "dataset_max", SIZE, "4MB", 1024, 67108864, RESTART, \
      "what is kept of each of the sets of data that a job shows: original, processed") \
    X(JOBS, "store", SECTION, "", CONFIG_STORE, 0, RESTART, \
      "the store section, of type sqlite or postgres, that jobs may write rows to; empty: none") \
    X(JOBS, "strategy", CHOICE, "one_for_one", 0, 0, LIVE, \
      "who is restarted when a worker of the section dies (one_for_one|one_for_all|rest_for_one)") \
    X(JOBS, "intensity", INT, "20", 1, 1000, LIVE, \
      "restarts within `period` after which the section's branch is restarted whole") \
    X(JOBS, "period", SPAN, "30s", 1000, 86400000, LIVE, "window for `intensity`") \
    X(JOBS, "log_level", CHOICE, "", 0, 0, LIVE, \
      "least important line that its workers log; empty: as in platoon (error|warn|info|debug)") \
    X(JOBS, "sanjer.workers", INT, "2", 1, 64, LIVE, "sanjers: jobs that run at once") \
    X(JOBS, "sanjer.jobs_per_process", INT, "100", 1, 1000000, RESTART, \
      "jobs of Python classes that one process runs, one after the other") \
    X(JOBS, "sanjer.memory_max", SIZE, "", 16777216, 1099511627776, RESTART, \
      "memory that a process of a job may have; empty: no limit") \
    X(JOBS, "sanjer.user", STRING, "", 0, 0, RESTART, \
      "jobs run as this user, with its groups, HOME, USER and LOGNAME; platoon must be root then") \
    X(JOBS, "python.program", EXECUTABLE, "python3", 0, 0, RESTART, "the interpreter of platforms that are classes") \
    X(JOBS, "python.path", STRING, "", 0, 0, RESTART, "folders of their modules, with colons between them") \
    X(JOBS, "python.preload", STRING, "", 0, 0, RESTART, "modules that it has loaded before the platforms") \
    X(JOBS, "python.functions", STRING, "", 0, 0, RESTART, \
      "queues of RQ whose functions are run here too, as rq worker runs them; empty: none") \
    X(SCHEDULE, "jobs", SECTION, "!", CONFIG_JOBS, 0, RESTART, "the jobs section it is of") \
    X(SCHEDULE, "platform", STRING, "!", 0, 0, RESTART, "what is run") \
    X(SCHEDULE, "settings", STRING, "{}", CONFIG_MASKED, 0, RESTART, \
      "its settings, a JSON object; dates in words are read as of the due time") \
    X(SCHEDULE, "cron", STRING, "", 0, 0, RESTART, \
      "minute, hour, day, month, weekday, or @daily and the like, in the timezone of the jobs section") \
    X(SCHEDULE, "every", SPAN, "0s", 0, 31536000000, RESTART, "instead of `cron`: so often") \
    X(SCHEDULE, "missed", CHOICE, "once", 0, 0, RESTART, \
      "what was due while nobody could make it: the last of it, nothing, or all, at most 100 (once|skip|all)") \
    X(SCHEDULE, "overlap", CHOICE, "skip", 0, 0, RESTART, \
      "when the job before has not ended: none is made, or another one is (skip|allow)")

#define JOBS_CHECKS(X) \
    X(JOBS, jobs) \
    X(SCHEDULE, schedule)

#define JOBS_EXTRAS(X) \
    X(JOB_KEEPER, job_keeper)

/* `history` is the drain's key of a jobs section: without a drain the keeper is told none. */
#define JOBS_SETTINGS(X) \
    X("jobs.history") \
    X("history.") \
    X("schedules.") \
    X("rules.")

#define JOBS_PREFLIGHTS(X) \
    X(JOBS, jobs)

#define JOBS_TYPES(X) \
    X(JOB_KEEPER, "job-keeper", JOBS, ALWAYS, ITSELF, "jobs/%s/keeper", "", \
      "wakes sanjers, keeps the clocks of jobs") \
    X(JOB_COLLECTOR, "job-collector", JOBS, ALWAYS, ITSELF, "jobs/%s/collector", "", \
      "takes jobs in, answers for them") \
    X(SANJER, "sanjer", JOBS, ALWAYS, ITSELF, "jobs/%s/sanjer", "sanjer.workers", "runs jobs, one at a time")

#define JOBS_MESSAGES(X) \
    X(301, IDLE, idle, "sanjer to keeper: I have nothing to do, or what I was woken for") \
    X(302, WAKE, wake, "keeper to sanjer: something waits, claim it")

#define MESSAGE_FIELDS_IDLE(F) F(u64, runs, "jobs in hands: 0 or 1")

#define MESSAGE_FIELDS_WAKE(F) F(u64, seen, "turns that were seen: 1")

#define JOBS_VERBS(X) \
    X(JOB_PLATFORMS, job_platforms, "job platforms", 0, VERB_MANY, ANSWER, LOOK, "job platforms [--on SECTION]", \
      "what can be run, with its settings; what is broken, and why") \
    X(JOB_RUN, job_run, "job run", 1, VERB_MANY, WAIT, ACT, \
      "job run PLATFORM [NAME=VALUE...] [--settings JSON|@FILE] [--id ID] [--key KEY] [--wait] [--on SECTION]", \
      "make a job of a platform; --wait: until it has ended") \
    X(JOB_LIST, job_list, "job list", 0, VERB_MANY, ANSWER, LOOK, \
      "job list [--status S] [--platform P] [--queue Q] [--since 1h] [-n 50] [--after JOB] [--on SECTION]", \
      "the newest jobs; --after: those behind one") \
    X(JOB_SHOW, job_show, "job show", 1, VERB_MANY, ANSWER, LOOK, "job show JOB [--on SECTION]", \
      "all that is known of a job") \
    X(JOB_WAIT, job_wait, "job wait", 1, VERB_MANY, WAIT, WAIT, "job wait JOB [--on SECTION]", \
      "until it has ended: 0 finished, 1 otherwise") \
    X(JOB_TAIL, job_tail, "job tail", 1, VERB_MANY, ANSWER, LOOK, "job tail JOB [-f] [--on SECTION]", \
      "the last of its output; -f: and what comes, until it has ended") \
    X(JOB_CANCEL, job_cancel, "job cancel", 1, VERB_MANY, ANSWER, ACT, \
      "job cancel [JOB...] [--all] [--status S] [--platform P] [--on SECTION]", \
      "jobs that wait are canceled, those that run are stopped") \
    X(JOB_RETRY, job_retry, "job retry", 1, VERB_MANY, ANSWER, ACT, \
      "job retry [JOB...] [--all] [--status S] [--platform P] [--on SECTION]", \
      "jobs that have failed, were stopped or canceled wait again") \
    X(JOB_STATS, job_stats, "job stats", 0, VERB_MANY, ANSWER, LOOK, "job stats [--since 7d] [--on SECTION]", \
      "how many have ended how, of each platform and day") \
    X(JOB_SCHEDULE, job_schedule, "job schedule", 0, VERB_MANY, ANSWER, ACT, \
      "job schedule [list|add|remove|pause|resume|now] [NAME] [PLATFORM] [--cron C] [--every 1h] " \
      "[--settings JSON|@FILE] [--missed once] [--overlap skip] [--on SECTION]", \
      "what is made when; add and remove beside those of the file")

#define JOBS_ASKS(X) \
    X("job-collector", "job-platforms", LOOK, "", \
      "array of map {platform_id, file, display_name, settings: map of map {type, default, required, secret}, " \
      "timeout_ms, retries, rerun, broken}; nil: as the section has it; broken: why it is, or nil") \
    X("job-collector", "job-run", ACT, "PLATFORM SETTINGS ID KEY", \
      "map {job_id, replayed}; SETTINGS a JSON object, ID and KEY may be empty") \
    X("job-collector", "job-list", LOOK, "STATUS LIMIT PLATFORM QUEUE SINCE AFTER", \
      "map {total, jobs: array of map as of job-show, without settings and output, next: AFTER of the next page, or " \
      "nil}; SINCE: ms ago; what is empty is any") \
    X("job-collector", "job-stats", LOOK, "DAYS", "array of map {day, platform_id, status, jobs}") \
    X("job-collector", "job-show", LOOK, "JOB", \
      "map {job_id, id, platform_id, queue, status, cause, reason, attempt, created_at, enqueued_at, started_at, " \
      "ended_at, worker, progress, eta_ms, meta, result, exit_code, signal, oom, cpu_ms, max_rss_bytes, run_ms, " \
      "settings, output}, or nil each") \
    X("job-collector", "job-due", ACT, "NAME DUE VERSION", \
      "map {job_id, replayed}: of a schedule as it was written then, at a time, in seconds; a job of that name and " \
      "time is made once") \
    X("job-collector", "job-schedules", LOOK, "", \
      "array of map {name, platform_id, settings, cron, every_ms, missed, overlap, origin, state, last, next, " \
      "job_id, status, why}") \
    X("job-collector", "job-schedule-put", ACT, "NAME PLATFORM SETTINGS CRON EVERY MISSED OVERLAP", \
      "map {name, done}; EVERY: ms, 0: CRON counts") \
    X("job-collector", "job-schedule-move", ACT, "NAME WHAT", "map {name, done}; WHAT: remove, pause, resume, now") \
    X("job-collector", "job-tail", LOOK, "JOB ATTEMPT FROM", \
      "map {status, attempt, end, output}: what has come behind byte FROM of that attempt, or, when it is another, " \
      "all that is kept; end: the FROM of the next call") \
    X("job-collector", "job-cancel", ACT, "JOB", "map {job_id, status}: canceled, stopping, or what it is already") \
    X("job-collector", "job-retry", ACT, "JOB", "map {job_id, status}: queued, or what it is already")

#define JOBS_COUNTERS(X) \
    X(JOBS_ENQUEUED, "jobs_enqueued_total", COUNTER, "jobs made") \
    X(JOBS_STARTED, "jobs_started_total", COUNTER, "attempts begun") \
    X(JOBS_FINISHED, "jobs_finished_total", COUNTER, "jobs that have finished") \
    X(JOBS_FAILED, "jobs_failed_total", COUNTER, "jobs that have failed") \
    X(JOBS_STOPPED, "jobs_stopped_total", COUNTER, "jobs that were stopped") \
    X(JOBS_RETRIED, "jobs_retried_total", COUNTER, "attempts that failed, and are tried again") \
    X(JOBS_CANCELED, "jobs_canceled_total", COUNTER, "jobs that were canceled before they ran, or by RQ's clients") \
    X(JOBS_LOST, "jobs_lost_total", COUNTER, "attempts whose sanjer died, or whose lease was over") \
    X(JOBS_QUEUED, "jobs_queued", GAUGE, "jobs that wait in their queue") \
    X(JOBS_RUNNING, "jobs_running", GAUGE, "jobs that are run, on whatever host") \
    X(JOB_OLDEST_WAIT, "job_oldest_wait", GAUGE, \
      "how long the oldest of those has waited that are next in a queue, in milliseconds")

#define JOBS_HISTOGRAMS(X) \
    X(JOB_WAIT, "job_wait_seconds", "time that jobs have stood in their queue before an attempt") \
    X(JOB_RUN, "job_run_seconds", "time that attempts at jobs have run")

#define JOBS_RIGHTS(X) \
    X(JOBS, "EVALSHA", NEEDED, "0000000000000000000000000000000000000000 0") \
    X(JOBS, "EVAL", NEEDED, "return(1) 0") \
    X(JOBS, "SCRIPT LOAD", OPTIONAL, "") \
    X(JOBS, "ROLE", OPTIONAL, "") \
    X(JOBS, "PING", OPTIONAL, "") \
    X(JOBS, "INFO", OPTIONAL, "") \
    X(JOBS, "SELECT", NEEDED, "-") \
    X(JOBS, "TIME", NEEDED, "") \
    X(JOBS, "GET", NEEDED, "$") \
    X(JOBS, "SET", NEEDED, "$ 1 XX") \
    X(JOBS, "EXISTS", NEEDED, "$") \
    X(JOBS, "HDEL", NEEDED, "$ 1") \
    X(JOBS, "HGET", NEEDED, "$ 1") \
    X(JOBS, "HGETALL", NEEDED, "$") \
    X(JOBS, "HINCRBY", NEEDED, "$ 1 0") \
    X(JOBS, "HINCRBYFLOAT", NEEDED, "$ 1 0") \
    X(JOBS, "HMGET", NEEDED, "$ 1") \
    X(JOBS, "HLEN", NEEDED, "$") \
    X(JOBS, "HSETNX", NEEDED, "$ 1 x") \
    X(JOBS, "HSET", NEEDED, "$ 1 1 x") \
    X(JOBS, "LLEN", NEEDED, "$") \
    X(JOBS, "LPOS", NEEDED, "$ 1") \
    X(JOBS, "LPUSH", NEEDED, "$ 1") \
    X(JOBS, "RPUSH", NEEDED, "$ 1") \
    X(JOBS, "LRANGE", NEEDED, "$ 0 0") \
    X(JOBS, "LREM", NEEDED, "$ 0 1") \
    X(JOBS, "LTRIM", NEEDED, "$ 1 0") \
    X(JOBS, "PERSIST", NEEDED, "$") \
    X(JOBS, "PEXPIRE", NEEDED, "$ 1") \
    X(JOBS, "PTTL", NEEDED, "$") \
    X(JOBS, "SADD", NEEDED, "$ 1") \
    X(JOBS, "SISMEMBER", NEEDED, "$ 1") \
    X(JOBS, "SMEMBERS", NEEDED, "$") \
    X(JOBS, "SREM", NEEDED, "$ 1") \
    X(JOBS, "UNLINK", NEEDED, "$") \
    X(JOBS, "XADD", NEEDED, "$ 1-1 a") \
    X(JOBS, "ZADD", NEEDED, "$ XX 0 1") \
    X(JOBS, "ZCARD", NEEDED, "$") \
    X(JOBS, "ZCOUNT", NEEDED, "$ 0 0") \
    X(JOBS, "ZRANDMEMBER", NEEDED, "$ 1") \
    X(JOBS, "ZRANGE", NEEDED, "$ 0 0") \
    X(JOBS, "ZRANGEBYSCORE", NEEDED, "$ 0 0") \
    X(JOBS, "ZREM", NEEDED, "$ 1") \
    X(JOBS, "ZREVRANGE", NEEDED, "$ 0 0") \
    X(JOBS, "ZREVRANK", NEEDED, "$ 1") \
    X(JOBS, "ZSCORE", NEEDED, "$ 1") \
    X(JOBS, "PSUBSCRIBE", OPTIONAL, "") \
    X(JOBS, "PUBLISH", OPTIONAL, "") \
    X(JOBS, "BLMOVE", NEEDED, "$ $ RIGHT RIGHT 1")
/* What each script begins with; what takes a job. */
#define JOBS_PARTS_LIB  "redis/call.lua queue/queue_turns.lua jobs/jobs_lib.lua"
#define JOBS_PARTS_TAKE JOBS_PARTS_LIB " jobs/jobs_take.lua"

#define JOBS_SCRIPTS(X) \
    X(JOBS_ENQUEUE, jobs_enqueue, "jobs/jobs_enqueue.lua", JOBS_PARTS_LIB) \
    X(JOBS_CLAIM, jobs_claim, "jobs/jobs_claim.lua", JOBS_PARTS_TAKE) \
    X(JOBS_BEAT, jobs_beat, "jobs/jobs_beat.lua", JOBS_PARTS_LIB) \
    X(JOBS_FINISH, jobs_finish, "jobs/jobs_finish.lua", JOBS_PARTS_TAKE) \
    X(JOBS_ORPHANS, jobs_orphans, "jobs/jobs_orphans.lua", JOBS_PARTS_LIB) \
    X(JOBS_DUE, jobs_due, "jobs/jobs_due.lua", JOBS_PARTS_TAKE) \
    X(JOBS_CANCEL, jobs_cancel, "jobs/jobs_cancel.lua", JOBS_PARTS_LIB) \
    X(JOBS_RETRY, jobs_retry, "jobs/jobs_retry.lua", JOBS_PARTS_LIB) \
    X(JOBS_EXPIRE, jobs_expire, "jobs/jobs_expire.lua", JOBS_PARTS_LIB) \
    X(JOBS_LIST, jobs_list, "jobs/jobs_list.lua", JOBS_PARTS_LIB) \
    X(JOBS_FUNCTIONS, jobs_functions, "jobs/jobs_functions.lua", JOBS_PARTS_LIB) \
    X(JOBS_STATS, jobs_stats, "jobs/jobs_stats.lua", JOBS_PARTS_LIB) \
    X(JOBS_SCHEDULE, jobs_schedule, "jobs/jobs_schedule.lua", JOBS_PARTS_LIB) \
    X(JOBS_WORKER, jobs_worker, "jobs/jobs_worker.lua", JOBS_PARTS_LIB)
/* clang-format on */

#endif
