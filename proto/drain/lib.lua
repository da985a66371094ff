-- lib.lua: what every ledger script shares; scripts/lib/embed puts it in front of each.
--
-- Arguments of every script: KEYS[1] the drain's prefix "platoon:{NAME}:", KEYS[2] the set. The keys below are made from
-- the prefix; all of them share its hash tag.
--
-- A script that fails half-way is not rolled back. So each reads (and thereby type-checks) what it needs before its first
-- write, and its first write is one of two kinds:
--   take_numbers    SET, which Redis refuses when it is full (OOM): for scripts that only add
--   open_when_full  ZREM of nothing, which Redis takes even when it is full; what follows in the same script is taken too
--                   (Redis decides OOM before a script's first write only): for scripts that finish what was begun, because
--                   finishing is what makes room
-- READONLY and a wrong type of `claims` show at that first write, before anything has changed.
local P = KEYS[1]
local SET = KEYS[2]
local SEQ, CLAIMS, DEAD, STATS = P .. 'seq', P .. 'claims', P .. 'dead', P .. 'stats'
-- Lua's unpack cannot take more (LUAI_MAXCSTACK is 8000).
local CHUNK = 4000
local NO_HASH = 'no hash'
-- States of a member in a claim: its hash is aside; there was none; it stays where it is (consume = keep); there was none, because
-- it was taken moments ago.
local ASIDE, MISSING, IN_PLACE, FOLLOWS = 0, 1, 2, 3

-- tostring would print a large number as 1.79e+15; %.0f does long division, which was a tenth of Redis' time.
local function num(n)
  return string.format('%d', n)
end

local function claim_key(id)
  return P .. 'claim:' .. id
end

local function aside_key(seq)
  return P .. 'aside:' .. num(seq)
end

local function dead_key(seq)
  return P .. 'dead:' .. num(seq)
end

local function now_us()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000000 + tonumber(t[2])
end

local function now_ms()
  return math.floor(now_us() / 1000)
end

local function open_when_full()
  redis.call('ZREM', CLAIMS, '')
end

-- n numbers in a row, larger than all before; returns the first. Never behind Redis' clock in microseconds: a Redis that has
-- lost its memory (FLUSHALL, a crash between two fsyncs) still gives newer numbers than those the store has seen, else
-- the store would refuse every later version of a record as old. 2^53 microseconds are 285 years.
--
-- The same when the clock was set back: the key holds "last clock ahead", and from then on the clock counts as so much ahead (with SLACK
-- more: what is lost may reach from before the step to behind it), until it has overtaken the numbers by itself.
local SLACK = 10 * 1000000
local function take_numbers(n)
  local last, clock, ahead = string.match(redis.call('GET', SEQ) or '0', '^(%d+) ?(%d*) ?(%d*)$')
  last, clock, ahead = tonumber(last), tonumber(clock) or 0, tonumber(ahead) or 0
  local now = now_us()
  if now < clock then
    ahead = ahead + clock - now + SLACK
  elseif now > last + SLACK then
    ahead = 0
  end
  local base = math.max(last, now + ahead)
  redis.call('SET', SEQ, num(base + n) .. ' ' .. num(now) .. ' ' .. num(ahead))
  return base + 1
end

-- "FIRST COUNT" when the members' hashes are all aside under numbers in a row, as those of a new claim mostly are: then their keys need no unpacking, a tenth of
-- Redis' time. Else ''. It holds for as long as the claim has so many members, so that a script which knows nothing of it and takes some out makes it void.
local function run_of(members)
  local first = #members > 0 and members[1][1]
  for i = 1, #members do
    local m = members[i]
    if m[3] ~= ASIDE or m[1] ~= first + i - 1 then
      return ''
    end
  end
  return first and num(first) .. ' ' .. num(#members) or ''
end

local function set_members(id, members)
  redis.call('HSET', claim_key(id), 'n', num(#members), 'members', cmsgpack.pack(members), 'run', run_of(members))
end

-- The keys of the hashes that a claim has aside; nil when there is no such claim. And how many members it has.
local function aside_keys(id)
  local c = redis.call('HMGET', claim_key(id), 'n', 'run')
  if not c[1] then
    return nil
  end
  local keys, format, aside = {}, string.format, P .. 'aside:'
  local first, count = string.match(c[2] or '', '^(%d+) (%d+)$')
  if count == c[1] then
    first = tonumber(first) - 1
    for i = 1, tonumber(count) do
      keys[i] = aside .. format('%d', first + i)
    end
    return keys, tonumber(c[1])
  end
  for _, m in ipairs(cmsgpack.unpack(redis.call('HGET', claim_key(id), 'members'))) do
    if m[3] == ASIDE then
      keys[#keys + 1] = aside_key(m[1])
    end
  end
  return keys, tonumber(c[1])
end

local function put_claim(id, owner, via, attempts, at, members, due)
  redis.call('HSET', claim_key(id), 'owner', owner, 'via', via, 'attempts', num(attempts), 'at', num(at))
  set_members(id, members)
  redis.call('ZADD', CLAIMS, num(due), id)
end

local function drop_claim(id)
  redis.call('ZREM', CLAIMS, id)
  redis.call('DEL', claim_key(id))
end

local function held_by(id, owner)
  return owner ~= '' and redis.call('HGET', claim_key(id), 'owner') == owner
end

-- Moves a member's hash aside. pcall, because after SPOP nothing may stop the script: no such key, or a key this user may
-- not touch, is a member without a hash. Without PERSIST the application's time to live would go on counting and the data
-- could vanish before it is stored. The set and our own keys are nobody's hash.
local function move_aside(member, seq)
  if member == SET or string.sub(member, 1, #P) == P then
    return MISSING
  end
  local key = aside_key(seq)
  local moved = redis.pcall('RENAME', member, key)
  if moved.err then
    return MISSING
  end
  redis.call('PERSIST', key)
  return ASIDE
end

-- One member becomes a dead letter, with its data when that is aside. The caller takes it out of its claim.
local function bury(m, reason, attempts, now)
  local seq, member, has_data = m[1], m[2], '0'
  if m[3] == ASIDE and redis.call('EXISTS', aside_key(seq)) == 1 then
    redis.call('RENAME', aside_key(seq), dead_key(seq) .. ':data')
    has_data = '1'
  end
  redis.call('HSET', dead_key(seq), 'member', member, 'reason', reason, 'attempts', num(attempts), 'at', num(now),
    'has_data', has_data)
  redis.call('ZADD', DEAD, num(now), num(seq))
  redis.call('HINCRBY', STATS, 'claimed', -1)
  redis.call('HINCRBY', STATS, 'dead', 1)
end

-- A claim's scheduled return: nobody's, at `due`.
local function give_back(id, attempts, due)
  redis.call('HSET', claim_key(id), 'owner', '', 'via', '', 'attempts', num(math.max(attempts, 0)))
  redis.call('ZADD', CLAIMS, num(due), id)
end

-- Numbers of dead letters named by the arguments from `from` on; without any, the oldest `limit`.
local function named_letters(from, limit)
  if #ARGV < from then
    return redis.call('ZRANGE', DEAD, 0, limit - 1)
  end
  local found = {}
  for i = from, #ARGV do
    if redis.call('ZSCORE', DEAD, ARGV[i]) then
      found[#found + 1] = ARGV[i]
    end
  end
  return found
end
