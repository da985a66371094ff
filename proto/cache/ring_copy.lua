-- copy: run, incarnation, mark, then key, version and record of each -> OK
--
-- Keeps what a node has written until its store has it (copies = 2). An older version never takes the place of a newer one, whatever
-- connection it comes on. Model: copy. A Redis that is full refuses all of it (OOM).
-- Again: the same copies.
-- O(bytes).
local inc, mark = ARGV[2], ARGV[3]
if not enter() or not is_live(inc, mark) then
  return pack(JOIN)
end

for i = 4, #ARGV, 3 do
  local there = call('HGET', COPIES .. inc, ARGV[i])
  if not there or not is_older(ARGV[i + 1], version_of(there)) then
    call('HSET', COPIES .. inc, ARGV[i], ARGV[i + 1] .. ' ' .. ARGV[i + 2])
  end
end
return pack(OK)
