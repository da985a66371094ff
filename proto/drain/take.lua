-- take: id, owner, lease -> 1 when this owner holds the claim (its lease is renewed, `via` is cleared), else 0: leave it alone.
local id, owner, lease = ARGV[1], ARGV[2], tonumber(ARGV[3])
if not held_by(id, owner) then
  return 0
end
local due = now_ms() + lease
open_when_full()
try('claims', 'write', 'clear')
call('HSET', claim_key(id), 'via', '')
call('ZADD', CLAIMS, 'XX', num(due), id)
return 1
