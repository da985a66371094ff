-- ring_lib.lua: what every script of the ring shares; scripts/lib/embed puts it in front of each, behind redis/call.lua.
--
-- Arguments of every script: KEYS[1] the ring's prefix "platoon:{cache:NAME}:", from which all keys are made, so that they share its hash
-- tag; ARGV[1] the run_id of this server. What else stands in ARGV, and what is answered, say the first lines of each.
--
-- An answer is msgpack values, one behind the other; the first is a status:
--   0 OK       what follows is the script's own
--   1 JOIN     this incarnation is not here with this mark, in this run of this ring: join
--   2 CLOSED   ms: nothing is granted, taken over or given back before
--   3 MOVED    what the caller saw is not so any more
--   4 SLAVE    name: that manager is master ('': nobody)
--   5 COPIED   n: so many copies are there, which the store may not have
--   6 to 9     join: the ring has another store, its store is a directory of another platoon, another number of copies, another lease
--   10 FULL    join: there are NODES_MAX nodes
--
-- A script that fails half-way is not rolled back, and Redis may refuse any command: so what can be refused comes before what cannot be
-- undone, and what is done last is what the script is for. Each may be called again when its answer was lost: its header says
-- what comes of it then.
--
-- Nodes are named by their incarnation and its mark: the number of its last join, or of its loss. A call that another join, or loss, has
-- overtaken is refused. Marks are the ring's generations, which are never behind Redis' clock in microseconds: a Redis that has lost its
-- memory still gives marks that nobody has.
local P, RUN = KEYS[1], ARGV[1]
local RING, SEQ, NODES, BEATS = P .. 'ring', P .. 'seq', P .. 'nodes', P .. 'beats'
local MANAGERS, MASTER, CELLS, COPIES = P .. 'managers', P .. 'master', P .. 'cells:', P .. 'copies:'
local OK, JOIN, CLOSED, MOVED, SLAVE, COPIED = 0, 1, 2, 3, 4, 5
-- What there is to say of a cell.
local FREE, OURS, THEIRS, LOST = 0, 1, 2, 3
local BUCKETS = 4096
-- A node that serves until 0.8 lease, by a clock that is 10 % slow, does so no more after 1.2 lease of one that is 10 % fast.
local GRACE = 1.2

local pack = cmsgpack.pack

local function now_us()
  local t = call('TIME')
  return tonumber(t[1]) * 1000000 + tonumber(t[2])
end

local now = now_us()
-- The ring, once `enter` has read it. Until `from` nothing is granted; marks up to `epoch` are of another run.
local gen, epoch, from, lease_us = 0, 0, 0, 0

