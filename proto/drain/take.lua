-- take: id, owner, lease -> 1 when this owner holds the claim (its lease is renewed, `via` is cleared), else 0: leave it alone.
local id, owner, lease = ARGV[1], ARGV[2], tonumber(ARGV[3])
if not held_by(id, owner) then
  return 0
end
open_when_full()
redis.call('HSET', claim_key(id), 'via', '')
redis.call('ZADD', CLAIMS, 'XX', num(now_ms() + lease), id)
return 1
