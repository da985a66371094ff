-- facets: queue, cursor, count -> msgpack [next cursor ("0": that was all), [[facet, waiting, in_flight, weight, oldest_ms (-1: unknown, or nothing waits)], ...]]
--
-- A page of a sweep. What comes and goes meanwhile may be in it or not, and a facet may be in it twice. Reads only. O(page).
local q, no = open_queue(ARGV[1])
if no then
  return no
end
local page = call('SSCAN', q.active, ARGV[2], 'COUNT', num(max(1, min(1000, count_of(ARGV[3])))))
facets_read(q, page[2])
local rows, bytes = {}, 0
for i, name in ipairs(page[2]) do
  local f = facet_of(q, name)
  local head = facet_waiting(f) > 0 and bytes < 4 * 1024 * 1024 and call('LINDEX', f.key, '-1')
  local at = head and at_of(q, head)
  bytes = bytes + (head and #head or 0)
  rows[i] = {shown_name(name), f.len, f.flight, f.weight, at and max(0, now - at) or -1}
end
return cmsgpack.pack({page[1], rows})
