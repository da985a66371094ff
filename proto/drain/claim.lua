-- claim: batch, lease, owner, via, consume ("take" or "keep"), max_attempts, calm, full, missing_retry, store
--   -> {left, refusal} when there is nothing to hand out, else {left, id, attempts, n, members, again, suspect, refusal}
--
-- First a claim whose time has come (expired, orphaned or given back), else a new one. `suspect` marks a claim that may hold
-- what kills workers; with calm = 1 none of these is handed out, so that the caller has one at a time and an innocent
-- one is not blamed for its neighbour. full = 1 claims even when Redis answers OOM: draining is what makes room.
--
-- What has no hash is not handed out at all: it waits in a claim that look.lua looks at after `missing_retry`. So {left} may come with
-- members left: they are for the next call.
--
-- A member whose hash Redis does not let us have goes back to the set, and is no reason to leave the others: `refusal` names the last
-- of these, else it is ''. With nothing to hand out it says that the draw was in vain, and what was drawn at random is drawn again later.
local batch, lease, owner, via = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4]
local keep, max_attempts = ARGV[5] == 'keep', tonumber(ARGV[6])
local calm, full, missing_retry = ARGV[7] == '1', ARGV[8] == '1', tonumber(ARGV[9])
local store, instance = ARGV[10], string.match(via, '^[^:]*')
local foreign, unsigned = whose(ARGV[5], store, instance)
if foreign then
  error(foreign, 0)
end
local PARTS = 16
-- What was taken is remembered as long as the set is short enough to be claimed within that time.
local SLOT_MAX, NEAR = 50000, 20000
local now = now_ms()
-- A set that is none must not stop claims that were made before.
local left = pcall('SCARD', SET)
local wrong = type(left) == 'table' and refused(left.err, 'SCARD', SET) or nil

