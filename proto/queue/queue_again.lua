-- again: queue, after_ms (-1: back-off), reason, receipt... -> how many counted
--
-- They are handed out again, not before that time; those that have had max_attempts are dead letters with this reason.
-- Again: 0. O(receipts).
local q, no = open_queue(ARGV[1])
if no then
  return no
end
return settle(q, max(-1, min(DELAY_MAX, tonumber(ARGV[2]) or -1)), ARGV[3] or '', 4)
