-- take: owner, count, lease_ms, queue, wait (absent: none) -> msgpack [paused, ms until something falls due (-1: nothing will), waiting, [[attempt, alone, facet, envelope], ...]]
--
-- As pull, for a queue worker. A message with alone = 1 is the only one of its answer. `wait`: it was sent behind a wait of that number; nothing is
-- taken when its owner has put off those up to that one since.
local q, no = open_queue(ARGV[4])
if no then
  return no
elseif q.raw then
  return refuse('RAW', q.name .. ' is raw: it is pulled with lease -1 (--once)')
end
local due = next_due(q)
if due == 0 then
  q = open_for_pull(ARGV[4])
  due = next_due(q)
end
local lease, waiting = max(1, count_of(ARGV[3])), count_of(call('GET', q.length))
local parts, n, count = {'', ''}, 2, 0
local off = ARGV[5] and count_of(read('GET', P .. 'off:' .. ARGV[1])) >= count_of(ARGV[5])
if not q.settings.paused and not off then
  count = hand_out(q, ARGV[1], min(1000, count_of(ARGV[2])), lease, function(f, _, attempt, alone, _, element)
    local facet = f.shown or packed_text(shown_name(f.name))
    f.shown = facet
    parts[n + 1], parts[n + 2], n = attempt == 1 and alone == 0 and '\148\1\0' .. facet or '\148' .. pack(attempt, alone) .. facet, packed_text(element), n + 2
  end)
end
waiting = waiting + q.delta
if count > 0 then
  due = due < 0 and lease or min(due, lease)
end
if q.list then
  queue_commit(q)
end
parts[1] = '\148' .. pack(q.settings.paused and 1 or 0, due, max(0, waiting))
parts[2] = string.char(220, floor(count / 256), count % 256)
return table.concat(parts)
