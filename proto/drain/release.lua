-- release: id, owner, delay, reason, blame -> 1 when this owner held the claim and gave it back for `delay` ms, else 0.
-- Without blame the hand-out does not count.
local id, owner, delay, reason, blame = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5])
if not held_by(id, owner) then
  return 0
end
local attempts = tonumber(call('HGET', claim_key(id), 'attempts'))
local due = now_ms() + delay
open_when_full()
try('claims', 'write', 'clear')
give_back(id, attempts - 1 + blame, due)
if blame == 1 and reason ~= '' then
  call('HSET', claim_key(id), 'error', reason)
end
return 1
