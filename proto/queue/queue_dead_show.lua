-- dead_show: queue, id... -> msgpack [[id, facet, attempts, reason, at_ms, bytes, body], ...]
--
-- Of a body longer than what is left of 4 MB nothing is shown. Reads only. O(letters).
local q, no = open_letters(ARGV[1])
if no then
  return no
end
local ids, left = letter_ids(q, 2, 0), 4 * 1024 * 1024
local states, rows = states_of(q, ids), {}
for i, id in ipairs(ids) do
  local row, body = letter_row(q, id, states[i]), nil
  if row[6] <= left then
    body = select(3, opened(call('HGET', q.held, id) or ''))
    left = left - row[6]
  end
  row[7] = body or ''
  rows[i] = row
end
return cmsgpack.pack(rows)
