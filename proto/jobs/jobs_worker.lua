-- worker: name, owners, queues (queues_of), pid, hostname, version, leaves (1|0) -> shown|gone|taken
--
-- A sanjer as a worker of RQ: in rq:workers, in rq:workers:Q of each queue, and in its hash, which goes by itself LIFE_MS after the last call. What it has
-- in hands claims and ends write there. owners: what all incarnations of it are named (PROTOCOL.md); taken: the name is another's. leaves: it goes at once.
-- Again: the same.
local LIFE_MS, QUEUES_MAX = 90000, 100
local key, owners, pid = WORKER .. ARGV[1], ARGV[2], ARGV[4]
local f = call('HMGET', key, 'platoon.owners', 'pid')
if f[1] ~= owners and call('EXISTS', key) == 1 then
  return 'taken'
end
local queues = queues_of(ARGV[3])
if ARGV[7] == '1' then
  for _, queue in ipairs(queues) do
    call('SREM', 'rq:workers:' .. queue, key)
  end
  call('SREM', 'rq:workers', key)
  call('UNLINK', key)
  return 'gone'
end
if f[2] ~= pid then
  call('HSET', key, 'birth', stamped, 'state', 'idle', 'pid', pid, 'platoon.owners', owners, 'hostname', ARGV[5], 'version', ARGV[6])
  call('HDEL', key, 'current_job', 'successful_job_count', 'failed_job_count', 'total_working_time')
end
local names = {}
for i = 1, min(#queues, QUEUES_MAX) do
  names[i] = queues[i]
  call('SADD', 'rq:workers:' .. queues[i], key)
end
call('HSET', key, 'last_heartbeat', stamped, 'queues', table.concat(names, ','))
local at = call('HMGET', key, 'state', 'current_job')
if at[2] and call('EXISTS', JOB .. at[2]) == 0 then
  worker_does(ARGV[1], 'idle') -- RQ has deleted it, and with a name of nothing no client of RQ's could show us
elseif at[1] ~= 'busy' then
  call('HSET', key, 'state', call('EXISTS', 'rq:suspended') == 1 and 'suspended' or 'idle')
end
call('SADD', 'rq:workers', key)
call('PEXPIRE', key, num(LIFE_MS))
return 'shown'
