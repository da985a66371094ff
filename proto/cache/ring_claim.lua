-- claim: run, incarnation, mark, cells -> OK, now_us, then for each cell [1, number], [2, incarnation] or [3, incarnation]
--
-- Who has these cells; those that are free are ours now (1), under one number for all of this call. 2: it is that node's; 3: of a node that
-- is lost. Model: claim. A Redis that is full refuses it (OOM), unless nothing is free. now_us: versions of what is written from now on
-- are above it.
-- Again: ours, with the same numbers.
-- O(cells), some 10 microseconds each.
local inc, mark = ARGV[2], ARGV[3]
local wait = enter()
if not wait or not is_live(inc, mark) then
  return pack(JOIN)
elseif wait > 0 then
  return pack(CLOSED, wait)
end
local found, free = {}, {}
for i = 4, #ARGV do
  local owner, number, state = owner_of(ARGV[i])
  if owner == inc then
    found[#found + 1] = {OURS, number}
  elseif owner then
    found[#found + 1] = {state, tonumber(owner)}
  else
    found[#found + 1] = {OURS}
    free[#free + 1] = i
  end
end
if #free > 0 then
  local number = take_numbers(1)
  for _, i in ipairs(free) do
    put_cell(ARGV[i], inc, number)
    found[i - 3][2] = number
  end
end
return pack(OK, now, found)
