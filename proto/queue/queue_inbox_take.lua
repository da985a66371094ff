-- inbox_take: taken, then for each of the oldest bodies topic, facet, its length, why it cannot be placed ('': it can)
--   -> msgpack [placed, dead]; nil when the inbox is not as it was: look again
--
-- Takes exactly those that inbox_look has shown, and queues them; what has no place becomes a dead letter of the inbox. Who has taken meanwhile is
-- seen by the counter. A Redis that is full refuses it, and they stay.
-- Again: nil. O(bodies + queues for each topic).
local taken, count = tonumber(ARGV[1]), (#ARGV - 1) / 4
local stats = P .. 'inbox:stats'
local bodies = count > 0 and call('LRANGE', INBOX, num(-count), '-1') or {}
if count_of(call('HGET', stats, 'taken')) ~= taken or #bodies ~= count then
  return false
end
local inbox, publish, unwanted, placed = queue_of('inbox'), {}, 0, 0
inbox.raw, inbox.settings, inbox.limit = false, settings_of(), 0
local topics, facets = {}, {}
for a = 2, #ARGV, 4 do
  if ARGV[a + 3] == '' then
    topics[#topics + 1], facets[#facets + 1] = ARGV[a], ARGV[a + 1]
  end
end
read_ahead(topics, facets)
for i = 1, count do
  local body, a = bodies[count + 1 - i], 4 * i - 2
  local topic, facet, why = ARGV[a], ARGV[a + 1], ARGV[a + 3]
  if #body ~= tonumber(ARGV[a + 2]) then
    return false
  end
  local id, names = take_id(), nil
  if why == '' then
    names, why = place(id, topic, facet, body, 0)
  end
  if names then
    placed = placed + 1
    publish[#publish + 1] = topic
    publish[#publish + 1] = body
    unwanted = unwanted + (#names == 0 and 1 or 0)
  else
    set_held(inbox, id, envelope(id, now_text, body))
    set_state(inbox, id, {where = DEAD, attempt = 0, spared = 0, at = now, facet = '', owner = '', alone = 0, reason = cut_reason(why)})
    zset_add(inbox, inbox.dead, now_text, id)
  end
end
place_all(function()
  try_once('LTRIM', '1', '0')
  queue_prepare(inbox)
  call('HINCRBY', stats, 'taken', '0')
  for i = 1, #publish, 2 do
    call('PUBLISH', N .. publish[i], publish[i + 1])
  end
end)
queue_write(inbox)
call('LTRIM', INBOX, '0', num(-count - 1))
call('HINCRBY', stats, 'taken', num(count))
count_of_inbox('unwanted', unwanted)
count_of_inbox('dead', count - placed)
return cmsgpack.pack({placed, count - placed})
