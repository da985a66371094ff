-- lost: run, manager, incarnation, beats -> OK, mark of the loss
--   -> CLOSED; SLAVE: the manager is not master; MOVED: it has beaten since, or there is no such node
--
-- The master says that a node is lost: its beats have stood still at this number for 1.2 lease by the master's clock, and Redis has
-- answered the master all the while. Model: master, LOST; the mark is its `loss`.
-- Again: the same mark.
-- O(1).
local manager, inc, beats = ARGV[2], ARGV[3], ARGV[4]
local wait = enter()
if not wait then
  return pack(JOIN)
elseif wait > 0 then
  return pack(CLOSED, wait)
end
local master = call('GET', MASTER)
if master ~= manager then
  return pack(SLAVE, master or '')
end
local entry = node(inc)
if not entry or call('HGET', BEATS, inc) ~= beats then
  return pack(MOVED)
elseif entry[2] == 1 then
  return pack(OK, entry[1])
end
open_when_full()
entry[2] = 1
return pack(OK, put_node(inc, entry))
