-- take: owner, count, lease_ms, queue -> msgpack [paused, ms until something falls due (-1: nothing will), waiting, [[id, attempt, alone, facet, at_ms, body], ...]]
--
-- As pull, for a queue worker. A message with alone = 1 is the only one of its answer.
local q, no = open_queue(ARGV[4])
if no then
  return no
elseif q.raw then
  return refuse('RAW', q.name .. ' is raw: it is pulled with lease -1 (--once)')
end
q = open_for_pull(ARGV[4])
local lease, waiting, due = max(1, count_of(ARGV[3])), count_of(call('GET', q.length)), next_due(q)
local out = q.settings.paused and {} or hand_out(q, ARGV[1], min(1000, count_of(ARGV[2])), lease)
waiting = waiting + q.delta
if #out > 0 then
  due = due < 0 and lease or min(due, lease)
end
if q.list then
  queue_commit(q)
end
for i, m in ipairs(out) do
  out[i] = {m.id, m.attempt, m.alone, shown_name(m.facet), m.at, m.body}
end
out.bytes, out.vain = nil, nil
return pack({q.settings.paused and 1 or 0, due, max(0, waiting), out})
