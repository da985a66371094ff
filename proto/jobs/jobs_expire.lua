-- expire: queue, ... -> how many have gone
--
-- Ended jobs whose time is over go from the registries, and with them, when they are ours, their hashes and results. RQ's own hashes expire by themselves.
-- What RQ has canceled has no time of its own: it is given it, counted from the first time it is seen here; RQ's own jobs stay in that registry, as with RQ.
-- A page of each registry.
-- Again: the next.
local gone, kinds = 0, {finished = {finished = true}, failed = {failed = true, stopped = true}, canceled = {canceled = true}}
-- True when it has gone.
local function expire(set, kind, id)
  local job = job_of(id)
  local ours = job and job.platform
  if job and kind == 'canceled' and (not ours or call('PTTL', job.key) < 0) then
    if ours and job.status == 'canceled' and job.failure_ttl >= 0 then
      call('ZADD', set, seconds(now + job.failure_ttl * 1000), id)
      call('PEXPIRE', job.key, num(job.failure_ttl * 1000 + GRACE * 1000))
    end
    return false
  end
  if ours and kinds[kind][job.status] then
    call('UNLINK', job.key, 'rq:results:' .. id)
    call('ZREM', JOBS, id)
  end
  call('ZREM', set, id)
  return true
end

for _, queue in ipairs(ARGV) do
  for kind in pairs(kinds) do
    local set = registry(kind, queue)
    for _, id in ipairs(call('ZRANGEBYSCORE', set, '-inf', '(' .. seconds(now), 'LIMIT', '0', num(PAGE))) do
      gone = gone + (expire(set, kind, id) and 1 or 0)
    end
  end
end
return gone
