-- jobs_take.lua: the claim; behind jobs_lib.
--
-- Whose turn it is: queue/queue_turns, a facet being a queue of RQ's, its turns as many as its weight, and its share what is in its wip by its weight. Of
-- the first AHEAD ids of a queue the first is taken that is a job of ours, says that it waits, and is nowhere in flight; ids without a job, or of one that
-- does not wait, are dropped, up to PAGE in one claim, and do not count among those; what is a function of RQ's that is not run here stays where it is.
local AHEAD = 16

local function share_of(queue, rules)
  local rule = rules[queue] or {weight = 1}
  local flight = call('ZCARD', registry('wip', queue))
  if call('LLEN', QUEUE .. queue) == 0 or rule.weight == 0 or (rule.limit and flight >= rule.limit) then
    return false
  end
  return floor(flight / rule.weight)
end

-- The job, or nil; how many ids may be dropped yet.
local function first_of(queue, drops)
  local from = 0
  while from < AHEAD and drops > 0 do
    local ids = call('LRANGE', QUEUE .. queue, num(from), num(AHEAD - 1))
    if #ids == 0 then
      break
    end
    for _, id in ipairs(ids) do
      local job = job_of(id)
      if not job or job.status ~= 'queued' then
        call('LREM', QUEUE .. queue, '1', id)
        drops = drops - 1
      elseif job.platform and (not job.func or call('SISMEMBER', FUNCTIONS, queue) == 1) and not call('ZSCORE', registry('wip', queue), id) then
        job.queue = queue
        return job, drops
      else
        from = from + 1
      end
    end
  end
  return nil, drops
end

local function hold(job, owner, worker, lease)
  if job.strange then
    adopt(job)
  elseif job.over then
    job.spared, job.lost = job.attempt, 0 -- it has ended, and RQ's client has it wait again: as by our retry it begins anew
    call('HSET', job.key, 'platoon.spared', num(job.spared), 'platoon.lost', '0')
  end
  call('ZADD', registry('wip', job.queue), seconds(now + lease + GRACE * 1000), job.id)
  job.attempt = job.attempt + 1
  call('HSET', job.key, 'status', 'started', 'started_at', stamped, 'last_heartbeat', stamped, 'worker_name', worker, 'origin', job.queue,
    'platoon.owner', owner, 'platoon.attempt', num(job.attempt))
  call('HDEL', job.key, 'ended_at', 'exc_info')
  if job.attempt > 1 or job.over then -- what the attempt before has said and become is not this one's
    call('HDEL', job.key, 'platoon.stop', 'platoon.over', 'platoon.cause', 'platoon.reason', 'platoon.progress', 'platoon.traceback', 'platoon.meta',
      'platoon.result', 'platoon.output', 'platoon.output_end', 'platoon.exit_code', 'platoon.signal', 'platoon.oom', 'platoon.run_ms', 'platoon.cpu_ms',
      'platoon.max_rss_bytes')
  end
  call('PERSIST', job.key)
  call('LREM', QUEUE .. job.queue, '1', job.id)
end

-- [id, queue, attempt, its number among those that count, lost attempts, fields and values], or 'suspended', or false.
local function claim(owner, worker, lease)
  if call('EXISTS', 'rq:suspended') == 1 then
    worker_does(worker, 'suspended')
    return 'suspended'
  end
  local shares, rules = {}, rules_of()
  local t = turns_of(TURNS, false, PAGE, PAGE, shares, function(names)
    for _, name in ipairs(names) do
      shares[name] = share_of(name, rules)
    end
  end, function() end)
  local job, queue
  local drops = PAGE
  for _ = 1, PAGE do
    queue = turns_next(t)
    if not queue then
      break
    end
    job, drops = first_of(queue, drops)
    if job or drops <= 0 then
      break
    end
    turns_share(t, queue, false) -- another turn of its finds no more
  end
  if job then
    hold(job, owner, worker, lease)
    worker_does(worker, 'busy', job.id)
  end
  turns_write(t)
  if not job then
    worker_does(worker, 'idle')
    if queue then
      give_turn(queue) -- so much was to be dropped that there may be more behind it
    end
    return false
  end
  if share_of(job.queue, rules) then
    give_turn(job.queue) -- the one it had, and a step towards what its weight may have
    give_turn(job.queue)
  else
    take_turns(job.queue) -- nobody is to be woken for them
  end
  return {job.id, job.queue, job.attempt, job.attempt - job.spared, job.lost, call('HGETALL', job.key)}
end
