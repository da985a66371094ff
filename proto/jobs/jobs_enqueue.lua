-- enqueue: job, queue, due_ms (0: now), first (1|0), key, digest, field, value, ... -> [made|there|replayed|other, job]
--
-- A job that is there already is left as it is (there): so a schedule's, which is named by its due time, comes into being once. `key`, unless it
-- is empty, names this call for 24 hours: with the same digest it answers its job (replayed), with another nothing is done (other).
-- Again: there, or replayed. A call that Redis refused in the middle is taken up where it was.
local id, queue, due, first, key, digest = ARGV[1], ARGV[2], count_of(ARGV[3]), ARGV[4] == '1', ARGV[5], ARGV[6]
local seen = key ~= '' and call('GET', KEYS[1] .. 'key:' .. key)
if seen then
  local of, was = string.match(seen, '^(%S+) (.*)$')
  if was ~= digest then
    return {'other', of}
  end
  id = of
end
local status = call('HGET', JOB .. id, 'status')
if status and status ~= 'created' then
  return {seen and 'replayed' or 'there', id}
end
if key ~= '' and not seen then
  call('SET', KEYS[1] .. 'key:' .. key, id .. ' ' .. digest, 'PX', '86400000')
end
call('HSET', JOB .. id, 'status', 'created', 'origin', queue, 'created_at', stamped, unpack(ARGV, 7))
call('SADD', 'rq:queues', QUEUE .. queue)
call('ZADD', JOBS, num(now), id)
call('ZADD', QUEUES, '0', queue)
local job = {id = id, key = JOB .. id, queue = queue}
if due > now then
  call('ZADD', registry('scheduled', queue), seconds(due), id)
  call('HSET', job.key, 'status', 'scheduled')
else
  if status then
    call('LREM', QUEUE .. queue, '0', id)
  end
  to_queue(job, first)
end
return {'made', id}
