-- lib.lua: what every ledger script shares; scripts/lib/embed puts it in front of each, behind redis/call.lua.
--
-- Arguments of every script: KEYS[1] the drain's prefix "platoon:{NAME}:", KEYS[2] the set. The keys below are made from
-- the prefix; all of them share its hash tag.
--
-- A script that fails half-way is not rolled back, and Redis may refuse any command of it: by access rules, which it checks at each
-- call, by rename-command, because it is old. So each script tries, before it changes anything, what it may call later (`try`), and its
-- first write is one of two kinds:
--   take_numbers    SET, which Redis refuses when it is full (OOM): for scripts that only add
--   open_when_full  ZREM of nothing, which Redis takes even when it is full; what follows in the same script is taken too
--                   (Redis decides OOM before a script's first write only): for scripts that finish what was begun, because
--                   finishing is what makes room
-- READONLY and a wrong type of `claims` show at that first write, before anything has changed. While a script runs nobody changes
-- rights or types: what was tried once is not refused later. Only the members' own keys cannot be tried (move_aside).
local P = KEYS[1]
local SET = KEYS[2]
local SEQ, CLAIMS, DEAD, STATS = P .. 'seq', P .. 'claims', P .. 'dead', P .. 'stats'
local WAITING, ASIDES = P .. 'waiting', P .. 'aside:'
-- Lua's unpack cannot take more (LUAI_MAXCSTACK is 8000).
local CHUNK = 4000
local NO_HASH = 'no hash'
-- Most bytes of names in one claim: they travel in a frame (MESSAGE_FRAME_MAX), and a claim's 64 in the queue of one peer. One
-- longer name is a claim of its own; a name above NAME_MAX is nobody's. The smallest reply_max holds it twice: a claim whose answer no connection
-- takes would be the first to be handed out again, for ever.
local CLAIM_BYTES, NAME_MAX = 512 * 1024, 4 * 1024 * 1024
-- Most members in a claim that a script makes of members that left another.
local PART_MAX = 500
-- States of a member in a claim: its hash is aside; there was none; it stays where it is (consume = keep); there was none, because
-- it was taken moments ago.
local ASIDE, MISSING, IN_PLACE, FOLLOWS = 0, 1, 2, 3

-- A harmless call for each command, and for each kind of key of ours: the number 0 is nobody's. Also what get-hash asks for by itself,
-- so that nothing is claimed that could not be read. SET is tried by taking numbers.
local TRIES = {
  claims = {'ZADD', CLAIMS, 'XX', '0', ''},
  waiting = {'ZADD', WAITING, 'XX', '0', ''},
  leave = {'ZREM', CLAIMS, ''},
  forget = {'UNLINK', P .. 'claim:0'},
  write = {'HSET', STATS, 'ledger', '1'},
  count = {'HINCRBY', STATS, 'claimed', '0'},
  clear = {'HDEL', P .. 'claim:0', ''},
  stay = {'PERSIST', P .. 'aside:0'},
  read = {'HGETALL', P .. 'aside:0'},
  size = {'HLEN', P .. 'aside:0'},
  kind = {'TYPE', P .. 'aside:0'},
  there = {'EXISTS', P .. 'aside:0'},
  owner = {'HGET', P .. 'claim:0', 'owner'},
  letters = {'ZADD', DEAD, 'XX', '0', ''},
  letter = {'HDEL', P .. 'dead:0', ''},
}

local function try(...)
  for _, name in ipairs({...}) do
    call(unpack(TRIES[name]))
  end
end

-- Whether an error of RENAME says that there is no such key. All others say that it was not done, whatever there is.
local function is_absent(err)
  return find(err, 'no such key', 1, true) ~= nil
end

local function try_rename()
  local err = pcall('RENAME', P .. 'aside:0', P .. 'dead:0').err
  if err and not is_absent(err) then
    error(refused(err, 'RENAME', P .. 'aside:0'), 0)
  end
end

local function claim_key(id)
  return P .. 'claim:' .. id
end

local function aside_key(seq)
  return ASIDES .. format('%d', seq)
end

local function dead_key(seq)
  return P .. 'dead:' .. num(seq)
end

local function now_us()
  local t = call('TIME')
  return tonumber(t[1]) * 1000000 + tonumber(t[2])
end

local function now_ms()
  return math.floor(now_us() / 1000)
end

local function open_when_full()
  call('ZREM', CLAIMS, '')
end

-- n numbers in a row, larger than all before; returns the first. Never behind Redis' clock in microseconds: a Redis that has
-- lost its memory (FLUSHALL, a crash between two fsyncs) still gives newer numbers than those the store has seen, else
-- the store would refuse every later version of a record as old. 2^53 microseconds are 285 years.
--
-- The same when the clock was set back: the key holds "last clock ahead", and from then on the clock counts as so much ahead (with SLACK
-- more: what is lost may reach from before the step to behind it), until it has overtaken the numbers by itself.
local SLACK = 10 * 1000000
local function take_numbers(n)
  local last, clock, ahead = string.match(call('GET', SEQ) or '0', '^(%d+) ?(%d*) ?(%d*)$')
  last, clock, ahead = tonumber(last), tonumber(clock) or 0, tonumber(ahead) or 0
  local now = now_us()
  if now < clock then
    ahead = ahead + clock - now + SLACK
  elseif now > last + SLACK then
    ahead = 0
  end
  local base = math.max(last, now + ahead)
  call('SET', SEQ, num(base + n) .. ' ' .. num(now) .. ' ' .. num(ahead))
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

-- Returns them packed.
local function set_members(id, members)
  local packed = cmsgpack.pack(members)
  call('HSET', claim_key(id), 'n', num(#members), 'members', packed, 'run', run_of(members))
  return packed
end

-- The keys of the hashes that a claim has aside; nil when there is no such claim. And how many members it has.
local function aside_keys(id)
  local c = call('HMGET', claim_key(id), 'n', 'run')
  if not c[1] then
    return nil
  end
  local keys = {}
  local first, count = string.match(c[2] or '', '^(%d+) (%d+)$')
  if count == c[1] then
    first = tonumber(first) - 1
    for i = 1, tonumber(count) do
      keys[i] = aside_key(first + i)
    end
    return keys, tonumber(c[1])
  end
  for _, m in ipairs(cmsgpack.unpack(call('HGET', claim_key(id), 'members'))) do
    if m[3] == ASIDE then
      keys[#keys + 1] = aside_key(m[1])
    end
  end
  return keys, tonumber(c[1])
end

local function put_claim(id, owner, via, attempts, at, members, due)
  call('HSET', claim_key(id), 'owner', owner, 'via', via, 'attempts', num(attempts), 'at', num(at))
  call('ZADD', CLAIMS, num(due), id)
  return set_members(id, members)
end

-- A claim whose members have no hash: it is nobody's, and look.lua looks for them again when it is due.
local function put_waiting(id, attempts, at, members, due)
  call('HSET', claim_key(id), 'owner', '', 'via', '', 'attempts', num(attempts), 'at', num(at))
  set_members(id, members)
  call('ZADD', WAITING, num(due), id)
end

local function drop_claim(id)
  call('ZREM', CLAIMS, id)
  call('UNLINK', claim_key(id))
end

-- The members in lists of at most `most`, none with names of more than CLAIM_BYTES unless it is one name.
local function parts_of(members, most)
  local parts, part, bytes = {}, nil, 0
  for _, m in ipairs(members) do
    if not part or #part == most or bytes + #m[2] > CLAIM_BYTES then
      part, bytes = {}, 0
      parts[#parts + 1] = part
    end
    part[#part + 1] = m
    bytes = bytes + #m[2]
  end
  return parts
end

local function held_by(id, owner)
  return owner ~= '' and call('HGET', claim_key(id), 'owner') == owner
end

-- Why a name is none that a drain may touch, else nil. Names are foreign text: whoever may write into the set could have us move any
-- key. No key of any ledger is somebody's hash, nor is the set itself.
local function forbidden(member)
  if #member > NAME_MAX then
    return 'its name is ' .. num(#member) .. ' bytes, more than ' .. num(NAME_MAX)
  elseif member == SET then
    return 'it is the name of the set itself; the key was left as it was'
  elseif find(member, '^platoon:{') then
    return 'it is a key of a ledger (platoon:{NAME}:…), not a record; the key was left as it was'
  end
end

local function is_error(reply, code)
  return type(reply) == 'table' and reply.err and string.sub(reply.err, 1, #code) == code
end

-- Fields with times to live of their own (HEXPIRE: Redis 7.4, Valkey 9) go on expiring in a hash that is aside. To stop that takes HPERSIST,
-- and nothing for each member where no hash has such fields: a server that knows them counts those hashes in INFO, and another one (or one
-- that does not give us INFO) is asked whether it has the command. What it refuses of all that is in `fields_refused`: then no hash is moved
-- that may have such fields.
local fields_expire, fields_refused = false, nil
local function try_fields()
  local info = pcall('INFO', 'keyspace')
  info = type(info) == 'string' and info or ''
  local counted = find(info, 'subexpiry=') or find(info, 'keys_with_volatile_items=')
  if counted and not (find(info, 'subexpiry=[1-9]') or find(info, 'keys_with_volatile_items=[1-9]')) then
    return
  end
  for _, try in ipairs({{'HPERSIST', P .. 'aside:0', 'FIELDS', '1', ''}, {'HSCAN', P .. 'aside:0', '0', 'COUNT', '1', 'NOVALUES'}}) do
    local answer = pcall(unpack(try))
    local err = type(answer) == 'table' and answer.err
    if err and not counted and not fields_expire and find(err, 'nknown', 1, true) then
      return
    end
    fields_expire = true
    fields_refused = fields_refused or err and {err, try[1]}
  end
end

-- The encodings of small hashes without such fields; a hash that had one once, or is large, may have others.
local function may_expire(key)
  local encoding = pcall('OBJECT', 'ENCODING', key)
  return encoding ~= 'listpack' and encoding ~= 'ziplist'
end

-- In portions: names may be long, and a million of them.
local function persist_fields(key)
  local cursor, names = '0', nil
  repeat
    cursor, names = unpack(call('HSCAN', key, cursor, 'COUNT', '100', 'NOVALUES'))
    for from = 1, #names, CHUNK do
      local last = math.min(from + CHUNK - 1, #names)
      call('HPERSIST', key, 'FIELDS', num(last - from + 1), unpack(names, from, last))
    end
  until cursor == '0'
end

-- Moves a member's hash aside. Returns its state; with MISSING why there can be none, if that is so, and why Redis does not let us have
-- it now, if that is so. pcall, because after SPOP nothing may stop the script. Only "no such key" is a member without a hash. Without
-- PERSIST the application's time to live would go on counting and the data could vanish before it is stored. A set stays where it is: it
-- may be one that another drain works on, whose members would be gone. HLEN first: a name without a key costs a number then, not an error.
local function move_aside(member, seq)
  local len = pcall('HLEN', member)
  if len == 0 then
    return MISSING
  elseif type(len) == 'table' then
    local kind = is_error(len, 'WRONGTYPE') and pcall('TYPE', member)
    if not kind then
      return MISSING, nil, refused(len.err, 'HLEN', member)
    elseif kind.ok == 'set' then
      return MISSING, 'holds a set, not a hash; the key was left as it was'
    elseif kind.err then
      return MISSING, nil, refused(kind.err, 'TYPE', member)
    end
  end
  local fields = fields_expire and type(len) == 'number' and may_expire(member)
  if fields and fields_refused then
    return MISSING, nil, refused(fields_refused[1], fields_refused[2], member)
  end
  local key = aside_key(seq)
  local moved = pcall('RENAME', member, key)
  if moved.err then
    return MISSING, nil, not is_absent(moved.err) and refused(moved.err, 'RENAME', member) or nil
  end
  call('PERSIST', key)
  if fields then
    persist_fields(key)
  end
  return ASIDE
end

-- Members whose hash was taken are remembered for one to two slots.
local SLOT_MS = 5000
local function taken_key(slot)
  return P .. 'taken:' .. num(slot)
end

-- Tries SADD with what is in no member's way, our own prefix, in the memory of what was taken; and that this memory can be made to end.
local function try_add(now)
  local key = taken_key(math.floor(now / SLOT_MS))
  call('PEXPIRE', key, num(2 * SLOT_MS))
  call('SADD', key, P)
  call('PEXPIRE', key, num(2 * SLOT_MS))
end

-- Whose ledger this is: set, consume mode and store of the platoon that made it, and its instance; an empty one when several with the same
-- three have worked on it. Keys are made of the drain's name only, and two applications may have taken the same one from the same manual:
-- then one's claims would be handed out by the other, into the other's store. The same instance with a changed configuration is
-- meant by whoever changed it, and takes the ledger over. Returns why it is somebody else's, or nil; and whether it is to be written.
local OWNER = P .. 'owner'

-- An older platoon knew a file by its name without its folders.
local function same_store(was, store)
  return was == store or (was ~= '' and not string.find(was, '[/ ]') and string.sub(store, -#was - 1) == '/' .. was)
end

local function same_owner(o, consume, store)
  return o[1] == SET and o[2] == consume and same_store(o[3], store)
end

local function whose(consume, store, instance)
  local o = call('HMGET', OWNER, 'set', 'consume', 'store', 'instance')
  if not o[1] or o[4] == instance or same_owner(o, consume, store) then
    return nil, not (o[1] == SET and o[2] == consume and o[3] == store and (o[4] == instance or o[4] == ''))
  end
  return 'platoon: the ledger ' .. P .. '\tit belongs to another platoon, whose set is ' .. o[1] .. ', consume ' .. o[2] .. ', store ' .. o[3] ..
    ': give this drain another name; or, when that one is gone for good: platoonctl redis DEL ' .. OWNER
end

local function sign(consume, store, instance)
  local o = call('HMGET', OWNER, 'set', 'consume', 'store', 'instance')
  local shared = o[1] and o[4] ~= instance and same_owner(o, consume, store)
  call('HSET', OWNER, 'set', SET, 'consume', consume, 'store', store, 'instance', shared and '' or instance)
end

-- One member becomes a dead letter, with its data when that is aside. The caller takes it out of its claim.
local function bury(m, reason, attempts, now)
  local seq, member, has_data = m[1], m[2], '0'
  if m[3] == ASIDE and call('EXISTS', aside_key(seq)) == 1 then
    call('RENAME', aside_key(seq), dead_key(seq) .. ':data')
    has_data = '1'
  end
  call('HSET', dead_key(seq), 'member', member, 'reason', reason, 'attempts', num(attempts), 'at', num(now),
    'has_data', has_data)
  call('ZADD', DEAD, num(now), num(seq))
  call('HINCRBY', STATS, 'claimed', -1)
  call('HINCRBY', STATS, 'dead', 1)
end

-- Members leave a claim: those that leave(member) has made something else, and is true for. The others stay, and the
-- claim goes with its last member. Returns how many have left.
local function leave_claim(id, packed, leave)
  local kept, left = {}, 0
  for _, m in ipairs(cmsgpack.unpack(packed)) do
    if leave(m) then
      left = left + 1
    else
      kept[#kept + 1] = m
    end
  end
  if #kept == 0 then
    drop_claim(id)
  elseif left > 0 then
    set_members(id, kept)
  end
  return left
end

-- A claim's scheduled return: nobody's, at `due`.
local function give_back(id, attempts, due)
  call('HSET', claim_key(id), 'owner', '', 'via', '', 'attempts', num(math.max(attempts, 0)))
  call('ZADD', CLAIMS, num(due), id)
end

-- Numbers of dead letters named by the arguments from `from` on, each once; without any, the oldest `limit`.
local function named_letters(from, limit)
  if #ARGV < from then
    return call('ZRANGE', DEAD, 0, limit - 1)
  end
  local found, seen = {}, {}
  for i = from, #ARGV do
    if not seen[ARGV[i]] and call('ZSCORE', DEAD, ARGV[i]) then
      found[#found + 1] = ARGV[i]
    end
    seen[ARGV[i]] = true
  end
  return found
end
