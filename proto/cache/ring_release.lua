-- release: run, incarnation, mark, then cell and number of each -> OK, how many were given back
--
-- Gives back cells, of which the store has everything: those that are still this node's, under this number. Model: release.
-- Again: 0. Late: nothing, since whoever has the cell by then has another number.
-- O(cells).
local inc, mark = ARGV[2], ARGV[3]
local wait, count = enter(), 0
if not wait or not is_live(inc, mark) then
  return pack(JOIN)
elseif wait > 0 then
  return pack(CLOSED, wait)
end
for i = 4, #ARGV, 2 do
  local key = cell_key(ARGV[i])
  if call('HGET', key, ARGV[i]) == inc .. ' ' .. ARGV[i + 1] then
    count = count + call('HDEL', key, ARGV[i])
  end
end
return pack(OK, count)
