-- orphans: owner, lost_max, queues (queues_of) -> [[job, queue, queued|failed|stopped|canceled], ...]
--
-- What this incarnation had in hands, which is dead; of what ends with a colon all whose names begin so; with an empty one, what has a lease that is over. A job goes to the front of its queue; when it has been
-- lost more than lost_max times, or must not run twice, it has failed. One that RQ has canceled meanwhile is only taken out of wip.
-- Again: nothing.
local owner, most, out = ARGV[1], count_of(ARGV[2]), {}

local function is_meant(job)
  if job.func and (job.owner == '' or job.ended == job.attempt) then
    return false -- RQ's own worker has it, which has leases of its own
  end
  return owner == '' or job.owner == owner or (string.sub(owner, -1) == ':' and string.sub(job.owner, 1, #owner) == owner)
end

local function lose(job)
  if job.stop then
    stopped(job)
    return 'stopped'
  end
  job.lost = job.lost + 1
  call('HSET', job.key, 'platoon.lost', num(job.lost))
  if job.lost <= most and job.rerun then
    to_queue(job, true)
    return 'queued'
  end
  call('HSET', job.key, 'platoon.cause', 'lost', 'platoon.reason', 'its sanjer died ' .. num(job.lost) .. (job.lost == 1 and ' time' or ' times'))
  to_end(job, 'failed', 'failed', job.failure_ttl)
  return 'failed'
end

for _, queue in ipairs(queues_of(ARGV[3])) do
  local wip = registry('wip', queue)
  local ids = owner ~= '' and call('ZRANGE', wip, '0', '-1') or
    call('ZRANGEBYSCORE', wip, '-inf', seconds(now + GRACE * 1000), 'LIMIT', '0', num(PAGE))
  for _, id in ipairs(ids) do
    local job = job_of(id)
    if not job and call('SISMEMBER', FUNCTIONS, queue) == 1 then
      call('ZREMRANGEBYSCORE', wip, '-inf', '(' .. seconds(now)) -- RQ 2 has other names than jobs' there, each with its time
    elseif not job then
      unblocked({id = id, queue = queue})
    elseif job.platform and is_meant(job) then
      job.queue = queue
      local what = job.status == 'started' and job.ended ~= job.attempt and lose(job) or 'canceled'
      call('HSET', job.key, 'platoon.ended', num(job.attempt))
      unblocked(job)
      out[#out + 1] = {id, queue, what}
    end
  end
end
return out