-- The application wrote a member's hash, we took it, then the application named the member: a member without a hash, and nothing is
-- missing. Only who claims between the two commands sees it, so a short memory is enough, and mostly there is none to be asked.
local memories
local function was_taken(member)
  if not memories then
    local slot = math.floor(now / SLOT_MS)
    memories = {}
    for _, key in ipairs({taken_key(slot), taken_key(slot - 1)}) do
      memories[#memories + 1] = call('EXISTS', key) == 1 and key or nil
    end
  end
  for _, key in ipairs(memories) do
    if call('SISMEMBER', key, member) == 1 then
      return true
    end
  end
  return false
end

local function add_all(key, members)
  for from = 1, #members, CHUNK do
    call('SADD', key, unpack(members, from, math.min(from + CHUNK - 1, #members)))
  end
end

-- Why the hash of a member that stays where it is cannot be read; nil when it can, or is not there, or is none.
local function may_not_read(member)
  local answer = pcall('HGET', member, '')
  return type(answer) == 'table' and not is_error(answer, 'WRONGTYPE') and refused(answer.err, 'HGETALL', member) or nil
end

-- All that a claim's way through the ledger needs: nothing is begun that could not be finished, and no hand-out is counted against members
-- because their worker may not do its work. Except UNLINK, which only the end of a claim needs: what is durable until then is safer than
-- what waits, and a get-hash whose claims do not end asks for no more of them.
local function try_all()
  take_numbers(0)
  try('claims', 'waiting', 'leave', 'write', 'count', 'clear', 'stay', 'read', 'size', 'kind', 'there', 'owner', 'letters', 'letter')
  try_rename()
  try_add(now)
  was_taken(P)
  if unsigned then
    sign(ARGV[5], store, instance)
  end
end

-- What may not be touched goes back to the set (add_all), on which SADD may be refused alone: tried with a member that it has, which changes
-- nothing.
local function try_back()
  local some = call('SRANDMEMBER', SET)
  if some then
    call('SADD', SET, some)
  end
end

-- All but the first part become claims of their own, due at once. A lone member gets at least one try of its own: it
-- must not die of what its neighbours did.
local function split(parts, attempts, at)
  local id = take_numbers(#parts)
  for i = 2, #parts do
    local tries = #parts[i] == 1 and math.min(attempts, max_attempts - 1) or attempts
    put_claim(num(id), '', '', tries, at, parts[i], now)
    id = id + 1
  end
  return parts[1]
end

local function hand_out(id)
  local c = call('HMGET', claim_key(id), 'attempts', 'n', 'members', 'error', 'at')
  if not c[3] then
    call('ZREM', CLAIMS, id)
    return nil
  end
  local attempts, n, err, at = tonumber(c[1]), tonumber(c[2]), c[4], tonumber(c[5])
  local suspect = attempts > 1 and err ~= NO_HASH
  if suspect and calm then
    return nil
  end
  local members = cmsgpack.unpack(c[3])
  local parts = parts_of(members, attempts > 0 and math.ceil(n / math.min(PARTS, n)) or n)
  open_when_full()
  try_all()
  if #members == 0 or (n == 1 and attempts >= max_attempts) then
    try('forget')
  end
  if #members == 0 then -- an older platoon was refused half-way: there is nothing in it
    drop_claim(id)
    return nil
  elseif err == NO_HASH then -- as an older platoon left it
    call('ZADD', WAITING, num(now), id)
    call('ZREM', CLAIMS, id)
    return nil
  end
  if n == 1 and attempts >= max_attempts then
    bury(members[1], err or ('its worker died ' .. num(attempts) .. ' times'), attempts, now)
    drop_claim(id)
    return nil
  elseif #parts > 1 then
    members = split(parts, attempts, at)
    if #members == 1 then
      attempts = math.min(attempts, max_attempts - 1)
    end
  end
  attempts = attempts + 1
  local packed = put_claim(id, owner, via, attempts, at, members, now + lease)
  call('HDEL', claim_key(id), 'error')
  call('HINCRBY', STATS, 'redelivered', 1)
  return {wrong and 0 or left, id, attempts, #members, packed, 1, suspect and 1 or 0, ''}
end

-- Up to n members, fewer when their names are long: the first few say how long names are here. And the bytes of their names.
local function pop(n)
  local popped, bytes, most = {}, 0, 8
  while #popped < n and bytes < CLAIM_BYTES do
    local some = call('SPOP', SET, num(math.min(most, n - #popped)))
    for i = 1, #some do
      popped[#popped + 1] = some[i]
      bytes = bytes + #some[i]
    end
    if #some == 0 then
      break
    end
    most = math.max(1, math.floor((CLAIM_BYTES - bytes) * #popped / (bytes + 1)))
  end
  return popped, bytes
end

for _, id in ipairs(call('ZRANGEBYSCORE', CLAIMS, '-inf', num(now), 'LIMIT', 0, 100)) do
  local answer = hand_out(id)
  if answer then
    return answer
  end
end

if wrong then
  error(wrong, 0)
end
local n = math.min(batch, left)
if n == 0 then
  return {left, ''}
end
if full then
  open_when_full()
end
-- A number for each member, and one for the claim.
local first = take_numbers(n + 1)
local id = num(first + n)
try_all()
if not keep then
  try_fields()
end
try_back()
call('SPOP', SET, 0)
local remember = not keep and left - n < NEAR and call('SCARD', taken_key(math.floor(now / SLOT_MS))) <= SLOT_MAX
-- From here on nothing may stop the script: members are in the set no more, and not yet in a claim.
local popped, bytes = pop(n)
-- What was moved is numbered from the first number on, in a row; what waits, from the last one down.
local members, taken, waiting, back, refusal = {}, {}, {}, {}, ''
for _, member in ipairs(popped) do
  local seq, state, why, no = first + #members, MISSING, nil, nil
  why = forbidden(member)
  if not why and keep then
    state, no = IN_PLACE, may_not_read(member)
  elseif not why then
    state, why, no = move_aside(member, seq)
  end
  if no then
    refusal = no
    back[#back + 1] = member
  elseif state == MISSING then
    waiting[#waiting + 1] = {first + n - 1 - #waiting, member, not why and was_taken(member) and FOLLOWS or MISSING}
  else
    taken[#taken + 1] = member
    members[#members + 1] = {seq, member, state}
  end
end
add_all(SET, back)
left = left - #popped + #back
call('HINCRBY', STATS, 'claimed', #members + #waiting)
for _, part in ipairs(parts_of(waiting, PART_MAX)) do
  put_waiting(num(part[1][1]), 1, now, part, now + missing_retry)
end
if #members == 0 then
  return {left, refusal}
end
if remember then
  add_all(taken_key(math.floor(now / SLOT_MS)), taken)
end
local parts = bytes <= CLAIM_BYTES and {members} or parts_of(members, n)
for i = 2, #parts do
  put_claim(num(parts[i][1][1]), '', '', 0, now, parts[i], now)
end
local packed = put_claim(id, owner, via, 1, now, parts[1], now + lease)
return {left, id, 1, #parts[1], packed, 0, 0, refusal}
