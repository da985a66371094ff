-- cap: queue, most in flight of one facet (0: any) -> what it was
--
-- A facet that is at its cap has a turn again with its next ack, or delivery.
-- Again: what it is. O(1).
local q, no = open_queue(ARGV[1])
local cap = tonumber(ARGV[2])
if no then
  return no
elseif not cap or cap < 0 or cap ~= floor(cap) then
  return refuse('ERR', 'a cap is a number, 0 for none')
end
open_when_full()
if cap > 0 then
  call('SET', q.cap, num(cap))
else
  call('UNLINK', q.cap)
end
return q.limit
