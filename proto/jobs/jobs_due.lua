-- due: queues (queues_of), weights, limits -> [how many have become due, ms until the next (-1: none waits for its time), how many wait in their queue, how many are run,
--   ms that the oldest of those has waited that are next in a queue (0 while rq suspend holds them)]
--
-- What is scheduled and due waits in its queue; of the queues of RQ's functions too, unless a scheduler of RQ's own has the lock of that queue: it does that
-- then. Functions that are not run here are left to it. Queues in which something waits that may run get a turn, so that what others have pushed is seen. A page of each queue; the time is 0 when there is more.
-- weights and limits are what claims go by from now on; without them, as before (jobs_take.lua, rules_of).
-- Should the list of all jobs or that of the queues be gone, the newest page of each place of RQ's makes it again.
-- Again: nothing.
local moved, wait, queued, running, oldest = 0, -1, 0, 0, now
local held = call('EXISTS', 'rq:suspended') == 1

-- How many wait, and since when; of functions that are not run here, and of what may not run now, nobody waits for us.
local function look(queue, may)
  queued, running = queued + call('LLEN', QUEUE .. queue), running + call('ZCARD', registry('wip', queue))
  for _, id in ipairs((held or not may) and {} or call('LRANGE', QUEUE .. queue, '0', num(AHEAD - 1))) do
    local f = call('HMGET', JOB .. id, 'platoon.platform', 'enqueued_at', 'status')
    local since = f[1] and f[3] == 'queued' and ms_of(f[2]) or 0
    oldest = since > 0 and min(oldest, since) or oldest
  end
end

local function sooner(ms)
  wait = wait < 0 and ms or min(wait, ms)
end

-- True when one of them is ours.
local function recall(ids)
  local ours = false
  for _, id in ipairs(ids) do
    local f = call('HMGET', JOB .. id, 'platoon.platform', 'created_at')
    if f[1] then
      call('ZADD', JOBS, num(ms_of(f[2])), id)
      ours = true
    end
  end
  return ours
end

local function recall_queue(queue)
  local ours = recall(call('LRANGE', QUEUE .. queue, num(-PAGE), '-1'))
  for _, kind in ipairs({'wip', 'scheduled', 'deferred', 'finished', 'failed', 'canceled'}) do
    ours = recall(call('ZREVRANGE', registry(kind, queue), '0', num(PAGE - 1))) or ours
  end
  if ours then
    call('ZADD', QUEUES, '0', queue)
  end
end

-- What its queues may be: of a template, all of RQ's whose names begin so.
local function candidates(of)
  if not is_template(of) then
    return queues_of(of)
  end
  local out, begins = {}, QUEUE .. string.sub(of, 1, -2)
  for _, key in ipairs(call('SMEMBERS', 'rq:queues')) do
    if string.sub(key, 1, #begins) == begins then
      out[#out + 1] = string.sub(key, #QUEUE + 1)
    end
  end
  return out
end

if call('EXISTS', JOBS, QUEUES) < 2 then
  for _, queue in ipairs(candidates(ARGV[1])) do
    recall_queue(queue)
  end
end

if ARGV[2] then
  local said = call('HMGET', RULES, 'weights', 'limits')
  if said[1] ~= ARGV[2] or said[2] ~= ARGV[3] then
    call('HSET', RULES, 'weights', ARGV[2], 'limits', ARGV[3])
  end
end
local rules = rules_of()
for _, queue in ipairs(queues_next(ARGV[1], 'due')) do
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
        to_queue(job, job.func and (job.front or (job.front_again and job.attempt > job.spared)))
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
  local may = share_of(queue, rules)
  if may then
    give_turn(queue)
  end
  look(queue, may)
end
return {moved, wait, queued, running, now - oldest}
