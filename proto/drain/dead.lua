-- dead: id, owner, then pairs of seq, reason -> how many members of this held claim became dead letters; -1 when the claim is not
-- held by this owner. The claim goes with its last member.
local id, owner = ARGV[1], ARGV[2]
if not held_by(id, owner) then
  return -1
end
local c = redis.call('HMGET', claim_key(id), 'attempts', 'members')
local reasons, kept, moved, now = {}, {}, 0, now_ms()
for i = 3, #ARGV, 2 do
  reasons[ARGV[i]] = ARGV[i + 1]
end
open_when_full()
for _, m in ipairs(cmsgpack.unpack(c[2])) do
  local reason = reasons[num(m[1])]
  if reason then
    bury(m, reason, tonumber(c[1]), now)
    moved = moved + 1
  else
    kept[#kept + 1] = m
  end
end
if #kept == 0 then
  drop_claim(id)
elseif moved > 0 then
  set_members(id, kept)
end
return moved
