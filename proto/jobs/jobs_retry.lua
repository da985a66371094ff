-- retry: job -> queued|STATUS|unknown
--
-- What has failed, was stopped or canceled waits again, last in its queue, with all its attempts before it; what it has cost so far is forgotten. Of all else
-- the status. Functions of RQ's are unknown.
-- Again: its status, which is queued.
local job = job_of(ARGV[1])
if not job or not job.platform then
  return 'unknown'
elseif job.status ~= 'failed' and job.status ~= 'stopped' and job.status ~= 'canceled' then
  return job.status
elseif call('ZSCORE', registry('wip', job.queue), job.id) then
  return 'started' -- RQ has canceled it, and whoever runs it has not heard of that yet
end
call('PERSIST', job.key)
call('HSET', job.key, 'platoon.spared', num(job.attempt), 'platoon.lost', '0')
call('HDEL', job.key, 'ended_at', 'exc_info', 'platoon.over', 'platoon.cause', 'platoon.reason', 'platoon.stop')
to_queue(job, false)
call('ZREM', registry('failed', job.queue), job.id)
call('ZREM', registry('canceled', job.queue), job.id)
return 'queued'
