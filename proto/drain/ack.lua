-- ack: id, stored -> 1; 0 when there is no such claim any more.
--
-- Whoever has the data durable may say so: the owner is not asked. Members of a claim only ever become fewer, except that a
-- missing one may be found (claim.lua), and a claim with a missing member is never acknowledged (get-hash splits it off).
local id, stored = ARGV[1], ARGV[2]
local keys, n = aside_keys(id)
if not keys then
  return 0
end
drop_claim(id)
for from = 1, #keys, CHUNK do
  redis.call('UNLINK', unpack(keys, from, math.min(from + CHUNK - 1, #keys)))
end
redis.call('HINCRBY', STATS, 'claimed', -n)
redis.call('HINCRBY', STATS, 'stored', stored)
return 1
