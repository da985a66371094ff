-- drop: run, incarnation, mark, then key and version of each -> OK, how many went; MOVED: it has another mark
--
-- The store has these versions, so that their copies are not needed: those that are newer stay. By the node, with its mark, and by
-- the master, with that of the loss. Model: stored; rescued.
-- Again: 0.
-- O(bytes).
local inc, mark, count = ARGV[2], ARGV[3], 0
if not enter() then
  return pack(JOIN)
end
local entry = node(inc)
if not entry or entry[1] ~= tonumber(mark) then
  return pack(MOVED)
end
for i = 4, #ARGV, 2 do
  local there = call('HGET', COPIES .. inc, ARGV[i])
  if there and not is_older(ARGV[i + 1], version_of(there)) then
    count = count + call('HDEL', COPIES .. inc, ARGV[i])
  end
end
return pack(OK, count)
