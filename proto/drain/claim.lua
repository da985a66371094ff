-- claim: batch, lease, owner, via, consume ("take" or "keep"), max_attempts, calm, full
--   -> {left} when there is nothing, else {left, id, attempts, n, members, again, suspect}
--
-- First a claim whose time has come (expired, orphaned or given back), else a new one. `suspect` marks a claim that may hold
-- what kills workers; with calm = 1 none of these is handed out, so that the caller has one at a time and an innocent
-- one is not blamed for its neighbour. full = 1 claims even when Redis answers OOM: draining is what makes room.
local batch, lease, owner, via = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4]
local keep, max_attempts = ARGV[5] == 'keep', tonumber(ARGV[6])
local calm, full = ARGV[7] == '1', ARGV[8] == '1'
local PARTS = 16
-- Members whose hash was taken are remembered for one to two slots, as long as the set is short enough to be claimed within that time.
local SLOT_MS, SLOT_MAX, NEAR = 5000, 50000, 20000
local now = now_ms()
-- A set that is none must not stop claims that were made before.
local left = redis.pcall('SCARD', SET)
local wrong = type(left) == 'table' and left or nil

local function taken_key(slot)
  return P .. 'taken:' .. num(slot)
end

-- The application wrote a member's hash, we took it, then the application named the member: a member without a hash, and nothing is
-- missing. Only who claims between the two commands sees it, so a short memory is enough.
local function was_taken(member)
  local slot = math.floor(now / SLOT_MS)
  return redis.call('SISMEMBER', taken_key(slot), member) == 1 or
    redis.call('SISMEMBER', taken_key(slot - 1), member) == 1
end

local function remember_taken(members)
  local key = taken_key(math.floor(now / SLOT_MS))
  if #members == 0 or redis.call('SCARD', key) > SLOT_MAX then
    return
  end
  for from = 1, #members, CHUNK do
    redis.call('SADD', key, unpack(members, from, math.min(from + CHUNK - 1, #members)))
  end
  redis.call('PEXPIRE', key, num(2 * SLOT_MS))
end

-- Looks again for hashes that were not there. What is found gets a new number: the old one may be older than a version of the
-- same record that was stored meanwhile, and the store would refuse it.
local function look_again(members)
  local found = 0
  for i = 1, #members do
    local m = members[i]
    if m[3] == MISSING or m[3] == FOLLOWS then
      local seq = take_numbers(1)
      if move_aside(m[2], seq) == ASIDE then
        members[i] = {seq, m[2], ASIDE}
        found = found + 1
      end
    end
  end
  return found
end

-- All but the first part become claims of their own, due at once. A lone member gets at least one try of its own: it
-- must not die of what its neighbours did.
local function split(members, attempts, at)
  local size = math.ceil(#members / math.min(PARTS, #members))
  local first, id = {}, take_numbers(PARTS)
  for from = 1, #members, size do
    local part = {}
    for i = from, math.min(from + size - 1, #members) do
      part[#part + 1] = members[i]
    end
    if from == 1 then
      first = part
    else
      local tries = #part == 1 and math.min(attempts, max_attempts - 1) or attempts
      put_claim(num(id), '', '', tries, at, part, now)
      id = id + 1
    end
  end
  return first
end

local function hand_out(id)
  local c = redis.call('HMGET', claim_key(id), 'attempts', 'n', 'members', 'error', 'at')
  if not c[3] then
    redis.call('ZREM', CLAIMS, id)
    return nil
  end
  local attempts, n, err, at = tonumber(c[1]), tonumber(c[2]), c[4], tonumber(c[5])
  local parted = attempts > 0 and n > 1
  local suspect = attempts > 1 and err ~= NO_HASH
  if suspect and calm then
    return nil
  end
  local members = cmsgpack.unpack(c[3])
  open_when_full()
  local found = look_again(members)
  if n == 1 and found == 1 then
    attempts = 0
  elseif n == 1 and attempts >= max_attempts and members[1][3] == FOLLOWS then
    redis.call('HINCRBY', STATS, 'claimed', -1)
    redis.call('HINCRBY', STATS, 'followed', 1)
    drop_claim(id)
    return nil
  elseif n == 1 and attempts >= max_attempts then
    bury(members[1], err or ('its worker died ' .. num(attempts) .. ' times'), attempts, now)
    drop_claim(id)
    return nil
  elseif parted then
    members = split(members, attempts, at)
    if #members == 1 then
      attempts = math.min(attempts, max_attempts - 1)
    end
  end
  attempts = attempts + 1
  put_claim(id, owner, via, attempts, at, members, now + lease)
  redis.call('HDEL', claim_key(id), 'error')
  redis.call('HINCRBY', STATS, 'redelivered', 1)
  return {wrong and 0 or left, id, attempts, #members, cmsgpack.pack(members), 1, suspect and 1 or 0}
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', CLAIMS, '-inf', num(now), 'LIMIT', 0, 100)) do
  local answer = hand_out(id)
  if answer then
    return answer
  end
end

if wrong then
  return wrong
end
local n = math.min(batch, left)
if n == 0 then
  return {left}
end
if full then
  open_when_full()
end
-- Everything that could be refused is written before a member is popped.
local first = take_numbers(n)
local id = num(first)
redis.call('HINCRBY', STATS, 'claimed', n)
put_claim(id, owner, via, 1, now, {}, now + lease)
local popped = redis.pcall('SPOP', SET, n)
if popped.err then
  redis.call('HINCRBY', STATS, 'claimed', -n)
  drop_claim(id)
  return popped
end
local members, taken = {}, {}
for i = 1, #popped do
  local seq, member = first + i - 1, popped[i]
  local state = keep and IN_PLACE or move_aside(member, seq)
  if state == ASIDE then
    taken[#taken + 1] = member
  elseif state == MISSING and was_taken(member) then
    state = FOLLOWS
  end
  members[i] = {seq, member, state}
end
if left - n < NEAR then
  remember_taken(taken)
end
local packed = cmsgpack.pack(members)
redis.call('HSET', claim_key(id), 'n', num(n), 'members', packed, 'run', #taken == n and id .. ' ' .. num(n) or '')
return {left - n, id, 1, n, packed, 0, 0}