-- Redis takes HDEL of nothing also when it is full, and then all else of the script too (it decides OOM before a script's first write only):
-- for scripts that finish what was begun, or keep alive what there is. Those that only add are refused by their first write.
local function open_when_full()
  call('HDEL', RING, '')
end

-- A number for a change of nodes: larger than all before, and than `least`.
local function next_gen(least)
  gen = math.max(gen + 1, now, (tonumber(least) or 0) + 1)
  return num(gen)
end

-- Nothing is granted for so long from now on. Kept beside: how long that is, since a clock that is set back must not make it longer.
local function close_for(grace_us)
  from = now + grace_us
  call('HSET', RING, 'from_us', num(from), 'grace_us', num(grace_us))
end

-- Another process of Redis, a ring of which nothing is known, another lease: who holds a lease claims again, and until all leases that may
-- be there are over nothing is granted.
local function begin_run(longest_us)
  open_when_full()
  epoch = tonumber(next_gen())
  close_for(math.ceil(GRACE * longest_us))
  call('HSET', RING, 'gen', num(gen), 'epoch', num(epoch), 'run', RUN)
end

-- Reads the ring. The milliseconds for which it is closed (0: it is open), or nil when there is none.
local function enter()
  local r = call('HMGET', RING, 'run', 'gen', 'epoch', 'from_us', 'lease_ms', 'grace_us')
  if not r[5] then
    return nil
  end
  gen, epoch, from, lease_us = tonumber(r[2]), tonumber(r[3]), tonumber(r[4]), tonumber(r[5]) * 1000
  if r[1] ~= RUN then
    begin_run(lease_us)
  elseif from > now + tonumber(r[6]) then
    open_when_full()
    close_for(tonumber(r[6]))
  end
  return math.max(0, math.ceil((from - now) / 1000))
end

-- The highest number so far.
local function given()
  return tonumber(call('GET', SEQ) or '0')
end

-- n numbers in a row, larger than all before and than `least`; returns the last.
local function take_numbers(n, least)
  local last = math.max(given(), least or 0) + n
  call('SET', SEQ, num(last))
  return last
end

-- ---- nodes ----
-- An entry is [mark, state, name, host, platoon, address, token]: state 0 live, 1 lost; token: what names this start of the node.

local function node(inc)
  local packed = call('HGET', NODES, inc)
  return packed and cmsgpack.unpack(packed)
end

-- Writes the entry with a new mark, which is returned.
local function put_node(inc, entry, least)
  entry[1] = tonumber(next_gen(least))
  call('HSET', RING, 'gen', num(gen))
  call('HSET', NODES, inc, pack(entry))
  return entry[1]
end

-- Whether this incarnation lives, with this mark, in this run.
local function is_live(inc, mark)
  local entry = node(inc)
  return entry and entry[2] == 0 and entry[1] == tonumber(mark) and entry[1] > epoch
end

-- Takes a node out: from then on its cells are free (owner_of). UNLINK is tried before, because without it the copies would stay.
local function strike(inc)
  open_when_full()
  call('UNLINK', COPIES .. '0')
  call('HSET', RING, 'gen', next_gen())
  call('HDEL', BEATS, inc)
  call('HDEL', NODES, inc)
  call('UNLINK', COPIES .. inc)
end

-- ---- cells ----
-- A cell's value is "INCARNATION NUMBER": of the claim, so that a late release frees no later claim, and a log says of which claim it is.

local keys = {}
local function bucket_key(bucket)
  keys[bucket] = keys[bucket] or CELLS .. format('%03x', bucket)
  return keys[bucket]
end

local function cell_key(cell)
  local high, low = string.byte(cell, 1, 2)
  return bucket_key(high * 16 + math.floor(low / 16))
end

local states = {}
-- LOST, THEIRS, or FREE of a node that is not there: who is struck out has no cells, also before free.lua has come to them.
local function state_of(inc)
  if not states[inc] then
    local entry = node(inc)
    states[inc] = entry and (entry[2] == 1 and LOST or THEIRS) or FREE
  end
  return states[inc]
end

-- The incarnation and the number of who has the cell, and state_of it; nil, nil, FREE.
local function owner_of(cell)
  local inc, number = string.match(call('HGET', cell_key(cell), cell) or '', '^(%d+) (%d+)$')
  if not inc or state_of(inc) == FREE then
    return nil, nil, FREE
  end
  return inc, tonumber(number), state_of(inc)
end

local function put_cell(cell, inc, number)
  call('HSET', cell_key(cell), cell, inc .. ' ' .. num(number))
end

-- A walk over all cells in pages, bounded: some PAGE cells, or WALK buckets. see(key, fields and values); returns where to go on: bucket,
-- BUCKETS after the last, and cursor in it.
local PAGE, WALK = 1000, 256
local function walk(bucket, cursor, see)
  local seen, stop = 0, math.min(BUCKETS, bucket + WALK)
  while bucket < stop and seen < PAGE do
    local key, found = bucket_key(bucket), nil
    cursor, found = unpack(call('HSCAN', key, cursor, 'COUNT', '500'))
    see(key, found)
    seen = seen + #found / 2
    bucket = bucket + (cursor == '0' and 1 or 0)
  end
  return bucket, cursor
end

-- ---- copies ----

-- Versions have up to 16 digits, more than a number of Lua's holds.
local function is_older(a, b)
  return #a < #b or (#a == #b and a < b)
end

local function version_of(copy)
  return string.match(copy, '^%d+')
end
