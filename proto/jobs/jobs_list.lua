-- list: queue, limit, status -> [how many there are, [[id, [field, value, ...]], ...]]
--
-- The newest jobs of ours, by their ids, which begin with the time when they were made; of one status only, unless it is empty. Of each place the last `limit`
-- are looked at: what has ended stands there in the order of its end.
-- Again: the same.
local queue, limit, wanted = ARGV[1], min(PAGE, count_of(ARGV[2])), ARGV[3]
local places = {'wip', 'scheduled', 'deferred', 'finished', 'failed', 'canceled'}
local of = {queued = {}, started = {'wip'}, scheduled = {'scheduled'}, deferred = {'deferred'}, finished = {'finished'}, failed = {'failed'},
  stopped = {'failed'}, canceled = {'canceled'}}
local ids, total = {}, 0

local function take(list)
  for _, id in ipairs(list) do
    ids[#ids + 1] = id
  end
end

if wanted == '' or wanted == 'queued' then
  total = total + call('LLEN', QUEUE .. queue)
  take(call('LRANGE', QUEUE .. queue, num(-limit), '-1'))
end
for _, place in ipairs(wanted == '' and places or of[wanted] or {}) do
  total = total + call('ZCARD', registry(place, queue))
  take(call('ZREVRANGE', registry(place, queue), '0', num(limit - 1)))
end
table.sort(ids, function(a, b) return a > b end)
local out = {}
for _, id in ipairs(ids) do
  local job = #out < limit and job_of(id)
  if job and job.platform and (wanted == '' or job.status == wanted) then
    out[#out + 1] = {id, call('HGETALL', job.key)}
  end
end
return {total, out}
