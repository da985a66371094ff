-- pull: owner, count, lease_ms, queue... -> {{queue, receipt, attempt, facet, at_ms, body}...} of the first queue with something
--
-- lease_ms -1: at most once, and the receipt is ''; only so from a raw queue. A paused queue has nothing. The answer is bounded (4 MB, or one
-- message), and one that is tried alone is all of it.
-- Again: others are handed out; the former come back when their lease runs out. O(messages).
local owner, count, lease = ARGV[1], min(1000, count_of(ARGV[2])), tonumber(ARGV[3])
if #ARGV < 4 or not lease or not (lease == -1 or lease >= 1) then
  return refuse('ERR', 'platoon_pull 1 NAMESPACE OWNER COUNT LEASE_MS|-1 QUEUE...')
end
for i = 4, #ARGV do
  local q, no = open_queue(ARGV[i])
  if no then
    return no
  elseif q.raw and lease >= 0 then
    return refuse('RAW', q.name .. ' is raw: pull it with --once (lease -1)')
  end
end
for i = 4, #ARGV do
  local q, rows = open_for_pull(ARGV[i]), {}
  if not q.settings.paused then
    hand_out(q, owner, count, lease, function(f, id, attempt, _, at, element, from)
      rows[#rows + 1] = {q.name, lease < 0 and '' or id .. '.' .. num(attempt), attempt, shown_name(f.name), tonumber(at), string.sub(element, from)}
    end)
  end
  if q.list then
    queue_commit(q)
  end
  if #rows > 0 then
    return rows
  end
end
return {}
