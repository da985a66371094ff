-- jobs_lib.lua: what every script of the jobs shares; behind redis/call and queue/queue_turns.
--
-- KEYS[1] is what our own keys begin with, "platoon:{jobs:etlas}:"; all others are RQ's (JOBS.md). Of a job RQ has its state: each is in
-- exactly one of the list, wip, scheduled, deferred, finished, failed, canceled of its queue. Fields of ours are `platoon.*` of its hash.
--
-- Redis does not roll a script back, and may refuse any command of it. So a job comes to where it shall be before it goes from where it is, and what
-- is there twice is claimed once, because its hash says so.
local JOB, QUEUE, TURNS, JOBS, QUEUES = 'rq:job:', 'rq:queue:', KEYS[1] .. 'turns', KEYS[1] .. 'jobs', KEYS[1] .. 'queues'
local RULES, WORKER = KEYS[1] .. 'rules', 'rq:worker:'
-- The queues of RQ whose functions are run here, as the keeper has said it (functions).
local FUNCTIONS = KEYS[1] .. 'functions'
-- Most jobs that one call moves. The end of a lease, in seconds, after which a clean-up of RQ's own fails what is in wip: it comes behind our keeper's.
local PAGE, GRACE = 500, 60
local floor, max, min = math.floor, math.max, math.min
local clock = call('TIME')
local now, now_us = tonumber(clock[1]) * 1000 + floor(tonumber(clock[2]) / 1000), tonumber(clock[2])

