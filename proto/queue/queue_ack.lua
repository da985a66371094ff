-- ack: queue, receipt... -> how many counted
--
-- Those messages are gone. A receipt counts while its attempt is the newest and not settled, also after its lease ran out.
-- Again: 0. O(receipts).
local q, no = open_queue(ARGV[1])
if no then
  return no
end
local ids, states, lost = receipts_of(q, 2)
if #ids + #lost == 0 then
  return 0
end
facets_of_states(q, states)
for i, id in ipairs(ids) do
  leave(q, id, states[i])
  forget(q, id)
end
if #ids > 0 then
  count_stat(q, 'acked', #ids)
end
queue_commit(q)
return #ids
