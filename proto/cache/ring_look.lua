-- look: run, cells -> OK, closed_ms, then for each cell [0, 0], [2, incarnation] or [3, incarnation]
--
-- Who has these cells, for people and for who only reads: nothing is claimed. 0: free; 2: that node's; 3: of a node that is lost. No
-- transition of the model's.
-- O(cells).
local wait = enter()
if not wait then
  return pack(JOIN)
end
local found = {}
for i = 2, #ARGV do
  local owner, _, state = owner_of(ARGV[i])
  found[#found + 1] = {state, tonumber(owner or 0)}
end
return pack(OK, wait, found)
