-- renew: owner, lease, id... -> array of those ids that this owner does not hold any more.
local owner, due = ARGV[1], num(now_ms() + tonumber(ARGV[2]))
local lost = {}
open_when_full()
try('claims', 'owner')
for i = 3, #ARGV do
  if held_by(ARGV[i], owner) then
    call('ZADD', CLAIMS, 'XX', due, ARGV[i])
  else
    lost[#lost + 1] = ARGV[i]
  end
end
return lost
