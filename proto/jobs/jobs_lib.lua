-- jobs_lib.lua: what every script of the jobs shares; behind redis/call and queue/queue_turns.
--
-- KEYS[1] is what our own keys begin with, "platoon:{jobs:etlas}:"; all others are RQ's (JOBS.md). Of a job RQ has its state: each is in
-- exactly one of the list, wip, scheduled, deferred, finished, failed, canceled of its queue. Fields of ours are `platoon.*` of its hash.
--
-- Redis does not roll a script back, and may refuse any command of it. So a job comes to where it shall be before it goes from where it is, and what
-- is there twice is claimed once, because its hash says so.
local JOB, QUEUE, TURNS, JOBS = 'rq:job:', 'rq:queue:', KEYS[1] .. 'turns', KEYS[1] .. 'jobs'
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

-- One turn of each queue in which something waits, whatever has brought it there; again: nothing.
local function give_turn(queue)
  if call('LLEN', QUEUE .. queue) > 0 and not call('LPOS', TURNS, queue) then
    call('LPUSH', TURNS, queue)
  end
end

-- What the scripts decide by; nil: there is no such job, or it is not ours (platform: nil).
local function job_of(id)
  local f = call('HMGET', JOB .. id, 'status', 'origin', 'platoon.platform', 'platoon.owner', 'platoon.attempt', 'platoon.spared', 'platoon.lost',
    'platoon.ended', 'platoon.rerun', 'result_ttl', 'failure_ttl', 'platoon.stop')
  if not f[1] then
    return nil
  end
  return {id = id, key = JOB .. id, status = f[1], queue = f[2] or '', platform = f[3], owner = f[4] or '', attempt = count_of(f[5]),
    spared = count_of(f[6]), lost = count_of(f[7]), ended = count_of(f[8]), rerun = f[9] ~= '0', result_ttl = count_of(f[10], 500),
    failure_ttl = count_of(f[11], 31536000), stop = f[12]}
end

-- To the list of its queue, first or last.
local function to_queue(job, first)
  if first then
    call('LPUSH', QUEUE .. job.queue, job.id)
  else
    call('RPUSH', QUEUE .. job.queue, job.id)
  end
  call('HSET', job.key, 'status', 'queued', 'enqueued_at', stamped)
  give_turn(job.queue)
end

-- One more end of its platform on this day (UTC); days are kept for STATS_DAYS.
local STATS_DAYS = 400
local function count_end(job, status)
  local key = KEYS[1] .. 'stats:' .. string.sub(stamped, 1, 10)
  call('HINCRBY', key, status .. ' ' .. (job.platform or ''), '1')
  call('PEXPIRE', key, num(STATS_DAYS * 86400000))
end

-- To a registry of what has ended, for `ttl` seconds; below 0: for ever. What has finished needs its secrets no more.
local function to_end(job, kind, status, ttl)
  if status == 'finished' then
    call('HDEL', job.key, 'platoon.secrets')
  end
  call('ZADD', registry(kind, job.queue), ttl < 0 and '+inf' or seconds(now + ttl * 1000), job.id)
  call('HSET', job.key, 'status', status, 'ended_at', stamped)
  count_end(job, status)
  if ttl >= 0 then
    call('PEXPIRE', job.key, num(ttl * 1000 + GRACE * 1000))
  end
end

-- What was to be stopped is, whoever ran it and whatever became of that.
local function stopped(job)
  call('HSET', job.key, 'platoon.cause', 'canceled', 'platoon.reason', 'canceled')
  to_end(job, 'failed', 'stopped', job.failure_ttl)
end

-- It is nobody's any more, and its queue may hand out again.
local function unblocked(job)
  call('ZREM', registry('wip', job.queue), job.id)
  give_turn(job.queue)
end
