-- dead_list: queue, limit, ids... (none: the oldest `limit`) -> msgpack [[id, facet, attempts, reason, at_ms, bytes], ...]
--
-- Reads only. O(letters).
local q, no = open_letters(ARGV[1])
if no then
  return no
end
local ids = letter_ids(q, 3, count_of(ARGV[2]))
local states, rows = states_of(q, ids), {}
for i, id in ipairs(ids) do
  rows[i] = letter_row(q, id, states[i])
end
return cmsgpack.pack(rows)
