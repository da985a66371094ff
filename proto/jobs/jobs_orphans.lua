-- orphans: owner, lost_max, queues (queues_of) -> [[job, queue, queued|failed|stopped|canceled], ...]
--
-- What this incarnation had in hands, which is dead; of what ends with a colon all whose names begin so; with an empty one, what has a lease that is over. A job goes to the front of its queue; when it has been
-- lost more than lost_max times, or must not run twice, it has failed. One that RQ has canceled meanwhile is only taken out of wip.
-- What an rq worker has is its own. Is its lease over, RQ's clean-up fails it or has it tried again, and calls its callbacks; any rq worker does that, and
-- whoever looks at the registry. What nobody has cleaned up for ABANDONED_MS a call with an empty owner does: as RQ, but without callbacks.
-- What has stood between a queue and its rq worker for STUCK_S, and has not begun, goes to the front as well, with an empty owner; of a page of queues, LOOKS of each.
-- Again: nothing.
local ABANDONED_MS, STUCK_S, LOOKS, SCANNED = 900000, 60, 50, 100000
local owner, most, out = ARGV[1], count_of(ARGV[2]), {}

local function is_meant(job)
  return owner == '' or job.owner == owner or (string.sub(owner, -1) == ':' and string.sub(job.owner, 1, #owner) == owner)
end

local function times(count)
  return ' ' .. num(count) .. (count == 1 and ' time' or ' times')
end

local function fail(job, reason, why)
  call('HSET', job.key, 'platoon.cause', 'lost', 'platoon.reason', reason)
  to_end(job, 'failed', 'failed', job.failure_ttl)
  record(job, 'failed', 'exc_string', why)
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
  fail(job, 'its sanjer died' .. times(job.lost), WHY_LOST)
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
  fail(job, 'its rq worker died', WHY_DIED)
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

-- An rq worker of RQ 2 that has one queue only moves an id there before it says that it has it. Who dies in between leaves it to nobody.
local function is_begun(job)
  local wip = registry('wip', job.queue)
  for _, execution in ipairs(call('ZRANGE', 'rq:executions:' .. job.id, '0', '-1')) do
    if call('ZSCORE', wip, job.id .. ':' .. execution) then
      return true
    end
  end
  return call('ZSCORE', wip, job.id)
end

-- RQ notes when an id was first seen there, and keeps that for a day, also when it has gone on: what came into its queue later has been taken out of it
-- since, and is seen for the first time. Not by a clock that is ahead of ours, which would have it so each time.
local function is_stuck(seen, job)
  local since, queued = call('GET', seen), ms_of(call('HGET', job.key, 'enqueued_at')) / 1000
  local at = count_of(since, now / 1000)
  if not since or (at < queued and queued * 1000 <= now) then
    call('SET', seen, clock[1] .. format('.%06d', now_us), 'EX', '86400')
    return false
  end
  return now / 1000 - at > STUCK_S
end

-- It has not run: whether it may run twice is not asked, and what an end before has left does not count.
local function put_back(job)
  if job.strange then
    adopt(job)
  end
  if job.over then
    call('HSET', job.key, 'platoon.spared', num(job.attempt))
    call('HDEL', job.key, 'platoon.over')
    job.lost = 0
  end
  job.lost = job.lost + 1
  call('HSET', job.key, 'platoon.lost', num(job.lost))
  if job.lost <= most then
    to_queue(job, true)
    return 'queued'
  end
  fail(job, 'its rq worker died' .. times(job.lost), WHY_DIED)
  unblocked(job)
  return 'failed'
end

-- Whether it stands there and shall no more. Functions that are not run here are left to RQ.
local function is_over(job, here, seen)
  return not here or (not job.alien and not is_begun(job) and is_stuck(seen, job))
end

-- What waits in its queue as well is not put there twice: an rq worker would run it twice. That is looked for in the whole queue, so in a long one for few
-- of them at a time: about SCANNED ids are passed, or the queue once.
local function look_between(queue)
  local key, list, gone = QUEUE .. queue, QUEUE .. queue .. ':intermediate', {}
  local ids = call('LRANGE', list, '0', num(LOOKS - 1))
  local scans = #ids > 0 and max(1, floor(SCANNED / (call('LLEN', key) + 1))) or 0
  for _, id in ipairs(ids) do
    local job, seen = job_of(id), list .. ':first_seen:' .. id
    local here = job and job.queue == queue
    local waits = here and job.status == 'queued'
    if not gone[id] and (not waits or scans > 0) and is_over(job, here, seen) then
      if waits then
        scans = scans - 1
        if not call('LPOS', key, id) then
          out[#out + 1] = {id, queue, put_back(job)}
        end
      end
      call('LREM', list, '0', id)
      call('UNLINK', seen)
      gone[id] = true
    end
  end
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
for _, queue in ipairs(owner == '' and queues_next(ARGV[3], 'between') or {}) do
  look_between(queue)
end
return out
