-- due: queue, ... -> [how many have become due, ms until the next (-1: none waits for its time)]
--
-- What is scheduled and due waits in its queue. Functions of RQ's are left to RQ's own scheduler. Queues in which something waits get a turn, so that
-- what others have pushed is seen. A page of each queue; the time is 0 when there is more.
-- Again: nothing.
local moved, wait = 0, -1

local function sooner(ms)
  wait = wait < 0 and ms or min(wait, ms)
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
