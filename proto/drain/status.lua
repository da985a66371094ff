-- status: consume, store, instance (or nothing) -> {pending, claimed, stored, redelivered, dead letters, age of the oldest claim (ms), claims, ms until the next claim is due
-- (-1: none), type of the set's key when it is no set, ms until the next is due of those that wait for their hashes (-1: none),
-- whose ledger it is when it is another's, 1 when it is to be signed (sign.lua)}. Reads only. Of many claims, the age is that of the oldest among
-- those first due: enough to see that something is stuck, without reading thousands.
local foreign, unsigned
if #ARGV > 0 then
  foreign, unsigned = whose(ARGV[1], ARGV[2], ARGV[3])
end
local pending = pcall('SCARD', SET)
local wrong = ''
if type(pending) == 'table' then
  if string.sub(pending.err, 1, 9) ~= 'WRONGTYPE' then
    error(refused(pending.err, 'SCARD', SET), 0)
  end
  pending = 0
  wrong = call('TYPE', SET).ok
end
local now = now_ms()
local stats = call('HMGET', STATS, 'claimed', 'stored', 'redelivered')
local oldest, due = 0, -1
for i, id in ipairs(call('ZRANGE', CLAIMS, 0, 99)) do
  if i == 1 then
    due = math.max(0, tonumber(call('ZSCORE', CLAIMS, id)) - now)
  end
  oldest = math.max(oldest, now - tonumber(call('HGET', claim_key(id), 'at') or now))
end
local waits = call('ZRANGE', WAITING, 0, 0, 'WITHSCORES')[2]
waits = waits and math.max(0, tonumber(waits) - now) or -1
return {pending, tonumber(stats[1] or 0), tonumber(stats[2] or 0), tonumber(stats[3] or 0), call('ZCARD', DEAD),
  oldest, call('ZCARD', CLAIMS) + call('ZCARD', WAITING), due, wrong, waits, foreign or '', unsigned and 1 or 0}
