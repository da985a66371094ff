-- dead: id, owner, then pairs of seq, reason -> how many members of this held claim became dead letters; -1 when the claim is not
-- held by this owner. The claim goes with its last member.
local id, owner = ARGV[1], ARGV[2]
if not held_by(id, owner) then
  return -1
end
local c = call('HMGET', claim_key(id), 'attempts', 'members')
local reasons, now = {}, now_ms()
for i = 3, #ARGV, 2 do
  reasons[ARGV[i]] = ARGV[i + 1]
end
open_when_full()
try('claims', 'write', 'clear', 'forget', 'count', 'there', 'letters', 'letter')
try_rename()
return leave_claim(id, c[2], function(m)
  local reason = reasons[num(m[1])]
  if reason then
    bury(m, reason, tonumber(c[1]), now)
  end
  return reason
end)
