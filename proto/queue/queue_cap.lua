-- cap: queue, most in flight of one facet (0: any) -> what it was
--
-- Facets that were at their cap have a turn again: at once some thousand of them, the others with their next ack or delivery.
-- Again: what it is. O(1), or O(facets with something in flight) up to that.
local q, no = open_queue(ARGV[1])
local cap = tonumber(ARGV[2])
if no then
  return no
elseif not cap or cap < 0 or cap ~= floor(cap) then
  return refuse('ERR', 'a cap is a number, 0 for none')
end
local was = q.limit
q.limit = cap
if was > 0 and (cap == 0 or cap > was) then
  local names, page = {}, call('HSCAN', q.flight, '0', 'COUNT', '1000')[2]
  for i = 1, #page, 2 do
    names[#names + 1] = page[i]
  end
  facets_read(q, names)
  for _, name in ipairs(names) do
    facet_grow(q, facet_of(q, name))
  end
end
open_when_full()
queue_prepare(q)
if cap > 0 then
  call('SET', q.cap, num(cap))
else
  call('UNLINK', q.cap)
end
queue_write(q)
return was
