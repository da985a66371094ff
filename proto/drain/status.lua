-- status -> {pending, claimed, stored, redelivered, dead letters, age of the oldest claim (ms), claims, ms until the next claim is due
-- (-1: none), type of the set's key when it is no set}. Reads only. Of many claims, the age is that of the oldest among
-- those first due: enough to see that something is stuck, without reading thousands.
local pending = redis.pcall('SCARD', SET)
local wrong = ''
if type(pending) == 'table' then
  if string.sub(pending.err, 1, 9) ~= 'WRONGTYPE' then
    return pending
  end
  pending = 0
  wrong = redis.call('TYPE', SET).ok
end
local now = now_ms()
local stats = redis.call('HMGET', STATS, 'claimed', 'stored', 'redelivered')
local oldest, due = 0, -1
for i, id in ipairs(redis.call('ZRANGE', CLAIMS, 0, 99)) do
  if i == 1 then
    due = math.max(0, tonumber(redis.call('ZSCORE', CLAIMS, id)) - now)
  end
  oldest = math.max(oldest, now - tonumber(redis.call('HGET', claim_key(id), 'at') or now))
end
return {pending, tonumber(stats[1] or 0), tonumber(stats[2] or 0), tonumber(stats[3] or 0), redis.call('ZCARD', DEAD),
  oldest, redis.call('ZCARD', CLAIMS), due, wrong}
