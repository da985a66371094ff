-- due: queue, ... -> [how many have become due, ms until the next (-1: none waits for its time)]
--
-- What is scheduled and due waits in its queue. Functions of RQ's are left to RQ's own scheduler. Queues in which something waits get a turn, so that
-- what others have pushed is seen. A page of each queue; the time is 0 when there is more.
-- Should the list of all jobs be gone, the newest page of each place of RQ's makes it again.
-- Again: nothing.
local moved, wait = 0, -1

local function sooner(ms)
  wait = wait < 0 and ms or min(wait, ms)
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

local function recall(ids)
  for _, id in ipairs(ids) do
    local f = call('HMGET', JOB .. id, 'platoon.platform', 'created_at')
    if f[1] then
      call('ZADD', JOBS, num(ms_of(f[2])), id)
    end
  end
end

if call('EXISTS', JOBS) == 0 then
  for _, queue in ipairs(ARGV) do
    recall(call('LRANGE', QUEUE .. queue, num(-PAGE), '-1'))
    for _, kind in ipairs({'wip', 'scheduled', 'deferred', 'finished', 'failed', 'canceled'}) do
      recall(call('ZREVRANGE', registry(kind, queue), '0', num(PAGE - 1)))
    end
  end
end

for _, queue in ipairs(ARGV) do
  local set, foreign = registry('scheduled', queue), 0
  local ids = call('ZRANGEBYSCORE', set, '-inf', seconds(now), 'LIMIT', '0', num(PAGE))
  for _, id in ipairs(ids) do
    local job = job_of(id)
    if job and not job.platform then
      foreign = foreign + 1
    else
      if job and job.status == 'scheduled' then
        job.queue = queue
        to_queue(job, false)
        moved = moved + 1
      end
      call('ZREM', set, id)
    end
  end
  if #ids == PAGE and foreign < PAGE then
    sooner(0)
  end
  local next = call('ZRANGEBYSCORE', set, '(' .. seconds(now), '+inf', 'WITHSCORES', 'LIMIT', '0', '1')
  if next[2] then
    sooner(max(0, math.ceil(tonumber(next[2]) * 1000 - now)))
  end
  give_turn(queue)
end
return {moved, wait}
