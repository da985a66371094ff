-- cancel: job, [worker] -> [canceled|stopping|STATUS|unknown, owner, 1 when this call has canceled it]
--
-- What waits is canceled at once. What runs is stopping: the next beat of `owner`, who is to be woken, says so; an rq worker is told as rq.command does it. What has ended stays as it is: its status.
-- Functions of RQ's are unknown. With a worker, as RQ names it: only what runs there; else unknown.
-- Again: the status; stopping.
local job = job_of(ARGV[1])
if not job or not job.platform or (ARGV[2] and (job.status ~= 'started' or call('HGET', job.key, 'worker_name') ~= ARGV[2])) then
  return {'unknown', ''}
elseif job.status == 'started' and is_rqs(job) then
  call('PUBLISH', 'rq:pubsub:' .. (job.worker or ''), '{"command": "stop-job", "job_id": ' .. cjson.encode(job.id) .. '}')
  return {'stopping', ''}
elseif job.status == 'started' then
  call('HSET', job.key, 'platoon.stop', '1')
  return {'stopping', job.owner}
elseif job.status ~= 'queued' and job.status ~= 'scheduled' and job.status ~= 'deferred' and job.status ~= 'created' then
  return {job.status, ''}
end
call('HSET', job.key, 'platoon.cause', 'canceled', 'platoon.reason', 'canceled')
to_end(job, 'canceled', 'canceled', job.failure_ttl)
call('LREM', QUEUE .. job.queue, '0', job.id)
call('ZREM', registry('scheduled', job.queue), job.id)
call('ZREM', registry('deferred', job.queue), job.id)
return {'canceled', '', 1}
