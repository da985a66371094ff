-- ack: id, stored -> 1; 0 when there is no such claim any more.
--
-- Whoever has the data durable may say so: the owner is not asked. Members of a claim only ever become fewer, except that a
-- missing one may be found (claim.lua), and a claim with a missing member is never acknowledged (get-hash splits it off).
local id, stored = ARGV[1], ARGV[2]
local keys, n = aside_keys(id)
if not keys then
  return 0
end
-- The counters last, and all of it tried before: an ack that was refused is asked again, and must count once.
open_when_full()
try('forget', 'count')
for from = 1, #keys, CHUNK do
  call('UNLINK', unpack(keys, from, math.min(from + CHUNK - 1, #keys)))
end
drop_claim(id)
call('HINCRBY', STATS, 'claimed', -n)
call('HINCRBY', STATS, 'stored', stored)
return 1
