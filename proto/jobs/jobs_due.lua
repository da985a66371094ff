-- due: queue, ... -> [how many have become due, ms until the next (-1: none waits for its time), how many wait in their queue, how many are run,
--   ms that the oldest of those has waited that are next in a queue (0 while rq suspend holds them)]
--
-- What is scheduled and due waits in its queue; of the queues of RQ's functions too, unless a scheduler of RQ's own has the lock of that queue: it does that
-- then. Functions that are not run here are left to it. Queues in which something waits get a turn, so that what others have pushed is seen. A page of each queue; the time is 0 when there is more.
-- Should the list of all jobs be gone, the newest page of each place of RQ's makes it again.
-- Again: nothing.
local AHEAD = 16
local moved, wait, queued, running, oldest = 0, -1, 0, 0, now
local held = call('EXISTS', 'rq:suspended') == 1

-- How many wait, and since when; of functions that are not run here nobody waits for us.
local function look(queue)
  queued, running = queued + call('LLEN', QUEUE .. queue), running + call('ZCARD', registry('wip', queue))
  for _, id in ipairs(held and {} or call('LRANGE', QUEUE .. queue, '0', num(AHEAD - 1))) do
    local f = call('HMGET', JOB .. id, 'platoon.platform', 'enqueued_at', 'status')
    local since = f[1] and f[3] == 'queued' and ms_of(f[2]) or 0
    oldest = since > 0 and min(oldest, since) or oldest
  end
end

local function sooner(ms)
  wait = wait < 0 and ms or min(wait, ms)
end

local function recall(ids)
  for _, id in ipairs(ids) do
    local f = call('HMGET', JOB .. id, 'platoon.platform', 'created_at')
    if f[1] then
      call('ZADD', JOBS, num(ms_of(f[2])), id)
    end
  end
end

local queues = queues_from(1)
if call('EXISTS', JOBS) == 0 then
  for _, queue in ipairs(queues) do
    recall(call('LRANGE', QUEUE .. queue, num(-PAGE), '-1'))
    for _, kind in ipairs({'wip', 'scheduled', 'deferred', 'finished', 'failed', 'canceled'}) do
      recall(call('ZREVRANGE', registry(kind, queue), '0', num(PAGE - 1)))
    end
  end
end

for _, queue in ipairs(queues) do
  local set, foreign = registry('scheduled', queue), 0
  local locked = call('EXISTS', 'rq:scheduler-lock:' .. queue) == 1
  local ids = call('ZRANGEBYSCORE', set, '-inf', seconds(now), 'LIMIT', '0', num(PAGE))
  for _, id in ipairs(ids) do
    local job = job_of(id)
    if job and (not job.platform or (job.func and locked)) then
      foreign = foreign + 1
    else
      if job and job.status == 'scheduled' then
        job.queue = queue
        to_queue(job, job.func and job.front)
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
  look(queue)
end
return {moved, wait, queued, running, now - oldest}
