-- look: max_attempts, missing_retry, most -> {members looked at, hashes found, ms until the next waiting claim is due (-1: none), refusal}
--
-- Looks again for the hashes of the members that wait for theirs and are due, some `most` of them. What is found becomes a claim, due
-- now. What is not waits on, or has been looked for max_attempts times. Here and not by claims that are handed out: thousands of names
-- without a hash would hold all claims there may be, and whoever has one would wait behind them.
--
-- A member whose hash Redis does not let us have waits on, however often: a refusal is no look, and such members become a claim of their own,
-- whose attempts are not counted. `refusal` names the last of these, else it is ''.
local max_attempts, missing_retry, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local now, refusal = now_ms(), ''
-- Until a claim with a member that was refused is looked at again.
local REFUSED_MS = 2000

-- The member as it is found; else nil, and why there is nothing to be waited for, or why Redis refuses it. What was moved gets a new number: the old one may be
-- older than a version of the same record that was stored meanwhile, and the store would refuse it. An error is no answer: who is
-- handed the member will be told.
local function find(m, number)
  local why = forbidden(m[2])
  if why then
    return nil, why
  elseif m[3] == MISSING or m[3] == FOLLOWS then
    local state, reason, no = move_aside(m[2], number)
    return state == ASIDE and {number, m[2], ASIDE} or nil, reason, no
  end
  return pcall('EXISTS', m[3] == ASIDE and aside_key(m[1]) or m[2]) ~= 0 and m or nil
end

local function look(id)
  local c = call('HMGET', claim_key(id), 'attempts', 'members', 'at')
  if not c[2] then
    call('ZREM', WAITING, id)
    return 0, 0
  end
  local attempts, members, at = tonumber(c[1]), cmsgpack.unpack(c[2]), tonumber(c[3])
  local number, found, kept, refused_ones = take_numbers(2 * #members), {}, {}, {}
  call('HSET', claim_key(id), 'attempts', num(attempts + 1))
  call('ZADD', WAITING, num(now + missing_retry), id)
  for i, m in ipairs(members) do
    local there, why, no = find(m, number + i)
    if there then
      found[#found + 1] = there
    elseif no then
      refused_ones[#refused_ones + 1] = m
      refusal = no
    elseif not why and attempts < max_attempts then
      kept[#kept + 1] = m
    elseif not why and m[3] == FOLLOWS then
      call('HINCRBY', STATS, 'claimed', -1)
      call('HINCRBY', STATS, 'followed', 1)
    else
      bury(m, why or NO_HASH, attempts, now)
    end
  end
  for i, part in ipairs(parts_of(found, PART_MAX)) do
    put_claim(num(number + #members + i - 1), '', '', 0, at, part, now)
  end
  if #refused_ones > 0 then
    put_waiting(num(number), attempts, at, refused_ones, now + math.max(missing_retry, REFUSED_MS))
  end
  if #kept == 0 then
    call('ZREM', WAITING, id)
    call('UNLINK', claim_key(id))
  elseif #kept < #members then
    set_members(id, kept)
  end
  return #members, #found
end

local looked, found = 0, 0
for i, id in ipairs(call('ZRANGEBYSCORE', WAITING, '-inf', num(now), 'LIMIT', 0, 100)) do
  if i == 1 then
    open_when_full()
    call('ZRANGE', WAITING, 0, 0) -- asked for again in the end
    try('claims', 'waiting', 'write', 'clear', 'forget', 'count', 'stay', 'size', 'kind', 'there', 'letters', 'letter')
    try_rename()
    try_fields()
  end
  if looked < most then
    local l, f = look(id)
    looked, found = looked + l, found + f
  end
end
local due = call('ZRANGE', WAITING, 0, 0, 'WITHSCORES')[2]
return {looked, found, due and math.max(0, tonumber(due) - now) or -1, refusal}
