-- leave: run, incarnation, mark -> OK; COPIED, n: the store may not have these, so it is not to leave
--
-- A node leaves in good order: it has no commands, the store has everything, its cells are released; those that are not are free too.
-- Model: release of all. Also while the ring is closed: who leaves holds nothing that could be claimed again.
-- Again: OK, as of any node that is not there.
-- O(1).
local inc, mark = ARGV[2], ARGV[3]
if not enter() or not node(inc) then
  return pack(OK)
elseif not is_live(inc, mark) then
  return pack(JOIN)
end
local copies = call('HLEN', COPIES .. inc)
if copies > 0 then
  return pack(COPIED, copies)
end
strike(inc)
return pack(OK)