-- RQ's form of a time, UTC; days to a date as in Howard Hinnant's civil_from_days.
local function stamp()
  local s = tonumber(clock[1])
  local z, rest = floor(s / 86400) + 719468, s % 86400
  local era = floor(z / 146097)
  local doe = z - era * 146097
  local yoe = floor((doe - floor(doe / 1460) + floor(doe / 36524) - floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + floor(yoe / 4) - floor(yoe / 100))
  local mp = floor((5 * doy + 2) / 153)
  local month = mp < 10 and mp + 3 or mp - 9
  return format('%04d-%02d-%02dT%02d:%02d:%02d.%06dZ', yoe + era * 400 + (month <= 2 and 1 or 0), month, doy - floor((153 * mp + 2) / 5) + 1,
    floor(rest / 3600), floor(rest / 60) % 60, rest % 60, now_us)
end

local stamped = stamp()

local function registry(kind, queue)
  return 'rq:' .. kind .. ':' .. queue
end

-- The number of a field; what is none is `absent`.
local function count_of(text, absent)
  return tonumber(text or '') or absent or 0
end

local function seconds(ms)
  return format('%.3f', ms / 1000)
end

-- The queues of a section, `of`: the only one, or, when it ends with a *, those that its template has made, whose names begin with what stands before.
local function is_template(of)
  return string.sub(of, -1) == '*'
end

-- These, and those of RQ's functions; each once.
local function with_functions(queues)
  local seen = {}
  for _, queue in ipairs(queues) do
    seen[queue] = true
  end
  for _, queue in ipairs(call('SMEMBERS', FUNCTIONS)) do
    if not seen[queue] then
      queues[#queues + 1] = queue
    end
  end
  return queues
end

local function queues_of(of)
  return with_functions(is_template(of) and call('ZRANGE', QUEUES, '0', '-1') or {of})
end

-- The next PAGE of them for `who`, so that no call takes long, however many there are.
local function queues_next(of, who)
  local count, key = is_template(of) and call('ZCARD', QUEUES) or 0, KEYS[1] .. 'queues:at'
  if count <= PAGE then
    return queues_of(of)
  end
  local at = count_of(call('HGET', key, who))
  at = at < count and at or 0
  call('HSET', key, who, num(at + PAGE))
  return with_functions(call('ZRANGE', QUEUES, num(at), num(at + PAGE - 1)))
end

-- What a sanjer does, as RQ shows it; of one that is not shown (worker) nothing, which is false. job: what it has in hands; nil: nothing.
local function worker_does(name, state, job)
  local key = WORKER .. name
  if call('EXISTS', key) == 0 then
    return false
  end
  if job then
    call('HSET', key, 'state', state, 'current_job', job)
  else
    call('HSET', key, 'state', state)
    call('HDEL', key, 'current_job')
  end
  return true
end

-- What is said of queues: their weights, "gold=4 free=1", and how many of their jobs may run at once, "scrape=2". Weight 0: none is handed out. Who is not
-- named has weight 1 and no limit.
local known_rules
local function rules_of()
  if known_rules then
    return known_rules
  end
  local rules, said = {}, call('HMGET', RULES, 'weights', 'limits')
  for i, what in ipairs({'weight', 'limit'}) do
    for name, number in string.gmatch(said[i] or '', '([^%s=]+)=(%d+)') do
      rules[name] = rules[name] or {weight = 1}
      rules[name][what] = tonumber(number)
    end
  end
  known_rules = rules
  return rules
end

-- One turn more of a queue in which something waits, whatever has brought it there, while it has fewer than waits and than its weight: shares alone say
-- nothing of who goes next where little runs at once. One of weight 0 has one, which the claim drops. What is taken out of a queue otherwise than by a
-- claim leaves turns that are too many: the claim that finds nothing more in it, or that it may have nothing more, drops them (take_turns).
local function give_turn(queue)
  local waiting = call('LLEN', QUEUE .. queue)
  if waiting == 0 then
    return
  end
  local rule = rules_of()[queue]
  local most = max(1, min(waiting, rule and rule.weight or 1))
  if not call('LPOS', TURNS, queue, 'RANK', num(most)) then
    call('LPUSH', TURNS, queue)
  end
end

local function take_turns(queue)
  call('LREM', TURNS, '0', queue)
end

-- Milliseconds since 1970 of RQ's form of a time; days of a date as in Howard Hinnant's days_from_civil.
local function ms_of(text)
  local y, m, d, H, M, S, us = string.match(text or '', '^(%d+)-(%d+)-(%d+)T(%d+):(%d+):(%d+)%.(%d+)Z$')
  if not y then
    return 0
  end
  y, m, d = tonumber(y) - (tonumber(m) <= 2 and 1 or 0), tonumber(m), tonumber(d)
  local era = floor(y / 400)
  local yoe = y - era * 400
  local doy = floor((153 * (m + (m > 2 and -3 or 9)) + 2) / 5) + d - 1
  local days = era * 146097 + yoe * 365 + floor(yoe / 4) - floor(yoe / 100) + doy - 719468
  return ((days * 24 + tonumber(H)) * 60 + tonumber(M)) * 60000 + tonumber(S) * 1000 + floor(tonumber(us) / 1000)
end

-- By what name a function of RQ's is shown, which is what its description begins with unless its user has written one; nil: it is not run here.
local function function_of(queue, description)
  if call('SISMEMBER', FUNCTIONS, queue) == 1 then
    return string.sub(string.match(description or '', '^([%w_.]+)%(') or 'function', 1, 200)
  end
end

-- What the scripts decide by; nil: there is no such job. What is not ours has no platform; of a function that is run here `func` is true, and `strange`
-- as long as nothing of ours stands in its hash.
local function job_of(id)
  local f = call('HMGET', JOB .. id, 'status', 'origin', 'platoon.platform', 'platoon.owner', 'platoon.attempt', 'platoon.spared', 'platoon.lost',
    'platoon.ended', 'platoon.rerun', 'result_ttl', 'failure_ttl', 'platoon.stop', 'platoon.function', 'description', 'ttl', 'enqueue_at_front', 'created_at',
    'platoon.over', 'enqueue_at_front_on_retry', 'worker_name')
  if not f[1] then
    return nil
  end
  local platform = f[3] or function_of(f[2] or '', f[14])
  return {id = id, key = JOB .. id, status = f[1], queue = f[2] or '', platform = platform, owner = f[4] or '', attempt = count_of(f[5]),
    spared = count_of(f[6]), lost = count_of(f[7]), ended = count_of(f[8]), rerun = f[9] ~= '0', result_ttl = count_of(f[10], 500),
    failure_ttl = count_of(f[11], 31536000), stop = f[12], func = platform and (f[13] == '1' or not f[3]), strange = platform and not f[3], alien = not platform,
    ttl = count_of(f[15]), front = f[16] == '1', created = f[17], over = f[18], front_again = f[19] == '1', worker = f[20]}
end

-- Whether an rq worker has what is started: it was never ours, or our last attempt is over.
local function is_rqs(job)
  return job.func and (job.owner == '' or job.ended == job.attempt)
end

-- A function of RQ's stands in our list from now on.
local function adopt(job)
  call('HSET', job.key, 'platoon.platform', job.platform, 'platoon.function', '1')
  call('ZADD', JOBS, num(job.created and ms_of(job.created) or now), job.id)
  job.strange = false
end

-- To the list of its queue, first or last.
local function to_queue(job, first)
  if first then
    call('LPUSH', QUEUE .. job.queue, job.id)
  else
    call('RPUSH', QUEUE .. job.queue, job.id)
  end
  call('HSET', job.key, 'status', 'queued', 'enqueued_at', stamped)
  if job.ttl and job.ttl > 0 and (job.func or job.alien) then
    call('PEXPIRE', job.key, num(job.ttl * 1000)) -- the time that RQ lets it wait; its claim takes it away
  end
  if not job.alien then
    give_turn(job.queue)
  end
end

-- ---- RQ's dependents: jobs that wait, deferred, for others to end ----

-- Whether all but `parent` have ended, and well unless the job allows otherwise; what is gone counts as done, as with RQ.
local function is_released(job, allows, parent)
  for _, id in ipairs(call('SMEMBERS', JOB .. ':' .. job.id .. ':dependencies')) do
    local status = id ~= parent and call('HGET', JOB .. id, 'status')
    if status and status ~= 'finished' and not (allows and (status == 'failed' or status == 'stopped')) then
      return false
    end
  end
  return true
end

-- The job has ended so: what waited for it and for nothing else any more waits in its queue.
local function release(job, well)
  local key = job.key .. ':dependents'
  for _, id in ipairs(call('SMEMBERS', key)) do
    local of = job_of(id)
    local allows = of and call('HGET', of.key, 'allow_dependency_failures') == '1'
    if of and of.status == 'deferred' and (well or allows) and is_released(of, allows, job.id) then
      call('SADD', 'rq:queues', QUEUE .. of.queue)
      to_queue(of, of.front)
      call('ZREM', registry('deferred', of.queue), id)
      call('SREM', key, id)
    elseif not of or of.status ~= 'deferred' then
      call('SREM', key, id)
    end
  end
end

-- One more end of its platform on this day (UTC); days are kept for STATS_DAYS.
local STATS_DAYS = 400
local function count_end(job, status)
  local key = KEYS[1] .. 'stats:' .. string.sub(stamped, 1, 10)
  call('HINCRBY', key, status .. ' ' .. (job.platform or ''), '1')
  call('PEXPIRE', key, num(STATS_DAYS * 86400000))
end

-- A hash of what has ended, for the drain whose set N:history names; what stands there under RQ's names, and under ours.
local HISTORY = {'origin', 'queue', 'created_at', 'created_at', 'enqueued_at', 'enqueued_at', 'started_at', 'started_at',
  'worker_name', 'worker', 'timeout', 'timeout', 'platoon.platform', 'platform_id', 'platoon.id', 'id', 'platoon.attempt', 'attempt',
  'platoon.cause', 'cause', 'platoon.reason', 'reason', 'platoon.exit_code', 'exit_code', 'platoon.signal', 'signal', 'platoon.run_ms', 'run_ms',
  'platoon.cpu_ms', 'cpu_ms', 'platoon.max_rss_bytes', 'max_rss_bytes', 'platoon.settings', 'settings', 'platoon.result', 'result'}
local function to_history(job, status)
  local set = call('GET', KEYS[1] .. 'history')
  if not set then
    return
  end
  local names, out = {}, {'job_id', job.id, 'status', status, 'ended_at', stamped}
  for i = 1, #HISTORY, 2 do
    names[#names + 1] = HISTORY[i]
  end
  for i, value in ipairs(call('HMGET', job.key, unpack(names))) do
    if value then
      out[#out + 1], out[#out + 2] = HISTORY[2 * i], value
    end
  end
  local key = 'jobs:' .. string.match(KEYS[1], '{jobs:(.*)}:$') .. ':' .. job.id
  call('HSET', key, unpack(out))
  call('SADD', set, key)
end

-- To a registry of what has ended, for `ttl` seconds; below 0: for ever. What has finished needs its secrets no more. A function that RQ's client wants to
-- have gone with its end goes when it is nobody's any more.
local function to_end(job, kind, status, ttl)
  if status == 'finished' then
    call('HDEL', job.key, 'platoon.secrets')
  end
  job.forget = job.func and ttl == 0 and kind ~= 'canceled'
  if not job.forget then
    call('ZADD', registry(kind, job.queue), ttl < 0 and '+inf' or seconds(now + ttl * 1000), job.id)
  end
  if kind ~= 'canceled' then
    release(job, status == 'finished') -- before it has ended: a call that is refused in between does it again
  end
  to_history(job, status)
  call('HSET', job.key, 'status', status, 'ended_at', stamped, 'platoon.over', '1')
  count_end(job, status)
  for _, key in ipairs(ttl < 0 and {} or job.func and {job.key, job.key .. ':dependents', JOB .. ':' .. job.id .. ':dependencies'} or {job.key}) do
    call('PEXPIRE', key, num(ttl * 1000 + GRACE * 1000))
  end
end

-- An entry of rq:results, as RQ's clients read it: its field, return_value or exc_string, and value. What was stopped is a failure there, with a reason.
local RESULTS = {finished = '1', failed = '2', stopped = '2', retry = '4'}
local function record(job, how, field, value)
  local kind = how == 'failed' and field == 'return_value' and '5' or RESULTS[how]
  local key, ttl = 'rq:results:' .. job.id, how == 'finished' and job.result_ttl or job.failure_ttl
  call('XADD', key, 'MAXLEN', '10', '*', 'type', kind, 'created_at', clock[1] .. format('.%06d', now_us), 'worker_name', job.worker or '', field, value)
  if ttl >= 0 then
    call('PEXPIRE', key, num(ttl * 1000 + GRACE * 1000))
  else
    call('PERSIST', key)
  end
end

-- Why it has ended whom nobody can tell of any more: "canceled", "its sanjer died", as RQ has texts (zlib, base64), which Redis' Lua could not make.
local WHY_CANCELED, WHY_LOST = 'eJxLTsxLTs1JTQEADlADMA==', 'eJzLLClWKE7My0otUkjJTE0BAC3WBao='

-- What was to be stopped is, whoever ran it and whatever became of that.
local function stopped(job)
  call('HSET', job.key, 'platoon.cause', 'canceled', 'platoon.reason', 'canceled')
  to_end(job, 'failed', 'stopped', job.failure_ttl)
  record(job, 'stopped', 'exc_string', WHY_CANCELED)
  job.told = true
end

-- It is nobody's any more, and its queue may hand out again.
local function unblocked(job)
  if job.forget then
    call('UNLINK', job.key, 'rq:results:' .. job.id, job.key .. ':dependents', JOB .. ':' .. job.id .. ':dependencies')
    call('ZREM', JOBS, job.id)
  end
  call('ZREM', registry('wip', job.queue), job.id)
  give_turn(job.queue)
end
