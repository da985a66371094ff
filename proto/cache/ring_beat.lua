-- beat: run, manager, host, gen, then incarnation and mark of each of its nodes
--   -> OK, now_us, closed_ms, gen, master, [state of each: 0 it beats, 1 it must join, 2 it is lost, 3 there is no such node],
--      [incarnation or manager, count of its beats, ...], [incarnation, entry, ...], [manager, host, ...]
--
-- The manager's heartbeat, and with it its nodes': model, tick and "beat". Entries and managers come only when the ring's generation is
-- not `gen`. Who finds no master becomes it, for 1.2 lease, and each of its beats prolongs that. Taken also by a Redis that is full.
-- Again: one beat more.
-- O(nodes).
local manager, host, seen = ARGV[2], ARGV[3], ARGV[4]
local BEATS_NOW, MUST_JOIN, IS_LOST, IS_GONE = 0, 1, 2, 3
local wait = enter()
if not wait then
  return pack(JOIN)
end
open_when_full()
if call('HGET', MANAGERS, manager) ~= host then
  call('HSET', RING, 'gen', next_gen())
  call('HSET', MANAGERS, manager, host)
end
local master = call('GET', MASTER)
if not master or master == manager then
  master = manager
  call('SET', MASTER, manager, 'PX', num(math.ceil(GRACE * lease_us / 1000)))
end

local function beat(inc, mark)
  if is_live(inc, mark) then
    call('HINCRBY', BEATS, inc, '1')
    return BEATS_NOW
  end
  local entry = node(inc)
  return not entry and IS_GONE or entry[2] == 1 and IS_LOST or MUST_JOIN
end

local found = {}
for i = 5, #ARGV, 2 do
  found[#found + 1] = beat(ARGV[i], ARGV[i + 1])
end
call('HINCRBY', BEATS, manager, '1')
local beats = call('HGETALL', BEATS)
for i = 2, #beats, 2 do
  beats[i] = tonumber(beats[i])
end
local moved = num(gen) ~= seen
return pack(OK, now, wait, gen, master, found, beats, moved and call('HGETALL', NODES) or {}, moved and call('HGETALL', MANAGERS) or {})
