-- split: id, owner, delay, reason, attempts, seq... -> how many named members of this held claim became claims of their own, given
-- back after `delay`; -1 when the claim is not held by this owner. The claim goes with its last member.
--
-- Each starts with that many attempts, not with those of the whole: what happened to the whole is not its fault.
local id, owner, delay, reason = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local attempts = tonumber(ARGV[5])
if not held_by(id, owner) then
  return -1
end
local c = redis.call('HMGET', claim_key(id), 'at', 'members')
local named, kept, moved, now = {}, {}, 0, now_ms()
for i = 6, #ARGV do
  named[ARGV[i]] = true
end
open_when_full()
local new = take_numbers(#ARGV)
for _, m in ipairs(cmsgpack.unpack(c[2])) do
  if named[num(m[1])] then
    local part = num(new + moved)
    put_claim(part, '', '', attempts, tonumber(c[1]), {m}, now + delay)
    redis.call('HSET', claim_key(part), 'error', reason)
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
