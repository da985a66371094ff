-- clock: queue -> {leases that ran out, what waited and is due, ms until something falls due (-1: nothing will)}
--
-- A page of at most 500 of either; the time is 0 when there is more. Each pull does so too (of 100).
-- Again: nothing. O(page).
local q, no = open_queue(ARGV[1])
if no then
  return no
end
next_due(q) -- what it needs is tried before anything is written
local ran_out, due = run_clock(q, 500)
if ran_out + due > 0 then
  queue_commit(q)
end
return {ran_out, due, next_due(q)}
