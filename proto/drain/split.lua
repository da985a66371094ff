-- split: id, owner, delay, attempts, seq... -> how many named members of this held claim, whose hashes were not there, wait for them now, to
-- be looked for after `delay` (look.lua); -1 when the claim is not held by this owner. The claim goes with its last member.
--
-- They start with that many attempts, not with those of the whole: what happened to the whole is not their fault.
local id, owner, delay = ARGV[1], ARGV[2], tonumber(ARGV[3])
local attempts = tonumber(ARGV[4])
if not held_by(id, owner) then
  return -1
end
local c = call('HMGET', claim_key(id), 'at', 'members')
local named, waiting, now = {}, {}, now_ms()
for i = 5, #ARGV do
  named[ARGV[i]] = true
end
open_when_full()
try('claims', 'waiting', 'write', 'clear', 'forget')
local new = take_numbers(#ARGV)
for _, m in ipairs(cmsgpack.unpack(c[2])) do
  if named[num(m[1])] then
    waiting[#waiting + 1] = m
  end
end
for i, part in ipairs(parts_of(waiting, PART_MAX)) do
  put_waiting(num(new + i - 1), attempts, tonumber(c[1]), part, now + delay)
end
return leave_claim(id, c[2], function(m)
  return named[num(m[1])]
end)
