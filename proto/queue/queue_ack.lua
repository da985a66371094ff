-- ack: queue, receipt... -> how many counted
--
-- Those messages are gone. A receipt counts while its attempt is the newest and not settled, also after its lease ran out.
-- Again: 0. O(receipts).
local q, no = open_queue(ARGV[1])
if no then
  return no
end
local counted, lost = acked(q, 2)
if counted + lost == 0 then
  return 0
end
if counted > 0 then
  count_stat(q, 'acked', counted)
end
queue_commit(q)
return counted
