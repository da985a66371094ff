-- weight: queue, facet, weight (0 to 100; 0: paused) -> what it was
--
-- Again: what it is. O(1).
local q, no = open_queue(ARGV[1])
local name, weight = stored_name(ARGV[2] or ''), tonumber(ARGV[3])
if no then
  return no
elseif not weight or weight < 0 or weight > 100 or weight ~= floor(weight) then
  return refuse('ERR', 'a weight is a number from 0 to 100')
end
return set_weight(q, name, weight, function()
  call('HDEL', q.slow, name)
end)
