-- back: queue, blame (0, 1), reason, receipt... -> how many counted
--
-- Their consumer is gone, and they go to the next at once. Without blame the hand-out does not count; with blame they are tried alone.
-- Again: 0. O(receipts).
local q, no = open_queue(ARGV[1])
if no then
  return no
end
local blame, reason = ARGV[2] == '1', ARGV[3]
local ids, states, lost = receipts_of(q, 4)
if #ids + #lost == 0 then
  return 0
end
facets_of_states(q, states)
local counted = 0
for _, i in ipairs(newest_first(ids)) do
  if states[i].where == LEASED then
    counted = counted + 1
    lose(q, ids[i], states[i], BACK, blame, reason)
  end
end
queue_commit(q)
return counted
