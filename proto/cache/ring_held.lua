-- held: run, incarnation, mark, then cell and number of each -> OK, closed_ms, then for each cell as claim
--   -> MOVED: the ring is open: claim
--
-- While the ring is closed, after a fail-over, holders claim again what they had, with the numbers that they had: the later claim, which
-- is the one with the higher number, wins. So what is answered may change until the ring opens. Model: claim_again. Taken also by a Redis
-- that is full.
-- Again: the same answer, unless somebody with a later claim has come.
-- O(cells), some 10 microseconds each.
local inc, mark = ARGV[2], ARGV[3]
local wait = enter()
if not wait or not is_live(inc, mark) then
  return pack(JOIN)
elseif wait == 0 then
  return pack(MOVED)
end
local found, most = {}, 0
for i = 5, #ARGV, 2 do
  most = math.max(most, tonumber(ARGV[i]))
end
open_when_full()
take_numbers(0, most)
for i = 4, #ARGV, 2 do
  local owner, number, state = owner_of(ARGV[i])
  local held = tonumber(ARGV[i + 1])
  if not owner or number < held then
    put_cell(ARGV[i], inc, held)
    found[#found + 1] = {OURS, held}
  elseif owner == inc then
    found[#found + 1] = {OURS, number}
  else
    found[#found + 1] = {state, tonumber(owner)}
  end
end
return pack(OK, wait, found)
