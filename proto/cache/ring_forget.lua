-- forget: run, incarnation, mark of its loss, even -> OK
--   -> CLOSED; MOVED: it is not lost, or lost anew; COPIED, n: with even = 0
--
-- Strikes out a lost node: its cells are free. By the master, when the store has its copies; by a person, or when_lost = backing, for good
-- and all: even = 1 drops the copies that are there. Model: cells_free, in one step; the cells' entries go later, with free.
-- Again: OK, as of any node that is not there.
-- O(1).
local inc, mark, even = ARGV[2], ARGV[3], ARGV[4]
local wait = enter()
if not wait then
  return pack(JOIN)
elseif wait > 0 then
  return pack(CLOSED, wait)
end
local entry = node(inc)
if not entry then
  return pack(OK)
elseif entry[2] ~= 1 or entry[1] ~= tonumber(mark) then
  return pack(MOVED)
end
local copies = call('HLEN', COPIES .. inc)
if copies > 0 and even ~= '1' then
  return pack(COPIED, copies)
end
strike(inc)
return pack(OK)
