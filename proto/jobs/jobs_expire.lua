-- expire: queues (queues_of) -> how many have gone
--
-- Ended jobs whose time is over go from the registries, and with them, when they are ours, their hashes and results. RQ's own hashes expire by themselves.
-- What RQ has canceled has no time of its own: it is given it, counted from the first time it is seen here; RQ's own jobs stay in that registry, as with RQ.
-- A page of each registry. RQ's mark of what is kept for ever, -1, is no time. Of what others have deleted our list is rid by and by: LOOKS of it each time.
-- A queue that a template has made, and in which nothing is any more, is none any more.
-- Again: the next.
local LOOKS = 100
local gone, kinds = 0, {finished = {finished = true}, failed = {failed = true, stopped = true}, canceled = {canceled = true}}
-- True when it has gone.
local function expire(set, kind, id)
  local job = job_of(id)
  local ours = job and job.platform and not (kind == 'canceled' and job.func)
  if job and kind == 'canceled' and (not ours or call('PTTL', job.key) < 0) then
    if ours and job.status == 'canceled' and job.failure_ttl >= 0 then
      call('ZADD', set, seconds(now + job.failure_ttl * 1000), id)
      call('PEXPIRE', job.key, num(job.failure_ttl * 1000 + GRACE * 1000))
    end
    return false
  end
  if ours and kinds[kind][job.status] then
    call('UNLINK', job.key, 'rq:results:' .. id)
  end
  if ours or not job then
    call('ZREM', JOBS, id)
  end
  call('ZREM', set, id)
  return true
end

local function prune(queue)
  if call('EXISTS', QUEUE .. queue, registry('wip', queue), registry('scheduled', queue), registry('deferred', queue), registry('finished', queue),
    registry('failed', queue), registry('canceled', queue)) == 0 then
    call('SREM', 'rq:queues', QUEUE .. queue)
    call('ZREM', QUEUES, queue)
    call('UNLINK', 'rq:workers:' .. queue)
  end
end

for _, queue in ipairs(queues_next(ARGV[1], 'expire')) do
  for kind in pairs(kinds) do
    local set = registry(kind, queue)
    for _, id in ipairs(call('ZRANGEBYSCORE', set, '0', '(' .. seconds(now), 'LIMIT', '0', num(PAGE))) do
      gone = gone + (expire(set, kind, id) and 1 or 0)
    end
  end
  if call('ZSCORE', QUEUES, queue) and is_template(ARGV[1]) then
    prune(queue)
  end
end
for _, id in ipairs(call('ZRANDMEMBER', JOBS, num(LOOKS))) do
  if call('EXISTS', JOB .. id) == 0 then
    call('ZREM', JOBS, id)
  end
end
return gone
