-- bury: queue, reason, receipt... -> how many counted
--
-- They are dead letters with this reason.
-- Again: 0. O(receipts).
local q, no = open_queue(ARGV[1])
if no then
  return no
end
return settle(q, nil, ARGV[2] or '', 3)
