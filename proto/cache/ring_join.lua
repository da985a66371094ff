-- join: run, seed, store, file, copies, lease_ms, name, host, platoon, address, token, incarnation (0: none yet), mark (its last one; 0)
--   -> OK, now_us, closed_ms, incarnation, mark, seed, gen, epoch, was (0 new, 1 live, 2 lost), number
--   -> 6 to 9, what the ring has, name and host of a node of another platoon; 10
--
-- A node comes, or comes back: model, join. Its incarnation goes on, also a lost one (its cells are still its own); one that was struck
-- out, or is another node's, gets a new one. `seed` is what the caller would choose: the ring's is answered. The first node, and one
-- of the only platoon, says what the ring's settings are; file = 1: the store is a directory, which no other platoon can share.
-- number: the highest that was given before this join, to a claim or as an incarnation; 0: none is known. A claim of its own that has a
-- number up to it, in the same incarnation and epoch, is from before this join, and nobody had the cell since.
-- Again: the same incarnation with a new mark, also for a new node, by its token.
-- O(nodes).
local seed, store, file, copies, lease = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local name, host, platoon, address, token = ARGV[7], ARGV[8], ARGV[9], ARGV[10], ARGV[11]
local inc, mark = ARGV[12], ARGV[13]
local NODES_MAX = 4096
local OTHERS_STORE, OTHERS_FILE, OTHERS_COPIES, OTHERS_LEASE, FULL = 6, 7, 8, 9, 10
local wait = enter()
local r = call('HMGET', RING, 'seed', 'store', 'copies', 'lease_ms')
local all, count, other, mine, same = call('HGETALL', NODES), 0, nil, nil, nil
for i = 1, #all, 2 do
  local entry = cmsgpack.unpack(all[i + 1])
  count = count + 1
  if entry[5] ~= platoon then
    other = entry
  elseif entry[3] == name and all[i] == inc then
    mine = entry
  elseif entry[3] == name and entry[7] == token then
    same = all[i]
  end
end
if other then
  local why = r[2] ~= store and {OTHERS_STORE, r[2]} or file == '1' and {OTHERS_FILE, r[2]} or
    r[3] ~= copies and {OTHERS_COPIES, r[3]} or r[4] ~= lease and {OTHERS_LEASE, r[4]}
  if why then
    return pack(why[1], why[2], other[3], other[4])
  end
end
if not mine and same then
  inc, mine = same, node(same)
elseif not mine and count >= NODES_MAX then
  return pack(FULL)
end

open_when_full()
if not wait or r[4] ~= lease then
  begin_run(math.max(lease_us, tonumber(lease) * 1000))
  wait = math.ceil((from - now) / 1000)
end
call('HSET', RING, 'seed', r[1] or seed, 'store', store, 'copies', copies, 'lease_ms', lease)
local number = given()
local was = mine and 1 + mine[2] or 0
if not mine then
  inc = num(take_numbers(1))
end
call('HINCRBY', BEATS, inc, '1')
mark = put_node(inc, {0, 0, name, host, platoon, address, token}, mark)
return pack(OK, now, wait, tonumber(inc), mark, r[1] or seed, gen, epoch, was, number)
