-- orphans: owner, lost_max, queues (queues_of) -> [[job, queue, queued|failed|stopped|canceled], ...]
--
-- What this incarnation had in hands, which is dead; of what ends with a colon all whose names begin so; with an empty one, what has a lease that is over. A job goes to the front of its queue; when it has been
-- lost more than lost_max times, or must not run twice, it has failed. One that RQ has canceled meanwhile is only taken out of wip.
-- What an rq worker has is its own. Is its lease over, RQ's clean-up fails it or has it tried again, and calls its callbacks; any rq worker does that, and
-- whoever looks at the registry. What nobody has cleaned up for ABANDONED_MS a call with an empty owner does: as RQ, but without callbacks.
-- Again: nothing.
local ABANDONED_MS = 900000
local owner, most, out = ARGV[1], count_of(ARGV[2]), {}

local function is_meant(job)
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
  record(job, 'failed', 'exc_string', WHY_LOST)
  return 'failed'
end

-- Another has it as well, or has it by now.
local function is_elsewhere(wip, job, execution)
  for _, other in ipairs(execution and call('ZRANGE', 'rq:executions:' .. job.id, '0', '-1') or {}) do
    if other ~= execution then
      return true
    end
  end
  return execution and call('ZSCORE', wip, job.id)
end

-- Its pauses are over by now. "its rq worker died", as in jobs_lib.
local WHY_DIED = 'eJzLLClWKCpUKM8vyk4tUkjJTE0BAECGBsQ='
local function abandon(job)
  if job.strange then
    adopt(job)
  end
  local left = count_of(call('HGET', job.key, 'retries_left'))
  if left > 0 then
    call('HSET', job.key, 'retries_left', num(left - 1))
    to_queue(job, job.front_again)
    return 'queued'
  end
  call('HSET', job.key, 'platoon.cause', 'lost', 'platoon.reason', 'its rq worker died')
  to_end(job, 'failed', 'failed', job.failure_ttl)
  record(job, 'failed', 'exc_string', WHY_DIED)
  return 'failed'
end

-- entry: its id, or with RQ 2 that and behind a colon `execution`'s. nil: it is left as it is.
local function clean(wip, entry, job, execution)
  local runs = job.status == 'started' and not is_elsewhere(wip, job, execution)
  if not job.func or owner ~= '' or count_of(call('ZSCORE', wip, entry)) * 1000 >= now - (runs and ABANDONED_MS or 0) then
    return nil
  end
  local what = runs and abandon(job) or nil
  call('ZREM', wip, entry)
  if runs then
    unblocked(job)
  end
  return what
end

-- The job of an entry of wip, and which execution of RQ 2's it is.
local function job_of_entry(entry)
  local job = job_of(entry)
  if job then
    return job
  end
  local id, execution = string.match(entry, '^(.+):([^:]+)$')
  return id and job_of(id), execution
end

for _, queue in ipairs(queues_of(ARGV[3])) do
  local wip = registry('wip', queue)
  local ids = owner ~= '' and call('ZRANGE', wip, '0', '-1') or
    call('ZRANGEBYSCORE', wip, '-inf', seconds(now + GRACE * 1000), 'LIMIT', '0', num(PAGE))
  for _, id in ipairs(ids) do
    local job, execution = job_of_entry(id)
    if not job then
      unblocked({id = id, queue = queue})
    elseif execution or is_rqs(job) then
      job.queue = queue
      local what = clean(wip, id, job, execution)
      if what then
        out[#out + 1] = {job.id, queue, what}
      end
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
