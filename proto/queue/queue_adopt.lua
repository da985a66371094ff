-- adopt: queue, owner, lease_ms, receipt... -> receipts that are lost
--
-- Consumers have told this owner that they hold them; they are its own now, with a new lease. Those of a lease that ran out too, while nobody else has had
-- them since.
-- Again: the same. O(receipts).
local q, no = open_queue(ARGV[1])
if no then
  return no
end
local ids, states, lost = receipts_of(q, 4)
q.counts.late = nil
hold_all(q, ids, states, lost, count_of(ARGV[3]), ARGV[2])
return lost
