-- destroy: queue -> how many of its facets are still there: call it until that is 0
--
-- The queue with all its messages is gone. Its registration goes first; a page of at most 500 facets.
-- Again: 0. O(page).
local q = queue_of(ARGV[1])
if is_our_name(q.name) then
  return refuse('NOQUEUE', 'there is no queue ' .. q.name)
end
local names, all = read('SRANDMEMBER', q.active, '500') or {}, read('SCARD', q.active) or 0
local lists = {}
for _, name in ipairs(names) do
  lists[#lists + 1] = q.keys .. name
  lists[#lists + 1] = q.keys .. name .. ':inflight'
end
open_when_full()
call('UNLINK', VOUCHED)
if #names > 0 then
  call('SREM', q.active, '')
end
call('HDEL', REGISTERED, q.name)
if #names > 0 then
  call('UNLINK', unpack(lists))
  call('SREM', q.active, unpack(names))
end
if all > #names then
  return all - #names
end
call('UNLINK', q.active, q.turns, q.pool, q.length, q.weights, q.cap, q.keys .. 'inflight', q.held, q.leases, q.later, q.dead, q.flight, q.stats,
  q.slow)
call('HDEL', QUEUES, q.name)
return 0
