-- beat: job, queue, owner, attempt, lease_ms, field, value, ... -> held|stop|canceled|lost|gone
--
-- The lease is over so long from now, and the fields are the hash's. stop: it is to be ended, and is held until then; canceled: RQ has made it so meanwhile;
-- lost: it is somebody else's by now; gone: there is no such job any more. Of the last two nothing changes.
-- Again: the same.
local job = job_of(ARGV[1])
if not job then
  return 'gone'
elseif job.owner ~= ARGV[3] or job.attempt ~= count_of(ARGV[4]) or job.ended == job.attempt then
  return 'lost'
end
call('ZADD', registry('wip', ARGV[2]), 'XX', seconds(now + count_of(ARGV[5]) + GRACE * 1000), job.id)
call('HSET', job.key, 'last_heartbeat', stamped, unpack(ARGV, 6))
if job.status ~= 'started' then
  return 'canceled'
end
return job.stop and 'stop' or 'held'
