-- renew: queue, lease_ms, receipt... -> receipts that are lost
--
-- A lease that ran out is renewed too while nobody else has had the message since.
-- Again: the same. O(receipts).
local q, no = open_queue(ARGV[1])
if no then
  return no
end
local ids, states, lost = receipts_of(q, 3)
q.counts.late = nil
hold_all(q, ids, states, lost, count_of(ARGV[2]), nil)
return lost
