-- peek: queue, facet ('': that of the next turn), count -> msgpack [[id ('': none yet), attempt, facet, at_ms (-1: unknown), body], ...]
--
-- What would come next of this facet; nothing changes. Bounded as pull. O(messages).
local q, no = open_queue(ARGV[1])
if no then
  return no
end
local name = ARGV[2] ~= '' and stored_name(ARGV[2]) or read('LINDEX', q.turns, '-1')
local rows, bytes, count = {}, 0, min(1000, count_of(ARGV[3]))
local f = name and facet_of(q, name)
q.taken = {}
while f and #rows < count and bytes < HAND_BYTES and f.popped - #rows < HAND_VAIN do
  local element = facet_peek(q, f)
  if not element then
    break
  end
  local m = message_of(q, f, element)
  facet_pop(q, f)
  if m then
    bytes = bytes + #m.body
    rows[#rows + 1] = {m.id or '', m.attempt, shown_name(name), m.id and m.at or -1, m.body}
  end
end
return cmsgpack.pack(rows)
